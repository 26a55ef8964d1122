//! The thread that follows files and directories, and the one that reads standard input.

use super::{BEAT, Mouth, Parcel, Shared, send};
use crate::capture::live::Notice;
use crate::endpoint::feed::{Directory, Piece, Places, Tail};
use crate::endpoint::{EndpointEvent, Formats, Hint, Stream};
use crossbeam_channel::Sender;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of one file before the next has its turn.
const TURN: usize = 4 << 20;
/// How often places are written.
const SAVE_EVERY: Duration = Duration::from_secs(2);
/// How often directories are looked through.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A file that cannot be read is told of so often.
const WARN_EVERY: Duration = Duration::from_secs(300);

/// One file, with what makes events of its bytes.
struct Log {
    stream: Stream<'static>,
    mouth: Mouth,
    counted: (u64, u64),
}

impl Log {
    fn new(format: Option<&str>, mouth: Mouth) -> Result<Self, String> {
        Ok(Self { stream: Stream::new(Formats::built_in(), format)?, mouth, counted: (0, 0) })
    }

    /// Takes a piece; gives the bytes that are no record yet.
    fn take(&mut self, piece: Piece<'_>) -> u64 {
        let hint = Hint { received: Some(super::wall()), ..Hint::default() };
        let mut events: Vec<EndpointEvent> = Vec::new();
        let bytes = match piece {
            Piece::Bytes(bytes) => {
                self.stream.push(bytes, &hint, &mut events);
                bytes.len() as u64
            }
            Piece::End => {
                self.stream.finish(&hint, &mut events);
                0
            }
        };
        self.mouth.give(&mut events, bytes, &mut self.counted, &self.stream.decoder.tally);
        self.stream.waiting() as u64
    }
}

/// A directory, its files, and the format that was named for them.
struct Dir {
    directory: Directory,
    logs: BTreeMap<PathBuf, Log>,
    format: Option<String>,
    mouth: Mouth,
}

/// All files and directories.
pub(super) struct Reader {
    places: Places,
    show: Sender<Notice>,
    tails: Vec<(Tail, Log)>,
    dirs: Vec<Dir>,
    warned: Option<Instant>,
}

impl Reader {
    pub(super) fn new(places: Places, show: Sender<Notice>) -> Self {
        Self { places, show, tails: Vec::new(), dirs: Vec::new(), warned: None }
    }

    pub(super) fn add(&mut self, path: &Path, format: Option<&str>, mouth: Mouth) -> Result<(), String> {
        if path.is_dir() {
            let (directory, logs) = (Directory::new(path), BTreeMap::new());
            self.dirs.push(Dir { directory, logs, format: format.map(str::to_owned), mouth });
        } else {
            self.tails.push((Tail::new(path, self.places.of(path)), Log::new(format, mouth)?));
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tails.is_empty() && self.dirs.is_empty()
    }

    /// Reads until the run is over.
    pub(super) fn read(mut self, shared: &Shared, to: &Sender<Parcel>) {
        let (mut saved, mut looked) = (Instant::now(), None);
        while !shared.is_over() {
            let look = looked.is_none_or(|at: Instant| at.elapsed() >= LOOK_EVERY);
            if look {
                looked = Some(Instant::now());
            }
            let more = self.turn(look);
            let reached = self.places.take_changed();
            if !reached.is_empty() {
                send(to, Parcel::Reached(reached), true, shared);
            }
            if saved.elapsed() >= SAVE_EVERY {
                saved = Instant::now();
                self.save();
            }
            if !more {
                thread::sleep(BEAT);
            }
        }
        self.save();
    }

    fn turn(&mut self, look: bool) -> bool {
        let mut more = false;
        let mut wrong = Vec::new();
        for (tail, log) in &mut self.tails {
            let mut waiting = log.stream.waiting() as u64;
            match tail.poll(TURN, &mut |piece| waiting = log.take(piece)) {
                Ok(left) => more |= left,
                Err(error) => wrong.push(format!("{}: {error}", tail.path().display())),
            }
            if let Some(place) = tail.place(waiting) {
                self.places.set(tail.path(), place);
            }
        }
        for dir in &mut self.dirs {
            let Dir { directory, logs, format, mouth } = dir;
            let looked = if look { directory.look(&self.places) } else { Ok(()) };
            let mut take = |path: &Path, piece: Piece<'_>| {
                if !logs.contains_key(path)
                    && let Ok(log) = Log::new(format.as_deref(), mouth.clone())
                {
                    logs.insert(path.to_owned(), log);
                }
                let waiting = logs.get_mut(path).map_or(0, |log| log.take(piece));
                if piece == Piece::End {
                    logs.remove(path);
                }
                waiting
            };
            let polled = directory.poll(TURN, &mut self.places, &mut take);
            more |= *polled.as_ref().unwrap_or(&false);
            wrong.extend([looked.err(), polled.err()].into_iter().flatten().map(|error| error.to_string()));
        }
        if let Some(what) = wrong.into_iter().next() {
            self.warn(what);
        }
        more
    }

    fn save(&mut self) {
        if let Err(error) = self.places.save() {
            self.warn(format!("the places of logs cannot be written: {error}"));
        }
    }

    fn warn(&mut self, what: String) {
        if self.warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            self.warned = Some(Instant::now());
            let _ = self.show.try_send(Notice::Feed(what));
        }
    }
}

/// Reads standard input to its end.
pub(super) fn standard_input(mouth: &Mouth, format: Option<&str>) {
    let Ok(mut log) = Log::new(format, mouth.clone()) else { return };
    let mut piece = vec![0; 1 << 16];
    let mut input = std::io::stdin().lock();
    while !mouth.shared.is_over() {
        match input.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(got) => drop(log.take(Piece::Bytes(&piece[..got]))),
        }
    }
    log.take(Piece::End);
}
