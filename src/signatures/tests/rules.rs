//! Which rule wins, and which files are refused: with file, line and a cure.

use super::*;

/// A file of one category; the services start on line 3.
fn file(services: &str) -> String {
    format!("schema = 1\ncategory = \"cloud_storage\"\n{services}")
}

fn faults(services: &str) -> Vec<String> {
    let text = file(services);
    let (_, faults, _) = Catalogue::read_texts(&[("sig/x.toml", &text)], None);
    faults.iter().map(ToString::to_string).collect()
}

/// That there is one fault, on that line, saying that.
#[track_caller]
fn refused(services: &str, line: usize, part: &str) {
    let faults = faults(services);
    let place = format!("sig/x.toml:{line}: ");
    assert!(faults.len() == 1, "{faults:#?}");
    assert!(
        faults[0].starts_with(&place) && faults[0].contains(part) && faults[0].contains("; "),
        "{}",
        faults[0]
    );
}

const HEAD: &str = "[service.a]\nname = \"A\"\nweight = 10\n";

#[test]
fn the_more_precise_rule_wins() {
    let text = file(
        "[service.store]\nname = \"Store\"\nweight = 10\n\
         storage = [\"<tenant>.s3.*.store.example\", \"s3.*.store.example\", \".s3.dualstack.eu.store.example\"]\n\
         web = [\".store.example\"]\n\
         [service.tenant]\nname = \"T\"\nweight = 10\n\
         upload = [\"exact.s3.eu.store.example\", \"us-std-*.s3.dualstack.eu.store.example\", \"us-*.s3.*.store.example\"]\n\
         cdn = [\"us-longer-*.s3.*.store.example\"]\n",
    );
    let (catalogue, faults, _) = Catalogue::read_texts(&[("x.toml", &text)], None);
    assert!(faults.is_empty(), "{faults:?}");
    for (host, wanted) in [
        ("store.example", ".store.example"),
        ("www.store.example", ".store.example"),
        ("a.b.c.store.example", ".store.example"),
        ("s3.eu.store.example", "s3.*.store.example"),
        ("b.s3.eu.store.example", "<tenant>.s3.*.store.example"),
        ("a.b.s3.eu.store.example", "<tenant>.s3.*.store.example"),
        ("exact.s3.eu.store.example", "exact.s3.eu.store.example"),
        ("us-x.s3.eu.store.example", "us-*.s3.*.store.example"),
        ("us-longer-x.s3.eu.store.example", "us-longer-*.s3.*.store.example"),
        ("us-std-1.s3.dualstack.eu.store.example", "us-std-*.s3.dualstack.eu.store.example"),
        ("b.s3.dualstack.eu.store.example", ".s3.dualstack.eu.store.example"),
        ("notstore.example", "-"),
        ("store.example.evil.example", "-"),
    ] {
        let rule = catalogue.classify(host).and_then(|v| catalogue.rule(v.rule));
        assert_eq!(rule.map_or("-", |r| r.pattern.as_str()), wanted, "{host}");
    }
}

#[test]
fn equal_rules_go_by_the_order_of_the_file() {
    let text = file(&format!("{HEAD}web = [\"a*.x.example\"]\nupload = [\"*a.x.example\"]"));
    let (catalogue, faults, _) = Catalogue::read_texts(&[("x.toml", &text)], None);
    assert!(faults.is_empty());
    assert_eq!(catalogue.classify("aa.x.example").map(|v| v.role), Some(Role::Web));
}

#[test]
fn wide_patterns_are_refused() {
    refused(&format!("{HEAD}upload = [\n\"ok.example.org\",\n\".com\",\n]"), 8, "bare top-level");
    refused(&format!("{HEAD}upload = [\".co.uk\"]"), 6, "public suffix");
    refused(&format!("{HEAD}upload = [\"x*.com\"]"), 6, "anyone can register");
    for shared in ["google.com", "amazonaws.com", "windows.net", "live.com", "office.com", "microsoft.com"] {
        for role in ["upload", "storage", "mixed"] {
            refused(&format!("{HEAD}{role} = [\".{shared}\"]"), 6, shared);
            refused(&format!("{HEAD}{role} = [\"*.{shared}\"]"), 6, shared);
            refused(&format!("{HEAD}{role} = [\"<tenant>.{shared}\"]"), 6, shared);
        }
        refused(&format!("{HEAD}mixed = [\"*.*.{shared}\"]"), 6, shared);
        assert!(faults(&format!("{HEAD}cdn = [\".{shared}\"]")).is_empty());
        assert!(faults(&format!("{HEAD}upload = [\"drive.{shared}\"]")).is_empty());
    }
}

#[test]
fn a_pattern_has_one_owner() {
    let b = "[service.b]\nname = \"B\"\nweight = 10\n";
    for (one, two) in [
        ("x.example.org", "x.example.org"),
        (".example.org", "*.example.org"),
        ("*.example.org", "<tenant>.example.org"),
        ("s3.*.example.org", "s3.*.example.org"),
        ("<tenant>.s3.*.example.org", ".s3.*.example.org"),
    ] {
        refused(
            &format!("{HEAD}web = [\"{one}\"]\n{b}web = [\"{two}\"]"),
            10,
            "taken already by a (sig/x.toml:6)",
        );
    }
    assert!(faults(&format!("{HEAD}web = [\".example.org\"]\n{b}web = [\"up.example.org\"]")).is_empty());
}

#[test]
fn unknown_keys_and_wrong_kinds_are_refused() {
    refused(
        &format!("{HEAD}uplaod = [\"x.example.org\"]\nweb = [\"y.example.org\"]"),
        6,
        "did you mean upload?",
    );
    refused(&format!("{HEAD}weird = 1\nweb = [\"y.example.org\"]"), 6, "known here: ");
    refused(
        &format!("{HEAD}web = \"y.example.org\"\napi = [\"z.example.org\"]"),
        6,
        "write a list of strings",
    );
    refused(&format!("{HEAD}web = [\n\"y.example.org\",\n3,\n]"), 8, "no string");
    refused("[service.a]\nname = \"A\"\nweight = 101\nweb = [\"y.example.org\"]", 5, "0 to 100");
    refused("[service.a]\nname = \"A\"\nweight = -1\nweb = [\"y.example.org\"]", 5, "0 to 100");
    refused("[service.a]\nname = \"A\"\nweight = 0\nweb = [\"y.example.org\"]", 3, "blind");
    refused("[service.a]\nname = \"A\"\nweb = [\"y.example.org\"]", 3, "no weight");
    refused("[service.a]\nweight = 1\nweb = [\"y.example.org\"]", 3, "no name");
    refused("[service.\"A b\"]\nname = \"A\"\nweight = 1", 3, "no service id");
    refused(HEAD, 3, "no pattern");
    refused(&format!("{HEAD}sni = \"maybe\"\nweb = [\"y.example.org\"]"), 6, "yes, partial or no");
    refused(
        &format!("{HEAD}category = \"cloud_storge\"\nweb = [\"y.example.org\"]"),
        6,
        "did you mean cloud_storage?",
    );
    refused(&format!("{HEAD}technique = \"T1048\"\nweb = [\"y.example.org\"]"), 6, "T1567.001 to T1567.004");
    refused(&format!("{HEAD}ranges = [\"10.0.0.1/8\"]\nweb = [\"y.example.org\"]"), 6, "10.0.0.0/8");
    refused(&format!("{HEAD}web = [\"y.example.org\"]\n[service.a.low]\nwub = []"), 8, "did you mean web?");
    refused("other = 1", 3, "unknown key 'other' in the file");
    refused("category = \"paste\"", 3, "no valid TOML");
    refused("[service.a\n", 3, "no valid TOML");
}

#[test]
fn noise_must_not_be_open_to_everybody() {
    let noise = HEAD.to_owned() + "category = \"noise\"\n";
    for open in
        ["wsus*.blob.core.windows.net", "*.blob.core.windows.net", ".github.io", "x-?.s3.amazonaws.com"]
    {
        refused(&format!("{noise}upload = [\"{open}\"]"), 7, "anyone may register");
    }
    for closed in ["wsus01.blob.core.windows.net", "upload.*.vendor.example.com", "*.vendor.example.com"] {
        assert!(faults(&format!("{noise}upload = [\"{closed}\"]")).is_empty(), "{closed}");
    }
}

#[test]
fn networks_of_two_services_must_not_overlap() {
    let b = "[service.b]\nname = \"B\"\nweight = 10\nweb = [\"b.example.org\"]\n";
    let a = format!("{HEAD}web = [\"a.example.org\"]\nasn = [64500]\nranges = [\"198.51.100.0/24\"]\n");
    refused(&format!("{a}{b}ranges = [\"198.51.100.128/25\"]"), 13, "overlaps one of a");
    refused(&format!("{a}{b}asn = [64500]"), 9, "AS64500 stands for a already");
}

#[test]
fn all_faults_are_told_at_once() {
    let found = faults(&format!("{HEAD}upload = [\".com\", \"UPPER.example.org\"]\nbad = 1\nworse = 2"));
    assert_eq!(found.len(), 4, "{found:#?}");
    let (_, faults, _) = Catalogue::read_texts(&[("a.toml", "x = 1"), ("b.toml", "y = 1")], None);
    assert!(faults.iter().any(|f| &*f.file == "a.toml") && faults.iter().any(|f| &*f.file == "b.toml"));
    assert!(faults.iter().any(|f| f.what.contains("schema = 1")));
}

#[test]
fn a_missing_directory_or_file_is_a_fault_with_a_cure() {
    let nowhere = Path::new("no/such/place");
    let faults = Catalogue::load(Some(nowhere), None).expect_err("no directory");
    assert!(faults[0].to_string().starts_with("no/such/place: cannot be listed"), "{}", faults[0]);
    let faults = Catalogue::load(None, Some(nowhere)).expect_err("no file");
    assert!(faults[0].to_string().contains("cannot be read") && faults.len() == 1);
}

#[test]
fn programs_are_read_as_strictly() {
    let tools = "schema = 1\n[tool.x]\nname = \"X\"\nkind = \"cli\"\nweight = 5\nservices = [\"dropbx\"]\nproces = []\n";
    let mut files: Vec<(&str, &str)> =
        builtin::FILES.iter().copied().filter(|f| !f.0.ends_with("/tools.toml")).collect();
    files.push(("d/tools.toml", tools));
    let (_, faults, _) = Catalogue::read_texts(&files, None);
    let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(
        said.iter().any(|s| s.starts_with("d/tools.toml:6: no service 'dropbx'; did you mean dropbox?")),
        "{said:?}"
    );
    assert!(
        said.iter()
            .any(|s| s.starts_with("d/tools.toml:7: unknown key 'proces'") && s.contains("processes?"))
    );
    assert!(said.iter().any(|s| s.starts_with("d/tools.toml:2: ") && s.contains("names no process")));
}
