//! Bytes from the network made safe to print: what is not printable ASCII is escaped as `\xNN`.

use std::fmt::Write;

/// Longest text kept of any field; longer ones are cut there.
pub const MAX_TEXT: usize = 1024;

/// Longest string that can be a host name (RFC 1035, with room for a closing dot).
pub const MAX_NAME: usize = 255;

/// Printable ASCII as it is, everything else as `\xNN`, at most [`MAX_TEXT`] input bytes.
pub fn printable(bytes: &[u8]) -> Box<str> {
    let bytes = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(bytes)
        && bytes.iter().all(|b| plain(*b))
    {
        return text.into();
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for &b in bytes {
        if plain(b) {
            out.push(b as char);
        } else {
            let _ = write!(out, "\\x{b:02x}");
        }
    }
    out.into()
}

/// UTF-8 text without control characters; anything else escaped. For certificate fields, which are text.
pub fn push_readable(out: &mut String, text: &str) {
    if text.len() <= MAX_TEXT && text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        out.push_str(text);
        return;
    }
    for c in text.chars().take(MAX_TEXT) {
        if c.is_control() || hides(c) {
            let _ = write!(out, "\\u{{{:x}}}", c as u32);
        } else {
            out.push(c);
        }
    }
}

/// Whether these bytes may stand as a host name in records: printable, neither empty nor beyond [`MAX_NAME`].
pub fn is_name(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.len() <= MAX_NAME
}

/// The digit of the low four bits.
pub(super) const fn digit(nibble: u8) -> u8 {
    let nibble = nibble & 15;
    nibble + if nibble < 10 { b'0' } else { b'a' - 10 }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        out.push(digit(b >> 4) as char);
        out.push(digit(*b) as char);
    }
    out
}

/// Lower-case hex, bytes divided by colons.
pub fn hex_colons(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 3);
    for (i, b) in bytes.iter().enumerate() {
        if i > 0 {
            out.push(':');
        }
        out.push(digit(b >> 4) as char);
        out.push(digit(*b) as char);
    }
    out
}

/// Position of `needle` in `hay`.
pub fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len().max(1)).position(|w| w == needle)
}

/// Position of `needle` in `hay`, letters of either case.
pub fn find_any_case(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len().max(1)).position(|w| w.eq_ignore_ascii_case(needle))
}

/// Whether `bytes` starts with `prefix`, letters of either case.
pub fn starts_any_case(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

const fn plain(b: u8) -> bool {
    b >= 0x20 && b < 0x7f
}

/// Characters that reorder or hide the text around them on a terminal.
const fn hides(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_escaped() {
        assert_eq!(&*printable(b"a b.example"), "a b.example");
        assert_eq!(&*printable(b"a\n\xffb\x1b"), "a\\x0a\\xffb\\x1b");
        assert_eq!(printable(&[b'x'; 5000]).len(), MAX_TEXT);
        let mut text = String::from("CN=");
        push_readable(&mut text, "a\u{202e}b\u{7}é");
        push_readable(&mut text, ", plain ASCII");
        assert_eq!(text, "CN=a\\u{202e}b\\u{7}é, plain ASCII");
        assert_eq!(hex_colons(&[0, 0xab]), "00:ab");
        assert_eq!(find_any_case(b"x STARTtls", b"starttls"), Some(2));
    }
}
