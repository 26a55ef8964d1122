//! The catalogue as it ships: no faults, the right answers, and every refusal with its place.

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
    assert!(catalogue.rules().len() >= 3_400, "{}", catalogue.rules().len());
    assert_eq!(catalogue.version().len(), 12);
}

#[test]
fn the_golden_names_come_out_right() {
    let catalogue = Catalogue::builtin();
    for (host, service, role) in GOLDEN {
        let found = catalogue.classify(host);
        let found = found.map(|v| (catalogue.service(v.service).slug.as_str(), v.role.as_str()));
        assert_eq!(found.unwrap_or(("-", "-")), (*service, *role), "{host}");
    }
}
