//! The signature files that are compiled in, by name.

/// Name and text of each file, sorted by name: the order decides ties.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("signatures/ai_assistant.toml", include_str!("../../signatures/ai_assistant.toml")),
    ("signatures/applications.toml", include_str!("../../signatures/applications.toml")),
    ("signatures/cloud_backup.toml", include_str!("../../signatures/cloud_backup.toml")),
    ("signatures/cloud_storage.toml", include_str!("../../signatures/cloud_storage.toml")),
    ("signatures/code_repository.toml", include_str!("../../signatures/code_repository.toml")),
    ("signatures/file_host.toml", include_str!("../../signatures/file_host.toml")),
    ("signatures/file_transfer.toml", include_str!("../../signatures/file_transfer.toml")),
    ("signatures/media.toml", include_str!("../../signatures/media.toml")),
    ("signatures/messaging.toml", include_str!("../../signatures/messaging.toml")),
    ("signatures/noise.toml", include_str!("../../signatures/noise.toml")),
    ("signatures/notes.toml", include_str!("../../signatures/notes.toml")),
    ("signatures/object_storage.toml", include_str!("../../signatures/object_storage.toml")),
    ("signatures/packages.toml", include_str!("../../signatures/packages.toml")),
    ("signatures/paste.toml", include_str!("../../signatures/paste.toml")),
    ("signatures/saas.toml", include_str!("../../signatures/saas.toml")),
    ("signatures/support.toml", include_str!("../../signatures/support.toml")),
    ("signatures/tools.toml", include_str!("../../signatures/tools.toml")),
    ("signatures/tunnel.toml", include_str!("../../signatures/tunnel.toml")),
    ("signatures/webhook.toml", include_str!("../../signatures/webhook.toml")),
    ("signatures/webmail.toml", include_str!("../../signatures/webmail.toml")),
];
