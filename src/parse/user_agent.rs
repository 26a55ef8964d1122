//! Signs in a User-Agent: forged by hand (rules of Sentinel's "Malformed user agent") or used to carry data.

use super::text::{find, find_any_case, starts_any_case};

/// Longer than any browser or agent writes.
const MAX_PLAIN: usize = 512;

/// An unbroken run of base64 or hex of this length is no word.
const MAX_RUN: usize = 64;

/// Forged by hand: a header name or quote at its start, wrong case of `Mozilla` or `compatible`, `MSIE` without or
/// with a badly spaced version.
pub fn is_malformed(agent: &[u8]) -> bool {
    let quoted = agent.first().is_some_and(|b| matches!(b, b'"' | b'\''));
    let header = starts_any_case(agent, b"user-agent") || starts_any_case(agent, b"user agent");
    let mozilla = starts_any_case(agent, b"mozilla") && !agent.starts_with(b"Mozilla");
    let compatible =
        find_any_case(agent, b"(compatible;").is_some_and(|_| find(agent, b"(compatible;").is_none());
    quoted || header || mozilla || compatible || odd_msie(agent)
}

fn odd_msie(agent: &[u8]) -> bool {
    let Some(at) = find(agent, b"MSIE") else { return false };
    let rest = agent.get(at + 4..).unwrap_or_default();
    match rest {
        [b' ', version, ..] => !version.is_ascii_digit(),
        _ => true,
    }
}

/// Carries data rather than a name: over 512 bytes, or a long unbroken run of base64 or hex.
pub fn carries_data(agent: &[u8]) -> bool {
    if agent.len() > MAX_PLAIN {
        return true;
    }
    let in_run = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'_' | b'-');
    agent.split(|b| !in_run(b)).any(|run| run.len() > MAX_RUN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_well_formed() {
        for good in [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
            "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.1)",
            "curl/8.5.0",
            "aws-sdk-go-v2/1.30.3 os/linux lang/go#1.22 md/GOOS#linux",
            "",
        ] {
            assert!(!is_malformed(good.as_bytes()), "{good}");
            assert!(!carries_data(good.as_bytes()), "{good}");
        }
    }

    #[test]
    fn forged_ones_are_told() {
        for bad in [
            "\"Mozilla/5.0\"",
            "User-Agent: Mozilla/5.0",
            "mozilla/4.0 (compatible; MSIE 7.0)",
            "Mozilla/4.0 (Compatible; MSIE 7.0)",
            "Mozilla/4.0 (compatible; MSIE ; Windows)",
            "Mozilla/4.0 (compatible; MSIE7.0; Windows)",
        ] {
            assert!(is_malformed(bad.as_bytes()), "{bad}");
        }
        assert!(carries_data(&[b'A'; 65]));
        assert!(carries_data("x y ".repeat(200).as_bytes()));
    }
}
