//! One incident on one screen, from its record: what an analyst reads at three in the morning.

use super::{Page, WIDTH, clean, folded};
use crate::units::Bytes;
use serde_json::Value;
use std::fmt::Write as _;

/// Parts of lists that are shown.
const SHOWN: usize = 5;

/// The page of an incident, from its newest EVE record.
pub fn incident(record: &Value, colour: bool) -> String {
    let egret = record.get("egret").unwrap_or(&Value::Null);
    let i = egret.get("incident").unwrap_or(&Value::Null);
    let mut page = Page { text: String::new(), colour };
    let severity = text(i, "severity");
    let code = if matches!(severity.as_str(), "critical" | "high") { "1;31" } else { "1;33" };
    page.entry("", &severity.to_ascii_uppercase(), Some(code), &text(i, "text"));
    let tier = i.pointer("/escalate/tier").and_then(Value::as_u64).unwrap_or(1);
    let reason = i.pointer("/escalate/reason").and_then(Value::as_str).unwrap_or_default();
    let colon = if reason.is_empty() { "" } else { ": " };
    row(&mut page, "tier", &format!("{tier}{colon}{}", clean(reason)));
    row(&mut page, "host", &host(egret));
    let service = ["service", "category", "tenant", "sanction"].map(|key| text(egret, key));
    let service: Vec<&str> = service.iter().map(String::as_str).filter(|t| !t.is_empty()).collect();
    row(&mut page, "to", &format!("{} ({})", text(egret, "name"), service.join(", ")));
    let bytes = |key: &str| Bytes(i.get(key).and_then(Value::as_u64).unwrap_or(0)).to_string();
    let day = bytes("up_bytes_24h");
    row(
        &mut page,
        "bytes",
        &format!("{} out ({day} in 24 h), {} in", bytes("up_bytes"), bytes("down_bytes")),
    );
    row(&mut page, "when", &format!("{} to {}", text(i, "first_seen"), text(i, "last_seen")));
    let score = i.get("score").and_then(Value::as_f64).unwrap_or(0.0);
    row(&mut page, "found by", &format!("{} ({}), score {score:.2}", text(i, "analytic"), text(i, "lane")));
    let reasons = items(i, "evidence")
        .filter(|e| e.get("contribution").and_then(Value::as_f64).is_some_and(|c| c >= 0.0));
    for (n, reason) in reasons.take(SHOWN).enumerate() {
        row(&mut page, if n == 0 { "why" } else { "" }, &text(reason, "text"));
    }
    answers(&mut page, i);
    for (n, flow) in items(i, "flows").take(SHOWN).enumerate() {
        let out = Bytes(flow.get("up_bytes").and_then(Value::as_u64).unwrap_or(0));
        let to = format!("{}:{}", text(flow, "dest_ip"), flow.get("dest_port").cloned().unwrap_or_default());
        let ids = format!("{} {}", text(flow, "uid"), text(flow, "community_id"));
        row(
            &mut page,
            if n == 0 { "flows" } else { "" },
            &format!("{out} to {to} {} {ids}", text(flow, "name")),
        );
    }
    for (n, step) in items(i, "containment").take(SHOWN).enumerate() {
        row(&mut page, if n == 0 { "could do" } else { "" }, &clean(step.as_str().unwrap_or_default()));
    }
    row(
        &mut page,
        "id",
        &format!(
            "{}, record {} ({})",
            text(i, "id"),
            i.get("seq").cloned().unwrap_or_default(),
            text(i, "phase")
        ),
    );
    page.text
}

/// A word and, beside it, text that is folded.
fn row(page: &mut Page, word: &str, text: &str) {
    for (i, line) in folded(text, WIDTH - 20).iter().enumerate() {
        // Writing into a String cannot fail.
        let _ = writeln!(page.text, "  {:<17} {line}", if i == 0 { word } else { "" });
    }
}

fn answers(page: &mut Page, i: &Value) {
    let Some(answers) = i.get("answers").and_then(Value::as_object) else { return };
    for (name, answer) in answers {
        let state = text(answer, "state");
        row(page, &clean(&name.replace('_', " ")), &format!("{state}: {}", text(answer, "text")));
    }
}

fn host(egret: &Value) -> String {
    let host = egret.get("host").unwrap_or(&Value::Null);
    let parts = ["ip", "name", "mac", "user", "role"].map(|key| text(host, key));
    let mut parts: Vec<String> = parts.into_iter().filter(|t| !t.is_empty()).collect();
    if let Some(process) = egret.get("process") {
        parts.push(format!("process {}", text(process, "name")));
    }
    parts.join(", ")
}

fn text(object: &Value, key: &str) -> String {
    clean(object.get(key).and_then(Value::as_str).unwrap_or_default())
}

fn items<'v>(object: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    object.get(key).and_then(Value::as_array).into_iter().flatten()
}
