//! The detector.
pub mod home;
pub mod window;

/// Maps with a seeded, fast hash: keys come from the network.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
