//! TLS that begins in the middle: STARTTLS of SMTP, IMAP, POP3, FTP, XMPP, LDAP and others (RFC 2595, RFC 3207,
//! RFC 4217, RFC 6120, RFC 4511), PostgreSQL, MySQL, RDP and SQL Server.

use super::text::find;
use super::{AppProto, Facts, GiveUp, Outcome, Talk, tls};
use crate::bytes::Reader;

/// How far into a conversation the hello is looked for.
const WINDOW: usize = 4096;

/// A message that a client sends before the hello, in a binary protocol.
const MAX_BEFORE: usize = 512;

const LDAP_START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

const POSTGRES: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Looks for a hello behind a few lines of text or behind a known binary request.
pub fn parse(talk: &Talk<'_>) -> Outcome {
    let up = talk.up;
    if up.starts_with(b"SSH-") || talk.down.starts_with(b"SSH-") {
        return Outcome::Done(Box::new(Facts { app: AppProto::Ssh, ..Facts::default() }));
    }
    if up.is_empty() {
        return if talk.done.up { Outcome::Nothing(GiveUp::Unknown) } else { Outcome::More };
    }
    let text = is_text(up.get(..4).unwrap_or(up));
    if !text && !is_binary(up, talk.down) {
        return Outcome::Nothing(GiveUp::Unknown);
    }
    let window = up.get(..WINDOW).unwrap_or(up);
    let Some(at) = hello_at(window, 1) else {
        let limit = if text { WINDOW } else { MAX_BEFORE };
        let over = talk.done.up || up.len() >= limit || (text && !is_lines(window));
        return if over { Outcome::Nothing(GiveUp::Unknown) } else { Outcome::More };
    };
    let down_window = talk.down.get(..WINDOW).unwrap_or(talk.down);
    // Until the server has answered the hello, nothing of what it said before is of use.
    let down = hello_at(down_window, 2).unwrap_or(talk.down.len());
    tls::parse(&super::slice(talk, at, down))
}

/// A record with a ClientHello (1) or ServerHello (2): eleven bytes that agree with each other.
fn hello_at(window: &[u8], kind: u8) -> Option<usize> {
    let candidates = window.iter().enumerate().filter(|(_, b)| **b == 22);
    candidates.map(|(at, _)| at).find(|at| {
        let mut r = Reader::new(window.get(*at..).unwrap_or_default());
        let mut fits = || {
            let (_, major, minor, record) = (r.u8()?, r.u8()?, r.u8()?, r.u16()?);
            let (message, len, inner) = (r.u8()?, r.u24()?, r.u8()?);
            let lengths = (38..0x1_0000).contains(&len) && record >= 4;
            Some(major == 3 && minor <= 4 && message == kind && lengths && inner == 3)
        };
        fits() == Some(true)
    })
}

fn is_text(start: &[u8]) -> bool {
    !start.is_empty() && start.iter().all(|b| matches!(b, b' '..=b'~' | b'\r' | b'\n' | b'\t'))
}

/// Still lines of text as far as it is there: else it is another protocol, and nobody need wait.
fn is_lines(window: &[u8]) -> bool {
    let tail = window.get(window.len().saturating_sub(64)..).unwrap_or(window);
    tail.iter().all(|b| matches!(b, b' '..=b'~' | b'\r' | b'\n' | b'\t' | 0x80..))
        || tail.first() == Some(&22)
        || tail.contains(&22)
}

/// The requests of binary protocols after which a client begins TLS.
fn is_binary(up: &[u8], down: &[u8]) -> bool {
    let begins = |whole: &[u8]| whole.starts_with(up.get(..whole.len()).unwrap_or(up));
    match up.first() {
        Some(0) => begins(POSTGRES),
        Some(0x30) => is_ldap_request(up),
        // RDP: a TPKT with an X.224 connection request.
        Some(3) => begins(&[3, 0]) && up.get(5).is_none_or(|c| *c == 0xe0),
        // SQL Server: a TDS packet of type "pre-login".
        Some(0x12) => begins(&[0x12, 1]),
        // MySQL: the server greets with protocol 10, the client asks in packet 1 for TLS.
        _ => up.get(3).is_none_or(|n| *n == 1) && matches!(down, [_, _, 0, 0, 10, ..]) && up.len() <= 4096,
    }
}

/// LDAP: an extended request, with the identifier of StartTLS as far as it is there.
fn is_ldap_request(up: &[u8]) -> bool {
    let mut r = Reader::new(up);
    let operation = (|| {
        r.u8()?;
        let len = r.u8()?;
        // Some clients write lengths in the long form.
        r.skip(if len & 0x80 != 0 { usize::from(len & 0x7f) } else { 0 })?;
        r.u8()?;
        r.vec8()?;
        r.u8()
    })();
    match operation {
        None => up.len() < 16,
        Some(0x77) => up.len() < 48 || find(up.get(..64).unwrap_or(up), LDAP_START_TLS).is_some(),
        Some(_) => false,
    }
}
