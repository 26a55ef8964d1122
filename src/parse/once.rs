//! What may have been worked out by now, written as an option.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::OnceLock;

pub(super) fn serialize<T: Serialize, S: Serializer>(cell: &OnceLock<T>, s: S) -> Result<S::Ok, S::Error> {
    cell.get().serialize(s)
}

pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    d: D,
) -> Result<OnceLock<T>, D::Error> {
    Option::<T>::deserialize(d).map(|known| known.map_or_else(OnceLock::new, OnceLock::from))
}
