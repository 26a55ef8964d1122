//! Endpoint and audit logs: what ran on a host, what it connected to, which files it touched.
//!
//! A feed gives lines, a format turns them into [`EndpointEvent`]s, the joiner in `attribute/` holds them against flows.
//! Formats are pure: no clock, no file, no map that outlives what one record needs.

pub mod context;
pub mod decode;
pub mod draft;
mod envelope;
pub mod event;
#[cfg(feature = "evtx")]
mod evtx;
pub mod feed;
pub mod file;
pub mod format;
mod json;
mod known;
pub mod map;
pub mod map_load;
pub mod pointer;
mod rows;

pub mod secrets;
pub mod stream;
pub mod tally;
pub mod times;
pub mod tree;
mod values;
mod xml;

pub use context::{Context, ContextAlert};
pub use decode::Decoder;
pub use draft::Hint;
pub use event::{
    AddressEvent, AddressKind, ClockClass, Common, ConnectEvent, ConnectState, Direction, DnsEvent,
    EndpointEvent, FileEvent, FileOp, HostRef, Parent, Proc, ProcessEvent, ProcessKind, SourceKind,
};
pub use file::{Read, read_file};
pub use format::Formats;
pub use stream::Stream;
pub use tally::{Reason, Tally};
