//! Events and flows made by hand, as they come in good and in bad networks.

mod bad_networks;
mod keys;

use super::*;
use crate::endpoint::{ClockClass, HostRef, SourceKind};

/// Seconds since a day in 2026.
pub(super) fn at(secs: f64) -> Timestamp {
    Timestamp::from_nanos(1_790_000_000_000_000_000 + (secs * 1e9) as i64)
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().expect("address")
}

/// Events of one host's log.
#[derive(Clone)]
pub(super) struct Log {
    pub host: &'static str,
    pub source: SourceKind,
    pub class: ClockClass,
    /// Its clock is so many seconds ahead.
    pub ahead: f64,
    pub grain_ns: u32,
}

impl Log {
    pub(super) fn of(host: &'static str) -> Self {
        Self { host, source: SourceKind::Sysmon, class: ClockClass::Network, ahead: 0.0, grain_ns: 1_000_000 }
    }

    fn common(&self, secs: f64) -> Common {
        let grain = i64::from(self.grain_ns.max(1));
        let nanos = at(secs + self.ahead).nanos().div_euclid(grain) * grain;
        Common {
            source: self.source,
            host: HostRef { id: self.host.into(), name: Some(self.host.into()), ..HostRef::default() },
            at: Timestamp::from_nanos(nanos),
            clock: self.class,
            received: None,
            grain_ns: self.grain_ns,
            record: None,
        }
    }

    /// `program` (with a pid of its own) connects from `local` to `remote`; port 0 and an empty address: not said.
    pub(super) fn connect(
        &self,
        secs: f64,
        program: &str,
        local: (&str, u16),
        remote: (&str, u16),
    ) -> EndpointEvent {
        EndpointEvent::Connect(ConnectEvent {
            transport: Some(Transport::Tcp),
            local: local.0.parse().ok(),
            local_port: (local.1 != 0).then_some(local.1),
            direction: Dir::Out,
            ..ConnectEvent::to(self.common(secs), proc(self.host, program), ip(remote.0), remote.1)
        })
    }

    pub(super) fn start(&self, secs: f64, program: &str) -> EndpointEvent {
        let (common, proc) = (self.common(secs), proc(self.host, program));
        EndpointEvent::Process(ProcessEvent { common, proc, kind: ProcessKind::Start })
    }

    pub(super) fn asks(&self, secs: f64, program: &str, name: &str) -> EndpointEvent {
        EndpointEvent::Dns(DnsEvent {
            common: self.common(secs),
            proc: Some(proc(self.host, program)),
            query: name.into(),
            answers: Vec::new(),
        })
    }

    pub(super) fn address(&self, secs: f64, ip: &str, kind: AddressKind) -> EndpointEvent {
        let ip = ip.parse().expect("address");
        let common = self.common(secs);
        EndpointEvent::Address(AddressEvent { common, ip, mac: None, name: None, kind, lease_secs: None })
    }
}

/// A process of a host: one of each name.
pub(super) fn proc(host: &str, program: &str) -> Proc {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hash = DefaultHasher::new();
    (host, program).hash(&mut hash);
    let entity = hash.finish();
    Proc { entity: Some(entity), pid: Some(entity as u32 >> 8), name: program.into(), ..Proc::default() }
}

/// A network with one sensor.
pub(super) struct Net {
    pub joiner: Joiner,
    next: u64,
}

impl Net {
    pub(super) fn new() -> Self {
        let watched = ["rclone", "curl"].map(Box::from).into();
        Self { joiner: Joiner::new(JoinConfig { watched, ..JoinConfig::default() }), next: 0 }
    }

    pub(super) fn hear(&mut self, event: &EndpointEvent, secs: f64) {
        self.joiner.event(event, at(secs));
    }

    /// A connection that lasts a second.
    pub(super) fn flow(&mut self, secs: f64, from: (&str, u16), to: (&str, u16)) -> FlowId {
        self.flow_by(Transport::Tcp, secs, from, to, None)
    }

    pub(super) fn flow_by(
        &mut self,
        transport: Transport,
        secs: f64,
        from: (&str, u16),
        to: (&str, u16),
        name: Option<&str>,
    ) -> FlowId {
        self.next += 1;
        let name: Option<Arc<str>> = name.map(Into::into);
        let seen = Seen {
            flow: FlowId(self.next),
            ends: Ends {
                originator: ip(from.0),
                responder: ip(to.0),
                originator_port: from.1,
                responder_port: to.1,
                transport,
            },
            side: Direction::Up,
            span: (at(secs), at(secs + 1.0)),
            opened: true,
            name: name.as_ref(),
            ended: false,
        };
        self.joiner.flow(&seen, at(secs));
        seen.flow
    }

    pub(super) fn said(&mut self, flow: FlowId, secs: f64) -> Attribution {
        Arc::unwrap_or_clone(self.joiner.attribute(flow, at(secs)).expect("the flow is known"))
    }
}

/// Level and program, for short.
pub(super) fn short(said: &Attribution) -> (Level, &str) {
    (said.level, said.process.as_ref().map_or("", |p| &*p.name))
}
