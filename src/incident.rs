//! The life of an incident: opened once, updated as it grows, closed when nothing more goes out.

use crate::flow::key::Seeds;
use crate::observe::{Ends, FlowId};
use crate::output::{Identity, Phase, Severity};
use crate::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Progress is written at most this often, unless severity rises.
const UPDATE_EVERY: Span = Span::from_secs(3_600);
/// Growth that is worth an update.
const UPDATE_GROWTH: u64 = 4;

/// An open incident.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Incident {
    /// Sensor name and ULID.
    pub id: String,
    /// Records written so far.
    pub seq: u32,
    /// Severity of the last record.
    pub severity: Severity,
    /// When it was opened.
    pub opened: Timestamp,
    /// When bytes went out last.
    pub grown: Timestamp,
    /// Bytes out since it was opened, the window before included.
    pub up_bytes: u64,
    /// The flow that crossed the level.
    pub flow: FlowId,
    /// Its ends.
    pub ends: Ends,
    /// Its VLANs.
    pub path: crate::decode::Path,
    /// Its names.
    pub identity: Identity,
    written: Timestamp,
    written_bytes: u64,
}

/// What a look at an incident asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// Open, update or final.
    pub phase: Phase,
    /// Worth an alert record.
    pub alert: bool,
}

impl Incident {
    /// Opens an incident with `up_bytes` in its window.
    #[allow(clippy::too_many_arguments)] // each is a different fact, and there is one caller
    pub fn open(
        id: String,
        at: Timestamp,
        severity: Severity,
        up_bytes: u64,
        flow: FlowId,
        ends: Ends,
        path: crate::decode::Path,
        identity: Identity,
    ) -> Self {
        Self {
            id,
            seq: 0,
            severity,
            opened: at,
            grown: at,
            up_bytes,
            flow,
            ends,
            path,
            identity,
            written: at,
            written_bytes: up_bytes,
        }
    }

    /// More bytes went out.
    pub fn grow(&mut self, out: u64, now: Timestamp) {
        self.up_bytes = self.up_bytes.saturating_add(out);
        self.grown = self.grown.max(now);
    }

    /// Bytes turned out to have gone elsewhere.
    pub fn shrink(&mut self, out: u64) {
        self.up_bytes = self.up_bytes.saturating_sub(out);
    }

    /// Whether a record is due after growth. A rise of severity is always worth one, and an alert.
    pub fn due(&self, severity: Severity, now: Timestamp) -> Option<Due> {
        if severity > self.severity {
            return Some(Due { phase: Phase::Update, alert: true });
        }
        let grown = self.up_bytes / UPDATE_GROWTH >= self.written_bytes;
        (grown && now.since(self.written) >= UPDATE_EVERY)
            .then_some(Due { phase: Phase::Update, alert: false })
    }

    /// Nothing more went out for `idle`.
    pub fn is_over(&self, now: Timestamp, idle: Span) -> bool {
        now.since(self.grown) > idle
    }

    /// Notes that a record is being written and gives its number.
    pub fn write(&mut self, severity: Severity, now: Timestamp) -> u32 {
        self.seq += 1;
        self.severity = self.severity.max(severity);
        self.written = now;
        self.written_bytes = self.up_bytes.max(1);
        self.seq
    }
}

/// Crockford's base 32.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Sensor name and ULID (48 bits of milliseconds, 80 bits that are a hash of what makes the incident, so that a replay
/// gives the same).
pub fn id(sensor: &str, at: Timestamp, facts: &[u64]) -> String {
    let mut mixed = [0u64; 2];
    for fact in facts {
        let seeds = Seeds::from_seed(mixed[0] ^ fact);
        mixed = [seeds.0[0] ^ mixed[1].rotate_left(17), seeds.0[1]];
    }
    let millis = (at.nanos() / 1_000_000).max(0) as u128 & 0xffff_ffff_ffff;
    let random = (u128::from(mixed[0]) << 16 | u128::from(mixed[1] >> 48)) & ((1 << 80) - 1);
    let ulid = millis << 80 | random;
    let mut text = String::with_capacity(sensor.len() + 27);
    text.push_str(sensor);
    text.push('-');
    for i in (0..26).rev() {
        let digit = (ulid >> (5 * i)) as usize & 31;
        text.push(char::from(DIGITS.get(digit).copied().unwrap_or(b'0')));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_repeat() {
        let at = |s| Timestamp::new(s, 0);
        assert_eq!(id("tap1", at(1), &[1, 2]), id("tap1", at(1), &[1, 2]));
        assert_ne!(id("tap1", at(1), &[1, 2]), id("tap1", at(1), &[2, 1]));
        assert!(id("tap1", at(1_700_000_000), &[9]) < id("tap1", at(1_700_000_001), &[1]));
        assert_eq!(id("s", at(0), &[0]).len(), 28);
    }
}
