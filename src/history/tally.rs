//! Lines that could be used and lines that could not: counted by reason, the first of each reason quoted.

use super::entry::Bad;
use crate::parse::text::printable;
use std::path::{Path, PathBuf};

/// Bytes of a bad line that are quoted.
const QUOTED: usize = 80;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Lines used, those of no interest included.
    pub lines: u64,
    /// Bad lines by [`Bad`].
    pub bad: [u64; Bad::COUNT],
    /// File, line number and beginning of the first of each.
    first: [Option<(PathBuf, u64, Box<str>)>; Bad::COUNT],
    file: PathBuf,
}

impl Tally {
    /// What comes now is of this file.
    pub(super) fn at(&mut self, file: &Path) {
        if self.file != file {
            file.clone_into(&mut self.file);
        }
    }

    #[cold]
    pub(super) fn bad(&mut self, bad: Bad, number: u64, line: &[u8]) {
        let (Some(count), Some(first)) = (self.bad.get_mut(bad as usize), self.first.get_mut(bad as usize))
        else {
            return;
        };
        *count += 1;
        if first.is_none() {
            let quote = printable(line.get(..QUOTED).unwrap_or(line));
            *first = Some((self.file.clone(), number, quote));
        }
    }

    /// Adds what another has counted.
    pub(super) fn merge(&mut self, other: &Self) {
        self.lines += other.lines;
        for (count, more) in self.bad.iter_mut().zip(other.bad) {
            *count += more;
        }
        for (first, theirs) in self.first.iter_mut().zip(&other.first) {
            if first.is_none() {
                first.clone_from(theirs);
            }
        }
    }

    /// Bad lines of all reasons.
    pub fn bad_lines(&self) -> u64 {
        self.bad.iter().sum()
    }

    /// One sentence for each reason, with its first line.
    pub fn remarks(&self) -> Vec<String> {
        let all = Bad::ALL.iter().zip(self.bad).zip(&self.first);
        all.filter_map(|((bad, count), first)| {
            let (file, number, quote) = first.as_ref()?;
            let more = match count {
                1 => String::new(),
                n => format!(" ({n} such lines)"),
            };
            let said = if quote.is_empty() { String::new() } else { format!(": '{quote}'") };
            Some(format!("{}:{number}: {}{more}{said}", file.display(), bad.text()))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_and_quoted_once() {
        let mut tally = Tally::default();
        tally.at(Path::new("conn.log"));
        tally.bad(Bad::Time, 7, b"x\ty\x1b");
        tally.bad(Bad::Time, 9, b"z");
        let said =
            "conn.log:7: there is no time, or none between 1980 and 2200 (2 such lines): 'x\\x09y\\x1b'";
        assert_eq!((tally.remarks(), tally.bad_lines()), (vec![said.to_owned()], 2));
    }
}
