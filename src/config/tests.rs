//! The configuration as it is written by people: defaults, strictness, precedence.

use super::keys::{KEYS, Preset};
use super::*;
use crate::signatures::{Catalogue, Sanction, Who};

fn read(text: &str) -> Result<Config, Vec<String>> {
    let mut loader = Loader::new();
    loader.text("egret.toml", text, None);
    loader.finish().map(|c| c.0).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn set(settings: &[&str]) -> Result<Config, Vec<String>> {
    let mut loader = Loader::new();
    for setting in settings {
        loader.set(setting);
    }
    loader.finish().map(|c| c.0).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn the_printed_defaults_are_the_defaults() {
    assert_eq!(read(""), Ok(Config::default()));
    assert_eq!(read(&print_default()).map(without_history), Ok(Config::default()));
}

/// The same configuration as if nobody had written it: what was set, and to what, is kept beside the values.
fn without_history(config: Config) -> Config {
    Config { set: BTreeMap::new(), ..config }
}

#[test]
fn defaults_of_keys_without_effect_are_true_too() {
    let mut lines = Vec::new();
    for section in keys::SECTIONS {
        lines.extend(Some(section.name).filter(|name| !name.is_empty()).map(|name| format!("[{name}]")));
        for key in KEYS.iter().filter(|key| key.section == section.name) {
            if let Preset::Value(value) = key.preset {
                lines.push(format!("{} = {value}", key.name));
            }
        }
    }
    assert_eq!(read(&lines.join("\n")).map(without_history), Ok(Config::default()));
}

#[test]
fn every_example_is_good_and_every_idle_key_is_named() {
    let uncommented: String = print_default()
        .lines()
        .map(|line| {
            line.strip_prefix('#').filter(|l| !l.starts_with([' ', '#'])).unwrap_or(line).to_owned() + "\n"
        })
        .collect();
    let mut loader = Loader::new();
    loader.text("egret.toml", &uncommented, None);
    assert_eq!(loader.keys_set(), KEYS.len());
    let (config, warnings) = loader.finish().expect("no fault");
    assert_eq!(warnings.len(), KEYS.iter().filter(|key| !key.in_force).count());
    assert!(warnings.iter().all(|w| w.line.is_some() && w.what.ends_with("has no effect yet")));
    assert!(config.facts.esxi_hosts.contains("192.0.2.1".parse().expect("address"), Some("ESXi-7")));
    assert_eq!(config.facts.networks.len() + config.facts.permits.len() + config.facts.changes.len(), 3);
}

#[test]
fn all_faults_are_told_with_place_and_cure() {
    let text = "home_net = [\"10.1.2.3/8\"]\nhomenet = []\n[detect]\ntime_window = 24\n\
                exfil_volume_threshold = { storage = \"3\", websocket = \"1 MB\" }\nupload_ratio = -1\n\
                [output]\nmode = 640\nlog = [\"json\"]\n[detekt]\n[flows]\ntable = 0\nudp_timeout = \"0s\"\n";
    let faults = read(text).expect_err("faults").join("\n");
    golden(&faults);
}

fn golden(got: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/config_faults.txt");
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        std::fs::write(path, format!("{got}\n")).expect("golden file written");
    }
    assert_eq!(format!("{got}\n"), std::fs::read_to_string(path).expect("golden file"));
}

#[test]
fn settings_win_over_the_file_and_are_as_strict() {
    let mut loader = Loader::new();
    loader.text("egret.toml", "[detect]\ntime_window = \"1h\"\nexfil_volume_threshold = \"7 MB\"\n", None);
    loader.set("detect.time_window=12h");
    loader.set("detect.exfil_volume_threshold.webhook = 2 MB");
    loader.set("detect.exfil_volume_threshold.code_repository=\"9 MB\"");
    let (config, _) = loader.finish().expect("no fault");
    assert_eq!(config.detect.time_window, Span::from_secs(43_200));
    let levels = config.detect.exfil_volume_threshold;
    let of = |category| levels.level(category).0 / 1_000_000;
    assert_eq!((of(Category::CloudStorage), of(Category::Webhook)), (7, 2));
    assert_eq!((of(Category::MessagingApi), of(Category::Paste), of(Category::CodeRepository)), (2, 7, 9));

    let says = |setting: &str| set(&[setting]).expect_err(setting).join("\n");
    assert!(
        says("detect.time_windo=1h").contains("--set: unknown key 'time_windo' in [detect]; did you mean")
    );
    assert!(says("detect.time_window=3600").starts_with("--set: time_window of [detect] is a bare number"));
    assert!(says("time_window").contains("has no ="));
    assert!(says("a b=c").contains("is no key"));
    assert!(says("sensor.name=x\ny").contains("no single line"));
    assert_eq!(set(&["sensor.name=a\\\"b"]).map(|c| c.sensor), Ok("a\\\"b".to_owned()));
}

#[test]
fn sizes_times_and_modes_in_every_spelling() {
    assert_eq!(set(&["output.mode=0644"]).map(|c| c.output.mode), Ok(0o644));
    assert_eq!(set(&["output.mode=0o600"]).map(|c| c.output.mode), Ok(0o600));
    for bad in ["644", "\"0999\"", "\"01000\"", "\"0400\"", "\"+640\""] {
        assert!(set(&[&format!("output.mode={bad}")]).is_err(), "{bad}");
    }
    assert_eq!(set(&["detect.upload_ratio=2"]).map(|c| c.detect.upload_ratio), Ok(2.0));
    assert!(set(&["detect.upload_ratio=nan"]).is_err());
    assert!(set(&["home_net=[\"0.0.0.0/0\"]"]).is_err());
    assert!(set(&["own_tenants=[\"*\"]"]).is_err());
    let kinds = set(&["output.log=[\"zeek-tsv\",\"eve\"]"]).map(|c| c.output.kinds);
    assert_eq!(kinds, Ok(vec!["zeek-tsv", "eve"]));
    assert!(set(&["output.log=[\"zeek-tsv\", \"zeek-json\"]"]).is_err(), "files of the same names");
}

#[test]
fn paths_stand_beside_the_file() {
    let mut loader = Loader::new();
    let text = "[output]\ndir = \"logs\"\n[signatures]\nsite = \"site.toml\"\ndir = \"/srv/signatures\"\n";
    loader.text("etc/egret.toml", text, Some(std::path::Path::new("etc")));
    let config = loader.finish().expect("no fault").0;
    assert_eq!(config.site, Some("etc/site.toml".into()));
    assert_eq!(config.signatures, Some("/srv/signatures".into()));
    assert_eq!(config.output.dir, PathBuf::from("logs"));
}

#[test]
fn tenants_reach_the_catalogue() {
    let mut catalogue = Catalogue::builtin();
    let mut loader = Loader::new();
    let text = "own_tenants = [\"contoso\"]\nsanctioned_tenants = { box = [\"partner-*\"], dropbx = [\"x\"] }\n\
                own_buckets = [\"contoso-backup-*\"]\n[detect]\nmonitored_services = [\"dropbox\", \"pastes\"]\n";
    loader.text("egret.toml", text, None);
    loader.fit(&mut catalogue);
    let sanction = |slug: &str, tenant| {
        let id = catalogue.find(slug).expect(slug);
        catalogue.site().sanction(id, Some(tenant), &Who::default())
    };
    assert_eq!(sanction("sharepoint_online", "contoso"), Sanction::Own);
    assert_eq!(sanction("aws_s3", "contoso-backup-7"), Sanction::Own);
    assert_eq!(sanction("box", "partner-a"), Sanction::Sanctioned);
    assert_eq!(sanction("box", "fabrikam"), Sanction::Unsanctioned);
    let faults: Vec<String> =
        loader.finish().expect_err("two slips").iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "egret.toml:2: sanctioned_tenants: 'dropbx' is no service; did you mean dropbox?",
            "egret.toml:5: monitored_services: 'pastes' is no service and no category; did you mean paste?",
        ]
    );
}
