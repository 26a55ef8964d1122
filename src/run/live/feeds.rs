//! Threads that hear endpoint logs beside a live run, and the channel by which the detector hears them.
//!
//! A file waits while the detector is behind, its place stays; what the network sends then is left out and counted. A
//! feed that has spoken and falls silent is a blindness that people are told of.

mod files;
mod sockets;

use crate::capture::live::Notice;
use crate::config::{Config, EndpointConfig};
use crate::detect::Detector;
use crate::endpoint::feed::{FeedCounters, Place, Places, Protocol, Seen};
use crate::endpoint::{EndpointEvent, Tally};
use crate::state::{Batch, Damage, Store};
use crate::units::Timestamp;
use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Lists of events that may wait for the detector.
const WAITING: usize = 256;
/// Events that the detector takes before it turns to the packets again.
const TURN: usize = 4_096;
/// How often threads look whether the run is over.
const BEAT: Duration = Duration::from_millis(200);
/// The places of files, beside the logs, where there is no state file.
const PLACES: &str = "feeds.json";
/// Name of the places in the state file.
const PART: &str = "feeds";

/// What the detector's thread is handed.
#[derive(Debug)]
enum Parcel {
    Events(Vec<EndpointEvent>),
    /// All that files had up to these places has been handed over.
    Reached(BTreeMap<String, Place>),
}

/// A feed as the detector's thread sees it.
#[derive(Debug)]
struct Heard {
    counters: FeedCounters,
    last: Option<Instant>,
}

/// What the threads share.
#[derive(Debug)]
struct Shared {
    heard: Mutex<Vec<Heard>>,
    seen: Mutex<Seen>,
    stop: Arc<AtomicBool>,
}

impl Shared {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A thread that panicked leaves counters that are still good.
    fn heard(&self) -> MutexGuard<'_, Vec<Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a feed hands its events to.
#[derive(Clone, Debug)]
struct Mouth {
    number: usize,
    shared: Arc<Shared>,
    to: Sender<Parcel>,
    /// It waits when the detector is behind.
    waits: bool,
}

impl Mouth {
    fn count(&self, what: impl FnOnce(&mut FeedCounters)) {
        if let Some(heard) = self.shared.heard().get_mut(self.number) {
            what(&mut heard.counters);
        }
    }

    /// Hands on events, but for those that came before. `before`, `tally`: what was counted of records until the last
    /// time and now.
    fn give(&self, events: &mut Vec<EndpointEvent>, bytes: u64, before: &mut (u64, u64), tally: &Tally) {
        let now = (tally.records, tally.bad());
        let (records, bad) = (now.0 - before.0, now.1 - before.1);
        *before = now;
        let all = events.len() as u64;
        {
            let mut seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
            events.retain(|event| seen.is_new(event));
        }
        let fresh = events.len() as u64;
        if let Some(heard) = self.shared.heard().get_mut(self.number) {
            let c = &mut heard.counters;
            (c.bytes, c.records, c.bad) = (c.bytes + bytes, c.records + records, c.bad + bad);
            (c.events, c.duplicates) = (c.events + fresh, c.duplicates + all - fresh);
            if all > 0 {
                heard.last = Some(Instant::now());
            }
        }
        if fresh == 0 {
            return;
        }
        let sent = send(&self.to, Parcel::Events(std::mem::take(events)), self.waits, &self.shared);
        if !sent {
            self.count(|c| c.dropped += fresh);
        }
    }
}

/// Hands a parcel over; `waits`: however long that takes, unless the run ends. Whether it was taken.
fn send(to: &Sender<Parcel>, mut parcel: Parcel, waits: bool, shared: &Shared) -> bool {
    let wait = if waits { BEAT } else { Duration::ZERO };
    loop {
        match to.send_timeout(parcel, wait) {
            Ok(()) => return true,
            Err(SendTimeoutError::Timeout(back)) if waits && !shared.is_over() => parcel = back,
            Err(_) => return false,
        }
    }
}

/// Where an earlier run with this state file had come to in the files it read.
pub(super) fn kept(store: &Store) -> Result<BTreeMap<String, Place>, Damage> {
    Ok(store.part(PART)?.unwrap_or_default())
}

/// All feeds of a run.
#[derive(Debug)]
pub(super) struct Feeds {
    hear: Receiver<Parcel>,
    shared: Arc<Shared>,
    silent_after: Duration,
    threads: Vec<thread::JoinHandle<()>>,
    /// Places of files up to which the detector has heard everything; kept with its state.
    reached: Option<BTreeMap<String, Place>>,
}

impl Feeds {
    /// Opens what is to be listened on and starts the threads. `kept`: places of an earlier run, where there is a state
    /// file. The error says what cannot be opened.
    pub(super) fn start(
        config: &Config,
        kept: Option<BTreeMap<String, Place>>,
        stop: &Arc<AtomicBool>,
        show: &Sender<Notice>,
    ) -> Result<Self, String> {
        let endpoint = &config.endpoint;
        let (to, hear) = bounded(WAITING);
        let heard = Mutex::new(Vec::new());
        let shared = Arc::new(Shared { heard, seen: Mutex::default(), stop: Arc::clone(stop) });
        let mut feeds = Self {
            hear,
            shared,
            silent_after: Duration::from_nanos(endpoint.silent_after.nanos().unsigned_abs()),
            threads: Vec::new(),
            reached: None,
        };
        let beside = Places::open(&config.output.dir.join(PLACES));
        let kept_by_state = kept.is_some();
        let places = match kept {
            // A site that had no state file until now goes on where it was.
            Some(kept) if kept.is_empty() => Places::kept(beside.all().clone()),
            Some(kept) => Places::kept(kept),
            None => beside,
        };
        feeds.reached = kept_by_state.then(|| places.all().clone());
        feeds.files(endpoint, places, &to, show)?;
        feeds.sockets(endpoint, &to, show)?;
        Ok(feeds)
    }

    fn mouth(&self, name: String, to: &Sender<Parcel>, waits: bool) -> Mouth {
        let mut heard = self.shared.heard();
        let number = heard.len();
        heard.push(Heard { counters: FeedCounters { name, ..FeedCounters::default() }, last: None });
        Mouth { number, shared: Arc::clone(&self.shared), to: to.clone(), waits }
    }

    fn files(
        &mut self,
        endpoint: &EndpointConfig,
        places: Places,
        to: &Sender<Parcel>,
        show: &Sender<Notice>,
    ) -> Result<(), String> {
        let mut reader = files::Reader::new(places, show.clone());
        for input in &endpoint.logs {
            let mouth = self.mouth(input.path.display().to_string(), to, true);
            if input.path == Path::new("-") {
                let format = input.format.clone();
                self.threads.push(thread::spawn(move || files::standard_input(&mouth, format.as_deref())));
            } else {
                reader.add(&input.path, input.format.as_deref(), mouth)?;
            }
        }
        if !reader.is_empty() {
            let shared = Arc::clone(&self.shared);
            let to = to.clone();
            self.threads.push(thread::spawn(move || reader.read(&shared, &to)));
        }
        Ok(())
    }

    fn sockets(
        &mut self,
        endpoint: &EndpointConfig,
        to: &Sender<Parcel>,
        show: &Sender<Notice>,
    ) -> Result<(), String> {
        for listen in &endpoint.listen {
            let mouth = self.mouth(listen.to_string(), to, false);
            let cannot = |error| format!("{listen}: {error}");
            let thread = match listen.protocol {
                Protocol::Udp => sockets::udp(listen.at, mouth).map_err(cannot)?,
                Protocol::Tcp => sockets::tcp(listen.at, mouth).map_err(cannot)?,
                Protocol::Http => {
                    let token = endpoint.token()?;
                    if !listen.at.ip().is_loopback() {
                        let _ = show.try_send(Notice::Feed(format!(
                            "{listen} can be reached from other machines, and the token is sent in the clear: let a \
                             proxy with TLS stand before it"
                        )));
                    }
                    sockets::http(listen.at, mouth, token).map_err(cannot)?
                }
            };
            self.threads.push(thread);
        }
        Ok(())
    }

    /// Hands what has come to the detector, not more than a turn.
    pub(super) fn pass_on(&mut self, detector: &mut Detector, now: Option<Timestamp>) {
        let now = now.unwrap_or_else(wall);
        let mut left = TURN;
        while left > 0
            && let Ok(parcel) = self.hear.try_recv()
        {
            left = left.saturating_sub(self.take(parcel, detector, now).max(1));
        }
    }

    /// Takes a parcel; how many events were in it.
    fn take(&mut self, parcel: Parcel, detector: &mut Detector, now: Timestamp) -> usize {
        match parcel {
            Parcel::Events(events) => {
                events.iter().for_each(|event| detector.endpoint(event, now));
                events.len()
            }
            Parcel::Reached(places) => {
                if let Some(reached) = &mut self.reached {
                    reached.extend(places);
                }
                0
            }
        }
    }

    /// Adds to a checkpoint how far files have been read: what was read after it is read again with the state before it.
    pub(super) fn freeze(&self, batch: &mut Batch) {
        if let Some(reached) = self.reached.as_ref().filter(|r| !r.is_empty()) {
            batch.part(PART, reached);
        }
    }

    /// Counters; tells of feeds that fell silent, and of those that are back.
    pub(super) fn look(&self, at: Instant, show: &Sender<Notice>) -> Vec<FeedCounters> {
        let mut heard = self.shared.heard();
        for feed in heard.iter_mut() {
            let Some(last) = feed.last else { continue };
            let c = &mut feed.counters;
            let silent = at.saturating_duration_since(last) >= self.silent_after;
            if silent && !c.silent {
                c.silences += 1;
                let _ = show.try_send(Notice::Feed(format!(
                    "{} has been silent for {} s: hosts behind it cannot be judged by their programs",
                    c.name,
                    self.silent_after.as_secs()
                )));
            } else if !silent && c.silent {
                let _ = show.try_send(Notice::Feed(format!("{} speaks again", c.name)));
            }
            c.silent = silent;
        }
        heard.iter().map(|feed| feed.counters.clone()).collect()
    }

    /// Takes what is left at the end of the run, and waits for the threads.
    pub(super) fn finish(&mut self, detector: &mut Detector, now: Option<Timestamp>) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in std::mem::take(&mut self.threads) {
            // One that waits for standard input ends with the program.
            let began = Instant::now();
            while !thread.is_finished() && began.elapsed() < BEAT * 10 {
                self.drain(detector, now);
                thread::sleep(BEAT / 20);
            }
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
        self.drain(detector, now);
    }

    fn drain(&mut self, detector: &mut Detector, now: Option<Timestamp>) {
        while let Ok(parcel) = self.hear.try_recv() {
            self.take(parcel, detector, now.unwrap_or_else(wall));
        }
    }
}

/// The time of day: only for what comes before the first frame.
fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(since.as_secs() as i64, i64::from(since.subsec_nanos()))
}

#[cfg(test)]
mod tests;
