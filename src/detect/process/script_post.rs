//! AN1511: an interpreter posts to a web hook or text site, which the host has not been seen to do.

use super::{Class, Deed, found, seen};
use crate::detect::learn::kind::Kind;
use crate::detect::rules::{Finding, Sight};
use crate::output::Severity;
use crate::units::Bytes;

/// Less is a message of a job.
const LEVEL: u64 = 100_000;
/// Days of use after which it is a job.
const USUAL: u32 = 2;

pub(super) fn look(s: &Sight<'_>) -> Option<Finding> {
    let view = seen(s)?;
    let script = view.program.class == Class::Script || matches!(&*view.program.name, "curl" | "wget");
    let wanted = matches!(s.kind, Kind::Hook | Kind::Text | Kind::Chat);
    if !script || !wanted || view.habit.out < LEVEL || view.habit.days.max(s.days_used) >= USUAL {
        return None;
    }
    let text = format!(
        "{} posted {} to {}, which this host has done on {} days before{}",
        view.who(),
        Bytes(view.habit.out),
        s.kind.words(),
        view.habit.days,
        view.told(&[Deed::Staged, Deed::Started])
    );
    let much = if view.habit.out >= 50 * LEVEL { 0.3 } else { 0.0 };
    let packed = if view.story.collected() { 0.5 } else { 0.0 };
    found(view, -0.8 + much + packed, Severity::Medium, LEVEL, text)
}
