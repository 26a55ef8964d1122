//! Logs of web proxies and firewalls, through one mapper: a product is a line of `PRODUCTS`, a table of its columns,
//! and a function for what is odd about it. What a column means is in the words of [`Role`], as for every other log.
//!
//! A line tells of one request or session with its bytes and its destination's name: a [`Kind::Session`]. Where a
//! firewall tells of names on lines of their own, those are a [`Kind::Http`] with the session's number as uid.

use super::cells::{Cells, Role};
use super::entry::{Bad, Kind, key};
use super::value;
use crate::units::{Span, Timestamp};

/// Cells looked at in one line.
const CELLS_MAX: usize = 256;

/// How a product parts its lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Style {
    /// Words between blanks, some in quotes.
    Words,
    /// The same, named by `#Fields:` (W3C extended log format).
    Elff,
    /// Comma-separated values.
    Csv,
    /// `name=value` between blanks or tabs, values in quotes where they need it.
    Pairs,
}

/// A column of a product, by name or by place.
#[derive(Clone, Copy, Debug)]
enum Column {
    Named(&'static str, Role),
    At(usize, Role),
}

use Column::{At, Named};

/// A product whose logs are read.
struct Product {
    name: &'static str,
    style: Style,
    /// Whether a line is one of its; gives where the line begins behind what a syslog server has put before it.
    begins: fn(&[u8]) -> Option<usize>,
    columns: &'static [Column],
    /// Puts right what the columns alone do not say, and names the kind.
    finish: fn(&mut Cells) -> Kind,
}

/// Every product. The first that knows a line has it.
static PRODUCTS: &[Product] = &[
    Product { name: "W3C ELFF", style: Style::Elff, begins: elff, columns: ELFF, finish: finish_elff },
    Product {
        name: "FortiGate",
        style: Style::Pairs,
        begins: fortigate,
        columns: FORTIGATE,
        finish: finish_fortigate,
    },
    Product {
        name: "Zscaler",
        style: Style::Pairs,
        begins: zscaler,
        columns: ZSCALER,
        finish: finish_zscaler,
    },
    Product {
        name: "Palo Alto",
        style: Style::Csv,
        begins: palo_alto,
        columns: PALO_ALTO,
        finish: finish_palo_alto,
    },
    Product { name: "Umbrella", style: Style::Csv, begins: umbrella, columns: UMBRELLA, finish: session },
    Product { name: "Squid", style: Style::Words, begins: squid, columns: SQUID, finish: finish_squid },
];

static ELFF: &[Column] = &[
    Named("date", Role::Date),
    Named("time", Role::Clock),
    Named("x-timestamp-unix", Role::End),
    Named("time-taken", Role::Millis),
    Named("c-ip", Role::OrigH),
    Named("c-port", Role::OrigP),
    Named("cs-username", Role::User),
    Named("cs-bytes", Role::OrigBytes),
    Named("sc-bytes", Role::RespBytes),
    Named("cs-method", Role::Method),
    Named("cs-host", Role::Host),
    Named("cs-uri", Role::Uri),
    Named("cs-uri-port", Role::RespP),
    Named("r-port", Role::RespP),
    Named("r-ip", Role::RespH),
    Named("s-supplier-ip", Role::RespH),
    Named("r-supplier-ip", Role::RespH),
    Named("s-ip", Role::ProxyH),
    Named("cs(User-Agent)", Role::UserAgent),
    Named("sc-status", Role::Status),
];

static FORTIGATE: &[Column] = &[
    Named("eventtime", Role::End),
    Named("date", Role::Date),
    Named("time", Role::Clock),
    Named("tz", Role::Zone),
    Named("type", Role::Kind),
    Named("subtype", Role::EventType),
    Named("logid", Role::LogId),
    Named("sessionid", Role::Uid),
    Named("srcip", Role::OrigH),
    Named("srcport", Role::OrigP),
    Named("dstip", Role::RespH),
    Named("dstport", Role::RespP),
    Named("proto", Role::Proto),
    Named("duration", Role::Duration),
    Named("sentbyte", Role::OrigBytes),
    Named("rcvdbyte", Role::RespBytes),
    Named("sentpkt", Role::OrigPkts),
    Named("rcvdpkt", Role::RespPkts),
    Named("hostname", Role::Host),
    Named("url", Role::Uri),
    Named("user", Role::User),
    Named("srcmac", Role::OrigMac),
];

static ZSCALER: &[Column] = &[
    Named("", Role::End),
    Named("ClientIP", Role::OrigH),
    Named("cip", Role::OrigH),
    Named("serverip", Role::RespH),
    Named("sip", Role::RespH),
    Named("requestsize", Role::OrigBytes),
    Named("reqsize", Role::OrigBytes),
    Named("responsesize", Role::RespBytes),
    Named("respsize", Role::RespBytes),
    Named("clienttranstime", Role::Millis),
    Named("requestmethod", Role::Method),
    Named("hostname", Role::Host),
    Named("ehost", Role::Host),
    Named("url", Role::Uri),
    Named("user", Role::User),
    Named("useragent", Role::UserAgent),
    Named("status", Role::Status),
];

/// Places of TRAFFIC; THREAT has the same up to 30, and what was asked for in 31.
static PALO_ALTO: &[Column] = &[
    At(3, Role::Kind),
    At(4, Role::EventType),
    At(6, Role::Written),
    At(7, Role::OrigH),
    At(8, Role::RespH),
    At(12, Role::User),
    At(22, Role::Uid),
    At(24, Role::OrigP),
    At(25, Role::RespP),
    At(29, Role::Proto),
    At(31, Role::Uri),
    At(32, Role::OrigBytes),
    At(33, Role::RespBytes),
    At(35, Role::Ts),
    At(36, Role::Duration),
    At(44, Role::OrigPkts),
    At(45, Role::RespPkts),
];

static UMBRELLA: &[Column] = &[
    At(0, Role::Ts),
    At(1, Role::User),
    At(2, Role::OrigH),
    At(4, Role::RespH),
    At(7, Role::Uri),
    At(9, Role::UserAgent),
    At(10, Role::Status),
    At(11, Role::OrigBytes),
    At(12, Role::RespBytes),
];

static SQUID: &[Column] = &[
    At(0, Role::End),
    At(1, Role::Millis),
    At(2, Role::OrigH),
    At(4, Role::RespBytes),
    At(5, Role::Method),
    At(6, Role::Uri),
    At(7, Role::User),
    At(8, Role::RespH),
    At(10, Role::OrigBytes),
];

/// The state of one file.
#[derive(Debug)]
pub struct Sheet {
    product: usize,
    /// Meaning of each column, where a header names them.
    columns: Vec<Option<Role>>,
}

impl Sheet {
    /// The product that a line is of, if any.
    pub fn of(line: &[u8]) -> Option<Self> {
        let product = PRODUCTS.iter().position(|p| (p.begins)(line).is_some())?;
        Some(Self { product, columns: Vec::new() })
    }

    /// Reads a line: the kind of what is in `cells` then, or nothing for a header.
    pub fn line(&mut self, line: &[u8], cells: &mut Cells) -> Result<Option<Kind>, Bad> {
        let product = PRODUCTS.get(self.product).ok_or(Bad::Unknown)?;
        cells.clear(true);
        (cells.list, cells.escapes) = (b',', false);
        // The other lines of ELFF are what its header says.
        let begin = if product.style == Style::Elff { Some(0) } else { (product.begins)(line) };
        let Some(begin) = begin else { return Err(Bad::Unknown) };
        let body = line.get(begin..).unwrap_or_default();
        match product.style {
            Style::Elff => {
                if body.first() == Some(&b'#') {
                    self.header(body);
                    return Ok(None);
                }
                if self.columns.is_empty() {
                    return Err(Bad::NoHeader);
                }
                let cut = each_word(body, |at, text| {
                    if let Some(role) = self.columns.get(at).copied().flatten() {
                        put(cells, role, text);
                    }
                });
                if cut < self.columns.len() {
                    return Err(Bad::Columns);
                }
            }
            Style::Words => drop(each_word(body, |at, text| by_place(product, at, text, cells))),
            Style::Csv => each_value(body, |at, text| by_place(product, at, text, cells)),
            Style::Pairs => each_pair(body, |name, text| {
                let is = |c: &&Column| matches!(c, Named(n, _) if n.as_bytes() == name);
                if let Some(Named(_, role)) = product.columns.iter().find(is) {
                    put(cells, *role, text);
                }
            }),
        }
        let kind = (product.finish)(cells);
        if kind == Kind::Session && !cells.has(Role::Uid) {
            // No product names its requests: the line itself is one of its kind.
            cells.put(Role::Uid, format!("{:016x}", key(line)).as_bytes());
        }
        Ok(Some(kind))
    }

    /// The product's name, for people.
    pub fn name(&self) -> &'static str {
        PRODUCTS.get(self.product).map_or("", |p| p.name)
    }

    fn header(&mut self, line: &[u8]) {
        let Some(names) = line.strip_prefix(b"#Fields:") else { return };
        self.columns.clear();
        each_word(names, |_, name| {
            let is = |c: &&Column| matches!(c, Named(n, _) if n.as_bytes().eq_ignore_ascii_case(name));
            let role = ELFF.iter().find(is).map(|c| match c {
                Named(_, role) | At(_, role) => *role,
            });
            self.columns.push(role);
        });
    }
}

fn by_place(product: &Product, at: usize, text: &[u8], cells: &mut Cells) {
    let is = |c: &&Column| matches!(c, At(place, _) if *place == at);
    if let Some(At(_, role)) = product.columns.iter().find(is) {
        put(cells, *role, text);
    }
}

/// The first value of several columns that mean the same, where it says something.
fn put(cells: &mut Cells, role: Role, text: &[u8]) {
    let text = text.trim_ascii();
    if !matches!(text, b"" | b"-" | b"N/A" | b"NA" | b"None") && !cells.has(role) {
        cells.put(role, text);
    }
}

/// Words between blanks or tabs; quotes hold a word together. Gives how many there were.
fn each_word(line: &[u8], mut found: impl FnMut(usize, &[u8])) -> usize {
    let (mut rest, mut at) = (line, 0);
    while at < CELLS_MAX {
        rest = rest.trim_ascii_start();
        let Some(first) = rest.first() else { break };
        let (word, after) = if *first == b'"' {
            quoted(rest)
        } else {
            let end = rest.iter().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(rest.len());
            rest.split_at(end)
        };
        found(at, word);
        (rest, at) = (after, at + 1);
    }
    at
}

/// Values between commas, in quotes where they need it.
fn each_value(line: &[u8], mut found: impl FnMut(usize, &[u8])) {
    let mut rest = line;
    for at in 0..CELLS_MAX {
        let (value, after) = if rest.first() == Some(&b'"') {
            quoted(rest)
        } else {
            let end = memchr::memchr(b',', rest).unwrap_or(rest.len());
            rest.split_at(end)
        };
        found(at, value);
        match memchr::memchr(b',', after) {
            Some(comma) => rest = after.get(comma + 1..).unwrap_or_default(),
            None => return,
        }
    }
}

/// `name=value` between blanks or tabs. What stands before the first pair has the name "".
fn each_pair(line: &[u8], mut found: impl FnMut(&[u8], &[u8])) {
    let tabs = line.contains(&b'\t');
    let ends = |b: &u8| if tabs { *b == b'\t' } else { *b == b' ' };
    let mut rest = line;
    for _ in 0..CELLS_MAX {
        while rest.first().is_some_and(ends) {
            rest = rest.get(1..).unwrap_or_default();
        }
        if rest.is_empty() {
            return;
        }
        let end = rest.iter().position(ends).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        let Some(equals) = memchr::memchr(b'=', word) else {
            found(b"", word);
            rest = rest.get(end..).unwrap_or_default();
            continue;
        };
        let (name, value) =
            (word.get(..equals).unwrap_or_default(), rest.get(equals + 1..).unwrap_or_default());
        if value.first() == Some(&b'"') {
            let (value, after) = quoted(value);
            found(name, value);
            rest = after;
        } else {
            found(name, word.get(equals + 1..).unwrap_or_default());
            rest = rest.get(end..).unwrap_or_default();
        }
    }
}

/// What stands in quotes at the beginning, and what stands behind. A quote that never ends takes the rest. Doubled and
/// escaped quotes stay as they are: no value that matters here has one.
fn quoted(text: &[u8]) -> (&[u8], &[u8]) {
    let inner = text.get(1..).unwrap_or_default();
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'"', inner.get(from..).unwrap_or_default()).map(|at| at + from) {
        let next = inner.get(at + 1);
        let escaped = at > 0 && inner.get(at - 1) == Some(&b'\\');
        if next != Some(&b'"') && !escaped {
            return (inner.get(..at).unwrap_or_default(), inner.get(at + 1..).unwrap_or_default());
        }
        from = at + if escaped { 1 } else { 2 };
    }
    (inner, &[])
}

fn has(line: &[u8], text: &str) -> bool {
    memchr::memmem::find(line, text.as_bytes()).is_some()
}

fn elff(line: &[u8]) -> Option<usize> {
    matches!(line, [b'#', b'A'..=b'Z', ..]).then_some(0)
}

fn fortigate(line: &[u8]) -> Option<usize> {
    let begin = memchr::memmem::find(line, b"date=")?;
    (has(line, "logid=") && (has(line, "srcip=") || has(line, "devname="))).then_some(begin)
}

fn zscaler(line: &[u8]) -> Option<usize> {
    let is_one = line.contains(&b'\t') && (has(line, "vendor=Zscaler") || has(line, "product=NSS"));
    is_one.then(|| memchr::memmem::find(line, b"\t").map_or(0, |tab| date_before(line, tab)))
}

/// Where the date that ends at `end` begins: 19 characters, behind what syslog has put before it.
fn date_before(line: &[u8], end: usize) -> usize {
    let begin = end.saturating_sub(19);
    if line.get(begin).is_some_and(u8::is_ascii_digit) { begin } else { 0 }
}

fn palo_alto(line: &[u8]) -> Option<usize> {
    let kind =
        memchr::memmem::find(line, b",TRAFFIC,").or_else(|| memchr::memmem::find(line, b",THREAT,"))?;
    let comma = memchr::memchr(b',', line).filter(|comma| *comma < kind)?;
    let before = line.get(..comma).unwrap_or_default();
    Some(before.iter().rposition(|b| *b == b' ').map_or(0, |at| at + 1))
}

fn umbrella(line: &[u8]) -> Option<usize> {
    let is_date = line.get(1..20).and_then(value::time).is_some();
    (line.first() == Some(&b'"') && line.get(20..23) == Some(b"\",\"") && is_date).then_some(0)
}

fn squid(line: &[u8]) -> Option<usize> {
    let mut seen = 0u32;
    let count = each_word(line, |at, word| {
        let fits = match at {
            0 => word.contains(&b'.') && value::time(word).is_some(),
            1 => value::number(word).is_some(),
            3 | 8 => word.contains(&b'/'),
            _ => true,
        };
        seen |= u32::from(!fits) << at.min(31);
    });
    (count >= 10 && seen == 0).then_some(0)
}

/// A line that says all that a session needs; the server's address may be unknown to a proxy.
pub(super) fn session(cells: &mut Cells) -> Kind {
    cells.fall_back(Role::RespH, Role::ProxyH);
    if cells.get(&[], Role::RespH).and_then(value::address).is_none() {
        cells.replace(Role::RespH, b"0.0.0.0");
    }
    if !cells.has(Role::RespP) {
        let port = cells.get(&[], Role::Uri).and_then(port_of).unwrap_or(443);
        cells.put(Role::RespP, port.to_string().as_bytes());
    }
    Kind::Session
}

/// The port of a URL or of `host:port`.
fn port_of(url: &[u8]) -> Option<u16> {
    let authority = super::facts::authority(url);
    let port = authority.rsplit(|b| *b == b':').next().filter(|p| p.len() < authority.len());
    port.and_then(value::port).or_else(|| url.starts_with(b"http:").then_some(80))
}

/// The start of what a line tells at its end.
fn start_from_end(cells: &mut Cells) {
    let Some(end) = cells.get(&[], Role::End).and_then(value::time) else { return };
    let millis = cells.get(&[], Role::Millis).and_then(value::number);
    let secs = cells.get(&[], Role::Duration).and_then(value::span).unwrap_or_default();
    let lasted = millis.map_or(secs, |ms| Span::from_millis(ms.min(31_622_400_000) as i64));
    set_time(cells, Role::Ts, Timestamp::from_nanos(end.nanos().saturating_sub(lasted.nanos())));
    set_time(cells, Role::End, end);
}

fn set_time(cells: &mut Cells, role: Role, at: Timestamp) {
    let text = format!("{}.{:09}", at.secs(), at.nanos().rem_euclid(1_000_000_000));
    cells.replace(role, text.as_bytes());
}

/// A day and a clock make a time; UTC where no zone is told.
fn join_date(cells: &mut Cells, role: Role) {
    let (Some(date), Some(clock)) = (cells.get(&[], Role::Date), cells.get(&[], Role::Clock)) else { return };
    let zone = cells.get(&[], Role::Zone).unwrap_or_default();
    let text = [date, b" ", clock, zone].concat();
    if !cells.has(role) {
        cells.put(role, &text);
    }
}

fn finish_elff(cells: &mut Cells) -> Kind {
    join_date(cells, Role::End);
    start_from_end(cells);
    session(cells)
}

fn finish_squid(cells: &mut Cells) -> Kind {
    // HIER_DIRECT/203.0.113.9
    let peer = cells
        .get(&[], Role::RespH)
        .and_then(|p| p.rsplit(|b| *b == b'/').next())
        .unwrap_or_default()
        .to_vec();
    cells.replace(Role::RespH, &peer);
    start_from_end(cells);
    session(cells)
}

fn finish_zscaler(cells: &mut Cells) -> Kind {
    start_from_end(cells);
    session(cells)
}

fn finish_fortigate(cells: &mut Cells) -> Kind {
    // Nanoseconds since 1970 in FortiOS 6.2 and later, seconds before.
    let stamp = cells.get(&[], Role::End).map(<[u8]>::to_vec);
    match stamp.as_deref().and_then(value::number) {
        Some(nanos) if nanos > 1 << 50 => set_time(cells, Role::End, Timestamp::from_nanos(nanos as i64)),
        _ => {}
    }
    if stamp.as_ref().is_some_and(|s| s.len() == 19) {
        let nanos = stamp.as_deref().and_then(|s| std::str::from_utf8(s).ok()).and_then(|s| s.parse().ok());
        if let Some(nanos) = nanos {
            set_time(cells, Role::End, Timestamp::from_nanos(nanos));
        }
    }
    join_date(cells, Role::End);
    start_from_end(cells);
    let is = |cells: &Cells, role, text: &[u8]| cells.get(&[], role) == Some(text);
    if is(cells, Role::Kind, b"utm") && cells.has(Role::Host) {
        return Kind::Http;
    }
    // Statistics of sessions that go on are told again at their end.
    let interim = cells.get(&[], Role::LogId).is_some_and(|id| id.ends_with(b"0020"));
    if !is(cells, Role::Kind, b"traffic") || interim {
        return Kind::Other;
    }
    session(cells)
}

fn finish_palo_alto(cells: &mut Cells) -> Kind {
    let is = |cells: &Cells, role, text: &[u8]| cells.get(&[], role) == Some(text);
    if is(cells, Role::Kind, b"THREAT") && is(cells, Role::EventType, b"url") {
        let at = cells.get(&[], Role::Written).map(<[u8]>::to_vec).unwrap_or_default();
        cells.replace(Role::Ts, &at);
        // The field has no scheme, and is not a path either.
        let url = [b"http://", cells.get(&[], Role::Uri).unwrap_or_default()].concat();
        cells.replace(Role::Uri, &url);
        return Kind::Http;
    }
    if !is(cells, Role::Kind, b"TRAFFIC") || !is(cells, Role::EventType, b"end") {
        // `start` tells no bytes, `drop` and `deny` moved none.
        return Kind::Other;
    }
    cells.replace(Role::Uri, b"");
    session(cells)
}

#[cfg(test)]
mod tests;
