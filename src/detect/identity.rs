//! Names become services: the one place where a destination is classified.

use super::Map;
use crate::output::Class;
use crate::parse::NameSource;
use crate::signatures::{Catalogue, Category, Role, Sanction, ServiceId, Technique, Who};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// Names whose verdict is remembered. Beyond this the memory is emptied: it is a cache, nothing is lost.
const MAX_CACHED: usize = 65_536;

/// What a name turned out to be, for analytics and for records.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Known {
    /// The service.
    pub service: ServiceId,
    /// What the name is for.
    pub role: Role,
    /// The match adds weight.
    pub weighty: bool,
    /// What kind of service it is.
    pub category: Category,
    /// Anybody may upload without an account, or the catalogue weighs it as high risk.
    pub high_risk: bool,
    /// What the site says of it.
    pub sanction: Sanction,
    /// For records.
    pub class: Arc<Class>,
}

/// A name, and who asks where that matters.
type Asked = (Box<str>, Option<IpAddr>);

/// Classifies names, and remembers.
#[derive(Debug)]
pub struct Namer {
    catalogue: Arc<Catalogue>,
    cache: Map<Asked, Option<Arc<Known>>>,
    /// Sanctions depend on the sender: verdicts cannot be shared between hosts.
    by_host: bool,
}

impl Namer {
    /// Classifies with `catalogue`.
    pub fn new(catalogue: Arc<Catalogue>) -> Self {
        let by_host = catalogue.site().standings().iter().any(|s| !s.sources.is_empty());
        Self { catalogue, cache: Map::default(), by_host }
    }

    /// The service of a name, as seen from `host`.
    pub fn classify(&mut self, name: &str, host: Option<IpAddr>) -> Option<Arc<Known>> {
        let host = host.filter(|_| self.by_host);
        let key = (Box::from(name), host);
        if let Some(known) = self.cache.get(&key) {
            return known.clone();
        }
        if self.cache.len() >= MAX_CACHED {
            self.cache.clear();
        }
        let known = self.look_up(name, host).map(Arc::new);
        self.cache.insert(key, known.clone());
        known
    }

    /// The service that owns an address alone, or the autonomous system that announces it.
    pub fn by_address(&self, ip: IpAddr, asn: Option<u32>, host: Option<IpAddr>) -> Option<Arc<Known>> {
        let id = self.catalogue.by_address(ip).or_else(|| self.catalogue.by_asn(asn?))?;
        Some(Arc::new(self.known(id, Role::Mixed, None, true, host.filter(|_| self.by_host))))
    }

    /// Some service of a category: for flows that show the kind of service but not which.
    pub fn by_category(&self, category: Category, host: Option<IpAddr>) -> Option<Arc<Known>> {
        let service = self.catalogue.services().find(|s| s.category == category)?;
        Some(Arc::new(self.known(service.id, Role::Api, None, false, host.filter(|_| self.by_host))))
    }

    /// The catalogue in use.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    fn look_up(&self, name: &str, host: Option<IpAddr>) -> Option<Known> {
        let verdict = self.catalogue.classify(name)?;
        Some(self.known(verdict.service, verdict.role, verdict.tenant, verdict.weighty, host))
    }

    fn known(
        &self,
        id: ServiceId,
        role: Role,
        tenant: Option<Box<str>>,
        weighty: bool,
        host: Option<IpAddr>,
    ) -> Known {
        let service = self.catalogue.service(id);
        let who = Who { address: host, name: None, groups: &[], process: None };
        let sanction = self.catalogue.site().sanction(id, tenant.as_deref(), &who);
        let class = Class {
            service: service.slug.as_str().into(),
            service_name: service.name.as_str().into(),
            category: service.category.as_str(),
            technique: service.technique.map(Technique::as_str),
            technique_name: service.technique.map(Technique::name),
            role: role.as_str(),
            tenant,
            sanction: sanction.as_str(),
        };
        Known {
            service: id,
            role,
            weighty,
            category: service.category,
            high_risk: service.weight >= 70,
            sanction,
            class: Arc::new(class),
        }
    }
}

/// How sure a name from `source` is to be the destination's (docs/names.md says why).
pub const fn confidence(source: NameSource) -> f32 {
    match source {
        NameSource::Connect => 0.97,
        NameSource::Sni | NameSource::QuicSni => 0.95,
        NameSource::HttpHost => 0.9,
        NameSource::Certificate => 0.8,
        NameSource::Dns => 0.7,
        NameSource::Address => 0.6,
        NameSource::EchOuterSni => 0.2,
    }
}
