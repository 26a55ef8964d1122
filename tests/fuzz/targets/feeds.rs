//! What endpoint logs bring before a format reads it.

use egret::endpoint::secrets::{MAX_BYTES, redact};

/// A command line. What is taken out stays out, and nothing else moves.
pub(super) fn secrets(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let out = redact(&text);
    assert!(out.len() <= text.len().min(MAX_BYTES) * 3 + 3);
    let sentinel = format!("{} --password hunter2", text.replace(['\\', '\'', '"', '`'], ""));
    if sentinel.len() < MAX_BYTES && !text.contains("hunter2") {
        assert!(!redact(&sentinel).contains("hunter2"), "{sentinel:?}");
    }
}

pub(super) fn secret_seeds() -> Vec<Vec<u8>> {
    let lines = [
        "curl -u bob:pw -H 'Authorization: Bearer abc' https://a:b@h/x?sig=1&t=2",
        "bash -c \"mysqldump -pX --password='a b' | gzip\" %22token%22%3A%22x%22",
        "rclone config create m mega user a@b.c pass x; net use Z: \\\\h\\s pw",
        "powershell -enc JABwAGEAcwBzAHcAbwByAGQAPQAnAGgAdQBuAHQAZQByADIAJwA=",
        "-----BEGIN PRIVATE KEY-----x {\"secret\":\"a\\\"b\"} Cookie: a=b; c=d",
    ];
    lines.iter().map(|line| line.as_bytes().to_vec()).collect()
}
