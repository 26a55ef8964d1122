//! Clocks that are wrong, addresses that move, ports and pids that come again, memory that is full.

use super::*;

const WEB: (&str, u16) = ("203.0.113.7", 443);
const PC: &str = "10.0.0.5";

#[test]
fn clocks_days_off_change_nothing_for_tcp() {
    for ahead in [0.0, 176.5, -483_275.1, -25_200.0, 2_500_000.0] {
        let (mut net, mut log) = (Net::new(), Log::of("pc5"));
        log.ahead = ahead;
        let flows: Vec<_> = (0..6)
            .map(|i| {
                let (secs, port) = (f64::from(i) * 10.0, 50_000 + i as u16);
                net.hear(&log.connect(secs, &format!("p{i}"), (PC, port), WEB), secs);
                (net.flow(secs, (PC, port), WEB), format!("p{i}"))
            })
            .collect();
        for (flow, program) in &flows {
            let said = net.said(*flow, 70.0);
            assert_eq!((short(&said), said.delta_ms), ((Level::L1, &**program), Some(0)), "{ahead}");
        }
        let hint = net.joiner.remarks();
        assert_eq!(hint.len(), usize::from(ahead as i64 == -25_200), "{hint:?}");
    }
}

#[test]
fn udp_waits_for_the_clock() {
    let (mut net, mut log) = (Net::new(), Log::of("pc5"));
    log.ahead = 7_200.0;
    let udp = |secs: f64, port| match log.connect(secs, "firefox", (PC, port), WEB) {
        EndpointEvent::Connect(e) => {
            EndpointEvent::Connect(ConnectEvent { transport: Some(Transport::Udp), ..e })
        }
        other => other,
    };
    net.hear(&udp(1.0, 50_001), 1.0);
    let flow = net.flow_by(Transport::Udp, 1.0, (PC, 50_001), WEB, None);
    assert!(!net.said(flow, 2.0).level.is_exact());
    for i in 0..3 {
        let port = 51_000 + i;
        net.hear(&log.connect(3.0, "curl", (PC, port), WEB), 3.0);
        net.flow(3.0, (PC, port), WEB);
    }
    assert_eq!(short(&net.said(flow, 4.0)), (Level::L1, "firefox"));
}

#[test]
fn a_port_that_comes_again_is_told_by_time() {
    let (mut net, mut log) = (Net::new(), Log::of("pc5"));
    log.ahead = 100.0;
    for i in 0..3u16 {
        net.hear(&log.connect(0.5, "x", (PC, 40_000 + i), WEB), 0.5);
        net.flow(0.5, (PC, 40_000 + i), WEB);
    }
    net.hear(&log.connect(1.0, "curl", (PC, 50_001), WEB), 1.0);
    net.hear(&log.connect(61.0, "git", (PC, 50_001), WEB), 61.0);
    let (one, two) = (net.flow(1.0, (PC, 50_001), WEB), net.flow(61.0, (PC, 50_001), WEB));
    assert_eq!(short(&net.said(one, 70.0)), (Level::L1, "curl"));
    assert_eq!(short(&net.said(two, 70.0)), (Level::L1, "git"));
}

#[test]
fn a_laptop_at_home_with_an_office_address() {
    let mut net = Net::new();
    let (office, mut home) = (Log::of("desk"), Log::of("laptop"));
    home.class = ClockClass::Host;
    for i in 0..3u16 {
        net.hear(&office.connect(0.5, "outlook", ("192.168.1.5", 40_000 + i), WEB), 0.5);
        net.flow(0.5, ("192.168.1.5", 40_000 + i), WEB);
    }
    // The laptop uploads from its own 192.168.1.5, at home, to the same place.
    net.hear(&home.connect(9.0, "rclone", ("192.168.1.5", 0), WEB), 9.0);
    let flow = net.flow(9.0, ("192.168.1.5", 50_000), WEB);
    let said = net.said(flow, 10.0);
    assert_eq!((short(&said), said.may_calm()), ((Level::L2d, "outlook"), false));
}

#[test]
fn an_address_that_is_given_to_another_host() {
    let mut net = Net::new();
    let (a, b) = (Log::of("a"), Log::of("b"));
    net.hear(&a.address(0.0, PC, AddressKind::Bound), 0.0);
    net.hear(&a.connect(10.0, "curl", ("", 0), WEB), 10.0);
    net.hear(&a.address(60.0, PC, AddressKind::Released), 60.0);
    net.hear(&b.address(70.0, PC, AddressKind::Bound), 70.0);
    net.hear(&b.connect(80.0, "git", ("", 0), WEB), 80.0);
    net.hear(&a.connect(80.0, "rclone", ("", 0), WEB), 80.0);
    let (one, two) = (net.flow(10.0, (PC, 50_001), WEB), net.flow(80.0, (PC, 50_002), WEB));
    assert_eq!(short(&net.said(one, 90.0)), (Level::L2, "curl"));
    assert_eq!(short(&net.said(two, 90.0)), (Level::L2, "git"));
}

#[test]
fn without_ports_destinations_teach_the_clock_and_the_address() {
    let (mut net, mut log) = (Net::new(), Log::of("pc5"));
    log.ahead = 176.5;
    let mut flows = Vec::new();
    for i in 0..8u8 {
        let (secs, far) = (f64::from(i) * 7.3, format!("203.0.113.{i}"));
        net.hear(&log.connect(secs, &format!("p{i}"), ("", 0), (&far, 443)), secs);
        flows.push(net.flow(secs, (PC, 50_000 + u16::from(i)), (&far, 443)));
    }
    for (i, flow) in flows.iter().enumerate() {
        let said = net.said(*flow, 70.0);
        assert_eq!(short(&said), (Level::L2, &*format!("p{i}")), "{said:?}");
    }
}

#[test]
fn duplicates_are_one() {
    let (mut net, log) = (Net::new(), Log::of("pc5"));
    net.hear(&log.address(0.0, PC, AddressKind::Bound), 0.0);
    for _ in 0..5 {
        net.hear(&log.connect(1.0, "curl", (PC, 50_001), WEB), 1.0);
        net.hear(&log.connect(1.0, "curl", ("", 0), WEB), 1.0);
    }
    let flow = net.flow(1.0, (PC, 50_001), WEB);
    let said = net.said(flow, 2.0);
    assert_eq!((said.candidates, said.may_calm()), (1, true));
}

#[test]
fn everything_is_bounded() {
    let config = JoinConfig { sockets: 1_000, flows: 500, ..JoinConfig::default() };
    let mut net = Net { joiner: Joiner::new(config), next: 0 };
    let log = Log::of("pc5");
    for i in 0..5_000u32 {
        let [_, _, b, c] = i.to_be_bytes();
        let far = format!("203.0.{b}.{c}");
        let secs = f64::from(i) * 0.01;
        net.hear(&log.connect(secs, "curl", (PC, (1_000 + i) as u16), (&far, 443)), secs);
        net.hear(&log.connect(secs, "curl", (PC, (1_000 + i) as u16), (&far, 88)), secs);
        let flow = net.flow(secs, (PC, (9_000 + i) as u16), (&far, 443));
        net.joiner.wait_for(flow);
    }
    let counters = net.joiner.counters();
    assert!(counters.sockets <= 1_000 && counters.evicted > 7_000, "{counters:?}");
}

#[test]
fn events_are_forgotten_when_their_time_is_over() {
    let (mut net, log) = (Net::new(), Log::of("pc5"));
    for i in 0..3u16 {
        net.hear(&log.connect(0.5, "x", (PC, 40_000 + i), WEB), 0.5);
        net.flow(0.5, (PC, 40_000 + i), WEB);
    }
    assert_eq!(net.joiner.counters().sockets, 3);
    net.hear(&log.start(2_000.0, "notepad"), 2_000.0);
    assert_eq!(net.joiner.counters().sockets, 0);
}
