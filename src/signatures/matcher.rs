//! From a host name to the best rule: one hash probe per suffix, and a short list of globs where a suffix has any.

use super::Rule;
use super::pattern::{EXACT, MAX_NAME, Reach};
use hashbrown::HashMap;
use std::ops::Range;

/// No name has more labels (253 characters, every second one a dot).
const MAX_LABELS: usize = 127;

const NONE: u32 = u32::MAX;

/// The rules of one layer, ready to be searched.
#[derive(Clone, Default, Debug)]
pub(crate) struct Matcher {
    nodes: HashMap<Box<str>, Node, foldhash::fast::FixedState>,
    longest_tail: usize,
}

/// What is known of one literal suffix.
#[derive(Clone, Debug)]
struct Node {
    exact: u32,
    below: u32,
    below_has_apex: bool,
    globs: Vec<Glob>,
}

/// A glob rule with what rules it out at a glance: `amazonaws.com` alone has some sixty of them.
#[derive(Clone, Copy, Debug)]
struct Glob {
    rule: u32,
    labels: u8,
    reach: Reach,
    /// The first byte of the leftmost label, where it is a letter that must stand there; else 0.
    lead: u8,
}

impl Glob {
    fn may_fit(self, first: u8, count: usize) -> bool {
        let own = usize::from(self.labels);
        match self.reach {
            Reach::Name => count == own && (self.lead == 0 || self.lead == first),
            Reach::NameAndBelow => count >= own,
            Reach::Below => count > own,
        }
    }
}

/// The best rule for a name.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Hit {
    pub(crate) rule: u32,
    pub(crate) tenant: Option<Range<usize>>,
    pub(crate) weighty: bool,
}

impl Matcher {
    /// Adds a rule by its number; returns the number of the rule that already stands in its place.
    pub(crate) fn add(&mut self, number: u32, rules: &[Rule]) -> Option<u32> {
        let pattern = &rules.get(number as usize)?.pattern;
        self.longest_tail = self.longest_tail.max(pattern.tail().split('.').count());
        let node = self.nodes.entry(pattern.tail().into()).or_insert_with(|| Node {
            exact: NONE,
            below: NONE,
            below_has_apex: false,
            globs: Vec::new(),
        });
        if !pattern.is_literal() {
            let name = |reach| reach == Reach::Name;
            let same = |other: &&Glob| {
                name(other.reach) == name(pattern.reach())
                    && rules
                        .get(other.rule as usize)
                        .is_some_and(|rule| rule.pattern.stem() == pattern.stem())
            };
            let taken = node.globs.iter().find(same).map(|glob| glob.rule);
            if taken.is_none() {
                let (reach, labels, lead) = (pattern.reach(), pattern.labels(), pattern.lead());
                node.globs.push(Glob { rule: number, labels, reach, lead });
            }
            return taken;
        }
        let slot = match pattern.reach() {
            Reach::Name => &mut node.exact,
            Reach::NameAndBelow | Reach::Below => &mut node.below,
        };
        if *slot != NONE {
            return Some(*slot);
        }
        *slot = number;
        node.below_has_apex |= pattern.reach() == Reach::NameAndBelow;
        None
    }

    /// The best rule for a normalised name.
    pub(crate) fn find(&self, rules: &[Rule], host: &str) -> Option<Hit> {
        if self.nodes.is_empty() {
            return None;
        }
        let mut buffer = [0_u8; MAX_LABELS];
        let starts = label_starts(host, &mut buffer)?;
        let mut best: Option<(u32, u32)> = None;
        self.each_match(rules, host, starts, |number, rule| {
            let rank = rule.pattern.rank(starts.len());
            // Equal rank: the rule that was read first stays.
            if best.is_none_or(|(b, n)| rank > b || (rank == b && number < n)) {
                best = Some((rank, number));
            }
            // Nothing beats the exact name.
            rank >= EXACT && rule.weighty
        });
        let (_, number) = best?;
        let winner = rules.get(number as usize)?;
        // A name seen in no source still belongs to the service that its parent weightily belongs to.
        let mut weighty = winner.weighty;
        if !weighty {
            self.each_match(rules, host, starts, |_, rule| {
                weighty |= rule.weighty && rule.service == winner.service;
                weighty
            });
        }
        Some(Hit { rule: number, tenant: winner.pattern.tenant_in(host, starts), weighty })
    }

    /// Tells every rule that matches, the longest suffix first, until `tell` has enough.
    fn each_match<'r>(
        &self,
        rules: &'r [Rule],
        host: &str,
        starts: &[u8],
        mut tell: impl FnMut(u32, &'r Rule) -> bool,
    ) {
        let count = starts.len();
        let first = host.as_bytes().first().copied().unwrap_or(0);
        // No pattern ends in a top-level name alone, so the last label is not looked up.
        let tails = starts.iter().enumerate().take(count - 1).skip(count.saturating_sub(self.longest_tail));
        for (at, start) in tails {
            let Some(node) = host.get(usize::from(*start)..).and_then(|tail| self.nodes.get(tail)) else {
                continue;
            };
            let mut told = |number: u32| rules.get(number as usize).is_some_and(|rule| tell(number, rule));
            if at == 0 && told(node.exact) || (at > 0 || node.below_has_apex) && told(node.below) {
                return;
            }
            for glob in node.globs.iter().filter(|glob| glob.may_fit(first, count)) {
                let fits = |rule: &Rule| rule.pattern.fits(host, starts, count - at);
                if rules.get(glob.rule as usize).is_some_and(fits) && told(glob.rule) {
                    return;
                }
            }
        }
    }
}

/// Where each label begins; nothing for an empty or overlong name or one with an empty label.
fn label_starts<'b>(host: &str, buffer: &'b mut [u8; MAX_LABELS]) -> Option<&'b [u8]> {
    if host.is_empty() || host.len() > MAX_NAME {
        return None;
    }
    let mut count = 1;
    let mut start = 0;
    for (at, byte) in host.bytes().enumerate() {
        if byte == b'.' {
            if at == start {
                return None;
            }
            start = at + 1;
            *buffer.get_mut(count)? = start as u8;
            count += 1;
        }
    }
    if start == host.len() { None } else { buffer.get(..count) }
}
