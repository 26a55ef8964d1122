//! The catalogue of web services: which service a host name belongs to, in what role, and whose tenant it is.
//!
//! The facts stand in `signatures/*.toml`, one file per kind of service, and are compiled in. The user's own
//! `site.toml` comes on top and wins: own and sanctioned tenants, own services, other weights, allow-list entries.
//!
//! Which rule wins for a name ([`Catalogue::classify`]):
//! 1. the site's rules before the shipped ones;
//! 2. the exact name;
//! 3. a pattern that constrains every label (so a certain bucket beats its object store);
//! 4. the longest suffix in labels, a literal label beating a glob;
//! 5. more literal characters; then the order of the files.

mod builtin;
mod describe;
mod host;
mod kinds;
mod load;
mod matcher;
mod pattern;
mod providers;
mod ranges;
mod site;
mod site_load;
#[cfg(test)]
mod tests;
mod tools;

pub use crate::strict::{Fault, MAX_FILE, Warning};
pub use describe::{describe, table};
pub use kinds::{Category, Degree, Os, Role, Sanction, Technique, Watch};
pub use pattern::{MAX_NAME, Pattern, glob_matches};
pub use site::{Allow, Budget, Globs, Site, Standing, Who};
pub(crate) use site_load::{globs, nets_and_names};
pub use tools::{Application, Tool};

use crate::net::Cidr;
use crate::strict::Findings;
use hashbrown::HashMap;
use load::Layer;
use matcher::Matcher;
use ranges::Ranges;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files read from one directory at most.
const MAX_FILES: usize = 256;

/// A service of the catalogue, by its place there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct ServiceId(u16);

impl ServiceId {
    /// The place as a number, for tables indexed by service.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A web service that data can be carried out to, or that explains other traffic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Its place in the catalogue.
    pub id: ServiceId,
    /// Its stable short name, such as `dropbox`.
    pub slug: String,
    /// Its name for readers, such as "Dropbox".
    pub name: String,
    /// What kind of service it is.
    pub category: Category,
    /// The technique that an upload there stands for.
    pub technique: Option<Technique>,
    /// How unusual bulk upload there is in a business: 0 (noise) to 100.
    pub weight: u8,
    /// Whether anybody may upload without an account.
    pub anonymous_upload: Degree,
    /// Whether the name alone separates uploading from browsing.
    pub sni_distinguishes: Degree,
    /// The number of patterns, the site's included.
    pub patterns: u32,
    /// Whether the site's own file declares it.
    pub of_site: bool,
}

/// A rule by its number; [`Catalogue::rule`] has the rest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleRef(u32);

/// One line of a signature file.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The file it stands in.
    pub file: Arc<str>,
    /// The line it stands on.
    pub line: u32,
    /// What it matches.
    pub pattern: Pattern,
    /// The service it names.
    pub service: ServiceId,
    /// The role it names.
    pub role: Role,
    /// Whether the name has been seen in public sources, so that a match adds weight.
    pub weighty: bool,
}

/// What a host name turned out to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The service.
    pub service: ServiceId,
    /// What the name is for.
    pub role: Role,
    /// Whose account, bucket or tenant it is, where the name tells.
    pub tenant: Option<Box<str>>,
    /// Whether the match adds weight, or only identifies.
    pub weighty: bool,
    /// The rule that won.
    pub rule: RuleRef,
}

/// All that is known of web services, with the site's policy on top.
#[derive(Clone, Default, Debug)]
pub struct Catalogue {
    services: Vec<Service>,
    rules: Vec<Rule>,
    by_slug: HashMap<Box<str>, ServiceId, foldhash::fast::FixedState>,
    by_asn: HashMap<u32, ServiceId, foldhash::fast::FixedState>,
    shipped: Matcher,
    of_site: Matcher,
    ranges: Ranges,
    tools: Vec<Tool>,
    applications: Vec<Application>,
    site: Site,
    version: String,
}

impl Catalogue {
    /// The catalogue that is compiled in. Its files are tested to be free of faults.
    pub fn builtin() -> Self {
        let (catalogue, findings) = Self::read(builtin::FILES.iter().copied(), None);
        debug_assert!(findings.faults.is_empty(), "{:?}", findings.faults.first());
        catalogue
    }

    /// The catalogue from `dir` (or the built-in one), with the site's policy from `site` or from `dir/site.toml`.
    /// All faults are told, not only the first.
    pub fn load(dir: Option<&Path>, site: Option<&Path>) -> Result<(Self, Vec<Warning>), Vec<Fault>> {
        let mut faults = Vec::new();
        let mut shipped: Vec<(String, String)> = Vec::new();
        let mut site = site.map(Path::to_path_buf);
        for path in dir.map(|dir| files_of(dir, &mut faults)).unwrap_or_default() {
            if path.file_name().is_some_and(|name| name == "site.toml") {
                site = site.or(Some(path));
            } else if let Some(text) = text_of(&path, &mut faults) {
                shipped.push((path.display().to_string(), text));
            }
        }
        let site = site.and_then(|path| Some((path.display().to_string(), text_of(&path, &mut faults)?)));
        let site = site.as_ref().map(|(file, text)| (file.as_str(), text.as_str()));
        let (catalogue, mut findings) = if dir.is_some() {
            Self::read(shipped.iter().map(|(file, text)| (file.as_str(), text.as_str())), site)
        } else {
            Self::read(builtin::FILES.iter().copied(), site)
        };
        faults.append(&mut findings.faults);
        faults.sort();
        if faults.is_empty() { Ok((catalogue, findings.warnings)) } else { Err(faults) }
    }

    /// A catalogue from texts in memory: signature files by name, and the site's file. A catalogue comes back even
    /// when there are faults; it then lacks what is faulty.
    pub fn read_texts(
        files: &[(&str, &str)],
        site: Option<(&str, &str)>,
    ) -> (Self, Vec<Fault>, Vec<Warning>) {
        let (catalogue, findings) = Self::read(files.iter().copied(), site);
        (catalogue, findings.faults, findings.warnings)
    }

    fn read<'t>(
        files: impl Iterator<Item = (&'t str, &'t str)>,
        site: Option<(&'t str, &'t str)>,
    ) -> (Self, Findings) {
        let mut catalogue = Self::default();
        let mut all = Findings::default();
        let mut hash = Sha256::new();
        // Tools and applications speak of services, so they are read when those are known.
        let mut later = Vec::new();
        let mut note = |mut found: Findings| {
            all.faults.append(&mut found.faults);
            all.warnings.append(&mut found.warnings);
        };
        for (file, text) in files {
            hash.update(text.as_bytes());
            match file.rsplit(['/', '\\']).next() {
                Some("tools.toml" | "applications.toml") => later.push((file, text)),
                _ => note(load::services(&mut catalogue, file, text)),
            }
        }
        for (file, text) in later {
            note(tools::read(&mut catalogue, file, text));
        }
        if let Some((file, text)) = site {
            hash.update(text.as_bytes());
            note(site_load::read(&mut catalogue, file, text));
        }
        let short = hash.finalize().iter().take(6).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
        catalogue.version = format!("{short:012x}");
        (catalogue, all)
    }

    /// What `host` is. Case, a trailing dot, a port and the suffix of an access-broker proxy do not matter.
    pub fn classify(&self, host: &str) -> Option<Verdict> {
        let name = host::normalise(host)?;
        host::behind_proxy(&name).and_then(|inner| self.lookup(inner)).or_else(|| self.lookup(&name))
    }

    fn lookup(&self, name: &str) -> Option<Verdict> {
        let hit = self.of_site.find(&self.rules, name).or_else(|| self.shipped.find(&self.rules, name))?;
        let rule = self.rules.get(hit.rule as usize)?;
        Some(Verdict {
            service: rule.service,
            role: rule.role,
            tenant: hit.tenant.and_then(|range| name.get(range)).filter(|t| !t.is_empty()).map(Box::from),
            weighty: hit.weighty,
            rule: RuleRef(hit.rule),
        })
    }

    /// The service that owns an address, where a network carries one service only.
    pub fn by_address(&self, ip: IpAddr) -> Option<ServiceId> {
        self.ranges.find(ip)
    }

    /// The service whose own autonomous system this is.
    pub fn by_asn(&self, asn: u32) -> Option<ServiceId> {
        self.by_asn.get(&asn).copied()
    }

    /// Whether a service's own networks are known, so that a name with a foreign address is worth a remark.
    pub fn has_ranges(&self, service: ServiceId) -> bool {
        self.ranges.has(service)
    }

    /// A service by its place. An id of another catalogue gives the wrong service but never a panic.
    pub fn service(&self, id: ServiceId) -> &Service {
        self.services.get(id.index()).or(self.services.last()).unwrap_or(&NOBODY)
    }

    /// A service by its slug.
    pub fn find(&self, slug: &str) -> Option<ServiceId> {
        self.by_slug.get(slug).copied()
    }

    /// Every service, in the order of the files.
    pub fn services(&self) -> impl ExactSizeIterator<Item = &Service> {
        self.services.iter()
    }

    /// The rule behind a verdict of this catalogue.
    pub fn rule(&self, rule: RuleRef) -> Option<&Rule> {
        self.rules.get(rule.0 as usize)
    }

    /// Every rule, in the order of the files.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.rules.iter()
    }

    /// The site's policy.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The site's policy, to add what the main configuration says (`own_tenants`, `sanctioned_tenants`).
    pub fn site_mut(&mut self) -> &mut Site {
        &mut self.site
    }

    /// The tools that are known to carry data out.
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// The applications that are watched, or that upload by their nature.
    pub fn applications(&self) -> &[Application] {
        &self.applications
    }

    /// A short hash of everything that was read.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Adds a service; the error says why not.
    fn add_service(&mut self, mut service: Service, max: usize) -> Result<ServiceId, String> {
        if let Some(id) = self.find(&service.slug) {
            return Err(format!("service {} exists already ({})", service.slug, self.service(id).name));
        }
        let id = match u16::try_from(self.services.len()) {
            Ok(id) if self.services.len() < max => ServiceId(id),
            _ => return Err(format!("more than {max} services")),
        };
        service.id = id;
        self.by_slug.insert(service.slug.as_str().into(), id);
        self.services.push(service);
        Ok(id)
    }

    /// Adds a rule; returns where its place is taken, and by which service.
    fn add_rule(&mut self, rule: Rule, layer: Layer) -> Option<(String, String)> {
        let number = self.rules.len() as u32;
        let id = rule.service;
        self.rules.push(rule);
        let matcher = match layer {
            Layer::Shipped { .. } => &mut self.shipped,
            Layer::Site => &mut self.of_site,
        };
        if let Some(taken) = matcher.add(number, &self.rules) {
            self.rules.pop();
            let other = self.rules.get(taken as usize)?;
            return Some((
                format!("{}:{}", other.file, other.line),
                self.service(other.service).slug.clone(),
            ));
        }
        if let Some(service) = self.services.get_mut(id.index()) {
            service.patterns += 1;
        }
        None
    }

    fn add_asn(&mut self, asn: u32, id: ServiceId) -> Option<&str> {
        match self.by_asn.get(&asn) {
            Some(other) => Some(&self.service(*other).slug),
            None => {
                self.by_asn.insert(asn, id);
                None
            }
        }
    }

    fn add_range(&mut self, cidr: Cidr, id: ServiceId) -> Option<&str> {
        let other = self.ranges.add(cidr, id)?;
        Some(&self.service(other).slug)
    }
}

/// What an id points at when the catalogue is empty.
static NOBODY: Service = Service {
    id: ServiceId(0),
    slug: String::new(),
    name: String::new(),
    category: Category::Noise,
    technique: None,
    weight: 0,
    anonymous_upload: Degree::No,
    sni_distinguishes: Degree::No,
    patterns: 0,
    of_site: false,
};

/// The TOML files of a directory, sorted by name.
fn files_of(dir: &Path, faults: &mut Vec<Fault>) -> Vec<PathBuf> {
    let mut fault = |what: String, cure: &str| {
        let file = dir.display().to_string().into();
        faults.push(Fault { file, line: None, what, cure: cure.to_owned() });
    };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            fault(format!("cannot be listed: {error}"), "give the directory of the signature files");
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .take(MAX_FILES + 1)
        .collect();
    paths.sort();
    if paths.is_empty() {
        fault("holds no .toml file".into(), "give the directory of the signature files");
    } else if paths.len() > MAX_FILES {
        fault(
            format!("holds more than {MAX_FILES} .toml files"),
            "keep the signatures in a directory of their own",
        );
        paths.clear();
    }
    paths
}

/// A file's text, never more than a file may have.
fn text_of(path: &Path, faults: &mut Vec<Fault>) -> Option<String> {
    use std::io::Read;
    let read = std::fs::File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).map(|_| bytes)
    });
    let (what, cure) = match read.map(String::from_utf8) {
        Ok(Ok(text)) => return Some(text),
        Ok(Err(error)) => {
            (format!("is no UTF-8 text at byte {}", error.utf8_error().valid_up_to()), "save it as UTF-8")
        }
        Err(error) => (format!("cannot be read: {error}"), "check the path and its permissions"),
    };
    faults.push(Fault { file: path.display().to_string().into(), line: None, what, cure: cure.to_owned() });
    None
}
