//! Files, `--set` arguments and the catalogue become a [`Config`], or every fault at once.

use super::Config;
use super::facts::Tenants;
use super::keys::{KEYS, Key};
use super::read::Reading;
use crate::signatures::{Catalogue, Category, ServiceId};
use crate::strict::{Fault, Findings, Keys, MAX_FILE, Source, Warning, closest, shown};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use toml::de::DeTable;

/// Where a key was set last.
type Place = (Arc<str>, Option<usize>);

/// Gathers the configuration. Later sources win over earlier ones.
#[derive(Default, Debug)]
pub struct Loader {
    config: Config,
    findings: Findings,
    /// By section and name.
    places: BTreeMap<(&'static str, &'static str), Place>,
}

impl Loader {
    /// Begins with the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file. Paths in it are relative to its folder.
    pub fn file(&mut self, path: &Path) {
        let name = path.display().to_string();
        match read_text(path) {
            Ok(text) => self.text(&name, &text, path.parent()),
            Err((what, cure)) => {
                let (file, line, cure) = (name.into(), None, cure.to_owned());
                self.findings.faults.push(Fault { file, line, what, cure });
            }
        }
    }

    /// Reads a text that stands in `file`; `base` is what paths in it are relative to.
    pub fn text(&mut self, file: &str, text: &str, base: Option<&Path>) {
        self.read(Source::new(file, text), base);
    }

    /// Takes one `KEY=VALUE`. The value is read as TOML, or where it is none as a string.
    pub fn set(&mut self, setting: &str) {
        match as_toml(setting) {
            Ok(text) => self.read(Source::argument("--set", &text), None),
            Err(what) => {
                let cure = "write KEY=VALUE, for example detect.time_window=12h".to_owned();
                self.findings.faults.push(Fault { file: "--set".into(), line: None, what, cure });
            }
        }
    }

    /// The configuration as far as it is known, for flags to change.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Adds what a flag or another loader found wrong.
    pub fn fault(&mut self, fault: Fault) {
        self.findings.faults.push(fault);
    }

    /// Holds the configuration against the catalogue, and tells the catalogue whose tenants are whose.
    pub fn fit(&mut self, catalogue: &mut Catalogue) {
        self.services(
            ("detect", "monitored_services"),
            &self.config.detect.monitored_services.clone(),
            catalogue,
            true,
        );
        for permit in self.config.facts.permits.clone() {
            self.services(("", "permit"), &permit.services, catalogue, true);
        }
        for change in self.config.facts.changes.clone() {
            self.services(("", "change"), &change.services, catalogue, true);
        }
        self.groups(catalogue);
        let facts = &self.config.facts;
        let (own, sanctioned) = (facts.own_tenants.clone(), facts.sanctioned_tenants.clone());
        let buckets = facts.own_buckets.clone();
        self.tenants(("", "own_tenants"), true, own, catalogue);
        self.tenants(("", "sanctioned_tenants"), false, sanctioned, catalogue);
        let stores: Vec<ServiceId> =
            catalogue.services().filter(|s| s.category == Category::ObjectStorage).map(|s| s.id).collect();
        for store in stores {
            catalogue.site_mut().add_tenants(true, Some(store), buckets.iter().cloned());
        }
    }

    /// The names of the keys that are set.
    pub fn keys_set(&self) -> usize {
        self.places.len()
    }

    /// The configuration with what should be known about it, or every fault.
    pub fn finish(self) -> Result<(Config, Vec<Warning>), Vec<Fault>> {
        let Findings { mut faults, mut warnings } = self.findings;
        if !faults.is_empty() {
            faults.sort();
            faults.dedup();
            return Err(faults);
        }
        for key in KEYS.iter().filter(|key| !key.in_force) {
            if let Some((file, line)) = self.places.get(&(key.section, key.name)) {
                warnings.push(Fault {
                    file: Arc::clone(file),
                    line: *line,
                    what: format!("{} has no effect yet", key.path()),
                    cure: "it is understood, but nothing in this version uses it".to_owned(),
                });
            }
        }
        warnings.sort();
        Ok((self.config, warnings))
    }

    fn read(&mut self, mut source: Source<'_>, base: Option<&Path>) {
        if let Some(document) = source.document() {
            self.document(&document, &mut source, base);
        }
        self.findings.faults.append(&mut source.findings.faults);
        self.findings.warnings.append(&mut source.findings.warnings);
    }

    fn document(&mut self, document: &DeTable<'_>, source: &mut Source<'_>, base: Option<&Path>) {
        let mut root = Keys::new(document, "the configuration", 1);
        self.section("", &mut root, source, base);
        for section in super::keys::SECTIONS.iter().filter(|s| !s.name.is_empty()) {
            if let Some((table, line)) = root.table(source, section.name) {
                let mut keys = Keys::new(table, format!("[{}]", section.name), line);
                self.section(section.name, &mut keys, source, base);
                keys.finish(source);
            }
        }
        root.finish(source);
    }

    fn section(
        &mut self,
        section: &str,
        keys: &mut Keys<'_, '_>,
        source: &mut Source<'_>,
        base: Option<&Path>,
    ) {
        for key in KEYS.iter().filter(|key| key.section == section) {
            if let Some(line) = keys.line_of(source, key.name) {
                let written = keys.written(source, key.name).unwrap_or_default();
                self.config.set.insert(key.path(), written);
                self.places.insert(
                    (key.section, key.name),
                    (Arc::clone(&source.file), Some(line).filter(|_| source.lined)),
                );
            }
            let mut reading = Reading { keys: &mut *keys, source: &mut *source, key: key.name, base };
            (key.read)(&mut reading, &mut self.config);
        }
    }

    /// Faults for words that are no service (or, where that is allowed, no category).
    fn services(
        &mut self,
        key: (&'static str, &'static str),
        words: &[String],
        catalogue: &Catalogue,
        categories: bool,
    ) {
        for word in words {
            if catalogue.find(word).is_some() || (categories && Category::from_word(word).is_some()) {
                continue;
            }
            let slugs = catalogue.services().map(|s| s.slug.as_str());
            let cure = match closest(word, slugs.chain(Category::ALL.iter().map(|c| c.as_str()))) {
                Some(near) => format!("did you mean {near}?"),
                None => "egret services lists them".to_owned(),
            };
            let (file, line) = self.places.get(&key).cloned().unwrap_or(("configuration".into(), None));
            let kind = if categories { "no service and no category" } else { "no service" };
            let what = format!("{}: '{}' is {kind}", key.1, shown(word));
            self.findings.faults.push(Fault { file, line, what, cure });
        }
    }

    /// Faults for allow-list entries whose group nobody has named: they would never hold, and nobody would know why.
    fn groups(&mut self, catalogue: &Catalogue) {
        let known = &self.config.facts.host_groups;
        for allow in catalogue.site().allow_list() {
            for group in allow.groups.iter().filter(|group| !known.contains_key(*group)) {
                let what =
                    format!("the allow entry of {} is for '{}', no host group", allow.owner, shown(group));
                let cure = match closest(group, known.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "name the group's hosts under [host_groups] in the configuration".to_owned(),
                };
                let (file, line) = (Arc::clone(&allow.place.0), Some(allow.place.1));
                self.findings.faults.push(Fault { file, line, what, cure });
            }
        }
    }

    fn tenants(
        &mut self,
        key: (&'static str, &'static str),
        own: bool,
        tenants: Tenants,
        catalogue: &mut Catalogue,
    ) {
        for (service, names) in tenants {
            if service.is_empty() {
                catalogue.site_mut().add_tenants(own, None, names);
            } else if let Some(id) = catalogue.find(&service) {
                catalogue.site_mut().add_tenants(own, Some(id), names);
            } else {
                self.services(key, &[service], catalogue, false);
            }
        }
    }
}

impl Key {
    /// The key as `--set` wants it.
    pub fn path(&self) -> String {
        if self.section.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.section, self.name) }
    }
}

/// A file's text, never more than a file may have.
fn read_text(path: &Path) -> Result<String, (String, &'static str)> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| (format!("cannot be read: {error}"), "check the path and its permissions"))?;
    String::from_utf8(bytes).map_err(|error| {
        (format!("is no UTF-8 text at byte {}", error.utf8_error().valid_up_to()), "save it as UTF-8")
    })
}

/// `KEY=VALUE` as a line of TOML.
fn as_toml(setting: &str) -> Result<String, String> {
    let Some((key, value)) = setting.split_once('=') else {
        return Err(format!("'{}' has no =", shown(setting)));
    };
    let (key, value) = (key.trim(), value.trim());
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    if !key.split('.').all(part) {
        return Err(format!("'{}' is no key", shown(key)));
    }
    if value.chars().any(char::is_control) {
        return Err(format!("the value of {key} is no single line"));
    }
    let line = format!("{key} = {value}");
    if !value.is_empty() && DeTable::parse(&line).is_ok() {
        return Ok(line);
    }
    Ok(format!("{key} = \"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
}
