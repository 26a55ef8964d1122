//! AN1511: an application whose business is not to upload (documents, viewers, parts of the system) does.

use super::{Class, Deed, found, seen, takes_files};
use crate::detect::rules::{Finding, Sight};
use crate::output::Severity;
use crate::units::Bytes;

pub(super) fn look(s: &Sight<'_>) -> Option<Finding> {
    let view = seen(s)?;
    let level = s.config.exfil_volume_threshold.webhook.0;
    let watched = matches!(view.program.class, Class::Office | Class::Watched);
    if !watched || view.expected || !takes_files(s.kind) || view.habit.out < level {
        return None;
    }
    // People save documents to drives of their own every day, and something comes back then. What only goes out is rare.
    let used = f64::from(view.habit.days.min(3));
    let pushes = if s.pushes_hard() { 0.8 } else { 0.0 };
    let text = format!(
        "{} sent {} to {}; uploads are not its business{}",
        view.who(),
        Bytes(view.habit.out),
        s.kind.words(),
        view.told(&[Deed::Read, Deed::Wrote, Deed::Staged])
    );
    found(view, -1.0 + pushes - 0.3 * used, Severity::Medium, level, text)
}
