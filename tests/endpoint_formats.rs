//! Every format against made-up logs: what events come of `tests/golden/endpoint/*`, and that no damage to them does
//! harm. Re-bless with `WRITE_GOLDEN=1`.

use egret::endpoint::{
    AddressEvent, ConnectEvent, DnsEvent, EndpointEvent, FileEvent, Formats, Hint, Proc, ProcessEvent, Read,
    Stream,
};
use egret::units::Timestamp;
use std::fmt::{Debug, Write};
use std::path::{Path, PathBuf};

/// 2024-03-01 09:30:00 UTC: when listings were made and lines came.
const NOW: Timestamp = Timestamp::new(1_709_285_400, 0);

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/endpoint");
    let mut cases: Vec<_> = std::fs::read_dir(folder)
        .expect("the cases")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end != "events"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 30, "{}", cases.len());
    cases
}

fn hint() -> Hint {
    Hint { listed: Some(NOW), ..Hint::default() }
}

fn read(path: &Path) -> String {
    let mut file = Read::open(path, Formats::built_in(), None, hint()).expect("opens");
    let mut said = String::new();
    for event in file.by_ref() {
        let _ = writeln!(said, "{}", told(&event));
    }
    let tally = file.tally();
    let without: Vec<_> = tally.without.iter().map(|(why, n)| format!("{} {n}", why.as_str())).collect();
    let _ = writeln!(said, "= {} records, {} events; {}", tally.records, tally.events, without.join(", "));
    let _ = writeln!(said, "= {}", tally.formats.join(", "));
    said
}

/// An event on one line. Hashes are left out: they are of one build.
fn told(event: &EndpointEvent) -> String {
    let common = event.common();
    let mut line = format!(
        "{} {} {:?} grain {} host {:?}{}{}",
        common.at.nanos(),
        common.source.as_str(),
        common.clock,
        common.grain_ns,
        common.host.id,
        some(" ips", Some(&common.host.ips).filter(|ips| !ips.is_empty())),
        some(" received", common.received.map(Timestamp::nanos)),
    );
    match event {
        EndpointEvent::Process(ProcessEvent { proc, kind, .. }) => {
            let _ = write!(line, " | process {kind:?} {}", process(proc));
        }
        EndpointEvent::Connect(e) => {
            let _ = write!(line, " | {} | {}", connection(e), process(&e.proc));
        }
        EndpointEvent::File(FileEvent { proc, op, path, destination, size, attribute, label, .. }) => {
            let more = [
                some(" to", destination.as_ref()),
                some(" size", *size),
                some(" attribute", attribute.as_ref()),
            ];
            let _ = write!(line, " | {op:?} {path}{}{}", more.concat(), some(" label", label.as_ref()));
            let _ = write!(line, " | {}", process(proc));
        }
        EndpointEvent::Dns(DnsEvent { proc, query, answers, .. }) => {
            let _ = write!(
                line,
                " | dns {query} {answers:?} | {}",
                proc.as_ref().map(process).unwrap_or_default()
            );
        }
        EndpointEvent::Address(AddressEvent { ip, mac, name, kind, lease_secs, .. }) => {
            let _ = write!(line, " | address {kind:?} {ip} {mac:?} {name:?} {lease_secs:?}");
        }
    }
    line
}

fn connection(e: &ConnectEvent) -> String {
    let end = |ip: Option<std::net::IpAddr>, port: Option<u16>| {
        let ip = ip.map_or("?".to_owned(), |ip| ip.to_string());
        format!("{ip} {}", port.map_or("?".to_owned(), |port| port.to_string()))
    };
    format!(
        "connect {:?} {} -> {} {} {:?} {:?}{}{}{}{}{}{}",
        e.transport,
        end(e.local, e.local_port),
        e.remote,
        e.remote_port,
        e.direction,
        e.state,
        some(" domain", e.domain.as_ref().map(|name| (name, e.domain_asked))),
        some(" out", e.bytes_out),
        some(" in", e.bytes_in),
        some(" repeat", Some(e.repeat).filter(|n| *n != 1)),
        some(" until", e.until.map(Timestamp::nanos)),
        some(" community", e.community_id.as_ref()),
    )
}

fn process(proc: &Proc) -> String {
    let parent = proc.parent.as_ref().map(|parent| {
        format!("{}[{:?}]{}", parent.name, parent.pid, if parent.entity.is_some() { "!" } else { "" })
    });
    format!(
        "{}[{}]{}{}{}{}{}{}{}{}{}{}",
        proc.name,
        proc.pid.map_or("?".to_owned(), |pid| pid.to_string()),
        if proc.entity.is_some() { "!" } else { "" },
        some(" path", proc.path.as_ref()),
        some(" start", proc.start.map(Timestamp::nanos)),
        some(" original", proc.original_name.as_ref()),
        some(" line", proc.command_line.as_ref()),
        some(" user", proc.user.as_ref()),
        some(" sha256", proc.sha256.map(|hash| hash[0])),
        some(" signer", proc.signer.as_ref()),
        some(" container", proc.container.as_ref()),
        some(" parent", parent),
    )
}

fn some(name: &str, value: Option<impl Debug>) -> String {
    value.map(|value| format!("{name} {value:?}")).unwrap_or_default()
}

#[test]
fn events_of_made_up_logs() {
    let mut said = String::new();
    for path in cases() {
        let events = read(&path);
        let golden = PathBuf::from(format!("{}.events", path.display()));
        if std::env::var_os("WRITE_GOLDEN").is_some() {
            std::fs::write(&golden, &events).expect("writes");
        }
        let wanted = std::fs::read_to_string(&golden).unwrap_or_default();
        if events != wanted {
            let _ = writeln!(said, "{}:\n{events}", path.display());
        }
    }
    assert!(said.is_empty(), "{said}");
}

#[test]
fn every_format_and_field_is_in_the_docs() {
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/endpoint.md"))
        .expect("docs");
    let names = Formats::built_in().iter().flat_map(|format| format.names().to_vec());
    let names: Vec<&str> = names.collect();
    let fields = egret::endpoint::map::FIELDS.iter().map(|(name, ..)| *name);
    let missing: Vec<_> = names
        .iter()
        .copied()
        .filter(|name| *name != "windows-dhcp")
        .chain(fields)
        .filter(|name| !docs.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// All the bytes through one stream, in pieces.
fn stream(bytes: &[u8], piece: usize) -> (usize, u64) {
    let mut stream = Stream::new(Formats::built_in(), None).expect("no name");
    let mut out = Vec::new();
    for bytes in bytes.chunks(piece) {
        stream.push(bytes, &hint(), &mut out);
    }
    stream.finish(&hint(), &mut out);
    assert_eq!(out.len() as u64, stream.decoder.tally.events);
    (out.len(), stream.decoder.tally.records)
}

#[test]
fn pieces_change_nothing() {
    for path in cases() {
        let bytes = std::fs::read(&path).expect("reads");
        let whole = stream(&bytes, bytes.len());
        for piece in [1, 7, 100, 4_096] {
            assert_eq!(stream(&bytes, piece), whole, "{} in pieces of {piece}", path.display());
        }
    }
}

#[test]
fn no_truncation_and_no_flip_does_harm() {
    for path in cases() {
        let bytes = std::fs::read(&path).expect("reads");
        // Truncations and flips at places all over the log; the fuzz targets do the rest.
        for end in (0..bytes.len()).step_by(1 + bytes.len() / 80) {
            stream(&bytes[..end], bytes.len());
        }
        for at in (0..bytes.len()).step_by(1 + bytes.len() / 40) {
            for flip in [0x01, 0x20, 0x80, bytes[at] ^ b'"'] {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                stream(&bytes, bytes.len());
            }
        }
    }
}

#[test]
fn huge_numbers_and_deep_nesting_are_refused() {
    for path in cases() {
        let text = std::fs::read_to_string(&path).expect("reads");
        for huge in ["99999999999999999999999999", "-1", "1e999", "0x", ""] {
            let text: String = text
                .split_inclusive(|c: char| !c.is_ascii_digit())
                .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned() + huge)
                .collect();
            stream(text.as_bytes(), text.len().max(1));
        }
        let deep = text.replacen(": \"", &format!(": {}\"", "[".repeat(5_000)), 1);
        stream(deep.as_bytes(), deep.len());
    }
    let deep = format!("{}{}", "{\"event\":".repeat(100_000), "}".repeat(100_000));
    assert_eq!(stream(deep.as_bytes(), deep.len()), (0, 1));
}
