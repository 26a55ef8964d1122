//! AN1515: the disk of a virtual machine is taken from a hypervisor, and then as much leaves.
//!
//! Without any log it is seen by the bytes that a host fetched from a hypervisor's own address; a log of the hypervisor or
//! of the host adds who read or copied what.

use super::{Deed, is_outside};
use crate::detect::rules::{Finding, Sight};
use crate::output::Severity;
use crate::units::Bytes;

pub(super) fn look(s: &Sight<'_>) -> Option<Finding> {
    let level = s.config.datastore_transfer_threshold.0;
    let read = s.process.as_deref().is_some_and(|v| v.story.has(Deed::Datastore));
    let fetched = s.from_hypervisor >= level;
    if !is_outside(s.kind) || s.pushed < level || s.part.gateway || !(read || fetched) {
        return None;
    }
    // A backup server fetches disks all night: what leaves must be about as much, and to a place that is new.
    let near = !fetched || s.day.0 >= s.from_hypervisor / 10;
    if !near || (s.days_used > 1 && !read) {
        return None;
    }
    let how = match (fetched, read) {
        (true, _) => format!("{} were fetched from a hypervisor", Bytes(s.from_hypervisor)),
        (false, _) => "the disk of a virtual machine was read".to_owned(),
    };
    let told = s
        .process
        .as_deref()
        .map_or_else(String::new, |v| v.told(&[Deed::Datastore, Deed::Staged, Deed::Started]));
    let text = format!("{how}, then {} left; the level is {}{told}", Bytes(s.day.0), Bytes(level));
    let score = if fetched && read { 2.0 } else { 1.3 };
    Some(Finding { score, severity: Severity::High, threshold: level, text })
}
