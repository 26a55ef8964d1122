//! What a site says about itself: its own and sanctioned tenants, and its scoped allow-list.
//!
//! Nothing here hides a flow. A sanction lowers what a destination says; an allow-list entry grants a byte budget to
//! certain hosts until a date. Beyond either, alerts come as ever.

use super::ServiceId;
use super::kinds::Sanction;
use super::pattern::glob_matches;
use super::tools::process_name;
use crate::net::Nets;
use crate::strict::{Fault, Warning};
use crate::units::{Bytes, Span, Timestamp};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// A short list of texts with `*` and `?`, compared without regard to case.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Globs(Vec<String>);

impl Globs {
    /// A list of globs.
    pub fn new(globs: impl IntoIterator<Item = String>) -> Self {
        Self(globs.into_iter().map(|glob| glob.to_lowercase()).collect())
    }

    /// Whether any of them takes in the text.
    pub fn matches(&self, text: &str) -> bool {
        !self.0.is_empty() && {
            let text = text.to_lowercase();
            self.0.iter().any(|glob| glob_matches(glob, &text))
        }
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The globs.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// So many bytes in so long a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// How much.
    pub bytes: Bytes,
    /// In what time.
    pub per: Span,
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.bytes, self.per)
    }
}

impl FromStr for Budget {
    type Err = String;

    /// Reads `20 GB/24h`.
    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || format!("'{}' is no budget; write for example \"20 GB/24h\"", text.escape_debug());
        let (bytes, per) = text.split_once('/').ok_or_else(shape)?;
        let (bytes, per): (Bytes, Span) = (bytes.parse()?, per.trim().parse()?);
        if bytes.0 == 0 || per.nanos() == 0 { Err(shape()) } else { Ok(Self { bytes, per }) }
    }
}

/// The one who sends, as far as it is known.
#[derive(Clone, Copy, Default, Debug)]
pub struct Who<'w> {
    /// The home address.
    pub address: Option<IpAddr>,
    /// The host's name.
    pub name: Option<&'w str>,
    /// The host groups it belongs to.
    pub groups: &'w [&'w str],
    /// The process, as name or path.
    pub process: Option<&'w str>,
}

/// Tenants of a service that are the site's own, or that it sanctions.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The service; `None` stands for any (own tenants only).
    pub service: Option<ServiceId>,
    /// The tenants; empty stands for the whole service, tenant or not.
    pub tenants: Globs,
    /// Own, rather than sanctioned.
    pub own: bool,
    /// Only for these senders; empty for all.
    pub sources: Nets,
    /// Only for these processes; empty for all.
    pub processes: Globs,
    /// Beyond this the sanction does not calm any more.
    pub hard_cap: Option<Budget>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Where it stands.
    pub place: (Arc<str>, usize),
}

impl Standing {
    fn speaks_of(&self, service: ServiceId) -> bool {
        self.service.is_none_or(|s| s == service)
    }

    fn covers(&self, service: ServiceId, tenant: Option<&str>, who: &Who<'_>) -> bool {
        self.speaks_of(service)
            && (self.tenants.is_empty() || tenant.is_some_and(|t| self.tenants.matches(t)))
            && (self.sources.is_empty() || who.address.is_some_and(|ip| self.sources.contains(ip)))
            && (self.processes.is_empty() || who.process.is_some_and(|p| process_in(&self.processes, p)))
    }
}

/// An allow-list entry: a byte budget for certain hosts (and processes) to one service until a date.
#[derive(Clone, Debug)]
pub struct Allow {
    /// The service.
    pub service: ServiceId,
    /// Addresses it is for.
    pub nets: Nets,
    /// Host names it is for.
    pub hosts: Globs,
    /// Host groups it is for.
    pub groups: Vec<String>,
    /// Processes it is for; empty for all.
    pub processes: Globs,
    /// How much it allows.
    pub budget: Budget,
    /// When it ends: the end of that day in UTC.
    pub expires: Timestamp,
    /// The day it ends, as written.
    pub expires_on: jiff::civil::Date,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Where it stands.
    pub place: (Arc<str>, usize),
}

impl Allow {
    /// Whether the entry is for this sender.
    pub fn covers(&self, who: &Who<'_>) -> bool {
        let host = who.address.is_some_and(|ip| self.nets.contains(ip))
            || who.name.is_some_and(|name| self.hosts.matches(name))
            || who.groups.iter().any(|group| self.groups.iter().any(|g| g == group));
        host && (self.processes.is_empty() || who.process.is_some_and(|p| process_in(&self.processes, p)))
    }
}

/// Whether a process name or path is among globs, which may be written with or without `.exe`.
fn process_in(globs: &Globs, process: &str) -> bool {
    let short = process_name(process);
    globs.matches(&short) || globs.matches(&format!("{short}.exe"))
}

/// The policy of a site.
#[derive(Clone, Default, Debug)]
pub struct Site {
    pub(crate) standings: Vec<Standing>,
    pub(crate) allow: Vec<Allow>,
}

impl Site {
    /// What the site says about a destination.
    ///
    /// A service of which some tenants are named makes every other tenant of it unsanctioned; where the name does
    /// not tell the tenant, the answer stays unknown and never calms.
    pub fn sanction(&self, service: ServiceId, tenant: Option<&str>, who: &Who<'_>) -> Sanction {
        match self.standing(service, tenant, who) {
            Some(standing) if standing.own => Sanction::Own,
            Some(_) => Sanction::Sanctioned,
            None if tenant.is_some() && self.standings.iter().any(|s| s.speaks_of(service)) => {
                Sanction::Unsanctioned
            }
            None => Sanction::Unknown,
        }
    }

    /// The entry behind [`Site::sanction`]: own ones first, then the order of the file.
    pub fn standing(&self, service: ServiceId, tenant: Option<&str>, who: &Who<'_>) -> Option<&Standing> {
        let covering = || self.standings.iter().filter(|s| s.covers(service, tenant, who));
        covering().find(|s| s.own).or_else(|| covering().next())
    }

    /// The allow-list entry that is in force for a sender at a time. With several, the largest budget.
    pub fn allowance(&self, service: ServiceId, who: &Who<'_>, at: Timestamp) -> Option<&Allow> {
        let covering = self.allow.iter().filter(|a| a.service == service && at < a.expires && a.covers(who));
        covering.max_by_key(|a| a.budget.bytes)
    }

    /// The allow-list.
    pub fn allow_list(&self) -> &[Allow] {
        &self.allow
    }

    /// The own and sanctioned tenants.
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// A warning for each allow-list entry that has ended by `now` and so does nothing any more.
    pub fn expired(&self, now: Timestamp) -> Vec<Warning> {
        let ended = self.allow.iter().filter(|a| a.expires <= now);
        ended
            .map(|a| Fault {
                file: Arc::clone(&a.place.0),
                line: Some(a.place.1),
                what: format!("the allow entry of {} ended on {} and is not in force", a.owner, a.expires_on),
                cure: "remove it, or ask the owner for a new date".to_owned(),
            })
            .collect()
    }

    /// Adds own (`own`) or sanctioned tenants from the main configuration; `service` `None` means of any service.
    pub fn add_tenants(
        &mut self,
        own: bool,
        service: Option<ServiceId>,
        tenants: impl IntoIterator<Item = String>,
    ) {
        let tenants = Globs::new(tenants);
        if tenants.is_empty() {
            return;
        }
        self.standings.push(Standing {
            service,
            tenants,
            own,
            sources: Nets::default(),
            processes: Globs::default(),
            hard_cap: None,
            owner: None,
            reason: None,
            place: ("configuration".into(), 0),
        });
    }
}
