//! Signs: what is odd about the name of a flow. They are no alarm by themselves; an incident has them as evidence.

use super::Evidence;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What kind of oddity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum SignKind {
    /// The name in the hello does not belong to the address, to what DNS said, or to what a proxy was asked for.
    SniAddressMismatch,
    /// The name imitates a known brand.
    Resembles,
    /// The User-Agent was written by hand.
    MalformedUserAgent,
    /// The User-Agent carries data.
    UserAgentCarriesData,
    /// One host shows very many User-Agents to one name.
    ManyUserAgents,
    /// The true name is hidden behind a front that many share (encrypted ClientHello).
    SharedFront,
    /// The name is that of an earlier flow, whose connection goes on here.
    Inferred,
}

impl SignKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::SniAddressMismatch,
        Self::Resembles,
        Self::MalformedUserAgent,
        Self::UserAgentCarriesData,
        Self::ManyUserAgents,
        Self::SharedFront,
        Self::Inferred,
    ];

    /// The word for records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SniAddressMismatch => "sni_address_mismatch",
            Self::Resembles => "resembles",
            Self::MalformedUserAgent => "malformed_user_agent",
            Self::UserAgentCarriesData => "user_agent_carries_data",
            Self::ManyUserAgents => "many_user_agents",
            Self::SharedFront => "shared_front",
            Self::Inferred => "inferred",
        }
    }
}

/// An oddity with its reason in words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sign {
    /// What kind.
    pub kind: SignKind,
    /// One sentence.
    pub text: Arc<str>,
}

impl Sign {
    /// A sign with its sentence.
    pub fn new(kind: SignKind, text: impl Into<Arc<str>>) -> Self {
        Self { kind, text: text.into() }
    }

    /// As evidence of an incident. The volume decides; a sign only explains.
    pub fn evidence(&self) -> Evidence {
        Evidence {
            name: self.kind.as_str(),
            value: 1.0,
            weight: 0.0,
            contribution: 0.0,
            text: self.text.to_string(),
        }
    }

    /// Adds a sign unless its kind is there: so a list never holds more than there are kinds.
    pub fn add(list: &mut Vec<Self>, sign: Self) {
        if list.iter().all(|s| s.kind != sign.kind) {
            list.push(sign);
        }
    }
}
