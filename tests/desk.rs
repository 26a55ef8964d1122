//! The commands of the desk: what was found is listed, shown, silenced, judged; baselines are carried and forgotten.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder for one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("egret-desk-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("folder");
        Self(path)
    }

    /// A log of uploads: (uid, minute, host, bytes), all to one drive.
    fn log(&self, name: &str, uploads: &[(&str, u64, u8, u64)]) -> PathBuf {
        let mut text = String::new();
        for (uid, minute, host, bytes) in uploads {
            let at = 1_767_571_200 + minute * 60;
            text.push_str(&format!(
                "{{\"_path\":\"conn\",\"ts\":{at}.5,\"uid\":\"{uid}\",\"id.orig_h\":\"10.0.0.{host}\",\"id.orig_p\":4000,\
                 \"id.resp_h\":\"203.0.113.9\",\"id.resp_p\":443,\"proto\":\"tcp\",\"duration\":2.0,\"orig_bytes\":{bytes},\
                 \"resp_bytes\":100,\"conn_state\":\"SF\"}}\n\
                 {{\"_path\":\"ssl\",\"ts\":{at}.6,\"uid\":\"{uid}\",\"server_name\":\"content.dropboxapi.com\"}}\n"
            ));
        }
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    fn egret(&self, args: &[&str], more: &[&Path]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egret"));
        command.current_dir(&self.0).args(args).args(more).output().expect("egret runs")
    }

    fn json(&self, args: &[&str]) -> Value {
        let ran = self.egret(args, &[]);
        assert_eq!(ran.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        serde_json::from_slice(&ran.stdout).expect("JSON")
    }

    fn said(&self, args: &[&str], code: i32) -> String {
        let ran = self.egret(args, &[]);
        let text = [ran.stdout, ran.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(ran.status.code(), Some(code), "{args:?}: {text}");
        text
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn listed_shown_silenced_judged() {
    let folder = Folder::new("cases");
    let state = ["--state", "s.db"];
    let first = folder.log("a.json", &[("C1", 0, 1, 40_000_000), ("C2", 10, 2, 50_000_000)]);
    let ran = folder.egret(&["logs", "-q", "--state", "s.db", "-o", "out"], &[&first]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let list = folder.json(&[&["incidents", "--open", "--json"], &state[..]].concat());
    let list = list.as_array().expect("a list");
    assert_eq!(list.len(), 2, "{list:?}");
    let of_host = |ip: &str| list.iter().find(|i| i["host"] == ip).expect("an incident");
    let id = of_host("10.0.0.1")["id"].as_str().expect("an id").to_owned();
    let later = folder.json(&["incidents", "--since", "5m", "--json", "--state", "s.db"]);
    assert_eq!(later.as_array().map(Vec::len), Some(1));
    let shown = folder.said(&["show", &id, "--state", "s.db"], 0);
    for wanted in ["10.0.0.1", "content.dropboxapi.com", "MEDIUM", "tier", "business need", "could do", &id] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    assert!(shown.lines().count() <= 60, "{shown}");
    let record = folder.json(&["show", &id, "--json", "--state", "s.db"]);
    assert_eq!(record["egret"]["incident"]["id"], id.as_str());
    assert!(folder.said(&["show", "NONE", "--state", "s.db"], 2).contains("egret incidents"));
    assert!(folder.said(&["show", "X", "--state", "none.db"], 2).contains("no such state file"));

    let budget = ["--for", "7d", "--budget", "2GB", "--reason", "ticket 4711", "--owner", "soc"];
    let made = folder.said(&[&["silence", &id], &budget[..], &state[..]].concat(), 0);
    assert!(made.contains("10.0.0.1 -> content.dropboxapi.com, dropbox up to 2.0 GB a day"), "{made}");
    assert!(folder.said(&["silence", &id, "--for", "7d", "--state", "s.db"], 2).contains("--budget"));
    assert!(folder.said(&["verdict", &id, "maybe", "--state", "s.db"], 2).contains("benign"));
    folder.said(&["verdict", &id, "benign", "--reason", "x", "--state", "s.db"], 0);

    // Hours later, both again: the silenced host is told, counted, and no alert.
    let second = folder.log("b.json", &[("C3", 300, 1, 40_000_000), ("C4", 310, 2, 50_000_000)]);
    let ran = folder.egret(&["logs", "-q", "--state", "s.db", "-o", "out"], &[&first, &second]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let eve = std::fs::read_to_string(folder.0.join("out/egret.json")).expect("egret.json");
    assert!(eve.contains("silenced by soc"), "{eve}");
    let all = folder.json(&["incidents", "--low", "--json", "--state", "s.db"]);
    let severities: Vec<_> =
        all.as_array().expect("a list").iter().map(|i| (&i["host"], &i["severity"])).collect();
    let low = severities.iter().filter(|s| *s.1 == "low").all(|s| *s.0 == "10.0.0.1");
    assert!(low && severities.iter().any(|s| *s.1 == "low"), "{severities:?}");
    let silences = folder.json(&["silence", "--json", "--state", "s.db"]);
    assert!(silences[0]["hits"].as_u64() > Some(0) && silences[0]["owner"] == "soc", "{silences}");
    folder.said(&["silence", "--end", "1", "--state", "s.db"], 0);
    assert!(folder.said(&["silence", "--end", "9", "--state", "s.db"], 2).contains("no silence 9"));
}

#[test]
fn baselines_are_shown_carried_over_and_forgotten() {
    let folder = Folder::new("baseline");
    let log =
        folder.log("a.json", &[("C1", 0, 1, 40_000), ("C2", 1_800, 1, 50_000), ("C3", 3_600, 2, 9_000)]);
    assert!(folder.egret(&["logs", "-q", "--state", "s.db", "-o", "out"], &[&log]).status.success());
    let known = folder.json(&["baseline", "show", "--json", "--state", "s.db"]);
    assert_eq!((&known["pairs"], &known["days"]), (&Value::from(2), &Value::from(2)), "{known}");
    let habits = folder.json(&["baseline", "show", "10.0.0.1", "--json", "--state", "s.db"]);
    assert_eq!((&habits[0]["destination"], &habits[0]["days"]), (&Value::from("dropbox"), &Value::from(2)));
    assert!(folder.said(&["baseline", "show", "--state", "s.db"], 0).contains("learning"));
    assert!(
        folder.said(&["baseline", "show", "10.9.9.9", "--state", "s.db"], 2).contains("nothing is known")
    );
    folder.said(&["baseline", "export", "b.egret", "--state", "s.db"], 0);
    assert!(folder.said(&["baseline", "export", "b.egret", "--state", "s.db"], 2).contains("there already"));
    assert!(folder.said(&["baseline", "reset", "--state", "s.db"], 2).contains("--yes"));
    folder.said(&["baseline", "reset", "--yes", "--state", "s.db"], 0);
    assert_eq!(folder.json(&["baseline", "show", "--json", "--state", "s.db"])["pairs"], 0);
    folder.said(&["baseline", "import", "b.egret", "--state", "s.db"], 0);
    assert!(folder.json(&["baseline", "show", "--json", "--state", "s.db"])["pairs"].as_u64() > Some(0));
    let text = folder.0.join("poison");
    std::fs::write(&text, "no state").expect("written");
    assert!(
        folder.said(&["baseline", "import", "poison", "--state", "s.db"], 2).contains("is no state file")
    );
}

/// What JSON Schema says of objects, arrays and leaves; enough for ours.
fn faults(schema: &Value, value: &Value, path: &str, out: &mut Vec<String>) {
    let kind = schema["type"].as_str().unwrap_or_default();
    match value {
        Value::Object(members) if kind == "object" => {
            for (key, member) in members {
                let at = format!("{path}.{key}");
                match (schema["properties"].get(key), &schema["additionalProperties"]) {
                    (Some(inner), _) => faults(inner, member, &at, out),
                    (None, Value::Object(_)) => faults(&schema["additionalProperties"], member, &at, out),
                    _ => out.push(format!("{at} is in no schema")),
                }
            }
        }
        Value::Array(items) if kind == "array" && !items.is_empty() => {
            items.iter().for_each(|item| faults(&schema["items"], item, &format!("{path}[]"), out));
        }
        Value::String(_) if kind == "string" => {}
        Value::Bool(_) if kind == "boolean" => {}
        Value::Number(n) if kind == "integer" && (n.is_u64() || n.is_i64()) => {}
        Value::Number(_) if kind == "number" => {}
        _ => out.push(format!("{path} is no {kind}: {value}")),
    }
}

#[test]
fn every_golden_record_fits_the_schema() {
    let folder = Folder::new("schema");
    let schema = folder.json(&["schema"]);
    let (mut wrong, mut seen) = (Vec::new(), 0);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases =
        std::fs::read_dir(root.join("pcaps")).expect("pcaps").flatten().map(|e| e.path().join("expected"));
    for dir in cases.chain([root.join("tests/golden/eve")]) {
        for name in ["eve.json", "egret.json", "records.json"] {
            let text = std::fs::read_to_string(dir.join(name)).unwrap_or_default();
            // Expected statistics of captures are cut before what differs from run to run.
            let whole = |l: &&str| name == "records.json" || !l.contains("\"event_type\":\"stats\"");
            let text: String = text.lines().filter(whole).collect();
            for record in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
                let record = record.expect("JSON");
                if let Some(egret) = record.get("egret") {
                    faults(&schema, egret, "egret", &mut wrong);
                    seen += 1;
                }
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty() && seen > 100, "{seen}: {wrong:#?}");
    let mut bad = Vec::new();
    faults(
        &schema,
        &serde_json::json!({ "incident": { "seq": "1", "new": 1 }, "signs": [] }),
        "egret",
        &mut bad,
    );
    assert_eq!(bad.len(), 3, "{bad:?}");
}

#[test]
fn the_self_test_tells_each_step() {
    let folder = Folder::new("self");
    let told = folder.json(&["selftest", "-o", "out", "--json"]);
    assert_eq!(told["ok"], true, "{told}");
    assert!(folder.0.join("out/selftest/eve.json").exists());
    let said = folder.said(&["selftest", "-o", "out", "--set", "output.log=[\"eve\",\"zeek-tsv\"]"], 0);
    assert!(said.contains("zeek-tsv: ") && said.contains("Everything works"), "{said}");
    // A level that nothing reaches: the test must fail.
    let quiet = ["selftest", "-o", "out", "--set", "detect.exfil_volume_threshold=\"1 TB\""];
    assert!(folder.said(&quiet, 1).contains("FAIL  incident raised"));
}

#[test]
fn what_a_change_brings_and_takes_away() {
    let folder = Folder::new("whatif");
    folder.log("a.json", &[("C1", 0, 1, 40_000_000), ("C2", 1, 2, 5_000_000)]);
    let change = ["whatif", "--change", "detect.exfil_volume_threshold=\"10 MB\"", "a.json"];
    let said = folder.said(&change, 0);
    assert!(said.contains("goes   medium       5.0 MB  10.0.0.2 -> Dropbox"), "{said}");
    assert!(said.contains("2 alerts in 1.0 days (2.00 a day) as it is, 1 (1.00 a day)"), "{said}");
    let told = folder.json(&[&change[..], &["--json"]].concat());
    assert_eq!(
        (&told["before"]["alerts"], &told["after"]["alerts"]),
        (&Value::from(2), &Value::from(1)),
        "{told}"
    );
    assert!(folder.said(&["whatif", "a.json"], 2).contains("--with"));
    // The same of the state that a run over the logs has left.
    folder.said(&["logs", "--state", "a.db", "-o", "out", "a.json"], 0);
    let kept = ["whatif", "--state", "a.db", "--change", "detect.exfil_volume_threshold=\"10 MB\""];
    let said = folder.said(&kept, 0);
    assert!(said.contains("goes   medium       5.0 MB  10.0.0.2 -> dropbox"), "{said}");
    assert!(said.contains("2 alerts in 1.0 days (2.00 a day) as it is, 1 (1.00 a day)"), "{said}");
    let level = ["whatif", "--state", "a.db", "--change", "detect.exfil_volume_threshold=\"1 MB\""];
    assert!(folder.said(&level, 0).contains("rises  high        40.0 MB  10.0.0.1 -> dropbox"));
}

#[test]
fn allow_list_entries_hold_for_groups_and_unknown_groups_are_refused() {
    let folder = Folder::new("groups");
    let log = folder.log("a.json", &[("C1", 0, 1, 40_000_000), ("C2", 1, 2, 50_000_000)]);
    let site = |group: &str, budget: &str| {
        let text = format!(
            "schema = 1\n[[allow]]\nservice = \"dropbox\"\ngroups = [\"{group}\"]\nbudget = \"{budget}\"\n\
             expires = 2027-01-31\nowner = \"it\"\nreason = \"exchange\"\n"
        );
        std::fs::write(folder.0.join("site.toml"), text).expect("written");
    };
    let config = "[host_groups]\ndesign = [\"10.0.0.2\"]\n[signatures]\nsite = \"site.toml\"\n";
    std::fs::write(folder.0.join("c.toml"), config).expect("written");
    site("design", "1 GB/24h");
    let ran = folder.egret(&["logs", "-q", "-c", "c.toml", "--state", "s.db", "-o", "out"], &[&log]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let all = folder.json(&["incidents", "--low", "--json", "--state", "s.db"]);
    let of = |host: &str| {
        let list = all.as_array().expect("a list");
        list.iter().find(|i| i["host"] == host).map(|i| i["severity"].clone()).expect("an incident")
    };
    assert_eq!((of("10.0.0.1"), of("10.0.0.2")), (Value::from("medium"), Value::from("low")));
    site("dessign", "1 GB/24h");
    let said = folder.said(&["check", "-c", "c.toml"], 2);
    assert!(said.contains("site.toml:2: ") && said.contains("did you mean design?"), "{said}");
    site("design", "900 TB/24h");
    assert!(folder.said(&["check", "-c", "c.toml"], 2).contains("blinds the service"));
}

#[test]
fn an_incident_that_goes_on_shows_what_has_left_by_now() {
    let folder = Folder::new("so-far");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps/demo");
    let ran = folder.egret(&["replay", "-q", "--state", "s.db", "-o", "out"], &[&demo]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let list = folder.json(&["incidents", "--open", "--json", "--state", "s.db"]);
    let big =
        list.as_array().and_then(|all| all.iter().find(|i| i["service"] == "dropbox")).expect("the upload");
    // The record was written when 3 MB had left.
    assert!(big["up_bytes"].as_u64().is_some_and(|n| (10_000_000..10_100_000).contains(&n)), "{big}");
    let shown = folder.said(&["show", big["id"].as_str().expect("an id"), "--state", "s.db"], 0);
    assert!(shown.contains("3.0 MB out") && shown.contains("so far            10.0 MB out"), "{shown}");
}
