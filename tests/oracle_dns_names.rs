//! The DNS fallback measured: with every server name hidden, what does the client's own DNS say, and is it the same
//! service? Over all captures that hold both. Skipped where `../shared` is absent. The figures stand in docs/names.md.

use egret::capture::{Batch, Replay, Source};
use egret::decode::Packet;
use egret::detect::dns::{Resolved, is_behind_alias};
use egret::front::{Front, Sink};
use egret::observe::{FlowId, Telling};
use egret::parse::{Ech, NameSource};
use egret::signatures::Catalogue;
use egret::units::Timestamp;
use egret::worker::{Worker, WorkerConfig};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Hands packets to a worker at once.
struct To<'w>(&'w mut Worker);

impl<'b> Sink<'b> for To<'_> {
    fn lent(&mut self, packet: Packet<'b>) {
        self.0.packets(&[packet]);
    }

    fn passing(&mut self, packet: &Packet<'_>) {
        self.0.packets(std::slice::from_ref(packet));
    }

    fn tick(&mut self, now: Timestamp, ordinal: u64) {
        self.0.tick(now, ordinal);
    }
}

#[derive(Default, Debug)]
struct Count {
    /// Flows with a server name of their own.
    named: u32,
    /// Of these, in captures with DNS answers for their client.
    with_dns: u32,
    /// DNS knows only what an alias leads to: no answer.
    aliases: u32,
    /// DNS answers for the address.
    answered: u32,
    /// The name is the same.
    same_name: u32,
    /// The service is the same, none on either side included.
    same_service: u32,
    /// Flows that DNS gives a service, and of these those whose own name gives the same.
    serviced: (u32, u32),
    /// Flows that have a service by their own name, and none by DNS: the client asked for an alias only.
    lost: u32,
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            files(&path, found);
        } else if name.contains("pcap") || path.extension().is_some_and(|e| e == "cap") {
            found.push(path);
        }
    }
}

fn measure(path: &Path, catalogue: &Catalogue, count: &mut Count) {
    let mut worker = Worker::new(WorkerConfig { flows: 1 << 14, ..WorkerConfig::default() });
    let (mut front, mut batch) = (Front::default(), Batch::default());
    let mut source = Replay::open(&[path.to_path_buf()]);
    let (mut resolved, mut clients, mut seen) = (Resolved::default(), HashSet::new(), HashSet::new());
    let mut hear = |worker: &mut Worker, count: &mut Count| {
        for told in worker.take_told() {
            match told.what {
                Telling::Dns(answer) => {
                    if answer.response && !answer.addresses.is_empty() {
                        clients.insert(answer.ends.originator);
                    }
                    resolved.learn(&answer, told.now);
                }
                Telling::Named { flow, ends, facts, .. } => {
                    let Some((name, NameSource::Sni | NameSource::QuicSni)) = &facts.name else { continue };
                    let ech = facts.tls.as_ref().map_or(Ech::None, |t| t.ech);
                    if ech == Ech::RealLikely || !seen.insert(flow) {
                        continue;
                    }
                    count.named += 1;
                    count.with_dns += u32::from(clients.contains(&ends.originator));
                    let told = resolved.name(ends.originator, ends.responder, false, told.now);
                    let Some((told, _)) = told else { continue };
                    if is_behind_alias(&told.name) {
                        count.aliases += 1;
                        continue;
                    }
                    let name = name.to_ascii_lowercase();
                    let service = |name: &str| catalogue.classify(name).map(|v| v.service);
                    let (by_dns, by_sni) = (service(&told.name), service(&name));
                    count.answered += 1;
                    count.same_name += u32::from(*told.name == *name);
                    count.same_service += u32::from(by_dns == by_sni);
                    if by_dns.is_some() {
                        count.serviced.0 += 1;
                        count.serviced.1 += u32::from(by_dns == by_sni);
                    }
                    count.lost += u32::from(by_dns.is_none() && by_sni.is_some());
                    if by_dns != by_sni {
                        println!("{}: {name} by SNI, {} by DNS", path.display(), told.name);
                    }
                }
                _ => {}
            }
        }
    };
    while source.fill(&mut batch) {
        front.batch(&batch, &mut To(&mut worker));
        hear(&mut worker, count);
    }
    front.finish(&mut To(&mut worker));
    worker.finish(front.now(), u64::MAX);
    hear(&mut worker, count);
    let _: HashSet<FlowId> = seen;
}

#[test]
fn dns_tells_the_same_service_as_the_hidden_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut captures = Vec::new();
    files(&root.join("../shared/data/captures"), &mut captures);
    if captures.is_empty() {
        println!("skipped: ../shared is not there");
        return;
    }
    files(&root.join("pcaps"), &mut captures);
    captures.sort();
    // Its hello says another name on purpose.
    captures.retain(|path| !path.to_string_lossy().contains("sni-against-dns"));
    let (catalogue, mut count) = (Catalogue::builtin(), Count::default());
    for capture in &captures {
        measure(capture, &catalogue, &mut count);
    }
    println!("{} captures: {count:?}", captures.len());
    assert!(count.answered >= 50, "{count:?}");
    assert!(f64::from(count.same_service) >= 0.97 * f64::from(count.answered), "{count:?}");
    assert!(f64::from(count.serviced.1) >= 0.97 * f64::from(count.serviced.0), "{count:?}");
}
