//! Host names as they come off the wire, brought into the form that patterns have.

use super::pattern::MAX_NAME;
use std::borrow::Cow;

/// Suffixes that an access broker (Defender for Cloud Apps) puts behind the name it stands in for.
const PROXY_SUFFIXES: &[&str] = &[
    ".admin-mcas-gov.ms",
    ".admin-mcas-gov.us",
    ".admin-mcas.ms",
    ".admin-rs-mcas.ms",
    ".cas.ms",
    ".mcas-gov.ms",
    ".mcas-gov.us",
    ".mcas.ms",
    ".rs-mcas.ms",
];

/// Lower case, without port and trailing dot. Nothing when it is no host name: an address, empty, too long.
pub(crate) fn normalise(host: &str) -> Option<Cow<'_, str>> {
    if host.len() > MAX_NAME + ".:65535".len() {
        return None;
    }
    // One pass over the bytes says whether the rare cases need a look at all.
    let odd = host
        .bytes()
        .fold(0, |odd, byte| odd | u8::from(byte == b':') | u8::from(byte.is_ascii_uppercase()) << 1);
    let host = if odd & 1 == 0 { host } else { without_port(host)? };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.is_empty() || host.len() > MAX_NAME {
        return None;
    }
    // A last label that begins with a digit is an IPv4 address or nonsense: no top-level name does.
    if host.rsplit('.').next()?.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some(if odd & 2 == 0 { Cow::Borrowed(host) } else { Cow::Owned(host.to_ascii_lowercase()) })
}

/// The name before `:443`; nothing for an IPv6 address.
fn without_port(host: &str) -> Option<&str> {
    let (name, port) = host.rsplit_once(':')?;
    let good = !name.contains(':') && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    good.then_some(name)
}

/// The name that a broker stands in for: `contoso.sharepoint.com.mcas.ms` → `contoso.sharepoint.com`.
pub(crate) fn behind_proxy(name: &str) -> Option<&str> {
    // Cheap look first: hardly any name ends so.
    let tail = name.as_bytes().last_chunk::<3>()?;
    if tail != b".ms" && tail != b".us" {
        return None;
    }
    let inner = PROXY_SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix))?;
    // Older names have the region between: `contoso.sharepoint.com.us2.cas.ms`.
    let inner = match inner.rsplit_once('.') {
        Some((rest, region)) if is_region(region) => rest,
        _ => inner,
    };
    inner.contains('.').then_some(inner)
}

fn is_region(label: &str) -> bool {
    let letters = label.trim_end_matches(|c: char| c.is_ascii_digit());
    matches!(letters, "us" | "eu" | "uk" | "gov") && label.len() <= 4 && letters.len() < label.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_case_port_and_dot() {
        for (given, wanted) in [
            ("Content.DropboxAPI.com", Some("content.dropboxapi.com")),
            ("a.example.", Some("a.example")),
            ("a.example.:443", Some("a.example")),
            ("a.example:8443", Some("a.example")),
            ("192.0.2.1", None),
            ("192.0.2.1:443", None),
            ("[2001:db8::1]:443", None),
            ("2001:db8::1", None),
            ("", None),
            (".", None),
            (":443", None),
            ("host:port", None),
        ] {
            assert_eq!(normalise(given).as_deref(), wanted, "{given}");
        }
        assert_eq!(normalise(&"a.".repeat(200)), None);
    }

    #[test]
    fn a_broker_is_seen_through() {
        assert_eq!(behind_proxy("contoso.sharepoint.com.mcas.ms"), Some("contoso.sharepoint.com"));
        assert_eq!(behind_proxy("www.box.com.us2.cas.ms"), Some("www.box.com"));
        assert_eq!(behind_proxy("www.box.com.admin-mcas-gov.us"), Some("www.box.com"));
        assert_eq!(behind_proxy("mcas.ms"), None);
        assert_eq!(behind_proxy("portal.mcas.ms"), None);
        assert_eq!(behind_proxy("www.cams.ms"), None);
    }
}
