//! Records for the tests of this folder: every field set, the values easy to tell apart.

use super::*;
use crate::attribute::{Level, ParentProcess, Process, Status};
use crate::decode::{Path, Transport};
use crate::endpoint::SourceKind;
use crate::observe::{Counts, EndReason, FlowState, TcpSeen};
use crate::parse::certificate::Leaf;
use crate::parse::fingerprint::{ClientPrint, ServerPrint};
use crate::parse::{AppProto, Certificate, HttpFacts, TlsFacts};

/// 2026-01-31 23:59:59.123456 UTC.
pub(crate) fn at() -> Timestamp {
    Timestamp::from_nanos(1_769_903_999_123_456_789)
}

pub(crate) fn ends() -> Ends {
    Ends {
        originator: [10, 1, 2, 3].into(),
        responder: [162, 125, 1, 1].into(),
        originator_port: 50_123,
        responder_port: 443,
        transport: Transport::Tcp,
    }
}

pub(crate) fn path() -> Path {
    Path { vlan: [10, 20, 0], vlans: 2, tunnels: 1, mac: Some(([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])) }
}

fn counts(base: u64) -> Counts {
    Counts {
        packets: base + 1,
        wire: base + 2,
        ip: base + 3,
        payload: base + 4,
        retransmitted: base + 5,
        gap: base + 6,
        app: base + 7,
    }
}

pub(crate) fn identity() -> Identity {
    let class = Class {
        service: "dropbox".into(),
        service_name: "Dropbox".into(),
        category: "cloud_storage",
        technique: Some("T1567.002"),
        technique_name: Some("Exfiltration to Cloud Storage"),
        role: "upload",
        tenant: Some("acme".into()),
        sanction: "unsanctioned",
    };
    let host = Host { ip: [10, 1, 2, 3].into(), mac: Some([2, 0, 0, 0, 0, 1]), name: Some("pc7".into()) };
    Identity {
        name: Some("content.dropboxapi.com".into()),
        source: Some(NameSource::Sni),
        confidence: 0.95,
        ech: Ech::None,
        class: Some(Arc::new(class)),
        originator_home: true,
        host: Some(Arc::new(host)),
        signs: vec![Sign::new(SignKind::SniAddressMismatch, "the address is another's")],
        dest: Some(Arc::new(Dest {
            asn: Some(19_679),
            org: Some("Dropbox".into()),
            country: Some("US".into()),
            city: Some("San Francisco".into()),
        })),
        attribution: Some(Arc::new(attribution())),
    }
}

fn attribution() -> Attribution {
    let parent = ParentProcess {
        key: Some(2),
        name: "explorer".into(),
        path: Some(r"C:\Windows\explorer.exe".into()),
        pid: Some(4_000),
    };
    let process = Process {
        key: 1,
        name: "rclone".into(),
        path: Some(r"C:\Tools\rclone.exe".into()),
        pid: Some(4_711),
        start: Some(at()),
        command_line: Some("rclone copy C:\\Data remote:".into()),
        user: Some(r"CORP\ann".into()),
        original_name: Some("rclone.exe".into()),
        sha256: Some([0xab; 32]),
        signer: Some("Example Signer".into()),
        container: None,
        parent: Some(Arc::new(parent)),
    };
    Attribution {
        level: Level::L1,
        confidence: 0.99,
        status: Status::Matched,
        candidates: 1,
        source: Some(SourceKind::Sysmon),
        delta_ms: Some(-7),
        reason: "ports, addresses and time agree".into(),
        process: Some(Arc::new(process)),
        speaks_for_others: false,
        host_name: Some("pc7".into()),
        user: Some(r"CORP\ann".into()),
    }
}

pub(crate) fn tls_facts() -> Facts {
    let certificate = Certificate {
        subject: "CN=*.dropboxapi.com".into(),
        issuer: "CN=Test CA".into(),
        names: vec!["*.dropboxapi.com".into(), "dropboxapi.com".into()],
        serial: "0A:0B".into(),
        fingerprint: "aa:bb".into(),
        not_before: 1_700_000_000,
        not_after: 1_800_000_000,
    };
    let tls = TlsFacts {
        sni: Some("content.DropboxApi.com".into()),
        version: 0x0304,
        negotiated: true,
        cipher: Some(0x1301),
        client_alpns: vec!["h2".into(), "http/1.1".into()],
        server_alpn: Some("h2".into()),
        client_print: Some(Box::new(ClientPrint::known(
            "cd08e31494f9531f560d64c695473da9",
            "t13d1516h2_8daaf6152771_b186095e22b6",
        ))),
        server_print: Some(Box::new(ServerPrint::known("907bf3ecef1c987c889946b737b43de8"))),
        ech: Ech::None,
        resumed: true,
        certificate: Some(Arc::new(Leaf::known(certificate))),
        cut: false,
        ..TlsFacts::default()
    };
    let name = Some(("content.dropboxapi.com".into(), NameSource::Sni));
    Facts { app: AppProto::Tls, name, tls: Some(Box::new(tls)), ..Facts::default() }
}

pub(crate) fn http_facts() -> Facts {
    let http = HttpFacts {
        method: "POST".into(),
        host: "files.example:8080".into(),
        url: "/up?x=1".into(),
        user_agent: Some("curl/8.0".into()),
        status: Some(201),
        request_bytes: Some(12_345),
        client: Some([192, 0, 2, 7].into()),
        ..HttpFacts::default()
    };
    Facts { app: AppProto::Http, http: Some(Box::new(http)), ..Facts::default() }
}

pub(crate) fn summary() -> FlowSummary {
    let seen = TcpSeen { fin: true, ack: true, data: true, ..TcpSeen::default() };
    FlowSummary {
        flow: FlowId(4_503_599_627_370_497),
        ordinal: 1,
        ends: ends(),
        first: Timestamp::from_nanos(at().nanos() - 61_500_000_000),
        last: at(),
        counts: Both { up: counts(1_000), down: counts(2_000) },
        app_followed: Some(true),
        seen: Both { up: TcpSeen { syn: true, ..seen }, down: TcpSeen { syn_ack: true, ..seen } },
        history: *b"ShADadFf\0\0\0\0\0\0\0\0",
        midstream: false,
        one_way: false,
        state: FlowState::Closed,
        end: Some(EndReason::Timeout),
        path: path(),
        facts: Some(Arc::new(tls_facts())),
        since: None,
    }
}

pub(crate) fn flow() -> Record {
    Record::Flow(Box::new(FlowRecord { summary: Box::new(summary()), identity: identity(), alerted: true }))
}

pub(crate) fn flow_update() -> Record {
    let mut summary = summary();
    summary.since = Some(Both { up: counts(10), down: counts(20) });
    summary.end = None;
    summary.state = FlowState::Established;
    Record::Flow(Box::new(FlowRecord { summary: Box::new(summary), identity: identity(), alerted: false }))
}

pub(crate) fn facts(facts: Facts) -> Record {
    Record::Facts(Box::new(FactsRecord {
        flow: FlowId(7),
        ends: ends(),
        at: at(),
        facts: Arc::new(facts),
        identity: identity(),
        path: path(),
    }))
}

pub(crate) fn quic_facts() -> Facts {
    Facts { app: AppProto::Quic, quic_version: Some(1), ..tls_facts() }
}

pub(crate) fn dns() -> Record {
    Record::Dns(Box::new(DnsAnswer {
        flow: FlowId(8),
        ends: Ends {
            transport: Transport::Udp,
            responder_port: 53,
            responder: [10, 0, 0, 53].into(),
            ..ends()
        },
        at: at(),
        id: 4_660,
        response: true,
        query: "www.dropbox.com".into(),
        qtype: 1,
        rcode: 0,
        addresses: vec![([162, 125, 1, 18].into(), 60), ([0x2620, 0x100, 0, 0, 0, 0, 0, 0x12].into(), 30)],
        cnames: vec!["www-env.dropbox-dns.com".into()],
        ech: true,
    }))
}

pub(crate) fn incident() -> IncidentRecord {
    IncidentRecord {
        id: "sensor-01KF8Z0000".into(),
        seq: 1,
        phase: Phase::Open,
        alert: true,
        at: at(),
        analytic: "upload_volume",
        attack_analytic: Some("AN1511"),
        signature_id: 15_670_001,
        signature: "Upload to Dropbox (cloud storage) above 3 MB".into(),
        lane: "bulk",
        score: 1.25,
        severity: Severity::High,
        flow: FlowId(7),
        ends: ends(),
        path: path(),
        identity: identity(),
        up_bytes: 312_000_000,
        up_bytes_24h: 400_000_000,
        down_bytes: 1_200_000,
        bytes_basis: "payload",
        window: Span::from_secs(86_400),
        threshold: 3_000_000,
        seen: (Timestamp::from_nanos(at().nanos() - 4_000_000_000), at()),
        flows: vec![IncidentFlow {
            flow: FlowId(7),
            ends: ends(),
            name: Some("content.dropboxapi.com".into()),
            up_bytes: 312_000_000,
            attribution: Some(Arc::new(attribution())),
            uploads: Tally::default(),
        }],
        flows_total: 3,
        uploads: Tally::default(),
        destinations: vec![("content.dropboxapi.com".into(), 312_000_000)],
        evidence: vec![Evidence {
            name: "volume",
            value: 104.0,
            weight: 0.012,
            contribution: 1.25,
            text: "312 MB out is 104 times the level of 3.0 MB".into(),
        }],
        gap_bytes: 9,
        midstream: false,
        one_way: false,
        text: "10.1.2.3 (pc7) sent 312 MB to Dropbox within 4 s".into(),
        answers: answers(),
        escalate: Escalation { tier: 2, reasons: vec!["the device is not authorised".into()] },
        containment: vec!["Isolate 10.1.2.3 (touches everything that this host does).".into()],
    }
}

fn answers() -> Answers {
    let answer = || Answer {
        state: AnswerState::No,
        text: "listed, and not managed".into(),
        value: Some(3.5),
        unit: Some("-log10 p"),
        evidence: vec!["pc7 in the list of assets".into()],
    };
    Answers {
        business_need: answer(),
        device_authorised: answer(),
        volume_atypical: answer(),
        outside_hours: answer(),
        new_service: answer(),
        uploads: answer(),
        recent_change: answer(),
    }
}

pub(crate) fn stats() -> Stats {
    let mut stats = Stats { uptime_secs: 62, lines: 12, ..Stats::default() };
    stats.feeds.push(crate::endpoint::feed::FeedCounters {
        name: "udp://127.0.0.1:5514".into(),
        silent: true,
        ..Default::default()
    });
    stats.detect.blind_now[1] = true;
    stats.front.frames = 100;
    stats.front.bytes = 98_000;
    stats.front.decoded = 90;
    stats.front.skipped[crate::decode::Skip::Arp as usize] = 8;
    stats.front.fragments_held = 2;
    stats.workers =
        vec![crate::counters::WorkerCounters { opened: 5, closed: 5, table: 64, ..Default::default() }];
    stats.fronts = vec![stats.front.clone()];
    stats.detect.names.insert("sni", 4);
    stats
}

/// One record of every kind, as fully set as it can be.
pub(crate) fn alert() -> Record {
    Record::Incident(Box::new(incident()))
}

pub(crate) fn tls() -> Record {
    facts(tls_facts())
}

pub(crate) fn flow_sum() -> Record {
    let FlowSummary { counts, first, last, .. } = summary();
    let host = Some(ends().originator);
    Record::FlowSum(Box::new(FlowSum { host, flows: 4_711, counts, span: (first, last) }))
}

pub(crate) fn all() -> Vec<Record> {
    let quiet = IncidentRecord { alert: false, phase: Phase::Final, seq: 2, ..incident() };
    vec![
        flow(),
        flow_update(),
        tls(),
        facts(quic_facts()),
        facts(http_facts()),
        dns(),
        alert(),
        Record::Incident(Box::new(quiet)),
        flow_sum(),
        Record::Stats(Box::new(stats()), at()),
    ]
}
