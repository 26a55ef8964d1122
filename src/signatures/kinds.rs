//! The closed sets that a signature may speak of: roles, categories, techniques, sanctions.

/// Makes a closed set of words: the enum, its spelling in files and records, and the way back.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every member, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word that files and records use.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The member spelled `text`, if there is one.
            pub fn from_word(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|member| member.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What a host name of a service is for.
    Role {
        /// Ingest: the name is used to send data in, or almost only for that.
        Upload = "upload",
        /// Object store: both directions, so the bytes must tell.
        Storage = "storage",
        /// Uploads go to the same name as browsing.
        Mixed = "mixed",
        /// Control calls; never an upload by itself.
        Api = "api",
        /// Pages; never an upload by itself.
        Web = "web",
        /// Delivery; never an upload by itself.
        Cdn = "cdn",
        /// Sign-in; never an upload by itself.
        Auth = "auth",
    }
}

impl Role {
    /// Whether user data can be carried out under a name of this role.
    pub const fn carries_data(self) -> bool {
        matches!(self, Self::Upload | Self::Storage | Self::Mixed)
    }
}

words! {
    /// What kind of service it is. The spelling is the `category` of signature files and records.
    Category {
        /// Chat assistants and model APIs.
        AiAssistant = "ai_assistant",
        /// Model and data set hubs.
        AiModelHub = "ai_model_hub",
        /// Build artifacts.
        CiArtifact = "ci_artifact",
        /// Online backup.
        CloudBackup = "cloud_backup",
        /// Sync-and-share drives.
        CloudStorage = "cloud_storage",
        /// Code repositories.
        CodeRepository = "code_repository",
        /// Hosted databases and warehouses.
        DataPlatform = "data_platform",
        /// Document exchange and signatures.
        DocSharing = "doc_sharing",
        /// DNS-over-HTTPS resolvers.
        Doh = "doh",
        /// Public file hosts.
        FileHost = "file_host",
        /// Send-a-file services.
        FileTransfer = "file_transfer",
        /// Picture hosts.
        ImageHost = "image_host",
        /// Chat, meetings, message APIs.
        MessagingApi = "messaging_api",
        /// Uploads expected everywhere: crash dumps, sensors, speed tests.
        Noise = "noise",
        /// Notes and work boards.
        NoteTaking = "note_taking",
        /// Buckets and containers.
        ObjectStorage = "object_storage",
        /// Peer-to-peer transfer and its relays.
        P2pTransfer = "p2p_transfer",
        /// Package and image registries.
        PackageRegistry = "package_registry",
        /// Text sites.
        Paste = "paste",
        /// Remote access with file transfer.
        RemoteAccess = "remote_access",
        /// Business APIs.
        SaasApi = "saas_api",
        /// Content networks that front unrelated sites.
        SharedCdn = "shared_cdn",
        /// Social networks.
        Social = "social",
        /// Tunnels out of the network.
        Tunnel = "tunnel",
        /// URL shorteners.
        UrlShortener = "url_shortener",
        /// Video hosts.
        Video = "video",
        /// Webhooks.
        Webhook = "webhook",
        /// Webmail.
        Webmail = "webmail",
    }
}

impl Category {
    /// The technique that a service of this category stands for unless its entry says otherwise.
    pub const fn technique(self) -> Option<Technique> {
        match self {
            Self::CloudStorage
            | Self::CloudBackup
            | Self::ObjectStorage
            | Self::FileTransfer
            | Self::FileHost => Some(Technique::T1567_002),
            Self::CodeRepository | Self::CiArtifact | Self::PackageRegistry | Self::AiModelHub => {
                Some(Technique::T1567_001)
            }
            Self::Paste => Some(Technique::T1567_003),
            Self::Webhook => Some(Technique::T1567_004),
            // These are no destination of their own: they explain other traffic or hide it.
            Self::Noise | Self::Doh | Self::SharedCdn => None,
            _ => Some(Technique::T1567),
        }
    }
}

words! {
    /// The ATT&CK techniques that a service can stand for.
    #[allow(non_camel_case_types)] // the underscore stands where the technique's own point does
    Technique {
        /// Exfiltration Over Web Service.
        T1567 = "T1567",
        /// To a code repository.
        T1567_001 = "T1567.001",
        /// To cloud storage.
        T1567_002 = "T1567.002",
        /// To text storage sites.
        T1567_003 = "T1567.003",
        /// Over webhook.
        T1567_004 = "T1567.004",
    }
}

impl Technique {
    /// The name ATT&CK gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::T1567 => "Exfiltration Over Web Service",
            Self::T1567_001 => "Exfiltration to Code Repository",
            Self::T1567_002 => "Exfiltration to Cloud Storage",
            Self::T1567_003 => "Exfiltration to Text Storage Sites",
            Self::T1567_004 => "Exfiltration Over Webhook",
        }
    }
}

words! {
    /// What the site says about a destination.
    Sanction {
        /// The organisation's own tenant or service.
        Own = "own",
        /// Allowed by the site, still counted.
        Sanctioned = "sanctioned",
        /// A tenant that the site has not named, of a service where it has named others; or no tenant at all.
        Unsanctioned = "unsanctioned",
        /// The site says nothing, or the tenant cannot be seen.
        Unknown = "unknown",
    }
}

words! {
    /// A three-step answer, as services give to "does the name alone tell" or "may anyone upload".
    Degree {
        /// It does.
        Yes = "yes",
        /// For some names or uses only.
        Partial = "partial",
        /// It does not.
        No = "no",
    }
}

words! {
    /// Why an application is watched.
    Watch {
        /// It should not send data out in bulk (DET0548 `WatchedApplications`).
        Watched = "watched",
        /// A command-line tool that can (DET0548 `MonitoredTools`).
        Tool = "tool",
        /// It uploads by its nature, to its own service.
        Uploader = "uploader",
    }
}

words! {
    /// Operating systems that applications are listed for.
    Os {
        /// Windows.
        Windows = "windows",
        /// macOS.
        Macos = "macos",
        /// Linux.
        Linux = "linux",
        /// VMware ESXi.
        Esxi = "esxi",
    }
}
