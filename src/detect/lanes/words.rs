//! Evidence in words.

use super::Circumstance;
use crate::detect::learn::NAMES;
use crate::detect::learn::evidence::Values;
use crate::output::Evidence;
use crate::units::Bytes;

/// One kind of evidence, with what it added to the log odds.
pub(super) fn evidence(index: usize, values: &Values, contribution: f32) -> Evidence {
    let name = NAMES.get(index).copied().unwrap_or("evidence");
    let v = f64::from(values.get(index).copied().unwrap_or_default());
    made(name, v, contribution, text(name, v, values))
}

/// The weight is what the trees gave per unit of the value here.
fn made(name: &'static str, value: f64, contribution: f32, text: String) -> Evidence {
    let contribution = f64::from(contribution);
    let weight = if value.abs() > 1e-6 { contribution / value } else { 0.0 };
    Evidence { name, value, weight, contribution, text }
}

/// What is usual for the host and the service, in words.
pub(super) fn typical(values: &Values) -> Vec<String> {
    let days = value(values, "days_28");
    let mut said = vec![format!("active on {days:.0} of the 28 days before")];
    if days >= 1.0 {
        said.push(format!("at most {} a day", bytes(value(values, "own_max"))));
    }
    said.push(format!("{} out today", bytes(value(values, "size") + 6.5)));
    said
}

fn value(values: &Values, name: &str) -> f64 {
    NAMES.iter().position(|n| *n == name).map_or(0.0, |i| f64::from(values[i]))
}

fn bytes(log10: f64) -> Bytes {
    Bytes(10f64.powf(log10.clamp(0.0, 18.0)) as u64)
}

/// One in how many.
fn one_in(log10: f64) -> String {
    format!("1 in {:.0}", 10f64.powf(log10.clamp(0.0, 9.0)))
}

fn text(name: &str, v: f64, values: &Values) -> String {
    match name {
        "novelty" => format!("the host uses this service on {} days", one_in(v)),
        "volume" => {
            format!("on days of use so much is sent on {} of them, by its own and others' past", one_in(v))
        }
        "size" => format!("{} out in 24 h", bytes(v + 6.5)),
        "ratio_rarity" => format!("so little coming back is seen on {} days with volume here", one_in(v)),
        "push_ratio" => format!("connections that send more than they fetch: {}", ratio(v)),
        "all_ratio" => format!("all connections: {}", ratio(v)),
        "push_share" => {
            format!("{:.0} % of it on connections that send more than they fetch", 100.0 * 10f64.powf(v))
        }
        "fleet" => format!("{:.1} times as many other hosts as usual began of late", 10f64.powf(v)),
        "age" => format!("the host has been known for {v:.0} days"),
        "prevalence" => format!("{} hosts use the service", one_in(v)),
        "rarity" => format!("{} hosts use this very destination", one_in(v)),
        "name_age" => format!("the destination has been known to the network for {v:.0} days"),
        "odd_hour" => {
            format!("the host is awake at this hour {:.1} times as often as on average", 10f64.powf(-v))
        }
        "host_volume" => format!("so much in all is sent by this host on {} days", one_in(v)),
        "slow" => format!("surprise of the last week against the weeks before adds up to {v:.1}"),
        "slow_days" => format!("active on {v:.0} of the last 8 days"),
        "uploads" => format!("{:.1} times the busiest hour that is usual", 10f64.powf(v * 0.5)),
        "count" => format!("{:.0} connections in 24 h", 10f64.powf(v) - 1.0),
        "own_count" => format!("at most {:.0} on earlier days", 10f64.powf(v)),
        "count_rarity" => format!("so many connections on {} days of use", one_in(v)),
        "spread" => format!("other destinations of the last 24 h add a surprise of {v:.1}"),
        "other_destinations" => format!("{v:.0} other destinations with unusual volume in 24 h"),
        "peers" => {
            let times = 10f64.powf(v.abs());
            let how = if v >= 0.0 { "rarer" } else { "more usual" };
            format!("among hosts that use what this one uses it is {times:.1} times {how} than among all")
        }
        "days_7" => format!("active on {v:.0} of the 7 days before"),
        "days_28" => format!("active on {v:.0} of the 28 days before"),
        "burst" => format!("{:.0} % of it in the last two hours", 100.0 * 10f64.powf(v)),
        "per_connection" => format!("{} a connection", bytes(v)),
        "own_max" => {
            if value(values, "days_28") < 1.0 {
                "never before".to_owned()
            } else {
                format!("at most {} on earlier days", bytes(v))
            }
        }
        _ => format!("{v:.0}"),
    }
}

/// The bin of a ratio in words.
fn ratio(bin: f64) -> String {
    let times = 10f64.powf((bin - 1.0) / 2.0 - 2.0);
    if bin < 1.0 {
        "less than a hundredth comes back".into()
    } else {
        format!("{times:.2} times as much comes back")
    }
}

/// What the kind of destination added.
pub(super) fn kind(c: Circumstance, contribution: f32) -> Evidence {
    let text = c.kind.map_or_else(String::new, |k| format!("the destination is {}", k.words()));
    made("kind", 1.0, contribution, text)
}

/// What the part of the host added.
pub(super) fn part(c: Circumstance, contribution: f32) -> Evidence {
    let text = match c.part {
        p if p.hypervisor => "the host is a hypervisor",
        p if p.gateway => "the host is a gateway",
        p if p.server => "the host is a server",
        _ => "the host is neither server nor gateway",
    };
    made("part", 1.0, contribution, text.into())
}
