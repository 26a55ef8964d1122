//! What survives a restart: baselines, first-seen, incidents, places in logs, silences and verdicts, in one SQLite file.
//!
//! The detector hands over what has changed (`kept`), the run's only writer commits it together with the place in the
//! logs and the incident records that came of it (`store`), and commands read and judge (`desk`). What people may want
//! to see stands in columns, the rest of a row in bytes whose layout belongs to [`VERSION`]. docs/state.md says more.

pub mod desk;
pub mod forms;
pub mod journal;
pub mod kept;
pub mod policy;
pub mod store;

pub use kept::{Cell, Id, Kept, Key, Row, Rows, Shelf};
pub use store::{Damage, Store};

/// Version of the file. Whoever changes a type that is kept (all that derive `Deserialize` below `detect`, `history` and
/// `incident`) changes it too: bytes of another layout are refused, not guessed at.
pub const VERSION: i32 = 2;

/// A table of rows that the detector or the reader of logs keeps.
#[derive(PartialEq, Eq, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Columns for people, between `id` and `data`.
    pub columns: &'static [&'static str],
}

/// Who a host is.
pub static HOST: Table = Table { name: "host", columns: &["name"] };
/// What is usual for a host.
pub static HABIT: Table = Table { name: "habit", columns: &["first_day", "last_day", "bytes_today"] };
/// A destination.
pub static DESTINATION: Table =
    Table { name: "destination", columns: &["name", "kind", "first_seen", "hosts"] };
/// What is usual for a service.
pub static SERVICE: Table = Table { name: "service", columns: &["kind", "hosts"] };
/// What is usual between a host and a destination.
pub static PAIR: Table =
    Table { name: "pair", columns: &["host", "destination", "first_day", "last_day", "bytes_today"] };
/// What a host has sent to a service in the trailing window.
pub static UPLOAD: Table =
    Table { name: "upload", columns: &["host", "bytes_out", "bytes_in", "incident", "incident_bytes"] };
/// What a host has sent to a destination that lanes or rules looked at.
pub static CASE: Table = Table { name: "suspicion", columns: &["bytes_out", "incident", "incident_bytes"] };
/// A log, and how far it has been read.
pub static INPUT: Table = Table { name: "input", columns: &["path", "lines", "done"] };

/// Every such table.
pub static TABLES: &[&Table] = &[&HOST, &HABIT, &DESTINATION, &SERVICE, &PAIR, &UPLOAD, &CASE, &INPUT];

/// What belongs to one moment and is written in one transaction.
#[derive(Clone, Default, Debug)]
pub struct Batch {
    /// Tables to be emptied first.
    pub emptied: Vec<&'static Table>,
    /// Rows that have changed.
    pub rows: Vec<Row>,
    /// Parts that are written as a whole, by name.
    pub parts: Vec<(&'static str, Vec<u8>)>,
    /// The clock of that moment, in nanoseconds.
    pub now: i64,
}

impl Batch {
    /// Adds a part.
    pub fn part<T: serde::Serialize>(&mut self, name: &'static str, value: &T) {
        self.parts.push((name, kept::encode(value)));
    }
}
