//! `[endpoint]`: logs of what ran on hosts, and how long they are waited for.

use crate::attribute::JoinConfig;
use crate::endpoint::feed::Listen;
use crate::units::Span;
use std::path::PathBuf;
use std::str::FromStr;

/// A log, or a directory of logs, and the format it is in where that is said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointInput {
    /// Name of the format; else it is found by content.
    pub format: Option<String>,
    /// File, directory or `-`.
    pub path: PathBuf,
}

impl FromStr for EndpointInput {
    type Err = String;

    /// Reads `[FORMAT=]PATH`. What stands before a `=` is a format when it looks like one, so that a path may hold one.
    fn from_str(text: &str) -> Result<Self, String> {
        let word =
            |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let (format, path) = match text.split_once('=') {
            Some((format, path)) if word(format) => (Some(format.to_owned()), path),
            _ => (None, text),
        };
        if path.is_empty() {
            return Err(format!(
                "'{}' names no log; write for example \"sysmon=events.jsonl\"",
                text.escape_debug()
            ));
        }
        if let Some(format) = &format {
            crate::endpoint::Formats::built_in().check(format)?;
        }
        Ok(Self { format, path: PathBuf::from(path) })
    }
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointConfig {
    /// `logs`.
    pub logs: Vec<EndpointInput>,
    /// `late_window`: an alert waits for so long for its event.
    pub late_window: Span,
    /// `retain`: a connection in a log waits for so long for its flow.
    pub retain: Span,
    /// `listen`: where syslog and HTTP are heard (live).
    pub listen: Vec<Listen>,
    /// `token_file`: holds what whoever pushes by HTTP must bring.
    pub token_file: Option<PathBuf>,
    /// `silent_after`: a feed that has spoken and says nothing for so long is told of.
    pub silent_after: Span,
    /// `context`: alerts of other products.
    pub context: Vec<PathBuf>,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            logs: Vec::new(),
            late_window: Span::from_secs(3_600),
            retain: Span::from_secs(900),
            listen: Vec::new(),
            token_file: None,
            silent_after: Span::from_secs(900),
            context: Vec::new(),
        }
    }
}

impl EndpointConfig {
    /// How the joiner is set; `None` without logs.
    pub fn join(&self) -> Option<JoinConfig> {
        let config =
            JoinConfig { late_window: self.late_window, retain: self.retain, ..JoinConfig::default() };
        (!self.logs.is_empty() || !self.listen.is_empty()).then_some(config)
    }

    /// What whoever pushes by HTTP must bring: the first line of `token_file`.
    pub fn token(&self) -> Result<String, String> {
        let file = self.token_file.as_ref().ok_or(
            "to listen for HTTP, a token is needed: endpoint.token_file names a file that holds it, at least 8 characters",
        )?;
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let token = text.lines().next().unwrap_or("").trim();
        if token.len() < 8 {
            return Err(format!(
                "{}: its first line is no token; write at least 8 characters there",
                file.display()
            ));
        }
        Ok(token.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_before_paths() {
        let input =
            |text: &str| text.parse::<EndpointInput>().map(|i| (i.format, i.path.display().to_string()));
        assert_eq!(input("a/b.jsonl"), Ok((None, "a/b.jsonl".into())));
        assert_eq!(input("sysmon=a=b"), Ok((Some("sysmon".into()), "a=b".into())));
        assert_eq!(input("dir/x=1/log"), Ok((None, "dir/x=1/log".into())));
        assert!(input("").is_err() && input("sysmon=").is_err());
        assert!(input("sysmo=x").is_err_and(|said| said.contains("sysmon")));
    }
}
