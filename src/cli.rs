//! What a person meets: flags, commands, messages, exit codes.
//!
//! Flags are read into low-level structs in `flags`; `load` makes a [`crate::config::Config`] and a catalogue of them,
//! past which nothing can be wrong; the commands do their work and say what is to be said through `messages`.

mod check;
mod flags;
#[cfg(live)]
mod live;
mod load;
mod messages;
mod replay;

pub use check::{check, completions, services};
pub use flags::{
    CheckFlags, Command, Common, CompletionsFlags, LogsFlags, Policy, ReplayFlags, ServicesFlags, parse,
};
#[cfg(live)]
pub use live::{LiveFlags, interfaces, live};
pub use messages::{Exit, Stop, exit};
pub use replay::{logs, replay};
