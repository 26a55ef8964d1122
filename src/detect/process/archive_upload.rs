//! AN1512: files are read or packed, then what was packed leaves.

use super::{Class, Deed, found, is_outside, seen};
use crate::detect::rules::{Finding, Sight};
use crate::output::Severity;
use crate::units::Bytes;

/// Smaller archives are mailed about all day.
const LEVEL: u64 = 10_000_000;

pub(super) fn look(s: &Sight<'_>) -> Option<Finding> {
    let view = seen(s)?;
    let sender = matches!(view.program.class, Class::Tool | Class::Script | Class::Archiver | Class::Other);
    let known = view.habit.days >= 2;
    if !sender || known || !is_outside(s.kind) || view.habit.out < LEVEL || !view.story.collected() {
        return None;
    }
    // An archive of the sender's own tree, an archive by somebody else on the host, or only a sending command.
    let own = view.story.did(Deed::Staged) || view.story.did(Deed::Archived);
    let mut score = if own { 0.2 } else { -0.3 };
    score += if view.program.sends { 0.2 } else { 0.0 };
    score += if view.story.ordered { 0.0 } else { -0.3 };
    score += if fits(s) { 0.3 } else { 0.0 };
    let text = format!(
        "{} sent {} after files were collected{}",
        view.who(),
        Bytes(view.habit.out),
        view.told(&[Deed::Staged, Deed::Archived, Deed::Read])
    );
    found(view, score, Severity::Medium, LEVEL, text)
}

/// What left is about as large as the archive.
fn fits(s: &Sight<'_>) -> bool {
    let Some(view) = seen(s) else { return false };
    let sizes = view.story.facts.iter().filter(|f| f.deed == Deed::Staged).filter_map(|f| f.size);
    sizes.into_iter().any(|size| size > 0 && view.habit.out / 2 <= size && size / 2 <= view.habit.out)
}
