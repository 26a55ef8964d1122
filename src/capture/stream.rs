//! Bytes of an input, unpacked where its first bytes say that it is packed.

use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Packed input is read in pieces of this many bytes.
const PACKED_PIECE: usize = 128 << 10;

/// An input as it lies on the disk; knows how much has been read of it.
struct Raw {
    inner: Box<dyn Read + Send>,
    /// The first bytes, which were read to see what the input is.
    head: [u8; 4],
    head_len: usize,
    head_told: usize,
    read: u64,
}

impl Raw {
    fn open(mut inner: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut head = [0; 4];
        let mut head_len = 0;
        while let Some(room @ [_, ..]) = head.get_mut(head_len..) {
            match inner.read(room) {
                Ok(0) => break,
                Ok(n) => head_len += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Self { inner, head, head_len, head_told: 0, read: head_len as u64 })
    }
}

impl Read for Raw {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(head @ [_, ..]) = self.head.get(self.head_told..self.head_len) {
            let n = (&*head).read(buf)?;
            self.head_told += n;
            return Ok(n);
        }
        let n = self.inner.read(buf)?;
        self.read += n as u64;
        Ok(n)
    }
}

enum Packing {
    Plain(Raw),
    Gzip(Box<MultiGzDecoder<BufReader<Raw>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Raw>>>),
}

/// An open input, read from beginning to end.
pub(crate) struct Stream {
    packing: Packing,
    /// Size on disk; None for pipes.
    size: Option<u64>,
}

impl Stream {
    /// Opens `path`, `-` being standard input.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Self::of(Box::new(io::stdin()), None);
        }
        let file = File::open(path)?;
        let meta = file.metadata()?;
        Self::of(Box::new(file), meta.is_file().then_some(meta.len()))
    }

    fn of(inner: Box<dyn Read + Send>, size: Option<u64>) -> io::Result<Self> {
        let raw = Raw::open(inner)?;
        let packing = match raw.head {
            [0x1f, 0x8b, ..] => {
                let raw = BufReader::with_capacity(PACKED_PIECE, raw);
                Packing::Gzip(Box::new(MultiGzDecoder::new(raw)))
            }
            // A frame, or a frame that readers skip (as parallel compressors write in front).
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
                let raw = BufReader::with_capacity(PACKED_PIECE, raw);
                Packing::Zstd(Box::new(zstd::Decoder::with_buffer(raw)?))
            }
            _ => Packing::Plain(raw),
        };
        Ok(Self { packing, size })
    }

    /// True for a pipe: what has come is to be handed on, the rest may take its time.
    pub(crate) fn is_live(&self) -> bool {
        self.size.is_none()
    }

    /// Size on disk, where known.
    pub(crate) fn size(&self) -> Option<u64> {
        self.size
    }

    /// Bytes read from the disk so far.
    pub(crate) fn disk_bytes(&self) -> u64 {
        match &self.packing {
            Packing::Plain(raw) => raw.read,
            Packing::Gzip(decoder) => decoder.get_ref().get_ref().read,
            Packing::Zstd(decoder) => decoder.get_ref().get_ref().read,
        }
    }

    /// Reads what comes next, unpacked; 0 at the end.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Result<usize, String> {
        loop {
            let (got, packed) = match &mut self.packing {
                Packing::Plain(raw) => (raw.read(buf), None),
                Packing::Gzip(decoder) => (decoder.read(buf), Some("gzip")),
                Packing::Zstd(decoder) => (decoder.read(buf), Some("zstd")),
            };
            return match (got, packed) {
                (Ok(n), _) => Ok(n),
                (Err(e), _) if e.kind() == io::ErrorKind::Interrupted => continue,
                (Err(e), None) => Err(format!("cannot be read: {e}")),
                (Err(e), Some(packed)) => Err(format!("the {packed} data is cut or damaged ({e})")),
            };
        }
    }
}
