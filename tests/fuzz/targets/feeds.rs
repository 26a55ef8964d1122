//! What endpoint logs bring before a format reads it.

use egret::endpoint::Context;
use egret::endpoint::feed::http::{Parsed, answer, parse};
use egret::endpoint::feed::syslog::Frames;
use egret::endpoint::secrets::{MAX_BYTES, redact};

/// A command line. What is taken out stays out, and nothing else moves.
pub(super) fn secrets(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let out = redact(&text);
    assert!(out.len() <= text.len().min(MAX_BYTES) * 3 + 3);
    // Without signs that quote, so that the last word is one in any case; and told by a word that is not there yet.
    let plain = text.replace(['\\', '\'', '"', '`'], "");
    let sentinel = format!("{plain} --password hunter2");
    if sentinel.len() < MAX_BYTES && !plain.contains("hunter2") {
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

/// A connection that carries syslog, cut anywhere: no byte is handed on twice.
pub(super) fn syslog(bytes: &[u8]) {
    let (mut frames, mut handed) = (Frames::default(), 0);
    let piece = bytes.first().map_or(1, |b| usize::from(*b) + 1);
    for piece in bytes.chunks(piece) {
        frames.push(piece, &mut |record| handed += record.len());
    }
    frames.finish(&mut |record| handed += record.len());
    assert!(handed <= bytes.len());
}

pub(super) fn syslog_seeds() -> Vec<Vec<u8>> {
    let lines = ["5 <1>ab<34>line one\r\n12 <34>two\nlines123 not a count\n", "9999999 <1>x\n<1>y\n0 <1>z\n"];
    lines.iter().map(|line| line.as_bytes().to_vec()).collect()
}

/// A connection that speaks HTTP.
pub(super) fn http(bytes: &[u8]) {
    if let Parsed::Request(request, taken) = parse(bytes, "t0ken") {
        assert!(taken <= bytes.len());
        let mut handed = 0;
        answer(&request, &mut |record, _| handed += record.len());
        assert!(handed <= request.body.len() * 4);
    }
}

pub(super) fn http_seeds() -> Vec<Vec<u8>> {
    let head = "Host: h\r\nAuthorization: Bearer t0ken\r\n";
    let chunked = "2;x=y\r\nhi\r\n3\r\n yo\r\n0\r\n\r\n";
    let bulk = "{\"create\":{}}\n{\"a\":1}\n";
    let hec = "{\"host\":\"h\",\"event\":{\"a\":1}}{\"event\":\"x\"}";
    [
        format!("POST /x HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n{chunked}"),
        format!("POST /_bulk HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{bulk}", bulk.len()),
        format!("POST /services/collector HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{hec}", hec.len()),
        format!("GET / HTTP/1.0\r\n{head}\r\n"),
    ]
    .map(String::into_bytes)
    .to_vec()
}

/// A line of alerts of another product.
pub(super) fn context(bytes: &[u8]) {
    let mut context = Context::default();
    String::from_utf8_lossy(bytes).lines().for_each(|line| context.line(line));
    let now = egret::units::Timestamp::new(1_763_632_800, 0);
    assert!(context.about([10, 0, 0, 1].into(), Some("pc1"), now).len() <= 10);
}

pub(super) fn context_seeds() -> Vec<Vec<u8>> {
    let lines = [
        "{\"timestamp\":\"2026-11-20T10:00:00.0+0000\",\"src_ip\":\"10.0.0.1\",\"alert\":{\"signature\":\"x\"}}",
        "{\"_source\":{\"@timestamp\":1763632800,\"kibana.alert.rule.name\":\"R\",\"host\":{\"ip\":[\"10.0.0.1\"]}}}",
        "{\"ts\":1763632800.5,\"note\":\"N\",\"msg\":\"m\",\"src\":\"10.0.0.1\"}",
    ];
    lines.iter().map(|line| line.as_bytes().to_vec()).collect()
}
