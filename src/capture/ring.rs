//! A packet ring of Linux: AF_PACKET with TPACKET_V3, memory shared with the kernel. One of the few files that may say
//! `unsafe`.
//!
//! The kernel fills blocks and hands them over whole; a [`Block`] lends its frames and gives it back when dropped, so
//! that no frame can outlive its place. What the kernel could not store it counts, and [`Ring::counters`] adds up.
#![allow(unsafe_code)]

pub use super::interface::{Interface, RingConfig, RingCounters};

use super::block;
use super::{LinkType, Slot};
use crate::shard::Instruction;
use std::ffi::CStr;
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// A ring, bound to an interface. It takes in nothing until [`Ring::start`].
#[derive(Debug)]
pub struct Ring {
    socket: OwnedFd,
    memory: Memory,
    config: RingConfig,
    interface: Interface,
    link: LinkType,
    /// The block that the kernel hands over next.
    next: u32,
    counters: RingCounters,
}

/// Shared memory, mapped for as long as this lives.
#[derive(Debug)]
struct Memory {
    /// In words, as the headers are; a mapping begins at a page.
    start: *mut u32,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone, and nothing in it is tied to a thread.
unsafe impl Send for Memory {}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the range is the one that `mmap` gave, and no block of it is lent any more: blocks borrow the ring.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}

/// A block of frames, lent. Dropping it gives it back to the kernel.
#[derive(Debug)]
pub struct Block<'r> {
    status: &'r AtomicU32,
    /// Everything behind the block's header.
    bytes: &'r [u8],
    /// Where the first frame begins in `bytes`.
    first: usize,
    frames: u32,
    link: LinkType,
}

impl Block<'_> {
    /// The bytes in which the slots of [`Block::list`] lie.
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Appends its frames.
    pub fn list(&self, slots: &mut Vec<Slot>) {
        block::list(self.bytes, self.first, self.frames, self.link, slots);
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        self.status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
    }
}

impl Ring {
    /// Opens a ring on an interface and binds it.
    pub fn open(interface: &Interface, config: RingConfig) -> io::Result<Self> {
        let link = interface.link.ok_or_else(|| {
            io::Error::new(io::ErrorKind::Unsupported, format!("hardware type {}", interface.hardware))
        })?;
        // SAFETY: `socket` takes no pointers. Protocol 0: nothing comes before the bind below.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        set(&socket, libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V3 as libc::c_int))?;
        if config.hardware_stamps {
            // Only where the card has been told to stamp does the kernel find a stamp: else it takes its own.
            set(&socket, libc::PACKET_TIMESTAMP, &(libc::SOF_TIMESTAMPING_RAW_HARDWARE as libc::c_int))?;
        }
        if interface.loopback {
            // There every frame passes twice, out and in.
            set(&socket, libc::PACKET_IGNORE_OUTGOING, &1i32)?;
        }
        let memory = map(&socket, &config)?;
        let ring = Self {
            socket,
            memory,
            config,
            interface: interface.clone(),
            link,
            next: 0,
            counters: RingCounters::default(),
        };
        ring.filter(&Instruction::keep(0))?;
        ring.bind()?;
        if config.promiscuous {
            let mut member: libc::packet_mreq = unsafe_zeroed();
            member.mr_ifindex = interface.index as libc::c_int;
            member.mr_type = libc::PACKET_MR_PROMISC as libc::c_ushort;
            set(&ring.socket, libc::PACKET_ADD_MEMBERSHIP, &member)?;
        }
        Ok(ring)
    }

    /// Joins the fanout group `group`, or begins a new one, and says which it is. All rings of a group lie on one
    /// interface; the kernel numbers them in the order of joining.
    pub fn join(&self, group: Option<u16>) -> io::Result<u16> {
        let mut kind = libc::PACKET_FANOUT_CBPF;
        if self.interface.loopback {
            kind |= libc::PACKET_FANOUT_FLAG_IGNORE_OUTGOING;
        }
        if group.is_none() {
            kind |= libc::PACKET_FANOUT_FLAG_UNIQUEID;
        }
        set(&self.socket, libc::PACKET_FANOUT, &(kind << 16 | u32::from(group.unwrap_or(0))))?;
        let group: u32 = get(&self.socket, libc::SOL_PACKET, libc::PACKET_FANOUT)?;
        Ok(group as u16)
    }

    /// Gives the group its program, which says which ring takes a frame.
    pub fn deal_by(&self, program: &[Instruction]) -> io::Result<()> {
        set(&self.socket, libc::PACKET_FANOUT_DATA, &listing(program)?)
    }

    /// Begins to take in frames: those that `filter` keeps.
    pub fn start(&self, filter: &[Instruction]) -> io::Result<()> {
        if filter.is_empty() {
            self.filter(&Instruction::keep(self.config.snap))
        } else {
            self.filter(filter)
        }
    }

    /// Takes in no more. What has been taken in comes within [`RingConfig::retire_ms`].
    pub fn stop(&self) -> io::Result<()> {
        self.filter(&Instruction::keep(0))
    }

    /// The next block, if the kernel has handed one over.
    pub fn take(&mut self) -> Option<Block<'_>> {
        let words = self.config.block_bytes as usize / 4;
        // SAFETY: `next` is below the number of blocks, so that the whole block lies within the mapping.
        let start = unsafe { self.memory.start.add(self.next as usize * words) };
        // SAFETY: the status word of a block (its third) is shared with the kernel for as long as the mapping lives,
        // which the borrow of `self` sees to; both sides only use it as a whole.
        let status = unsafe { AtomicU32::from_ptr(start.add(2)) };
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the block is ours until the status is set back. The two words that are read here and the bytes
        // behind the header do not overlap the status word, and nobody writes there meanwhile: the kernel keeps off,
        // and `Block` borrows the ring exclusively.
        let (frames, first, bytes) = unsafe {
            let len = self.config.block_bytes as usize - block::HEADER;
            let bytes = std::slice::from_raw_parts(start.cast::<u8>().add(block::HEADER), len);
            (start.add(3).read(), start.add(4).read(), bytes)
        };
        self.next = (self.next + 1) % self.config.blocks;
        let first = (first as usize).saturating_sub(block::HEADER);
        Some(Block { status, bytes, first, frames, link: self.link })
    }

    /// What the kernel counted since the ring was opened.
    pub fn counters(&mut self) -> RingCounters {
        // The kernel's figures start anew at each reading.
        if let Ok(new) =
            get::<libc::tpacket_stats_v3>(&self.socket, libc::SOL_PACKET, libc::PACKET_STATISTICS)
        {
            self.counters.frames += u64::from(new.tp_packets);
            self.counters.drops += u64::from(new.tp_drops);
            self.counters.freezes += u64::from(new.tp_freeze_q_cnt);
        }
        self.counters
    }

    /// What has gone wrong since the last call, if anything: `ENETDOWN` when the interface went down.
    pub fn take_error(&self) -> Option<io::Error> {
        match get::<libc::c_int>(&self.socket, libc::SOL_SOCKET, libc::SO_ERROR) {
            Ok(0) => None,
            Ok(code) => Some(io::Error::from_raw_os_error(code)),
            Err(error) => Some(error),
        }
    }

    /// The interface as it was when the ring was opened.
    pub const fn interface(&self) -> &Interface {
        &self.interface
    }

    /// For waiting.
    pub fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    fn filter(&self, program: &[Instruction]) -> io::Result<()> {
        set_at(&self.socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &listing(program)?)
    }

    fn bind(&self) -> io::Result<()> {
        let mut address: libc::sockaddr_ll = unsafe_zeroed();
        address.sll_family = libc::AF_PACKET as libc::c_ushort;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = self.interface.index as libc::c_int;
        let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the address is a whole `sockaddr_ll` and lives through the call.
        let done = unsafe { libc::bind(self.socket.as_raw_fd(), (&raw const address).cast(), len) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// Every interface of this network namespace.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: `list` is a place for the pointer that the call gives.
    if unsafe { libc::getifaddrs(&raw mut list) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found: Vec<Interface> = Vec::new();
    let mut addresses: Vec<(String, IpAddr)> = Vec::new();
    let mut entry = list;
    // SAFETY: the list is linked by `ifa_next` and ends with null; nothing in it changes until `freeifaddrs`.
    while let Some(here) = unsafe { entry.as_ref() } {
        entry = here.ifa_next;
        // SAFETY: `ifa_name` is a string with an end.
        let name = unsafe { CStr::from_ptr(here.ifa_name) }.to_string_lossy().into_owned();
        // SAFETY: an address is null or one of the family that it says.
        match unsafe { address(here.ifa_addr) } {
            Some(Address::Link { index, hardware }) => found.push(Interface {
                name,
                index,
                hardware,
                link: block::link_type(hardware),
                up: here.ifa_flags & libc::IFF_UP as libc::c_uint != 0,
                running: here.ifa_flags & libc::IFF_RUNNING as libc::c_uint != 0,
                loopback: here.ifa_flags & libc::IFF_LOOPBACK as libc::c_uint != 0,
                addresses: Vec::new(),
            }),
            Some(Address::Ip(ip)) => addresses.push((name, ip)),
            None => {}
        }
    }
    // SAFETY: the list is the one that `getifaddrs` gave; nothing of it is used any more.
    unsafe { libc::freeifaddrs(list) };
    for (name, ip) in addresses {
        if let Some(interface) = found.iter_mut().find(|i| i.name == name) {
            interface.addresses.push(ip);
        }
    }
    Ok(found)
}

/// Whether packet sockets may be opened at all (`CAP_NET_RAW`).
pub fn may_open() -> io::Result<()> {
    // SAFETY: `socket` takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's; it is closed here.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

enum Address {
    Link { index: u32, hardware: u16 },
    Ip(IpAddr),
}

/// # Safety
/// `from` is null or points to an address of the length that its family has.
unsafe fn address(from: *const libc::sockaddr) -> Option<Address> {
    // SAFETY: as the caller says.
    let family = i32::from(unsafe { from.as_ref() }?.sa_family);
    match family {
        libc::AF_PACKET => {
            // SAFETY: the family says what it is; `read_unaligned` asks for no alignment.
            let link = unsafe { from.cast::<libc::sockaddr_ll>().read_unaligned() };
            Some(Address::Link { index: link.sll_ifindex as u32, hardware: link.sll_hatype })
        }
        libc::AF_INET => {
            // SAFETY: as above.
            let v4 = unsafe { from.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Address::Ip(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into()))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { from.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Address::Ip(Ipv6Addr::from(v6.sin6_addr.s6_addr).into()))
        }
        _ => None,
    }
}

/// Asks for the ring and maps it.
fn map(socket: &OwnedFd, config: &RingConfig) -> io::Result<Memory> {
    let mut request: libc::tpacket_req3 = unsafe_zeroed();
    request.tp_block_size = config.block_bytes;
    request.tp_block_nr = config.blocks;
    // The kernel only checks these two: frames are packed one behind the other.
    request.tp_frame_size = 2048;
    request.tp_frame_nr = (config.block_bytes / 2048).saturating_mul(config.blocks);
    request.tp_retire_blk_tov = config.retire_ms;
    set(socket, libc::PACKET_RX_RING, &request)?;
    let len = config.block_bytes as usize * config.blocks as usize;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let fd = socket.as_raw_fd();
    // SAFETY: a new mapping at a place of the kernel's choice; it is checked below.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, fd, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(Memory { start: start.cast(), len })
}

/// A program as the kernel takes it. The pointer in it is good for as long as `program` is borrowed by the caller.
fn listing(program: &[Instruction]) -> io::Result<libc::sock_fprog> {
    const { assert!(size_of::<Instruction>() == size_of::<libc::sock_filter>()) };
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // The kernel only reads through it.
    Ok(libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() })
}

fn set<T>(socket: &OwnedFd, name: libc::c_int, value: &T) -> io::Result<()> {
    set_at(socket, libc::SOL_PACKET, name, value)
}

fn set_at<T>(socket: &OwnedFd, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the value is whole, of the length given, and lives through the call.
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), len) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn get<T: Plain>(socket: &OwnedFd, level: libc::c_int, name: libc::c_int) -> io::Result<T> {
    let mut value: T = unsafe_zeroed();
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: there is room for `len` bytes, and any bytes make a `T`.
    let done =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// Numbers all the way down: any bytes make one.
trait Plain {}
impl Plain for u32 {}
impl Plain for libc::c_int {}
impl Plain for libc::tpacket_stats_v3 {}
impl Plain for libc::tpacket_req3 {}
impl Plain for libc::packet_mreq {}
impl Plain for libc::sockaddr_ll {}

fn unsafe_zeroed<T: Plain>() -> T {
    // SAFETY: zeroes make a `T`, as they make any numbers.
    unsafe { zeroed() }
}
