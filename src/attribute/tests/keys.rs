//! Each key alone, in a network where all is well.

use super::*;

const WEB: (&str, u16) = ("203.0.113.7", 443);
const PC: &str = "10.0.0.5";

#[test]
fn ports_before_and_after_the_flow() {
    let (mut net, log) = (Net::new(), Log::of("pc5"));
    net.hear(&log.connect(1.0, "curl", (PC, 50_001), WEB), 1.0);
    let early = net.flow(1.1, (PC, 50_001), WEB);
    assert_eq!(short(&net.said(early, 2.0)), (Level::L1c, "curl"));
    let late = net.flow(5.0, (PC, 50_002), WEB);
    let said = net.said(late, 5.0);
    assert_eq!((short(&said), said.status), ((Level::L2d, "curl"), Status::Partial));
    net.joiner.wait_for(late);
    net.hear(&log.connect(5.0, "git", (PC, 50_002), WEB), 9.0);
    assert_eq!(net.joiner.take_updates(), [late]);
    let said = net.said(late, 9.0);
    assert_eq!((short(&said), said.candidates, said.may_calm()), ((Level::L1c, "git"), 1, true));
    let third = net.flow(6.0, (PC, 50_003), WEB);
    net.hear(&log.connect(6.0, "git", (PC, 50_003), WEB), 9.0);
    assert_eq!(short(&net.said(third, 9.0)), (Level::L1, "git"));
    // Once the clock is sure, so is what went before.
    assert!(net.said(early, 9.0).confidence > 0.98);
}

#[test]
fn the_other_way_round() {
    let (mut net, log) = (Net::new(), Log::of("srv"));
    let EndpointEvent::Connect(mut e) = log.connect(1.0, "sshd", (PC, 22), ("10.0.0.9", 40_000)) else {
        panic!("a connection")
    };
    e.direction = Dir::In;
    let flow = net.flow(1.0, ("10.0.0.9", 40_000), (PC, 22));
    net.hear(&EndpointEvent::Connect(e), 1.5);
    assert_eq!(short(&net.said(flow, 2.0)), (Level::L1c, "sshd"));
}

#[test]
fn the_side_that_is_asked_for() {
    let mut net = Net::new();
    let flow = net.flow(1.0, ("10.0.0.9", 40_000), (PC, 22));
    net.hear(&Log::of("pc9").connect(1.0, "ssh", ("10.0.0.9", 40_000), (PC, 22)), 1.0);
    let EndpointEvent::Connect(mut e) = Log::of("srv").connect(1.0, "sshd", (PC, 22), ("10.0.0.9", 40_000))
    else {
        panic!("a connection")
    };
    e.direction = Dir::In;
    net.hear(&EndpointEvent::Connect(e), 1.0);
    assert_eq!(short(&net.said(flow, 2.0)).1, "ssh");
}

#[test]
fn without_ports_the_host_must_be_proven() {
    let (mut net, mut log) = (Net::new(), Log::of("pc5"));
    log.grain_ns = 1_000_000_000;
    net.hear(&log.connect(1.0, "curl", ("", 0), WEB), 1.0);
    let flow = net.flow(1.2, (PC, 50_001), WEB);
    let said = net.said(flow, 2.0);
    assert_eq!((said.level, said.reason.as_ref()), (Level::L0, "no endpoint telemetry for this device"));
    net.hear(&log.address(0.0, PC, AddressKind::Bound), 2.0);
    // By whole seconds another flow, which is still to come, may be nearer to the event.
    let said = net.said(flow, 2.0);
    assert_eq!((short(&said), said.may_calm()), ((Level::L2a, "curl"), false));
    let said = net.said(flow, 8.0);
    assert_eq!((short(&said), said.confidence, said.may_calm()), ((Level::L2, "curl"), 0.95, true));
    // A second program: the nearest is likelier, and nothing is calmed by it.
    net.hear(&log.connect(2.9, "git", ("", 0), WEB), 9.0);
    let said = net.said(flow, 9.0);
    assert_eq!((short(&said), said.candidates, said.may_calm()), ((Level::L2a, "curl"), 2, false));
    assert!(said.confidence < 0.9 && said.reason.contains("git"), "{said:?}");
}

#[test]
fn an_event_belongs_to_one_flow() {
    let (mut net, log) = (Net::new(), Log::of("pc5"));
    net.hear(&log.address(0.0, PC, AddressKind::Bound), 0.0);
    // Two flows and the event of the second: the first one's was never written.
    let lost = net.flow(10.0, (PC, 50_001), WEB);
    let other = net.flow(11.0, (PC, 50_002), WEB);
    net.hear(&log.connect(11.0, "curl", ("", 0), WEB), 11.1);
    for (flow, least, most) in [(lost, 0.0, 0.7), (other, 0.7, 0.9)] {
        let said = net.said(flow, 30.0);
        assert_eq!((said.level, said.may_calm()), (Level::L2a, false));
        assert!((least..most).contains(&said.confidence), "{said:?}");
    }
}

#[test]
fn a_clock_days_off_and_one_destination_without_ports() {
    let (mut net, mut log) = (Net::new(), Log::of("pc5"));
    log.ahead = -483_275.0;
    // An uneven course, as people and programs have it.
    let times = [5.0, 6.1, 9.7, 21.3, 22.0, 40.9, 47.2, 61.0];
    for (n, secs) in times.into_iter().enumerate() {
        let program = if n % 3 == 0 { "curl" } else { "git" };
        net.hear(&log.connect(secs, program, (PC, 0), WEB), 0.0);
    }
    let flows: Vec<FlowId> =
        times.iter().enumerate().map(|(n, t)| net.flow(*t, (PC, 50_000 + n as u16), WEB)).collect();
    for (n, flow) in flows.into_iter().enumerate() {
        let said = net.said(flow, 70.0);
        assert_eq!(short(&said).1, if n % 3 == 0 { "curl" } else { "git" }, "{n}: {said:?}");
        assert!(said.level == Level::L2 || said.confidence < 0.9, "{n}: {said:?}");
    }
}

#[test]
fn an_address_that_a_log_only_claims_never_calms() {
    let (mut net, log) = (Net::new(), Log::of("pc5"));
    net.hear(&log.connect(1.0, "curl", (PC, 0), WEB), 1.0);
    let flow = net.flow(1.0, (PC, 50_001), WEB);
    let said = net.said(flow, 2.0);
    assert_eq!((short(&said), said.may_calm()), ((Level::L2a, "curl"), false));
}

#[test]
fn agents_that_leave_repeats_out() {
    let (mut net, log) = (Net::new(), Log::of("pc5"));
    net.hear(&log.connect(1.0, "dropbox", (PC, 50_001), WEB), 1.0);
    net.flow(1.0, (PC, 50_001), WEB);
    let flow = net.flow(7_000.0, (PC, 50_009), WEB);
    let said = net.said(flow, 7_001.0);
    assert_eq!((short(&said), said.confidence), ((Level::L2d, "dropbox"), 0.85));
    net.hear(&log.connect(7_100.0, "curl", (PC, 50_010), WEB), 7_100.0);
    assert!(net.said(flow, 7_101.0).confidence < 0.6);
}

#[test]
fn names_and_programs() {
    let (mut net, log) = (Net::new(), Log::of("pc5"));
    net.hear(&log.address(0.0, PC, AddressKind::Bound), 0.0);
    net.hear(&log.asks(9.0, "firefox", "files.example"), 9.0);
    let named = net.flow_by(Transport::Tcp, 10.0, (PC, 50_001), WEB, Some("files.example"));
    assert_eq!(short(&net.said(named, 11.0)), (Level::L2s, "firefox"));
    net.hear(&log.start(19.0, "rclone"), 19.0);
    let other = net.flow(20.0, (PC, 50_002), ("203.0.113.9", 443));
    let said = net.said(other, 21.0);
    assert_eq!((short(&said), said.confidence, said.status), ((Level::L3, "rclone"), 0.75, Status::Partial));
}

#[test]
fn brokers_and_proxies_speak_for_others() {
    let (mut net, log) = (Net::new(), Log::of("pc5"));
    net.hear(&log.connect(1.0, "svchost", (PC, 50_001), WEB), 1.0);
    net.hear(&log.asks(0.5, "winword", "files.example"), 1.0);
    let flow = net.flow_by(Transport::Tcp, 1.0, (PC, 50_001), WEB, Some("files.example"));
    let said = net.said(flow, 2.0);
    assert_eq!((short(&said), said.may_calm()), ((Level::L1c, "svchost"), false));
    assert!(said.reason.contains("winword"), "{said:?}");
    net.hear(&log.connect(10.0, "curl", ("127.0.0.1", 40_000), ("127.0.0.1", 9_000)), 10.0);
    net.hear(&log.connect(10.1, "zsatunnel", (PC, 50_002), WEB), 10.1);
    let flow = net.flow(10.1, (PC, 50_002), WEB);
    let said = net.said(flow, 11.0);
    assert_eq!((short(&said), said.may_calm()), ((Level::L2, "curl"), false));
}

#[test]
fn a_translated_address() {
    let (mut net, log) = (Net::new(), Log::of("pod"));
    let flow = net.flow(1.0, (PC, 50_001), WEB);
    net.hear(&log.connect(1.0, "python3", ("172.17.0.2", 50_001), WEB), 1.0);
    assert_eq!(short(&net.said(flow, 2.0)), (Level::L1n, "python3"));
    // Far off in time, ports alone say nothing.
    let flow = net.flow(100.0, (PC, 50_002), WEB);
    net.hear(&log.connect(200.0, "python3", ("172.17.0.2", 50_002), WEB), 200.0);
    assert_eq!(net.said(flow, 201.0).level, Level::L0);
}

#[test]
fn snapshots_are_ranges() {
    let mut net = Net::new();
    let EndpointEvent::Connect(mut e) = Log::of("esx").connect(0.0, "hostd-worker", (PC, 50_001), WEB) else {
        panic!("a connection")
    };
    (e.state, e.until) = (ConnectState::Snapshot, Some(at(30.0)));
    net.hear(&EndpointEvent::Connect(e), 30.0);
    let within = net.flow(20.0, (PC, 50_001), WEB);
    assert_eq!(short(&net.said(within, 31.0)).1, "hostd-worker");
    let after = net.flow(300.0, (PC, 50_001), WEB);
    assert_ne!(net.said(after, 301.0).level, Level::L1);
}

#[test]
fn why_there_is_nothing() {
    let (mut net, log) = (Net::new(), Log::of("pc5"));
    net.hear(&log.address(0.0, PC, AddressKind::Bound), 0.0);
    let flow = net.flow(1.0, (PC, 50_001), WEB);
    for (secs, status, word) in [
        (2.0, Status::Pending, "yet"),
        (1_000.0, Status::None, "does not have"),
        (9_000.0, Status::None, "silent"),
    ] {
        let seat = net.said(flow, secs);
        assert!(seat.status == status && seat.reason.contains(word), "{secs}: {seat:?}");
        if secs < 2_000.0 {
            net.hear(&log.start(secs, "notepad"), secs);
        }
    }
}
