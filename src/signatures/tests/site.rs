//! The site's policy: what it grants, and what it must not.

use super::*;
use crate::units::{Bytes, Span, Timestamp};

fn with(site: &str) -> (Catalogue, Vec<String>, Vec<String>) {
    let site = format!("schema = 1\n{site}");
    let mut catalogue = shared().clone();
    let Findings { faults, warnings } = site_load::read(&mut catalogue, "site.toml", &site);
    let lines = |list: Vec<Fault>| list.iter().map(ToString::to_string).collect();
    (catalogue, lines(faults), lines(warnings))
}

#[track_caller]
fn accepted(site: &str) -> Catalogue {
    let (catalogue, faults, warnings) = with(site);
    assert!(faults.is_empty() && warnings.is_empty(), "{faults:#?} {warnings:#?}");
    catalogue
}

#[track_caller]
fn refused(site: &str, line: usize, part: &str) {
    let (_, faults, _) = with(site);
    assert!(faults.len() == 1, "{faults:#?}");
    assert!(
        faults[0].starts_with(&format!("site.toml:{line}: ")) && faults[0].contains(part),
        "{}",
        faults[0]
    );
}

const ALLOW: &str = "[[allow]]\nservice = \"google_drive\"\nhosts = [\"10.1.2.0/24\", \"design-*\"]\n\
    groups = [\"studio\"]\nprocesses = [\"rclone\"]\nbudget = \"20 GB/24h\"\nexpires = 2027-01-31\n\
    owner = \"it\"\nreason = \"ticket 4711\"\n";

#[test]
fn tenants_are_own_sanctioned_foreign_or_unknown() {
    let catalogue = accepted(
        "own_tenants = [\"contoso\", \"contoso-*\"]\n[[sanction]]\nservice = \"aws_s3\"\ntenants = [\"partner-*\"]\n\
         sources = [\"10.20.0.0/16\"]\nprocesses = [\"aws\"]\nhard_cap = \"50 GiB/24h\"\n",
    );
    let site = catalogue.site();
    let [sharepoint, s3, drive] =
        ["sharepoint_online", "aws_s3", "google_drive"].map(|s| catalogue.find(s).expect(s));
    let inside = Who { address: "10.20.1.1".parse().ok(), process: Some(r"C:\AWS.exe"), ..Who::default() };
    let outside = Who { address: "10.21.1.1".parse().ok(), ..inside };
    for (service, tenant, who, wanted) in [
        (sharepoint, Some("contoso"), outside, Sanction::Own),
        (s3, Some("contoso-backup"), outside, Sanction::Own),
        (sharepoint, Some("fabrikam"), inside, Sanction::Unsanctioned),
        (s3, Some("partner-x"), inside, Sanction::Sanctioned),
        (s3, Some("partner-x"), outside, Sanction::Unsanctioned),
        (s3, Some("Partner-X"), inside, Sanction::Sanctioned),
        (s3, None, inside, Sanction::Unknown),
        (drive, None, inside, Sanction::Unknown),
    ] {
        assert_eq!(site.sanction(service, tenant, &who), wanted, "{tenant:?} {who:?}");
    }
    let cap = site.standing(s3, Some("partner-x"), &inside).and_then(|s| s.hard_cap).expect("a cap");
    assert_eq!(cap, Budget { bytes: Bytes(50 << 30), per: Span::from_secs(86_400) });
    let silent = shared().clone();
    assert_eq!(silent.site().sanction(sharepoint, Some("contoso"), &inside), Sanction::Unknown);
}

#[test]
fn own_services_come_first_and_own_names_extend_shipped_ones() {
    let catalogue = accepted(
        "[[service]]\nid = \"corp_cloud\"\nname = \"Corp\"\ncategory = \"cloud_storage\"\nown = true\n\
         mixed = [\"files.dropbox.com\", \".cloud.contoso.example\"]\n\
         [[service]]\nid = \"mega\"\nupload = [\"mega-mirror.contoso.example\"]\n[[weight]]\nservice = \"slack\"\nweight = 5\n",
    );
    let corp = catalogue.find("corp_cloud").expect("own service");
    let verdict = catalogue.classify("files.dropbox.com").expect("a verdict");
    assert_eq!((verdict.service, verdict.weighty), (corp, true));
    assert_eq!(catalogue.site().sanction(corp, None, &Who::default()), Sanction::Own);
    let mirror = catalogue.classify("mega-mirror.contoso.example").map(|v| (v.service, v.role));
    assert_eq!(mirror, catalogue.find("mega").map(|id| (id, Role::Upload)));
    assert_eq!(catalogue.find("slack").map(|id| catalogue.service(id).weight), Some(5));
    assert!(describe(&catalogue, "a.cloud.contoso.example").contains("site.toml:7"));
}

#[test]
fn an_allowance_is_for_its_hosts_processes_and_days_only() {
    let catalogue = accepted(ALLOW);
    let drive = catalogue.find("google_drive").expect("drive");
    let who = Who { address: "10.1.2.3".parse().ok(), process: Some("/usr/bin/rclone"), ..Who::default() };
    let by_name = Who { name: Some("DESIGN-7"), process: Some("rclone.exe"), ..Who::default() };
    let by_group = Who { groups: &["studio"], process: Some("rclone"), ..Who::default() };
    let last = Timestamp::new(1_801_439_999, 0);
    for who in [who, by_name, by_group] {
        let entry = catalogue.site().allowance(drive, &who, last).expect("in force");
        assert_eq!(entry.budget.bytes, Bytes(20_000_000_000));
        assert!(
            catalogue.site().allowance(drive, &who, Timestamp::new(1_801_440_000, 0)).is_none(),
            "the day after"
        );
    }
    let elsewhere = Who { address: "10.1.3.3".parse().ok(), ..who };
    let other = Who { process: Some("curl"), ..who };
    let unseen = Who { process: None, ..who };
    for who in [elsewhere, other, unseen, Who::default()] {
        assert!(catalogue.site().allowance(drive, &who, last).is_none(), "{who:?}");
    }
    assert!(
        catalogue.find("mega").is_some_and(|mega| catalogue.site().allowance(mega, &who, last).is_none())
    );
}

#[test]
fn an_entry_that_has_ended_gives_a_warning() {
    let catalogue = accepted(ALLOW);
    assert!(catalogue.site().expired(Timestamp::new(1_801_439_999, 0)).is_empty());
    let said = catalogue.site().expired(Timestamp::new(1_801_440_000, 0));
    let said = said.first().map(ToString::to_string).unwrap_or_default();
    assert!(said.starts_with("site.toml:2: ") && said.contains("2027-01-31"), "{said}");
}

#[test]
fn what_would_blind_is_refused_with_a_cure() {
    let without = |key: &str| {
        ALLOW
            .lines()
            .filter(|line| !line.starts_with(key))
            .fold(String::new(), |text, line| text + line + "\n")
    };
    let instead = |key: &str, line: &str| without(key) + line + "\n";
    refused(&without("budget"), 2, "add budget = ");
    refused(&without("expires"), 2, "no exception lasts for ever");
    refused(&without("owner"), 2, "add owner = ");
    refused(&without("reason"), 2, "add reason = ");
    refused(&without("service"), 2, "add service = ");
    refused(&(without("hosts").replace("groups = [\"studio\"]\n", "")), 2, "is for everybody");
    refused(
        &instead("hosts", "hosts = [\"10.0.0.0/4\"]").replace("10.0.0.0/4", "0.0.0.0/0"),
        10,
        "takes in the world",
    );
    refused(&instead("hosts", "hosts = [\"*\"]"), 10, "takes in everything");
    refused(&instead("hosts", "hosts = [\"10.0.0.0/33\"]"), 10, "no network");
    refused(&instead("service", "service = \"*\""), 10, "more than one service");
    refused(&instead("service", "service = \"cloud_storage\""), 10, "more than one service");
    refused(&instead("service", "service = \"aws\""), 10, "the whole provider; name one service");
    refused("[[sanction]]\nservice = \"Microsoft\"\ntenants = [\"contoso\"]\n", 3, "the whole provider");
    refused(&instead("service", "service = \"gogle_drive\""), 10, "did you mean google_drive?");
    refused(&format!("{ALLOW}category = \"cloud_storage\"\n"), 2, "a whole category");
    refused(&instead("budget", "budget = \"20 GB\""), 10, "20 GB/24h");
    refused(&instead("budget", "budget = \"0 B/24h\""), 10, "is no budget");
    refused(&instead("budget", "budget = \"20/24h\""), 10, "is no size");
    refused(&instead("expires", "expires = \"soon\""), 10, "write a date");
    refused("[[ignore]]\nservice = \"dropbox\"\n", 2, "would blind dropbox");
    refused("[[weight]]\nservice = \"dropbox\"\nweight = 0\n", 2, "would blind dropbox");
    refused("[[sanction]]\nservice = \"dropbox\"\n", 2, "everybody and any amount");
    refused(
        "[[sanction]]\nservice = \"aws_s3\"\ntenants = [\"*\"]\nhard_cap = \"1 GB/1h\"\n",
        4,
        "everything",
    );
    refused("own_tenants = [\"*\"]", 2, "everything");
    refused(
        "[[service]]\nid = \"dropbox\"\nown = true\nweb = [\"x.example.org\"]\n",
        3,
        "not all of it is yours",
    );
    refused(
        "[[service]]\nid = \"x\"\ncategory = \"paste\"\nmixed = [\".google.com\"]\n",
        5,
        "takes in all of google.com",
    );
    refused(
        "[[service]]\nid = \"x\"\ncategory = \"paste\"\nweight = 0\nmixed = [\"x.example.org\"]\n",
        3,
        "would blind x",
    );
    for name in ["content.dropboxapi.com", ".dropboxapi.com", "*.mega.co.nz"] {
        let noise = format!("[[service]]\nid = \"x\"\ncategory = \"noise\"\nupload = [\"{name}\"]\n");
        refused(&noise, 5, "noise; write an [[allow]] entry");
        let own = noise.replace("noise", "cloud_storage").replace("upload", "own = true\nupload");
        refused(&own, 6, "the site's own; write an [[allow]] entry");
    }
    refused("[[alow]]\nservice = \"dropbox\"\n", 2, "did you mean allow?");
}

#[test]
fn narrow_entries_that_add_up_to_a_category_are_refused() {
    let builtin = shared().clone();
    let backup = builtin.services().filter(|s| s.category == Category::CloudBackup);
    let all: String = backup.map(|s| ALLOW.replace("google_drive", &s.slug)).collect();
    let (_, faults, _) = with(&all);
    assert!(faults.len() == 1 && faults[0].contains("whole category cloud_backup"), "{faults:?}");
}

#[test]
fn narrow_entries_that_add_up_to_a_provider_are_refused() {
    let builtin = shared().clone();
    let amazon =
        builtin.services().filter(|s| ["aws_", "amazon_drive"].iter().any(|p| s.slug.starts_with(p)));
    let mut all: Vec<_> = amazon.map(|s| ALLOW.replace("google_drive", &s.slug)).collect();
    let (_, faults, _) = with(&all.concat());
    assert!(faults.len() == 1 && faults[0].contains("whole provider Amazon"), "{faults:?}");
    all.pop();
    accepted(&all.concat());
    let elsewhere = ALLOW.replace("google_drive", "aws_lambda_url").replace("studio", "other");
    all.retain(|entry| !entry.contains("aws_lambda_url"));
    accepted(&[all.concat(), elsewhere].concat());
}

#[test]
fn noise_may_be_ignored_to_no_effect() {
    accepted("[[service]]\nid = \"x\"\ncategory = \"noise\"\nupload = [\"crash.contoso.example\"]\n");
    let (_, faults, warnings) = with("[[ignore]]\nservice = \"speedtest\"\n");
    assert!(faults.is_empty() && warnings.len() == 1 && warnings[0].contains("noise already"), "{faults:?}");
}

#[test]
fn the_site_is_part_of_the_version() {
    let (catalogue, faults, _) = Catalogue::read_texts(builtin::FILES, Some(("site.toml", "schema = 1")));
    assert!(faults.is_empty() && catalogue.version() != shared().version());
}

#[test]
fn tenants_of_the_main_configuration_count_too() {
    let mut catalogue = shared().clone();
    let s3 = catalogue.find("aws_s3");
    catalogue.site_mut().add_tenants(true, None, ["contoso".to_owned()]);
    catalogue.site_mut().add_tenants(false, s3, ["partner".to_owned()]);
    let id = s3.expect("s3");
    let say = |tenant| catalogue.site().sanction(id, Some(tenant), &Who::default());
    assert_eq!(
        [say("contoso"), say("partner"), say("evil")],
        [Sanction::Own, Sanction::Sanctioned, Sanction::Unsanctioned]
    );
}

#[test]
fn the_documented_example_is_accepted() {
    let doc = include_str!("../site_load.rs").lines().map_while(|line| line.strip_prefix("//!"));
    let example: Vec<&str> = doc.skip_while(|line| line.trim() != "```toml").skip(1).collect();
    let end = example.iter().position(|line| line.trim() == "```").expect("an end");
    let text: String = example[..end].iter().map(|line| line.replacen(' ', "", 1) + "\n").collect();
    let catalogue = accepted(text.strip_prefix("schema = 1\n").expect("the schema first"));
    assert_eq!((catalogue.site().standings().len(), catalogue.site().allow_list().len()), (4, 1));
}
