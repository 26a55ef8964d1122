//! Where a feed listens: `udp://127.0.0.1:5514`, `tcp://…`, `http://…`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// What is spoken there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// Syslog in datagrams.
    Udp,
    /// Syslog over TCP.
    Tcp,
    /// HTTP push.
    Http,
}

impl Protocol {
    const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Http];

    /// The word before `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Http => "http",
        }
    }
}

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listen {
    /// What is spoken.
    pub protocol: Protocol,
    /// Where.
    pub at: SocketAddr,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "'{}' is nowhere to listen; write udp://127.0.0.1:5514, tcp://… or http://…",
                text.escape_debug()
            )
        };
        let (word, at) = text.split_once("://").ok_or_else(wrong)?;
        let protocol = Protocol::ALL.into_iter().find(|p| p.as_str() == word).ok_or_else(wrong)?;
        Ok(Self { protocol, at: at.parse().map_err(|_| wrong())? })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.protocol.as_str(), self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_what_is_none() {
        for text in ["udp://127.0.0.1:5514", "tcp://[::1]:601", "http://0.0.0.0:8088"] {
            assert_eq!(text.parse::<Listen>().map(|l| l.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "udp://", "udp://x:1", "https://127.0.0.1:1", "127.0.0.1:1"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }
}
