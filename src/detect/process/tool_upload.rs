//! AN1512: a tool that is made to carry data out does, to a place that the site has not sanctioned.

use super::{Class, Deed, found, seen, takes_files};
use crate::detect::learn::kind::Kind;
use crate::detect::rules::{Finding, Sight};
use crate::output::Severity;
use crate::units::Bytes;

/// From here on, to a service where anybody may upload, it is critical.
const CRITICAL: u64 = 1_000_000_000;

pub(super) fn look(s: &Sight<'_>) -> Option<Finding> {
    let view = seen(s)?;
    let level = s.config.data_volume_threshold.tool.0;
    if view.program.class != Class::Tool || !takes_files(s.kind) || view.habit.out < level {
        return None;
    }
    // A tool of developers to a bucket is daily work somewhere; rclone to a drive for persons is not.
    let weight = (f64::from(view.program.weight) - 60.0) / 50.0;
    let kind = match s.kind {
        Kind::Anonymous => 0.8,
        Kind::Object | Kind::Code => -0.5,
        _ => 0.3,
    };
    let used = 0.5 * f64::from(view.habit.days.max(s.days_used).min(3));
    let alone = if view.habit.others == 0 && s.settled { 0.2 } else { 0.0 };
    let severity = match s.kind {
        Kind::Anonymous if view.habit.out >= CRITICAL => Severity::Critical,
        _ => Severity::Medium,
    };
    let text = format!(
        "{} sent {} to {}; the level is {}{}",
        view.who(),
        Bytes(view.habit.out),
        s.kind.words(),
        Bytes(level),
        view.told(&[Deed::Staged, Deed::Archived, Deed::Read, Deed::Started])
    );
    let packed = if view.story.collected() { 0.4 } else { 0.0 };
    found(view, weight + kind + alone + packed - used - 0.8, severity, level, text)
}
