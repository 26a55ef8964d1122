//! The analyst's questions, answered for each incident: yes, no or unknown, with what speaks for it.

use super::learn::evidence::{Typical, Values};
use super::roster::Roster;
use super::{lanes, learn};
use crate::config::Weekly;
use crate::output::{Answer, AnswerState, Answers, Escalation, IncidentRecord};
use crate::units::{Bytes, Timestamp};
use jiff::tz::TimeZone;

/// What there is to answer from.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub record: &'a IncidentRecord,
    pub roster: &'a Roster,
    /// The evidence; `None`: the site has not been watched for long enough to say what is usual.
    pub values: Option<&'a Values>,
    /// What is usual between the host and the destination.
    pub typical: Option<Typical>,
    /// Keys of the configuration that were changed within a day.
    pub changed: Option<&'a str>,
}

/// So improbable is atypical.
const ATYPICAL: f64 = 3.0;

fn answer(state: AnswerState, text: String) -> Answer {
    Answer { state, text, value: None, unit: None, evidence: Vec::new() }
}

fn unknown(text: &str) -> Answer {
    answer(AnswerState::Unknown, text.to_owned())
}

fn yes_if(yes: bool) -> AnswerState {
    if yes { AnswerState::Yes } else { AnswerState::No }
}

/// All answers.
pub(super) fn answers(a: &Asked<'_>) -> Answers {
    Answers {
        business_need: business_need(a),
        device_authorised: device(a),
        volume_atypical: volume(a),
        outside_hours: hours(a),
        new_service: new_service(a),
        uploads: uploads(a),
        recent_change: change(a),
    }
}

fn value(values: &Values, name: &str) -> f64 {
    learn::NAMES.iter().position(|n| *n == name).and_then(|i| values.get(i)).map_or(0.0, |v| f64::from(*v))
}

fn business_need(a: &Asked<'_>) -> Answer {
    let facts = a.roster.facts();
    let class = a.record.identity.class.as_deref();
    let host = a.record.identity.host.as_ref().map(|h| h.ip);
    let permit = facts.permits.iter().find(|p| {
        let group = facts.host_groups.get(&p.group);
        let service = class.is_some_and(|c| p.services.iter().any(|s| **s == *c.service));
        service && host.is_some_and(|ip| group.is_some_and(|g| g.contains(ip, asset_name(a))))
    });
    let today = day(a.record.at);
    if let Some(permit) = permit {
        let expired = today.is_some_and(|d| d > permit.expires);
        let mut said = answer(
            yes_if(!expired),
            format!(
                "permitted to {} by {} until {}: {}",
                permit.group, permit.owner, permit.expires, permit.reason
            ),
        );
        if expired {
            said.evidence.push("the permit has expired".to_owned());
        }
        return said;
    }
    match class.map(|c| c.sanction) {
        Some("own") => answer(AnswerState::Yes, "the destination is the site's own".to_owned()),
        Some("sanctioned") => answer(AnswerState::Yes, "the site sanctions the destination".to_owned()),
        Some("unsanctioned") => {
            answer(AnswerState::No, "the site does not sanction the destination".to_owned())
        }
        _ => unknown("nobody has said whether this host may send there; a [[permit]] would"),
    }
}

fn asset_name<'a>(a: &'a Asked<'_>) -> Option<&'a str> {
    a.record.identity.host.as_ref().and_then(|h| a.roster.asset(h.ip)).map(|asset| &*asset.name)
}

fn device(a: &Asked<'_>) -> Answer {
    let Some(host) = a.record.identity.host.as_ref() else { return unknown("the host is not known") };
    if !a.roster.has_assets() {
        return unknown("there is no list of assets");
    }
    let Some(asset) = a.roster.asset(host.ip) else {
        return answer(AnswerState::No, format!("{} stands in no list of assets", host.ip));
    };
    let owner = asset.owner.as_deref().map_or_else(String::new, |o| format!(", owner {o}"));
    let text = format!("{}{owner}", asset.name);
    match asset.managed {
        Some(false) => answer(AnswerState::No, format!("{text}: listed, and not managed")),
        _ => answer(AnswerState::Yes, format!("{text}: listed")),
    }
}

fn volume(a: &Asked<'_>) -> Answer {
    let Some(values) = a.values else {
        return unknown("the site has not been watched for long enough");
    };
    // That the host uses the service at all today is another question, answered below.
    let p = value(values, "volume");
    let mut said = answer(
        yes_if(p >= ATYPICAL),
        format!(
            "{} out in 24 h; so much is sent on 1 in {:.0} days of use",
            Bytes(a.record.up_bytes_24h),
            10f64.powf(p.min(9.0))
        ),
    );
    (said.value, said.unit) = (Some(p), Some("-log10 p"));
    said.evidence = lanes::typical(values);
    if let Some(t) = a.typical {
        said.evidence.push(format!(
            "usual on a day of use: median {}, spread a factor of {:.1} (MAD), from {} days of its own and {} of all hosts",
            Bytes(10f64.powf(t.median.clamp(0.0, 18.0)) as u64),
            10f64.powf(t.spread),
            t.own_days,
            t.all_days
        ));
    }
    said
}

fn hours(a: &Asked<'_>) -> Answer {
    let facts = a.roster.facts();
    let zone = facts.timezone.as_deref().and_then(|name| TimeZone::get(name).ok());
    let (Some(zone), false) = (zone, facts.business_hours.is_empty()) else {
        return unknown("timezone and business_hours are not set");
    };
    let Ok(at) = jiff::Timestamp::from_microsecond(a.record.at.micros()) else {
        return unknown("the time is out of range");
    };
    let local = at.to_zoned(zone);
    let minute = local.hour() as u16 * 60 + local.minute() as u16;
    let weekday = 1u8 << local.weekday().to_monday_zero_offset();
    let within = |w: &Weekly| w.days & weekday != 0 && (w.from..w.until).contains(&minute);
    let holiday = facts.holidays.contains(&local.date());
    let open = !holiday && facts.business_hours.iter().any(within);
    let what = if holiday {
        "a holiday"
    } else if open {
        "within business hours"
    } else {
        "outside business hours"
    };
    answer(yes_if(!open), format!("{} local time, {what}", local.strftime("%a %H:%M")))
}

fn new_service(a: &Asked<'_>) -> Answer {
    let Some(values) = a.values else {
        return unknown("the site has not been watched for long enough");
    };
    let days = value(values, "days_28");
    let hosts = value(values, "prevalence");
    let mut said = answer(
        yes_if(days < 1.0),
        if days < 1.0 {
            "the host never sent there in 28 days".to_owned()
        } else {
            format!("used on {days:.0} of the last 28 days")
        },
    );
    said.evidence.push(format!("1 in {:.0} hosts uses it", 10f64.powf(hosts.clamp(0.0, 9.0))));
    said
}

fn uploads(a: &Asked<'_>) -> Answer {
    if let Some(counted) = super::uploads::answer(&a.record.uploads, a.record.up_bytes) {
        return counted;
    }
    let n = a.record.flows_total.max(1);
    let mut said = answer(
        AnswerState::Yes,
        format!(
            "{} over {n} flows, {} a flow on average",
            Bytes(a.record.up_bytes),
            Bytes(a.record.up_bytes / u64::from(n))
        ),
    );
    (said.value, said.unit) = (Some(f64::from(n)), Some("flows"));
    said
}

fn change(a: &Asked<'_>) -> Answer {
    let facts = a.roster.facts();
    let class = a.record.identity.class.as_deref();
    let host = a.record.identity.host.as_ref().map(|h| h.ip);
    let today = day(a.record.at);
    let planned = facts.changes.iter().find(|c| {
        let when = today.is_some_and(|d| c.from <= d && d <= c.until);
        let service =
            c.services.is_empty() || class.is_some_and(|k| c.services.iter().any(|s| **s == *k.service));
        when && service && host.is_some_and(|ip| c.hosts.contains(ip, asset_name(a)))
    });
    if let Some(change) = planned {
        return answer(AnswerState::Yes, format!("planned by {}: {}", change.owner, change.reason));
    }
    if let Some(keys) = a.changed {
        let text = format!("the configuration of this sensor was changed within a day: {keys}");
        return answer(AnswerState::Yes, text);
    }
    let Some(values) = a.values else {
        return unknown("no change is planned, and the site has not been watched for long enough");
    };
    let (fleet, age) = (value(values, "fleet"), value(values, "age"));
    if fleet >= 0.7 {
        let others = value(values, "beginners");
        return answer(
            AnswerState::Yes,
            format!("{others:.0} other hosts began within two days: a roll-out?"),
        );
    }
    if age < 6.0 {
        return answer(AnswerState::Yes, format!("the host is new: first seen {age:.0} days ago"));
    }
    answer(AnswerState::No, "no change is planned, no other host began, the host is not new".to_owned())
}

fn day(at: Timestamp) -> Option<jiff::civil::Date> {
    Some(jiff::Timestamp::from_microsecond(at.micros()).ok()?.to_zoned(TimeZone::UTC).date())
}

/// Who should look at it. What is unknown never satisfies a condition.
pub(super) fn escalate(answers: &Answers, out: u64, level: u64) -> Escalation {
    let mut reasons = Vec::new();
    if answers.device_authorised.state == AnswerState::No {
        reasons.push("the device is not authorised".to_owned());
    }
    let atypical = answers.volume_atypical.state == AnswerState::Yes;
    if atypical && out >= level {
        reasons.push("the volume is atypical (p at most 1 in 1,000) and material".to_owned());
    }
    if answers.outside_hours.state == AnswerState::Yes && answers.business_need.state != AnswerState::Yes {
        reasons.push("outside business hours, and no business need is known".to_owned());
    }
    let tier = if reasons.is_empty() { 1 } else { 2 };
    Escalation { tier, reasons }
}

/// What could be done, with what it would touch. Egret does none of it.
pub(super) fn containment(r: &IncidentRecord) -> Vec<String> {
    let host = r.identity.host.as_ref().map_or_else(|| "the host".to_owned(), |h| h.ip.to_string());
    let name = r.identity.name.as_deref().unwrap_or("the destination");
    let far = r.ends.responder;
    let service = r.identity.class.as_ref().map_or("that name", |c| &c.service_name);
    vec![
        format!(
            "Block {name} for {host} at the proxy or firewall (touches this host's use of {service} only)."
        ),
        format!("Close its open connections to {far} (touches {} flows of this incident).", r.flows_total),
        format!("Isolate {host} (touches everything that this host does)."),
    ]
}
