//! One worker's way into an interface, whatever the system offers: a ring of our own (Linux), or a handle of libpcap.

#[cfg(feature = "libpcap")]
use super::handle::Handle;
use super::interface::{Interface, RingConfig, RingCounters};
#[cfg(target_os = "linux")]
use super::ring::{self, Ring};
use super::{Lent, Slot, poll};
use crate::shard::{Instruction, Shards};
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

/// Bytes before the network header of frames that the machine sends, on Ethernet.
#[cfg(target_os = "linux")]
const ETHERNET_LEN: u32 = 14;

/// See the module.
pub(super) enum Door {
    /// A ring, of a group that the kernel deals to.
    #[cfg(target_os = "linux")]
    Ring(Ring),
    /// A handle that sees everything: its worker hands packets to their owners.
    #[cfg(feature = "libpcap")]
    Handle(Box<Handle>),
    /// Another worker has the handle.
    #[cfg(feature = "libpcap")]
    Shut(Interface),
}

/// Frames that came through a door.
pub(super) enum Piece<'d> {
    #[cfg(target_os = "linux")]
    Block(ring::Block<'d>, &'d [Slot]),
    #[cfg(feature = "libpcap")]
    Copied(Lent<'d>),
}

impl Piece<'_> {
    pub(super) fn lend(&self) -> Lent<'_> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Block(block, slots) => Lent { bytes: block.bytes(), slots },
            #[cfg(feature = "libpcap")]
            Self::Copied(lent) => *lent,
        }
    }
}

impl Door {
    /// A door for every worker.
    pub(super) fn open(
        interface: &Interface,
        config: RingConfig,
        shards: &Shards,
        workers: usize,
    ) -> io::Result<Vec<Self>> {
        #[cfg(feature = "libpcap")]
        if interface.link.is_none() {
            let first = Self::Handle(Box::new(Handle::open(interface, config)?));
            let others = (1..workers).map(|_| Self::Shut(interface.clone()));
            return Ok(std::iter::once(first).chain(others).collect());
        }
        #[cfg(target_os = "linux")]
        return rings(interface, config, shards, workers);
        #[cfg(not(target_os = "linux"))]
        {
            let _ = shards;
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    pub(super) fn start(&mut self, filter: &[Instruction]) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Ring(ring) => ring.start(filter),
            #[cfg(feature = "libpcap")]
            Self::Handle(handle) => handle.start(filter),
            #[cfg(feature = "libpcap")]
            Self::Shut(_) => Ok(()),
        }
    }

    pub(super) fn stop(&mut self) {
        match self {
            // A ring that cannot be told is on an interface that is gone: nothing comes there either.
            #[cfg(target_os = "linux")]
            Self::Ring(ring) => drop(ring.stop()),
            #[cfg(feature = "libpcap")]
            Self::Handle(handle) => handle.stop(),
            #[cfg(feature = "libpcap")]
            Self::Shut(_) => {}
        }
    }

    /// The next frames, if any have come. `slots` is room for their list.
    pub(super) fn take<'d>(&'d mut self, slots: &'d mut Vec<Slot>) -> Option<Piece<'d>> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Ring(ring) => {
                let block = ring.take()?;
                slots.clear();
                block.list(slots);
                Some(Piece::Block(block, slots))
            }
            #[cfg(feature = "libpcap")]
            Self::Handle(handle) => handle.take().map(|batch| Piece::Copied(batch.lend())),
            #[cfg(feature = "libpcap")]
            Self::Shut(_) => None,
        }
    }

    pub(super) fn counters(&mut self) -> RingCounters {
        match self {
            #[cfg(target_os = "linux")]
            Self::Ring(ring) => ring.counters(),
            #[cfg(feature = "libpcap")]
            Self::Handle(handle) => handle.counters(),
            #[cfg(feature = "libpcap")]
            Self::Shut(_) => RingCounters::default(),
        }
    }

    /// What has gone wrong since the last call, if anything.
    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Ring(ring) => ring.take_error(),
            #[cfg(feature = "libpcap")]
            Self::Handle(handle) => handle.take_error(),
            // It goes with the handle: what says so is that the interface is no longer the same.
            #[cfg(feature = "libpcap")]
            Self::Shut(interface) => {
                let same = |now: &Interface| now.index == interface.index && now.name == interface.name;
                let there = interfaces().map_or(true, |list| list.iter().any(same));
                (!there).then(|| io::ErrorKind::NotFound.into())
            }
        }
    }

    /// The interface as it was when the door was opened.
    pub(super) const fn interface(&self) -> &Interface {
        match self {
            #[cfg(target_os = "linux")]
            Self::Ring(ring) => ring.interface(),
            #[cfg(feature = "libpcap")]
            Self::Handle(handle) => handle.interface(),
            #[cfg(feature = "libpcap")]
            Self::Shut(interface) => interface,
        }
    }

    #[cfg_attr(not(feature = "libpcap"), allow(clippy::unnecessary_wraps, reason = "a shut door has none"))]
    fn descriptor(&self) -> Option<RawFd> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Ring(ring) => Some(ring.descriptor()),
            #[cfg(feature = "libpcap")]
            Self::Handle(handle) => Some(handle.descriptor()),
            #[cfg(feature = "libpcap")]
            Self::Shut(_) => None,
        }
    }
}

/// Waits until frames have come through one of the doors, or a fault, `timeout` at most. False: nothing came.
pub(super) fn wait<'d>(doors: impl Iterator<Item = &'d Door>, timeout: Duration) -> bool {
    poll::wait(doors.filter_map(Door::descriptor), timeout)
}

#[cfg(target_os = "linux")]
fn rings(
    interface: &Interface,
    config: RingConfig,
    shards: &Shards,
    workers: usize,
) -> io::Result<Vec<Door>> {
    let mut rings = Vec::with_capacity(workers);
    let mut group = None;
    for _ in 0..workers {
        let ring = Ring::open(interface, config)?;
        if workers > 1 {
            let first = group.is_none();
            group = Some(ring.join(group)?);
            if first {
                let link_len = if interface.hardware == 1 { ETHERNET_LEN } else { 0 };
                ring.deal_by(&shards.program(link_len))?;
            }
        }
        rings.push(Door::Ring(ring));
    }
    Ok(rings)
}

/// Every interface.
#[cfg(target_os = "linux")]
pub(super) fn interfaces() -> io::Result<Vec<Interface>> {
    ring::interfaces()
}

/// Every interface.
#[cfg(not(target_os = "linux"))]
pub(super) fn interfaces() -> io::Result<Vec<Interface>> {
    let list = pcap::Device::list().map_err(|error| io::Error::other(error.to_string()))?;
    let interface = |(index, device): (usize, pcap::Device)| Interface {
        index: index as u32,
        hardware: 0,
        link: None,
        up: device.flags.is_up(),
        running: device.flags.is_running(),
        loopback: device.flags.is_loopback(),
        addresses: device.addresses.iter().map(|address| address.addr).collect(),
        name: device.name,
    };
    Ok(list.into_iter().enumerate().map(interface).collect())
}

/// Whether interfaces may be opened at all.
#[cfg(target_os = "linux")]
pub(super) fn may_open() -> io::Result<()> {
    ring::may_open()
}

/// Whether interfaces may be opened at all.
#[cfg(not(target_os = "linux"))]
pub(super) fn may_open() -> io::Result<()> {
    let Some(first) = interfaces()?.into_iter().find(|i| i.up) else { return Ok(()) };
    Handle::open(&first, RingConfig::default()).map(drop)
}
