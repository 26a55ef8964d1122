//! Feeds on loopback and in temporary folders, end to end: bytes in, events out.

use super::*;
use crate::config::EndpointInput;
use crate::endpoint::feed::Listen;
use crossbeam_channel::unbounded;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;

const TOKEN: &str = "t0ken-of-tests";

struct Bench {
    feeds: Feeds,
    dir: PathBuf,
    shown: Receiver<Notice>,
    show: Sender<Notice>,
    stop: Arc<AtomicBool>,
}

/// Somewhere free on loopback.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port")
}

impl Bench {
    fn new(name: &str, set: impl FnOnce(&mut EndpointConfig, &Path)) -> Self {
        let dir = std::env::temp_dir().join(format!("egret-feeds-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a directory");
        std::fs::write(dir.join("token"), format!("{TOKEN}\n")).expect("room");
        Self::again(dir, set)
    }

    fn again(dir: PathBuf, set: impl FnOnce(&mut EndpointConfig, &Path)) -> Self {
        let mut config = Config::default();
        config.output.dir.clone_from(&dir);
        config.endpoint.token_file = Some(dir.join("token"));
        set(&mut config.endpoint, &dir);
        let (stop, (show, shown)) = (Arc::new(AtomicBool::new(false)), unbounded());
        let feeds = Feeds::start(&config, None, &stop, &show).expect("started");
        Self { feeds, dir, shown, show, stop }
    }

    /// The next so many events, or what came within a good while.
    fn events(&self, wanted: usize) -> Vec<String> {
        let mut got = Vec::new();
        let until = Instant::now() + Duration::from_secs(20);
        while got.len() < wanted && Instant::now() < until {
            if let Ok(Parcel::Events(events)) = self.feeds.hear.recv_timeout(BEAT) {
                got.extend(events.iter().map(|e| match e {
                    EndpointEvent::Connect(e) => format!("{} {}", e.proc.name, e.remote),
                    other => format!("{other:?}"),
                }));
            }
        }
        got
    }

    fn counters(&self) -> FeedCounters {
        self.feeds.look(Instant::now(), &self.show).remove(0)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn line(program: &str, last: u8) -> String {
    format!(
        "{{\"@timestamp\":\"2026-11-20T10:00:00.{last:03}Z\",\"event\":{{\"category\":[\"network\"],\"type\":[\"start\"],\
         \"action\":\"connection_attempted\"}},\"host\":{{\"id\":\"h1\",\"name\":\"pc1\"}},\"network\":{{\"transport\":\
         \"tcp\",\"direction\":\"egress\"}},\"source\":{{\"ip\":\"10.0.0.1\",\"port\":50000}},\"destination\":{{\"ip\":\
         \"192.0.2.{last}\",\"port\":443}},\"process\":{{\"name\":\"{program}\",\"executable\":\"/usr/bin/{program}\",\
         \"pid\":7,\"entity_id\":\"e7\"}}}}\n"
    )
}

#[test]
fn a_file_is_followed_and_goes_on_after_a_restart() {
    let bench = Bench::new("file", |endpoint, dir| {
        std::fs::write(dir.join("x.json"), line("curl", 1)).expect("room");
        endpoint.logs = vec![EndpointInput { format: None, path: dir.join("x.json") }];
    });
    assert_eq!(bench.events(1), ["curl 192.0.2.1"]);
    let mut file = std::fs::File::options().append(true).open(bench.dir.join("x.json")).expect("open");
    file.write_all(line("wget", 2).as_bytes()).expect("room");
    assert_eq!(bench.events(1), ["wget 192.0.2.2"]);
    let dir = bench.dir.clone();
    bench.stop.store(true, Ordering::Relaxed);
    let began = Instant::now();
    while bench.feeds.threads.iter().any(|t| !t.is_finished()) && began.elapsed() < Duration::from_secs(20) {
        thread::sleep(BEAT);
    }
    file.write_all(line("git", 3).as_bytes()).expect("room");
    let bench = Bench::again(dir.clone(), |endpoint, dir| {
        endpoint.logs = vec![EndpointInput { format: None, path: dir.join("x.json") }];
    });
    assert_eq!(bench.events(1), ["git 192.0.2.3"]);
    assert_eq!(bench.counters().records, 1);
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn syslog_in_datagrams_and_over_tcp() {
    let (udp, tcp) = (free(), free());
    let bench = Bench::new("syslog", |endpoint, _| {
        endpoint.listen =
            vec![Listen { protocol: Protocol::Udp, at: udp }, Listen { protocol: Protocol::Tcp, at: tcp }];
    });
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.send_to(line("curl", 1).as_bytes(), udp).expect("sent");
    assert_eq!(bench.events(1), ["curl 192.0.2.1"]);
    let mut stream = TcpStream::connect(tcp).expect("connected");
    let record = format!("<34>1 2026-11-20T10:00:00Z pc1 edr - - - {}", line("wget", 2).trim());
    stream.write_all(format!("{} {record}", record.len()).as_bytes()).expect("sent");
    stream.write_all(line("git", 3).as_bytes()).expect("sent");
    drop(stream);
    assert_eq!(bench.events(2), ["wget 192.0.2.2", "git 192.0.2.3"]);
}

#[test]
fn http_push_with_the_token_and_without() {
    let at = free();
    let bench = Bench::new("http", |endpoint, _| {
        endpoint.listen = vec![Listen { protocol: Protocol::Http, at }];
    });
    let post = |path: &str, token: &str, body: &str| {
        let mut stream = TcpStream::connect(at).expect("connected");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("sent");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    assert!(post("/x", "wrong", &line("curl", 1)).starts_with("HTTP/1.1 401"));
    assert!(post("/x", TOKEN, &(line("curl", 1) + &line("wget", 2))).starts_with("HTTP/1.1 200"));
    assert_eq!(bench.events(2), ["curl 192.0.2.1", "wget 192.0.2.2"]);
    let bulk = format!("{{\"create\":{{}}}}\n{}", line("git", 3));
    assert!(post("/_bulk", TOKEN, &bulk).contains("\"created\""));
    // What comes again is dropped.
    assert!(post("/_bulk", TOKEN, &bulk).contains("\"created\""));
    let event = format!("{{\"host\":\"pc1\",\"event\":{}}}", line("tar", 4).trim());
    assert!(post("/services/collector/event", TOKEN, &event).contains("Success"));
    assert_eq!(bench.events(2), ["git 192.0.2.3", "tar 192.0.2.4"]);
    let counters = bench.counters();
    assert_eq!((counters.events, counters.duplicates, counters.refused), (4, 1, 1));
}

#[test]
fn a_directory_gets_new_files() {
    let bench = Bench::new("directory", |endpoint, dir| {
        std::fs::create_dir_all(dir.join("logs")).expect("a directory");
        endpoint.logs = vec![EndpointInput { format: None, path: dir.join("logs") }];
    });
    std::fs::write(bench.dir.join("logs/a.json"), line("curl", 1)).expect("room");
    assert_eq!(bench.events(1), ["curl 192.0.2.1"]);
    let _ = std::fs::remove_dir_all(&bench.dir);
}

#[test]
fn a_feed_that_falls_silent_is_told_of_once() {
    let at = free();
    let bench = Bench::new("silent", |endpoint, _| {
        endpoint.listen = vec![Listen { protocol: Protocol::Udp, at }];
        endpoint.silent_after = crate::units::Span::from_secs(60);
    });
    // One that has never spoken is not silent.
    let later = Instant::now() + Duration::from_secs(1_000);
    assert!(!bench.feeds.look(later, &bench.show)[0].silent);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.send_to(line("curl", 1).as_bytes(), at).expect("sent");
    assert_eq!(bench.events(1).len(), 1);
    for _ in 0..3 {
        let counters = bench.feeds.look(later, &bench.show);
        assert_eq!((counters[0].silent, counters[0].silences), (true, 1));
    }
    let told: Vec<String> = bench.shown.try_iter().map(|n| n.to_string()).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("silent for 60 s"), "{told:?}");
    assert!(!bench.feeds.look(Instant::now(), &bench.show)[0].silent);
    assert!(bench.shown.try_iter().next().is_some_and(|n| n.to_string().contains("speaks again")));
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("an address");
    let mut config = Config::default();
    config.endpoint.listen = vec![Listen { protocol: Protocol::Tcp, at }];
    let (show, _shown) = unbounded();
    let said = Feeds::start(&config, None, &Arc::default(), &show).expect_err("taken");
    assert!(said.contains(&at.to_string()), "{said}");
    // HTTP without a token does not start.
    config.endpoint.listen = vec![Listen { protocol: Protocol::Http, at: free() }];
    assert!(
        Feeds::start(&config, None, &Arc::default(), &show).is_err_and(|said| said.contains("token_file"))
    );
}
