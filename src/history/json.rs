//! Lines of JSON: Zeek's own, and Suricata's EVE. Each is flattened to cells by the path of its keys.

use super::cells::{Cells, Role};
use super::entry::{Bad, Kind};
use super::zeek;
use crate::detect::Map;
use crate::output::json::decimal;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::io::Write as _;
use std::sync::LazyLock;

/// Deeper objects than this are passed by.
const DEPTH_MAX: usize = 6;
/// Between the members of a list: no text of a log has it in earnest.
const LIST: u8 = 0x1f;

/// Keys of EVE, and those by which Zeek's JSON differs from its columns.
static KEYS: &[(&[u8], Role)] = &[
    (b"_path", Role::Kind),
    (b"_write_ts", Role::Written),
    (b"event_type", Role::EventType),
    (b"host", Role::TopHost),
    (b"timestamp", Role::Written),
    (b"flow_id", Role::Uid),
    (b"src_ip", Role::OrigH),
    (b"src_port", Role::OrigP),
    (b"dest_ip", Role::RespH),
    (b"dest_port", Role::RespP),
    (b"app_proto", Role::Service),
    (b"vlan", Role::Vlan),
    (b"flow.start", Role::Ts),
    (b"flow.end", Role::End),
    (b"flow.state", Role::State),
    (b"flow.pkts_toserver", Role::OrigPkts),
    (b"flow.pkts_toclient", Role::RespPkts),
    (b"flow.bytes_toserver", Role::OrigFrameBytes),
    (b"flow.bytes_toclient", Role::RespFrameBytes),
    (b"egret.payload_toserver", Role::OrigBytes),
    (b"egret.payload_toclient", Role::RespBytes),
    (b"egret.gap_toserver", Role::OrigGap),
    (b"egret.gap_toclient", Role::RespGap),
    (b"egret.ip_toserver", Role::OrigIp),
    (b"egret.ip_toclient", Role::RespIp),
    (b"tls.sni", Role::ServerName),
    (b"tls.subject", Role::Subject),
    (b"tls.subjectaltname", Role::SubjectNames),
    (b"quic.sni", Role::ServerName),
    (b"http.hostname", Role::Host),
    (b"http.http_method", Role::Method),
    (b"http.url", Role::Uri),
    (b"http.http_user_agent", Role::UserAgent),
    (b"http.status", Role::Status),
    (b"dns.type", Role::DnsType),
    (b"dns.id", Role::TransId),
    (b"dns.rrname", Role::Query),
    (b"dns.rrtype", Role::QtypeName),
    (b"dns.rcode", Role::RcodeName),
    (b"dns.rdata", Role::Answers),
    (b"dns.ttl", Role::Ttls),
    (b"dns.queries.rrname", Role::Query),
    (b"dns.queries.rrtype", Role::QtypeName),
    (b"dns.answers.rdata", Role::Answers),
    (b"dns.answers.ttl", Role::Ttls),
    (b"dhcp.client_mac", Role::Mac),
    (b"dhcp.assigned_ip", Role::AssignedAddr),
    (b"dhcp.client_ip", Role::ClientAddr),
    (b"dhcp.lease_time", Role::LeaseTime),
    (b"dhcp.hostname", Role::HostName),
    (b"dhcp.dhcp_type", Role::MsgTypes),
    (b"sourcetype", Role::Kind),
    (b"event.datetime", Role::Ts),
    (b"event.ClientIP", Role::OrigH),
    (b"event.serverip", Role::RespH),
    (b"event.requestsize", Role::OrigBytes),
    (b"event.responsesize", Role::RespBytes),
    (b"event.hostname", Role::Host),
    (b"event.url", Role::Uri),
    (b"event.event_id", Role::Uid),
    (b"ether.src_mac", Role::OrigMac),
    (b"ether.dest_mac", Role::RespMac),
];

/// Reads a line to cells and says what it is. `hint`: what the file's name says.
pub fn line(line: &[u8], cells: &mut Cells, hint: Option<Kind>) -> Result<Kind, Bad> {
    cells.clear(true);
    (cells.list, cells.escapes) = (LIST, false);
    let mut path = Vec::with_capacity(64);
    let mut reader = serde_json::Deserializer::from_slice(line);
    let flatten = Flatten { path: &mut path, cells, depth: 0 };
    flatten.deserialize(&mut reader).map_err(|_| Bad::Json)?;
    reader.end().map_err(|_| Bad::Json)?;
    Ok(kind(cells, hint))
}

fn kind(cells: &mut Cells, hint: Option<Kind>) -> Kind {
    // Events of EVE and leases of Zeek have one time; the flow's own start is better.
    cells.fall_back(Role::Ts, Role::Written);
    match cells.get(&[], Role::EventType) {
        Some(b"flow") => return Kind::Conn,
        Some(b"tls") => return Kind::Ssl,
        Some(other @ (b"quic" | b"http" | b"dns" | b"dhcp")) => return zeek::kind(other),
        Some(_) => return Kind::Other,
        // In EVE the outermost `host` is the sensor.
        None => cells.fall_back(Role::Host, Role::TopHost),
    }
    match cells.get(&[], Role::Kind) {
        // Zscaler's own JSON (NSS for the web).
        Some(b"zscalernss-web") => super::sheet::session(cells),
        Some(path) if !path.is_empty() => zeek::kind(path),
        _ => hint.unwrap_or_else(|| zeek::kind_by(|role| cells.has(role))),
    }
}

/// All keys. Those of EVE win.
static ROLES: LazyLock<Map<&'static [u8], Role>> =
    LazyLock::new(|| zeek::COLUMNS.iter().chain(KEYS).map(|(key, role)| (*key, *role)).collect());

fn role(path: &[u8]) -> Option<Role> {
    ROLES.get(path).copied()
}

/// Walks a value; `path` is where it stands.
struct Flatten<'p, 'c> {
    path: &'p mut Vec<u8>,
    cells: &'c mut Cells,
    depth: usize,
}

impl Flatten<'_, '_> {
    fn put(&mut self, text: &[u8]) {
        if let Some(role) = role(self.path) {
            self.cells.put(role, text);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Flatten<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.depth == 0 { deserializer.deserialize_map(self) } else { deserializer.deserialize_any(self) }
    }
}

impl<'de> Visitor<'de> for Flatten<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { path, cells, depth } = self;
        let stem = path.len();
        let mut key = Key { path, cut: false };
        while map.next_key_seed(&mut key)?.is_some() {
            if depth >= DEPTH_MAX || key.cut {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Flatten { path: key.path, cells, depth: depth + 1 })?;
            }
            key.path.truncate(stem);
            key.cut = false;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { path, cells, depth } = self;
        if depth >= DEPTH_MAX {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while seq.next_element_seed(Flatten { path, cells, depth: depth + 1 })?.is_some() {}
        Ok(())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.put(text.as_bytes());
        Ok(())
    }

    fn visit_u64<E: Error>(mut self, n: u64) -> Result<(), E> {
        if role(self.path).is_some() {
            let mut text = Vec::with_capacity(20);
            decimal(n, &mut text);
            self.put(&text);
        }
        Ok(())
    }

    fn visit_f64<E: Error>(mut self, n: f64) -> Result<(), E> {
        if role(self.path).is_some() {
            let mut text = Vec::with_capacity(24);
            // A Vec takes everything.
            let _ = write!(text, "{n:.6}");
            self.put(&text);
        }
        Ok(())
    }

    fn visit_i64<E: Error>(mut self, n: i64) -> Result<(), E> {
        // Negative numbers are none that matter, but they are no silence either.
        if n < 0 {
            self.put(b"negative");
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Appends a key to the path.
struct Key<'p> {
    path: &'p mut Vec<u8>,
    /// The key was too long to be one that matters.
    cut: bool,
}

impl<'de> DeserializeSeed<'de> for &mut Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for &mut Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        self.cut = key.len() > 64;
        if !self.cut {
            if !self.path.is_empty() {
                self.path.push(b'.');
            }
            self.path.extend_from_slice(key.as_bytes());
        }
        Ok(())
    }
}
