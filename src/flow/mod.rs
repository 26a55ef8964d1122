//! Flows: keys, records, the bounded table, and what TCP's sequence numbers say of the bytes.

pub mod cold;
pub mod follow;
pub mod fragments;
pub mod huge;
pub mod key;
pub mod prefetch;
pub mod record;
pub mod sequence;
mod slab;
pub mod starts;
pub mod table;
pub mod uploads;
