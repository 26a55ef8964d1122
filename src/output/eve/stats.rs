//! EVE `stats`: every counter of the sensor, in total and per worker.

use super::super::file::OutputConfig;
use super::super::json::Json;
use crate::counters::{FrontCounters, LogCounters, Stats, WorkerCounters};
use crate::decode::Skip;
use crate::detect::blind::Blind;
use crate::endpoint::feed::FeedCounters;
use crate::parse::{GiveUp, NameSource};
use crate::units::Timestamp;

pub(super) fn fill(j: &mut Json<'_>, stats: &Stats, at: Timestamp, config: &OutputConfig) {
    let total = stats.total();
    j.time("timestamp", at);
    j.str("event_type", "stats");
    j.opt_str("host", config.sensor.as_deref());
    j.object("stats", |j| j.uint("uptime", stats.uptime_secs));
    j.object("egret", |j| {
        j.str("version", &config.version);
        j.str("signatures_version", &config.signatures_version);
        match &stats.logs {
            Some(counters) => j.object("logs", |j| logs(j, counters)),
            None => front(j, &stats.front, &total),
        }
        flows(j, &total);
        names(j, stats, &total);
        j.object("tell", |j| {
            tell(j, &total);
            j.uint("late", stats.detect.late);
        });
        j.object("detect", |j| {
            j.uint("pairs", stats.detect.pairs);
            j.uint("pairs_evicted", stats.detect.pairs_evicted);
            j.uint("incidents", stats.detect.incidents);
            j.uint("alerts", stats.detect.alerts);
            j.uint("shared_front", stats.detect.shared_front);
            j.uint("hidden_dns", stats.detect.hidden_dns);
            j.uint("leases", stats.detect.leases);
            j.uint("hosts_evicted", stats.detect.hosts_evicted);
            let blind = Blind::ALL.iter().zip(stats.detect.blind_now).filter(|(_, is)| *is);
            let blind: Vec<&str> = blind.map(|(blind, _)| blind.as_str()).collect();
            if !blind.is_empty() {
                j.strs("blind", &blind);
            }
        });
        if !stats.feeds.is_empty() {
            j.object("feeds", |j| feeds(j, &stats.feeds));
        }
        j.object("output", |j| {
            j.uint("lines", stats.lines);
            j.uint("dropped", stats.dropped);
        });
        j.array("workers", |j| {
            for (i, w) in stats.workers.iter().enumerate() {
                j.item(|j| {
                    match stats.fronts.get(i) {
                        Some(f) => front(j, f, w),
                        None => j.object("capture", |j| j.uint("duplicates", w.duplicates)),
                    }
                    flows(j, w);
                    j.object("tell", |j| tell(j, w));
                });
            }
        });
    });
}

fn feeds(j: &mut Json<'_>, feeds: &[FeedCounters]) {
    j.uint("events", feeds.iter().map(|f| f.events).sum());
    j.uint("lost", feeds.iter().map(|f| f.bad + f.dropped + f.refused).sum());
    let silent: Vec<&str> = feeds.iter().filter(|f| f.silent).map(|f| f.name.as_str()).collect();
    if !silent.is_empty() {
        j.strs("silent", &silent);
    }
}

/// Counters of logs that were read.
pub(in super::super) fn logs(j: &mut Json<'_>, logs: &LogCounters) {
    j.uint("lines", logs.lines);
    j.uint("bad", logs.bad.iter().sum());
    j.uint("flows", logs.held.flows);
    j.uint("named", logs.held.named);
    j.uint("dns", logs.held.dns);
    j.uint("late", logs.held.late + logs.held.hurried);
    j.uint("unclaimed", logs.held.unclaimed);
}

fn front(j: &mut Json<'_>, f: &FrontCounters, w: &WorkerCounters) {
    j.object("capture", |j| {
        j.uint("frames", f.frames);
        j.uint("bytes", f.bytes);
        j.uint("kernel_frames", f.kernel_frames);
        j.uint("kernel_drops", f.kernel_drops);
        j.uint("freezes", f.freezes);
        j.uint("duplicates", w.duplicates);
        j.uint("handed", w.handed);
        j.uint("misplaced", w.misplaced);
        j.uint("time_back", f.time_back);
        j.uint("time_jump", f.time_jump);
    });
    j.object("decode", |j| {
        j.uint("decoded", f.decoded);
        j.object("skipped", |j| {
            for (reason, n) in Skip::ALL.iter().zip(f.skipped) {
                j.uint(reason.as_str(), n);
            }
        });
        j.uint("fragments_held", f.fragments_held);
    });
}

fn flows(j: &mut Json<'_>, w: &WorkerCounters) {
    j.object("flows", |j| {
        j.uint("open", w.open);
        j.uint("opened", w.opened);
        j.uint("closed", w.closed);
        j.uint("evicted", w.evicted);
        j.uint("table", w.table);
    });
}

/// Names by source: as the detector has found them, else as the workers have. Not once more for each worker: an index
/// takes only so many fields.
fn names(j: &mut Json<'_>, stats: &Stats, w: &WorkerCounters) {
    j.object("names", |j| {
        let late = &stats.detect.names;
        for (source, early) in NameSource::ALL.iter().zip(w.names) {
            let found = if late.is_empty() { early } else { late.get(source.as_str()).copied().unwrap_or(0) };
            j.uint(source.as_str(), found);
        }
        j.object("given_up", |j| {
            for (reason, n) in GiveUp::ALL.iter().zip(w.given_up) {
                j.uint(reason.as_str(), n);
            }
        });
    });
}

fn tell(j: &mut Json<'_>, w: &WorkerCounters) {
    j.uint("told", w.told);
    j.uint("thinned", w.thinned);
    j.uint("channel_max", w.channel_max);
}
