//! AN1513: an application or script writes a file, its quarantine mark is taken off, and then there is an upload.

use super::{Class, Deed, found, is_outside, seen};
use crate::detect::rules::{Finding, Sight};
use crate::output::Severity;
use crate::units::Bytes;

pub(super) fn look(s: &Sight<'_>) -> Option<Finding> {
    let view = seen(s)?;
    let level = s.config.exfil_volume_threshold.webhook.0;
    let browser = matches!(view.program.class, Class::Browser | Class::Uploader);
    if !view.story.has(Deed::Unquarantined) || !is_outside(s.kind) || view.habit.out < level {
        return None;
    }
    let own = view.story.did(Deed::Unquarantined);
    // Whoever takes the mark off by hand does not upload by it; a browser that uploads afterwards may be chance.
    if browser && !own {
        return None;
    }
    let wrote = view.story.did(Deed::Wrote) || view.story.did(Deed::Staged);
    let mut score = if own { 1.0 } else { 0.4 };
    score += if wrote { 0.3 } else { 0.0 };
    score +=
        if matches!(view.program.class, Class::Office | Class::Script | Class::Watched) { 0.3 } else { 0.0 };
    score += if view.story.ordered { 0.0 } else { -0.3 };
    let text = format!(
        "{} sent {} after the quarantine mark was taken off a file{}",
        view.who(),
        Bytes(view.habit.out),
        view.told(&[Deed::Wrote, Deed::Staged, Deed::Unquarantined])
    );
    found(view, score, Severity::Medium, level, text)
}
