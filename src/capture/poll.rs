//! Waiting for one of several descriptors. One of the few files that may say `unsafe`.
#![allow(unsafe_code)]

use std::os::fd::RawFd;
use std::time::Duration;

/// Waits until one has something to read, or a fault, `timeout` at most. False: nothing came.
pub(super) fn wait(descriptors: impl Iterator<Item = RawFd>, timeout: Duration) -> bool {
    let mut polled: Vec<libc::pollfd> =
        descriptors.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    let ms = libc::c_int::try_from(timeout.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the list is whole and lives through the call; its length is the one given. A descriptor that is closed
    // meanwhile is reported in its entry.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, ms) > 0 }
}
