//! The only writer: everything that a run leaves on disk goes through [`Outputs`].
//!
//! Each file is buffered and flushed at line borders only, so that every line in it is whole. When the disk is full
//! the lines that did not fit are counted as dropped, a half-written one is cut off, and the run goes on. A file of
//! an earlier run with the same name is replaced.

use super::{Format, IncidentRecord, OUTPUTS, Output, Record};
use crate::state::Batch;
use crate::state::journal::Journal;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes at the end of a file in which an earlier run's last lines are looked for.
const TAIL: u64 = 4 << 20;

/// Bytes held back per file before they are written.
const BUFFER_LEN: usize = 256 * 1024;

/// What belongs to the site's own network.
pub type IsHome = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// What to write and how.
#[derive(Clone)]
pub struct OutputConfig {
    /// Directory, created when it is not there.
    pub dir: PathBuf,
    /// Which outputs; see [`kinds`].
    pub kinds: Vec<&'static Output>,
    /// Our own EVE record types go to `eve.json` instead of `egret.json`.
    pub own_types_in_eve: bool,
    /// Incidents of low severity are `alert` records too.
    pub low_as_alert: bool,
    /// Permissions of new files (Unix).
    pub mode: u32,
    /// Seed of the Community ID.
    pub community_id_seed: u16,
    /// Name of the sensor in every record (`host`); none: left out.
    pub sensor: Option<String>,
    /// Capture interface (`in_iface`); none in replay.
    pub interface: Option<String>,
    /// Version of Egret.
    pub version: String,
    /// Version of the signatures.
    pub signatures_version: String,
    /// Logs of an earlier run are added to, not replaced: this run goes on where that one ended.
    pub append: bool,
    /// What is home, for Zeek's `local_resp`; without it only the named home side of a flow is.
    pub is_home: Option<IsHome>,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("egret-out"),
            kinds: vec![&super::eve::OUTPUT],
            own_types_in_eve: false,
            low_as_alert: false,
            mode: 0o640,
            community_id_seed: 0,
            sensor: None,
            interface: None,
            version: env!("CARGO_PKG_VERSION").to_string(),
            signatures_version: "0".to_string(),
            append: false,
            is_home: None,
        }
    }
}

/// The outputs that a comma-separated list such as `eve,zeek-tsv` names; `none` names none.
pub fn kinds(list: &str) -> Result<Vec<&'static Output>, String> {
    let mut found: Vec<&'static Output> = Vec::new();
    for word in list.split(',').map(str::trim).filter(|w| !w.is_empty() && *w != "none") {
        let Some(output) = OUTPUTS.iter().find(|o| o.name == word).copied() else {
            let known: Vec<_> = OUTPUTS.iter().map(|o| o.name).collect();
            return Err(format!("'{word}' is no output; known are {} and none", known.join(", ")));
        };
        if let Some(other) = found.iter().find(|o| o.files.iter().any(|f| output.files.contains(f))) {
            if other.name == output.name {
                continue;
            }
            return Err(format!(
                "{} and {} write files of the same names; ask for one of them",
                other.name, output.name
            ));
        }
        found.push(output);
    }
    Ok(found)
}

/// All outputs of a run.
pub struct Outputs {
    formats: Vec<(Box<dyn Format>, Files)>,
    journal: Option<Box<Journal>>,
}

impl Outputs {
    /// Creates the directory and the files. Fails when that is not possible, naming the path.
    pub fn new(config: &OutputConfig) -> io::Result<Self> {
        if !config.kinds.is_empty() {
            fs::create_dir_all(&config.dir).map_err(|e| with_path(&e, &config.dir))?;
        }
        let shared = Arc::new(config.clone());
        let mut formats = Vec::with_capacity(config.kinds.len());
        for output in &config.kinds {
            let mut files = Files::new(&shared, output.files);
            if !config.append {
                files.forget_earlier();
            }
            let format = (output.make)(&shared, &mut files)?;
            formats.push((format, files));
        }
        Ok(Self { formats, journal: None })
    }

    /// With a journal of incidents: a record that has been written by an earlier run is not written again.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal) -> Self {
        self.journal = Some(Box::new(journal));
        self
    }

    /// The journal, where there is one.
    pub fn journal(&mut self) -> Option<&mut Journal> {
        self.journal.as_deref_mut()
    }

    /// Writes records together with the checkpoint that they belong to: both, or none.
    pub fn write_with(&mut self, batch: &Batch, records: &[Record]) {
        let is_fresh = self.journal.as_mut().map(|journal| journal.commit(batch, &incidents(records)));
        self.write_fresh(records, is_fresh.unwrap_or_default());
    }

    fn write_fresh(&mut self, records: &[Record], is_fresh: Vec<bool>) {
        let mut is_fresh = is_fresh.into_iter();
        for record in records {
            if !matches!(record, Record::Incident(_)) || is_fresh.next().unwrap_or(true) {
                for (format, files) in &mut self.formats {
                    format.write(record, files);
                }
            }
        }
        if let Some(mut journal) = self.journal.take() {
            let written = incidents(records);
            if !written.is_empty() && !journal.is_deferred() {
                self.flush();
                journal.tick(&written);
            }
            self.journal = Some(journal);
        }
    }

    /// Writes a line that an earlier run has noted and may not have written, unless it stands there already.
    pub fn repeat(&mut self, line: &str, marks: &[String]) {
        for (_, files) in &mut self.formats {
            files.repeat(line, marks);
        }
    }

    /// Writes a record to every output that knows its kind.
    pub fn write(&mut self, record: &Record) {
        let record = std::slice::from_ref(record);
        let noted = incidents(record);
        let is_fresh = match &mut self.journal {
            Some(journal) if !noted.is_empty() => journal.note(&noted),
            _ => return self.write_fresh_plain(record),
        };
        self.write_fresh(record, is_fresh);
    }

    fn write_fresh_plain(&mut self, records: &[Record]) {
        for record in records {
            for (format, files) in &mut self.formats {
                format.write(record, files);
            }
        }
    }

    /// Hands all buffered lines to the operating system.
    pub fn flush(&mut self) {
        for (_, files) in &mut self.formats {
            files.flush();
        }
    }

    /// Lines written (or still buffered) and lines lost.
    pub fn counters(&self) -> (u64, u64) {
        let sum = |f: fn(&Files) -> u64| self.formats.iter().map(|(_, files)| f(files)).sum();
        let dropped: u64 = sum(|f| f.dropped);
        (sum(|f| f.lines) - dropped, dropped)
    }

    /// Writes what is left and says which files there are. Fails when lines were lost, with the first reason; the
    /// files hold everything else.
    pub fn finish(mut self) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        let mut fault = None;
        for (format, files) in &mut self.formats {
            format.finish(files);
            files.flush();
            fault = fault.or(files.fault.take());
            paths.extend(files.open.iter().flatten().map(|f| f.path.clone()));
        }
        match fault {
            Some(e) => Err(e),
            None => Ok(paths),
        }
    }
}

fn incidents<'r>(records: &'r [Record]) -> Vec<&'r IncidentRecord> {
    let incident = |record: &'r Record| match record {
        Record::Incident(incident) => Some(&**incident),
        _ => None,
    };
    records.iter().filter_map(incident).collect()
}

/// The files of one output: opened at the first line, by number in [`Output::files`].
pub struct Files {
    dir: PathBuf,
    mode: u32,
    append: bool,
    names: &'static [&'static str],
    open: Vec<Option<LineFile>>,
    lines: u64,
    dropped: u64,
    fault: Option<io::Error>,
}

struct LineFile {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// Lines in the buffer.
    waiting: u64,
    /// Bytes in the file, all of them whole lines.
    len: u64,
}

impl Files {
    fn new(config: &OutputConfig, names: &'static [&'static str]) -> Self {
        let open = names.iter().map(|_| None).collect();
        Self {
            dir: config.dir.clone(),
            mode: config.mode,
            append: config.append,
            names,
            open,
            lines: 0,
            dropped: 0,
            fault: None,
        }
    }

    /// Removes what an earlier run has left under our names: a log that this run has no record for must not seem
    /// to be of this run.
    fn forget_earlier(&self) {
        for path in self.names.iter().map(|name| self.dir.join(name)) {
            if fs::symlink_metadata(&path).is_ok_and(|m| m.is_file()) {
                // What cannot be removed shows when it is opened.
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// Opens file number `file` now, even if no line ever comes.
    pub fn create(&mut self, file: usize) -> io::Result<()> {
        let (Some(name), Some(slot)) = (self.names.get(file), self.open.get_mut(file)) else { return Ok(()) };
        if slot.is_none() {
            let path = self.dir.join(name);
            *slot = Some(open(&path, self.mode, self.append).map_err(|e| with_path(&e, &path))?);
        }
        Ok(())
    }

    /// Whether file number `file` is open.
    pub fn is_open(&self, file: usize) -> bool {
        self.open.get(file).is_some_and(Option::is_some)
    }

    /// Appends one line to file number `file`; `fill` writes it without the line end.
    pub fn line(&mut self, file: usize, fill: impl FnOnce(&mut Vec<u8>)) {
        self.lines += 1;
        self.append(file, 1, fill);
    }

    /// Appends a line that is no record (a header or footer) and not counted.
    pub fn remark(&mut self, file: usize, fill: impl FnOnce(&mut Vec<u8>)) {
        self.append(file, 0, fill);
    }

    fn append(&mut self, file: usize, count: u64, fill: impl FnOnce(&mut Vec<u8>)) {
        if let Err(e) = self.create(file) {
            self.fault.get_or_insert(e);
        }
        let Some(Some(open)) = self.open.get_mut(file) else {
            self.dropped += count;
            return;
        };
        fill(&mut open.buffer);
        open.buffer.push(b'\n');
        open.waiting += count;
        if open.buffer.len() >= BUFFER_LEN {
            self.flush_one(file);
        }
    }

    /// Appends a line of EVE to the file it belongs to, unless all marks stand in one of the last lines of our files.
    fn repeat(&mut self, line: &str, marks: &[String]) {
        let has = |text: &[u8], mark: &str| memchr::memmem::find(text, mark.as_bytes()).is_some();
        let stands = |path: &PathBuf| {
            let tail = tail_of(path).unwrap_or_default();
            tail.split(|b| *b == b'\n').any(|l| marks.iter().all(|mark| has(l, mark)))
        };
        if !self.names.contains(&"eve.json") || self.names.iter().any(|n| stands(&self.dir.join(n))) {
            return;
        }
        let own = line.contains("\"event_type\":\"incident\"");
        let file = self.names.iter().position(|n| *n == if own { "egret.json" } else { "eve.json" });
        self.line(file.unwrap_or_default(), |out| out.extend_from_slice(line.as_bytes()));
    }

    fn flush(&mut self) {
        for file in 0..self.open.len() {
            self.flush_one(file);
        }
    }

    fn flush_one(&mut self, file: usize) {
        let Some(Some(open)) = self.open.get_mut(file) else { return };
        if let Err(e) = open.flush() {
            self.dropped += open.waiting;
            self.fault.get_or_insert_with(|| with_path(&e, &open.path));
        }
        open.buffer.clear();
        open.waiting = 0;
    }
}

impl LineFile {
    fn flush(&mut self) -> io::Result<()> {
        let written = self.file.write_all(&self.buffer);
        if written.is_ok() {
            self.len += self.buffer.len() as u64;
        } else {
            // The buffer may have gone out in part: back to the last whole line. A pipe cannot, and need not.
            let _ = self.file.set_len(self.len);
            let _ = self.file.seek(SeekFrom::Start(self.len));
        }
        written
    }
}

fn open(path: &std::path::Path, mode: u32, append: bool) -> io::Result<LineFile> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(!append);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(path)?;
    let len = if append { whole_lines(path, &mut file)? } else { 0 };
    #[cfg(unix)]
    if file.metadata()?.is_file() {
        // The umask may have taken away what the site asked for; other readers depend on it.
        let _ = file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    }
    let buffer = Vec::with_capacity(BUFFER_LEN + BUFFER_LEN / 8);
    Ok(LineFile { path: path.to_path_buf(), file, buffer, waiting: 0, len })
}

/// Goes to the end of the last whole line: who was killed may have left half of one.
fn whole_lines(path: &std::path::Path, file: &mut File) -> io::Result<u64> {
    if !file.metadata()?.is_file() {
        return Ok(0);
    }
    let end = file.metadata()?.len();
    let tail = tail_of(path)?;
    let half = tail.len() - tail.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let len = end.saturating_sub(half as u64);
    file.set_len(len)?;
    file.seek(SeekFrom::Start(len))?;
    Ok(len)
}

/// The last bytes of a file.
fn tail_of(path: &std::path::Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    io::Read::take(file, TAIL).read_to_end(&mut tail)?;
    Ok(tail)
}

fn with_path(e: &io::Error, path: &std::path::Path) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn config(name: &str, list: &str) -> OutputConfig {
        let dir = std::env::temp_dir().join(format!("egret-file-{name}-{}", std::process::id()));
        OutputConfig { dir, kinds: kinds(list).unwrap_or_default(), ..OutputConfig::default() }
    }

    #[test]
    fn lists_of_outputs() {
        let names = |list| kinds(list).map(|k| k.iter().map(|o| o.name).collect::<Vec<_>>());
        assert_eq!(names("eve, zeek-tsv"), Ok(vec!["eve", "zeek-tsv"]));
        assert_eq!(names("none"), Ok(vec![]));
        assert_eq!(names("eve,eve"), Ok(vec!["eve"]));
        assert!(names("zeek-tsv,zeek-json").is_err_and(|e| e.contains("same names")));
        assert!(names("csv").is_err_and(|e| e.contains("eve, zeek-tsv, zeek-json and none")));
    }

    #[test]
    fn eve_files_are_there_even_without_a_record() -> io::Result<()> {
        let config = config("empty", "eve");
        let paths = Outputs::new(&config)?.finish()?;
        assert_eq!(paths, [config.dir.join("eve.json"), config.dir.join("egret.json")]);
        assert_eq!(fs::read(&paths[0])?, b"");
        fs::remove_dir_all(&config.dir)
    }

    #[test]
    fn nothing_asked_for_leaves_no_directory() -> io::Result<()> {
        let config = config("none", "none");
        let mut outputs = Outputs::new(&config)?;
        outputs.write(&samples::flow());
        assert_eq!((outputs.counters(), outputs.finish()?), ((0, 0), vec![]));
        assert!(!config.dir.exists());
        Ok(())
    }

    #[test]
    fn an_earlier_run_is_replaced() -> io::Result<()> {
        let config = config("again", "zeek-tsv");
        fs::create_dir_all(&config.dir)?;
        for name in ["conn.log", "ssl.log", "mine.log"] {
            fs::write(config.dir.join(name), "old")?;
        }
        let mut outputs = Outputs::new(&config)?;
        outputs.write(&samples::flow());
        outputs.finish()?;
        assert!(fs::read_to_string(config.dir.join("conn.log"))?.starts_with("#separator"));
        assert!(!config.dir.join("ssl.log").exists());
        assert_eq!(fs::read_to_string(config.dir.join("mine.log"))?, "old");
        fs::remove_dir_all(&config.dir)
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_those_asked_for() -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let config = OutputConfig { mode: 0o604, ..config("mode", "eve") };
        for path in Outputs::new(&config)?.finish()? {
            assert_eq!(fs::metadata(path)?.permissions().mode() & 0o777, 0o604);
        }
        fs::remove_dir_all(&config.dir)
    }

    #[test]
    fn a_file_in_the_way_is_named() -> io::Result<()> {
        let config = config("blocked", "eve");
        fs::create_dir_all(config.dir.join("eve.json"))?;
        let message = Outputs::new(&config).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains("eve.json"), "{message}");
        fs::remove_dir_all(&config.dir)
    }

    /// `/dev/full` fails every write as a full disk does.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_costs_lines_and_nothing_else() -> io::Result<()> {
        let config = config("full", "eve");
        fs::create_dir_all(&config.dir)?;
        std::os::unix::fs::symlink("/dev/full", config.dir.join("eve.json"))?;
        let mut outputs = Outputs::new(&config)?;
        for _ in 0..1_000 {
            outputs.write(&samples::flow());
        }
        outputs.write(&samples::flow_update());
        outputs.flush();
        assert_eq!(outputs.counters(), (1, 1_000));
        let message = outputs.finish().err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains("eve.json"), "{message}");
        assert_eq!(fs::read_to_string(config.dir.join("egret.json"))?.lines().count(), 1);
        fs::remove_dir_all(&config.dir)
    }

    #[test]
    fn long_runs_come_out_whole() -> io::Result<()> {
        let config = config("long", "eve");
        let mut outputs = Outputs::new(&config)?;
        for _ in 0..2_000 {
            outputs.write(&samples::flow());
        }
        outputs.finish()?;
        let text = fs::read_to_string(config.dir.join("eve.json"))?;
        assert!(text.len() > 2 * BUFFER_LEN && text.ends_with("}\n"));
        assert!(text.lines().all(|l| l.starts_with('{') && l.ends_with('}')));
        assert_eq!(text.lines().count(), 2_000);
        fs::remove_dir_all(&config.dir)
    }
}
