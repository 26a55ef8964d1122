//! Networks made up, with everything that goes wrong in real ones: what of it is attributed, how well, and how soon.
//! `cargo test --test attribution_worlds -- --nocapture` prints the table of docs/attribution.md.

mod common;

use common::play::{Dice, Made, at, play};
use egret::attribute::Level;
use egret::decode::Transport;
use egret::endpoint::{
    AddressEvent, AddressKind, ClockClass, Common, ConnectEvent, ConnectState, Direction as Dir,
    EndpointEvent, HostRef, Proc, SourceKind,
};
use egret::observe::{Ends, FlowId};
use std::net::IpAddr;

const SECS: f64 = 3_600.0;
const HOSTS: u64 = 20;

/// What goes wrong.
#[derive(Clone, Copy, Default)]
struct World {
    name: &'static str,
    /// Clocks are up to so many seconds off, and drift by so many milliseconds an hour, and step once.
    skew: f64,
    drift_ms: f64,
    step: f64,
    /// Stamps in whole seconds.
    coarse: bool,
    /// Share of events that never come.
    loss: f64,
    /// Events come up to so many seconds late, in any order; some twice.
    delay: f64,
    twice: bool,
    /// The log has no ports.
    portless: bool,
    /// Addresses are translated, ports kept.
    nat: bool,
    /// Half-way, hosts swap addresses (said by DHCP).
    swap: bool,
    /// Hosts report the addresses of others, from home, and upload there.
    roaming: bool,
}

fn address(world: &World, host: u64, secs: f64) -> IpAddr {
    let host = if world.swap && secs > SECS / 2.0 { host ^ 1 } else { host };
    IpAddr::from([10, 0, 0, host as u8 + 1])
}

fn common(world: &World, host: u64, secs: f64) -> Common {
    let skew = if host.is_multiple_of(2) { world.skew } else { -world.skew / 3.0 };
    let step = if secs > SECS * 0.6 { world.step } else { 0.0 };
    let own = secs + skew + world.drift_ms / 1_000.0 * secs / 3_600.0 + step;
    let own = if world.coarse { own.floor() } else { own };
    Common {
        source: if world.portless { SourceKind::Auditd } else { SourceKind::Sysmon },
        host: HostRef { id: format!("pc{host}").into(), ..HostRef::default() },
        at: at(own),
        clock: ClockClass::Network,
        received: None,
        grain_ns: if world.coarse { 1_000_000_000 } else { 1_000_000 },
        record: None,
    }
}

fn connect(world: &World, host: u64, secs: f64, made: &Made) -> EndpointEvent {
    let local = if world.nat { IpAddr::from([172, 17, 0, 2]) } else { made.ends.originator };
    // A pid is used again by the next program; entities are not.
    let entity = made.program.bytes().fold(host, |h, b| h.wrapping_mul(1_099_511_628_211) ^ u64::from(b));
    let proc = Proc {
        entity: (!world.portless).then_some(entity),
        pid: Some(1_000 + (entity % 7) as u32),
        name: made.program.as_str().into(),
        ..Proc::default()
    };
    EndpointEvent::Connect(ConnectEvent {
        transport: Some(Transport::Tcp),
        local: (!world.portless).then_some(local),
        local_port: (!world.portless).then_some(made.ends.originator_port),
        direction: Dir::Out,
        state: ConnectState::Attempt,
        ..ConnectEvent::to(common(world, host, secs), proc, made.ends.responder, 443)
    })
}

/// An hour of a network: what happens, by the time at which the sensor hears of it.
fn hour(world: &World) -> (Vec<(f64, EndpointEvent)>, Vec<Made>) {
    let (mut dice, mut events, mut flows) = (Dice(7), Vec::new(), Vec::new());
    for host in 0..HOSTS {
        for half in [0.0, SECS / 2.0] {
            let ip = address(world, host, half + 1.0);
            let common = Common {
                source: SourceKind::Ecs,
                clock: ClockClass::Host,
                ..common(&World::default(), host, half)
            };
            let (mac, name) = (None, None);
            let kind = AddressKind::Bound;
            events.push((
                half,
                EndpointEvent::Address(AddressEvent { common, ip, mac, name, kind, lease_secs: None }),
            ));
        }
    }
    for n in 0..2_000u64 {
        let (host, secs) = (dice.below(HOSTS), dice.share() * SECS);
        let program =
            ["curl", "rclone", "git", "python3", "firefox", "outlook"][dice.below(6) as usize].to_owned();
        // Few destinations, and few ports that come again.
        let far = IpAddr::from([203, 0, 113, dice.below(12) as u8]);
        let ends = Ends {
            originator: address(world, host, secs),
            responder: far,
            originator_port: 49_152 + (dice.below(4_000) as u16),
            responder_port: 443,
            transport: Transport::Tcp,
        };
        let made = Made { flow: FlowId(n), ends, secs, program };
        if dice.share() >= world.loss {
            let event = connect(world, host, secs + 0.002, &made);
            let heard = secs + 0.01 + dice.share() * world.delay;
            if world.twice && dice.below(4) == 0 {
                events.push((heard + dice.share() * 60.0, event.clone()));
            }
            events.push((heard, event));
        }
        if world.roaming && dice.below(5) == 0 {
            let other = Made {
                program: "dropbox".into(),
                flow: FlowId(0),
                ends: Ends { originator_port: 60_000, ..ends },
                secs,
            };
            events.push((secs, connect(world, host ^ 1, secs + 0.001, &other)));
        }
        flows.push(made);
    }
    (events, flows)
}

/// Only one flow in so many is asked about; the others are there.
const ASKED: u64 = 4;

#[test]
fn bad_networks() {
    let w = World::default();
    let worlds = [
        World { name: "all well", ..w },
        World { name: "clocks days off, drift, a step", skew: 400_000.0, drift_ms: 900.0, step: 90.0, ..w },
        World { name: "half the events lost", loss: 0.5, ..w },
        World { name: "up to 60 min late, disordered, twice", delay: 3_600.0, twice: true, ..w },
        World { name: "translated addresses", nat: true, ..w },
        World { name: "addresses swapped", swap: true, ..w },
        World { name: "roaming collision", roaming: true, ..w },
        World { name: "no ports, 1 s stamps", portless: true, coarse: true, ..w },
        World { name: "no ports, 1 s, a fifth lost", portless: true, coarse: true, loss: 0.2, ..w },
        World { name: "no ports, swapped", portless: true, coarse: true, swap: true, ..w },
    ];
    println!("| network | level | flows | right | Brier |\n| --- | --- | --- | --- | --- |");
    for world in &worlds {
        let (events, flows) = hour(world);
        let played = play(&events, &flows, ASKED);
        let mut name = world.name;
        for (level, row) in played.rows.iter().rev() {
            let share = 100.0 * f64::from(row.right) / f64::from(row.said);
            let brier = row.brier / f64::from(row.said);
            println!("| {name} | {} | {} | {share:.1} % | {brier:.3} |", level.as_str(), row.said);
            name = "";
            assert_eq!(row.wrong_calm, 0, "{}: {} calmed wrongly", world.name, level.as_str());
            if level.is_exact() && *level == Level::L1 {
                assert_eq!(row.right, row.said, "{}", world.name);
            }
        }
        println!(
            "| | none | {} | | time to L2 or better p50 {:.1} s, p95 {:.1} s |",
            played.nothing,
            played.time(0.5),
            played.time(0.95)
        );
    }
}
