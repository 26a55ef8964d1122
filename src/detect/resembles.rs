//! Names that imitate a watched brand: look-alike letters, one slip of the pen, or the brand as a part of a label.
//!
//! Asked only of names that the catalogue does not know. A table of brands with the domains that are really theirs;
//! the work for one name is bounded by the length of a label times the table.

use super::Map;
use crate::signatures::Catalogue;
use std::collections::HashSet;
use std::sync::LazyLock;

/// A brand and the registrable domains that are its own, beside those of the catalogue.
struct Brand {
    word: &'static str,
    /// What the owner itself registered with the brand in it.
    own: &'static [&'static str],
}

const fn b(word: &'static str, own: &'static [&'static str]) -> Brand {
    Brand { word, own }
}

/// Brands that uploads go to and that are imitated. Short and common words (box, mega, line) would match by chance and
/// stand here only in a longer form.
static BRANDS: &[Brand] = &[
    b("dropbox", &["dropbox-dns.com", "dropboxforum.com", "getdropbox.com", "dropboxusercontent.com"]),
    b("wetransfer", &["wetransfer.net"]),
    b("onedrive", &[]),
    b("sharepoint", &["sharepointonline.com"]),
    b("googledrive", &[]),
    b("googleapis", &[]),
    b("googleusercontent", &[]),
    b(
        "microsoft",
        &["microsoftonline-p.com", "microsoftonline.com", "microsoftstream.com", "visualmicrosoft.com"],
    ),
    b("microsoftonline", &["microsoftonline-p.com"]),
    b("amazonaws", &["amazonaws-china.com"]),
    b("cloudfront", &[]),
    b("icloud", &["icloud-content.com"]),
    b("github", &["github-cloud.com", "githubassets.com", "githubapp.com", "thegithubshop.com"]),
    b("gitlab", &["gitlab-static.net"]),
    b("bitbucket", &["bitbucketusercontent.com"]),
    b("pastebin", &[]),
    b("mediafire", &["mediafireuserdownload.com"]),
    b("telegram", &["telegram-cdn.org", "telegramusercontent.com"]),
    b("discord", &["discord-attachments-uploads-prd.storage.googleapis.com", "discordstatus.com"]),
    b("discordapp", &[]),
    b("whatsapp", &["whatsapp-plus.net"]),
    b("backblaze", &["backblazeb2.com"]),
    b("wasabisys", &[]),
    b("megaupload", &[]),
    b("transfernow", &[]),
    b("salesforce", &["salesforce-sites.com", "salesforceliveagent.com", "salesforce-experience.com"]),
    b("snowflake", &["snowflakecomputing.com", "snowflakecomputing.cn"]),
    b("huggingface", &[]),
    b("openai", &["openaiusercontent.com", "openaistatic.com"]),
    b("anthropic", &[]),
    b("notion", &["notion-static.com", "notionusercontent.com"]),
    b("evernote", &[]),
    b("proton", &[]),
    b("protonmail", &[]),
    b(
        "cloudflare",
        &[
            "cloudflare-dns.com",
            "cloudflare-ech.com",
            "cloudflare-esni.com",
            "cloudflare-ipfs.com",
            "cloudflare-quic.com",
            "cloudflarestatus.com",
        ],
    ),
    b("atlassian", &["atlassian-dev.net", "atlassian-us-gov-mod.net"]),
    b(
        "slack",
        &[
            "slack-edge.com",
            "slack-files.com",
            "slack-imgs.com",
            "slack-core.com",
            "slack-redir.net",
            "slack-msgs.com",
            "slack-gov.com",
        ],
    ),
    b("gofile", &[]),
];

/// Letters that look like another, in the form that [`skeleton`] gives: those of Latin and the usual digits, then
/// Cyrillic and Greek. After Unicode's confusables (UTS 39), the part that brands need.
const LOOKALIKES: &[(char, char)] = &[
    ('0', 'o'),
    ('1', 'l'),
    ('3', 'e'),
    ('5', 's'),
    ('а', 'a'),
    ('в', 'b'),
    ('с', 'c'),
    ('ԁ', 'd'),
    ('е', 'e'),
    ('ё', 'e'),
    ('һ', 'h'),
    ('і', 'i'),
    ('ї', 'i'),
    ('ј', 'j'),
    ('к', 'k'),
    ('ӏ', 'l'),
    ('м', 'm'),
    ('п', 'n'),
    ('о', 'o'),
    ('р', 'p'),
    ('г', 'r'),
    ('ѕ', 's'),
    ('т', 't'),
    ('ѵ', 'v'),
    ('ѡ', 'w'),
    ('х', 'x'),
    ('у', 'y'),
    ('α', 'a'),
    ('ε', 'e'),
    ('ι', 'i'),
    ('κ', 'k'),
    ('ν', 'v'),
    ('ο', 'o'),
    ('ρ', 'p'),
    ('τ', 't'),
    ('υ', 'u'),
    ('χ', 'x'),
    ('à', 'a'),
    ('á', 'a'),
    ('â', 'a'),
    ('ã', 'a'),
    ('ä', 'a'),
    ('å', 'a'),
    ('ạ', 'a'),
    ('ç', 'c'),
    ('è', 'e'),
    ('é', 'e'),
    ('ê', 'e'),
    ('ë', 'e'),
    ('ẹ', 'e'),
    ('ì', 'i'),
    ('í', 'i'),
    ('î', 'i'),
    ('ï', 'i'),
    ('ı', 'i'),
    ('ḷ', 'l'),
    ('ł', 'l'),
    ('ñ', 'n'),
    ('ò', 'o'),
    ('ó', 'o'),
    ('ô', 'o'),
    ('õ', 'o'),
    ('ö', 'o'),
    ('ø', 'o'),
    ('ọ', 'o'),
    ('ś', 's'),
    ('ş', 's'),
    ('ù', 'u'),
    ('ú', 'u'),
    ('û', 'u'),
    ('ü', 'u'),
    ('ý', 'y'),
    ('ÿ', 'y'),
    ('ž', 'z'),
];

/// The brands as [`skeleton`] shows them, in the order of the table.
static FOLDED: LazyLock<Vec<String>> = LazyLock::new(|| BRANDS.iter().map(|b| folded(b.word)).collect());

/// Shortest brand of which one slip is told: in shorter words a slip is another word.
const MIN_SLIP: usize = 7;
/// Longest label.
const MAX_LABEL: usize = 63;
/// Names of which the answer is remembered. Beyond this the memory is emptied: it is a cache.
const MAX_MET: usize = 1 << 15;

/// Words beside a brand in a label that ask for trust. A brand beside another word may be anybody's project.
const LURES: &[&str] = &[
    "account", "accounts", "api", "app", "auth", "backup", "cdn", "cloud", "content", "data", "docs",
    "download", "drive", "file", "files", "get", "help", "id", "login", "mail", "my", "online", "portal",
    "secure", "security", "service", "share", "shared", "signin", "sso", "storage", "support", "sync",
    "transfer", "update", "updates", "upload", "uploads", "user", "verify", "web", "www",
];

/// How a name imitates a brand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Likeness {
    /// Letters that look the same.
    Lookalike,
    /// One letter more, less, other or swapped.
    OneEdit,
    /// The brand beside a word that asks for trust.
    LabelPart,
    /// The brand's own domain in front of another's.
    Prefix,
}

impl Likeness {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lookalike => "by letters that look alike",
            Self::OneEdit => "but for one letter",
            Self::LabelPart => "by having it in a label",
            Self::Prefix => "by having its domain in front of another's",
        }
    }
}

/// Tells imitations from the real: with the registrable domains of the catalogue, which imitate nobody.
#[derive(Debug, Default)]
pub struct Imitations {
    own: HashSet<Box<str>>,
    /// What was found of names met before.
    met: Map<Box<str>, Option<(&'static str, Likeness)>>,
}

impl Imitations {
    /// Takes the domains of a catalogue as real.
    pub fn new(catalogue: &Catalogue) -> Self {
        let tails = catalogue.rules().filter_map(|rule| psl::domain_str(rule.pattern.tail()));
        Self { own: tails.map(Into::into).collect(), met: Map::default() }
    }

    /// The brand that a name in lower case imitates, if it does.
    pub fn find(&mut self, name: &str) -> Option<(&'static str, Likeness)> {
        if let Some(found) = self.met.get(name) {
            return *found;
        }
        let real = psl::domain_str(name).is_some_and(|domain| self.own.contains(domain));
        let found = if real { None } else { brand(name) };
        if self.met.len() >= MAX_MET {
            self.met.clear();
        }
        self.met.insert(name.into(), found);
        found
    }
}

/// The brand that a name imitates by its form alone. `name` is in lower case.
pub fn brand(name: &str) -> Option<(&'static str, Likeness)> {
    let domain = psl::domain_str(name)?;
    let label = domain.split('.').next().filter(|l| !l.is_empty() && l.len() <= MAX_LABEL)?;
    let front = name.get(..name.len() - domain.len()).unwrap_or_default().trim_end_matches('.');
    let decoded = label.strip_prefix("xn--").and_then(unpunycode);
    let shown = decoded.as_deref().unwrap_or(label);
    let (skeleton, narrow) = (folded(shown), folded(&shown.replace("rn", "m").replace("vv", "w")));
    let candidates = BRANDS.iter().zip(FOLDED.iter()).filter(|(b, _)| !b.own.contains(&domain));
    // The label itself is the brand: its owner's domain in another country, as far as can be told.
    if BRANDS.iter().any(|b| b.word == label) {
        return None;
    }
    let mut found = None;
    for (brand, folded) in candidates {
        let likeness = if skeleton == *folded || narrow == *folded {
            Likeness::Lookalike
        } else if brand.word.len() >= MIN_SLIP && is_one_edit(shown, brand.word) {
            Likeness::OneEdit
        } else if is_part(&skeleton, folded) {
            Likeness::LabelPart
        } else if has_domain(front, brand.word) {
            Likeness::Prefix
        } else {
            continue;
        };
        // The longer brand is the better reason.
        if found.is_none_or(|(word, _): (&str, _)| word.len() < brand.word.len()) {
            found = Some((brand.word, likeness));
        }
    }
    found
}

/// What the eye sees: look-alikes as the letter they stand for, and `i`, `l` and `1` as one.
fn folded(text: &str) -> String {
    text.chars().map(skeleton).collect()
}

fn skeleton(c: char) -> char {
    let plain = if c.is_ascii_lowercase() { Some(c) } else { None };
    let plain = plain.or_else(|| LOOKALIKES.iter().find(|(odd, _)| *odd == c).map(|(_, plain)| *plain));
    match plain.unwrap_or(c) {
        'l' => 'i',
        c => c,
    }
}

/// Exactly one letter inserted, left out, changed, or two neighbours swapped. `b` is plain.
fn is_one_edit(a: &str, b: &str) -> bool {
    if a.is_ascii() && a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(MAX_LABEL + 1).collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let head = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let tail_of =
        |a: &[char], b: &[char]| a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (rest_a, rest_b) = (a.get(head..).unwrap_or_default(), b.get(head..).unwrap_or_default());
    let tail = tail_of(rest_a, rest_b);
    let (left_a, left_b) = (rest_a.len() - tail, rest_b.len() - tail);
    match (left_a, left_b) {
        (1, 0 | 1) | (0, 1) => true,
        (2, 2) => rest_a.first() == rest_b.get(1) && rest_a.get(1) == rest_b.first(),
        _ => false,
    }
}

/// The brand is one word of the label and a lure another: `dropbox-login`, `secure-dropbox`, `dropboxlogin`.
fn is_part(label: &str, brand: &str) -> bool {
    let Some(at) = label.find(brand) else { return false };
    let (before, after) =
        (label.get(..at).unwrap_or_default(), label.get(at + brand.len()..).unwrap_or_default());
    if before.is_empty() && after.is_empty() {
        return false;
    }
    let is_lure = |text: &str| {
        let text = text.trim_matches('-');
        text.is_empty() || text.split('-').any(|word| LURES.iter().any(|lure| folded(lure) == word))
    };
    is_lure(before) && is_lure(after)
}

/// `dropbox.com.` stands in front: labels of which one is the brand and the next a suffix of the web.
fn has_domain(front: &str, brand: &str) -> bool {
    let mut labels = front.split('.').peekable();
    while let Some(label) = labels.next() {
        if label == brand && matches!(labels.peek(), Some(&("com" | "net" | "org" | "io"))) {
            return true;
        }
    }
    false
}

/// The Unicode form of a label, without its `xn--` (RFC 3492).
fn unpunycode(label: &str) -> Option<String> {
    let (plain, coded) = label.rsplit_once('-').unwrap_or(("", label));
    let mut out: Vec<char> = plain.chars().collect();
    let (mut n, mut i, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut digits = coded.bytes();
    while digits.len() > 0 {
        let (old, mut weight, mut k) = (i, 1_u32, 36_u32);
        loop {
            let digit = match digits.next()? {
                c @ b'a'..=b'z' => u32::from(c - b'a'),
                c @ b'0'..=b'9' => u32::from(c - b'0') + 26,
                _ => return None,
            };
            i = i.checked_add(digit.checked_mul(weight)?)?;
            let threshold = k.saturating_sub(bias).clamp(1, 26);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(36 - threshold)?;
            k += 36;
        }
        let len = out.len() as u32 + 1;
        bias = adapt(i - old, len, old == 0);
        n = n.checked_add(i / len)?;
        i %= len;
        if out.len() >= MAX_LABEL {
            return None;
        }
        out.insert(i as usize, char::from_u32(n)?);
        i += 1;
    }
    Some(out.into_iter().collect())
}

fn adapt(delta: u32, len: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / len;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imitations_are_told() {
        for (name, word) in [
            ("dropb0x.com", "dropbox"),
            ("www.dropbox-login.com", "dropbox"),
            ("securedropbox.net", "dropbox"),
            ("dropbox.com.evil.example", "dropbox"),
            ("dropbpx.com", "dropbox"),
            ("drpobox.com", "dropbox"),
            ("ddropbox.io", "dropbox"),
            ("wetransfe.com", "wetransfer"),
            ("xn--drpbox-xqf.com", "dropbox"),
            ("rnicrosoft.com", "microsoft"),
            ("g1thub-files.com", "github"),
            ("gitiab.com", "gitlab"),
        ] {
            assert_eq!(brand(name).map(|(w, _)| w), Some(word), "{name}");
        }
    }

    #[test]
    fn punycode_as_in_the_standard() {
        assert_eq!(unpunycode("bcher-kva").as_deref(), Some("bücher"));
        assert_eq!(unpunycode("mnchen-3ya").as_deref(), Some("münchen"));
        assert_eq!(unpunycode("80ak6aa92e").as_deref(), Some("аррӏе"));
        assert_eq!(unpunycode("99999999999"), None);
        assert_eq!(unpunycode("-"), Some(String::new()));
    }

    #[test]
    fn others_are_left_alone() {
        for name in [
            "www.wikipedia.org",
            "deb.debian.org",
            "example.com",
            "dropbox.tech",
            "slack-edge.com",
            "proton.black",
            "github-stars.dev",
            "notional.io",
            "a.b.c.d.e.f.g",
            "",
            "com",
            "10.0.0.1",
        ] {
            assert_eq!(brand(name), None, "{name}");
        }
    }

    #[test]
    fn no_name_of_the_catalogue_nor_beside_it_imitates_another() {
        let catalogue = Catalogue::builtin();
        let mut real = Imitations::new(&catalogue);
        let mut wrong = Vec::new();
        for rule in catalogue.rules() {
            let tail = rule.pattern.tail();
            for name in [tail.to_owned(), format!("www.{tail}"), format!("new-host.{tail}")] {
                wrong.extend(real.find(&name).map(|found| format!("{name}: {found:?}")));
            }
        }
        // Names of customers in front of a suffix of the web (dropbox-x.github.io) are whoever made them.
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(real.find("dropboxapi.com"), None);
        assert!(real.find("dropbox-login.com").is_some());
    }

    #[test]
    fn any_text_is_survived() {
        for seed in 0..20_000_u32 {
            let bytes: Vec<u8> = (0..seed % 80)
                .map(|i| {
                    let x = seed.wrapping_mul(2_654_435_761).wrapping_add(i.wrapping_mul(40_503));
                    b"abcxn--09.z\xe9"[(x >> 7) as usize % 12]
                })
                .collect();
            let text = String::from_utf8_lossy(&bytes);
            let _ = brand(&text);
            let _ = brand(&format!("xn--{text}.com"));
        }
    }
}
