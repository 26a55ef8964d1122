//! Code points as the words that Suricata and Zeek have for them.

use std::io::Write as _;

/// Whose word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tool {
    /// EVE.
    Suricata,
    /// Zeek logs.
    Zeek,
}

/// Appends the name of a TLS version; 0 stands for one that nobody has chosen yet.
pub(super) fn tls_version(version: u16, tool: Tool, out: &mut Vec<u8>) {
    let (suricata, zeek) = match version {
        0 => ("UNDETERMINED", "-"),
        0x0200 | 0x0002 => ("SSLv2", "SSLv2"),
        0x0300 => ("SSLv3", "SSLv3"),
        0x0301 => ("TLSv1", "TLSv10"),
        0x0302 => ("TLS 1.1", "TLSv11"),
        0x0303 => ("TLS 1.2", "TLSv12"),
        0x0304 => ("TLS 1.3", "TLSv13"),
        0xfeff => ("DTLS 1.0", "DTLSv10"),
        0xfefd => ("DTLS 1.2", "DTLSv12"),
        0xfefc => ("DTLS 1.3", "DTLSv13"),
        0x7f10..=0x7f1c => ("TLS 1.3 draft-", "TLSv13-draft"),
        _ => ("0x", "unknown-"),
    };
    // Writing into a Vec cannot fail, here and below.
    let _ = match (tool, version) {
        (Tool::Suricata, 0x7f10..=0x7f1c) => write!(out, "{suricata}{}", version & 0xff),
        (Tool::Zeek, 0x7f10..=0x7f1c) => write!(out, "{zeek}{}", version & 0xff),
        (Tool::Suricata, _) if suricata == "0x" => write!(out, "0x{version:04x}"),
        (Tool::Zeek, _) if zeek == "unknown-" => write!(out, "unknown-{version}"),
        (Tool::Suricata, _) => write!(out, "{suricata}"),
        (Tool::Zeek, _) => write!(out, "{zeek}"),
    };
}

/// Appends the name of a QUIC version.
pub(super) fn quic_version(version: u32, tool: Tool, out: &mut Vec<u8>) {
    let google = version.to_be_bytes();
    let _ = match (tool, version) {
        (Tool::Suricata, 0x6b33_43cf) => write!(out, "v2"),
        (Tool::Zeek, 0x6b33_43cf) => write!(out, "quicv2"),
        (Tool::Suricata, _)
            if matches!(google[0], b'Q' | b'T') && google[1..].iter().all(u8::is_ascii_digit) =>
        {
            out.extend_from_slice(&google);
            Ok(())
        }
        (Tool::Suricata, _) => write!(out, "{version:x}"),
        (Tool::Zeek, 1) => write!(out, "1"),
        (Tool::Zeek, 0xff00_0016..=0xff00_0022) => write!(out, "draft-{}", version & 0xff),
        (Tool::Zeek, _) => write!(out, "unknown-{version:x}"),
    };
}

/// Appends the name of a DNS response code.
pub(super) fn dns_rcode(rcode: u8, tool: Tool, out: &mut Vec<u8>) {
    const NAMES: [&str; 11] = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
        "NOTAUTH", "NOTZONE",
    ];
    let _ = match (NAMES.get(usize::from(rcode)), tool) {
        (Some(name), _) => write!(out, "{name}"),
        (None, Tool::Suricata) => write!(out, "{rcode}"),
        (None, Tool::Zeek) => write!(out, "unassigned-{rcode}"),
    };
}

/// Appends the name of a DNS record type.
pub(super) fn dns_type(qtype: u16, tool: Tool, out: &mut Vec<u8>) {
    let name = match qtype {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        35 => "NAPTR",
        39 => "DNAME",
        41 => "OPT",
        43 => "DS",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        52 => "TLSA",
        64 => "SVCB",
        65 => "HTTPS",
        255 if tool == Tool::Suricata => "ANY",
        255 => "*",
        257 => "CAA",
        _ => "",
    };
    let _ = match (name, tool) {
        ("", Tool::Suricata) => write!(out, "{qtype}"),
        ("", Tool::Zeek) => write!(out, "query-{qtype}"),
        _ => write!(out, "{name}"),
    };
}

/// Appends the IANA name of a cipher suite; of the rare ones the number, as Zeek does for those it does not know.
pub(super) fn cipher(suite: u16, out: &mut Vec<u8>) {
    let name = match suite {
        0x000a => "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
        0x002f => "TLS_RSA_WITH_AES_128_CBC_SHA",
        0x0033 => "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
        0x0035 => "TLS_RSA_WITH_AES_256_CBC_SHA",
        0x0039 => "TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
        0x003c => "TLS_RSA_WITH_AES_128_CBC_SHA256",
        0x003d => "TLS_RSA_WITH_AES_256_CBC_SHA256",
        0x009c => "TLS_RSA_WITH_AES_128_GCM_SHA256",
        0x009d => "TLS_RSA_WITH_AES_256_GCM_SHA384",
        0x009e => "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
        0x009f => "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
        0x1301 => "TLS_AES_128_GCM_SHA256",
        0x1302 => "TLS_AES_256_GCM_SHA384",
        0x1303 => "TLS_CHACHA20_POLY1305_SHA256",
        0xc009 => "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        0xc00a => "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        0xc013 => "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        0xc014 => "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
        0xc023 => "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
        0xc027 => "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
        0xc028 => "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
        0xc02b => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        0xc02c => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        0xc02f => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        0xc030 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        0xcca8 => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        0xcca9 => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        _ => "",
    };
    let _ = if name.is_empty() { write!(out, "unknown-{suite}") } else { write!(out, "{name}") };
}

/// Host and port of an HTTP authority such as `example.com:8080` or `[::1]:80`.
pub(super) fn split_port(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        // A second colon without brackets: a bare IPv6 address, all of it the host.
        Some((host, _)) if host.contains(':') && !host.ends_with(']') => (authority, None),
        Some((host, port)) => match port.parse() {
            Ok(port) if !host.is_empty() => (host, Some(port)),
            _ => (authority, None),
        },
        None => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(fill: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        fill(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    #[test]
    fn known_words() {
        use Tool::*;
        assert_eq!(word(|o| tls_version(0x0304, Suricata, o)), "TLS 1.3");
        assert_eq!(word(|o| tls_version(0x0304, Zeek, o)), "TLSv13");
        assert_eq!(word(|o| tls_version(0x7f17, Suricata, o)), "TLS 1.3 draft-23");
        assert_eq!(word(|o| tls_version(0x9999, Suricata, o)), "0x9999");
        assert_eq!(word(|o| tls_version(0x0305, Zeek, o)), "unknown-773");
        assert_eq!(word(|o| quic_version(0x5130_3436, Suricata, o)), "Q046");
        assert_eq!(word(|o| quic_version(1, Suricata, o)), "1");
        assert_eq!(word(|o| quic_version(0x6b33_43cf, Zeek, o)), "quicv2");
        assert_eq!(word(|o| dns_rcode(3, Suricata, o)), "NXDOMAIN");
        assert_eq!(word(|o| dns_type(65, Zeek, o)), "HTTPS");
        assert_eq!(word(|o| dns_type(65_280, Zeek, o)), "query-65280");
        assert_eq!(word(|o| cipher(0x1301, o)), "TLS_AES_128_GCM_SHA256");
        assert_eq!(word(|o| cipher(0xc0de, o)), "unknown-49374");
    }

    #[test]
    fn ports_split_off() {
        for (text, want) in [
            ("a.example", ("a.example", None)),
            ("a.example:8080", ("a.example", Some(8080))),
            ("[2001:db8::1]:443", ("[2001:db8::1]", Some(443))),
            ("2001:db8::1", ("2001:db8::1", None)),
            ("a.example:", ("a.example:", None)),
            (":80", (":80", None)),
            ("a:99999", ("a:99999", None)),
            ("", ("", None)),
        ] {
            assert_eq!(split_port(text), want, "{text}");
        }
    }
}
