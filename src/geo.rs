//! Databases in MaxMind's format that say who announces an address (`--asn-db`) and where it is (`--city-db`).
//!
//! Two layouts of fields are read: MaxMind's (`autonomous_system_number`, `country.iso_code`, `city.names.en`) and the
//! flat ones of others (`asn`, `as_name`, `country_code`, `city`). A database is walked once when it is opened, so that
//! a broken one is refused with its reason and not found out in the middle of a run.

use crate::output::Dest;
use maxminddb::{MaxMindDbError, Reader};
use serde::Deserialize;
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// Largest file that is read.
const MAX_FILE: u64 = 1 << 30;
/// Distinct records that are looked at when a database is opened.
const MAX_CHECKED: usize = 1 << 20;

/// One database, whole in memory.
#[derive(Clone)]
pub struct Database {
    reader: Arc<Reader<Vec<u8>>>,
    /// What it calls itself.
    kind: String,
    /// Distinct records, as far as they were looked at.
    records: usize,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl PartialEq for Database {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.reader, &other.reader)
    }
}

/// What the user expects in a database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Numbers of autonomous systems.
    Asn,
    /// Countries, perhaps cities.
    Place,
}

/// The databases of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Geo {
    /// `--asn-db`.
    pub asn: Option<Database>,
    /// `--city-db`.
    pub city: Option<Database>,
}

/// A record in any of the layouts. What it does not have stays unknown; what has another type is no database of ours.
#[derive(Deserialize, Default)]
struct Entry<'a> {
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'a str>,
    #[serde(borrow)]
    asn: Option<Number<'a>>,
    as_number: Option<u32>,
    as_name: Option<&'a str>,
    as_org: Option<&'a str>,
    name: Option<Word<'a>>,
    organization: Option<&'a str>,
    country: Option<Word<'a>>,
    registered_country: Option<Word<'a>>,
    country_code: Option<&'a str>,
    country_iso_code: Option<&'a str>,
    city: Option<Word<'a>>,
    city_name: Option<&'a str>,
}

/// `AS15169` or 15169.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number<'a> {
    Plain(u32),
    Text(&'a str),
}

/// A word, or MaxMind's object around it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word<'a> {
    Plain(&'a str),
    Object {
        iso_code: Option<&'a str>,
        #[serde(borrow)]
        names: Option<Names<'a>>,
    },
}

#[derive(Deserialize)]
struct Names<'a> {
    en: Option<&'a str>,
}

impl Number<'_> {
    fn value(&self) -> Option<u32> {
        match self {
            Self::Plain(n) => Some(*n),
            Self::Text(text) => text.strip_prefix("AS").unwrap_or(text).parse().ok(),
        }
    }
}

impl<'a> Word<'a> {
    fn code(&self) -> Option<&'a str> {
        match self {
            Self::Plain(word) => Some(word),
            Self::Object { iso_code, .. } => *iso_code,
        }
    }

    fn english(&self) -> Option<&'a str> {
        match self {
            Self::Plain(word) => Some(word),
            Self::Object { names, .. } => names.as_ref().and_then(|n| n.en),
        }
    }
}

impl<'a> Entry<'a> {
    fn number(&self) -> Option<u32> {
        self.autonomous_system_number.or(self.as_number).or_else(|| self.asn.as_ref().and_then(Number::value))
    }

    fn organisation(&self) -> Option<&'a str> {
        let named =
            self.autonomous_system_organization.or(self.as_name).or(self.as_org).or(self.organization);
        named.or_else(|| self.name.as_ref().and_then(Word::english))
    }

    fn country(&self) -> Option<&'a str> {
        let flat = self.country_code.or(self.country_iso_code);
        let of = |word: &Option<Word<'a>>| word.as_ref().and_then(Word::code);
        // A flat `country` may be the name in full; a code has two letters.
        flat.or_else(|| of(&self.country)).or_else(|| of(&self.registered_country)).filter(|c| c.len() == 2)
    }

    fn city(&self) -> Option<&'a str> {
        self.city_name.or_else(|| self.city.as_ref().and_then(Word::english))
    }
}

impl Database {
    /// Opens a database and looks whether it is sound and holds what is wanted. The error is for people.
    pub fn open(path: &Path, wanted: Wanted) -> Result<Self, String> {
        let len = std::fs::metadata(path).map_err(|e| format!("cannot be read: {e}"))?.len();
        if len > MAX_FILE {
            return Err(format!("is larger than {MAX_FILE} bytes"));
        }
        let bytes = std::fs::read(path).map_err(|e| format!("cannot be read: {e}"))?;
        Self::read(bytes, wanted)
    }

    /// The same from bytes in memory.
    pub fn read(bytes: Vec<u8>, wanted: Wanted) -> Result<Self, String> {
        let reader = Reader::from_source(bytes).map_err(|e| broken(&e))?;
        let records = walk(&reader, wanted)?;
        let kind = reader.metadata().database_type.clone();
        Ok(Self { reader: Arc::new(reader), kind, records })
    }

    fn entry(&self, ip: IpAddr) -> Option<Entry<'_>> {
        self.reader.lookup(ip).ok()?.decode::<Entry<'_>>().ok().flatten()
    }

    /// What it is, for `egret check`.
    pub fn describe(&self) -> String {
        let more = if self.records >= MAX_CHECKED { "more than " } else { "" };
        format!("{}, {more}{} distinct records", self.kind, self.records.min(MAX_CHECKED))
    }
}

fn broken(error: &MaxMindDbError) -> String {
    format!("is no sound MaxMind database: {error}")
}

/// Looks at every record once.
fn walk(reader: &Reader<Vec<u8>>, wanted: Wanted) -> Result<usize, String> {
    let mut offsets = HashSet::new();
    let (mut useful, mut steps) = (false, 0_u64);
    // A tree of n nodes has at most n + 1 leaves; more is a circle.
    let most = u64::from(reader.metadata().node_count).saturating_mul(3);
    for lookup in reader.networks(maxminddb::WithinOptions::default()).map_err(|e| broken(&e))? {
        let lookup = lookup.map_err(|e| broken(&e))?;
        steps += 1;
        if steps > most {
            return Err("is no sound MaxMind database: its search tree runs in a circle".into());
        }
        if !lookup.offset().is_some_and(|offset| offsets.insert(offset)) {
            continue;
        }
        let entry = lookup.decode::<Entry<'_>>().map_err(|e| broken(&e))?.unwrap_or_default();
        useful |= match wanted {
            Wanted::Asn => entry.number().is_some(),
            Wanted::Place => entry.country().is_some() || entry.city().is_some(),
        };
        if offsets.len() >= MAX_CHECKED {
            break;
        }
    }
    let what = match wanted {
        Wanted::Asn => "numbers of autonomous systems",
        Wanted::Place => "countries or cities",
    };
    if useful { Ok(offsets.len()) } else { Err(format!("holds no {what} in a field that is known")) }
}

impl Geo {
    /// No database: nothing will be found.
    pub fn is_empty(&self) -> bool {
        self.asn.is_none() && self.city.is_none()
    }

    /// What the databases say of an address.
    pub fn look_up(&self, ip: IpAddr) -> Option<Dest> {
        let mut dest = Dest::default();
        if let Some(entry) = self.asn.as_ref().and_then(|db| db.entry(ip)) {
            (dest.asn, dest.org) = (entry.number(), entry.organisation().map(Into::into));
        }
        if let Some(entry) = self.city.as_ref().and_then(|db| db.entry(ip)) {
            (dest.country, dest.city) = (entry.country().map(Into::into), entry.city().map(Into::into));
        }
        (dest != Dest::default()).then_some(dest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(name: &str) -> Option<std::path::PathBuf> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/geoip").join(name);
        path.exists().then_some(path)
    }

    #[test]
    fn both_layouts_are_read() {
        let (Some(asn), Some(flat), Some(city)) = (
            shared("GeoLite2-ASN-Test.mmdb"),
            shared("iptoasn-country-ipv4.mmdb"),
            shared("GeoIP2-City-Test.mmdb"),
        ) else {
            return;
        };
        let ip = |text: &str| text.parse::<IpAddr>().expect("address");
        let asn = Database::open(&asn, Wanted::Asn).expect("sound");
        let city = Database::open(&city, Wanted::Place).expect("sound");
        let geo = Geo { asn: Some(asn), city: Some(city) };
        let found = geo.look_up(ip("1.128.0.1")).expect("listed");
        assert_eq!((found.asn, found.org.as_deref()), (Some(1221), Some("Telstra Pty Ltd")));
        let found = geo.look_up(ip("89.160.20.128")).expect("listed");
        assert_eq!((found.country.as_deref(), found.city.as_deref()), (Some("SE"), Some("Linköping")));
        assert_eq!(geo.look_up(ip("127.0.0.1")), None);
        let flat = Database::open(&flat, Wanted::Place).expect("sound");
        let geo = Geo { asn: None, city: Some(flat) };
        assert_eq!(geo.look_up(ip("8.8.8.8")).and_then(|d| d.country).as_deref(), Some("US"));
    }

    #[test]
    fn broken_and_foreign_ones_are_refused_with_a_reason() {
        let Some(dir) = shared("bad") else { return };
        let mut files: Vec<_> = std::fs::read_dir(dir).expect("folder").flatten().map(|e| e.path()).collect();
        files.extend(shared("MaxMind-DB-test-broken-pointers-24.mmdb"));
        files.extend(shared("MaxMind-DB-test-decoder.mmdb"));
        files.extend(shared("GeoLite2-Country-Test.mmdb"));
        for file in files {
            let error = Database::open(&file, Wanted::Asn).map(|_| ());
            assert!(error.as_ref().is_err_and(|e| e.len() > 20), "{}: {error:?}", file.display());
        }
        assert!(Database::open(Path::new("no such file"), Wanted::Asn).is_err());
    }
}
