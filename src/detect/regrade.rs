//! Incidents that a state file keeps, under a changed configuration: what `egret whatif` asks without logs.
//!
//! Records hold the score and the bytes that an incident was judged by, those of low severity too. What no incident was
//! made of cannot come back here: for that the logs have to be read again.

use super::{Detector, upload_volume};
use crate::config::AlertBudget;
use crate::history::value;
use crate::output::Severity;
use crate::signatures::{Role, Sanction};
use serde_json::Value;
use std::net::IpAddr;

/// Severity by the score of a lane alone: medium is what the budget allows, high a tenth of it.
pub(super) fn by_score(score: f64, budget: &AlertBudget) -> Option<Severity> {
    let at = |per_day: f64| -per_day.max(1e-6).log10();
    match score {
        s if s >= at(budget.alerts) + 1.0 => Some(Severity::High),
        s if s >= at(budget.alerts) => Some(Severity::Medium),
        s if s >= at(budget.low.max(budget.alerts)) => Some(Severity::Low),
        _ => None,
    }
}

impl Detector {
    /// The severity under this configuration of an incident that was found under the one of `budget`, as its newest
    /// record tells it; `None`: there would be none. A rule's severity is its own and stays.
    pub fn regrade(&mut self, record: &Value, budget: &AlertBudget) -> Option<Severity> {
        let egret = record.get("egret")?;
        let told = egret.get("incident")?;
        let text = |v: &Value, key: &str| v.get(key).and_then(Value::as_str).map(str::to_owned);
        let was = Severity::of_word(&text(told, "severity")?)?;
        let number = |key: &str| told.get(key).and_then(Value::as_f64);
        let out = number("up_bytes_24h").or_else(|| number("up_bytes"))? as u64;
        let host: IpAddr = text(egret.get("host")?, "ip")?.parse().ok()?;
        let at = text(told, "last_seen").and_then(|t| value::time(t.as_bytes())).unwrap_or_default();
        let known = text(egret, "name").and_then(|name| self.namer.classify(&name, Some(host)));
        let within = |d: &Self| {
            let known = known.as_deref()?;
            d.allowed(known, host, None, at).map(|bytes| out <= bytes)
        };
        let now = match text(told, "analytic")?.as_str() {
            "baseline" => {
                let score = number("score")?;
                // A rule that had its word in it may be what made it so grave.
                if by_score(score, budget) == Some(was) {
                    by_score(score, &self.config.alert_budget)?
                } else {
                    was
                }
            }
            upload_volume::NAME => {
                let known = known.as_deref()?;
                let aside = !known.role.carries_data() && known.role != Role::Api;
                let level = upload_volume::threshold(known.category, aside, &self.config)?;
                if out < level || !self.is_monitored(known) {
                    return None;
                }
                let calm = matches!(known.sanction, Sanction::Own | Sanction::Sanctioned);
                match upload_volume::severity(known, out, level, &self.config) {
                    // Somebody had silenced it.
                    _ if was == Severity::Low && !calm => was,
                    severity => severity,
                }
            }
            _ => was,
        };
        Some(if within(self) == Some(true) { Severity::Low } else { now })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DetectConfig;
    use crate::signatures::Catalogue;
    use serde_json::json;
    use std::sync::Arc;

    fn under(config: DetectConfig, analytic: &str, score: f64, severity: &str) -> Option<Severity> {
        let mut detector = Detector::new(config, "test", 7, None, Arc::new(Catalogue::builtin()));
        let record = json!({ "egret": { "name": "content.dropboxapi.com", "host": { "ip": "10.0.0.1" },
            "incident": { "analytic": analytic, "severity": severity, "score": score,
                "up_bytes": 5_000_000, "up_bytes_24h": 5_000_000, "last_seen": "2026-01-05T00:00:00.000000+0000" } } });
        detector.regrade(&record, &AlertBudget { alerts: 1.0, low: 5.0 })
    }

    #[test]
    fn lanes_follow_the_budget_and_volume_its_level() {
        let budget = |alerts, low| DetectConfig {
            alert_budget: AlertBudget { alerts, low },
            ..DetectConfig::default()
        };
        assert_eq!(under(budget(1.0, 5.0), "baseline", 0.2, "medium"), Some(Severity::Medium));
        assert_eq!(under(budget(0.1, 5.0), "baseline", 0.2, "medium"), Some(Severity::Low));
        assert_eq!(under(budget(0.1, 0.2), "baseline", 0.2, "medium"), None);
        assert_eq!(under(budget(3.0, 5.0), "baseline", -0.4, "low"), Some(Severity::Medium));
        // Not by its score: a rule said so.
        assert_eq!(under(budget(0.1, 0.2), "baseline", 0.2, "high"), Some(Severity::High));
        assert_eq!(under(budget(0.1, 0.2), "datastore_upload", 0.2, "high"), Some(Severity::High));
        let level = |bytes| {
            let mut config = DetectConfig::default();
            config.exfil_volume_threshold.storage = bytes;
            config
        };
        let volume = |bytes| under(level(crate::units::Bytes(bytes)), upload_volume::NAME, -2.0, "medium");
        assert_eq!(volume(3_000_000), Some(Severity::Medium));
        assert_eq!((volume(50_000_000), volume(100_000)), (None, Some(Severity::High)));
    }
}
