//! The table of keys: what may stand in the configuration, of which type, with which default, and what for.

use super::Config;
use super::read::{Reading, put};

/// A part of the file.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Its name; empty for the top level.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
}

/// Every part, in the order in which the default configuration shows them.
pub static SECTIONS: &[Section] = &[
    Section { name: "", doc: "Facts about the site." },
    Section { name: "sensor", doc: "This sensor." },
    Section { name: "detect", doc: "Detection: the tunables of DET0548 under their own names." },
    Section { name: "capture", doc: "Where frames come from." },
    Section {
        name: "endpoint",
        doc: "Logs of what ran on hosts: alerts then name the process (docs/attribution.md).",
    },
    Section { name: "privacy", doc: "Names of people and machines in what is written." },
    Section { name: "flows", doc: "The table of flows." },
    Section { name: "output", doc: "Files that are written." },
    Section { name: "state", doc: "What survives a restart." },
    Section { name: "signatures", doc: "Where signatures and the site's own policy stand." },
];

/// What holds when a key is not there.
#[derive(Clone, Copy, Debug)]
pub enum Preset {
    /// This value, as TOML.
    Value(&'static str),
    /// Nothing; this is an example, as TOML.
    Unset(&'static str),
    /// Nothing; this is an example of whole tables.
    Tables(&'static str),
}

/// One key.
#[derive(Clone, Copy)]
pub struct Key {
    /// The section it stands in; empty for the top level.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it wants, in words.
    pub wants: &'static str,
    /// What holds without it.
    pub preset: Preset,
    /// What it is for.
    pub doc: &'static str,
    /// Whether anything uses it yet.
    pub in_force: bool,
    /// Reads it into the configuration.
    pub(super) read: fn(&mut Reading<'_, '_, '_, '_>, &mut Config),
}

impl Key {
    const fn new(
        name: &'static str,
        wants: &'static str,
        preset: Preset,
        doc: &'static str,
        read: fn(&mut Reading<'_, '_, '_, '_>, &mut Config),
    ) -> Self {
        Self { section: "", name, wants, preset, doc, in_force: true, read }
    }

    const fn within(mut self, section: &'static str) -> Self {
        self.section = section;
        self
    }

    const fn not_yet(mut self) -> Self {
        self.in_force = false;
        self
    }
}

use Preset::{Tables, Unset, Value};

/// Every key. An analytic that begins to use one takes its `not_yet()` away.
#[rustfmt::skip] // one layout for all entries reads as a table
pub static KEYS: &[Key] = &[
    Key::new("home_net", "networks", Unset(r#"["10.0.0.0/8", "2001:db8::/32"]"#),
        "The networks at home; bytes that leave them are uploads. Unset: the private ranges (RFC 1918, RFC 4193, \
         link-local, loopback, 100.64.0.0/10) and global prefixes that are learned from the traffic.",
        |r, c| put(&mut c.home_net, r.home().map(Some))),
    Key::new("own_tenants", "tenants, or a table of them by service", Unset(r#"["contoso", "contoso-*"]"#),
        "Tenants, accounts and buckets that are the site's own, as host names show them. A table names them by \
         service: own_tenants = { sharepoint_online = [\"contoso\"] }.",
        |r, c| put(&mut c.facts.own_tenants, r.tenants())),
    Key::new("sanctioned_tenants", "tenants, or a table of them by service", Unset(r#"{ box = ["partner-*"] }"#),
        "Tenants of others that data may go to. They are still counted, and alerts about them are of low severity.",
        |r, c| put(&mut c.facts.sanctioned_tenants, r.tenants())),
    Key::new("own_buckets", "names", Unset(r#"["contoso-backup-*"]"#),
        "The site's own buckets and containers, in any object store.",
        |r, c| put(&mut c.facts.own_buckets, r.globs("bucket"))),
    Key::new("servers", "hosts", Unset(r#"["10.0.10.0/24", "srv-*"]"#),
        "Servers: an upload that a server has never made before says more than one of a workstation.",
        |r, c| put(&mut c.facts.servers, r.hosts())),
    Key::new("esxi_hosts", "hosts", Unset(r#"["10.0.20.0/24", "esxi-*"]"#),
        "ESXi hosts and vCenters, for datastore_transfer_threshold.",
        |r, c| put(&mut c.facts.esxi_hosts, r.hosts())),
    Key::new("esxi_guests", "hosts", Unset(r#"["10.0.21.0/24", "vm-*"]"#),
        "Virtual machines of theirs; link addresses of VMware are known without. An upload of \
         datastore_transfer_threshold to a storage service that such a machine never used is told of.",
        |r, c| put(&mut c.facts.esxi_guests, r.hosts())),
    Key::new("gateways", "hosts", Unset(r#"["10.0.0.1"]"#),
        "Proxies, NAT and VPN gateways: addresses with many users behind them. What a proxy says of its client \
         (X-Forwarded-For) is believed of these, and of addresses that were seen to act as one.",
        |r, c| put(&mut c.facts.gateways, r.hosts())),
    Key::new("timezone", "IANA time zone", Unset(r#""Europe/Berlin""#),
        "The time zone of the site. Unset: off-hours are unknown, never guessed.",
        |r, c| put(&mut c.facts.timezone, r.timezone().map(Some))),
    Key::new("business_hours", "times of the week", Unset(r#"["mon-fri 07:00-19:00"]"#),
        "When people work.",
        |r, c| put(&mut c.facts.business_hours, r.each("mon-fri 08:00-18:00"))),
    Key::new("holidays", "dates", Unset("[2026-12-25, 2027-01-01]"),
        "Days when nobody works.",
        |r, c| put(&mut c.facts.holidays, r.keys.dates(r.source, r.key))),
    Key::new("assets", "path of a CSV file", Unset(r#""assets.csv""#),
        "Assets, one a line: address or MAC or name, owner, role, managed, criticality.",
        |r, c| put(&mut c.facts.assets, r.path().map(Some))),
    Key::new("people", "path of a CSV file", Unset(r#""people.csv""#),
        "People, one a line.",
        |r, c| put(&mut c.facts.people, r.path().map(Some))).not_yet(),
    Key::new("host_groups", "hosts by group", Tables("[host_groups]\ndesign = [\"10.1.2.0/24\", \"design-*\"]"),
        "Groups of hosts by name, for permits and for allow-list entries.",
        |r, c| { for (group, hosts) in r.groups() { c.facts.host_groups.insert(group, hosts); } }),
    Key::new("permit", "tables", Tables("[[permit]]\ngroup = \"design\"\nservices = [\"dropbox\"]\n\
        reason = \"exchange with the agency\"\nowner = \"it@contoso.example\"\nexpires = 2027-01-31"),
        "What a group of hosts may use, until when, and who answers for it.",
        |r, c| put(&mut c.facts.permits, r.permits())),
    Key::new("change", "tables", Tables("[[change]]\nreason = \"move of the archive, ticket 4711\"\n\
        owner = \"it@contoso.example\"\nhosts = [\"10.1.2.0/24\"]\nservices = [\"aws_s3\"]\n\
        from = 2027-01-10\nuntil = 2027-01-31"),
        "Planned changes: what moves, from which hosts, where to, and when.",
        |r, c| put(&mut c.facts.changes, r.changes())),
    Key::new("networks", "tables", Tables("[[networks]]\nname = \"guest\"\nvlans = [30]\nvnis = [5030]"),
        "Networks whose addresses overlap with others, by VLAN or VXLAN id.",
        |r, c| put(&mut c.facts.networks, r.networks())).not_yet(),

    Key::new("name", "text", Value(r#""egret""#),
        "Its name in records.",
        |r, c| put(&mut c.sensor, r.name())).within("sensor"),

    Key::new("exfil_volume_threshold", "size, or a table of them", Value(
        r#"{ storage = "3 MB", webhook = "1 MB", text = "20 kB", ceiling = "1 GiB" }"#),
        "Bytes that a host may send to a service within time_window before it is an incident: one size for all, or \
         by kind of service (storage is everything but webhooks and text sites), or by category \
         (code_repository = \"10 MB\"). From ceiling on, an upload to a high-risk service is critical.",
        |r, c| r.volumes(&mut c.detect.exfil_volume_threshold)).within("detect"),
    Key::new("time_window", "time", Value(r#""24h""#),
        "The trailing time over which the uploads of a host to a service add up.",
        |r, c| put(&mut c.detect.time_window, r.span("24h"))).within("detect"),
    Key::new("upload_ratio", "number", Value("1.0"),
        "A flow counts as an upload when it sends at least so many times the bytes it gets.",
        |r, c| put(&mut c.detect.upload_ratio, r.keys.fraction(r.source, r.key, 0.0..=1_000.0))).within("detect"),
    Key::new("monitored_services", "services or categories", Value("[]"),
        "Services or categories that are watched. Empty: all.",
        |r, c| put(&mut c.detect.monitored_services, r.words())).within("detect"),
    Key::new("incident_idle", "time", Value(r#""30m""#),
        "An incident ends when nothing more went out for so long.",
        |r, c| put(&mut c.detect.incident_idle, r.span("30m"))).within("detect"),
    Key::new("max_pairs", "number", Value("1048576"),
        "Most pairs of host and service in memory; the idlest goes first.",
        |r, c| put(&mut c.detect.max_pairs, r.count(1 << 28))).within("detect"),
    Key::new("monitored_tools", "names", Value("[]"),
        "Tools that are made to carry data out. Empty: those of the signatures.",
        |r, c| put(&mut c.detect.monitored_tools, r.words())).within("detect"),
    Key::new("data_volume_threshold", "size, or a table of them", Value(
        r#"{ tool = "10 MB", first_seen = "100 MB" }"#),
        "Bytes that one process may send: a monitored tool, or a process not seen with the service before.",
        |r, c| r.processes(&mut c.detect.data_volume_threshold)).within("detect"),
    Key::new("watched_applications", "names", Value("[]"),
        "Applications whose business is not to upload. Empty: those of the signatures.",
        |r, c| put(&mut c.detect.watched_applications, r.words())).within("detect"),
    Key::new("api_call_threshold", "rate", Value(r#""200/h""#),
        "Upload requests from which a host is looked at.",
        |r, c| put(&mut c.detect.api_call_threshold, r.quantity("200/h"))).within("detect").not_yet(),
    Key::new("user_baseline_profiles", "table of times", Value(
        r#"{ memory = "28d", activation = "14d", lag = "6d" }"#),
        "What is remembered of a host, from when on it sets levels of its own, and how much earlier the baseline \
         of the slow lane ends.",
        |r, c| r.profiles(&mut c.detect.user_baseline_profiles)).within("detect").not_yet(),
    Key::new("datastore_transfer_threshold", "size", Value(r#""50 MB""#),
        "Bytes that a hypervisor may send to a service outside.",
        |r, c| put(&mut c.detect.datastore_transfer_threshold, r.size("50 MB"))).within("detect"),
    Key::new("alert_budget", "number, or a table", Value("{ alerts = 1.0, low = 5.0 }"),
        "False alerts that are wanted at most, per 1,000 hosts and day: of medium severity and above, and of low.",
        |r, c| r.budget(&mut c.detect.alert_budget)).within("detect"),

    Key::new("ring", "size", Value(r#""64 MiB""#),
        "Live: memory in which frames wait, for each worker and interface. The flag is --ring.",
        |r, c| put(&mut c.capture.ring, r.size_within("64 MiB", 2 << 20, 16 << 30))).within("capture"),
    Key::new("block", "size", Value(r#""256 KiB""#),
        "Live: the ring is handed over in pieces of this size, and no frame is larger: 4 KiB to 8 MiB, a power of two. \
         Small ones bridge a longer pause on a quiet wire, large ones cost less on a busy one.",
        |r, c| put(&mut c.capture.block, r.block())).within("capture"),
    Key::new("snap", "size", Value(r#""256 KiB""#),
        "Live: most bytes kept of a frame. Byte counts stay right, names need the first packets whole: not below \
         2 KiB. The flag is --snap.",
        |r, c| put(&mut c.capture.snap, r.size_within("256 KiB", 64, 1 << 30))).within("capture"),
    Key::new("promiscuous", "true or false", Value("true"),
        "Live: take in frames for other machines as well. The flag is --no-promiscuous.",
        |r, c| put(&mut c.capture.promiscuous, r.keys.flag(r.source, r.key))).within("capture"),
    Key::new("hardware_stamps", "true or false", Value("true"),
        "Live: use the time stamps of the card where it has been set up to make them (by ptp4l, for instance).",
        |r, c| put(&mut c.capture.hardware_stamps, r.keys.flag(r.source, r.key))).within("capture"),
    Key::new("bpf", "filter", Unset(r#""not port 22""#),
        "Only frames that this filter lets through. An expression needs a build with the feature libpcap; the output \
         of tcpdump -ddd does not. The flag is --bpf.",
        |r, c| put(&mut c.capture.bpf, r.name().map(Some))).within("capture"),
    Key::new("sent_twice", "true or false", Value("false"),
        "The span port is known to send frames twice: equal datagrams within a millisecond count once. Without it \
         they do where their time to live, VLAN or link addresses prove the second copy.",
        |r, c| put(&mut c.capture.sent_twice, r.keys.flag(r.source, r.key))).within("capture"),

    Key::new("logs", "logs, each [FORMAT=]PATH", Unset(r#"["sysmon=/var/log/sysmon.jsonl", "/var/log/edr/"]"#),
        "Endpoint logs: files, or directories of them; the format is found by content unless it is named. \
         --endpoint-log adds to them.",
        |r, c| put(&mut c.endpoint.logs, r.each("sysmon=/var/log/sysmon.jsonl"))).within("endpoint"),
    Key::new("late_window", "length of time", Value(r#""1h""#),
        "An incident waits for so long for the event that names its process, and is updated when it comes.",
        |r, c| put(&mut c.endpoint.late_window, r.span("1h"))).within("endpoint"),
    Key::new("retain", "length of time", Value(r#""15m""#),
        "A connection in a log is kept for so long for a flow that is still to come.",
        |r, c| put(&mut c.endpoint.retain, r.span("15m"))).within("endpoint"),
    Key::new("listen", "list of udp://, tcp:// or http:// and an address", Unset(
        r#"["udp://127.0.0.1:5514", "tcp://127.0.0.1:5514", "http://127.0.0.1:8088"]"#),
        "Live: where endpoint logs are heard: syslog in datagrams, syslog over TCP, and HTTP (lines of JSON, Elasticsearch \
         _bulk, Splunk HTTP event collector).",
        |r, c| put(&mut c.endpoint.listen, r.each("udp://127.0.0.1:5514"))).within("endpoint"),
    Key::new("token_file", "path", Unset(r#""token""#),
        "Its first line is what whoever pushes by HTTP must bring: after Bearer, Splunk or ApiKey, or as password.",
        |r, c| put(&mut c.endpoint.token_file, r.path().map(Some))).within("endpoint"),
    Key::new("context", "paths", Unset(r#"["eve.json", "defender-alerts.jsonl"]"#),
        "Alerts of other products (Suricata, Zeek, Defender, Elastic, CrowdStrike, Sentinel), read when the run begins: \
         those about the host of an incident within a day stand on it. --context-log adds to them.",
        |r, c| put(&mut c.endpoint.context, r.paths())).within("endpoint"),
    Key::new("silent_after", "length of time", Value(r#""15m""#),
        "Live: a feed that has spoken and then says nothing for so long is told of, and counted (stats: feeds).",
        |r, c| put(&mut c.endpoint.silent_after, r.span("15m"))).within("endpoint"),
    Key::new("users", "true or false", Value("false"),
        "Accounts are written as pseudonyms, in command lines, paths and sentences too: the same for the same account.",
        |r, c| put(&mut c.privacy.users, r.keys.flag(r.source, r.key))).within("privacy"),
    Key::new("hosts", "true or false", Value("false"),
        "So are names of hosts; their link addresses are left out. Addresses stay.",
        |r, c| put(&mut c.privacy.hosts, r.keys.flag(r.source, r.key))).within("privacy"),
    Key::new("key_file", "path", Unset(r#""pseudonyms.key""#),
        "What pseudonyms are made with, at least 16 bytes. Whoever has it can tell whose they are, by trying names.",
        |r, c| put(&mut c.privacy.key_file, r.path().map(Some))).within("privacy"),

    Key::new("table", "number", Value("1048576"),
        "Most flows at a time, over all workers; when it is full the idlest goes.",
        |r, c| put(&mut c.flows.table, r.count(1 << 24))).within("flows"),
    Key::new("tcp_timeout", "time", Value(r#""5m""#),
        "An open TCP connection ends when it was silent for so long.",
        |r, c| put(&mut c.flows.timeouts.tcp, r.span("5m"))).within("flows"),
    Key::new("tcp_closed_timeout", "time", Value(r#""60s""#),
        "So does one that is closed or was never opened.",
        |r, c| put(&mut c.flows.timeouts.tcp_closed, r.span("60s"))).within("flows"),
    Key::new("udp_timeout", "time", Value(r#""3m""#),
        "So does a UDP flow.",
        |r, c| put(&mut c.flows.timeouts.udp, r.span("3m"))).within("flows"),
    Key::new("report_every", "time", Value(r#""5m""#),
        "How often an open flow is reported while bytes move.",
        |r, c| put(&mut c.flows.report_every, r.span("5m"))).within("flows"),

    Key::new("dir", "path", Value(r#""egret-out""#),
        "The directory that logs are written to; it is created. Relative to where egret runs, as --out is; every \
         other path is relative to the folder of this file.",
        |r, c| put(&mut c.output.dir, r.path_here())).within("output"),
    Key::new("log", "list of eve, zeek-tsv, zeek-json", Value(r#"["eve"]"#),
        "The forms of logs; an empty list for none. The flag is --log.",
        |r, c| put(&mut c.output.kinds, r.logs())).within("output"),
    Key::new("own_types_in_eve", "true or false", Value("false"),
        "Whether flow_update and incident records stand in eve.json too, beside egret.json.",
        |r, c| put(&mut c.output.own_types_in_eve, r.keys.flag(r.source, r.key))).within("output"),
    Key::new("low_as_alert", "true or false", Value("false"),
        "Whether incidents of low severity are written as alerts too.",
        |r, c| put(&mut c.output.low_as_alert, r.keys.flag(r.source, r.key))).within("output"),
    Key::new("mode", "octal permissions", Value(r#""0640""#),
        "Permissions of the files. RITA wants \"0644\".",
        |r, c| put(&mut c.output.mode, r.mode())).within("output"),
    Key::new("community_id_seed", "number", Value("0"),
        "Seed of the Community ID, 0 to 65535; the same on every sensor.",
        |r, c| put(&mut c.output.community_id_seed, r.keys.number(r.source, r.key, 65_535).map(|n| n as u16)))
        .within("output"),
    Key::new("empty_flow_rate", "rate", Value(r#""1000/s""#),
        "Live: records of flows without payload (scans, floods) that are written one by one; beyond, one record of \
         type flow_sum for each host and minute takes their place.",
        |r, c| put(&mut c.output.empty_flow_rate, r.quantity("1000/s"))).within("output"),
    Key::new("rotate", "true or false", Value("true"),
        "Live: put logs away as YYYY-MM-DD/NAME.HH:MM:SS-HH:MM:SS.log.gz (UTC). With false, others move them and send \
         SIGHUP.",
        |r, c| put(&mut c.output.rotate, r.keys.flag(r.source, r.key))).within("output"),
    Key::new("rotate_every", "time", Value(r#""1h""#),
        "At every multiple of this time since midnight, UTC; at least a second.",
        |r, c| put(&mut c.output.rotate_every, r.span("1h"))).within("output"),
    Key::new("rotate_size", "size", Value(r#""1 GB""#),
        "And from this size on.",
        |r, c| put(&mut c.output.rotate_size, r.size_within("1 GB", 1 << 16, 1 << 50))).within("output"),
    Key::new("keep_days", "number", Value("30"),
        "Rotated files are kept so many days; 0: for ever.",
        |r, c| put(&mut c.output.keep_days, r.keys.number(r.source, r.key, 36_500))).within("output"),
    Key::new("max_bytes", "size", Unset(r#""100 GB""#),
        "Rotated files are removed, oldest first, beyond so much. Unset: no limit.",
        |r, c| put(&mut c.output.max_bytes, r.size("100 GB").map(Some))).within("output"),

    Key::new("file", "path of an SQLite file", Unset(r#""egret.db""#),
        "Baselines, first-seen, incidents and silences are kept here, and a run goes on where the last one ended. Unset: \
         egret.db beside the logs for live, nothing for replay and logs. The flag is --state.",
        |r, c| put(&mut c.state, r.path().map(Some))).within("state"),
    Key::new("checkpoint_every", "time", Value(r#""10s""#),
        "How often the state is written; a sensor that is killed loses no more than this.",
        |r, c| put(&mut c.checkpoint_every, r.span("10s"))).within("state"),

    Key::new("dir", "path", Unset(r#""signatures""#),
        "A directory of signature files in place of those built in. The flag is --signatures.",
        |r, c| put(&mut c.signatures, r.path().map(Some))).within("signatures"),
    Key::new("asn_db", "path of a MaxMind database", Unset(r#""GeoLite2-ASN.mmdb""#),
        "Tells whose autonomous system an address is in. Names flows that nothing else names, and stands in records as \
         egret.dest. The flag is --asn-db.",
        |r, c| put(&mut c.asn_db, r.path().map(Some))).within("signatures"),
    Key::new("city_db", "path of a MaxMind database", Unset(r#""GeoLite2-City.mmdb""#),
        "Tells the country and city of an address, for records (egret.dest). The flag is --city-db.",
        |r, c| put(&mut c.city_db, r.path().map(Some))).within("signatures"),
    Key::new("site", "path", Unset(r#""site.toml""#),
        "The site's own policy: own services, sanctions, weights and allow-list entries.",
        |r, c| put(&mut c.site, r.path().map(Some))).within("signatures"),
];
