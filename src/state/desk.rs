//! What commands ask of a state file and write into it: incidents, silences, verdicts.

use super::policy::Silence;
use super::{Damage, Store};
use crate::output::stamp::Clock;
use crate::units::{Bytes, Timestamp};
use rusqlite::{OptionalExtension, Row, params};
use std::collections::BTreeMap;

/// A time for people and for columns: `2026-01-31 23:59:59`, UTC.
pub fn written(nanos: i64) -> String {
    let mut out = Vec::new();
    Clock::default().people(Timestamp::from_nanos(nanos), &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// An incident in a list.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// When it was opened and when it was written last.
    pub opened: String,
    /// See `opened`.
    pub updated: String,
    /// It goes on.
    pub open: bool,
    /// Severity.
    pub severity: String,
    /// Lane.
    pub lane: String,
    /// Address of the host.
    pub host: Option<String>,
    /// Name of the host.
    pub host_name: Option<String>,
    /// Destination.
    pub name: Option<String>,
    /// Service.
    pub service: Option<String>,
    /// Bytes out.
    pub up_bytes: u64,
    /// What was judged of it.
    pub verdict: Option<String>,
    /// One sentence.
    pub text: String,
    /// The newest record, as EVE.
    pub record: String,
    /// Bytes out up to the last checkpoint, where that is more than the newest record says.
    pub so_far: Option<u64>,
}

const COLUMNS: &str = "incident.id, opened, updated, open, severity, lane, host, host_name, name, service, up_bytes, \
                       verdict.verdict, text, record";

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    Ok(Listed {
        id: row.get(0)?,
        opened: row.get(1)?,
        updated: row.get(2)?,
        open: row.get(3)?,
        severity: row.get(4)?,
        lane: row.get(5)?,
        host: row.get(6)?,
        host_name: row.get(7)?,
        name: row.get(8)?,
        service: row.get(9)?,
        up_bytes: row.get::<_, i64>(10)?.max(0) as u64,
        verdict: row.get(11)?,
        text: row.get(12)?,
        record: row.get(13)?,
        so_far: None,
    })
}

/// What was found under an id.
#[derive(Clone, PartialEq, Debug)]
pub enum Found {
    /// One.
    One(Box<Listed>),
    /// None.
    None,
    /// Several begin or end so; some of their ids.
    Several(Vec<String>),
}

/// A silence as it stands in the file.
#[derive(Clone, PartialEq, Debug)]
pub struct Kept {
    /// What it says.
    pub silence: Silence,
    /// The incident it was made for.
    pub incident: String,
    /// How often it was hit, and when last.
    pub hits: u64,
    /// See `hits`.
    pub last_hit: Option<String>,
}

impl Store {
    /// Incidents by severity and age, the newest last. `since`: updated at that time or later, as written.
    pub fn incidents(&self, open: bool, since: Option<&str>) -> Result<Vec<Listed>, Damage> {
        let sql = format!(
            "SELECT {COLUMNS} FROM incident LEFT JOIN verdict ON verdict.id = incident.id
             WHERE (?1 = 0 OR open = 1) AND updated >= coalesce(?2, '') ORDER BY opened, incident.id"
        );
        let read = || -> rusqlite::Result<Vec<Listed>> {
            self.connection.prepare(&sql)?.query_map(params![open, since], listed)?.collect()
        };
        let mut all = read().map_err(|error| self.damage(&error))?;
        self.bring_up_to_date(&mut all)?;
        Ok(all)
    }

    /// Adds what has gone out since the newest record of each: open incidents are written when they have grown a lot.
    fn bring_up_to_date(&self, incidents: &mut [Listed]) -> Result<(), Damage> {
        let sql = "SELECT incident, incident_bytes FROM upload WHERE incident != ''
                   UNION ALL SELECT incident, incident_bytes FROM suspicion WHERE incident != ''";
        let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?.max(0) as u64));
        let read = || -> rusqlite::Result<Vec<(String, u64)>> {
            self.connection.prepare(sql)?.query_map([], row)?.collect()
        };
        let mut most: BTreeMap<String, u64> = BTreeMap::new();
        for (id, bytes) in read().map_err(|error| self.damage(&error))? {
            let kept = most.entry(id).or_default();
            *kept = bytes.max(*kept);
        }
        for incident in incidents {
            let bytes = most.get(&incident.id).copied();
            incident.so_far = bytes.filter(|bytes| *bytes > incident.up_bytes);
        }
        Ok(())
    }

    /// The incident with this id, or the only one whose id ends so.
    pub fn incident(&self, id: &str) -> Result<Found, Damage> {
        let sql = format!(
            "SELECT {COLUMNS} FROM incident LEFT JOIN verdict ON verdict.id = incident.id
             WHERE incident.id = ?1 OR (length(?1) >= 4 AND substr(incident.id, -length(?1)) = upper(?1))
             ORDER BY incident.id = ?1 DESC LIMIT 9"
        );
        let read = || -> rusqlite::Result<Vec<Listed>> {
            self.connection.prepare(&sql)?.query_map([id], listed)?.collect()
        };
        let mut all = read().map_err(|error| self.damage(&error))?;
        self.bring_up_to_date(&mut all)?;
        Ok(match all.len() {
            0 => Found::None,
            n if n == 1 || all.first().is_some_and(|first| first.id == id) => {
                Found::One(Box::new(all.swap_remove(0)))
            }
            _ => Found::Several(all.into_iter().map(|i| i.id).collect()),
        })
    }

    /// Writes a silence down and gives its number.
    pub fn silence(&mut self, incident: &str, s: &Silence, now: Timestamp) -> Result<i64, Damage> {
        let sql = "INSERT INTO silence(incident, host, service, name, bytes, made, expires, expires_nanos, owner, reason)
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let done = self.connection.execute(
            sql,
            params![
                incident,
                s.host.map(|h| h.to_string()),
                s.service,
                s.name,
                i64::try_from(s.budget.0).unwrap_or(i64::MAX),
                written(now.nanos()),
                written(s.expires.nanos()),
                s.expires.nanos(),
                s.owner,
                s.reason
            ],
        );
        done.map_err(|error| self.damage(&error))?;
        Ok(self.connection.last_insert_rowid())
    }

    /// All silences.
    pub fn silences(&self) -> Result<Vec<Kept>, Damage> {
        let sql = "SELECT number, incident, host, service, name, bytes, expires_nanos, owner, reason, hits, last_hit
                   FROM silence ORDER BY number";
        let kept = |row: &Row<'_>| -> rusqlite::Result<Kept> {
            Ok(Kept {
                incident: row.get(1)?,
                silence: Silence {
                    number: row.get(0)?,
                    host: row.get::<_, Option<String>>(2)?.and_then(|ip| ip.parse().ok()),
                    service: row.get(3)?,
                    name: row.get(4)?,
                    budget: Bytes(row.get::<_, i64>(5)?.max(0) as u64),
                    expires: Timestamp::from_nanos(row.get(6)?),
                    owner: row.get(7)?,
                    reason: row.get(8)?,
                },
                hits: row.get::<_, i64>(9)?.max(0) as u64,
                last_hit: row.get(10)?,
            })
        };
        let read = || -> rusqlite::Result<Vec<Kept>> {
            self.connection.prepare(sql)?.query_map([], kept)?.collect()
        };
        read().map_err(|error| self.damage(&error))
    }

    /// Ends a silence now. False: there is none of this number.
    pub fn end_silence(&mut self, number: i64, now: Timestamp) -> Result<bool, Damage> {
        let sql =
            "UPDATE silence SET expires = ?2, expires_nanos = ?3 WHERE number = ?1 AND expires_nanos > ?3";
        let there = "SELECT count(*) FROM silence WHERE number = ?1";
        let end = || -> rusqlite::Result<bool> {
            self.connection.execute(sql, params![number, written(now.nanos()), now.nanos()])?;
            self.connection.query_row(there, [number], |row| row.get::<_, i64>(0)).map(|n| n > 0)
        };
        end().map_err(|error| self.damage(&error))
    }

    /// Counts silences that were hit.
    pub fn count_hits(&mut self, hits: &BTreeMap<i64, (u64, Timestamp)>) -> Result<(), Damage> {
        let write = || -> rusqlite::Result<()> {
            let sql = "UPDATE silence SET hits = hits + ?2, last_hit = ?3 WHERE number = ?1";
            let mut statement = self.connection.prepare_cached(sql)?;
            for (number, (count, last)) in hits {
                statement.execute(params![number, *count as i64, written(last.nanos())])?;
            }
            Ok(())
        };
        write().map_err(|error| self.damage(&error))
    }

    /// Writes a verdict down; a later one replaces it.
    pub fn judge(
        &mut self,
        id: &str,
        verdict: &str,
        owner: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), Damage> {
        let sql = "INSERT OR REPLACE INTO verdict VALUES(?1, ?2, ?3, ?4, ?5)";
        let done = self.connection.execute(sql, params![id, verdict, owner, reason, written(now.nanos())]);
        done.map(drop).map_err(|error| self.damage(&error))
    }

    /// Destinations and when each was first seen, in seconds.
    pub fn destinations(&self) -> Result<Vec<(String, i64)>, Damage> {
        let read = || -> rusqlite::Result<Vec<(String, i64)>> {
            let mut statement =
                self.connection.prepare("SELECT name, first_seen FROM destination ORDER BY id")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        read().map_err(|error| self.damage(&error))
    }

    /// The clock of the last checkpoint.
    pub fn now(&self) -> Result<Option<Timestamp>, Damage> {
        let text = self.meta("now_nanos")?;
        Ok(text.and_then(|t| t.parse().ok()).map(Timestamp::from_nanos))
    }

    /// Rises when another program has written.
    pub fn data_version(&self) -> Result<i64, Damage> {
        let read = self.connection.pragma_query_value(None, "data_version", |row| row.get(0));
        read.map_err(|error| self.damage(&error))
    }

    /// Keeps a configuration as it was loaded, unless it is the one in force; `changed`: keys that differ from the one
    /// before. Gives when it was loaded first.
    pub fn note_configuration(&mut self, hash: &str, text: &str, now: Timestamp) -> Result<(), Damage> {
        let note = || -> rusqlite::Result<()> {
            let sql = "SELECT hash, text FROM configuration ORDER BY number DESC LIMIT 1";
            let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
            let last = self.connection.query_row(sql, [], row).optional()?;
            if last.as_ref().is_some_and(|(old, _)| old == hash) {
                return Ok(());
            }
            let changed = last.map_or_else(String::new, |(_, old)| changed_keys(&old, text).join(", "));
            let sql =
                "INSERT INTO configuration(at, at_nanos, hash, changed, text) VALUES(?1, ?2, ?3, ?4, ?5)";
            let at = written(now.nanos());
            self.connection.execute(sql, params![at, now.nanos(), hash, changed, text]).map(drop)
        };
        note().map_err(|error| self.damage(&error))
    }

    /// The newest change of the configuration, if it is not the first: when, and which keys.
    pub fn last_change(&self) -> Result<Option<(Timestamp, String)>, Damage> {
        let sql =
            "SELECT at_nanos, changed FROM configuration WHERE changed != '' ORDER BY number DESC LIMIT 1";
        let row = |row: &Row<'_>| Ok((Timestamp::from_nanos(row.get(0)?), row.get(1)?));
        self.connection.query_row(sql, [], row).optional().map_err(|error| self.damage(&error))
    }
}

/// Keys whose lines differ. Each line of the texts is `key = value`.
fn changed_keys(old: &str, new: &str) -> Vec<String> {
    fn lines(text: &str) -> BTreeMap<&str, &str> {
        text.lines().filter_map(|l| l.split_once(" = ")).collect()
    }
    let (old, new) = (lines(old), lines(new));
    let mut keys: Vec<&str> = old.keys().chain(new.keys()).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|key| old.get(key) != new.get(key));
    keys.into_iter().map(ToOwned::to_owned).collect()
}
