//! Every field of the EVE records: path, type, meaning. `docs/fields.md` is written from here, and a test holds the
//! list against records that have everything set.
//!
//! A path ends in `[]` for an item of an array. `{a,b}` stands for either; `SOURCE` and `REASON` for the words of
//! [`NameSource`](crate::parse::NameSource), [`Skip`](crate::decode::Skip) and [`GiveUp`](crate::parse::GiveUp).

use std::fmt::Write as _;

/// One field, or several that differ by a part of their path.
pub struct Field {
    /// Path with its alternatives.
    pub path: &'static str,
    /// JSON type, the same for ever: `string`, `integer`, `number` (always with a fraction) or `boolean`.
    pub kind: &'static str,
    /// What it says, with its unit.
    pub meaning: &'static str,
}

const fn f(path: &'static str, kind: &'static str, meaning: &'static str) -> Field {
    Field { path, kind, meaning }
}

/// Fields with Suricata's names and meanings.
#[rustfmt::skip] // A table.
pub static SURICATA: &[Field] = &[
    f("timestamp", "string", "packet time of the record, UTC, microseconds"),
    f("event_type", "string", "flow, tls, quic, http, dns, alert, stats; ours: flow_update, flow_sum, incident"),
    f("flow_id", "integer", "the flow, below 2^53, the same in every record about it and in every replay"),
    f("in_iface", "string", "capture interface; absent in replay"),
    f("vlan[]", "integer", "VLAN ids, outermost first, at most three"),
    f("src_ip", "string", "the originator of the connection, in every record"),
    f("src_port", "integer", "its port"),
    f("dest_ip", "string", "the responder"),
    f("dest_port", "integer", "its port"),
    f("proto", "string", "TCP or UDP"),
    f("ip_v", "integer", "4 or 6"),
    f("pkt_src", "string", "wire/pcap"),
    f("community_id", "string", "Community ID v1 with the configured seed"),
    f("app_proto", "string", "tls, quic, http, http2, dns, ssh, socks, dtls; failed: payload that no parser knows"),
    f("host", "string", "name of the sensor"),
    f("flow.pkts_{toserver,toclient}", "integer", "frames"),
    f("flow.bytes_{toserver,toclient}", "integer", "frame bytes as they were on the wire"),
    f("flow.{start,end}", "string", "first and last frame"),
    f("flow.age", "integer", "difference of the whole seconds of end and start"),
    f("flow.state", "string", "new, established, closed"),
    f("flow.reason", "string", "timeout, shutdown (end of input), forced (table full), tcp_reuse (same ports again)"),
    f("flow.alerted", "boolean", "an alert belongs to the flow"),
    f("tls.sni", "string", "server name as sent"),
    f("tls.version", "string", "negotiated version; UNDETERMINED while the server has not answered"),
    f("tls.{client,server}_alpns[]", "string", "application protocols: offered, chosen"),
    f("{tls,quic}.{ja3,ja3s}.hash", "string", "JA3 of the ClientHello, JA3S of the ServerHello"),
    f("{tls,quic}.ja4", "string", "JA4 of the ClientHello"),
    f("tls.session_resumed", "boolean", "the server took up an earlier session; absent when not"),
    f("tls.{subject,issuerdn,serial,fingerprint}", "string", "certificate in the clear (SHA-1 fingerprint)"),
    f("tls.subjectaltname[]", "string", "its DNS names"),
    f("tls.{notbefore,notafter}", "string", "its validity; absent outside the years 1000 to 2999"),
    f("quic.version", "string", "version as Suricata writes it: 1, v2, Q046, hex of others"),
    f("quic.sni", "string", "server name as sent"),
    f("http.hostname", "string", "host asked for"),
    f("http.http_port", "integer", "port asked for, where the request says one"),
    f("http.url", "string", "request target"),
    f("http.http_user_agent", "string", "user agent"),
    f("http.http_method", "string", "method"),
    f("http.status", "integer", "status of the answer"),
    f("http.xff", "string", "client behind a proxy"),
    f("dns.version", "integer", "3, the shape of Suricata 8"),
    f("dns.type", "string", "request or response"),
    f("dns.id", "integer", "transaction id"),
    f("dns.qr", "boolean", "true in a response; absent in a request"),
    f("dns.rcode", "string", "response code"),
    f("dns.queries[].{rrname,rrtype}", "string", "name and type asked for"),
    f("dns.answers[].{rrname,rrtype,rdata}", "string", "one record of the answer"),
    f("dns.answers[].ttl", "integer", "seconds; absent for canonical names"),
    f("dns.grouped.{A,AAAA,CNAME}[]", "string", "the answers by type"),
    f("alert.action", "string", "allowed"),
    f("alert.gid", "integer", "1567"),
    f("alert.signature_id", "integer", "fixed per analytic and lane"),
    f("alert.rev", "integer", "revision of the signature"),
    f("alert.signature", "string", "title; says [critical] when it is"),
    f("alert.category", "string", "Exfiltration Over Web Service"),
    f("alert.severity", "integer", "1 high or critical, 2 medium, 3 low"),
    f("alert.metadata.mitre_{tactic,technique}_{id,name}[]", "string", "ATT&CK"),
    f("alert.metadata.mitre_analytic_id[]", "string", "detection analytic of DET0548, where one fits"),
    f("alert.metadata.egret_{severity,analytic,lane}[]", "string", "as under egret.incident"),
    f("stats.uptime", "integer", "seconds of packet time since the first frame"),
];

/// Our own fields, all under `egret`.
#[rustfmt::skip] // A table.
pub static OURS: &[Field] = &[
    f("version", "string", "version of Egret (alert, incident, stats)"),
    f("signatures_version", "string", "version of the signatures (alert, incident, stats)"),
    f("phase", "string", "of the flow: open or closed"),
    f("{flow,delta}.pkts_{toserver,toclient}", "integer", "flow_update: frames since the start (flow; of all flows in a flow_sum), since the last report (delta)"),
    f("{flow,delta}.bytes_{toserver,toclient}", "integer", "the same for frame bytes on the wire"),
    f("{,flow.,delta.}ip_{toserver,toclient}", "integer", "bytes of the innermost IP packets"),
    f("{,flow.,delta.}payload_{toserver,toclient}", "integer", "transport payload bytes seen, each once"),
    f("{,flow.}app_{toserver,toclient}", "integer", "TLS application data, estimated in bytes; absent when unknown"),
    f("{,flow.}app_basis", "string", "how: tls (records followed all the way), mixed (in part)"),
    f("retransmitted_{toserver,toclient}", "integer", "payload bytes seen again"),
    f("{,flow.}gap_{toserver,toclient}", "integer", "payload bytes proven by sequence or acknowledgement, never seen"),
    f("flow.{start,end}", "string", "flow_update, flow_sum: first and newest frame"),
    f("flow.age", "integer", "flow_update: seconds"),
    f("flow.state", "string", "flow_update: new, established, closed"),
    f("midstream", "boolean", "the beginning was not seen"),
    f("one_way", "boolean", "one direction only was seen"),
    f("name", "string", "best name of the destination; on an alert the one whose bytes crossed the level"),
    f("name_confidence", "number", "0 to 1"),
    f("name_source", "string", "connect, sni, quic-sni, ech-outer-sni, http-host, dns, certificate, address"),
    f("ech", "string", "none, grease-or-real, real-likely, grease-likely"),
    f("service", "string", "identifier of the monitored service"),
    f("category", "string", "its category"),
    f("technique", "string", "ATT&CK technique of uploads to it"),
    f("role", "string", "upload, storage, mixed, api, web, cdn, auth"),
    f("tenant", "string", "customer of the service, where the name tells"),
    f("sanction", "string", "own, sanctioned, unsanctioned, unknown"),
    f("originator_home", "boolean", "the originator is in the home network"),
    f("host.{ip,mac,name}", "string", "the home side; for automation, since src_ip may be outside"),
    f("host.user", "string", "who works there: the account of the process, else the last person in its endpoint log"),
    f("process.{name,path}", "string", "the process that caused it, by an endpoint log: base name, lower case, without .exe; path as logged"),
    f("process.pid", "integer", "its process id"),
    f("process.{command_line,user}", "string", "its command line, with secrets taken out, and cut; its account"),
    f("process.{original_name,sha256,signer}", "string", "name that the image was built with, SHA-256 of the image, who signed it"),
    f("process.parent.{name,path}", "string", "its parent"),
    f("process.parent.pid", "integer", "process id of its parent"),
    f("attribution.level", "string", "how it was joined: L1, L1c, L1n, L2, L2d, L2a, L2s, L3; L0: not (docs/attribution.md)"),
    f("attribution.confidence", "number", "chance that the program is right, 0 to 1"),
    f("attribution.status", "string", "matched; partial or pending: more may come, under the same incident; none"),
    f("attribution.candidates", "integer", "programs in question"),
    f("attribution.source", "string", "the log that says so"),
    f("attribution.delta_ms", "integer", "time of the event, corrected, less the start of the flow, in milliseconds"),
    f("attribution.reason", "string", "why, in words"),
    f("signs[]", "string", "what is odd about the name: sni_address_mismatch, resembles, malformed_user_agent, user_agent_carries_data, many_user_agents, shared_front, inferred (docs/names.md)"),
    f("dest.asn", "integer", "autonomous system of the responder's address, with --asn-db"),
    f("dest.{as_org,country,city}", "string", "its organisation, with --asn-db; ISO country code and city, with --city-db"),
    f("http.request_bytes", "integer", "Content-Length of the request"),
    f("incident.id", "string", "sensor name and ULID, the same in every replay"),
    f("incident.seq", "integer", "number of this record within the incident, from 1"),
    f("incident.phase", "string", "open, update, final"),
    f("incident.text", "string", "one sentence that says it all"),
    f("incident.analytic", "string", "name of the analytic"),
    f("incident.attack_analytic", "string", "detection analytic of DET0548, where one fits"),
    f("incident.lane", "string", "lane of the analytic"),
    f("incident.score", "number", "-log10 of the false alerts expected per 1,000 hosts and day; while the site is not learned: log10 of how far above the level"),
    f("incident.severity", "string", "low, medium, high, critical"),
    f("incident.{up_bytes,down_bytes}", "integer", "bytes out of home and into it in this incident"),
    f("incident.up_bytes_24h", "integer", "bytes out in the trailing 24 hours"),
    f("incident.bytes_basis", "string", "payload or app"),
    f("incident.window", "integer", "seconds over which the analytic adds up"),
    f("incident.threshold", "integer", "level of the analytic in bytes"),
    f("incident.{first_seen,last_seen}", "string", "first and last frame of what was added up"),
    f("incident.flows[].flow_id", "integer", "flows of it, largest first, at most 16"),
    f("incident.flows[].{uid,community_id,dest_ip,name}", "string", "uid as in the Zeek logs"),
    f("incident.flows[].{dest_port,up_bytes}", "integer", "port; bytes out"),
    f("incident.flows_total", "integer", "flows in all"),
    f("incident.destinations[].name", "string", "destinations, largest first, at most 16"),
    f("incident.destinations[].up_bytes", "integer", "bytes out"),
    f("incident.evidence[].{name,text}", "string", "a reason, and the same in words"),
    f("incident.evidence[].{value,weight,contribution}", "number", "its value; share of the score per unit of it; share of the score"),
    f("incident.answers.{business_need,device_authorised,volume_atypical,outside_hours,new_service,uploads,recent_change}.state", "string", "yes, no, unknown"),
    f("incident.answers.{business_need,device_authorised,volume_atypical,outside_hours,new_service,uploads,recent_change}.text", "string", "the answer in a sentence"),
    f("incident.answers.{business_need,device_authorised,volume_atypical,outside_hours,new_service,uploads,recent_change}.{unit,evidence[]}", "string", "unit of the figure; what speaks for it"),
    f("incident.answers.{business_need,device_authorised,volume_atypical,outside_hours,new_service,uploads,recent_change}.value", "number", "the figure behind it"),
    f("incident.escalate.tier", "integer", "1 or 2: who should look at it"),
    f("incident.escalate.reason", "string", "why"),
    f("incident.containment[]", "string", "what could be done, with what it would touch; Egret does none of it"),
    f("incident.capture.gap_bytes", "integer", "bytes among those out that were proven and never seen"),
    f("incident.capture.{midstream,one_way}", "boolean", "a flow of it was seen from the middle on, one way only"),
    f("{,workers[].}capture.{frames,bytes}", "integer", "stats: frames read, their bytes on the wire"),
    f("{,workers[].}capture.kernel_frames", "integer", "stats: frames that the kernel counted, those it dropped included (live)"),
    f("{,workers[].}capture.{kernel_drops,freezes}", "integer", "stats: frames dropped by the kernel, times the ring was full (live)"),
    f("{,workers[].}capture.handed", "integer", "stats: packets handed to the worker that they belong to (live)"),
    f("{,workers[].}capture.misplaced", "integer", "stats: packets that could not be handed over, and may split a flow (live)"),
    f("{,workers[].}capture.duplicates", "integer", "stats: frames proven to be a span port's second copy"),
    f("{,workers[].}capture.{time_back,time_jump}", "integer", "stats: stamps that go back, jumps forward of more than 1 h believed"),
    f("{,workers[].}decode.decoded", "integer", "stats: frames that belong to a TCP or UDP packet; frames = decoded + skipped + fragments_held"),
    f("{,workers[].}decode.skipped.REASON", "integer", "stats: frames without one, by reason"),
    f("{,workers[].}decode.fragments_held", "integer", "stats: fragments whose first never came"),
    f("{,workers[].}flows.{open,opened,closed,evicted,table}", "integer", "stats: flows open now, opened, closed, closed early for want of room; room. In a flow_sum, closed: flows without payload that it stands for, of egret.host and one minute"),
    f("names.SOURCE", "integer", "stats: flows named, by source, after DNS and addresses were asked"),
    f("names.given_up.REASON", "integer", "stats: flows given up by the parsers, by reason"),
    f("{,workers[].}tell.{told,thinned}", "integer", "stats: tellings sent to the detector, those left out under load"),
    f("{,workers[].}tell.channel_max", "integer", "stats: most messages that waited for the detector at a time (live)"),
    f("logs.{lines,bad}", "integer", "stats of `egret logs`: lines used, lines that could not be used"),
    f("logs.{flows,named,dns}", "integer", "stats of `egret logs`: connections, those with a name, DNS answers told"),
    f("logs.{late,unclaimed}", "integer", "stats of `egret logs`: told after their time, or before it for want of room; names without a connection"),
    f("tell.late", "integer", "stats: tellings that came too late (live)"),
    f("detect.{pairs,pairs_evicted,incidents,alerts}", "integer", "stats: host and service pairs in memory, given up; incidents, alert records"),
    f("detect.{shared_front,hidden_dns}", "integer", "stats: flows whose name ECH hid and nothing else told; encrypted DNS flows (DoT, DoH, DoQ)"),
    f("detect.{leases,hosts_evicted}", "integer", "stats: addresses whose machine is known; given up for want of room"),
    f("detect.blind[]", "string", "stats: what was not seen in the last hour and should have been: no_dns, one_way, no_hellos, no_home, not_learning (docs/live.md)"),
    f("feeds.{events,lost}", "integer", "stats of `egret live`: events of endpoint logs; records, events and requests that were bad, refused or left out"),
    f("feeds.silent[]", "string", "stats: feeds of endpoint logs that are silent now: hosts behind them cannot be judged by their programs"),
    f("output.{lines,dropped}", "integer", "stats: lines written; lost to a full disk, or left out because the writer was behind"),
];

/// All paths that a path with alternatives stands for.
pub(super) fn expanded(path: &str) -> Vec<String> {
    let Some((head, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let Some((inner, tail)) = rest.split_once('}') else { return vec![path.to_owned()] };
    inner.split(',').flat_map(|choice| expanded(&format!("{head}{choice}{tail}"))).collect()
}

/// `docs/fields.md`.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Fields of the EVE records\n\n\
         Written by `src/output/fields.rs`; do not edit. Each field has one type for ever. What is unknown is absent, \
         never null. `{a,b}` stands for either, `[]` for an item of an array, `SOURCE` for a name source, `REASON` \
         for a reason as listed under `stats`. A `number` always has a fraction. Every byte count is in bytes, every \
         time in UTC.\n",
    );
    for (title, prefix, fields) in
        [("As Suricata has them", "", SURICATA), ("Our own, all in the object `egret`", "egret.", OURS)]
    {
        // Writing into a String cannot fail.
        let _ = write!(page, "\n## {title}\n\n| field | type | meaning |\n| --- | --- | --- |\n");
        for field in fields {
            let _ = writeln!(page, "| `{prefix}{}` | {} | {} |", field.path, field.kind, field.meaning);
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::super::file::{OutputConfig, Outputs};
    use super::super::{Record, samples};
    use super::*;
    use crate::counters::{LogCounters, Stats, WorkerCounters};
    use crate::decode::Skip;
    use crate::parse::{GiveUp, NameSource};
    use serde_json::Value;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn collect(path: &str, value: &Value, into: &mut BTreeSet<(String, &'static str)>) {
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    let key = if path.ends_with("names") && NameSource::ALL.iter().any(|s| s.as_str() == key)
                    {
                        "SOURCE"
                    } else if path.ends_with("skipped") && Skip::ALL.iter().any(|s| s.as_str() == key)
                        || path.ends_with("given_up") && GiveUp::ALL.iter().any(|g| g.as_str() == key)
                    {
                        "REASON"
                    } else {
                        key
                    };
                    let dot = if path.is_empty() { "" } else { "." };
                    collect(&format!("{path}{dot}{key}"), member, into);
                }
            }
            Value::Array(items) => {
                assert!(!items.is_empty(), "{path} is empty");
                for item in items {
                    collect(&format!("{path}[]"), item, into);
                }
            }
            Value::String(_) => drop(into.insert((path.to_owned(), "string"))),
            Value::Bool(_) => drop(into.insert((path.to_owned(), "boolean"))),
            Value::Number(n) if n.is_u64() || n.is_i64() => drop(into.insert((path.to_owned(), "integer"))),
            Value::Number(_) => drop(into.insert((path.to_owned(), "number"))),
            Value::Null => panic!("{path} is null"),
        }
    }

    #[test]
    fn records_hold_these_fields_and_no_other() -> std::io::Result<()> {
        let dir = std::env::temp_dir().join(format!("egret-fields-{}", std::process::id()));
        let named = Some("x".to_owned());
        let config = OutputConfig {
            dir: dir.clone(),
            own_types_in_eve: true,
            sensor: named.clone(),
            interface: named,
            ..OutputConfig::default()
        };
        let mut outputs = Outputs::new(&config)?;
        for record in &samples::all() {
            outputs.write(record);
        }
        let workers = vec![WorkerCounters::default()];
        let logs = Stats { logs: Some(LogCounters::default()), workers, ..Stats::default() };
        outputs.write(&Record::Stats(Box::new(logs), samples::at()));
        outputs.finish()?;
        let text = std::fs::read_to_string(dir.join("eve.json"))?;
        std::fs::remove_dir_all(dir)?;
        let mut found = BTreeSet::new();
        for line in text.lines() {
            collect("", &serde_json::from_str(line)?, &mut found);
        }
        let listed: BTreeSet<_> = SURICATA
            .iter()
            .map(|f| (f, ""))
            .chain(OURS.iter().map(|f| (f, "egret.")))
            .flat_map(|(f, prefix)| {
                expanded(f.path).into_iter().map(move |p| (format!("{prefix}{p}"), f.kind))
            })
            .collect();
        let unlisted: Vec<_> = found.difference(&listed).collect();
        let unseen: Vec<_> = listed.difference(&found).collect();
        assert!(unlisted.is_empty() && unseen.is_empty(), "unlisted {unlisted:#?}, unseen {unseen:#?}");
        // One type per path, and few enough for any index.
        let paths: BTreeSet<_> = listed.iter().map(|(path, _)| path).collect();
        assert_eq!(paths.len(), listed.len());
        let reasons = 2 * Skip::COUNT + GiveUp::COUNT + NameSource::COUNT;
        let ours = paths.iter().filter(|p| p.starts_with("egret.")).count() + reasons;
        assert!(ours <= 250, "{ours} leaves under egret");
        Ok(())
    }

    #[test]
    fn the_page_is_current() -> std::io::Result<()> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fields.md");
        if std::env::var_os("WRITE_GOLDEN").is_some() {
            std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
            std::fs::write(&path, markdown())?;
        }
        assert_eq!(std::fs::read_to_string(path)?, markdown(), "WRITE_GOLDEN=1 cargo test writes it anew");
        Ok(())
    }
}
