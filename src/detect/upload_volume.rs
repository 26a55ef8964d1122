//! AN1511–AN1513, network half: a host sent more to a service within `time_window` than `exfil_volume_threshold`.
//!
//! The level is the materiality floor of the kind of service. What was sent is summed over flows that look like
//! uploads themselves, so that a download beside them hides nothing.

use super::identity::Known;
use crate::config::DetectConfig;
use crate::output::{Evidence, Severity};
use crate::signatures::Category;
use crate::units::Bytes;

/// Name of the analytic in records.
pub const NAME: &str = "upload_volume";
/// Lane of its incidents.
pub const LANE: &str = "bulk";

/// Names that are not for uploads need this many times the level.
const ASIDE_FACTOR: u64 = 10;
/// From this many times the level on an incident is high.
const HIGH_FACTOR: u64 = 33;
/// The same for services where anybody may upload.
const HIGH_RISK_FACTOR: u64 = 10;

/// Suricata signature ids of this analytic: never reused (docs/alerts.md).
pub fn signature_id(category: Category) -> u32 {
    match category {
        Category::CloudStorage | Category::CloudBackup => 15_670_201,
        Category::ObjectStorage => 15_670_202,
        Category::FileTransfer | Category::FileHost => 15_670_203,
        Category::CodeRepository
        | Category::CiArtifact
        | Category::PackageRegistry
        | Category::AiModelHub => 15_670_101,
        Category::Paste => 15_670_301,
        Category::Webhook => 15_670_401,
        Category::MessagingApi => 15_670_402,
        _ => 15_670_001,
    }
}

/// Bytes out that make an incident; `None`: this kind of service never does.
pub fn threshold(category: Category, aside: bool, config: &DetectConfig) -> Option<u64> {
    if matches!(category, Category::Noise | Category::Doh | Category::SharedCdn) {
        return None;
    }
    let level = config.exfil_volume_threshold.level(category);
    let factor = if aside { ASIDE_FACTOR } else { 1 };
    Some(level.0.saturating_mul(factor).max(1))
}

/// How grave `out` bytes are.
pub fn severity(known: &Known, out: u64, threshold: u64, config: &DetectConfig) -> Severity {
    let calm =
        matches!(known.sanction, crate::signatures::Sanction::Own | crate::signatures::Sanction::Sanctioned);
    if calm || !known.weighty {
        return Severity::Low;
    }
    loudness(known, out, threshold, config)
}

/// How grave `out` bytes would be if the site had said nothing.
pub fn loudness(known: &Known, out: u64, threshold: u64, config: &DetectConfig) -> Severity {
    let times = out / threshold.max(1);
    let ceiling = config.exfil_volume_threshold.ceiling.0;
    if known.high_risk && out >= ceiling {
        Severity::Critical
    } else if times >= HIGH_FACTOR || (known.high_risk && times >= HIGH_RISK_FACTOR) {
        Severity::High
    } else {
        Severity::Medium
    }
}

/// Reasons in words and numbers.
pub fn evidence(known: &Known, out: u64, into: u64, threshold: u64, config: &DetectConfig) -> Vec<Evidence> {
    let excess = excess(out, threshold);
    let ratio = out as f64 / into.max(1) as f64;
    let role = known.class.role;
    vec![
        Evidence {
            name: "volume",
            value: out as f64,
            weight: 0.0,
            contribution: excess,
            text: format!(
                "{} out in {}, the level for {} is {}",
                Bytes(out),
                config.time_window,
                known.class.category,
                Bytes(threshold)
            ),
        },
        Evidence {
            name: "ratio",
            value: ratio,
            weight: 0.0,
            contribution: 0.0,
            text: format!("{} out for {} in over this service", Bytes(out), Bytes(into)),
        },
        Evidence {
            name: "role",
            value: f64::from(u8::from(known.role.carries_data())),
            weight: 0.0,
            contribution: 0.0,
            text: if known.role.carries_data() {
                format!("the name is used for data ({role})")
            } else {
                format!(
                    "the name is not meant for uploads ({role}); its level is {ASIDE_FACTOR} times higher"
                )
            },
        },
    ]
}

/// A cap that the site has set itself is broken: what that is worth on the scale of [`score`].
pub const CAP_BROKEN: f64 = 0.5;

/// How often volume alone is wrong: powers of ten above the level, and -log10 of the false alerts per 1,000 hosts and
/// day, measured on generated networks (docs/detection.md).
const SCALE: &[(f64, f64)] =
    &[(0.0, -2.65), (1.0, -2.51), (2.0, -2.39), (2.5, -2.18), (3.0, -1.81), (3.5, -1.4), (4.0, -1.05)];

/// What a volume is worth: -log10 of the false alerts expected per 1,000 hosts and day.
pub fn score(out: u64, threshold: u64) -> f64 {
    let above = excess(out, threshold);
    let i = SCALE.partition_point(|p| p.0 <= above).clamp(1, SCALE.len() - 1);
    let (a, b) = (SCALE[i - 1], SCALE[i]);
    a.1 + (above - a.0) * (b.1 - a.1) / (b.0 - a.0)
}

/// How far above the level, in powers of ten.
fn excess(out: u64, threshold: u64) -> f64 {
    (out.max(1) as f64 / threshold.max(1) as f64).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_worth_more_and_never_much() {
        let mut before = f64::MIN;
        for step in 0..60 {
            let now = score(3_000_000 << step.min(40), 3_000_000);
            assert!(now >= before, "{step}");
            before = now;
        }
        assert!((score(3_000_000, 3_000_000) + 2.65).abs() < 1e-9);
        assert!(score(1_000_000_000, 3_000_000) < -1.5);
    }
}
