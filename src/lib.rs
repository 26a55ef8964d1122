//! Egret watches a network tap and says which host, which program and which user is carrying data out to a
//! legitimate web service (MITRE ATT&CK T1567), how much, while it is still happening.
//!
//! Bytes go in at one end and an explained alert comes out at the other; nothing flows back:
//!
//! ```text
//! capture ─ Batch of Frames ─▶ clock ─▶ decode ─▶ Packet ─▶ flow table ─▶ parse ─▶ Telling ─▶ (channel) ─▶ detect
//!   one reader, inline or in front of the workers         one worker per shard of hosts           │  1 name
//!                                                                                                 │  2 classify
//!                                                                                                 │  3 analytics
//!                                                                                                 │  4 incident
//!                                                                                                 ▼
//!                                                                        Record ─▶ (channel) ─▶ output ─▶ file
//! ```
//!
//! No step holds a reference to a later one. The modules below stand in the order in which data flows.

pub mod bytes;
pub mod counters;
pub mod net;
pub(crate) mod strict;
pub mod units;

pub mod capture;
pub mod clock;
pub mod decode;
pub mod flow;
pub mod front;
pub mod parse;
pub mod shard;
pub mod worker;

pub mod attribute;
pub mod endpoint;
pub mod history;
pub mod observe;
pub mod signatures;

pub mod config;
pub mod detect;
pub mod geo;
pub mod incident;
pub mod output;
pub mod state;

pub mod run;

pub mod cli;
