//! Reads `site.toml`: the user's policy on top of the signatures.
//!
//! ```toml
//! schema = 1
//! own_tenants = ["contoso", "contoso-*"]     # of any service
//!
//! [[own]]                                    # tenants of one service
//! service = "aws_s3"
//! tenants = ["contoso-prod-*"]
//!
//! [[sanction]]                               # allowed, still counted; alerts beyond hard_cap
//! service = "box"
//! tenants = ["partner"]
//! sources = ["10.20.0.0/16"]
//! hard_cap = "50 GiB/24h"
//!
//! [[weight]]
//! service = "slack"
//! weight = 5
//!
//! [[service]]                                # an own service, or more names for a shipped one
//! id = "corp_nextcloud"
//! name = "Contoso Nextcloud"
//! category = "cloud_storage"
//! weight = 5
//! own = true
//! mixed = ["cloud.contoso.example"]
//!
//! [[allow]]
//! service = "google_drive"
//! hosts = ["10.1.2.0/24", "design-*"]
//! groups = ["design"]
//! processes = ["rclone"]
//! budget = "20 GB/24h"
//! expires = 2027-01-31
//! owner = "it@contoso.example"
//! reason = "move of the design archive, ticket 4711"
//! ```

use super::kinds::{Category, Degree, Role};
use super::load::{Layer, addresses, category, good_slug, patterns, schema};
use super::pattern::Reach;
use super::providers::{PROVIDERS, Provider};
use super::site::{Allow, Budget, Globs, Standing};
use super::tools::known_service;
use super::{Catalogue, Service, ServiceId};
use crate::net::{Cidr, Nets};
use crate::strict::{Findings, Keys, Source, Text, shown};
use crate::units::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const MAX_ENTRIES: usize = 5_000;
const MAX_LIST: usize = 5_000;
const MAX_SERVICES: usize = 20_000;

/// Reads the site's file into the catalogue.
pub(crate) fn read(catalogue: &mut Catalogue, file: &str, text: &str) -> Findings {
    let mut source = Source::new(file, text);
    if let Some(document) = source.document() {
        let mut keys = Keys::new(&document, "the site file", 1);
        schema(&mut keys, &mut source);
        // Own services first: the other tables may speak of them.
        for table in keys.tables(&mut source, "service", MAX_ENTRIES) {
            service(catalogue, &mut source, table);
        }
        own_tenants(catalogue, &mut source, &mut keys);
        for table in keys.tables(&mut source, "own", MAX_ENTRIES) {
            standing(catalogue, &mut source, table, true);
        }
        for table in keys.tables(&mut source, "sanction", MAX_ENTRIES) {
            standing(catalogue, &mut source, table, false);
        }
        for table in keys.tables(&mut source, "weight", MAX_ENTRIES) {
            weight(catalogue, &mut source, table);
        }
        for table in keys.tables(&mut source, "ignore", MAX_ENTRIES) {
            ignore(catalogue, &mut source, table);
        }
        for table in keys.tables(&mut source, "allow", MAX_ENTRIES) {
            allow(catalogue, &mut source, table);
        }
        whole_families(catalogue, &mut source);
        keys.finish(&mut source);
    }
    source.findings
}

fn own_tenants(catalogue: &mut Catalogue, source: &mut Source<'_>, keys: &mut Keys<'_, '_>) {
    let list = keys.list(source, "own_tenants", MAX_LIST);
    let Some(line) = list.first().map(|text| text.line) else { return };
    let tenants = globs(source, list, "tenant");
    let place = (Arc::clone(&source.file), line);
    catalogue.site.standings.push(Standing {
        service: None,
        tenants,
        own: true,
        sources: Nets::default(),
        processes: Globs::default(),
        hard_cap: None,
        owner: None,
        reason: None,
        place,
    });
}

/// Globs that mean something: a bare star would take in everybody.
pub(crate) fn globs(source: &mut Source<'_>, list: Vec<Text>, what: &str) -> Globs {
    let mut kept = Vec::with_capacity(list.len());
    for text in list {
        if text.text.trim_matches(['*', '?', ' ', '.']).is_empty() || text.text.len() > 253 {
            let said = format!("{what} '{}' takes in everything or nothing", shown(&text.text));
            source.fault(Some(text.line), said, format!("name the {what}, for example \"contoso-*\""));
        } else {
            kept.push(text.text);
        }
    }
    Globs::new(kept)
}

fn networks(source: &mut Source<'_>, list: Vec<Text>) -> Nets {
    let mut nets = Vec::with_capacity(list.len());
    for text in list {
        match text.text.parse::<Cidr>() {
            Ok(net) if wide(net) => too_wide(source, &text),
            Ok(net) => nets.push(net),
            Err(what) => source.fault(Some(text.line), what, "one address or network in each string"),
        }
    }
    Nets::new(nets)
}

/// Hosts as addresses, networks, or names that may hold `*`.
pub(crate) fn nets_and_names(source: &mut Source<'_>, list: Vec<Text>) -> (Nets, Globs) {
    let (mut nets, mut names) = (Vec::new(), Vec::new());
    for text in list {
        match text.text.parse::<Cidr>() {
            Ok(net) if wide(net) => too_wide(source, &text),
            Ok(net) => nets.push(net),
            Err(what) if text.text.contains('/') => source.fault(Some(text.line), what, "mend the network"),
            Err(_) => names.push(text),
        }
    }
    (Nets::new(nets), globs(source, names, "host"))
}

/// A scope as large as this is none.
fn wide(net: Cidr) -> bool {
    net.prefix() < if net.addr().is_ipv4() { 8 } else { 16 }
}

fn too_wide(source: &mut Source<'_>, text: &Text) {
    let what = format!("network {} is no scope: it takes in the world", text.text);
    source.fault(Some(text.line), what, "name the hosts that need it");
}

/// The service that an entry is about. One that would be about a whole category is refused.
fn one_service(catalogue: &Catalogue, source: &mut Source<'_>, keys: &mut Keys<'_, '_>) -> Option<ServiceId> {
    if keys.has_wrongly("category") {
        let what = format!("{} is about a whole category, which would blind it", keys.what());
        source.fault(Some(keys.line), what, "name one service = \"…\" in each entry");
    }
    let text = keys.needed(source, "service", "\"dropbox\"")?;
    if let Some(provider) = Provider::meant(&text.text).filter(|_| catalogue.find(&text.text).is_none()) {
        let what = format!("{} is about '{}', the whole provider", keys.what(), shown(&text.text));
        let some: Vec<_> = provider.services(catalogue).take(4).collect();
        source.fault(Some(text.line), what, format!("name one service in each entry: {} …", some.join(", ")));
        return None;
    }
    if text.text.contains('*')
        || Category::from_word(&text.text).is_some_and(|_| catalogue.find(&text.text).is_none())
    {
        let what = format!("{} is about '{}', more than one service", keys.what(), shown(&text.text));
        source.fault(Some(text.line), what, "name one service in each entry");
        return None;
    }
    known_service(catalogue, source, &text)
}

/// No budget is larger than what a host could ever be allowed in good faith: 100 TB a day.
const MAX_DAILY: f64 = 1e14;

fn budget(source: &mut Source<'_>, text: &Text) -> Option<Budget> {
    match text.text.parse::<Budget>() {
        Ok(budget) if budget.bytes.0 as f64 * 86_400.0 / budget.per.as_secs_f64().max(1e-3) > MAX_DAILY => {
            let what = format!("budget {} blinds the service for these hosts", shown(&text.text));
            source.fault(Some(text.line), what, "allow what is needed, for example \"20 GB/24h\"");
            None
        }
        Ok(budget) => Some(budget),
        Err(what) => {
            source.fault(Some(text.line), what, "a size, a slash and a time");
            None
        }
    }
}

fn standing(catalogue: &mut Catalogue, source: &mut Source<'_>, mut keys: Keys<'_, '_>, own: bool) {
    let service = one_service(catalogue, source, &mut keys);
    let named = keys.has("tenants");
    let list = keys.list(source, "tenants", MAX_LIST);
    let tenants = globs(source, list, "tenant");
    let list = keys.list(source, "sources", MAX_LIST);
    let sources = networks(source, list);
    let list = keys.list(source, "processes", MAX_LIST);
    let processes = globs(source, list, "process");
    let hard_cap = keys.text(source, "hard_cap").and_then(|text| budget(source, &text));
    let owner = keys.text(source, "owner").map(|t| t.text);
    let reason = keys.text(source, "reason").map(|t| t.text);
    if tenants.is_empty() && sources.is_empty() && processes.is_empty() && hard_cap.is_none() {
        let what = format!("{} is for all of the service, everybody and any amount", keys.what());
        source.fault(Some(keys.line), what, "add tenants, sources, processes or a hard_cap");
        return;
    }
    let place = (Arc::clone(&source.file), keys.line);
    keys.finish(source);
    // A faulty tenant list must not widen into "every tenant".
    if named && tenants.is_empty() {
        return;
    }
    if let Some(service) = service {
        let service = Some(service);
        catalogue.site.standings.push(Standing {
            service,
            tenants,
            own,
            sources,
            processes,
            hard_cap,
            owner,
            reason,
            place,
        });
    }
}

fn weight(catalogue: &mut Catalogue, source: &mut Source<'_>, mut keys: Keys<'_, '_>) {
    let service = one_service(catalogue, source, &mut keys);
    let line = keys.line;
    if !keys.has("weight") {
        source.fault(Some(line), "[[weight]] has no weight", "add weight = 1 to 100");
    }
    let weight = keys.number(source, "weight", 100);
    keys.finish(source);
    let (Some(id), Some(weight)) = (service, weight) else { return };
    let Some(service) = catalogue.services.get_mut(id.index()) else { return };
    if weight == 0 && service.category != Category::Noise {
        let what = format!("weight 0 would blind {}", service.slug);
        source.fault(Some(line), what, "write 1 or more, or an [[allow]] entry with a budget and a date");
    } else {
        service.weight = weight as u8;
    }
}

/// `[[ignore]]` only says of noise that it is noise; anything else needs an owner, a budget and a date.
fn ignore(catalogue: &Catalogue, source: &mut Source<'_>, mut keys: Keys<'_, '_>) {
    let line = keys.line;
    let service = one_service(catalogue, source, &mut keys);
    keys.finish(source);
    if let Some(service) = service.map(|id| catalogue.service(id)) {
        if service.category == Category::Noise {
            let what = format!("[[ignore]] of {} changes nothing: it is noise already", service.slug);
            source.warn(Some(line), what, "remove the entry");
        } else {
            let what = format!("[[ignore]] would blind {}", service.slug);
            source.fault(Some(line), what, "write an [[allow]] entry with hosts, a budget and a date");
        }
    }
}

fn service(catalogue: &mut Catalogue, source: &mut Source<'_>, mut keys: Keys<'_, '_>) {
    let category = category(&mut keys, source);
    let name = keys.text(source, "name").map(|t| t.text);
    let weight = keys.number(source, "weight", 100).map(|w| w as u8);
    let own = keys.flag(source, "own").unwrap_or(false);
    let sanctioned = keys.flag(source, "sanctioned").unwrap_or(false);
    let Some(slug) = keys.needed(source, "id", "\"corp_cloud\"") else { return };
    let id = match catalogue.find(&slug.text) {
        Some(id) => {
            if category.is_some_and(|c| c.0 != catalogue.service(id).category)
                || name.is_some()
                || weight.is_some()
            {
                let what = format!("service {} is shipped and has its name, category and weight", slug.text);
                source.fault(
                    Some(slug.line),
                    what,
                    "here give patterns only; a [[weight]] entry changes the weight",
                );
            }
            Some(id)
        }
        None => declare(catalogue, source, &slug, category.map(|c| c.0), name, weight),
    };
    let Some(id) = id else { return };
    addresses(catalogue, source, &mut keys, id);
    let first = catalogue.rules.len();
    patterns(catalogue, source, &mut keys, id, Layer::Site);
    calm_over_services(catalogue, source, id, first, own || sanctioned);
    if !keys.has("ranges") && !Role::ALL.iter().any(|role| keys.has(role.as_str())) {
        let what = format!("service {} gets no pattern here", slug.text);
        source.fault(Some(slug.line), what, "add mixed = [\"cloud.example.org\"] or another role");
    }
    if own || sanctioned {
        if !catalogue.service(id).of_site {
            let what = format!("service {} is shipped, so not all of it is yours", slug.text);
            source.fault(Some(slug.line), what, "write [[own]] or [[sanction]] with tenants");
        } else {
            let place = (Arc::clone(&source.file), keys.line);
            catalogue.site.standings.push(Standing {
                service: Some(id),
                tenants: Globs::default(),
                own,
                sources: Nets::default(),
                processes: Globs::default(),
                hard_cap: None,
                owner: None,
                reason: None,
                place,
            });
        }
    }
    keys.finish(source);
}

/// Refuses a site's own noise, or a service said to be its own, that would take names away from monitored services.
fn calm_over_services(
    catalogue: &Catalogue,
    source: &mut Source<'_>,
    id: ServiceId,
    first: usize,
    calm: bool,
) {
    let noise = catalogue.service(id).category == Category::Noise;
    if !noise && !calm {
        return;
    }
    for rule in catalogue.rules.iter().skip(first) {
        let (tail, reach) = (rule.pattern.tail(), rule.pattern.reach());
        let below = |other: &str| {
            other == tail
                || reach != Reach::Name && other.strip_suffix(tail).is_some_and(|rest| rest.ends_with('.'))
        };
        let hidden = catalogue.rules.iter().take(first).find(|shipped| {
            shipped.role.carries_data()
                && catalogue.service(shipped.service).category != Category::Noise
                && below(shipped.pattern.tail())
        });
        if let Some(hidden) = hidden {
            let slug = &catalogue.service(hidden.service).slug;
            let word = if noise { "noise" } else { "the site's own" };
            let what = format!("pattern '{}' would call names of {slug} {word}", rule.pattern.as_str());
            source.fault(
                Some(rule.line as usize),
                what,
                "write an [[allow]] entry with hosts, a budget and a date",
            );
        }
    }
}

/// A service that only this site has.
fn declare(
    catalogue: &mut Catalogue,
    source: &mut Source<'_>,
    slug: &Text,
    category: Option<Category>,
    name: Option<String>,
    weight: Option<u8>,
) -> Option<ServiceId> {
    if !good_slug(&slug.text) {
        source.fault(
            Some(slug.line),
            format!("'{}' is no service id", shown(&slug.text)),
            "1 to 40 of a-z 0-9 _ -",
        );
        return None;
    }
    let Some(category) = category else {
        let what = format!("service {} has no category", slug.text);
        source.fault(Some(slug.line), what, "add category = \"cloud_storage\" or another");
        return None;
    };
    if weight == Some(0) && category != Category::Noise {
        let what = format!("weight 0 would blind {}", slug.text);
        source.fault(Some(slug.line), what, "write 1 or more, or use category noise");
    }
    let made = Service {
        id: ServiceId(0),
        slug: slug.text.clone(),
        name: name.unwrap_or_else(|| slug.text.clone()),
        category,
        technique: category.technique(),
        weight: weight.unwrap_or(20),
        anonymous_upload: Degree::No,
        sni_distinguishes: Degree::Partial,
        patterns: 0,
        of_site: true,
    };
    match catalogue.add_service(made, MAX_SERVICES) {
        Ok(id) => Some(id),
        Err(what) => {
            source.fault(Some(slug.line), what, "remove it");
            None
        }
    }
}

fn allow(catalogue: &mut Catalogue, source: &mut Source<'_>, mut keys: Keys<'_, '_>) {
    let line = keys.line;
    let service = one_service(catalogue, source, &mut keys);
    let scoped = keys.has("hosts") || keys.has("groups");
    if !scoped {
        source.fault(
            Some(line),
            "[[allow]] is for everybody",
            "add hosts = [\"10.1.2.3\"] or groups = [\"…\"]",
        );
    }
    let list = keys.list(source, "hosts", MAX_LIST);
    let (nets, hosts) = nets_and_names(source, list);
    let groups: Vec<String> = keys.list(source, "groups", MAX_LIST).into_iter().map(|t| t.text).collect();
    if scoped && nets.is_empty() && hosts.is_empty() && groups.is_empty() {
        source.fault(
            Some(line),
            "[[allow]] has no host left",
            "add hosts = [\"10.1.2.3\"] or groups = [\"…\"]",
        );
    }
    let list = keys.list(source, "processes", MAX_LIST);
    let processes = globs(source, list, "process");
    let budget = keys.needed(source, "budget", "\"20 GB/24h\"").and_then(|text| budget(source, &text));
    let expires = keys.date(source, "expires");
    if expires.is_none() && !keys.has("expires") {
        source.fault(
            Some(line),
            "[[allow]] has no expires",
            "add expires = 2027-01-31: no exception lasts for ever",
        );
    }
    let owner = keys.needed(source, "owner", "\"name@example.org\"");
    let reason = keys.needed(source, "reason", "\"why, with the ticket\"");
    keys.finish(source);
    let place = (Arc::clone(&source.file), line);
    let (Some(service), Some(budget), Some((day, _)), Some(owner), Some(reason)) =
        (service, budget, expires, owner, reason)
    else {
        return;
    };
    let (owner, reason) = (owner.text, reason.text);
    let (expires, expires_on) = (end_of(day), day);
    catalogue.site.allow.push(Allow {
        service,
        nets,
        hosts,
        groups,
        processes,
        budget,
        expires,
        expires_on,
        owner,
        reason,
        place,
    });
}

/// The end of a day in UTC.
fn end_of(day: jiff::civil::Date) -> Timestamp {
    let next = day.saturating_add(jiff::Span::new().days(1));
    match next.to_zoned(jiff::tz::TimeZone::UTC) {
        Ok(at) => Timestamp::new(at.timestamp().as_second(), 0),
        Err(_) => Timestamp::MIN,
    }
}

/// Refuses allow entries that one by one are narrow but together give the same hosts every service of a category or of
/// a provider.
fn whole_families(catalogue: &Catalogue, source: &mut Source<'_>) {
    let mut scopes: BTreeMap<String, (BTreeSet<&str>, usize)> = BTreeMap::new();
    for allow in &catalogue.site.allow {
        let scope = format!("{:?} {:?} {:?}", allow.nets, allow.hosts, allow.groups);
        let (services, line) = scopes.entry(scope).or_default();
        services.insert(&catalogue.service(allow.service).slug);
        *line = allow.place.1;
    }
    let of_category = |category| {
        let members = catalogue.services().filter(move |s| s.category == category);
        members.map(|s| s.slug.as_str()).collect::<BTreeSet<_>>()
    };
    let categories = Category::ALL.iter().map(|c| (format!("category {c}"), of_category(*c)));
    let providers =
        PROVIDERS.iter().map(|p| (format!("provider {}", p.name), p.services(catalogue).collect()));
    // Two services of one company for the same hosts are no more than what somebody needs.
    let families: Vec<_> = categories.chain(providers).filter(|(_, members)| members.len() > 2).collect();
    for (services, line) in scopes.values() {
        for (family, _) in families.iter().filter(|(_, members)| members.is_subset(services)) {
            let what = format!("these [[allow]] entries together blind the whole {family} for their hosts");
            source.fault(Some(*line), what, "keep the services that are needed");
        }
    }
}
