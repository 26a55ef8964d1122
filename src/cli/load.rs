//! Flags and files become a configuration and a catalogue, or every fault.

use super::flags::Policy;
use super::messages::Stop;
use crate::config::{Config, Loader};
use crate::net::{Cidr, Nets};
use crate::signatures::{Catalogue, Site};
use crate::strict::{Fault, Warning};
use std::sync::Arc;

/// All that is in force.
pub(super) struct Loaded {
    pub(super) config: Config,
    pub(super) catalogue: Catalogue,
    pub(super) warnings: Vec<Warning>,
    /// The number of keys that the file and `--set` have set.
    pub(super) keys_set: usize,
}

/// Defaults, then the file, then `--set`, then flags (`change` has those of the command).
pub(super) fn load(
    policy: &Policy,
    home_net: &[Cidr],
    change: impl FnOnce(&mut Config) -> Result<(), Fault>,
) -> Result<Loaded, Stop> {
    let mut loader = Loader::new();
    if let Some(path) = &policy.config {
        loader.file(path);
    }
    for setting in &policy.set {
        loader.set(setting);
    }
    let config = loader.config_mut();
    if let Some(dir) = &policy.signatures {
        config.signatures = Some(dir.clone());
    }
    if !home_net.is_empty() {
        config.home_net = Some(Nets::new(home_net.iter().copied()));
    }
    if let Err(fault) = change(config).and_then(|()| home_of(home_net)) {
        loader.fault(fault);
    }
    let config = loader.config_mut();
    let loaded = Catalogue::load(config.signatures.as_deref(), config.site.as_deref());
    let (mut catalogue, mut warnings) = match loaded {
        Ok(loaded) => loaded,
        Err(faults) => {
            for fault in faults {
                loader.fault(fault);
            }
            (Catalogue::builtin(), Vec::new())
        }
    };
    loader.fit(&mut catalogue);
    let keys_set = loader.keys_set();
    let (config, more) = loader.finish().map_err(Stop::Faults)?;
    warnings.extend(more);
    warnings.extend(without_effect(catalogue.site()));
    Ok(Loaded { config, catalogue, warnings, keys_set })
}

/// What a site file may say and nothing uses yet; once for all entries.
fn without_effect(site: &Site) -> Vec<Warning> {
    let allow = site.allow_list().first().map(|entry| ("[[allow]]", &entry.place));
    let cap = site.standings().iter().find(|s| s.hard_cap.is_some()).map(|entry| ("hard_cap", &entry.place));
    let warning = |(what, place): (&str, &(Arc<str>, usize))| Fault {
        file: Arc::clone(&place.0),
        line: Some(place.1),
        what: format!("{what} has no effect yet"),
        cure: "it is understood, but nothing in this version uses it".to_owned(),
    };
    allow.into_iter().chain(cap).map(warning).collect()
}

/// A home that takes in the world would see nothing leave.
fn home_of(home_net: &[Cidr]) -> Result<(), Fault> {
    match home_net.iter().find(|cidr| cidr.prefix() == 0) {
        None => Ok(()),
        Some(cidr) => Err(flag(
            "--home-net",
            format!("{cidr} takes in the world, so that nothing could leave"),
            "name the networks at home",
        )),
    }
}

/// Something wrong with a flag.
pub(super) fn flag(name: &str, what: String, cure: &str) -> Fault {
    Fault { file: name.into(), line: None, what, cure: cure.to_owned() }
}
