//! What became of the records of one source, counted by reason.

use std::collections::BTreeMap;

/// Why a record gave no event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// A known log, a kind of event that nothing here needs.
    NotUsed,
    /// A connection without a process: firewall and flow logs.
    NoProcess,
    /// No far end: listening, bound, not yet connected.
    NoRemote,
    /// To a multicast or broadcast address.
    Multicast,
    /// An audit log of a web service. It says nothing about a host.
    Saas,
    /// An alert or a state of a product, not an event of a host.
    Alert,
    /// Text that is not valid in its own notation.
    Syntax,
    /// Ends in the middle.
    Cut,
    /// Nested deeper than is read.
    Deep,
    /// Larger than is read.
    Large,
    /// No log that is known.
    Unknown,
    /// Not of the format that was named.
    OtherFormat,
    /// No time, or none that can be read.
    NoTime,
    /// A field that the event cannot be without is missing.
    NoField,
    /// An address or port that is none.
    BadAddress,
    /// Records of one event that never became whole.
    Incomplete,
    /// No record: something around one, which is counted instead.
    Envelope,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::NotUsed,
        Self::NoProcess,
        Self::NoRemote,
        Self::Multicast,
        Self::Saas,
        Self::Alert,
        Self::Syntax,
        Self::Cut,
        Self::Deep,
        Self::Large,
        Self::Unknown,
        Self::OtherFormat,
        Self::NoTime,
        Self::NoField,
        Self::BadAddress,
        Self::Incomplete,
        Self::Envelope,
    ];

    /// As counters show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotUsed => "not_used",
            Self::NoProcess => "no_process",
            Self::NoRemote => "no_remote",
            Self::Multicast => "multicast",
            Self::Saas => "saas_audit_log",
            Self::Alert => "alert",
            Self::Syntax => "syntax",
            Self::Cut => "cut",
            Self::Deep => "too_deep",
            Self::Large => "too_large",
            Self::Unknown => "unknown_format",
            Self::OtherFormat => "other_format",
            Self::NoTime => "no_time",
            Self::NoField => "missing_field",
            Self::BadAddress => "bad_address",
            Self::Incomplete => "incomplete",
            Self::Envelope => "envelope",
        }
    }

    /// For people.
    pub const fn told(self) -> &'static str {
        match self {
            Self::NotUsed => "a kind of event that nothing here needs",
            Self::NoProcess => "a connection without a process",
            Self::NoRemote => "no far end",
            Self::Multicast => "to a multicast or broadcast address",
            Self::Saas => "SaaS audit log, not an endpoint log",
            Self::Alert => "an alert of a product, not an event of a host",
            Self::Syntax => "not valid in its own notation",
            Self::Cut => "ends in the middle",
            Self::Deep => "nested too deep",
            Self::Large => "too large",
            Self::Unknown => "no log format that is known",
            Self::OtherFormat => "not of the format that was named",
            Self::NoTime => "no time that can be read",
            Self::NoField => "a needed field is missing",
            Self::BadAddress => "an address or port that is none",
            Self::Incomplete => "parts of the event never came",
            Self::Envelope => "something around a record",
        }
    }

    /// Whether something is wrong with the record. Else it was read and is not needed.
    pub const fn is_bad(self) -> bool {
        !matches!(
            self,
            Self::NotUsed
                | Self::NoProcess
                | Self::NoRemote
                | Self::Multicast
                | Self::Saas
                | Self::Alert
                | Self::Envelope
        )
    }
}

/// The first bad record of a source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirstBad {
    /// Its number in the source, counted from 1.
    pub record: u64,
    /// What is wrong.
    pub reason: Reason,
    /// How it begins, without control characters.
    pub quoted: String,
}

/// Characters of a bad record that are quoted.
const QUOTED: usize = 160;

/// Counts of one source.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// Records: lines, or documents that take several.
    pub records: u64,
    /// Events that came of them.
    pub events: u64,
    /// Records that gave none, by reason.
    pub without: BTreeMap<Reason, u64>,
    /// The first that was bad.
    pub first_bad: Option<FirstBad>,
    /// Names of the formats that were met, in the order in which they first came.
    pub formats: Vec<String>,
}

impl Tally {
    /// Notes a record that gave no event.
    pub fn without(&mut self, reason: Reason, record: &[u8]) {
        *self.without.entry(reason).or_default() += 1;
        if reason.is_bad() && self.first_bad.is_none() {
            // Whatever is wrong with it, a secret in it is not for a message.
            let head = String::from_utf8_lossy(record.get(..1024).unwrap_or(record)).into_owned();
            let plain: String = super::secrets::redact(&head)
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .take(QUOTED)
                .collect();
            self.first_bad = Some(FirstBad { record: self.records, reason, quoted: plain });
        }
    }

    /// Records that were bad.
    pub fn bad(&self) -> u64 {
        self.without.iter().filter(|(reason, _)| reason.is_bad()).map(|(_, n)| n).sum()
    }
}
