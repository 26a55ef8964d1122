//! AN1511: a program that by its history and its kind makes no uploads makes a large one.

use super::{Class, Deed, found, is_outside, seen};
use crate::detect::learn::kind::Kind;
use crate::detect::rules::{Finding, Sight};
use crate::output::Severity;
use crate::units::Bytes;

pub(super) fn look(s: &Sight<'_>) -> Option<Finding> {
    let view = seen(s)?;
    let level = s.config.data_volume_threshold.first_seen.0;
    let by_nature = matches!(view.program.class, Class::Browser | Class::Uploader | Class::Tool);
    let new = s.settled && view.habit.days == 0 && view.habit.others == 0;
    if by_nature || !is_outside(s.kind) || !new || view.habit.out < level || s.part.gateway {
        return None;
    }
    let never = if view.habit.host_days == 0 { "anywhere" } else { "there" };
    let text = format!(
        "{} sent {}; neither it nor the same program on another host was seen to send {never} before{}",
        view.who(),
        Bytes(view.habit.out),
        view.told(&[Deed::Staged, Deed::Archived, Deed::Started])
    );
    // Alone it is no more than odd; with what was packed before, or with a lane, it is an alert.
    let mut score = if view.program.class == Class::Other && view.habit.host_days == 0 { -0.8 } else { -1.0 };
    score += if view.story.collected() { 0.5 } else { 0.0 };
    score += if s.kind == Kind::Anonymous { 0.5 } else { 0.0 };
    score += if s.kind == Kind::Object { -0.3 } else { 0.0 };
    score += if view.program.sends { 0.2 } else { 0.0 };
    found(view, score, Severity::Medium, level, text)
}
