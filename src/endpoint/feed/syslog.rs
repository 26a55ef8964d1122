//! Syslog over TCP: records by octet counting or by line (RFC 6587), told apart for every record.
//!
//! A datagram is a record. What stands within a record, headers of RFC 3164 or 5424 included, is read by the formats.

/// Longer records are cut: nothing that formats read is longer.
pub const MAX_RECORD: usize = 1 << 20;
/// Digits of a count at most.
const MAX_DIGITS: usize = 7;

/// The records of one connection.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    from: usize,
    /// Bytes of a record that was too long, still to be passed over; `usize::MAX`: up to the next line.
    skip: usize,
    /// Records that were too long.
    pub too_long: u64,
}

enum Next {
    Record(usize, usize, usize),
    Skip(usize, usize),
    Wait,
}

impl Frames {
    /// Takes bytes of the connection; `hand` gets each record that is whole.
    pub fn push(&mut self, bytes: &[u8], hand: &mut dyn FnMut(&[u8])) {
        self.buffer.extend_from_slice(bytes);
        self.pass_over();
        loop {
            match self.next() {
                Next::Record(from, to, next) => {
                    let record = self.buffer.get(from..to).unwrap_or_default();
                    let record = record.strip_suffix(b"\r").unwrap_or(record);
                    if !record.is_empty() {
                        hand(record);
                    }
                    self.from = next;
                }
                Next::Skip(next, skip) => {
                    self.too_long += 1;
                    (self.from, self.skip) = (next, skip);
                    self.pass_over();
                }
                Next::Wait => break,
            }
        }
        self.buffer.drain(..self.from.min(self.buffer.len()));
        self.from = 0;
    }

    /// The connection has ended: what is left is a record.
    pub fn finish(&mut self, hand: &mut dyn FnMut(&[u8])) {
        let rest = self.buffer.get(self.from..).unwrap_or_default();
        if !rest.is_empty() && self.skip == 0 {
            hand(rest);
        }
        self.buffer.clear();
    }

    /// Passes over the rest of a record that was too long.
    fn pass_over(&mut self) {
        if self.skip == 0 {
            return;
        }
        let rest = self.buffer.get(self.from..).unwrap_or_default();
        let (gone, left) = if self.skip == usize::MAX {
            match memchr::memchr(b'\n', rest) {
                Some(at) => (at + 1, 0),
                None => (rest.len(), usize::MAX),
            }
        } else {
            let gone = self.skip.min(rest.len());
            (gone, self.skip - gone)
        };
        (self.from, self.skip) = (self.from + gone, left);
    }

    fn next(&self) -> Next {
        let rest = self.buffer.get(self.from..).unwrap_or_default();
        match count(rest) {
            Count::Of(len, digits) => {
                let from = self.from + digits + 1;
                if len > MAX_RECORD {
                    return Next::Skip(from, len);
                }
                let to = from + len;
                if to > self.buffer.len() { Next::Wait } else { Next::Record(from, to, to) }
            }
            Count::More => Next::Wait,
            Count::None => match memchr::memchr(b'\n', rest) {
                Some(at) => Next::Record(self.from, self.from + at.min(MAX_RECORD), self.from + at + 1),
                // A zero also ends a line, for some senders; the formats pass over it.
                None if rest.len() > MAX_RECORD => Next::Skip(self.buffer.len(), usize::MAX),
                None => Next::Wait,
            },
        }
    }
}

enum Count {
    /// So many bytes, in so many digits.
    Of(usize, usize),
    /// It may become one.
    More,
    None,
}

/// `123 <34>1 …`: a count, a blank, and a record that begins with `<`.
fn count(bytes: &[u8]) -> Count {
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || digits > MAX_DIGITS || bytes.first() == Some(&b'0') {
        return Count::None;
    }
    match (bytes.get(digits), bytes.get(digits + 1)) {
        (None, _) | (Some(b' '), None) => Count::More,
        (Some(b' '), Some(b'<')) => {
            let text = bytes.get(..digits).and_then(|d| std::str::from_utf8(d).ok());
            text.and_then(|d| d.parse().ok()).map_or(Count::None, |len| Count::Of(len, digits))
        }
        _ => Count::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(bytes: &[u8], piece: usize) -> Vec<String> {
        let (mut frames, mut got) = (Frames::default(), Vec::new());
        let mut hand = |record: &[u8]| got.push(String::from_utf8_lossy(record).into_owned());
        for piece in bytes.chunks(piece) {
            frames.push(piece, &mut hand);
        }
        frames.finish(&mut hand);
        got
    }

    #[test]
    fn both_framings_in_every_cut() {
        let text = b"5 <1>ab<34>line one\r\n12 <34>two\nlines123 not a count\n<1>last";
        for piece in 1..=text.len() {
            let got = frames(text, piece);
            assert_eq!(
                got,
                ["<1>ab", "<34>line one", "<34>two\nline", "s123 not a count", "<1>last"],
                "{piece}"
            );
        }
    }

    #[test]
    fn what_is_too_long_costs_one_record() {
        let mut text = format!("{} <1>", MAX_RECORD + 10).into_bytes();
        text.extend(vec![b'x'; MAX_RECORD + 7]);
        text.extend(b"<1>next\n");
        text.extend(vec![b'y'; MAX_RECORD * 2]);
        text.extend(b"\n<1>after\n");
        assert_eq!(frames(&text, 60_000), ["<1>next", "<1>after"]);
    }

    #[test]
    fn hostile() {
        crate::parse::hostile::all(
            b"5 <1>ab<34>line one\r\n9999999 <1>x\n18446744073709551615 <1>x",
            |bytes| {
                let total: usize = frames(bytes, 3).iter().map(String::len).sum();
                assert!(total <= bytes.len() * 3);
            },
        );
    }
}
