//! Incident records as they were written: each once, whatever happens between the state and the log.
//!
//! A record is noted before it goes to the logs and ticked off when it has gone. After a crash the same input gives the
//! same records again: those that are ticked off are left out. A live sensor has no input to read again; it writes what
//! is noted and not ticked off from the note.

use super::desk::written;
use super::policy::Silences;
use super::{Batch, Damage, Store};
use crate::output::file::OutputConfig;
use crate::output::{IncidentRecord, Phase, eve};
use rusqlite::{Connection, OptionalExtension, params};
use std::io::{Read as _, Seek as _};

/// Incidents kept; the longest unchanged go first.
const MAX_INCIDENTS: i64 = 100_000;

/// Bytes at the end of a log in which the last lines before a crash are looked for.
const TAIL: u64 = 4 << 20;

/// See the module.
pub struct Journal {
    store: Store,
    /// Nothing counts before the end: of a capture whose replay was cut off, nothing is kept.
    deferred: bool,
    waiting: Vec<(IncidentRecord, String)>,
    config: OutputConfig,
    silences: Silences,
    /// What the file's counter of changes said when silences were fetched.
    fetched: i64,
    /// The first thing that went wrong; the run goes on.
    fault: Option<Damage>,
}

/// A record that was noted and may not have reached the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unwritten {
    /// Incident.
    pub id: String,
    /// Number of the record.
    pub seq: u32,
    /// The line of EVE.
    pub line: String,
}

impl Journal {
    /// Notes records in `store`. `config`: as the logs are written.
    pub fn new(store: Store, deferred: bool, config: OutputConfig) -> Self {
        Self {
            store,
            deferred,
            waiting: Vec::new(),
            config,
            silences: Silences::default(),
            fetched: -1,
            fault: None,
        }
    }

    /// Notes records that are about to be written. Says of each whether it is to be written: not if it has been.
    pub fn note(&mut self, records: &[&IncidentRecord]) -> Vec<bool> {
        let lines: Vec<String> = records.iter().map(|r| eve::incident_line(r, &self.config)).collect();
        let result = if self.deferred {
            let known = records.iter().map(|r| Ok(!is_written(&self.store.connection, r)?));
            known.collect::<rusqlite::Result<Vec<bool>>>()
        } else {
            note(&mut self.store.connection, records, &lines)
        };
        let fresh = match result {
            Ok(fresh) => fresh,
            Err(error) => {
                self.fault.get_or_insert(self.store.damage(&error));
                vec![true; records.len()]
            }
        };
        if self.deferred {
            let new = records.iter().zip(lines).zip(&fresh).filter(|(_, fresh)| **fresh);
            self.waiting.extend(new.map(|((record, line), _)| ((*record).clone(), line)));
        }
        fresh
    }

    /// Ticks records off: they have reached the logs.
    pub fn tick(&mut self, records: &[&IncidentRecord]) {
        if self.deferred || records.is_empty() {
            return;
        }
        let tick = || -> rusqlite::Result<()> {
            let transaction = self.store.connection.unchecked_transaction()?;
            for record in records {
                tick(&transaction, &record.id, record.seq)?;
            }
            transaction.commit()
        };
        if let Err(error) = tick() {
            self.fault.get_or_insert(self.store.damage(&error));
        }
    }

    /// Writes a checkpoint, what was deferred until now, and the records that belong to the checkpoint and are about to
    /// be written; says of each of those whether it is to be.
    pub fn commit(&mut self, batch: &Batch, records: &[&IncidentRecord]) -> Vec<bool> {
        let waiting = std::mem::take(&mut self.waiting);
        let lines: Vec<String> = records.iter().map(|r| eve::incident_line(r, &self.config)).collect();
        let mut fresh = Vec::new();
        let result = self.store.commit(batch, |connection| {
            for (record, line) in &waiting {
                insert(connection, record, line, true)?;
            }
            fresh = note_all(connection, records, &lines)?;
            Ok(())
        });
        if let Err(damage) = result {
            self.fault.get_or_insert(damage);
            return vec![true; records.len()];
        }
        fresh
    }

    /// Records count at the end only.
    pub fn is_deferred(&self) -> bool {
        self.deferred
    }

    /// Silences are to be kept up to date here.
    pub fn watch(&mut self, silences: Silences) {
        self.silences = silences;
    }

    /// Fetches the silences in force.
    pub fn fetch(&mut self) -> Result<(), Damage> {
        self.fetched = self.store.data_version()?;
        let list = self.store.silences()?.into_iter().map(|kept| kept.silence).collect();
        self.silences.set(list);
        Ok(())
    }

    /// Fetches them when another program has written, and counts what was hit.
    pub fn fetch_if_changed(&mut self) {
        let hits = self.silences.take_hits();
        let counted = if hits.is_empty() { Ok(()) } else { self.store.count_hits(&hits) };
        let changed = self.store.data_version().map(|version| version != self.fetched);
        let result = counted.and(changed).and_then(|changed| if changed { self.fetch() } else { Ok(()) });
        if let Err(damage) = result {
            self.fault.get_or_insert(damage);
        }
    }

    /// What went wrong, once.
    pub fn fault(&mut self) -> Option<Damage> {
        self.fault.take()
    }

    /// The file.
    pub fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Ticks off what was noted before a crash and has reached the logs in `dir` all the same.
    pub fn settle_earlier(&mut self, dir: &std::path::Path) -> Result<(), Damage> {
        let unwritten = self.unwritten()?;
        if unwritten.is_empty() {
            return Ok(());
        }
        let tails: Vec<Vec<u8>> = ["eve.json", "egret.json"].iter().map(|n| tail(&dir.join(n))).collect();
        for record in unwritten {
            let marks = [format!("\"id\":\"{}\"", record.id), format!("\"seq\":{},", record.seq)];
            let has = |line: &[u8]| marks.iter().all(|m| memchr::memmem::find(line, m.as_bytes()).is_some());
            if tails.iter().any(|tail| tail.split(|b| *b == b'\n').any(has)) {
                self.settle(&record);
            }
        }
        Ok(())
    }

    /// Records that were noted and not ticked off.
    pub fn unwritten(&self) -> Result<Vec<Unwritten>, Damage> {
        let read = || -> rusqlite::Result<Vec<Unwritten>> {
            let sql = "SELECT id, seq, coalesce(line, '') FROM incident_record WHERE written = 0 ORDER BY at, id, seq";
            let mut statement = self.store.connection.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(Unwritten { id: row.get(0)?, seq: row.get(1)?, line: row.get(2)? })
            })?;
            rows.collect()
        };
        read().map_err(|error| self.store.damage(&error))
    }

    /// Ticks one off by name.
    pub fn settle(&mut self, unwritten: &Unwritten) {
        if let Err(error) = tick(&self.store.connection, &unwritten.id, unwritten.seq) {
            self.fault.get_or_insert(self.store.damage(&error));
        }
    }
}

/// The last lines of a log; nothing where there is none.
fn tail(path: &std::path::Path) -> Vec<u8> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(path)?;
        let from = file.metadata()?.len().saturating_sub(TAIL);
        file.seek(std::io::SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        file.take(TAIL).read_to_end(&mut tail)?;
        Ok(tail)
    };
    read().unwrap_or_default()
}

fn tick(connection: &Connection, id: &str, seq: u32) -> rusqlite::Result<()> {
    let sql = "UPDATE incident_record SET written = 1, line = NULL WHERE id = ?1 AND seq = ?2";
    connection.prepare_cached(sql)?.execute(params![id, seq]).map(drop)
}

fn is_written(connection: &Connection, record: &IncidentRecord) -> rusqlite::Result<bool> {
    let mut statement =
        connection.prepare_cached("SELECT written FROM incident_record WHERE id = ?1 AND seq = ?2")?;
    let found = statement.query_row(params![record.id, record.seq], |row| row.get::<_, i64>(0)).optional()?;
    Ok(found == Some(1))
}

fn note(
    connection: &mut Connection,
    records: &[&IncidentRecord],
    lines: &[String],
) -> rusqlite::Result<Vec<bool>> {
    let transaction = connection.transaction()?;
    let fresh = note_all(&transaction, records, lines)?;
    transaction.commit()?;
    Ok(fresh)
}

fn note_all(
    connection: &Connection,
    records: &[&IncidentRecord],
    lines: &[String],
) -> rusqlite::Result<Vec<bool>> {
    let mut fresh = Vec::with_capacity(records.len());
    for (record, line) in records.iter().zip(lines) {
        let new = !is_written(connection, record)?;
        if new {
            insert(connection, record, line, false)?;
        }
        fresh.push(new);
    }
    Ok(fresh)
}

fn insert(connection: &Connection, r: &IncidentRecord, line: &str, is_out: bool) -> rusqlite::Result<()> {
    let at = written(r.at.nanos());
    let mut statement =
        connection.prepare_cached("INSERT OR REPLACE INTO incident_record VALUES(?1, ?2, ?3, ?4, ?5)")?;
    statement.execute(params![r.id, r.seq, at, is_out, (!is_out).then_some(line)])?;
    let (host, class) = (r.identity.host.as_ref(), r.identity.class.as_ref());
    let mut statement = connection.prepare_cached(
        "INSERT INTO incident VALUES(?1,?2,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15) ON CONFLICT(id) DO UPDATE SET
         updated=?2, open=?3, severity=?4, lane=?5, analytic=?6, up_bytes=?12, records=?13, text=?14, record=?15
         WHERE records <= ?13",
    )?;
    statement.execute(params![
        r.id,
        at,
        r.phase != Phase::Final,
        r.severity.as_str(),
        r.lane,
        r.analytic,
        host.map(|h| h.ip.to_string()),
        host.and_then(|h| h.name.as_deref()),
        r.identity.name.as_deref(),
        class.map(|c| &*c.service),
        class.and_then(|c| c.tenant.as_deref()),
        i64::try_from(r.up_bytes).unwrap_or(i64::MAX),
        r.seq,
        r.text,
        line,
    ])?;
    if r.seq == 1 {
        prune(connection)?;
    }
    Ok(())
}

/// Keeps the table within its bound.
fn prune(connection: &Connection) -> rusqlite::Result<()> {
    let count: i64 =
        connection.prepare_cached("SELECT count(*) FROM incident")?.query_row([], |r| r.get(0))?;
    if count <= MAX_INCIDENTS + MAX_INCIDENTS / 10 {
        return Ok(());
    }
    let oldest = "SELECT id FROM incident ORDER BY updated LIMIT ?1";
    let over = count - MAX_INCIDENTS;
    connection.execute(&format!("DELETE FROM incident_record WHERE id IN ({oldest})"), [over])?;
    connection.execute(&format!("DELETE FROM incident WHERE id IN ({oldest})"), [over]).map(drop)
}
