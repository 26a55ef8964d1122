//! The texts of `egret services`: the table of services, and how one host name is judged and why.

use super::kinds::Role;
use super::{Catalogue, Service, ServiceId, Who};
use crate::strict::closest;
use std::fmt::Write;

/// The monitored services as a table, by category and slug, with the number of patterns of each role.
pub fn table(catalogue: &Catalogue) -> String {
    let mut per_role = vec![[0_u32; Role::ALL.len()]; catalogue.services().len()];
    for rule in catalogue.rules() {
        let at = Role::ALL.iter().position(|role| *role == rule.role);
        if let Some(cell) = at.and_then(|at| per_role.get_mut(rule.service.index())?.get_mut(at)) {
            *cell += 1;
        }
    }
    let mut services: Vec<&Service> = catalogue.services().collect();
    services.sort_by_key(|s| (s.category.as_str(), &s.slug));
    let mut text = format!(
        "{:<20} {:<42} {:<16} {:<9} {:>6} {:>5}  by role\n",
        "service", "name", "category", "technique", "weight", "names"
    );
    for s in services {
        let technique = s.technique.map_or("-", |t| t.as_str());
        let _ = write!(
            text,
            "{:<20} {:<42} {:<16} {technique:<9} {:>6} {:>5} ",
            s.slug, s.name, s.category, s.weight, s.patterns
        );
        let counts = per_role.get(s.id.index()).copied().unwrap_or_default();
        for (role, count) in Role::ALL.iter().zip(counts).filter(|(_, count)| *count > 0) {
            let _ = write!(text, " {role} {count}");
        }
        text.push('\n');
    }
    let (services, names) = (catalogue.services().len(), catalogue.rules().len());
    let _ = writeln!(text, "{services} services, {names} names, version {}", catalogue.version());
    text
}

/// How a host name (or an address) is judged and by which rule; or that nothing matches and what comes near.
pub fn describe(catalogue: &Catalogue, host: &str) -> String {
    if let Ok(ip) = host.parse() {
        return match catalogue.by_address(ip) {
            Some(id) => format!("{ip} lies in a network of {}\n", heading(catalogue.service(id))),
            None => format!("{ip} lies in no network that carries one service only\n"),
        };
    }
    let shown = crate::strict::shown(host);
    let Some(verdict) = catalogue.classify(host) else { return nothing(catalogue, host, &shown) };
    let service = catalogue.service(verdict.service);
    let mut text = format!("{shown} belongs to {}\n", heading(service));
    let mut row = |key: &str, value: &str| {
        let _ = writeln!(text, "  {key:<10} {value}");
    };
    let carries = if verdict.role.carries_data() { "can take uploads" } else { "never an upload by itself" };
    row("role", &format!("{} ({carries})", verdict.role));
    row("category", service.category.as_str());
    match service.technique {
        Some(technique) => row("technique", &format!("{technique} {}", technique.name())),
        None => row("technique", "none"),
    }
    let weighs =
        if verdict.weighty { "" } else { "; adds none: this name has been seen in no public source" };
    row("weight", &format!("{}{weighs}", service.weight));
    if let Some(tenant) = &verdict.tenant {
        row("tenant", tenant);
    }
    let sanction = catalogue.site().sanction(verdict.service, verdict.tenant.as_deref(), &Who::default());
    row("sanction", sanction.as_str());
    if let Some(rule) = catalogue.rule(verdict.rule) {
        row("rule", &format!("{} ({}:{})", rule.pattern.as_str(), rule.file, rule.line));
    }
    text
}

fn heading(service: &Service) -> String {
    format!("{} ({})", service.name, service.slug)
}

fn nothing(catalogue: &Catalogue, host: &str, shown: &str) -> String {
    let mut text = format!("{shown} belongs to no monitored service\n");
    for (pattern, id) in near(catalogue, host) {
        let _ = writeln!(text, "  near       {pattern} of {}", heading(catalogue.service(id)));
    }
    text
}

/// Up to three patterns that come near a name: the same registrable domain, else one misspelt.
fn near<'c>(catalogue: &'c Catalogue, host: &str) -> Vec<(&'c str, ServiceId)> {
    let host = host.to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    let Some(domain) = psl::domain_str(host).filter(|_| host.len() <= super::MAX_NAME) else {
        return Vec::new();
    };
    let kin = catalogue.rules().filter(|rule| {
        let tail = rule.pattern.tail();
        tail.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    });
    let kin: Vec<_> = kin.map(|rule| (rule.pattern.as_str(), rule.service)).take(3).collect();
    if !kin.is_empty() {
        return kin;
    }
    let Some(tail) = closest(domain, catalogue.rules().map(|rule| rule.pattern.tail())) else {
        return Vec::new();
    };
    let same = catalogue.rules().filter(|rule| rule.pattern.tail() == tail);
    same.min_by_key(|rule| rule.pattern.as_str().len())
        .map(|rule| (rule.pattern.as_str(), rule.service))
        .into_iter()
        .collect()
}
