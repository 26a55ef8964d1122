//! What people write: configuration, signatures, names, quantities, command lines.

use egret::config::{Loader, Rate, Weekly, print_default};
use egret::geo::{Database, Geo, Wanted};
use egret::net::Cidr;
use egret::signatures::{self, Budget, Catalogue, Fault};
use egret::units::{Bytes, Span};
use std::sync::OnceLock;

pub(super) fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(Catalogue::builtin)
}

/// A message of ours is one line, and not too long to read.
fn told(faults: &[Fault]) {
    for fault in faults {
        let text = fault.to_string();
        assert!(text.len() < 8_192 && !text.contains('\n'), "{text:?}");
    }
}

/// A configuration file.
pub(super) fn config(bytes: &[u8]) {
    let mut loader = Loader::new();
    loader.text("fuzz.toml", &String::from_utf8_lossy(bytes), None);
    match loader.finish() {
        Ok((_, warnings)) => told(&warnings),
        Err(faults) => {
            assert!(!faults.is_empty());
            told(&faults);
        }
    }
}

pub(super) fn config_seeds() -> Vec<Vec<u8>> {
    let all: String = print_default()
        .lines()
        .map(|line| line.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(line).to_owned() + "\n")
        .filter(|line| !line.starts_with('#'))
        .collect();
    vec![all.into_bytes(), b"home_net = [\"10.0.0.0/8\"]\n[detect]\ntime_window = \"24h\"\n".to_vec()]
}

/// `--set` arguments, one a line.
pub(super) fn settings(bytes: &[u8]) {
    let mut loader = Loader::new();
    for setting in String::from_utf8_lossy(bytes).split('\n').take(8) {
        loader.set(setting);
    }
    told(&loader.finish().err().unwrap_or_default());
}

pub(super) fn setting_seeds() -> Vec<Vec<u8>> {
    let lines = ["detect.time_window=12h\noutput.mode=0644", "own_tenants=[\"a\", \"b*\"]\nsensor.name=x"];
    let more = ["detect.exfil_volume_threshold.webhook=\"1 MB\"\nholidays=[2027-01-01]"];
    lines.iter().chain(&more).map(|line| line.as_bytes().to_vec()).collect()
}

/// A file of signatures; what it declares must not break the lookup.
pub(super) fn signatures(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (catalogue, faults, warnings) = Catalogue::read_texts(&[("fuzz.toml", &text)], None);
    told(&faults);
    told(&warnings);
    for host in ["a.example.com", "example.com", "x-1.s3.example.com"] {
        let _ = signatures::describe(&catalogue, host);
    }
}

pub(super) fn signature_seeds() -> Vec<Vec<u8>> {
    let text = "schema = 1\ncategory = \"file_host\"\ntechnique = \"T1567.002\"\n\n[service.example]\n\
                name = \"Example\"\nweight = 80\nsni = \"yes\"\nanonymous = \"partial\"\nasn = [64500]\n\
                ranges = [\"192.0.2.0/24\"]\nupload = [\"up-*.example.com\", \"{tenant}.s3.example.com\"]\n\
                web = [\".example.com\"]\n[service.example.low]\napi = [\"api.example.com\"]\n";
    vec![text.as_bytes().to_vec(), include_bytes!("../../../signatures/paste.toml").to_vec()]
}

/// The site's own file, on a small catalogue.
pub(super) fn site(bytes: &[u8]) {
    const BASE: &str = "schema = 1\ncategory = \"cloud_storage\"\n[service.box]\nname = \"Box\"\nweight = 30\n\
                        sni = \"yes\"\nanonymous = \"no\"\nmixed = [\".box.com\"]\n";
    let text = String::from_utf8_lossy(bytes);
    let (catalogue, faults, _) = Catalogue::read_texts(&[("base.toml", BASE)], Some(("site.toml", &text)));
    told(&faults);
    let _ = signatures::describe(&catalogue, "partner.box.com");
}

pub(super) fn site_seeds() -> Vec<Vec<u8>> {
    let text = "schema = 1\nown_tenants = [\"contoso-*\"]\n[[own]]\nservice = \"box\"\ntenants = [\"contoso\"]\n\
                [[sanction]]\nservice = \"box\"\nsources = [\"10.20.0.0/16\"]\nhard_cap = \"50 GiB/24h\"\n\
                [[weight]]\nservice = \"box\"\nweight = 5\n[[service]]\nid = \"corp\"\nname = \"Corp\"\n\
                category = \"cloud_storage\"\nweight = 5\nown = true\nmixed = [\"cloud.contoso.example\"]\n\
                [[allow]]\nservice = \"box\"\nhosts = [\"10.1.2.0/24\", \"design-*\"]\nprocesses = [\"rclone\"]\n\
                budget = \"20 GB/24h\"\nexpires = 2027-01-31\nowner = \"it\"\nreason = \"move\"\n";
    vec![text.as_bytes().to_vec()]
}

/// Host names as they come from the wire.
pub(super) fn hosts(bytes: &[u8]) {
    let host = String::from_utf8_lossy(bytes);
    let catalogue = catalogue();
    if let Some(verdict) = catalogue.classify(&host) {
        assert!(catalogue.rule(verdict.rule).is_some_and(|rule| rule.service == verdict.service));
        // Case must not matter.
        assert_eq!(catalogue.classify(&host.to_ascii_uppercase()), Some(verdict));
    }
}

/// A name that may imitate another.
pub(super) fn resembles(bytes: &[u8]) {
    let name = String::from_utf8_lossy(bytes);
    let _ = egret::detect::resembles::brand(&name);
    let _ = egret::detect::resembles::brand(&format!("xn--{name}.com"));
}

/// A database of addresses: refused, or good for any question.
pub(super) fn database(bytes: &[u8]) {
    for wanted in [Wanted::Asn, Wanted::Place] {
        if let Ok(database) = Database::read(bytes.to_vec(), wanted) {
            let geo = Geo { asn: Some(database.clone()), city: Some(database) };
            for ip in ["1.128.0.1", "2001:db8::1"] {
                let _ = geo.look_up(ip.parse().expect("an address"));
            }
        }
    }
}

/// A tree of one node whose halves both lead to a record with a number and a country.
pub(super) fn database_seeds() -> Vec<Vec<u8>> {
    let mut file = vec![0, 0, 17, 0, 0, 17];
    file.extend([0; 16]);
    file.extend(b"\xe2\x43asn\x47AS15169\x4ccountry_code\x42US");
    file.extend(b"\xab\xcd\xefMaxMind.com\xe7\x5bbinary_format_major_version\xa1\x02");
    file.extend(b"\x5bbinary_format_minor_version\xa0\x4bbuild_epoch\x00\x02\x4ddatabase_type\x41x");
    file.extend(b"\x4aip_version\xa1\x04\x4anode_count\xa1\x01\x4brecord_size\xa1\x18");
    vec![file]
}

pub(super) fn host_seeds() -> Vec<Vec<u8>> {
    let hosts = [
        "content.dropboxapi.com",
        "mybucket.s3.eu-west-1.amazonaws.com:443",
        "contoso-my.sharepoint.com.",
        "a.b.c.d.e.f.g.h.i.j",
        "www-dropbox-com.mcas.ms",
        "xn--bcher-kva.example",
        "192.0.2.1",
    ];
    hosts.iter().map(|host| host.as_bytes().to_vec()).collect()
}

/// Sizes, times, rates, hours, networks, budgets.
pub(super) fn quantities(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(span) = text.parse::<Span>() {
        assert!(span.nanos() >= 0);
        let _ = span.to_string();
    }
    let _ = text.parse::<Bytes>().map(|bytes| bytes.to_string());
    let _ = (text.parse::<Rate>(), text.parse::<Weekly>(), text.parse::<Budget>());
    if let Ok(cidr) = text.parse::<Cidr>() {
        assert!(cidr.contains(cidr.addr()));
        assert_eq!(cidr.to_string().parse(), Ok(cidr));
    }
}

pub(super) fn quantity_seeds() -> Vec<Vec<u8>> {
    let words = [
        "100 MB",
        "1.5GiB",
        "24h",
        "250ms",
        "200/h",
        "mon-fri 08:00-18:00",
        "20 GB/24h",
        "10.0.0.0/8",
        "::/0",
    ];
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// Arguments, one a line.
pub(super) fn command_line(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let args = text.split('\n').take(16).map(Into::into);
    let _ = egret::cli::parse(std::iter::once("egret".into()).chain(args));
}

pub(super) fn command_line_seeds() -> Vec<Vec<u8>> {
    let lines = [
        "replay\na.pcap\n-o\nlogs\n--log\neve,zeek-tsv\n--workers\n4",
        "check\n-c\negret.toml\n--set\ndetect.time_window=1h\n--home-net\n10.0.0.0/8,fd00::/8",
        "services\nmega.nz",
        "completions\nbash",
        "--help",
    ];
    lines.iter().map(|line| line.as_bytes().to_vec()).collect()
}
