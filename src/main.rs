//! The `egret` program: flags, configuration, run, exit code.

fn main() {}
