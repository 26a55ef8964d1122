//! Endpoint and audit logs: what ran on a host, what it connected to, which files it touched.
//!
//! A feed gives lines, a format turns them into [`EndpointEvent`]s, the joiner in `attribute/` holds them against flows.
//! Formats are pure: no clock, no file, no map that outlives what one record needs.

pub mod event;
pub mod secrets;

pub use event::{
    AddressEvent, AddressKind, ClockClass, Common, ConnectEvent, ConnectState, Direction, DnsEvent,
    EndpointEvent, FileEvent, FileOp, HostRef, Parent, Proc, ProcessEvent, ProcessKind, SourceKind,
};
