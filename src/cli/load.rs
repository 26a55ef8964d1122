//! Flags and files become a configuration and a catalogue, or every fault.

use super::flags::Policy;
use super::messages::Stop;
use crate::config::{Config, Loader};
use crate::geo::{Database, Wanted};
use crate::net::{Cidr, Nets};
use crate::signatures::Catalogue;
use crate::strict::{Fault, Warning};
use std::path::Path;

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
    let (asn, city) = (policy.asn_db.clone(), policy.city_db.clone());
    (config.asn_db, config.city_db) = (asn.or(config.asn_db.take()), city.or(config.city_db.take()));
    if !home_net.is_empty() {
        config.home_net = Some(Nets::new(home_net.iter().copied()));
    }
    if let Err(fault) = change(config).and_then(|()| home_of(home_net)) {
        loader.fault(fault);
    }
    let mut broken = Vec::new();
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
    let config = loader.config_mut();
    let (asn, city) =
        (open(config.asn_db.as_deref(), Wanted::Asn), open(config.city_db.as_deref(), Wanted::Place));
    for (slot, opened) in [(&mut config.geo.asn, asn), (&mut config.geo.city, city)] {
        match opened {
            Ok(database) => *slot = database,
            Err(fault) => broken.push(fault),
        }
    }
    broken.extend(config.endpoint.context.iter().filter_map(|path| readable(path).err()));
    broken.into_iter().for_each(|fault| loader.fault(fault));
    loader.fit(&mut catalogue);
    let keys_set = loader.keys_set();
    let (config, more) = loader.finish().map_err(Stop::Faults)?;
    warnings.extend(more);
    Ok(Loaded { config, catalogue, warnings, keys_set })
}

/// A file of alerts must be there.
fn readable(path: &Path) -> Result<(), Fault> {
    let broken = |error: std::io::Error| Fault {
        file: path.display().to_string().into(),
        line: None,
        what: error.to_string(),
        cure: "give a file of alerts, one a line in JSON, or leave --context-log out".to_owned(),
    };
    std::fs::File::open(path).map(drop).map_err(broken)
}

/// Opens a database of addresses, if one is named.
fn open(path: Option<&Path>, wanted: Wanted) -> Result<Option<Database>, Fault> {
    let Some(path) = path else { return Ok(None) };
    Database::open(path, wanted).map(Some).map_err(|what| Fault {
        file: path.display().to_string().into(),
        line: None,
        what,
        cure: match wanted {
            Wanted::Asn => "give a database such as GeoLite2-ASN.mmdb, or leave --asn-db out".to_owned(),
            Wanted::Place => "give a database such as GeoLite2-City.mmdb, or leave --city-db out".to_owned(),
        },
    })
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
