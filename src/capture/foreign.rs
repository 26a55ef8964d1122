//! Names what an input is when it is not a capture that Egret reads, and says what to do about it.

const CONVERT: &str = "convert with `editcap -F pcap IN OUT`";

/// First bytes of other formats. Captures among them can be converted, so a directory does not pass them over.
const CAPTURES: [(&[u8], &str); 18] = [
    (b"snoop\0\0\0", "a Solaris snoop capture"),
    (b"GMBU", "a Microsoft Network Monitor 2 capture"),
    (b"RTSS", "a Microsoft Network Monitor 1 capture"),
    (b"XCP\0", "a NetXRay or Windows Sniffer capture"),
    (b"TRSNIFF data    \x1a", "a DOS Sniffer capture"),
    (b"\x7fver", "an EtherPeek or OmniPeek capture"),
    (b"\x05VNF", "a Visual Networks capture"),
    (b"btsnoop\0", "a Bluetooth snoop log"),
    (b"iptrace 1.0", "an AIX iptrace capture"),
    (b"iptrace 2.0", "an AIX iptrace capture"),
    (b"\x54\x52\x00\x64\x00", "an HP-UX nettl trace"),
    (b"ObserverPktBuffe", "a Network Instruments Observer capture"),
    (b"\xa1\x2b\x3c\x4d", "a Navtel pcap variant"),
    (b"\x4d\x3c\x2b\xa1", "a Navtel pcap variant"),
    (b"\xa1\xb2\x34\xcd", "a pcap variant with another record header"),
    (b"\xcd\x34\xb2\xa1", "a pcap variant with another record header"),
    (b"\x42\xd2\x00\x34\x12\x66\x22\x88", "a RADCOM capture"),
    (b"\xaa\xaa\xaa\xaa", "an InfoVista 5View capture"),
];

const PACKED: [(&[u8], &str, &str); 6] = [
    (b"\xfd7zXZ\0", "xz-compressed", "unpack with `xz -dc FILE | egret replay -`"),
    (b"BZh", "bzip2-compressed", "unpack with `bzip2 -dc FILE | egret replay -`"),
    (b"\x04\x22\x4d\x18", "lz4-compressed", "unpack with `lz4 -dc FILE | egret replay -`"),
    (b"PK\x03\x04", "a zip archive", "unpack with `unzip -p FILE | egret replay -`"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack with `7z x -so FILE | egret replay -`"),
    (b"\x1f\x8b", "compressed twice", "unpack with `gzip -dc FILE | egret replay -`"),
];

/// Why `head`, the first bytes of an input, cannot be read: one line with the cure.
pub(super) fn refusal(head: &[u8]) -> String {
    if head.is_empty() {
        return "the file is empty: no pcap or pcapng header".into();
    }
    if let Some((_, what)) = capture(head) {
        return format!("not a pcap or pcapng file (looks like {what}); {CONVERT}");
    }
    if let Some((_, what, cure)) = PACKED.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return format!("not a pcap or pcapng file ({what}); {cure}");
    }
    if head.len() < 4 {
        return "not a pcap or pcapng file: only a few bytes long".into();
    }
    if is_text(head) {
        return "not a pcap or pcapng file (looks like text); for a hex dump use `text2pcap IN OUT`".into();
    }
    format!("not a pcap or pcapng file (unknown format); if it is a capture, {CONVERT}")
}

/// True where `head` is a capture of a format that Egret does not read.
pub(super) fn is_capture(head: &[u8]) -> bool {
    capture(head).is_some()
}

fn capture(head: &[u8]) -> Option<&'static (&'static [u8], &'static str)> {
    CAPTURES.iter().find(|(magic, _)| head.starts_with(magic))
}

fn is_text(head: &[u8]) -> bool {
    head.iter().take(256).all(|b| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_a_cure() {
        for (head, word) in [
            (&b"snoop\0\0\0\0\0\0\x02"[..], "editcap"),
            (b"\xfd7zXZ\0\0\x04", "xz -dc"),
            (b"{\"event_type\": \"flow\"}\n", "text2pcap"),
            (b"\x7fELF\x02\x01\x01\0", "editcap"),
            (b"", "empty"),
            (b"ab", "few bytes"),
        ] {
            assert!(refusal(head).contains(word), "{:?}: {}", head, refusal(head));
        }
    }
}
