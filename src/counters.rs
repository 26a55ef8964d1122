//! Counters of everything that came in and of everything that was turned away.

use crate::decode::Skip;
use crate::detect::blind::Blind;
use crate::history::{Bad, HoldCounters};
use crate::parse::{GiveUp, NameSource};
use std::collections::BTreeMap;

/// What the reader and the decoder counted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct FrontCounters {
    /// Frames read.
    pub frames: u64,
    /// Frame bytes as they were on the wire.
    pub bytes: u64,
    /// Frames whose stamp lies before the one of an earlier frame.
    pub time_back: u64,
    /// Jumps forward of more than an hour that were believed.
    pub time_jump: u64,
    /// Frames that the kernel counted, those it dropped included (live).
    pub kernel_frames: u64,
    /// Frames dropped by the kernel before we saw them (live).
    pub kernel_drops: u64,
    /// Times that the ring was full (live).
    pub freezes: u64,
    /// Frames that belong to a TCP or UDP packet.
    pub decoded: u64,
    /// Frames without one, by [`Skip`].
    pub skipped: [u64; Skip::COUNT],
    /// Fragments that no first fragment came for.
    pub fragments_held: u64,
}

impl FrontCounters {
    /// Adds another front's figures.
    pub fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.time_back += other.time_back;
        self.time_jump += other.time_jump;
        self.kernel_frames += other.kernel_frames;
        self.kernel_drops += other.kernel_drops;
        self.freezes += other.freezes;
        self.decoded += other.decoded;
        self.fragments_held += other.fragments_held;
        for (a, b) in self.skipped.iter_mut().zip(other.skipped) {
            *a += b;
        }
    }
}

/// What a worker counted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct WorkerCounters {
    /// Flows in the table now.
    pub open: u64,
    /// Flows opened.
    pub opened: u64,
    /// Flows closed.
    pub closed: u64,
    /// Flows closed early because the table was full.
    pub evicted: u64,
    /// Room in the table.
    pub table: u64,
    /// Names by source.
    pub names: [u64; NameSource::COUNT],
    /// Flows given up by reason.
    pub given_up: [u64; GiveUp::COUNT],
    /// Frames proven to be a span port's second copy.
    pub duplicates: u64,
    /// Tellings sent.
    pub told: u64,
    /// Tellings left out under load: records of open flows first, then of flows without payload.
    pub thinned: u64,
    /// Most messages that waited for the detector at a time (live).
    pub channel_max: u64,
    /// Packets that were decoded here and belonged to another worker (live).
    pub handed: u64,
    /// Packets that belonged to another worker, which could take no more: worked on here (live).
    pub misplaced: u64,
}

impl WorkerCounters {
    /// Flows opened and not closed.
    pub const fn open_now(&self) -> u64 {
        self.opened - self.closed
    }

    /// Adds another worker's figures.
    pub fn add(&mut self, other: &Self) {
        self.open += other.open;
        self.opened += other.opened;
        self.closed += other.closed;
        self.evicted += other.evicted;
        self.table += other.table;
        self.duplicates += other.duplicates;
        self.told += other.told;
        self.thinned += other.thinned;
        self.channel_max = self.channel_max.max(other.channel_max);
        self.handed += other.handed;
        self.misplaced += other.misplaced;
        for (a, b) in self.names.iter_mut().zip(other.names) {
            *a += b;
        }
        for (a, b) in self.given_up.iter_mut().zip(other.given_up) {
            *a += b;
        }
    }
}

/// What the detector counted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct DetectCounters {
    /// (host, service) pairs in memory.
    pub pairs: u64,
    /// Pairs given up because of the bound, what was usual for them included.
    pub pairs_evicted: u64,
    /// Incidents opened.
    pub incidents: u64,
    /// Alert records written.
    pub alerts: u64,
    /// Tellings that came after the detector had stopped waiting for them (live).
    pub late: u64,
    /// Flows whose true name ECH hid and that neither DNS nor the address named: unknown name on a shared front.
    pub shared_front: u64,
    /// Encrypted DNS flows (DoT, DoH, DoQ): what these clients resolve is not seen.
    pub hidden_dns: u64,
    /// Addresses whose machine is known.
    pub leases: u64,
    /// Machines and addresses forgotten for want of room.
    pub hosts_evicted: u64,
    /// Hours of packet time in which the sensor was blind, by [`Blind`].
    pub blind: [u64; Blind::COUNT],
    /// In which of these ways it was blind in the last hour that was looked at.
    pub blind_now: [bool; Blind::COUNT],
    /// Names by source, after DNS and addresses have been asked.
    pub names: BTreeMap<&'static str, u64>,
}

/// What the reader of logs counted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct LogCounters {
    /// Lines used, those of no interest included.
    pub lines: u64,
    /// Lines that could not be used, by [`Bad`].
    pub bad: [u64; Bad::COUNT],
    /// What was held and told.
    pub held: HoldCounters,
}

/// Everything, for one `stats` record.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Stats {
    /// Seconds of packet time since the first frame.
    pub uptime_secs: u64,
    /// Reader and decoder, all of them together.
    pub front: FrontCounters,
    /// The same for each worker, where each has its own (live).
    pub fronts: Vec<FrontCounters>,
    /// Reader of logs; `None` when packets were read.
    pub logs: Option<LogCounters>,
    /// Per worker.
    pub workers: Vec<WorkerCounters>,
    /// Detector.
    pub detect: DetectCounters,
    /// Feeds of endpoint logs (live).
    pub feeds: Vec<crate::endpoint::feed::FeedCounters>,
    /// Lines written.
    pub lines: u64,
    /// Lines lost (disk full).
    pub dropped: u64,
}

impl Stats {
    /// Sum over the workers.
    pub fn total(&self) -> WorkerCounters {
        let mut sum = WorkerCounters::default();
        for w in &self.workers {
            sum.add(w);
        }
        sum
    }
}
