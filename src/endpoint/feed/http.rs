//! HTTP push: lines of JSON to any path, Elasticsearch `_bulk`, Splunk's HTTP event collector.
//!
//! A pure reader of requests over bytes, and the answers. Without the token nothing is read; a body is bounded before and
//! after it is unpacked.

use crate::endpoint::Hint;
use flate2::read::{GzDecoder, ZlibDecoder};
use std::io::Read;

/// Largest head of a request.
pub const MAX_HEAD: usize = 16 << 10;
/// Largest body as sent.
pub const MAX_BODY: usize = 8 << 20;
/// Largest body unpacked.
pub const MAX_PLAIN: usize = 64 << 20;
/// Headers at most.
const MAX_HEADERS: usize = 100;
/// Items of a bulk request that are answered one by one.
const MAX_ITEMS: usize = 100_000;

/// A request, read whole.
#[derive(Debug)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Its path, without the question.
    pub path: String,
    /// What it authorises itself with.
    pub authorization: Option<String>,
    /// Unpacked.
    pub body: Vec<u8>,
    /// The connection is to stay open.
    pub keep: bool,
}

/// What became of bytes.
#[derive(Debug)]
pub enum Parsed {
    /// A request, and how many bytes it took.
    Request(Box<Request>, usize),
    /// More bytes are needed. True: the sender waits to be asked for the body.
    More(bool),
    /// This status, and the connection ends.
    Bad(u16),
}

/// What is known of the head.
#[derive(Default)]
struct Head {
    length: Option<usize>,
    chunked: bool,
    encoding: Option<Encoding>,
    authorization: Option<String>,
    close: bool,
    wants_asking: bool,
}

#[derive(Clone, Copy)]
enum Encoding {
    Gzip,
    Deflate,
}

/// Reads a request from the bytes of a connection. `token`: what it must bring; a request without is refused before its
/// body is waited for.
pub fn parse(bytes: &[u8], token: &str) -> Parsed {
    let Some(end) =
        memchr::memmem::find(bytes.get(..MAX_HEAD.min(bytes.len())).unwrap_or_default(), b"\r\n\r\n")
    else {
        return if bytes.len() >= MAX_HEAD { Parsed::Bad(431) } else { Parsed::More(false) };
    };
    let Ok(text) = std::str::from_utf8(bytes.get(..end).unwrap_or_default()) else { return Parsed::Bad(400) };
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or("").split(' ');
    let (Some(method), Some(target), Some(version)) = (first.next(), first.next(), first.next()) else {
        return Parsed::Bad(400);
    };
    if !version.starts_with("HTTP/1.") || first.next().is_some() || !target.starts_with('/') {
        return Parsed::Bad(400);
    }
    let head = match head(lines) {
        Ok(head) => head,
        Err(status) => return Parsed::Bad(status),
    };
    if !may(head.authorization.as_deref(), token) {
        return Parsed::Bad(401);
    }
    let rest = bytes.get(end + 4..).unwrap_or_default();
    let (raw, taken) = match body(&head, rest) {
        Ok(Some(found)) => found,
        Ok(None) => return Parsed::More(head.wants_asking && rest.is_empty()),
        Err(status) => return Parsed::Bad(status),
    };
    let Ok(body) = unpack(raw, head.encoding) else { return Parsed::Bad(400) };
    let Some(body) = body else { return Parsed::Bad(413) };
    let path = target.split(['?', '#']).next().unwrap_or("/").to_owned();
    let keep = !head.close && version != "HTTP/1.0";
    let request = Request { method: method.to_owned(), path, authorization: head.authorization, body, keep };
    Parsed::Request(Box::new(request), end + 4 + taken)
}

fn head<'h>(lines: impl Iterator<Item = &'h str>) -> Result<Head, u16> {
    let mut head = Head::default();
    for (i, line) in lines.enumerate() {
        if i >= MAX_HEADERS {
            return Err(431);
        }
        let (name, value) = line.split_once(':').ok_or(400_u16)?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                let length = value.parse().map_err(|_| 400_u16)?;
                // Two lengths that differ are a way to smuggle.
                if head.length.is_some_and(|old| old != length) {
                    return Err(400);
                }
                head.length = Some(length);
            }
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => head.chunked = true,
            "transfer-encoding" => return Err(501),
            "content-encoding" => {
                head.encoding = match value.to_ascii_lowercase().as_str() {
                    "gzip" | "x-gzip" => Some(Encoding::Gzip),
                    "deflate" => Some(Encoding::Deflate),
                    "identity" | "" => None,
                    _ => return Err(415),
                }
            }
            "authorization" => head.authorization = Some(value.to_owned()),
            "connection" => head.close = value.eq_ignore_ascii_case("close"),
            "expect" => head.wants_asking = value.eq_ignore_ascii_case("100-continue"),
            _ => {}
        }
    }
    if head.chunked && head.length.is_some() {
        return Err(400);
    }
    if head.length.is_some_and(|length| length > MAX_BODY) {
        return Err(413);
    }
    Ok(head)
}

/// The body as sent and how many bytes it took; `None`: not all is there.
fn body(head: &Head, rest: &[u8]) -> Result<Option<(Vec<u8>, usize)>, u16> {
    if head.chunked {
        return chunks(rest);
    }
    let length = head.length.unwrap_or(0);
    Ok(rest.get(..length).map(|body| (body.to_vec(), length)))
}

fn chunks(rest: &[u8]) -> Result<Option<(Vec<u8>, usize)>, u16> {
    let (mut at, mut out) = (0, Vec::new());
    loop {
        let tail = rest.get(at..).unwrap_or_default();
        let Some(end) = memchr::memmem::find(tail.get(..64.min(tail.len())).unwrap_or_default(), b"\r\n")
        else {
            return if tail.len() >= 64 { Err(400) } else { Ok(None) };
        };
        let size = std::str::from_utf8(tail.get(..end).unwrap_or_default()).ok();
        let size =
            size.and_then(|s| usize::from_str_radix(s.split(';').next().unwrap_or("").trim(), 16).ok());
        let size = size.ok_or(400_u16)?;
        if size > MAX_BODY || out.len() + size > MAX_BODY {
            return Err(413);
        }
        at += end + 2;
        if size == 0 {
            // Trailers are not taken.
            return match rest.get(at..at + 2) {
                Some(b"\r\n") => Ok(Some((out, at + 2))),
                Some(_) => Err(400),
                None => Ok(None),
            };
        }
        let Some(chunk) = rest.get(at..at + size) else { return Ok(None) };
        match rest.get(at + size..at + size + 2) {
            Some(b"\r\n") => {}
            Some(_) => return Err(400),
            None => return Ok(None),
        }
        out.extend_from_slice(chunk);
        at += size + 2;
    }
}

/// `Ok(None)`: larger than is taken.
fn unpack(raw: Vec<u8>, encoding: Option<Encoding>) -> std::io::Result<Option<Vec<u8>>> {
    let mut plain = Vec::new();
    let most = MAX_PLAIN as u64 + 1;
    match encoding {
        None => return Ok(Some(raw)),
        Some(Encoding::Gzip) => GzDecoder::new(&*raw).take(most).read_to_end(&mut plain)?,
        Some(Encoding::Deflate) => ZlibDecoder::new(&*raw).take(most).read_to_end(&mut plain)?,
    };
    Ok((plain.len() <= MAX_PLAIN).then_some(plain))
}

/// Whether the token is there: after `Bearer`, `Splunk`, `ApiKey`, `Token`, or as the password of `Basic`.
fn may(authorization: Option<&str>, token: &str) -> bool {
    use base64::Engine;
    let Some((scheme, given)) = authorization.and_then(|a| a.trim().split_once(' ')) else { return false };
    let given = given.trim();
    if scheme.eq_ignore_ascii_case("basic") {
        let Ok(pair) = base64::engine::general_purpose::STANDARD.decode(given) else { return false };
        let password = pair.iter().position(|b| *b == b':').and_then(|at| pair.get(at + 1..));
        return password.is_some_and(|p| same(p, token.as_bytes()));
    }
    let known = ["bearer", "splunk", "apikey", "token"].iter().any(|s| scheme.eq_ignore_ascii_case(s));
    known && same(given.as_bytes(), token.as_bytes())
}

/// Equal, in a time that does not tell how far they are.
fn same(a: &[u8], b: &[u8]) -> bool {
    use sha2::{Digest, Sha256};
    let (a, b) = (Sha256::digest(a), Sha256::digest(b));
    a.iter().zip(b.iter()).fold(0, |all, (x, y)| all | (x ^ y)) == 0
}

/// An answer to a request, and the records that it brought.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// JSON.
    pub body: String,
}

/// Takes a request: hands on its records, and answers it.
pub fn answer(request: &Request, hand: &mut dyn FnMut(&[u8], &Hint)) -> Answer {
    let ok = |body: &str| Answer { status: 200, body: body.to_owned() };
    let path = request.path.trim_end_matches('/');
    match (request.method.as_str(), path) {
        ("GET" | "HEAD", "") => ok(PRODUCT),
        ("GET" | "HEAD", "/_license" | "/_xpack") => ok(LICENCE),
        ("GET" | "HEAD", "/services/collector/health" | "/services/collector/health/1.0") => {
            ok(r#"{"text":"HEC is healthy","code":17}"#)
        }
        ("POST" | "PUT", path) if path == "/_bulk" || path.ends_with("/_bulk") => bulk(&request.body, hand),
        ("POST", path) if path.starts_with("/services/collector/raw") => {
            lines(&request.body, &Hint::default(), hand);
            ok(r#"{"text":"Success","code":0}"#)
        }
        ("POST", path) if path.starts_with("/services/collector") => collector(&request.body, hand),
        // Templates and policies that shippers set up: taken, and not needed.
        ("PUT" | "GET" | "HEAD", path) if path.starts_with("/_") => ok("{\"acknowledged\":true}"),
        ("POST" | "PUT", _) => {
            hand(&request.body, &Hint::default());
            ok("{\"ok\":true}")
        }
        _ => Answer { status: 404, body: r#"{"error":"post events here"}"#.to_owned() },
    }
}

/// What Elasticsearch says of itself: shippers ask before they send.
const PRODUCT: &str = r#"{"name":"egret","cluster_name":"egret","version":{"number":"8.17.0","build_flavor":"default"},"tagline":"You Know, for Search"}"#;
const LICENCE: &str = r#"{"license":{"status":"active","type":"basic","uid":"egret"},"features":{}}"#;

fn lines(body: &[u8], hint: &Hint, hand: &mut dyn FnMut(&[u8], &Hint)) {
    for line in body.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|l| !l.is_empty()) {
        hand(line, hint);
    }
}

/// Lines of an action and a document by turns.
fn bulk(body: &[u8], hand: &mut dyn FnMut(&[u8], &Hint)) -> Answer {
    let mut answer = String::from(r#"{"took":0,"errors":false,"items":["#);
    let mut items = 0;
    let mut lines = body.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|l| !l.is_empty());
    while let Some(action) = lines.next() {
        let head = action.get(..24.min(action.len())).unwrap_or_default();
        let has = |word: &[u8]| memchr::memmem::find(head, word).is_some();
        let (name, document) = match () {
            () if has(b"\"create\"") => ("create", true),
            () if has(b"\"index\"") => ("index", true),
            () if has(b"\"update\"") => ("update", true),
            () if has(b"\"delete\"") => ("delete", false),
            () => {
                return Answer { status: 400, body: r#"{"error":"no action of a bulk request"}"#.to_owned() };
            }
        };
        if document && let Some(document) = lines.next() {
            hand(document, &Hint::default());
        }
        items += 1;
        if items <= MAX_ITEMS {
            let comma = if items == 1 { "" } else { "," };
            answer.push_str(&format!(
                r#"{comma}{{"{name}":{{"_index":"egret","_id":"{items}","status":201,"result":"created"}}}}"#
            ));
        }
    }
    answer.push_str("]}");
    Answer { status: 200, body: answer }
}

/// Objects one behind the other, each with the event in it.
fn collector(body: &[u8], hand: &mut dyn FnMut(&[u8], &Hint)) -> Answer {
    #[derive(serde::Deserialize)]
    struct Envelope<'e> {
        host: Option<String>,
        #[serde(borrow)]
        event: Option<&'e serde_json::value::RawValue>,
    }
    let mut taken = 0_u64;
    for envelope in serde_json::Deserializer::from_slice(body).into_iter::<Envelope<'_>>() {
        let Ok(Envelope { host, event: Some(event) }) = envelope else {
            let body = format!(r#"{{"text":"Invalid data format","code":6,"invalid-event-number":{taken}}}"#);
            return Answer { status: 400, body };
        };
        let hint = Hint { host: host.map(Into::into), ..Hint::default() };
        // An event is an object, or a line in quotes.
        match serde_json::from_str::<String>(event.get()) {
            Ok(text) => hand(text.as_bytes(), &hint),
            Err(_) => hand(event.get().as_bytes(), &hint),
        }
        taken += 1;
    }
    if taken == 0 {
        return Answer { status: 400, body: r#"{"text":"No data","code":5}"#.to_owned() };
    }
    Answer { status: 200, body: r#"{"text":"Success","code":0}"#.to_owned() }
}

/// The answer as bytes.
pub fn response(answer: &Answer, keep: bool) -> Vec<u8> {
    let words = match answer.status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        408 => "Request Timeout",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        _ => "Service Unavailable",
    };
    let connection = if keep { "keep-alive" } else { "close" };
    // Shippers of Elastic believe only an answer with this header.
    format!(
        "HTTP/1.1 {} {words}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: {connection}\r\n\
         x-elastic-product: Elasticsearch\r\n\r\n{}",
        answer.status,
        answer.body.len(),
        answer.body
    )
    .into_bytes()
}

/// The answer to bytes that are no request.
pub fn refusal(status: u16) -> Vec<u8> {
    response(&Answer { status, body: format!(r#"{{"error":"{status}"}}"#) }, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const HEAD: &str = "POST /x HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer t0ken\r\n";

    fn request(bytes: &[u8]) -> Request {
        match parse(bytes, "t0ken") {
            Parsed::Request(request, taken) => {
                assert!(taken <= bytes.len());
                *request
            }
            other => panic!("{other:?}"),
        }
    }

    fn records(request: &Request) -> (Vec<String>, u16, String) {
        let mut got = Vec::new();
        let answer = answer(request, &mut |record, hint| {
            let host = hint.host.as_deref().map(|h| format!("{h}: ")).unwrap_or_default();
            got.push(host + &String::from_utf8_lossy(record));
        });
        (got, answer.status, answer.body)
    }

    fn post(path: &str, body: &str) -> Request {
        let text = format!(
            "POST {path} HTTP/1.1\r\nAuthorization: Splunk t0ken\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        request(text.as_bytes())
    }

    #[test]
    fn bodies_by_length_by_chunks_and_packed() {
        let text = format!("{HEAD}Content-Length: 2\r\n\r\nhixx");
        let Parsed::Request(got, taken) = parse(text.as_bytes(), "t0ken") else { panic!("a request") };
        assert_eq!((&*got.body, taken), (&b"hi"[..], text.len() - 2));
        let text = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n3\r\n yo\r\n0\r\n\r\n");
        assert_eq!(request(text.as_bytes()).body, b"hi yo");
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"{\"a\":1}\n").expect("room");
        let body = gz.finish().expect("room");
        let mut text =
            format!("{HEAD}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        text.extend(body);
        assert_eq!(request(&text).body, b"{\"a\":1}\n");
        for cut in 0..text.len() {
            assert!(matches!(parse(&text[..cut], "t0ken"), Parsed::More(_)), "{cut}");
        }
    }

    #[test]
    fn no_token_no_entry() {
        for (header, good) in [
            ("Authorization: Bearer t0ken", true),
            ("authorization: splunk t0ken", true),
            ("Authorization: ApiKey t0ken", true),
            ("Authorization: Basic ZWdyZXQ6dDBrZW4=", true),
            ("Authorization: Bearer t0kem", false),
            ("Authorization: Basic ZWdyZXQ6eA==", false),
            ("Authorization: t0ken", false),
            ("X: y", false),
        ] {
            // Refused before the body is there.
            let text = format!("POST / HTTP/1.1\r\n{header}\r\nContent-Length: 1000000\r\n\r\n");
            match parse(text.as_bytes(), "t0ken") {
                Parsed::Bad(401) => assert!(!good, "{header}"),
                Parsed::More(_) => assert!(good, "{header}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_is_too_large_or_ambiguous_is_refused() {
        for (text, status) in [
            (format!("{HEAD}Content-Length: 99999999\r\n\r\n"), 413),
            (format!("{HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400),
            (format!("{HEAD}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400),
            (format!("{HEAD}Transfer-Encoding: gzip\r\n\r\n"), 501),
            (format!("{HEAD}Content-Encoding: br\r\nContent-Length: 0\r\n\r\n"), 415),
            (format!("{HEAD}Transfer-Encoding: chunked\r\n\r\nfffffff\r\n"), 413),
            (format!("{HEAD}X: {}\r\n\r\n", "y".repeat(MAX_HEAD)), 431),
            ("NONSENSE\r\n\r\n".to_owned(), 400),
        ] {
            assert!(
                matches!(parse(text.as_bytes(), "t0ken"), Parsed::Bad(got) if got == status),
                "{text:.80}"
            );
        }
        // A small body that unpacks to a very large one.
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![0; 1 << 20];
        (0..70).for_each(|_| gz.write_all(&zeros).expect("room"));
        let body = gz.finish().expect("room");
        let mut text =
            format!("{HEAD}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        text.extend(body);
        assert!(matches!(parse(&text, "t0ken"), Parsed::Bad(413)));
    }

    #[test]
    fn bulk_requests_are_answered_item_by_item() {
        let body =
            "{\"create\":{\"_index\":\"x\"}}\n{\"a\":1}\n{ \"index\" : {}}\n{\"b\":2}\n{\"delete\":{}}\n";
        let (got, status, said) = records(&post("/logs/_bulk?x=y", body));
        assert_eq!((got, status), (vec!["{\"a\":1}".to_owned(), "{\"b\":2}".to_owned()], 200));
        let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(said["items"].as_array().map(Vec::len), Some(3));
        assert_eq!(said["items"][0]["create"]["status"], 201);
        assert_eq!(records(&post("/_bulk", "nonsense\n")).1, 400);
    }

    #[test]
    fn the_collector_takes_objects_and_lines() {
        let body = "{\"host\":\"h1\",\"event\":{\"a\":1}}{\"event\":\"<Event>\\\"x\\\"</Event>\"}\n";
        let (got, status, _) = records(&post("/services/collector/event", body));
        assert_eq!((got, status), (vec!["h1: {\"a\":1}".to_owned(), "<Event>\"x\"</Event>".to_owned()], 200));
        assert_eq!(records(&post("/services/collector", "{\"event\":1} {\"x\"")).1, 400);
        assert_eq!(records(&post("/services/collector", "")).1, 400);
        let (got, ..) = records(&post("/services/collector/raw", "a\r\nb\n"));
        assert_eq!(got, ["a", "b"]);
    }

    #[test]
    fn shippers_are_answered_what_they_ask_first() {
        let get = |path: &str| {
            request(format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer t0ken\r\n\r\n").as_bytes())
        };
        assert!(records(&get("/")).2.contains("8.17.0"));
        assert!(records(&get("/_license")).2.contains("active"));
        assert_eq!(records(&get("/x")).1, 404);
        let (got, ..) = records(&post("/", "{\"a\":1}\n{\"a\":2}\n"));
        assert_eq!(got, ["{\"a\":1}\n{\"a\":2}\n"]);
        let answer = response(&Answer { status: 200, body: "{}".to_owned() }, true);
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(b"\r\n\r\n{}"));
    }

    #[test]
    fn hostile() {
        let good = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n3\r\n yo\r\n0\r\n\r\n");
        crate::parse::hostile::all(good.as_bytes(), |bytes| {
            if let Parsed::Request(request, taken) = parse(bytes, "t0ken") {
                assert!(taken <= bytes.len() && request.body.len() <= bytes.len());
                answer(&request, &mut |_, _| {});
            }
        });
        for body in ["{\"create\":{}}\n{\"a\":1}\n", "{\"host\":\"h\",\"event\":{\"a\":1}}"] {
            crate::parse::hostile::all(body.as_bytes(), |bytes| {
                for path in ["/_bulk", "/services/collector", "/services/collector/raw"] {
                    let request = Request {
                        method: "POST".to_owned(),
                        path: path.to_owned(),
                        authorization: None,
                        body: bytes.to_vec(),
                        keep: true,
                    };
                    answer(&request, &mut |_, _| {});
                }
            });
        }
    }
}
