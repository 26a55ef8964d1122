//! Attacks on the detector itself: what an adversary may try who knows how it learns.

use super::lanes::{self, Circumstance};
use super::learn::host::Part;
use super::learn::kind::Kind;
use super::learn::{Learner, Moved};
use super::rules;
use crate::config::DetectConfig;

const DAY: i64 = 86_400;
const MB: u64 = 1_000_000;

/// A small network whose hosts live by a fixed law, and the strongest alarm about one of them.
struct Site {
    learner: Learner,
    hosts: Vec<u32>,
    config: DetectConfig,
    /// Score of the strongest verdict about the attacker.
    best: f64,
}

/// A number in 0..n from a counter: chance that repeats.
fn chance(seed: u64, n: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d;
    x ^= x >> 29;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x ^ (x >> 32)) % n
}

impl Site {
    fn new(room: usize) -> Self {
        let mut learner = Learner::with_room(room);
        let hosts = (0..60).map(|_| learner.add_host(Part::default(), 0)).collect();
        Self { learner, hosts, config: DetectConfig::default(), best: f64::MIN }
    }

    fn send(&mut self, host: usize, service: &str, kind: Kind, secs: i64, bytes: (u64, u64)) {
        let host = self.hosts[host];
        let target = self.learner.target(host, service, service, kind, secs);
        let m = Moved { host, target, secs, bytes, push: bytes.0 > bytes.1, opened: true };
        let Some(values) = self.learner.observe(&m) else { return };
        let circumstance = Circumstance { kind: Some(kind), part: Part::default() };
        let lane = lanes::judge(&values, circumstance).score;
        let sight = self.learner.sight(host, target, secs, &self.config).expect("known");
        let rule = rules::look(&sight, true).first().map_or(f64::MIN, |f| f.1.score);
        if host == self.hosts[0] {
            self.best = self.best.max(lane).max(rule);
        }
    }

    /// A working day of everybody: mail, the web, some storage; a tenth of the hosts use a drive.
    fn live(&mut self, day: i64) {
        for hour in 8..18 {
            for h in 0..self.hosts.len() {
                let seed = (day as u64 * 24 + hour as u64) * 1_000 + h as u64;
                let secs = day * DAY + hour * 3_600 + chance(seed, 3_000) as i64;
                self.send(h, "mail", Kind::Mail, secs, (50_000 + chance(seed + 1, 100_000), 200_000));
                self.send(h, "web", Kind::Unknown, secs + 5, (20_000 + chance(seed + 2, 50_000), 900_000));
                if h % 10 == 1 && chance(seed + 3, 3) == 0 {
                    self.send(h, "drive", Kind::Storage, secs + 9, (MB + chance(seed + 4, 5 * MB), 4 * MB));
                }
            }
        }
    }
}

/// A learned site.
fn learned(days: i64, room: usize) -> Site {
    let mut site = Site::new(room);
    (0..days).for_each(|day| site.live(day));
    site.best = f64::MIN;
    site
}

#[test]
fn daily_life_raises_nothing_and_a_grab_does() {
    let mut site = learned(20, 0);
    site.live(20);
    assert!(site.best < 0.0, "{}", site.best);
    let mut out = 0;
    for step in 0..100 {
        site.send(0, "drive", Kind::Storage, 21 * DAY + 50_000 + step * 20, (30 * MB, 100_000));
        out += 30;
        if site.best >= 0.0 {
            break;
        }
    }
    assert!(site.best >= 0.0, "{out} MB: {}", site.best);
}

#[test]
fn slow_training_up_is_seen_before_two_gigabytes() {
    for (first, growth) in [(30.0, 1.1), (10.0, 1.2), (1.0, 1.3), (1.0, 1.4), (1.0, 1.5)] {
        let mut site = learned(16, 0);
        let (mut level, mut above) = (first, 0.0);
        for day in 16..44 {
            site.live(day);
            // In parts, as files go.
            for part in 0..10 {
                let secs = day * DAY + 36_000 + part * 300;
                site.send(0, "drive", Kind::Storage, secs, ((level * 1e5) as u64, 5_000));
            }
            above += level - first;
            if site.best >= 0.0 {
                break;
            }
            level = f64::min(level * growth, 500.0);
        }
        assert!(site.best >= 0.0 && above < 2_000.0, "{growth}: {above} MB: {}", site.best);
    }
}

#[test]
fn scanning_names_erases_no_memory() {
    let mut site = learned(20, 4_000);
    let target = site.learner.target(site.hosts[1], "drive", "drive", Kind::Storage, 20 * DAY);
    let before = site.learner.days_used(site.hosts[1], target);
    assert!(before > 10);
    for i in 0..50_000 {
        site.send(0, &format!("~n{i}.example"), Kind::Unknown, 20 * DAY + i / 10, (1_000, 1_000));
    }
    assert!(site.learner.evicted > 0 || site.learner.len() <= 4_000);
    assert!(site.learner.days_used(site.hosts[1], target) >= before);
}

#[test]
fn downloads_beside_an_upload_hide_nothing() {
    let mut site = learned(20, 0);
    for step in 0..100 {
        let secs = 20 * DAY + 50_000 + step * 20;
        site.send(0, "drive", Kind::Storage, secs, (30 * MB, 100_000));
        site.send(0, "drive", Kind::Storage, secs + 1, (1_000, 60 * MB));
    }
    assert!(site.best >= 0.0, "{}", site.best);
}

#[test]
fn a_little_to_each_of_several_services_adds_up() {
    let mut site = learned(20, 0);
    for (i, service) in ["drive", "box", "send", "share", "keep", "push"].iter().enumerate() {
        for step in 0..20 {
            let secs = 20 * DAY + 40_000 + i as i64 * 600 + step * 20;
            site.send(0, service, Kind::Storage, secs, (8 * MB, 50_000));
        }
    }
    assert!(site.best >= 0.0, "{}", site.best);
}
