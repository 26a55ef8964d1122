//! Forms in which values stand in a state file where they cannot stand as they are: long arrays, words of closed sets.

use crate::detect::rules::{Analytic, all};
use crate::signatures::{Category, Role, Sanction, Technique};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A word of a closed set.
pub type Word = &'static str;

/// Arrays of any length as lists. A list of another length (an older version knew fewer kinds of evidence) is cut or
/// filled up with nothing.
pub mod array {
    use super::*;

    /// Writes an array.
    pub fn serialize<S: Serializer, T: Serialize, const N: usize>(
        array: &[T; N],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(array)
    }

    /// Reads an array.
    pub fn deserialize<'d, D: Deserializer<'d>, T: DeserializeOwned + Default + Copy, const N: usize>(
        from: D,
    ) -> Result<[T; N], D::Error> {
        let list = Vec::<T>::deserialize(from)?;
        let mut array = [T::default(); N];
        for (slot, value) in array.iter_mut().zip(list) {
            *slot = value;
        }
        Ok(array)
    }
}

/// Words that only closed sets have.
pub mod word {
    use super::*;

    /// Writes a word.
    pub fn serialize<S: Serializer>(word: &str, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(word)
    }

    /// Reads a word; one that no set has is an error.
    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<&'static str, D::Error> {
        let text = String::deserialize(from)?;
        known(&text).ok_or_else(|| D::Error::custom("a word that this version does not know"))
    }
}

/// The same, where there may be none.
pub mod maybe_word {
    use super::*;

    /// Writes a word, if there is one.
    #[allow(clippy::ref_option, clippy::ref_option_ref)] // the form that serde asks for
    pub fn serialize<S: Serializer>(word: &Option<&'static str>, to: S) -> Result<S::Ok, S::Error> {
        word.serialize(to)
    }

    /// Reads a word, if there is one.
    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Option<&'static str>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.and_then(|text| known(&text)))
    }
}

/// Rules by their signature ids, which are never reused. A rule that is gone is left out.
pub mod findings {
    use super::*;

    type Findings<F> = Vec<(&'static Analytic, F)>;

    /// Writes what rules have found.
    pub fn serialize<S: Serializer, F: Serialize>(list: &Findings<F>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(|(rule, finding)| (rule.signature_id, finding)))
    }

    /// Reads what rules have found.
    pub fn deserialize<'d, D: Deserializer<'d>, F: DeserializeOwned>(
        from: D,
    ) -> Result<Findings<F>, D::Error> {
        let list = Vec::<(u32, F)>::deserialize(from)?;
        let rule = |id: u32| all().find(|a| a.signature_id == id);
        Ok(list.into_iter().filter_map(|(id, finding)| Some((rule(id)?, finding))).collect())
    }
}

fn known(text: &str) -> Option<&'static str> {
    Category::from_word(text)
        .map(Category::as_str)
        .or_else(|| Role::from_word(text).map(Role::as_str))
        .or_else(|| Sanction::from_word(text).map(Sanction::as_str))
        .or_else(|| Technique::from_word(text).map(Technique::as_str))
        .or_else(|| Technique::ALL.iter().map(|t| t.name()).find(|name| *name == text))
}
