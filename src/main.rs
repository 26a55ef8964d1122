//! The `egret` program: flags, configuration, run, exit code.

use egret::cli::{self, Command, Exit, Stop};
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::exit(flags_to_exit())
}

fn flags_to_exit() -> Result<Exit, Stop> {
    match cli::parse(std::env::args_os())? {
        Command::Replay(flags) => cli::replay(&flags),
        #[cfg(live)]
        Command::Live(flags) => cli::live(&flags),
        #[cfg(live)]
        Command::Interfaces => cli::interfaces(),
        Command::Logs(flags) => cli::logs(&flags),
        Command::Check(flags) => cli::check(&flags),
        Command::Services(flags) => cli::services(&flags),
        Command::Completions(flags) => cli::completions(&flags),
    }
}
