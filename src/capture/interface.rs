//! Network interfaces, and how they are captured from, on any system.

use super::LinkType;
use std::net::IpAddr;

/// How a ring is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RingConfig {
    /// Bytes of a block: a power of two times the page size. On a quiet wire every block is handed over nearly empty,
    /// so that many small ones bridge a longer pause than few large ones.
    pub block_bytes: u32,
    /// Number of blocks.
    pub blocks: u32,
    /// A block that is not full is handed over after this many milliseconds.
    pub retire_ms: u32,
    /// Most bytes kept of a frame.
    pub snap: u32,
    /// Take in frames for other machines as well: what a tap or a span port is for.
    pub promiscuous: bool,
    /// Use the card's own time stamps where it has been set up to make them (by `ptp4l`, say).
    pub hardware_stamps: bool,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self {
            block_bytes: 1 << 18,
            blocks: 256,
            retire_ms: 10,
            snap: 1 << 18,
            promiscuous: true,
            hardware_stamps: true,
        }
    }
}

/// What the kernel counted for one ring.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RingCounters {
    /// Frames that came, those dropped included.
    pub frames: u64,
    /// Frames for which there was no room.
    pub drops: u64,
    /// Times that the ring was full.
    pub freezes: u64,
}

impl RingCounters {
    /// Adds another ring's figures.
    pub fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.drops += other.drops;
        self.freezes += other.freezes;
    }
}

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Name.
    pub name: String,
    /// Number.
    pub index: u32,
    /// Kind of hardware, `ARPHRD_*` (Linux; 0 elsewhere).
    pub hardware: u16,
    /// The link type of its frames; `None` where only libpcap knows how to read them.
    pub link: Option<LinkType>,
    /// Switched on.
    pub up: bool,
    /// It has a carrier.
    pub running: bool,
    /// Only this machine talks on it.
    pub loopback: bool,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
}
