//! Endpoint logs in every format, as bytes that come in pieces and as single records, and the tables of a site.

use egret::endpoint::{Decoder, EndpointEvent, Formats, Hint, Stream, map_load};
use egret::units::Timestamp;

fn hint() -> Hint {
    Hint { listed: Some(Timestamp::new(1_709_285_400, 0)), ..Hint::default() }
}

/// One source, whole and in pieces: the same events.
pub(super) fn stream(bytes: &[u8]) {
    let read = |piece: usize| {
        let mut stream = Stream::new(Formats::built_in(), None).expect("no name");
        let mut out = Vec::new();
        for bytes in bytes.chunks(piece.max(1)) {
            stream.push(bytes, &hint(), &mut out);
        }
        stream.finish(&hint(), &mut out);
        judge(&out);
        assert_eq!(out.len() as u64, stream.decoder.tally.events);
        out
    };
    assert_eq!(read(bytes.len()), read(13));
}

/// Lines as records, as syslog and HTTP bring them.
pub(super) fn records(bytes: &[u8]) {
    let mut decoder = Decoder::new(Formats::built_in(), None).expect("no name");
    let mut out = Vec::new();
    for line in bytes.split(|b| *b == b'\n') {
        decoder.record(line, &hint(), &mut out);
    }
    decoder.finish(&hint(), &mut out);
    judge(&out);
}

/// What no event may be.
fn judge(events: &[EndpointEvent]) {
    for event in events {
        assert!(event.common().grain_ns > 0);
        assert!(event.common().host.ips.len() <= 32);
        if let EndpointEvent::Connect(connection) = event {
            assert!(connection.remote_port != 0 && connection.local_port != Some(0));
            assert!(!connection.remote.is_unspecified());
            assert!(!connection.remote.is_multicast() || connection.local_port.is_some());
        }
    }
}

/// The made-up logs of the golden tests.
pub(super) fn log_seeds() -> Vec<Vec<u8>> {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [here.join("tests/golden/endpoint"), here.join("../golden/endpoint")];
    let folder = folders.iter().find(|folder| folder.is_dir()).expect("the made-up logs");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("lists").flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end != "events"));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("reads")).collect()
}

/// A table of a site.
pub(super) fn tables(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(faults) = map_load::load("own.toml", &text, false) {
        assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.cure.is_empty()));
    }
}

pub(super) fn table_seeds() -> Vec<Vec<u8>> {
    let table = "[[endpoint_format]]\nname = \"x\"\nrecognise = [\"/a=b*|*c\", \"!/d||/e\"]\n[endpoint_format.fields]\n\
                 at = [\"/t\", \"/u/!json/v\"]\n[[endpoint_format.event]]\nkind = \"connect\"\nwhen = [\"./b!=c\"]\n\
                 each = \"/l\"\ninner = \"./m\"\nremote = \"/r/*[n=x]/y\"\nlocal = \"../o\"\n\
                 direction = { from = \"/d\", map = { \"0\" = \"out\", \"*\" = \"in\" } }\n\
                 command_line = { join = [\"/p\", \"/q\"], between = \"-\", take = \"base64\" }\n";
    vec![table.as_bytes().to_vec()]
}
