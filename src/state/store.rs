//! The SQLite file: opened, checked, read back, written in whole transactions.
//!
//! Journal mode WAL with `synchronous = NORMAL`: a process that is killed at any moment loses no committed transaction;
//! after a power failure the last ones may be missing, and the file is whole either way.

use super::kept::{Cell, Id, decode};
use super::{Batch, TABLES, Table, VERSION};
use crate::strict::shown;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use serde::de::DeserializeOwned;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `EGRT`: whose file it is, where `file` and SQLite tools look.
const APPLICATION: i32 = 0x4547_5254;
/// Another program that reads or writes is waited for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tables beside [`TABLES`].
const SCHEMA: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE part(name TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE incident(id TEXT PRIMARY KEY, opened TEXT, updated TEXT, open INTEGER, severity TEXT, lane TEXT,
  analytic TEXT, host TEXT, host_name TEXT, name TEXT, service TEXT, tenant TEXT, up_bytes INTEGER, records INTEGER,
  text TEXT, record TEXT NOT NULL);
CREATE INDEX incident_updated ON incident(updated);
CREATE TABLE incident_record(id TEXT, seq INTEGER, at TEXT, written INTEGER NOT NULL, line TEXT,
  PRIMARY KEY(id, seq)) WITHOUT ROWID;
CREATE INDEX incident_unwritten ON incident_record(written) WHERE written = 0;
CREATE TABLE silence(number INTEGER PRIMARY KEY, incident TEXT, host TEXT, service TEXT, name TEXT, bytes INTEGER,
  made TEXT, expires TEXT, expires_nanos INTEGER, owner TEXT, reason TEXT, hits INTEGER DEFAULT 0, last_hit TEXT);
CREATE TABLE verdict(id TEXT PRIMARY KEY, verdict TEXT, owner TEXT, reason TEXT, at TEXT) WITHOUT ROWID;
CREATE TABLE configuration(number INTEGER PRIMARY KEY, at TEXT, at_nanos INTEGER, hash TEXT, changed TEXT, text TEXT);
CREATE VIEW baseline AS SELECT host.name AS host, destination.name AS destination, destination.kind AS kind,
  date(pair.first_day * 86400, 'unixepoch') AS first_day, date(pair.last_day * 86400, 'unixepoch') AS last_day,
  pair.bytes_today AS bytes_of_last_day
  FROM pair JOIN host ON host.id = pair.host JOIN destination ON destination.id = pair.destination;
";

/// Why a state file cannot be used, with the cure.
#[derive(Debug)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    pub what: String,
    /// What helps.
    pub cure: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.file.display(), self.what, self.cure)
    }
}

/// What helps when the file itself is broken.
const RESTORE: &str = "restore it from a copy, or move it away to begin anew";

/// An open state file.
#[derive(Debug)]
pub struct Store {
    pub(super) connection: Connection,
    path: PathBuf,
    /// Held as long as this process changes the state.
    lock: Option<File>,
    new: bool,
}

impl Store {
    /// Opens the file to read and change what is learned; made when it is not there. One process at a time.
    pub fn open(path: &Path) -> Result<Self, Damage> {
        let lock = lock(path)?;
        let mut store = Self::connect(path, true)?;
        store.lock = Some(lock);
        Ok(store)
    }

    /// Opens a file that is there, for commands that read and judge while a sensor may be running.
    pub fn visit(path: &Path) -> Result<Self, Damage> {
        Self::connect(path, false)
    }

    fn connect(path: &Path, create: bool) -> Result<Self, Damage> {
        let damage = |what: String, cure: &str| Damage { file: path.to_owned(), what, cure: cure.to_owned() };
        if !create && !path.exists() {
            return Err(damage(
                "there is no such state file".to_owned(),
                "give the file that live, logs or replay were run with (--state)",
            ));
        }
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if create {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let opened = Connection::open_with_flags(path, flags);
        let connection = opened.map_err(|error| {
            damage(format!("cannot be opened: {error}"), "check the path and its permissions")
        })?;
        let mut store = Self { connection, path: path.to_owned(), lock: None, new: false };
        store.prepare().map_err(|error| store.damage(&error)).and_then(|new| {
            store.new = new;
            store.check()
        })?;
        Ok(store)
    }

    /// Settings, and the schema of a new file. True: it is new.
    fn prepare(&self) -> rusqlite::Result<bool> {
        let c = &self.connection;
        c.busy_timeout(PATIENCE)?;
        c.pragma_update(None, "trusted_schema", false)?;
        c.pragma_update(None, "cell_size_check", true)?;
        let tables: i64 = c.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables > 0 {
            return Ok(false);
        }
        c.pragma_update(None, "journal_mode", "WAL")?;
        c.pragma_update(None, "synchronous", "NORMAL")?;
        let mut schema = String::from("BEGIN IMMEDIATE;");
        schema.push_str(SCHEMA);
        for table in TABLES {
            let columns = table.columns.join(", ");
            schema.push_str(&format!(
                "CREATE TABLE {}(id PRIMARY KEY, {columns}, data BLOB) WITHOUT ROWID;",
                table.name
            ));
        }
        schema.push_str(&format!(
            "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
        ));
        c.execute_batch(&schema)?;
        Ok(true)
    }

    /// Whether the file is ours and of this version.
    fn check(&self) -> Result<(), Damage> {
        let pragma = |name: &str| self.connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let (whose, version) = pragma("application_id")
            .and_then(|whose| Ok((whose, pragma("user_version")?)))
            .map_err(|error| self.damage(&error))?;
        let damage = |what: String, cure: String| Damage { file: self.path.clone(), what, cure };
        if whose != APPLICATION {
            return Err(damage(
                "is an SQLite file of another program".to_owned(),
                "give another path with --state".to_owned(),
            ));
        }
        if version != VERSION {
            let other = if version > VERSION { "a newer" } else { "another" };
            return Err(damage(
                format!(
                    "was written by {other} version of Egret (state {version}, this one reads {VERSION})"
                ),
                "use that version, or give another path with --state".to_owned(),
            ));
        }
        // A file that was cut or overwritten shows here, or when the row is read.
        let whole = |table: &&Table| {
            let all = format!("SELECT id, data FROM {} LIMIT 1", table.name);
            self.connection.prepare(&all).map(|_| ())
        };
        TABLES.iter().try_for_each(whole).map_err(|error| self.damage(&error))
    }

    /// The file was made by this call.
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An error of SQLite for people.
    pub(super) fn damage(&self, error: &rusqlite::Error) -> Damage {
        let code = error.sqlite_error_code();
        let (what, cure) = match code {
            Some(ErrorCode::NotADatabase) => {
                ("is no state file".to_owned(), "give another path with --state")
            }
            Some(ErrorCode::DatabaseCorrupt) => (format!("is damaged: {error}"), RESTORE),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                ("is in use by another program".to_owned(), "try again when that is done")
            }
            Some(ErrorCode::DiskFull) => ("cannot be written: the disk is full".to_owned(), "make room"),
            Some(ErrorCode::ReadOnly) => {
                ("cannot be written".to_owned(), "check the permissions of the file and of its folder")
            }
            _ => (format!("cannot be used: {error}"), RESTORE),
        };
        Damage { file: self.path.clone(), what, cure: cure.to_owned() }
    }

    /// Something in it makes no sense.
    pub fn nonsense(&self, what: &str) -> Damage {
        Damage { file: self.path.clone(), what: format!("is damaged: {what}"), cure: RESTORE.to_owned() }
    }

    /// A part, where it is there.
    pub fn part<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Damage> {
        let found = self
            .connection
            .prepare_cached("SELECT data FROM part WHERE name = ?1")
            .and_then(|mut s| s.query_row([name], |row| row.get::<_, Vec<u8>>(0)).optional())
            .map_err(|error| self.damage(&error))?;
        let Some(bytes) = found else { return Ok(None) };
        match decode(&bytes) {
            Some(value) => Ok(Some(value)),
            None => Err(self.nonsense(&format!("part '{}' cannot be read", shown(name)))),
        }
    }

    /// Hands every row of a table over, by number where they have numbers.
    pub fn rows<T: super::Kept>(
        &self,
        mut take: impl FnMut(Id, T) -> Result<(), &'static str>,
    ) -> Result<(), Damage> {
        let table = T::TABLE.name;
        let mut read = || -> rusqlite::Result<Option<String>> {
            let mut statement =
                self.connection.prepare(&format!("SELECT id, data FROM {table} ORDER BY id"))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let id = match row.get_ref(0)? {
                    ValueRef::Integer(number) => Id::Number(number),
                    other => Id::Bytes(other.as_blob().unwrap_or_default().to_vec()),
                };
                let bytes = row.get_ref(1)?.as_blob().unwrap_or_default();
                let what = match decode(bytes) {
                    Some(value) => take(id.clone(), value).err(),
                    None => Some("it cannot be read"),
                };
                if let Some(what) = what {
                    return Ok(Some(format!("row {id} of table {table}: {what}")));
                }
            }
            Ok(None)
        };
        match read() {
            Ok(None) => Ok(()),
            Ok(Some(what)) => Err(self.nonsense(&what)),
            Err(error) => Err(self.damage(&error)),
        }
    }

    /// A remark of the file about itself.
    pub fn meta(&self, key: &str) -> Result<Option<String>, Damage> {
        self.connection
            .query_row("SELECT CAST(value AS TEXT) FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map(Option::flatten)
            .map_err(|error| self.damage(&error))
    }

    /// Writes all of it, or nothing.
    pub fn commit(
        &mut self,
        batch: &Batch,
        more: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), Damage> {
        let result = write(&mut self.connection, batch, more);
        result.map_err(|error| self.damage(&error))
    }

    /// A copy as a new file, open to be changed.
    pub fn copy(&self, file: &Path) -> Result<Self, Damage> {
        let to = |what: String, cure: &str| Damage { file: file.to_owned(), what, cure: cure.to_owned() };
        if file.exists() {
            return Err(to("is there already".to_owned(), "give another name, or remove it"));
        }
        let text = file.display().to_string();
        let failed = |error: &rusqlite::Error| {
            to(format!("cannot be written: {error}"), "check that the folder is there and may be written")
        };
        self.connection.execute("VACUUM INTO ?1", [&text]).map_err(|error| failed(&error))?;
        Self::open(file)
    }

    /// Leaves what is learned and nothing of what was found, said or read; ends the copy.
    pub fn strip(self) -> Result<(), Damage> {
        let all =
            "DELETE FROM incident; DELETE FROM incident_record; DELETE FROM silence; DELETE FROM verdict;
                   DELETE FROM configuration; DELETE FROM input; DELETE FROM upload; DELETE FROM suspicion;
                   DELETE FROM part WHERE name IN ('reading', 'flows', 'answers');";
        self.connection
            .execute_batch(all)
            .and_then(|()| self.connection.execute_batch("PRAGMA journal_mode = DELETE; VACUUM"))
            .map_err(|error| self.damage(&error))?;
        // Nobody else has ever held the lock of the copy.
        let _ = std::fs::remove_file(lock_name(&self.path));
        Ok(())
    }

    /// Takes what another file has learned in the place of what is known here. The file must have been read before.
    pub fn import(&mut self, file: &Path) -> Result<(), Damage> {
        let mut all = String::from("BEGIN IMMEDIATE; DELETE FROM part;");
        for table in TABLES.iter().filter(|t| t.name != super::INPUT.name) {
            all.push_str(&format!("DELETE FROM {0}; INSERT INTO {0} SELECT * FROM other.{0};", table.name));
        }
        // What has been read of logs, and was not told yet, belongs to what was known before.
        all.push_str("INSERT INTO part SELECT * FROM other.part WHERE name NOT IN ('reading', 'flows');");
        all.push_str("INSERT OR REPLACE INTO meta SELECT * FROM other.meta; COMMIT;");
        let text = file.display().to_string();
        let taken = self
            .connection
            .execute("ATTACH DATABASE ?1 AS other", [&text])
            .and_then(|_| self.connection.execute_batch(&all))
            .and_then(|()| self.connection.execute_batch("DETACH DATABASE other"));
        taken.map_err(|error| {
            // Nothing of it has been taken.
            let _ = self.connection.execute_batch("ROLLBACK");
            self.damage(&error)
        })
    }

    /// Empties the tables of everything that is learned; incidents, silences and verdicts stay.
    pub fn forget(&mut self) -> Result<(), Damage> {
        let mut all = String::from("BEGIN IMMEDIATE; DELETE FROM part; DELETE FROM meta;");
        for table in TABLES {
            all.extend(["DELETE FROM ", table.name, ";"]);
        }
        all.push_str("COMMIT;");
        self.connection.execute_batch(&all).map_err(|error| self.damage(&error))
    }
}

fn write(
    connection: &mut Connection,
    batch: &Batch,
    more: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    more(&transaction)?;
    for table in &batch.emptied {
        transaction.execute(&format!("DELETE FROM {}", table.name), [])?;
    }
    for row in &batch.rows {
        let table = row.table;
        let Some((cells, data)) = &row.value else {
            let statement = format!("DELETE FROM {} WHERE id = ?1", table.name);
            transaction.prepare_cached(&statement)?.execute([&row.id])?;
            continue;
        };
        let marks: String = (0..table.columns.len() + 2).map(|i| if i == 0 { "?" } else { ",?" }).collect();
        let statement = format!("INSERT OR REPLACE INTO {} VALUES({marks})", table.name);
        let mut statement = transaction.prepare_cached(&statement)?;
        statement.raw_bind_parameter(1, &row.id)?;
        for (i, cell) in cells.iter().enumerate() {
            statement.raw_bind_parameter(i + 2, cell)?;
        }
        statement.raw_bind_parameter(table.columns.len() + 2, data)?;
        statement.raw_execute()?;
    }
    for (name, data) in &batch.parts {
        let mut statement = transaction.prepare_cached("INSERT OR REPLACE INTO part VALUES(?1, ?2)")?;
        statement.execute(params![name, data])?;
    }
    let mut meta = transaction.prepare_cached("INSERT OR REPLACE INTO meta VALUES(?1, ?2)")?;
    meta.execute(params!["now_nanos", batch.now])?;
    meta.execute(params!["now", super::desk::written(batch.now)])?;
    meta.execute(params!["egret", env!("CARGO_PKG_VERSION")])?;
    drop(meta);
    transaction.commit()
}

fn lock_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// One process at a time may learn. The lock is a file of its own, so that readers of the state are not in the way.
fn lock(path: &Path) -> Result<File, Damage> {
    let name = lock_name(path);
    let damage = |what: String, cure: &str| Damage { file: path.to_owned(), what, cure: cure.to_owned() };
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(|error| {
        damage(
            format!("cannot be locked: {}: {error}", name.display()),
            "check that the folder is there and may be written",
        )
    })?;
    file.try_lock().map_err(|_| {
        damage("is in use by another egret".to_owned(), "stop that one, or give another path with --state")
    })?;
    Ok(file)
}

impl ToSql for Id {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Number(number) => ToSqlOutput::from(*number),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Int(number) => ToSqlOutput::from(*number),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}
