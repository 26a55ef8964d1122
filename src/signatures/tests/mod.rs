//! The catalogue as it ships: no faults, sorted, the right answers for names, addresses and processes.

mod hostile;
mod rules;
mod site;

use super::*;

/// Host, service and role that must come out; `-` for none.
const GOLDEN: &[(&str, &str, &str)] = &[
    ("content.dropboxapi.com", "dropbox", "upload"),
    ("uc123.previews.dropboxusercontent.com", "dropbox", "cdn"),
    ("upload.box.com", "box", "upload"),
    ("gfs262n301.userstorage.mega.co.nz", "mega", "upload"),
    ("g.api.mega.co.nz", "mega", "api"),
    ("contoso-my.sharepoint.com", "sharepoint_online", "mixed"),
    ("sn3302.up.1drv.com", "onedrive_personal", "upload"),
    ("bn3ccor002-com.be.1drv.com", "onedrive_personal", "upload"),
    ("mybucket.s3.eu-west-1.amazonaws.com", "aws_s3", "storage"),
    ("s3.us-east-2.amazonaws.com", "aws_s3", "storage"),
    ("wetransfer-eu-prod-incoming.s3.eu-west-1.amazonaws.com", "wetransfer", "upload"),
    ("ppl-ai-file-upload.s3.amazonaws.com", "perplexity", "upload"),
    ("us-std-00001.s3.dualstack.us-east-1.amazonaws.com", "icloud", "upload"),
    ("discord-attachments-uploads-prd.storage.googleapis.com", "discord", "upload"),
    ("productionresultssa7.blob.core.windows.net", "github_actions", "upload"),
    ("evil.blob.core.windows.net", "azure_blob", "storage"),
    ("onedriveclubprodbn20001.blob.core.windows.net", "onedrive_personal", "upload"),
    ("abcd.z13.blob.storage.azure.net", "azure_blob", "storage"),
    ("hooks.slack.com", "slack", "upload"),
    ("acme.webhook.office.com", "teams_webhook", "upload"),
    ("api.telegram.org", "telegram", "upload"),
    ("abc.trycloudflare.com", "cloudflared", "web"),
    ("region1.v2.argotunnel.com", "cloudflared", "upload"),
    ("x.ngrok-free.app", "ngrok", "web"),
    ("store3.gofile.io", "gofile", "upload"),
    ("gofile.io", "gofile", "web"),
    ("0x0.st", "0x0", "mixed"),
    ("pastebin.com", "pastebin", "mixed"),
    ("gcs-us-00002.content-storage-upload.googleapis.com", "icloud", "upload"),
    ("p123-content.icloud.com", "icloud", "upload"),
    ("mail.google.com", "gmail", "mixed"),
    ("fonts.googleapis.com", "-", "-"),
    ("www.google.com", "-", "-"),
    ("notdropbox.com", "-", "-"),
    ("dropbox.com.evil.example", "-", "-"),
    ("s3-us-west-2.amazonaws.com", "aws_s3", "storage"),
    ("abc.r2.cloudflarestorage.com", "cloudflare_r2", "storage"),
    ("foo.us-phoenix-1.oraclecloud.com", "-", "-"),
    ("objectstorage.us-phoenix-1.oraclecloud.com", "oracle_oci", "storage"),
];

#[test]
fn the_shipped_files_have_no_faults() {
    let (catalogue, faults, warnings) = Catalogue::read_texts(builtin::FILES, None);
    let said: Vec<String> = faults.iter().chain(&warnings).map(ToString::to_string).collect();
    assert!(said.is_empty(), "{}", said.join("\n"));
    assert!(catalogue.services().len() >= 340, "{}", catalogue.services().len());
    assert!(catalogue.rules().len() >= 3_300, "{}", catalogue.rules().len());
    assert_eq!(catalogue.version().len(), 12);
}

#[test]
fn the_golden_names_come_out_right() {
    let catalogue = shared();
    for (host, service, role) in GOLDEN {
        let found = catalogue.classify(host);
        let found = found.map(|v| (catalogue.service(v.service).slug.as_str(), v.role.as_str()));
        assert_eq!(found.unwrap_or(("-", "-")), (*service, *role), "{host}");
    }
}

#[test]
fn what_is_compiled_in_is_what_the_folder_holds() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("signatures");
    let (loaded, warnings) = Catalogue::load(Some(&dir), None).expect("the folder loads");
    assert!(warnings.is_empty());
    let builtin = Catalogue::builtin();
    assert_eq!(
        loaded.version(),
        builtin.version(),
        "a file is missing from builtin.rs, or their order differs"
    );
    assert_eq!(loaded.services().len(), builtin.services().len());
}

#[test]
fn lists_are_sorted_and_services_stand_in_order() {
    for (file, text) in builtin::FILES {
        let mut list: Vec<&str> = Vec::new();
        let mut heading = "";
        for (at, line) in text.lines().enumerate() {
            let place = format!("{file}:{}", at + 1);
            assert!(line.len() <= 130 && !line.ends_with(' '), "{place}: long or with trailing blanks");
            if line.starts_with('[') {
                assert!(heading < line.trim_end_matches(']'), "{place}: {line} is out of order");
                heading = line.trim_end_matches(']');
            }
            let items = match line.split_once('[').filter(|_| line.contains(" = [")) {
                Some((_, items)) => {
                    list.clear();
                    items
                }
                None => line,
            };
            let items = items.split('"').skip(1).step_by(2).filter(|_| !line.contains(" = \""));
            for item in items {
                let sorted = line.contains('/') || list.last().is_none_or(|last| *last < item);
                assert!(sorted, "{place}: '{item}' is out of order or twice");
                list.push(item);
            }
        }
    }
}

#[test]
fn every_category_has_services_and_every_technique_is_covered() {
    let catalogue = shared();
    for category in Category::ALL {
        assert!(catalogue.services().any(|s| s.category == *category), "{category}");
    }
    for technique in Technique::ALL {
        let count = catalogue.services().filter(|s| s.technique == Some(*technique)).count();
        assert!(count >= 15, "{technique}: {count}");
    }
    for service in catalogue.services() {
        assert_eq!(service.weight == 0, service.category == Category::Noise, "{}", service.slug);
        assert_eq!(catalogue.find(&service.slug), Some(service.id));
        assert!(service.patterns > 0 && !service.name.is_empty());
    }
    let weighty = catalogue.rules().filter(|rule| rule.weighty).count();
    assert!((2_500..catalogue.rules().len() - 500).contains(&weighty), "{weighty}");
}

#[test]
fn a_rule_is_found_by_a_name_made_from_it() {
    let catalogue = shared();
    for rule in catalogue.rules() {
        let text = rule.pattern.as_str();
        let host = text.replace("<tenant>", "acme").replacen("*.", "x.", usize::from(text.starts_with("*.")));
        let host = host.trim_start_matches('.').replace("*.", "eu-1.").replace(['*', '?'], "7");
        let found = catalogue.classify(&host).and_then(|v| catalogue.rule(v.rule));
        let found = found.unwrap_or_else(|| panic!("{host} of {text} is not found"));
        // A more precise rule may win, but never one of lower rank.
        assert!(
            found.pattern.rank(9) >= rule.pattern.rank(9) || found.service == rule.service,
            "{host} {text}"
        );
    }
}

#[test]
fn tenants_are_read_from_names() {
    let catalogue = shared();
    for (host, tenant) in [
        ("contoso.sharepoint.com", Some("contoso")),
        ("contoso-my.sharepoint.com", Some("contoso")),
        ("contoso-files.sharepoint.com", Some("contoso")),
        ("contoso-myfiles.sharepoint.com", Some("contoso")),
        ("Evil.Blob.Core.Windows.Net:443", Some("evil")),
        ("mybucket.s3.eu-west-1.amazonaws.com", Some("mybucket")),
        ("mybucket.s3.dualstack.eu-west-1.amazonaws.com", Some("mybucket")),
        ("mybucket.s3.amazonaws.com", Some("mybucket")),
        ("mybucket.s3-us-west-2.amazonaws.com", Some("mybucket")),
        ("s3.eu-west-1.amazonaws.com", None),
        ("bucket.account.r2.cloudflarestorage.com", Some("account")),
        ("abc.s3.eu-central-2.wasabisys.com", Some("abc")),
        ("acme.atlassian.net", Some("acme")),
        ("contoso.sharepoint.com.mcas.ms", Some("contoso")),
        ("content.dropboxapi.com", None),
    ] {
        let verdict = catalogue.classify(host).unwrap_or_else(|| panic!("{host}"));
        assert_eq!(verdict.tenant.as_deref(), tenant, "{host}");
    }
}

#[test]
fn a_name_seen_nowhere_weighs_what_its_parent_weighs() {
    let catalogue = shared();
    let weighty = |host: &str| catalogue.classify(host).map(|v| v.weighty);
    assert_eq!(weighty("block.dropbox.com"), Some(true), "below .dropbox.com, which is well known");
    assert_eq!(
        weighty("eu-irl-00001.s3.eu-west-1.amazonaws.com"),
        Some(false),
        "parent belongs to another service"
    );
}

#[test]
fn owned_addresses_name_their_service() {
    let catalogue = shared();
    for (ip, slug) in [
        ("162.125.1.2", "dropbox"),
        ("149.154.167.220", "telegram"),
        ("2001:67c:4e8::1", "telegram"),
        ("140.82.121.4", "github"),
        ("::ffff:162.125.1.2", "dropbox"),
        ("13.107.136.9", "sharepoint_online"),
        ("52.112.0.1", "teams"),
    ] {
        let found = catalogue.by_address(ip.parse().expect(ip)).map(|id| catalogue.service(id).slug.clone());
        assert_eq!(found.as_deref(), Some(slug), "{ip}");
    }
    for ip in ["8.8.8.8", "104.16.0.1", "52.216.0.1", "17.0.0.1", "192.168.1.1", "::1", "162.124.255.255"] {
        assert_eq!(catalogue.by_address(ip.parse().expect(ip)), None, "{ip}");
    }
    assert_eq!(catalogue.by_asn(19679), catalogue.find("dropbox"));
    assert_eq!(catalogue.by_asn(13335), None);
}

#[test]
fn tools_and_applications_are_found_by_process() {
    let catalogue = shared();
    assert!(catalogue.tools().len() >= 55 && catalogue.applications().len() >= 190);
    let tools = |process| catalogue.tools_named(process).map(|t| t.slug.as_str()).collect::<Vec<_>>();
    assert_eq!(tools(r"C:\Users\x\RClone.EXE"), ["rclone"]);
    assert_eq!(tools("/usr/bin/mega-put"), [""; 0], "the command server uploads, not the shell around it");
    assert_eq!(tools("curl"), ["curl"]);
    let word: Vec<_> = catalogue.applications_named("WINWORD.EXE").collect();
    assert!(word.iter().all(|a| a.watch == Watch::Watched && a.os == Os::Windows) && word.len() == 1);
    assert!(catalogue.applications_named("vmx").any(|a| a.os == Os::Esxi && a.weight == 95));
}

#[test]
fn the_commands_say_how_and_by_which_rule() {
    let catalogue = shared();
    let table = table(catalogue);
    assert!(table.lines().count() == catalogue.services().len() + 2);
    assert!(table.contains("T1567.002") && table.contains("upload"));
    let text = describe(catalogue, "contoso-my.sharepoint.com");
    for part in [
        "sharepoint_online",
        "mixed",
        "tenant",
        "contoso",
        "<tenant>-my.sharepoint.com",
        "cloud_storage.toml:",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(describe(catalogue, "dropbpx.com").contains("near       .dropbox.com of Dropbox"));
    assert!(describe(catalogue, "x.oraclecloud.com").contains("oraclecloud.com"));
    assert!(describe(catalogue, "162.125.1.1").contains("Dropbox"));
    assert!(describe(catalogue, "10.0.0.1").contains("no network"));
    let hostile = describe(catalogue, "a\u{1b}[31m\n.example");
    assert!(!hostile.contains('\u{1b}') && hostile.lines().count() == 1, "{hostile:?}");
}

/// The built-in catalogue, read once for all tests.
fn shared() -> &'static Catalogue {
    static CATALOGUE: std::sync::OnceLock<Catalogue> = std::sync::OnceLock::new();
    CATALOGUE.get_or_init(Catalogue::builtin)
}
