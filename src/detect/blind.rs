//! Blindness: what this sensor should see and does not. Each hour of packet time is looked at by itself.
//!
//! A tap that carries one direction, a resolver on the other side of it, a home network that nobody has named: each
//! leaves the sensor quiet, and quiet looks like peace. So it is counted, warned of, and told at the end.

use super::home::Sides;
use crate::observe::FlowSummary;
use crate::parse::AppProto;
use crate::units::Timestamp;

/// Fewer flows in an hour say nothing.
const ENOUGH: u64 = 200;
/// Of so many, one is chance.
const NEARLY: u64 = 50;

/// A kind of blindness.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Blind {
    /// Hosts connect, and no answer of DNS was seen.
    NoDns,
    /// Of nearly all flows one direction was seen.
    OneWay,
    /// TLS and QUIC flows without a hello.
    NoHellos,
    /// Hardly any flow has an end at home.
    NoHome,
    /// Bytes leave, and none was learned.
    NotLearning,
}

impl Blind {
    /// Number of kinds.
    pub const COUNT: usize = 5;

    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] =
        [Self::NoDns, Self::OneWay, Self::NoHellos, Self::NoHome, Self::NotLearning];

    /// The word for records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoDns => "no_dns",
            Self::OneWay => "one_way",
            Self::NoHellos => "no_hellos",
            Self::NoHome => "no_home",
            Self::NotLearning => "not_learning",
        }
    }

    /// What is not seen, and what helps.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoDns => {
                "no DNS was seen: connections whose name is hidden stay unnamed; tap between hosts and their resolver, or \
                 give its logs (dns.log)"
            }
            Self::OneWay => {
                "nearly all flows were seen in one direction only: uploads cannot be told from downloads; check that the \
                 tap or span port carries both"
            }
            Self::NoHellos => {
                "hardly any TLS or QUIC flow showed its hello: destinations are known by DNS and address only; check for \
                 lost packets, sampling, or a snap length below 2,048 bytes (logs: give ssl.log and quic.log)"
            }
            Self::NoHome => {
                "hardly any flow has an end in the home network: nothing can be told to leave; name the networks with \
                 --home-net"
            }
            Self::NotLearning => {
                "bytes leave, and nothing of them is learned: what is usual does not become known; check --home-net and \
                 monitored_services, and report it if both are right"
            }
        }
    }
}

#[derive(Default, Debug)]
struct Hour {
    ended: u64,
    /// Of those, with an end at home and one outside; and of those, with bytes out.
    out: u64,
    sent: u64,
    transit: u64,
    one_way: u64,
    sealed: u64,
    hellos: u64,
    answers: u64,
    learned: u64,
}

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Watch {
    number: i64,
    hour: Hour,
    /// Hours of each kind.
    hours: [u64; Blind::COUNT],
    looked: u64,
    now: [bool; Blind::COUNT],
}

impl Watch {
    /// Time goes on: an hour that is over is looked at.
    pub(super) fn advance(&mut self, now: Timestamp) {
        let number = now.secs().div_euclid(3_600);
        if number > self.number {
            self.look();
            self.number = number;
        }
    }

    /// A flow has ended.
    pub(super) fn flow(&mut self, s: &FlowSummary, sides: Sides) {
        let hour = &mut self.hour;
        let bytes = |c: &crate::observe::Counts| c.payload + c.gap;
        let (up, down) = (bytes(&s.counts.up), bytes(&s.counts.down));
        if up + down == 0 || sides == Sides::Inside {
            return;
        }
        hour.ended += 1;
        hour.one_way += u64::from(s.one_way);
        if sides == Sides::Transit {
            hour.transit += 1;
            return;
        }
        hour.out += 1;
        hour.sent += u64::from(up > 0);
        let app = s.facts.as_ref().map_or(AppProto::Unknown, |f| f.app);
        let told = s.facts.as_ref().is_some_and(|f| f.tls.is_some() || f.name.is_some());
        let sealed = matches!(app, AppProto::Tls | AppProto::Quic);
        if sealed || s.ends.responder_port == 443 {
            hour.sealed += 1;
            hour.hellos += u64::from(told);
        }
    }

    /// An answer of DNS was seen.
    pub(super) fn answer(&mut self) {
        self.hour.answers += 1;
    }

    /// Bytes were learned.
    pub(super) fn learned(&mut self) {
        self.hour.learned += 1;
    }

    /// Looks at the hour so far, and begins another.
    pub(super) fn look(&mut self) {
        let h = std::mem::take(&mut self.hour);
        if h.ended < ENOUGH {
            return;
        }
        self.looked += 1;
        let hardly = |some: u64, of: u64| some * NEARLY < of;
        let is = [
            h.out >= ENOUGH && h.answers == 0,
            hardly(h.ended - h.one_way, h.ended),
            h.sealed >= ENOUGH && hardly(h.hellos, h.sealed),
            hardly(h.out, h.ended) && h.transit >= ENOUGH,
            h.sent >= ENOUGH && h.learned == 0,
        ];
        self.now = is;
        for (hours, is) in self.hours.iter_mut().zip(is) {
            *hours += u64::from(is);
        }
    }

    /// Hours of each kind.
    pub(super) const fn hours(&self) -> [u64; Blind::COUNT] {
        self.hours
    }

    /// Kinds of the last hour that was looked at.
    pub(super) const fn now(&self) -> [bool; Blind::COUNT] {
        self.now
    }

    /// What people should know at the end: kinds that held for most of the time.
    pub(super) fn remarks(&self) -> Vec<String> {
        let all = Blind::ALL.iter().zip(self.hours);
        let most = all.filter(|(_, hours)| *hours > 0 && *hours * 2 >= self.looked);
        most.map(|(blind, hours)| match self.looked {
            1 => blind.text().to_owned(),
            looked => format!("in {hours} of {looked} hours {}", blind.text()),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Path, Transport};
    use crate::observe::{Counts, EndReason, Ends, FlowId, FlowState, TcpSeen};
    use crate::parse::{Facts, NameSource};
    use crate::units::{Both, Direction};
    use std::sync::Arc;

    fn flow(one_way: bool, named: bool) -> FlowSummary {
        let counts = |payload| Counts { payload, ..Counts::default() };
        FlowSummary {
            flow: FlowId(1),
            ordinal: 1,
            ends: Ends {
                originator: [10, 0, 0, 1].into(),
                responder: [203, 0, 113, 9].into(),
                originator_port: 4_000,
                responder_port: 443,
                transport: Transport::Tcp,
            },
            first: Timestamp::default(),
            last: Timestamp::default(),
            counts: Both { up: counts(1_000), down: counts(if one_way { 0 } else { 500 }) },
            app_followed: None,
            seen: Both { up: TcpSeen::default(), down: TcpSeen::default() },
            history: [0; 16],
            midstream: false,
            one_way,
            state: FlowState::Established,
            end: Some(EndReason::Timeout),
            path: Path::default(),
            facts: named.then(|| {
                let name = Some(("a.example".into(), NameSource::Sni));
                Arc::new(Facts { app: AppProto::Tls, name, ..Facts::default() })
            }),
            since: None,
        }
    }

    /// An hour of a network; the kinds that are raised.
    fn raised(flows: &FlowSummary, sides: Sides, answers: u64, learned: u64) -> Vec<&'static str> {
        let mut watch = Watch::default();
        watch.advance(Timestamp::new(7_200, 0));
        (0..300).for_each(|_| watch.flow(flows, sides));
        (0..answers).for_each(|_| watch.answer());
        (0..learned).for_each(|_| watch.learned());
        watch.advance(Timestamp::new(10_800, 0));
        let raised = Blind::ALL.iter().zip(watch.hours()).filter(|(_, hours)| *hours > 0);
        let words: Vec<_> = raised.map(|(blind, _)| blind.as_str()).collect();
        assert_eq!(watch.remarks().len(), words.len());
        words
    }

    #[test]
    fn each_kind_by_itself() {
        let out = Sides::Out(Direction::Up);
        assert!(raised(&flow(false, true), out, 9, 9).is_empty());
        assert_eq!(raised(&flow(false, true), out, 0, 9), ["no_dns"]);
        assert_eq!(raised(&flow(true, true), out, 9, 9), ["one_way"]);
        assert_eq!(raised(&flow(false, false), out, 9, 9), ["no_hellos"]);
        assert_eq!(raised(&flow(false, true), Sides::Transit, 9, 9), ["no_home"]);
        assert_eq!(raised(&flow(false, true), out, 9, 0), ["not_learning"]);
        assert!(raised(&flow(false, true), Sides::Inside, 0, 0).is_empty());
    }

    #[test]
    fn little_traffic_is_no_blindness() {
        let mut watch = Watch::default();
        (0..ENOUGH - 1).for_each(|_| watch.flow(&flow(true, false), Sides::Out(Direction::Up)));
        watch.look();
        assert_eq!((watch.hours(), watch.remarks().len()), ([0; Blind::COUNT], 0));
    }
}
