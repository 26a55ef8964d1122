//! What a person meets: flags, commands, messages, exit codes.
//!
//! Flags are read into low-level structs in `flags`; `load` makes a [`crate::config::Config`] and a catalogue of them,
//! past which nothing can be wrong; the commands do their work and say what is to be said through `messages`.

mod baseline;
mod check;
mod desk;
mod flags;
#[cfg(live)]
mod live;
mod load;
mod messages;
mod replay;
mod selftest;
mod whatif;

pub use baseline::{BaselineFlags, BaselineWhat, baseline};
pub use check::{check, completions, schema, services};
pub use desk::{
    IncidentsFlags, Place, ShowFlags, SilenceFlags, VerdictFlags, incidents, show, silence, verdict,
};
pub use flags::{
    CheckFlags, Command, Common, CompletionsFlags, LogsFlags, Policy, ReplayFlags, ServicesFlags, parse,
};
#[cfg(live)]
pub use live::{LiveFlags, interfaces, live};
pub use messages::{Exit, Stop, exit};
pub use replay::{logs, replay};
pub use selftest::{SelftestFlags, selftest};
pub use whatif::{WhatifFlags, whatif};
