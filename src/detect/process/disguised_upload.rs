//! AN1512: what sends is not what it is called.

use super::{Class, Deed, Disguise, found, is_outside, seen};
use crate::detect::rules::{Finding, Sight};
use crate::output::Severity;
use crate::units::Bytes;

/// Less is not worth hiding.
const LEVEL: u64 = 1_000_000;

pub(super) fn look(s: &Sight<'_>) -> Option<Finding> {
    let view = seen(s)?;
    let disguise = view.program.disguise?;
    let material = view.habit.out >= LEVEL || (!view.program.name.is_empty() && s.day.0 >= s.kind.floor());
    if !is_outside(s.kind) || !material || view.habit.days >= 3 {
        return None;
    }
    let score = match disguise {
        Disguise::OriginalName | Disguise::Hash if view.program.class == Class::Tool => 1.5,
        Disguise::OriginalName | Disguise::Hash | Disguise::CommandLine => 1.0,
        Disguise::Place => 0.3,
    };
    let severity = if score >= 1.5 { Severity::High } else { Severity::Medium };
    let text = format!(
        "{} sent {}{}",
        view.who(),
        Bytes(view.habit.out),
        view.told(&[Deed::Staged, Deed::Archived, Deed::Started])
    );
    found(view, score, severity, LEVEL, text)
}
