//! Threads that listen: syslog in datagrams and over TCP, HTTP push.

use super::{BEAT, Mouth};
use crate::endpoint::feed::http::{self, Parsed};
use crate::endpoint::feed::syslog::Frames;
use crate::endpoint::{Decoder, EndpointEvent, Formats, Hint, Stream};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Largest datagram.
const DATAGRAM: usize = 65_535;
/// Senders of datagrams whose records are told apart; the others share one reader.
const SENDERS: usize = 32;
/// Connections at a time, of one feed.
const CONNECTIONS: usize = 64;
/// A connection that says nothing for so long is closed.
const IDLE: Duration = Duration::from_secs(600);
/// A request must be whole after so long.
const REQUEST: Duration = Duration::from_secs(30);

fn hint() -> Hint {
    Hint { received: Some(super::wall()), ..Hint::default() }
}

/// A reader of records and what it has counted.
struct Reader {
    decoder: Decoder<'static>,
    counted: (u64, u64),
}

impl Reader {
    fn new() -> Option<Self> {
        Some(Self { decoder: Decoder::new(Formats::built_in(), None).ok()?, counted: (0, 0) })
    }
}

/// Hears syslog in datagrams.
pub(super) fn udp(at: SocketAddr, mouth: Mouth) -> io::Result<JoinHandle<()>> {
    let socket = UdpSocket::bind(at)?;
    socket.set_read_timeout(Some(BEAT))?;
    Ok(thread::spawn(move || {
        let mut buffer = vec![0; DATAGRAM];
        let mut readers: Vec<(Option<IpAddr>, Reader)> = Vec::new();
        let mut events: Vec<EndpointEvent> = Vec::new();
        while !mouth.shared.is_over() {
            let Ok((got, from)) = socket.recv_from(&mut buffer) else { continue };
            let ip = Some(from.ip());
            let known = readers.iter().position(|r| r.0 == ip);
            let shared = || readers.iter().position(|r| r.0.is_none());
            let at = known.or_else(|| if readers.len() > SENDERS { shared() } else { None });
            let at = at.unwrap_or_else(|| {
                let who = if readers.len() < SENDERS { ip } else { None };
                readers.extend(Reader::new().map(|reader| (who, reader)));
                readers.len().saturating_sub(1)
            });
            let Some((_, reader)) = readers.get_mut(at) else { return };
            reader.decoder.record(buffer.get(..got).unwrap_or_default(), &hint(), &mut events);
            mouth.give(&mut events, got as u64, &mut reader.counted, &reader.decoder.tally);
        }
    }))
}

/// Listens, and gives each connection a thread of its own; not more than [`CONNECTIONS`] at a time.
fn listen(
    at: SocketAddr,
    mouth: Mouth,
    serve: impl Fn(TcpStream, &Mouth) + Send + Sync + 'static,
) -> io::Result<JoinHandle<()>> {
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    let serve = Arc::new(serve);
    Ok(thread::spawn(move || {
        let open = Arc::new(AtomicUsize::new(0));
        while !mouth.shared.is_over() {
            let Ok((stream, _)) = listener.accept() else {
                thread::sleep(BEAT / 10);
                continue;
            };
            let ready = stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(BEAT)));
            let ready = ready.and_then(|()| stream.set_write_timeout(Some(REQUEST)));
            if open.load(Ordering::Relaxed) >= CONNECTIONS || ready.is_err() {
                mouth.count(|c| c.refused += 1);
                continue;
            }
            open.fetch_add(1, Ordering::Relaxed);
            let (mouth, open, serve) = (mouth.clone(), Arc::clone(&open), Arc::clone(&serve));
            thread::spawn(move || {
                serve(stream, &mouth);
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }))
}

/// Reads what has come; `None`: the connection is over.
fn read(stream: &mut TcpStream, buffer: &mut [u8], mouth: &Mouth, until: Instant) -> Option<usize> {
    loop {
        match stream.read(buffer) {
            Ok(0) => return None,
            Ok(got) => return Some(got),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {
                    if mouth.shared.is_over() || Instant::now() >= until {
                        return None;
                    }
                }
                _ => return None,
            },
        }
    }
}

/// Hears syslog over TCP.
pub(super) fn tcp(at: SocketAddr, mouth: Mouth) -> io::Result<JoinHandle<()>> {
    listen(at, mouth, |mut stream, mouth| {
        let Some(mut reader) = Reader::new() else { return };
        let (mut frames, mut buffer) = (Frames::default(), vec![0; 1 << 16]);
        let mut events: Vec<EndpointEvent> = Vec::new();
        loop {
            let got = read(&mut stream, &mut buffer, mouth, Instant::now() + IDLE);
            let hint = hint();
            let mut take = |record: &[u8]| reader.decoder.record(record, &hint, &mut events);
            match got.and_then(|got| buffer.get(..got)) {
                Some(bytes) => frames.push(bytes, &mut take),
                None => frames.finish(&mut take),
            }
            if got.is_none() {
                reader.decoder.finish(&hint, &mut events);
            }
            let too_long = std::mem::take(&mut frames.too_long);
            mouth.count(|c| c.refused += too_long);
            mouth.give(&mut events, got.unwrap_or(0) as u64, &mut reader.counted, &reader.decoder.tally);
            if got.is_none() {
                return;
            }
        }
    })
}

/// Hears HTTP push.
pub(super) fn http(at: SocketAddr, mouth: Mouth, token: String) -> io::Result<JoinHandle<()>> {
    listen(at, mouth, move |stream, mouth| {
        // Whatever is wrong with the connection ends it, and nothing else.
        let _ = requests(stream, mouth, &token);
    })
}

fn requests(mut stream: TcpStream, mouth: &Mouth, token: &str) -> io::Result<()> {
    let Ok(mut records) = Stream::new(Formats::built_in(), None) else { return Ok(()) };
    let (mut buffer, mut pending, mut counted) = (vec![0; 1 << 16], Vec::new(), (0, 0));
    let mut asked = false;
    let mut began = Instant::now();
    loop {
        match http::parse(&pending, token) {
            Parsed::Request(request, taken) => {
                pending.drain(..taken);
                let mut events: Vec<EndpointEvent> = Vec::new();
                let now = super::wall();
                let answer = http::answer(&request, &mut |record, hint| {
                    let hint = Hint { received: Some(now), ..hint.clone() };
                    records.push(record, &hint, &mut events);
                    records.push(b"\n", &hint, &mut events);
                });
                records.finish(&hint(), &mut events);
                mouth.give(&mut events, taken as u64, &mut counted, &records.decoder.tally);
                stream.write_all(&http::response(&answer, request.keep))?;
                if !request.keep {
                    return Ok(());
                }
                (asked, began) = (false, Instant::now());
                continue;
            }
            Parsed::Bad(status) => {
                mouth.count(|c| c.refused += 1);
                return stream.write_all(&http::refusal(status));
            }
            Parsed::More(true) if !asked => {
                asked = true;
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            Parsed::More(_) => {}
        }
        let until = began + if pending.is_empty() { IDLE } else { REQUEST };
        let Some(got) = read(&mut stream, &mut buffer, mouth, until) else {
            if !pending.is_empty() {
                mouth.count(|c| c.refused += 1);
                stream.write_all(&http::refusal(408))?;
            }
            return Ok(());
        };
        if pending.is_empty() {
            began = Instant::now();
        }
        if Instant::now() >= until {
            return Ok(());
        }
        pending.extend_from_slice(buffer.get(..got).unwrap_or_default());
    }
}
