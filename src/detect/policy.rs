//! The site's word on an upload: allow-list entries with a budget, and the cap of what is sanctioned.

use super::Detector;
use super::identity::Known;
use super::pair::PairKey;
use super::upload_volume;
use crate::output::{Evidence, Severity};
use crate::signatures::{Allow, Standing, Who};
use crate::units::{Bytes, Timestamp};
use std::net::IpAddr;

impl Detector {
    /// Asks the site's word on a host, known by its address, its name and the groups it belongs to, and on the program
    /// where one alone sent it all and that is certain.
    fn of_host<T>(&self, host: IpAddr, process: Option<&str>, ask: impl FnOnce(&Who<'_>) -> T) -> T {
        let roster = &self.base.roster;
        let leased = self.memory.hosts.machine(host, self.checked).and_then(|(_, name)| name);
        let name = roster.asset(host).map(|a| &*a.name).or(leased);
        let groups = roster.facts().host_groups.iter();
        let groups: Vec<&str> =
            groups.filter(|(_, hosts)| hosts.contains(host, name)).map(|(group, _)| group.as_str()).collect();
        ask(&Who { address: Some(host), name, groups: &groups, process })
    }

    fn program(&self, key: PairKey) -> Option<&str> {
        self.pairs.get(&key).and_then(super::pair::Pair::sole_program)
    }

    /// The allow-list entry that covers this host, program and service now.
    fn allowance(&self, known: &Known, key: PairKey, now: Timestamp) -> Option<&Allow> {
        let site = self.namer.catalogue().site();
        // Most services have no entry: names and groups are looked for only where they may matter.
        if site.allow_list().iter().all(|allow| allow.service != known.service) {
            return None;
        }
        self.of_host(key.host, self.program(key), |who| site.allowance(known.service, who, now))
    }

    /// What the site said of this tenant, where that has a cap.
    fn standing(&self, known: &Known, key: PairKey) -> Option<&Standing> {
        let site = self.namer.catalogue().site();
        let tenant = known.class.tenant.as_deref();
        self.of_host(key.host, self.program(key), |who| site.standing(known.service, tenant, who))
    }

    /// The same for a host whose destination was found by other means.
    pub(super) fn allowed(
        &self,
        known: &Known,
        host: IpAddr,
        process: Option<&str>,
        now: Timestamp,
    ) -> Option<u64> {
        let site = self.namer.catalogue().site();
        if site.allow_list().iter().all(|allow| allow.service != known.service) {
            return None;
        }
        self.of_host(host, process, |who| site.allowance(known.service, who, now)).map(|a| a.budget.bytes.0)
    }

    /// The budget of the allow-list entry in force. Within it an incident stays in the log, as low: what is allowed is
    /// still counted, and still told.
    pub(super) fn budget(&self, known: &Known, key: PairKey, now: Timestamp) -> Option<u64> {
        self.allowance(known, key, now).map(|allow| allow.budget.bytes.0)
    }

    /// From here on a sanction calms no more.
    pub(super) fn hard_cap(&self, known: &Known, key: PairKey) -> Option<u64> {
        self.standing(known, key)?.hard_cap.as_ref().map(|cap| cap.bytes.0)
    }

    /// What the volume is worth; the site's own cap is worth more than any volume.
    pub(super) fn volume_score(&self, known: &Known, key: PairKey, out: u64, threshold: u64) -> f64 {
        let broken = self.hard_cap(known, key).is_some_and(|cap| out > cap);
        let score = upload_volume::score(out, threshold);
        if broken { score.max(upload_volume::CAP_BROKEN) } else { score }
    }

    /// The same for people.
    pub(super) fn policy_evidence(
        &self,
        known: &Known,
        key: PairKey,
        out: u64,
        now: Timestamp,
    ) -> Option<Evidence> {
        let (name, value, text) = if let Some(allow) = self.allowance(known, key, now) {
            let within = out <= allow.budget.bytes.0;
            let word = if within { "within" } else { "beyond" };
            let text = format!(
                "{} is {word} the {} that {} allowed until {}: {}",
                Bytes(out),
                allow.budget,
                allow.owner,
                allow.expires_on,
                allow.reason
            );
            ("allowed", within, text)
        } else {
            let cap = self.hard_cap(known, key)?;
            let over = out > cap;
            let word = if over { "beyond" } else { "within" };
            (
                "sanctioned",
                !over,
                format!("{} is {word} the cap of {} for what is sanctioned", Bytes(out), Bytes(cap)),
            )
        };
        Some(Evidence { name, value: f64::from(u8::from(value)), weight: 0.0, contribution: 0.0, text })
    }
}

/// Severity with the site's word taken into account.
pub(super) fn weigh(
    severity: Severity,
    loud: impl FnOnce() -> Severity,
    out: u64,
    budget: Option<u64>,
    cap: Option<u64>,
) -> Severity {
    if budget.is_some_and(|budget| out <= budget) {
        return Severity::Low;
    }
    if cap.is_some_and(|cap| out > cap) { loud() } else { severity }
}
