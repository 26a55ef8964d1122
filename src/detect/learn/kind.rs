//! Kinds of destinations: what the shipped weights and prior beliefs are told apart by.

use crate::detect::identity::Known;
use crate::signatures::{Category, Sanction};
use serde::{Deserialize, Serialize};

/// Storage with encryption of its own and accounts without a name: what smash-and-grab uses most.
const RISKY: &[&str] = &["mega"];

/// What kind of destination an upload went to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// Sync-and-share drives, file transfer, pictures, documents.
    Storage,
    /// Anybody may upload, or the catalogue weighs it as high risk.
    Anonymous,
    /// Buckets and containers that are not the site's own.
    Object,
    /// Code, packages, models, build artifacts.
    Code,
    /// Text sites.
    Text,
    /// Web hooks.
    Hook,
    /// Chat and message APIs.
    Chat,
    /// Webmail.
    Mail,
    /// Online backup.
    Backup,
    /// Video hosts and social networks.
    Video,
    /// Business services and assistants.
    Saas,
    /// The site's own tenants and what it sanctions.
    Own,
    /// Named, and in no catalogue.
    Unknown,
    /// No name could be found.
    Nameless,
    /// Uploads expected everywhere.
    Noise,
}

impl Kind {
    /// Every kind, in order.
    pub const ALL: [Self; 15] = [
        Self::Storage,
        Self::Anonymous,
        Self::Object,
        Self::Code,
        Self::Text,
        Self::Hook,
        Self::Chat,
        Self::Mail,
        Self::Backup,
        Self::Video,
        Self::Saas,
        Self::Own,
        Self::Unknown,
        Self::Nameless,
        Self::Noise,
    ];

    /// The kind of a destination.
    pub fn of(known: Option<&Known>, named: bool) -> Self {
        let Some(known) = known else {
            return if named { Self::Unknown } else { Self::Nameless };
        };
        if matches!(known.sanction, Sanction::Own | Sanction::Sanctioned) {
            return Self::Own;
        }
        match known.category {
            Category::Noise | Category::Doh | Category::SharedCdn => Self::Noise,
            Category::Paste => Self::Text,
            Category::Webhook => Self::Hook,
            _ if known.high_risk || RISKY.contains(&&*known.class.service) => Self::Anonymous,
            Category::FileHost | Category::P2pTransfer | Category::Tunnel => Self::Anonymous,
            Category::ObjectStorage | Category::DataPlatform => Self::Object,
            Category::CodeRepository
            | Category::CiArtifact
            | Category::PackageRegistry
            | Category::AiModelHub => Self::Code,
            Category::MessagingApi => Self::Chat,
            Category::Webmail => Self::Mail,
            Category::CloudBackup => Self::Backup,
            Category::Video | Category::Social => Self::Video,
            Category::SaasApi | Category::AiAssistant | Category::NoteTaking | Category::RemoteAccess => {
                Self::Saas
            }
            _ => Self::Storage,
        }
    }

    /// Bytes in 24 h below which nothing is judged: less is not material, or is no upload.
    pub const fn floor(self) -> u64 {
        match self {
            Self::Text | Self::Hook => 1_000,
            Self::Chat => 500_000,
            _ => 2_000_000,
        }
    }

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Storage => "a storage or transfer service",
            Self::Anonymous => "a service where anybody may upload",
            Self::Object => "a bucket that is not the site's own",
            Self::Code => "a code or package host",
            Self::Text => "a text site",
            Self::Hook => "a web hook",
            Self::Chat => "a chat service",
            Self::Mail => "a web mailer",
            Self::Backup => "an online backup",
            Self::Video => "a video host or social network",
            Self::Saas => "a business service",
            Self::Own => "the site's own or sanctioned",
            Self::Unknown => "in no catalogue",
            Self::Nameless => "without a name",
            Self::Noise => "one that everybody sends to",
        }
    }

    /// Place in tables.
    pub const fn index(self) -> usize {
        self as usize
    }
}
