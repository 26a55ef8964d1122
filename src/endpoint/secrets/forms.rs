//! Texts that are secrets by their own form: `user:pass@host`, tokens with a known beginning, webhooks, private keys.

use super::{Found, redact, run};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Beginnings of tokens, and how long they are at least in all.
const TOKENS: &[(&str, usize)] = &[
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 20),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("xoxa-", 16),
    ("xoxs-", 16),
    ("xapp-", 16),
    ("AKIA", 20),
    ("ASIA", 20),
    ("AIza", 35),
    ("sk-", 24),
    ("sk_live_", 16),
    ("rk_live_", 16),
    ("SG.", 24),
    ("eyJ", 30),
    ("ya29.", 20),
    ("npm_", 30),
    ("pypi-", 30),
    ("dop_v1_", 30),
    ("hf_", 24),
    ("sl.", 40),
    ("SWMTKN-", 20),
];
/// Paths whose rest is a secret.
const HOOKS: &[&str] = &[
    "hooks.slack.com/services/",
    "/api/webhooks/",
    "hooks.slack.com/workflows/",
    "/webhookb2/",
    "chat.googleapis.com/v1/spaces/",
    "hooks.zapier.com/hooks/catch/",
    "maker.ifttt.com/trigger/",
    "api.telegram.org/bot",
];
/// Schemes whose rest is a mailbox, not an account with a password.
const MAILBOXES: &[&str] = &["mailto", "sip", "sips", "xmpp"];

fn ends_word(b: u8) -> bool {
    b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'`' | b'<' | b'>' | b'|')
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
}

/// Marks what is a secret by its form.
pub(super) fn mark(found: &mut Found<'_>) {
    let text = found.text;
    let mut at = 0;
    while at < text.len() {
        let from = run(text, at, ends_word);
        let to = run(text, from, |b| !ends_word(b));
        if from < to {
            word(found, from, to);
        }
        at = to.max(at + 1);
    }
    for hook in HOOKS {
        for (start, hook) in text.match_indices(hook) {
            let from = start + hook.len();
            found.mark(from..run(text, from, |b| !ends_word(b)));
        }
    }
    private_keys(found);
}

fn word(found: &mut Found<'_>, from: usize, to: usize) {
    let word = &found.text[from..to];
    if let Some(at) = word.rfind('@') {
        account(found, from, &found.text[from..from + at]);
    }
    let mut at = 0;
    while at < word.len() {
        at = run(word, at, |b| !is_token(b));
        let end = run(word, at, is_token);
        let token = &word[at..end];
        let known = TOKENS.iter().any(|(head, len)| token.len() >= *len && token.starts_with(head));
        if known && token.bytes().any(|b| b.is_ascii_digit()) {
            found.mark(from + at..from + end);
        }
        at = end;
    }
    encoded(found, from, to);
}

/// `scheme://user:password@`, `user:password@`: what stands before the last `@`.
fn account(found: &mut Found<'_>, from: usize, before: &str) {
    let (scheme, begin) = match before.find("://") {
        Some(at) => (Some(&before[..at]), at + 3),
        None => (None, 0),
    };
    let user = &before[begin..];
    // An address with a path or a question before the `@` has no account in it.
    if scheme.is_some() && user.contains(['/', '?', '#']) {
        return;
    }
    let Some(colon) = user.find(':') else {
        if scheme.is_some() && user.len() >= 16 && super::looks_random(user) {
            found.mark(from + begin..from + before.len());
        }
        return;
    };
    let head = user[..colon].rsplit(['=', ',']).next().unwrap_or("");
    let drive = colon == 1 && user[colon + 1..].starts_with(['\\', '/']);
    let digest = found.text[from + before.len() + 1..].starts_with("sha256:");
    let mailbox = scheme.is_none() && MAILBOXES.iter().any(|m| head.eq_ignore_ascii_case(m));
    if !drive && !digest && !mailbox {
        found.mark(from + begin + colon + 1..from + before.len());
    }
}

/// A PowerShell script in base64 goes when it holds a secret.
fn encoded(found: &mut Found<'_>, from: usize, to: usize) {
    let word = &found.text[from..to];
    if word.len() < 40 || !word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
    {
        return;
    }
    let Ok(bytes) = STANDARD.decode(word) else { return };
    let wide = bytes.get(1) == Some(&0);
    let script = if wide {
        let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        String::from_utf16_lossy(&units)
    } else {
        match String::from_utf8(bytes) {
            Ok(text) if text.contains(' ') => text,
            _ => return,
        }
    };
    if redact(&script) != script {
        found.mark(from..to);
    }
}

fn private_keys(found: &mut Found<'_>) {
    for (at, _) in found.text.match_indices("PRIVATE KEY-----") {
        let from = at + "PRIVATE KEY-----".len();
        let Some(n) = found.text[from..].find("-----END") else {
            found.mark(from..found.text.len());
            return;
        };
        found.mark(from..from + n);
    }
}
