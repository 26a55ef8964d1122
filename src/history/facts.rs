//! Names that logs tell of connections, as the facts that parsers would have found; one copy per name.

use crate::detect::Map;
use crate::parse::certificate::Leaf;
use crate::parse::text::{MAX_NAME, is_name, printable};
use crate::parse::{AppProto, Certificate, Ech, Facts, HttpFacts, NameSource, TlsFacts};
use std::sync::Arc;

/// Names remembered per kind. Beyond this the memory is emptied: it is a cache, nothing is lost.
const MAX_CACHED: usize = 1 << 16;
/// Outer names of encrypted hellos: logs do not tell the extension, but nobody has business with these hosts.
const PUBLIC_NAMES: &[&str] =
    &["cloudflare-ech.com", "cloudflare-esni.com", "public.tls-ech.dev", "cover.defo.ie", "encryptedsni.com"];

/// Makes facts of names and shares them.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By protocol: TLS, QUIC.
    hellos: [Map<Box<[u8]>, Arc<Facts>>; 2],
    hosts: Map<Box<[u8]>, Arc<Facts>>,
    plain: Vec<Arc<Facts>>,
}

/// A request as a log tells it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Request<'a> {
    pub(super) method: &'a [u8],
    pub(super) host: &'a [u8],
    pub(super) uri: &'a [u8],
    pub(super) agent: Option<&'a [u8]>,
    pub(super) status: Option<u16>,
    pub(super) length: Option<u64>,
}

impl Names {
    /// A hello over TLS or QUIC; `None` when there is no name in it.
    pub(super) fn hello(&mut self, name: &[u8], quic: bool) -> Option<Arc<Facts>> {
        let name = name.strip_suffix(b".").unwrap_or(name);
        let cache = self.hellos.get_mut(usize::from(quic))?;
        if let Some(facts) = cache.get(name) {
            return Some(Arc::clone(facts));
        }
        let text = named(name)?;
        let outer = PUBLIC_NAMES.contains(&&*text);
        let source = match (outer, quic) {
            (true, _) => NameSource::EchOuterSni,
            (_, true) => NameSource::QuicSni,
            _ => NameSource::Sni,
        };
        let ech = if outer { Ech::RealLikely } else { Ech::None };
        let tls = TlsFacts { sni: Some(text.clone()), ech, ..TlsFacts::default() };
        let facts = Arc::new(Facts {
            app: if quic { AppProto::Quic } else { AppProto::Tls },
            name: Some((text, source)),
            tls: Some(Box::new(tls)),
            ..Facts::default()
        });
        remember(cache, name, &facts);
        Some(facts)
    }

    /// The same name over QUIC.
    pub(super) fn over_quic(&mut self, facts: Arc<Facts>) -> Arc<Facts> {
        if facts.app != AppProto::Tls {
            return facts;
        }
        match facts.name.as_ref().and_then(|(name, _)| self.hello(name.as_bytes(), true)) {
            Some(quic) => quic,
            None => facts,
        }
    }

    /// The destination that a proxy or firewall names on the line of the connection itself.
    pub(super) fn destination(&mut self, name: &[u8]) -> Option<Arc<Facts>> {
        let name = host(name)?;
        if let Some(facts) = self.hosts.get(name) {
            return Some(Arc::clone(facts));
        }
        let text = named(name)?;
        let facts = Arc::new(Facts {
            app: AppProto::Http,
            target: Some(text.clone()),
            name: Some((text, NameSource::Connect)),
            ..Facts::default()
        });
        remember(&mut self.hosts, name, &facts);
        Some(facts)
    }

    /// A connection of which only the protocol is known.
    pub(super) fn nameless(&mut self, app: AppProto) -> Option<Arc<Facts>> {
        if app == AppProto::Unknown {
            return None;
        }
        if let Some(facts) = self.plain.iter().find(|f| f.app == app) {
            return Some(Arc::clone(facts));
        }
        let facts = Arc::new(Facts { app, ..Facts::default() });
        self.plain.push(Arc::clone(&facts));
        Some(facts)
    }
}

/// A request in the clear, or to a proxy.
pub(super) fn request(request: &Request<'_>) -> Option<Arc<Facts>> {
    let connect = request.method == b"CONNECT";
    let absolute = !request.uri.starts_with(b"/") && crate::parse::text::find(request.uri, b"://").is_some();
    let to_proxy = connect || absolute;
    let host = host(request.host).or_else(|| host(authority(request.uri)).filter(|_| to_proxy));
    let name = named(host?)?;
    let http = HttpFacts {
        method: printable(request.method),
        host: printable(request.host),
        url: printable(request.uri),
        user_agent: request.agent.map(printable),
        status: request.status,
        request_bytes: request.length,
        agent_malformed: request.agent.is_some_and(crate::parse::user_agent::is_malformed),
        agent_carries_data: request.agent.is_some_and(crate::parse::user_agent::carries_data),
        ..HttpFacts::default()
    };
    let source = if to_proxy { NameSource::Connect } else { NameSource::HttpHost };
    Some(Arc::new(Facts {
        app: AppProto::Http,
        name: Some((name, source)),
        target: to_proxy.then(|| printable(request.host)),
        http: Some(Box::new(http)),
        ..Facts::default()
    }))
}

/// The name in a certificate.
pub(super) fn certificate(subject: &str, names: Vec<Box<str>>) -> Option<Arc<Facts>> {
    let certificate = Certificate { subject: subject.into(), names, ..Certificate::default() };
    let name = crate::parse::certificate::host_name(&certificate)?;
    let tls = TlsFacts { certificate: Some(Arc::new(Leaf::known(certificate))), ..TlsFacts::default() };
    Some(Arc::new(Facts {
        app: AppProto::Tls,
        name: Some((name, NameSource::Certificate)),
        tls: Some(Box::new(tls)),
        ..Facts::default()
    }))
}

fn remember(cache: &mut Map<Box<[u8]>, Arc<Facts>>, name: &[u8], facts: &Arc<Facts>) {
    if cache.len() >= MAX_CACHED {
        cache.clear();
    }
    cache.insert(name.into(), Arc::clone(facts));
}

fn named(name: &[u8]) -> Option<Box<str>> {
    if !is_name(name) {
        return None;
    }
    let text = printable(name);
    (text.len() <= MAX_NAME).then_some(text)
}

/// The host of `host[:port]`, where it is a name.
fn host(authority: &[u8]) -> Option<&[u8]> {
    let host = authority.split(|b| *b == b':').next()?.trim_ascii();
    let host = host.strip_suffix(b".").unwrap_or(host);
    (!host.is_empty()
        && host != b"-"
        && !authority.starts_with(b"[")
        && super::value::address(host).is_none())
    .then_some(host)
}

/// Host and port of an absolute URL, or of `host:port`.
pub(super) fn authority(url: &[u8]) -> &[u8] {
    let rest = match crate::parse::text::find(url, b"://") {
        Some(at) => url.get(at + 3..).unwrap_or_default(),
        None => url,
    };
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let all = rest.get(..end).unwrap_or_default();
    all.rsplit(|b| *b == b'@').next().unwrap_or(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(facts: Option<Arc<Facts>>) -> Option<(String, NameSource)> {
        facts?.name.as_ref().map(|(name, source)| (name.to_string(), *source))
    }

    #[test]
    fn names_and_where_they_come_from() {
        let mut n = Names::default();
        assert_eq!(source(n.hello(b"mega.nz.", false)), Some(("mega.nz".into(), NameSource::Sni)));
        assert_eq!(source(n.hello(b"mega.nz", true)), Some(("mega.nz".into(), NameSource::QuicSni)));
        let outer = n.hello(b"cloudflare-ech.com", false);
        assert_eq!(source(outer), Some(("cloudflare-ech.com".into(), NameSource::EchOuterSni)));
        assert!(n.hello(b"", false).is_none() && n.hello(&[b'x'; 300], false).is_none());
        let same = (n.hello(b"mega.nz", false), n.hello(b"mega.nz", false));
        assert!(matches!(same, (Some(a), Some(b)) if Arc::ptr_eq(&a, &b)));
    }

    #[test]
    fn requests() {
        let ask = |method: &str, host: &str, uri: &str| {
            let (method, host, uri) = (method.as_bytes(), host.as_bytes(), uri.as_bytes());
            source(request(&Request { method, host, uri, ..Request::default() }))
        };
        assert_eq!(ask("POST", "paste.rs", "/"), Some(("paste.rs".into(), NameSource::HttpHost)));
        assert_eq!(ask("CONNECT", "", "mega.nz:443"), Some(("mega.nz".into(), NameSource::Connect)));
        let url = "http://u:p@x.example:8080/a?b";
        assert_eq!(ask("PUT", "", url), Some(("x.example".into(), NameSource::Connect)));
        assert_eq!((ask("GET", "10.0.0.1:80", "/"), ask("GET", "", "/x://y")), (None, None));
    }
}
