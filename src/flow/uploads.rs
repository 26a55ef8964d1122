//! Counts uploads by what can be seen from outside: the client sends, the server answers, nothing is decrypted.
//!
//! Where TLS records are followed, their lengths tell both: what the client sent since the last answer is one upload if
//! it is long enough, and an answer is a record that is longer than what only steers the connection. Where they are not
//! (a capture that is cut, a gap), lengths of segments stand in. Datagrams of QUIC are told apart by silence alone: what
//! its servers acknowledge is at times as long as what they answer.

use super::key::Side;
use super::record::{Cold, Flag, Hot};
use crate::observe::Uploads;
use crate::parse::{AppProto, Facts};
use crate::units::Span;

/// What is shorter than this in clear steers the connection: `100 Continue` (RFC 9110), window updates, acknowledged
/// settings and pings (RFC 9113). Answers have a status and a few headers.
const ANSWER: u32 = 60;
/// The same with record header and cipher.
pub const ANSWER_ON_WIRE: u32 = 100;
/// A request begins with its head, on its own or with a little of the body.
const HEAD: u32 = 4_096;
/// A segment of this length is a full one.
const FULL: u32 = 1_300;
/// Servers of TLS 1.3 send tickets (RFC 8446 §4.6.1) as soon as the handshake is over, at most so many groups of records,
/// while the client has sent no more than this.
const TICKETS: u8 = 2;
const TICKETS_BEFORE: u64 = 128 * 1024;
/// What the cipher adds in TLS 1.3.
const TLS13: u16 = 17;
/// A datagram of QUIC that carries data; shorter ones acknowledge.
pub const DATAGRAM: u32 = 600;
/// Silence that ends a burst of datagrams: whoever waits for the network hears from the other side in between.
pub const SILENCE: Span = Span::from_millis(50);

/// What a flow has beside its totals once something was uploaded.
#[derive(Clone, Copy, Default, Debug)]
pub struct Bursts {
    /// What was found, `open` left out.
    found: Uploads,
    /// Application bytes and payload of the client at the last answer.
    answered_at: [u64; 2],
    /// The same at the one before.
    before: [u64; 2],
    /// Nothing has come from the client since.
    fresh: bool,
    /// Answers that were tickets.
    tickets: u8,
}

/// One segment that may begin or end an upload.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    /// Who sent it.
    pub side: Side,
    /// Its longest record in clear; where none was followed, its length.
    pub largest: u32,
    /// Records were followed.
    pub followed: bool,
    /// What it acknowledges.
    pub ack: Option<u32>,
}

/// Where the client's upload stands, in application bytes and in payload.
fn sent(hot: &Hot, cold: &Cold) -> [u64; 2] {
    let client = cold.originator;
    let payload = cold.payload_told(client) + u64::from(hot.sides[client.index()].payload);
    [cold.app(client), payload]
}

/// Takes a segment that may begin or end an upload.
pub fn glance(hot: &Hot, cold: &mut Cold, seen: Glance) {
    // What the other side had sent when this was: not all of it acknowledged means that the two overlap.
    let overlaps = seen.ack.is_some_and(|ack| ack != hot.sides[seen.side.other().index()].next);
    if seen.side == cold.originator {
        let Some(more) = cold.has_more_mut() else { return };
        let tls13 = more.tls_overhead == TLS13;
        if let Some(bursts) = more.bursts.as_deref_mut().filter(|bursts| bursts.fresh) {
            bursts.begin(seen, overlaps, tls13);
        }
        return;
    }
    if seen.largest < if seen.followed { ANSWER } else { ANSWER_ON_WIRE } {
        return;
    }
    let now = sent(hot, cold);
    let more = cold.more();
    let before = more.bursts.as_ref().map_or(more.answered_at.map(u64::from), |bursts| bursts.answered_at);
    let [app, payload] = [0, 1].map(|i| now[i].saturating_sub(before[i]));
    // Some of it was not followed: then the payload is all there is.
    let rough = app < payload - payload / 16;
    // A record may claim more than came.
    let size = if rough { payload } else { app.min(payload) };
    if size >= Uploads::LEAST {
        let one_by_one = more.facts.as_deref().is_some_and(one_by_one);
        more.bursts.get_or_insert_default().end(size, rough, overlaps, one_by_one);
    }
    match more.bursts.as_deref_mut() {
        Some(bursts) => {
            (bursts.before, bursts.answered_at) = (before, now);
            bursts.fresh = true;
        }
        None => more.answered_at = now.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
    }
}

/// A burst of the client's datagrams is over.
pub fn silence(cold: &mut Cold, side: Side) {
    if side == cold.originator {
        let found = &mut cold.more().bursts.get_or_insert_default().found;
        found.answered = found.answered.saturating_add(1);
    }
}

/// The protocol sends one request after the other: HTTP/1.1, or what asks for no protocol at all.
fn one_by_one(facts: &Facts) -> bool {
    let Some(tls) = facts.tls.as_ref().filter(|_| facts.app == AppProto::Tls) else { return false };
    match &tls.server_alpn {
        Some(chosen) => **chosen != *"h2",
        None => !tls.client_alpns.iter().any(|name| **name == *"h2"),
    }
}

impl Bursts {
    /// The client goes on after an answer.
    fn begin(&mut self, seen: Glance, overlaps: bool, tls13: bool) {
        self.fresh = false;
        let headless = seen.largest > if seen.followed { HEAD } else { FULL };
        let size = u64::from(self.found.largest) * Uploads::UNIT;
        let found = &mut self.found;
        if (overlaps || headless)
            && (tls13 && self.tickets < TICKETS && found.answered == 1 && size <= TICKETS_BEFORE)
        {
            // It was no answer: the upload goes on.
            self.tickets += 1;
            self.answered_at = self.before;
            *found = Uploads {
                unclear: found.unclear.saturating_add(1),
                one_by_one: found.one_by_one,
                ..Uploads::default()
            };
        } else if overlaps {
            found.overlapping = found.overlapping.saturating_add(1);
        } else if headless || !seen.followed {
            found.unclear = found.unclear.saturating_add(1);
        }
    }

    fn end(&mut self, size: u64, rough: bool, overlaps: bool, one_by_one: bool) {
        let found = &mut self.found;
        let size = units(size);
        found.smallest = if found.answered == 0 { size } else { found.smallest.min(size) };
        found.largest = found.largest.max(size);
        found.answered = found.answered.saturating_add(1);
        found.rough = found.rough.saturating_add(u8::from(rough));
        found.overlapping = found.overlapping.saturating_add(u8::from(overlaps));
        found.one_by_one = one_by_one;
    }
}

/// What is known of a flow's uploads now. `datagrams`: it is QUIC.
pub fn found(hot: &Hot, cold: &Cold, datagrams: bool) -> Uploads {
    let Some(more) = cold.has_more().filter(|_| hot.has(Flag::TLS)) else { return Uploads::default() };
    let (found, before) = match more.bursts.as_deref() {
        Some(bursts) => (bursts.found, bursts.answered_at),
        None => (Uploads::default(), more.answered_at.map(u64::from)),
    };
    if datagrams {
        let open = units(hot.follow[cold.originator.index()].sent().unwrap_or_default());
        let unclear = u8::try_from(found.answered.max(1)).unwrap_or(u8::MAX);
        return Uploads { open, unclear, rough: 1, ..found };
    }
    let open = units(sent(hot, cold)[1].saturating_sub(before[1]));
    Uploads { open, one_by_one: more.facts.as_deref().is_some_and(one_by_one), ..found }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes / Uploads::UNIT).unwrap_or(u32::MAX)
}
