//! `[privacy]`: whose names are written as pseudonyms.

use crate::output::privacy::Pseudonyms;
use std::path::PathBuf;

/// A shorter key can be guessed.
const KEY_MIN: usize = 16;

/// See the module.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PrivacyConfig {
    /// `users`.
    pub users: bool,
    /// `hosts`.
    pub hosts: bool,
    /// `key_file`: what pseudonyms are made with.
    pub key_file: Option<PathBuf>,
}

impl PrivacyConfig {
    /// What makes the pseudonyms; `None` where names are written as they are.
    pub fn pseudonyms(&self) -> Result<Option<Pseudonyms>, String> {
        if !self.users && !self.hosts {
            return Ok(None);
        }
        let file = self.key_file.as_ref().ok_or(
            "privacy: pseudonyms need a key; privacy.key_file names a file that holds it, for example of 32 random bytes",
        )?;
        let key = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        if key.len() < KEY_MIN {
            return Err(format!("{}: a key has at least {KEY_MIN} bytes", file.display()));
        }
        Ok(Some(Pseudonyms::new(&key, self.users, self.hosts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_key_there_are_no_pseudonyms() {
        assert!(PrivacyConfig::default().pseudonyms().is_ok_and(|p| p.is_none()));
        let config = PrivacyConfig { users: true, ..PrivacyConfig::default() };
        assert!(config.pseudonyms().is_err_and(|said| said.contains("key_file")));
    }
}
