//! Flows: what belongs together, and how many bytes each side has sent.

pub mod fragments;
