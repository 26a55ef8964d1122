//! A handle of libpcap: how other systems than Linux are captured from, and on Linux interfaces whose frames a ring of
//! our own cannot read (odd link types). Frames are copied, and there is no fanout: one handle sees all of an
//! interface.
//!
//! Its blocking read does not keep its timeout everywhere, so it is never asked to block.

use super::bpf::accepts;
use super::interface::{Interface, RingConfig, RingCounters};
use super::{Batch, LinkType, Slot};
use crate::shard::Instruction;
use crate::units::Timestamp;
use pcap::{Active, Capture, Error};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// Frames and bytes that are lent at a time.
const BATCH_FRAMES: usize = 1_024;
const BATCH_BYTES: usize = 1 << 20;

/// See the module. It takes in nothing until [`Handle::start`].
pub(super) struct Handle {
    interface: Interface,
    config: RingConfig,
    capture: Capture<Active>,
    link: LinkType,
    filter: Vec<Instruction>,
    batch: Batch,
    read: u64,
    /// Frames that the filter stopped.
    stopped: u64,
    counters: RingCounters,
    /// The figures of libpcap when they were last read: 32 bits that wrap.
    seen: (u32, u32),
    /// Frames to be read before the end, once it has been asked for.
    last: Option<u64>,
    fault: Option<String>,
}

impl Handle {
    /// Opens an interface.
    pub(super) fn open(interface: &Interface, config: RingConfig) -> io::Result<Self> {
        let capture = activate(interface, config)?;
        let link = LinkType::from_header(capture.get_datalink().0 as u32);
        Ok(Self {
            interface: interface.clone(),
            config,
            capture,
            link,
            filter: Vec::new(),
            batch: Batch::default(),
            read: 0,
            stopped: 0,
            counters: RingCounters::default(),
            seen: (0, 0),
            last: None,
            fault: None,
        })
    }

    /// Begins to take in frames: those that `filter` keeps.
    pub(super) fn start(&mut self, filter: &[Instruction]) -> io::Result<()> {
        filter.clone_into(&mut self.filter);
        // What has come in meanwhile was not asked for.
        self.capture = activate(&self.interface, self.config)?;
        self.seen = (0, 0);
        Ok(())
    }

    /// Takes in no more than has come by now.
    pub(super) fn stop(&mut self) {
        self.counters();
        self.last = Some(self.counters.frames.saturating_sub(self.counters.drops));
    }

    /// The next frames, if any have come. What the filter stops has been taken in, and is left out.
    pub(super) fn take(&mut self) -> Option<&Batch> {
        self.batch.clear();
        self.batch.bytes.clear();
        let before = self.read;
        while self.batch.slots.len() < BATCH_FRAMES
            && self.batch.bytes.len() < BATCH_BYTES
            && self.last.is_none_or(|last| self.read < last)
        {
            match self.capture.next_packet() {
                Ok(packet) => {
                    self.read += 1;
                    if !self.filter.is_empty() && !accepts(&self.filter, packet.data, packet.header.len) {
                        self.stopped += 1;
                        continue;
                    }
                    let captured = packet.data.len().min(self.config.snap as usize);
                    // The width of these differs by system.
                    #[allow(clippy::useless_conversion)]
                    let at = Timestamp::new(
                        i64::from(packet.header.ts.tv_sec),
                        i64::from(packet.header.ts.tv_usec) * 1_000,
                    );
                    self.batch.slots.push(Slot {
                        at,
                        offset: self.batch.bytes.len() as u32,
                        captured: captured as u32,
                        wire_len: packet.header.len,
                        link: self.link,
                        vlan: u16::MAX,
                    });
                    self.batch.bytes.extend_from_slice(packet.data.get(..captured).unwrap_or(packet.data));
                }
                Err(Error::TimeoutExpired | Error::NoMorePackets) => break,
                Err(error) => {
                    self.fault = Some(error.to_string());
                    break;
                }
            }
        }
        (self.read > before).then_some(&self.batch)
    }

    /// What was counted since the handle was opened; frames that the filter stopped are not among them.
    pub(super) fn counters(&mut self) -> RingCounters {
        if self.last.is_none()
            && let Ok(now) = self.capture.stats()
        {
            self.counters.frames += u64::from(now.received.wrapping_sub(self.seen.0));
            self.counters.drops += u64::from(now.dropped.wrapping_sub(self.seen.1));
            self.seen = (now.received, now.dropped);
        }
        let frames = self.counters.frames.saturating_sub(self.stopped);
        RingCounters { frames, ..self.counters }
    }

    /// What has gone wrong since the last call, if anything.
    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        self.fault.take().map(io::Error::other)
    }

    pub(super) const fn interface(&self) -> &Interface {
        &self.interface
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.capture.as_raw_fd()
    }
}

fn activate(interface: &Interface, config: RingConfig) -> io::Result<Capture<Active>> {
    let bytes = u64::from(config.block_bytes) * u64::from(config.blocks);
    let inactive = Capture::from_device(interface.name.as_str()).map_err(told)?;
    let inactive = inactive
        .promisc(config.promiscuous)
        .snaplen(i32::try_from(config.snap).unwrap_or(i32::MAX))
        .buffer_size(i32::try_from(bytes).unwrap_or(i32::MAX))
        .timeout(config.retire_ms as i32);
    inactive.open().and_then(Capture::setnonblock).map_err(told)
}

#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn told(error: Error) -> io::Error {
    io::Error::other(error.to_string())
}
