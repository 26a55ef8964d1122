//! Two network namespaces with a cable between them, made and removed by the test, and a generator on one end.
//!
//! Needs root and `ip`; [`Cable::new`] says why it cannot be had.
#![allow(unsafe_code, dead_code)] // setns and packet sockets have no safe form in the standard library

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// See the module. Removed when dropped.
pub(crate) struct Cable {
    /// The generator's namespace and the sensor's.
    names: [String; 2],
}

/// Names of the interfaces at the ends.
pub(crate) const NEAR: &str = "gen0";
pub(crate) const FAR: &str = "tap0";

impl Cable {
    /// Makes it, or says why not.
    pub(crate) fn new() -> Result<Self, String> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |end: &str| format!("egret-{}-{number}-{end}", std::process::id());
        let cable = Self { names: [name("gen"), name("tap")] };
        for ns in &cable.names {
            ip(&["netns", "add", ns])?;
            Self::within(ns, || {
                // No frames but the generator's.
                for which in ["all", "default"] {
                    let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "1");
                }
            })?;
        }
        cable.plug()?;
        Ok(cable)
    }

    /// Lays the cable between the namespaces.
    pub(crate) fn plug(&self) -> Result<(), String> {
        let [near, far] = &self.names;
        ip(&["link", "add", NEAR, "netns", near, "type", "veth", "peer", "name", FAR, "netns", far])?;
        ip(&["-n", near, "link", "set", NEAR, "up", "arp", "off"])?;
        ip(&["-n", far, "link", "set", FAR, "up", "arp", "off"])
    }

    /// Lays a second one, `gen1` to `tap1`.
    pub(crate) fn plug_second(&self) -> Result<(), String> {
        let [near, far] = &self.names;
        ip(&["link", "add", "gen1", "netns", near, "type", "veth", "peer", "name", "tap1", "netns", far])?;
        ip(&["-n", near, "link", "set", "gen1", "up", "arp", "off"])?;
        ip(&["-n", far, "link", "set", "tap1", "up", "arp", "off"])
    }

    /// Takes it away.
    pub(crate) fn unplug(&self) -> Result<(), String> {
        ip(&["-n", &self.names[1], "link", "del", FAR])
    }

    /// Switches the sensor's end.
    pub(crate) fn set_tap(&self, state: &str) -> Result<(), String> {
        ip(&["-n", &self.names[1], "link", "set", FAR, state])
    }

    /// Runs something in a thread of the sensor's namespace; threads that it starts are there too.
    pub(crate) fn at_tap<T: Send>(&self, what: impl FnOnce() -> T + Send) -> Result<T, String> {
        Self::within(&self.names[1], what)
    }

    /// Name of the sensor's namespace.
    pub(crate) fn tap_name(&self) -> &str {
        &self.names[1]
    }

    /// Sends frames at so many a second (0: as fast as it goes). Gives how many went out.
    pub(crate) fn send(&self, frames: &[Vec<u8>], rate: u32) -> Result<u64, String> {
        self.send_from(NEAR, frames, rate)
    }

    /// The same from another end.
    pub(crate) fn send_from(&self, near: &str, frames: &[Vec<u8>], rate: u32) -> Result<u64, String> {
        Self::within(&self.names[0], || send(near, frames, rate).map_err(|e| format!("generator: {e}")))?
    }

    fn within<T: Send>(ns: &str, what: impl FnOnce() -> T + Send) -> Result<T, String> {
        let path = format!("/run/netns/{ns}");
        std::thread::scope(|scope| {
            let there = scope.spawn(move || {
                let file = File::open(&path).map_err(|e| format!("{path}: {e}"))?;
                // SAFETY: takes a descriptor that is open, and changes this thread only.
                if unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } < 0 {
                    return Err(format!("{path}: {}", io::Error::last_os_error()));
                }
                Ok(what())
            });
            there.join().map_err(|_| "the thread in the namespace ended".to_owned())?
        })
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for ns in &self.names {
            let _ = ip(&["netns", "del", ns]);
        }
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let done = Command::new("ip").args(args).output().map_err(|e| format!("ip: {e}"))?;
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&done.stderr).trim()))
    }
}

fn send(near: &str, frames: &[Vec<u8>], rate: u32) -> io::Result<u64> {
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let name = std::ffi::CString::new(near)?;
    // SAFETY: all zeroes is an address; its fields are set below.
    let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    to.sll_family = libc::AF_PACKET as libc::c_ushort;
    // SAFETY: the name ends in zero.
    to.sll_ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) } as i32;
    // SAFETY: a whole address of the length given.
    let bound = unsafe {
        libc::bind(socket.as_raw_fd(), (&raw const to).cast(), size_of::<libc::sockaddr_ll>() as u32)
    };
    if bound < 0 {
        return Err(io::Error::last_os_error());
    }
    let (began, mut sent) = (Instant::now(), 0);
    for (i, frame) in frames.iter().enumerate() {
        if rate > 0 && i % 32 == 0 {
            let due = Duration::from_secs_f64(i as f64 / f64::from(rate));
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
        // SAFETY: the frame lives through the call, its length is its own.
        let done = unsafe { libc::send(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
        sent += 1;
    }
    Ok(sent)
}
