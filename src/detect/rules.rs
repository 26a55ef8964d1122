//! Rules that no baseline can absorb: what they say holds on the first day and on the thousandth.
//!
//! Each rule is a function of what is in sight; a new one is a function and a line in [`ANALYTICS`].

use super::learn::host::Part;
use super::learn::kind::Kind;
use super::learn::ring::Growth;
use crate::config::DetectConfig;
use crate::output::Severity;
use crate::units::Bytes;
use serde::{Deserialize, Serialize};

/// What a rule may look at: one host and one destination, now.
#[derive(Debug)]
pub struct Sight<'s> {
    /// The configuration.
    pub config: &'s DetectConfig,
    /// What kind of destination.
    pub kind: Kind,
    /// What the site says of the host.
    pub part: Part,
    /// Bytes out and in, of the trailing day.
    pub day: (u64, u64),
    /// Bytes out and in of the connection that gives reason to look.
    pub connection: (u64, u64),
    /// Bytes of that out on connections that send more than they fetch.
    pub pushed: u64,
    /// Connections of the trailing day.
    pub count: u32,
    /// Largest number of a day before.
    pub own_count: u32,
    /// Days before today on which the host used the destination.
    pub days_used: u32,
    /// Days of the seven before today on which it took 3 MB or more.
    pub week: u32,
    /// Bytes of the largest day before.
    pub largest: u64,
    /// Days on which the host sent anything.
    pub host_days: u32,
    /// The sensor knows the host long enough to say "never before".
    pub settled: bool,
    /// Hosts that ever used the destination, and those that began within two days.
    pub hosts: (u32, u32),
    /// Days since the network first saw the destination.
    pub name_age: f64,
    /// Other destinations, new to the host, with volume of their own within a day.
    pub others: u32,
    /// Bytes that the host fetched from inside the network in the day before.
    pub pulled: u64,
    /// Intervals between its connections that were alike: how many in a row, and their mean in seconds.
    pub rhythm: (u32, f64),
    /// How the days before grew, in units of so many bytes.
    pub growth: Growth,
    /// See there.
    pub unit: f64,
    /// Bytes out in all, of the trailing day, and the largest day before.
    pub host_total: (u64, u64),
    /// The host is a guest of a hypervisor.
    pub guest: bool,
    /// The name that is shown belongs to other addresses, as far as this network and the client's DNS know.
    pub strange_address: bool,
    /// Bytes that the host fetched from hypervisors in the day before.
    pub from_hypervisor: u64,
    /// The program that sends, where a log says.
    pub process: Option<Box<super::process::View>>,
}

impl Sight<'_> {
    /// Almost nothing came back for what was sent.
    pub fn pushes_hard(&self) -> bool {
        self.day.1 < self.day.0 / 20 && self.pushed >= self.day.0 / 10 * 9
    }
}

/// What a rule found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// Strength on the scale of the lanes.
    pub score: f64,
    /// Not graver than this by itself, not lighter either.
    pub severity: Severity,
    /// Level that was reached, in bytes; 0: it is not about bytes.
    pub threshold: u64,
    /// One sentence.
    pub text: String,
}

/// A rule.
#[derive(Debug)]
pub struct Analytic {
    /// Name in records.
    pub name: &'static str,
    /// Lane of its incidents.
    pub lane: &'static str,
    /// Detection analytic of DET0548.
    pub attack: Option<&'static str>,
    /// Fixed Suricata signature id: never reused.
    pub signature_id: u32,
    /// Title.
    pub title: &'static str,
    /// Looks.
    pub look: fn(&Sight<'_>) -> Option<Finding>,
}

/// Every rule. A new one is a function and a line here.
pub static ANALYTICS: &[Analytic] = &[
    rule("hypervisor_upload", "bulk", Some("AN1515"), 15_672_001, "upload from a hypervisor", hypervisor),
    rule("high_risk_volume", "bulk", None, 15_672_002, "large upload to a high-risk service", high_risk),
    rule("server_first_seen", "bulk", None, 15_672_003, "server uploads to a service new to it", server),
    rule("repeated_posts", "small", None, 15_672_004, "repeated posts", posts),
    rule("staged_upload", "bulk", None, 15_672_005, "collected inside, then uploaded", staged),
    rule("periodic_upload", "small", None, 15_672_006, "uploads in a steady rhythm", periodic),
    rule("many_services", "spread", None, 15_672_007, "upload to several new services", many_services),
    rule("many_hosts", "spread", None, 15_672_008, "several hosts upload to one new tenant", many_hosts),
    rule("risky_first_use", "bulk", None, 15_672_012, "first upload to a high-risk service", risky_first_use),
    rule("guest_upload", "bulk", Some("AN1515"), 15_672_014, "upload from a virtual machine", guest),
    rule("connection_volume", "bulk", None, 15_672_015, "large upload over one connection", connection),
    rule("borrowed_name", "bulk", None, 15_672_013, "upload under the name of another", borrowed_name),
    rule("new_habit", "slow", None, 15_672_011, "daily upload to a service new to the host", new_habit),
    rule("trained_up", "slow", None, 15_672_010, "upload that grows from day to day", trained_up),
    rule("host_total", "host", None, 15_672_009, "host sends far more than ever", host_total),
];

pub(super) const fn rule(
    name: &'static str,
    lane: &'static str,
    attack: Option<&'static str>,
    signature_id: u32,
    title: &'static str,
    look: fn(&Sight<'_>) -> Option<Finding>,
) -> Analytic {
    Analytic { name, lane, attack, signature_id, title, look }
}

/// A first upload to a high-risk service that is more than a try.
const RISKY_LEVEL: u64 = 50_000_000;
/// A name that so many hosts use is known.
const BORROWED_FROM: u32 = 10;
/// Less than this is a page that loads.
const BORROWED_LEVEL: u64 = 5_000_000;
/// A server that sends so much somewhere new does not do what it is there for.
const SERVER_LEVEL: u64 = 100_000_000;
/// So much above the first level, in all.
const TRAINED_LEVEL: f64 = 500_000_000.0;
/// Posts of a day that are no snippets any more.
const POSTS: u32 = 6;
/// And so many bytes.
const POSTS_LEVEL: u64 = 1_000;
/// Days of a week that make a habit.
const HABIT_DAYS: u32 = 6;
/// Less than this on a day is no collection.
const HABIT_LEVEL: u64 = 20_000_000;
/// More than this speaks for itself.
const HABIT_MOST: u64 = 300_000_000;
/// A part of a split collection.
const SPREAD_LEVEL: u64 = 10_000_000;
/// Staged uploads below this are not told from daily work.
const STAGED_LEVEL: u64 = 200_000_000;
/// A hypervisor that sends so much has lost a machine.
const HYPERVISOR_CRITICAL: u64 = 10_000_000_000;

#[allow(clippy::unnecessary_wraps)] // every rule ends with it
fn found(score: f64, severity: Severity, threshold: u64, text: String) -> Option<Finding> {
    Some(Finding { score, severity, threshold, text })
}

/// Not the site's own, and not where everybody sends.
fn is_outside(kind: Kind) -> bool {
    !matches!(kind, Kind::Own | Kind::Noise)
}

fn is_storage(kind: Kind) -> bool {
    matches!(kind, Kind::Storage | Kind::Anonymous | Kind::Text | Kind::Hook | Kind::Chat | Kind::Code)
}

/// ESXi hosts and their managers have no business with web services, except updates, which come down.
fn hypervisor(s: &Sight<'_>) -> Option<Finding> {
    let level = s.config.datastore_transfer_threshold.0;
    if !s.part.hypervisor || !is_outside(s.kind) || s.day.0 < level || s.day.0 <= s.day.1 {
        return None;
    }
    let severity = if s.day.0 >= HYPERVISOR_CRITICAL { Severity::Critical } else { Severity::High };
    found(
        2.0,
        severity,
        level,
        format!("a hypervisor sent {} out; the level is {}", Bytes(s.day.0), Bytes(level)),
    )
}

/// Virtual machines have few destinations; before the host is known only the log hears of it.
fn guest(s: &Sight<'_>) -> Option<Finding> {
    let level = s.config.datastore_transfer_threshold.0;
    let stores = is_storage(s.kind) || s.kind == Kind::Object;
    if !s.guest || s.part.hypervisor || !stores || s.days_used > 0 || s.pushed < level || s.day.0 <= s.day.1 {
        return None;
    }
    let (score, severity) = if s.settled { (0.5, Severity::Medium) } else { (-0.5, Severity::Low) };
    let text = format!(
        "a virtual machine sent {} to a storage service that it never used; the level is {}",
        Bytes(s.day.0),
        Bytes(level)
    );
    found(score, severity, level, text)
}

/// Much over one connection, to where the host never sent: low by design, and for the log by itself.
fn connection(s: &Sight<'_>) -> Option<Finding> {
    let level = s.config.data_volume_threshold.first_seen.0;
    let new = s.settled && s.days_used == 0;
    if !is_outside(s.kind)
        || !new
        || s.part.gateway
        || s.connection.0 < level
        || s.connection.0 <= s.connection.1
    {
        return None;
    }
    let text = format!("{} out over one connection; the level is {}", Bytes(s.connection.0), Bytes(level));
    found(-1.5, Severity::Low, level, text)
}

/// A gibibyte to where anybody may upload is nobody's daily work.
fn high_risk(s: &Sight<'_>) -> Option<Finding> {
    let level = s.config.exfil_volume_threshold.ceiling.0;
    if s.kind != Kind::Anonymous || s.pushed < level || s.day.0 <= s.day.1 {
        return None;
    }
    let text = format!(
        "{} in 24 h to a service where anybody may upload; the level is {}",
        Bytes(s.day.0),
        Bytes(level)
    );
    found(1.0, Severity::High, level, text)
}

/// Few hosts ever begin with a service where anybody may upload, and those that do send little.
fn risky_first_use(s: &Sight<'_>) -> Option<Finding> {
    let new = s.settled && s.days_used == 0;
    if s.kind != Kind::Anonymous || !new || s.part.gateway || s.day.0 < RISKY_LEVEL {
        return None;
    }
    let text =
        format!("{} to a service where anybody may upload, and which the host never used", Bytes(s.day.0));
    found(1.0, Severity::Medium, RISKY_LEVEL, text)
}

/// A name that everybody uses, at an address where nobody else ever was: it may be a disguise. Low by design: where
/// DNS is not seen in full, large services do the same.
fn borrowed_name(s: &Sight<'_>) -> Option<Finding> {
    let known = s.hosts.0 >= BORROWED_FROM && s.name_age >= 3.0;
    let unusual = s.pushed >= BORROWED_LEVEL.max(s.largest.saturating_mul(3)) && s.day.0 > s.day.1;
    if !s.strange_address || !known || !unusual || !s.settled || s.part.gateway || s.kind == Kind::Own {
        return None;
    }
    let text = format!(
        "{} to an address that shows the name of a destination of {} hosts; no other host was ever there, and DNS did not \
         give it out for that name",
        Bytes(s.day.0),
        s.hosts.0
    );
    found(-1.5, Severity::Low, BORROWED_LEVEL, text)
}

/// Servers have few destinations, and those from the first day.
fn server(s: &Sight<'_>) -> Option<Finding> {
    let new = s.settled && s.days_used == 0;
    if !s.part.server || !new || !is_storage(s.kind) || s.pushed < SERVER_LEVEL || s.day.0 <= s.day.1 {
        return None;
    }
    found(
        0.5,
        Severity::Medium,
        SERVER_LEVEL,
        format!("a server sent {} to a service that it never used", Bytes(s.day.0)),
    )
}

/// Text sites: many posts count, however small. A reader fetches more than he sends.
fn posts(s: &Sight<'_>) -> Option<Finding> {
    let level = s.config.exfil_volume_threshold.text.0.min(POSTS_LEVEL);
    let pushes = s.pushed >= s.day.0 / 2;
    let many = if pushes { POSTS } else { 2 * POSTS };
    if s.kind != Kind::Text || s.part.gateway || s.day.0 < level || s.count < many.max(3 * s.own_count) {
        return None;
    }
    let text = format!(
        "{} posts of {} in 24 h to a text site; at most {} a day before",
        s.count,
        Bytes(s.day.0),
        s.own_count
    );
    found(0.5, Severity::Medium, level, text)
}

/// What was collected from inside leaves: about as much goes out as was fetched.
fn staged(s: &Sight<'_>) -> Option<Finding> {
    let near = s.pulled / 3 <= s.day.0 && s.day.0 / 3 <= s.pulled;
    let new = s.settled && s.days_used <= 1;
    if !is_outside(s.kind) || s.pushed < STAGED_LEVEL || !near || !new || s.part.gateway {
        return None;
    }
    let text = format!(
        "{} fetched inside the network within a day, then {} sent out",
        Bytes(s.pulled),
        Bytes(s.day.0)
    );
    found(0.3, Severity::Medium, STAGED_LEVEL, text)
}

/// A clock sends, not a person.
fn periodic(s: &Sight<'_>) -> Option<Finding> {
    let (n, mean) = s.rhythm;
    let wanted = matches!(s.kind, Kind::Text | Kind::Hook | Kind::Anonymous | Kind::Nameless);
    if !wanted || n < 12 || mean < 20.0 || s.days_used > 2 || !s.settled {
        return None;
    }
    let text = format!("{n} uploads, one every {mean:.0} s, to a destination new to the host");
    found(0.0, Severity::Low, 0, text)
}

/// One collection, several ways out.
fn many_services(s: &Sight<'_>) -> Option<Finding> {
    let wanted = is_storage(s.kind) || matches!(s.kind, Kind::Object | Kind::Nameless);
    let new = s.settled && s.days_used == 0;
    if s.others < 3 || !wanted || s.part.gateway || !new || s.pushed < SPREAD_LEVEL {
        return None;
    }
    found(
        0.5,
        Severity::Medium,
        0,
        format!("{} destinations that the host never used took uploads within a day", s.others + 1),
    )
}

/// Several hosts, one drop.
fn many_hosts(s: &Sight<'_>) -> Option<Finding> {
    let new = s.settled && s.name_age < 2.0;
    if s.kind != Kind::Object || !new || s.hosts.0 < 5 || s.hosts.1 < 5 || s.pushed < 10_000_000 {
        return None;
    }
    found(
        0.3,
        Severity::Medium,
        0,
        format!("{} hosts began to send to a bucket that nobody used two days ago", s.hosts.1),
    )
}

/// Somebody trains the baseline: a little more every day. Compared with where it began, not with yesterday.
fn trained_up(s: &Sight<'_>) -> Option<Finding> {
    let g = &s.growth;
    let excess = g.excess * s.unit + s.day.0 as f64;
    let steady = g.n >= 8 && g.tau >= 0.7 && g.late - g.early >= 0.65;
    if !is_outside(s.kind) || s.part.gateway || !steady || excess < TRAINED_LEVEL {
        return None;
    }
    let times = 10f64.powf(g.late - g.early);
    let text = format!("{times:.0} times as much a day as {} active days ago, growing steadily", g.n);
    found(0.3, Severity::Medium, TRAINED_LEVEL as u64, text)
}

/// A service that the host did not use takes some every day: each day is unremarkable, the week is not.
fn new_habit(s: &Sight<'_>) -> Option<Finding> {
    let wanted = is_storage(s.kind) || matches!(s.kind, Kind::Object | Kind::Unknown | Kind::Nameless);
    let daily = s.week >= HABIT_DAYS && s.days_used <= HABIT_DAYS + 3;
    let sized = (HABIT_LEVEL..=HABIT_MOST).contains(&s.day.0) && s.largest <= HABIT_MOST;
    if !wanted || s.part.gateway || !daily || !sized || s.host_days < 2 * s.days_used {
        return None;
    }
    found(
        0.4,
        Severity::Medium,
        HABIT_LEVEL,
        format!(
            "uploads on {} of the last 8 days, {} today, to a service that the host did not use before",
            s.week + 1,
            Bytes(s.day.0)
        ),
    )
}

/// Low by design: it sees what the catalogue does not, and what the destination explains.
fn host_total(s: &Sight<'_>) -> Option<Finding> {
    let (today, before) = s.host_total;
    if !s.settled
        || s.part.gateway
        || !is_outside(s.kind)
        || today < 2_000_000_000
        || today / 20 < before.max(1)
    {
        return None;
    }
    found(
        -1.2,
        Severity::Low,
        0,
        format!("{} out in 24 h, at most {} on earlier days", Bytes(today), Bytes(before)),
    )
}

/// Every rule: those here and those of processes.
pub fn all() -> impl Iterator<Item = &'static Analytic> {
    ANALYTICS.iter().chain(super::process::ANALYTICS)
}

/// Levels of bytes at which a rule may begin to speak: a look is worth it right there.
pub fn levels(config: &DetectConfig) -> Vec<u64> {
    let ceiling = config.exfil_volume_threshold.ceiling.0;
    vec![config.datastore_transfer_threshold.0, RISKY_LEVEL, SERVER_LEVEL, ceiling]
}

/// What the rules found, the strongest first. `settled`: the site has been learned; before, only rules that need no past
/// look.
pub fn look(s: &Sight<'_>, learned: bool) -> Vec<(&'static Analytic, Finding)> {
    let ready = |a: &&'static Analytic| learned || a.attack.is_some();
    let mut list: Vec<_> = all().filter(ready).filter_map(|a| Some((a, (a.look)(s)?))).collect();
    list.sort_by(|a, b| b.1.score.total_cmp(&a.1.score).then(a.0.signature_id.cmp(&b.0.signature_id)));
    list
}

#[cfg(test)]
mod tests;
