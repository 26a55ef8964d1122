//! Feeds: how logs reach a running sensor. Files and directories that others write to, standard input, syslog, HTTP.
//!
//! Each feed gives bytes or records and keeps nothing that a restart would need but its [`Place`]s. What reads the network
//! is bounded before it is believed: length of a record, number of connections, time for a request. Threads belong to
//! `run`.

pub mod directory;
pub mod http;
pub mod listen;
pub mod places;
pub mod seen;
pub mod syslog;
pub mod tail;

pub use directory::Directory;
pub use listen::{Listen, Protocol};
pub use places::{Place, Places};
pub use seen::Seen;
pub use tail::{Piece, Tail};

use serde::{Deserialize, Serialize};

/// What a feed has taken in.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct FeedCounters {
    /// As people know it: its path or address.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Records, and those that could not be used.
    pub records: u64,
    /// Of the records, bad ones.
    pub bad: u64,
    /// Events that came of them.
    pub events: u64,
    /// Events that had come before.
    pub duplicates: u64,
    /// Events that were left out because the detector was behind.
    pub dropped: u64,
    /// Connections and requests that were refused: no token, too many, too large, malformed.
    pub refused: u64,
    /// Times that it fell silent.
    pub silences: u64,
    /// It is silent now.
    pub silent: bool,
}
