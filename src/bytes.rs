//! The one reader that does every bounds check; parsers above it never index.

/// Reads big-endian fields from a slice. Every method gives `None` past the end, and then nothing has moved.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    #[inline]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Number of unread bytes.
    #[inline]
    pub const fn len(&self) -> usize {
        self.rest.len()
    }

    /// True when all has been read.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(n)?;
        self.rest = tail;
        Some(head)
    }

    /// Up to `n` bytes: fewer where the data has been cut.
    #[inline]
    pub fn take_up_to(&mut self, n: usize) -> &'a [u8] {
        let (head, tail) = self.rest.split_at(n.min(self.rest.len()));
        self.rest = tail;
        head
    }

    /// Skips `n` bytes.
    #[inline]
    pub fn skip(&mut self, n: usize) -> Option<()> {
        self.take(n).map(|_| ())
    }

    /// The next `N` bytes as an array.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.rest.split_first_chunk::<N>()?;
        self.rest = tail;
        Some(*head)
    }

    /// The next byte.
    #[inline]
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }

    /// The next two bytes, big-endian.
    #[inline]
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next three bytes, big-endian.
    #[inline]
    pub fn u24(&mut self) -> Option<u32> {
        self.array::<3>().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// The next four bytes, big-endian.
    #[inline]
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next eight bytes, big-endian.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A vector preceded by its length in one byte.
    #[inline]
    pub fn vec8(&mut self) -> Option<&'a [u8]> {
        let mut probe = *self;
        let n = probe.u8()? as usize;
        let out = probe.take(n)?;
        *self = probe;
        Some(out)
    }

    /// A vector preceded by its length in two bytes.
    #[inline]
    pub fn vec16(&mut self) -> Option<&'a [u8]> {
        let mut probe = *self;
        let n = probe.u16()? as usize;
        let out = probe.take(n)?;
        *self = probe;
        Some(out)
    }
}

/// Two bytes at `at`, big-endian.
pub fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Reader::new(bytes.get(at..)?).u16()
}

/// Four bytes at `at`, big-endian.
pub fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Reader::new(bytes.get(at..)?).u32()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_the_end_is_none_and_moves_nothing() {
        let mut r = Reader::new(&[1, 2, 3]);
        assert_eq!(r.u32(), None);
        assert_eq!(r.vec8(), Some(&[2u8][..]));
        assert_eq!(r.vec8(), None);
        assert_eq!(r.u8(), Some(3));
        assert!(r.is_empty());
        assert_eq!(r.take_up_to(9), &[] as &[u8]);
    }
}
