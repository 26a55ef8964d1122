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
        Command::Incidents(flags) => cli::incidents(&flags),
        Command::Show(flags) => cli::show(&flags),
        Command::Silence(flags) => cli::silence(&flags),
        Command::Verdict(flags) => cli::verdict(&flags),
        Command::Baseline(flags) => cli::baseline(&flags),
        Command::Whatif(flags) => cli::whatif(&flags),
        Command::Selftest(flags) => cli::selftest(&flags),
        Command::Schema => cli::schema(),
        Command::Check(flags) => cli::check(&flags),
        Command::Services(flags) => cli::services(&flags),
        Command::Completions(flags) => cli::completions(&flags),
    }
}
