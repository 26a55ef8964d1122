//! Messages and exit codes. Results go to stdout; `egret: error: …` and `egret: warning: …` to stderr, a line each.

use crate::strict::Fault;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It ran.
    Ran,
    /// It ran, and alerts were to fail it.
    Alerts,
    /// It ran as far as it could; what was wrong has been said.
    Faulty,
}

/// Why a command stopped before it ran.
#[derive(Debug)]
pub enum Stop {
    /// The user asked for this text only.
    Text(String),
    /// No command was given: how to use it.
    Usage(String),
    /// One thing is wrong.
    Error(String),
    /// These things are wrong with configuration or signatures.
    Faults(Vec<Fault>),
}

/// Says why it stopped, if it did, and gives the exit code.
pub fn exit(end: Result<Exit, Stop>) -> ExitCode {
    match end {
        Ok(Exit::Ran) => ExitCode::SUCCESS,
        Ok(Exit::Alerts) => ExitCode::from(1),
        Ok(Exit::Faulty) => ExitCode::from(2),
        Err(stop) => stopped(stop),
    }
}

fn stopped(stop: Stop) -> ExitCode {
    match stop {
        Stop::Text(text) => match print(&text) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(stop) => return stopped(stop),
        },
        Stop::Usage(text) => to_stderr(&text),
        Stop::Error(what) => error(what),
        Stop::Faults(faults) => faults.iter().for_each(error),
    }
    ExitCode::from(2)
}

/// Prints a result. A reader that has gone away (`egret services | head`) is content with what it has.
pub(super) fn print(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Stop::Error(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Says what is wrong.
pub(super) fn error(what: impl Display) {
    to_stderr(&format!("egret: error: {}\n", line(what)));
}

/// Says what should be known.
pub(super) fn warning(what: impl Display) {
    to_stderr(&format!("egret: warning: {}\n", line(what)));
}

/// A message is one line, whatever a file or an operating system put into it.
fn line(what: impl Display) -> String {
    what.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Nobody can be told that stderr is gone.
fn to_stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
