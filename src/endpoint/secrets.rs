//! Takes secrets out of command lines, addresses and messages, before they reach any queue or file.
//!
//! Three readers mark what must go: values beside a name that says so, texts that are secrets by their own form, and
//! arguments that a known tool takes as a password. What is marked becomes [`GONE`]. Too much goes rather than too
//! little; the program, its verbs, paths and hosts stay.

mod forms;
mod names;
mod tools;

use std::borrow::Cow;
use std::ops::Range;

/// What stands where a secret stood.
pub const GONE: &str = "***";
/// Longer texts are cut: no command line of any system is longer.
pub const MAX_BYTES: usize = 32 * 1024;
/// So many secrets are told apart; from the last on, the rest of the text goes.
const MAX_FOUND: usize = 256;

/// `text` without secrets: the same text where there are none. Work is linear in its length; what is beyond
/// [`MAX_BYTES`] is cut off.
pub fn redact(text: &str) -> Cow<'_, str> {
    let text = super::draft::cut(text, MAX_BYTES);
    let mut found = Found { text, ranges: Vec::new() };
    tools::mark(&mut found, 0..text.len(), 0);
    names::mark(&mut found);
    forms::mark(&mut found);
    found.out()
}

/// What was marked in a text. Every bound lies beside an ASCII character or at an end, so on a character's bound.
struct Found<'t> {
    text: &'t str,
    ranges: Vec<Range<usize>>,
}

impl<'t> Found<'t> {
    /// Marks a secret.
    fn mark(&mut self, range: Range<usize>) {
        if !self.text[range.clone()].trim_matches('*').is_empty() {
            match self.ranges.len() {
                MAX_FOUND => {
                    let last = &mut self.ranges[MAX_FOUND - 1];
                    *last = last.start.min(range.start)..self.text.len();
                }
                _ => self.ranges.push(range),
            }
        }
    }

    fn out(mut self) -> Cow<'t, str> {
        if self.ranges.is_empty() {
            return Cow::Borrowed(self.text);
        }
        self.ranges.sort_by_key(|r| (r.start, r.end));
        let mut out = String::with_capacity(self.text.len());
        let mut at = 0;
        for range in self.ranges {
            if range.start >= at {
                out.push_str(&self.text[at..range.start]);
                out.push_str(GONE);
            }
            at = at.max(range.end);
        }
        out.push_str(&self.text[at..]);
        Cow::Owned(out)
    }
}

/// Whether a text looks drawn at random: long, of the letters of base64 or hex, and not a word.
fn looks_random(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let upper = text.bytes().filter(u8::is_ascii_uppercase).count();
    let lower = text.bytes().filter(u8::is_ascii_lowercase).count();
    text.len() >= 16
        && text.bytes().all(plain)
        && digits >= 2
        && (upper > 0 || lower > 0)
        && digits + upper >= 4
}

/// The end of the text from `from` on for which `keep` holds.
fn run(text: &str, from: usize, keep: impl Fn(u8) -> bool) -> usize {
    text.as_bytes()[from..].iter().position(|b| !keep(*b)).map_or(text.len(), |n| from + n)
}

#[cfg(test)]
mod tests;
