//! The writer's thread, and the one that looks after logs that have been put away.

use super::super::keep::{Fetcher, Keep};
use super::WARN_EVERY;
use crate::capture::live::Notice;
use crate::output::Record;
use crate::output::archive::Archive;
use crate::output::file::Outputs;
use crate::units::Timestamp;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, never, select_biased};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often logs are handed to the operating system, and looked at for rotation.
const FLUSH: Duration = Duration::from_secs(1);
/// How often what has been put away is looked over: what is too old or too much goes then.
const TEND_EVERY: Duration = Duration::from_secs(600);

/// Formats and writes, and lets readers of the files see it soon.
pub(super) struct Scribe {
    pub(super) outputs: Outputs,
    pub(super) show: Sender<Notice>,
    /// The logs have been moved.
    pub(super) reopen: Arc<AtomicBool>,
    /// Files that have been put away.
    pub(super) away: Sender<PathBuf>,
    pub(super) warned: Option<Instant>,
}

impl Scribe {
    /// Writes until there is nobody left to send records.
    pub(super) fn write(mut self, mut records: Receiver<Vec<Record>>, mut keeps: Receiver<Keep>) -> Outputs {
        let (mut flushed, mut fetcher) = (Instant::now(), Fetcher::new());
        let mut senders = 2;
        while senders > 0 {
            select_biased! {
                recv(keeps) -> keep => match keep {
                    Ok(keep) => self.outputs.write_with(&keep.batch, &keep.records),
                    Err(_) => (keeps, senders) = (never(), senders - 1),
                },
                recv(records) -> list => match list {
                    Ok(list) => list.into_iter().for_each(|record| self.record(record)),
                    Err(_) => (records, senders) = (never(), senders - 1),
                },
                default(FLUSH) => {}
            }
            fetcher.turn(&mut self.outputs);
            if flushed.elapsed() >= FLUSH {
                flushed = Instant::now();
                self.look_after_files();
            }
        }
        self.outputs
    }

    fn record(&mut self, mut record: Record) {
        if let Record::Stats(stats, _) = &mut record {
            let (lines, dropped) = self.outputs.counters();
            stats.lines = lines;
            stats.dropped += dropped;
        }
        self.outputs.write(&record);
    }

    fn look_after_files(&mut self) {
        if self.reopen.swap(false, Ordering::Relaxed)
            && let Err(error) = self.outputs.reopen()
        {
            self.warn(&error);
        }
        match self.outputs.rotate(wall_clock()) {
            // When the keeper is far behind it finds the file by its name later.
            Ok(away) => away.into_iter().for_each(|path| drop(self.away.try_send(path))),
            Err(error) => self.warn(&error),
        }
        self.outputs.flush();
        if let Some(error) = self.outputs.take_fault() {
            self.warn(&error);
        }
    }

    fn warn(&mut self, error: &io::Error) {
        if self.warned.is_none_or(|then| then.elapsed() >= WARN_EVERY) {
            self.warned = Some(Instant::now());
            let lost = self.outputs.counters().1;
            let _ = self.show.try_send(Notice::Log(error.to_string(), lost));
        }
    }
}

/// Compresses what has been put away, and removes what is too old or too much.
pub(super) struct Keeper {
    pub(super) archive: Archive,
    pub(super) show: Sender<Notice>,
    /// The run is to end.
    pub(super) stop: Arc<AtomicBool>,
}

impl Keeper {
    /// Works until the run ends.
    pub(super) fn keep(self, away: &Receiver<PathBuf>) {
        let mut warned: Option<Instant> = None;
        let mut warn = |done: io::Result<()>| {
            if let Err(error) = done
                && warned.is_none_or(|then| then.elapsed() >= WARN_EVERY)
            {
                warned = Some(Instant::now());
                let _ = self.show.try_send(Notice::Log(error.to_string(), 0));
            }
        };
        let mut tended = None;
        loop {
            if tended.is_none_or(|then: Instant| then.elapsed() >= TEND_EVERY) {
                tended = Some(Instant::now());
                warn(self.archive.tend(today()));
            }
            match away.recv_timeout(TEND_EVERY) {
                // The next run finishes what is left.
                Ok(_) if self.stop.load(Ordering::Relaxed) => return,
                // Looking over all may have come first.
                Ok(path) if path.exists() => warn(self.archive.compress(&path).map(drop)),
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.archive.max_bytes.is_some() && away.is_empty() {
                // A busy sensor may write more than is allowed in much less time.
                tended = None;
            }
        }
    }
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(since.as_secs() as i64, i64::from(since.subsec_nanos()))
}

fn today() -> i64 {
    wall_clock().secs().div_euclid(86_400)
}
