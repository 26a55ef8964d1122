//! What survives a restart.

pub mod forms;
