//! Reads signature files into a catalogue: strict, and with all faults at once.
//!
//! A file has `schema = 1`, a `category`, perhaps a `technique`, and tables `[service.SLUG]` with `name`, `weight`
//! (0 to 100: how unusual bulk upload there is in a business), `sni` and `anonymous` (`yes`, `partial`, `no`),
//! `asn`, `ranges` (networks that carry this service only) and one list of patterns per role. Patterns under
//! `[service.SLUG.low]` identify the service but add no weight: the name has been seen in no public source.

use super::kinds::{Category, Degree, Role, Technique};
use super::pattern::Pattern;
use super::{Catalogue, Rule, Service, ServiceId};
use crate::strict::{Findings, Keys, Source, Text, closest, shown};
use std::sync::Arc;

const MAX_SERVICES: usize = 10_000;
const MAX_RULES: usize = 200_000;
const MAX_LIST: usize = 20_000;
const MAX_RANGES: usize = 20_000;

/// Domains that serve so much beside file traffic that everything below them cannot be called an upload.
const SHARED: &[&str] = &[
    "akamaihd.net",
    "akamaized.net",
    "aliyuncs.com",
    "amazon.com",
    "amazonaws.com",
    "apple.com",
    "azure.com",
    "azure.net",
    "azureedge.net",
    "azurefd.net",
    "baidu.com",
    "bing.com",
    "cloudflare.com",
    "cloudfront.net",
    "edgekey.net",
    "facebook.com",
    "fastly.net",
    "google.com",
    "googleapis.com",
    "googleusercontent.com",
    "googlevideo.com",
    "gstatic.com",
    "live.com",
    "mail.ru",
    "microsoft.com",
    "microsoftonline.com",
    "msn.com",
    "myqcloud.com",
    "office.com",
    "office.net",
    "office365.com",
    "oracle.com",
    "oraclecloud.com",
    "outlook.com",
    "qq.com",
    "skype.com",
    "sohu.com",
    "taobao.com",
    "trafficmanager.net",
    "windows.com",
    "windows.net",
    "yahoo.com",
    "yandex.com",
    "yandex.net",
    "yandex.ru",
];

/// Reads one file of services into the catalogue.
pub(crate) fn services(catalogue: &mut Catalogue, file: &str, text: &str) -> Findings {
    let mut source = Source::new(file, text);
    if let Some(document) = source.document() {
        let mut keys = Keys::new(&document, "the file", 1);
        schema(&mut keys, &mut source);
        let category = category(&mut keys, &mut source).map(|c| c.0);
        let technique_given = keys.has("technique");
        let technique = technique(&mut keys, &mut source, None);
        let list = keys.table(&mut source, "service");
        if keys.has("category") || list.is_some() {
            let defaults = Defaults { category, technique, technique_given };
            if let Some((table, line)) = list {
                for (slug, table) in Keys::new(table, "service", line).named(&mut source, MAX_SERVICES) {
                    service(catalogue, &mut source, &defaults, &slug, table);
                }
            }
        }
        keys.finish(&mut source);
    }
    source.findings
}

struct Defaults {
    category: Option<Category>,
    technique: Option<Technique>,
    technique_given: bool,
}

/// Asks for `schema = 1`, so that a later form of the files can be told apart.
pub(crate) fn schema(keys: &mut Keys<'_, '_>, source: &mut Source<'_>) {
    let missing = !keys.has("schema");
    let schema = keys.number(source, "schema", 1);
    if missing || schema == Some(0) {
        source.fault(Some(1), "the file does not say schema = 1", "add the line schema = 1");
    }
}

/// The `category` of a table, if it is there and right.
pub(crate) fn category(keys: &mut Keys<'_, '_>, source: &mut Source<'_>) -> Option<(Category, usize)> {
    let text = keys.text(source, "category")?;
    let found = Category::from_word(&text.text);
    if found.is_none() {
        let words = Category::ALL.iter().map(|c| c.as_str());
        let cure = match closest(&text.text, words.clone()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("one of {}", words.collect::<Vec<_>>().join(", ")),
        };
        source.fault(Some(text.line), format!("no category '{}'", shown(&text.text)), cure);
    }
    found.map(|c| (c, text.line))
}

/// The `technique` of a table, defaulted; `none` stands for none.
fn technique(
    keys: &mut Keys<'_, '_>,
    source: &mut Source<'_>,
    default: Option<Technique>,
) -> Option<Technique> {
    let Some(text) = keys.text(source, "technique") else { return default };
    let found = Technique::from_word(&text.text);
    if found.is_none() && text.text != "none" {
        let what = format!("no technique '{}'", shown(&text.text));
        source.fault(Some(text.line), what, "T1567, T1567.001 to T1567.004, or none");
    }
    found
}

/// A three-step answer, defaulted.
fn degree(keys: &mut Keys<'_, '_>, source: &mut Source<'_>, key: &'static str, default: Degree) -> Degree {
    let Some(text) = keys.text(source, key) else { return default };
    Degree::from_word(&text.text).unwrap_or_else(|| {
        source.fault(Some(text.line), format!("{key} is '{}'", shown(&text.text)), "yes, partial or no");
        default
    })
}

fn service(
    catalogue: &mut Catalogue,
    source: &mut Source<'_>,
    defaults: &Defaults,
    slug: &Text,
    table: &toml::de::DeTable<'_>,
) {
    if !good_slug(&slug.text) {
        let what = format!("'{}' is no service id", shown(&slug.text));
        source.fault(Some(slug.line), what, "1 to 40 of a-z 0-9 _ -");
        return;
    }
    let mut keys = Keys::new(table, format!("service {}", slug.text), slug.line);
    let category = category(&mut keys, source).map(|c| c.0).or(defaults.category);
    let Some(category) = category else {
        let what = format!("service {} has no category", slug.text);
        source.fault(Some(slug.line), what, "give one to the file or to the service");
        return;
    };
    let usual = if defaults.technique_given { defaults.technique } else { category.technique() };
    let technique = technique(&mut keys, source, usual);
    let name = keys.needed(source, "name", "\"…\"").map_or_else(|| slug.text.clone(), |t| t.text);
    let weight = weight(&mut keys, source, slug, category);
    let made = Service {
        id: ServiceId(0),
        slug: slug.text.clone(),
        name,
        category,
        technique,
        weight,
        anonymous_upload: degree(&mut keys, source, "anonymous", Degree::No),
        sni_distinguishes: degree(&mut keys, source, "sni", Degree::Partial),
        patterns: 0,
        of_site: false,
    };
    match catalogue.add_service(made, MAX_SERVICES) {
        Ok(id) => {
            addresses(catalogue, source, &mut keys, id);
            patterns(catalogue, source, &mut keys, id, Layer::Shipped { weighty: true });
            if let Some((low, line)) = keys.table(source, "low") {
                let mut low = Keys::new(low, format!("service {}.low", slug.text), line);
                patterns(catalogue, source, &mut low, id, Layer::Shipped { weighty: false });
                low.finish(source);
            }
            if !keys.has("low") && !Role::ALL.iter().any(|role| keys.has(role.as_str())) {
                let what = format!("service {} has no pattern", slug.text);
                source.fault(Some(slug.line), what, "add upload, storage, mixed, api, web, cdn or auth");
            }
            keys.finish(source);
        }
        Err(what) => source.fault(Some(slug.line), what, "give each service once, in one file"),
    }
}

fn weight(keys: &mut Keys<'_, '_>, source: &mut Source<'_>, slug: &Text, category: Category) -> u8 {
    let given = keys.has("weight");
    let weight = keys.number(source, "weight", 100);
    if !given {
        source.fault(
            Some(slug.line),
            format!("service {} has no weight", slug.text),
            "add weight = 0 to 100",
        );
    }
    if weight == Some(0) && category != Category::Noise {
        let what = format!("service {} has weight 0, which would blind it", slug.text);
        source.fault(Some(slug.line), what, "write 1 or more, or use category noise");
    }
    weight.unwrap_or(50) as u8
}

/// Whether a text can be a service id.
pub(crate) fn good_slug(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    (1..=40).contains(&text.len()) && text.bytes().all(good)
}

/// Reads `asn` and `ranges`.
pub(crate) fn addresses(
    catalogue: &mut Catalogue,
    source: &mut Source<'_>,
    keys: &mut Keys<'_, '_>,
    id: ServiceId,
) {
    for asn in keys.numbers(source, "asn") {
        if let Some(other) = catalogue.add_asn(asn, id) {
            let what = format!("AS{asn} stands for {other} already");
            source.fault(
                Some(keys.line),
                what,
                "a network that several services share tells none of them; remove it",
            );
        }
    }
    for text in keys.list(source, "ranges", MAX_RANGES) {
        match text.text.parse() {
            Ok(cidr) => {
                if let Some(other) = catalogue.add_range(cidr, id) {
                    let what = format!("network {cidr} overlaps one of {other}");
                    source.fault(Some(text.line), what, "keep the networks of services apart");
                }
            }
            Err(what) => source.fault(Some(text.line), what, "one network in each string"),
        }
    }
}

/// Where rules come from and so which go first.
#[derive(Clone, Copy)]
pub(crate) enum Layer {
    /// From signature files.
    Shipped { weighty: bool },
    /// From the user's site file.
    Site,
}

/// Reads the pattern lists of all roles.
pub(crate) fn patterns(
    catalogue: &mut Catalogue,
    source: &mut Source<'_>,
    keys: &mut Keys<'_, '_>,
    id: ServiceId,
    layer: Layer,
) {
    let mut found: Vec<(Role, Text)> = Vec::new();
    for role in Role::ALL {
        let list = keys.list(source, role.as_str(), MAX_LIST);
        found.extend(list.into_iter().map(|text| (*role, text)));
    }
    found.sort_by_key(|(_, text)| text.line);
    for (role, text) in found {
        if catalogue.rules.len() >= MAX_RULES {
            source.fault(Some(text.line), "more than 200000 patterns in all", "ship fewer signatures");
            return;
        }
        let pattern = match Pattern::parse(&text.text) {
            Ok(pattern) => pattern,
            Err((what, cure)) => {
                source.fault(Some(text.line), what, cure);
                continue;
            }
        };
        if let Some(shared) = too_wide(&pattern, role) {
            let what = format!("pattern '{}' takes in all of {shared} as {role}", text.text);
            source.fault(
                Some(text.line),
                what,
                "name the hosts that take uploads; roles web, api, cdn may be wide",
            );
            continue;
        }
        if catalogue.service(id).category == Category::Noise
            && let Some(suffix) = anyone_may_register(&pattern)
        {
            let what = format!("pattern '{}' calls noise what anyone may register below {suffix}", text.text);
            source.fault(Some(text.line), what, "list the names one by one, without a glob");
            continue;
        }
        let weighty = !matches!(layer, Layer::Shipped { weighty: false });
        let line = text.line as u32;
        let rule = Rule { file: Arc::clone(&source.file), line, pattern, service: id, role, weighty };
        if let Some((place, other)) = catalogue.add_rule(rule, layer) {
            let what = format!("pattern '{}' is taken already by {other} ({place})", text.text);
            source.fault(Some(text.line), what, "keep it in one place; \".x\" and \"*.x\" count as the same");
        }
    }
}

/// The shared domain that a pattern with a data role would swallow whole.
fn too_wide(pattern: &Pattern, role: Role) -> Option<&'static str> {
    let below = pattern.reach() != super::pattern::Reach::Name || !pattern.is_literal();
    let stem = pattern.stem();
    // A glob label alone in front of a shared name ("*-x.google.com") names hosts; a bare star names all.
    let stem = stem.trim_start_matches("*.");
    (below && role.carries_data()).then(|| SHARED.iter().copied().find(|s| *s == stem)).flatten()
}

/// The private suffix (a hoster's, such as an object store) of which a pattern takes in names that anyone can
/// register. In the noise category that would be an invitation.
fn anyone_may_register(pattern: &Pattern) -> Option<String> {
    let stem = pattern.stem();
    let suffix = psl::suffix(stem.as_bytes()).filter(|s| s.typ() == Some(psl::Type::Private))?;
    let suffix = std::str::from_utf8(suffix.as_bytes()).ok()?;
    let chosen = stem.strip_suffix(suffix)?.trim_end_matches('.').rsplit('.').next()?;
    let open = chosen.is_empty() && pattern.reach() != super::pattern::Reach::Name;
    (open || chosen.contains(['*', '?'])).then(|| suffix.to_owned())
}
