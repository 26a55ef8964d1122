//! The only writer: everything that a run leaves on disk goes through [`Outputs`].
//!
//! Each file is buffered and flushed at line borders only, so that every line in it is whole. When the disk is full
//! the lines that did not fit are counted as dropped, a half-written one is cut off, and the run goes on. What becomes
//! of a file of an earlier run with the same name, and of one that has grown large or old, [`Keeping`] says.

pub use super::files::Files;
use super::privacy::Pseudonyms;
pub use super::rotate::Rotation;

use super::{Format, IncidentRecord, OUTPUTS, Output, Record};
use crate::state::Batch;
use crate::state::journal::Journal;
use crate::units::Timestamp;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// What belongs to the site's own network.
pub type IsHome = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// What becomes of files that are there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeping {
    /// They are replaced: the logs of a run over captures are of that run alone.
    Replace,
    /// They are added to; somebody else moves them away and says so ([`Outputs::reopen`]).
    Append,
    /// They are put away, as are those of this run in their time ([`Outputs::rotate`]).
    Rotate(Rotation),
}

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
    /// What becomes of files that are there already.
    pub keeping: Keeping,
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
    /// What is home, for Zeek's `local_resp`; without it only the named home side of a flow is.
    pub is_home: Option<IsHome>,
    /// Users and hosts are written under pseudonyms.
    pub pseudonyms: Option<Pseudonyms>,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("egret-out"),
            kinds: vec![&super::eve::OUTPUT],
            own_types_in_eve: false,
            low_as_alert: false,
            mode: 0o640,
            keeping: Keeping::Replace,
            community_id_seed: 0,
            sensor: None,
            interface: None,
            version: env!("CARGO_PKG_VERSION").to_string(),
            signatures_version: "0".to_string(),
            is_home: None,
            pseudonyms: None,
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
    pseudonyms: Option<Pseudonyms>,
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
            files.settle_earlier()?;
            let format = (output.make)(&shared, &mut files)?;
            formats.push((format, files));
        }
        Ok(Self { formats, pseudonyms: config.pseudonyms.clone(), journal: None })
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

    /// Writes a checkpoint and the records that belong to it: both are kept, or none.
    pub fn write_with(&mut self, batch: &Batch, records: &[Record]) {
        let hidden: Option<Vec<Record>> =
            self.pseudonyms.as_ref().map(|p| records.iter().map(|r| p.hide(r)).collect());
        let records = hidden.as_deref().unwrap_or(records);
        let noted = incidents(records);
        let is_fresh = self.journal.as_mut().map(|journal| journal.commit(batch, &noted));
        self.write_fresh(records, is_fresh.unwrap_or_default());
    }

    /// Writes records; of the incidents among them those that are not known to have been written.
    fn write_fresh(&mut self, records: &[Record], is_fresh: Vec<bool>) {
        let mut is_fresh = is_fresh.into_iter();
        for record in records {
            if !matches!(record, Record::Incident(_)) || is_fresh.next().unwrap_or(true) {
                self.render(record);
            }
        }
        let written = incidents(records);
        if written.is_empty() || self.journal.is_none() {
            return;
        }
        self.flush();
        if let Some(journal) = &mut self.journal {
            journal.tick(&written);
        }
    }

    /// Writes a line of EVE that an earlier run has noted and not written.
    pub fn repeat(&mut self, line: &str) {
        let file = usize::from(line.contains("\"event_type\":\"incident\""));
        let eve = self.formats.iter_mut().find(|(_, files)| files.names().contains(&"eve.json"));
        if let Some((_, files)) = eve {
            files.line(file, |out| out.extend_from_slice(line.as_bytes()));
        }
    }

    fn render(&mut self, record: &Record) {
        for (format, files) in &mut self.formats {
            format.write(record, files);
        }
    }

    /// Writes a record to every output that knows its kind.
    pub fn write(&mut self, record: &Record) {
        let hidden = self.pseudonyms.as_ref().map(|p| p.hide(record));
        let record = hidden.as_ref().unwrap_or(record);
        match (&mut self.journal, record) {
            (Some(journal), Record::Incident(incident)) => {
                let is_fresh = journal.note(&[incident]);
                self.write_fresh(std::slice::from_ref(record), is_fresh);
            }
            _ => self.render(record),
        }
    }

    /// Hands all buffered lines to the operating system.
    pub fn flush(&mut self) {
        for (_, files) in &mut self.formats {
            files.flush();
        }
    }

    /// Puts away the files whose time has come, by the machine's time `now`. Gives where they are, for
    /// [`super::archive::Archive::compress`].
    pub fn rotate(&mut self, now: Timestamp) -> io::Result<Vec<PathBuf>> {
        let mut away = Vec::new();
        for (format, files) in &mut self.formats {
            for file in files.due(now) {
                format.end(file, files);
                away.extend(files.put_away(file)?);
            }
        }
        Ok(away)
    }

    /// Opens every file anew under its name: somebody has moved it away.
    pub fn reopen(&mut self) -> io::Result<()> {
        for (format, files) in &mut self.formats {
            end_all(format.as_mut(), files);
            files.reopen()?;
        }
        Ok(())
    }

    /// Lines written (or still buffered) and lines lost.
    pub fn counters(&self) -> (u64, u64) {
        let sum = |f: fn(&Files) -> u64| self.formats.iter().map(|(_, files)| f(files)).sum();
        let dropped: u64 = sum(Files::dropped);
        (sum(Files::lines) - dropped, dropped)
    }

    /// Why lines were lost, if any were since the last call.
    pub fn take_fault(&mut self) -> Option<io::Error> {
        self.formats.iter_mut().find_map(|(_, files)| files.take_fault())
    }

    /// Writes what is left and says which files there are. Fails when lines were lost, with the first reason; the
    /// files hold everything else.
    pub fn finish(mut self) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        let mut fault = None;
        for (format, files) in &mut self.formats {
            end_all(format.as_mut(), files);
            files.flush();
            fault = fault.or(files.take_fault());
            paths.extend(files.paths());
        }
        match fault {
            Some(e) => Err(e),
            None => Ok(paths),
        }
    }
}

fn end_all(format: &mut dyn Format, files: &mut Files) {
    for file in 0..files.count() {
        if files.is_open(file) {
            format.end(file, files);
        }
    }
}

fn with_path(e: &io::Error, path: &std::path::Path) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

fn incidents(records: &[Record]) -> Vec<&IncidentRecord> {
    fn incident(record: &Record) -> Option<&IncidentRecord> {
        if let Record::Incident(incident) = record { Some(incident) } else { None }
    }
    records.iter().filter_map(incident).collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::units::{Bytes, Span};
    use std::path::Path;

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

    fn rotating(name: &str, list: &str) -> OutputConfig {
        let rotation = Rotation { every: Span::from_secs(3_600), size: Bytes(1 << 50) };
        let config = OutputConfig { keeping: Keeping::Rotate(rotation), ..config(name, list) };
        let _ = fs::remove_dir_all(&config.dir);
        config
    }

    /// Every file below `dir` with its text, by its path there.
    fn tree(dir: &Path) -> std::collections::BTreeMap<String, String> {
        let mut all = std::collections::BTreeMap::new();
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() {
                all.extend(tree(&entry.path()).into_iter().map(|(k, v)| (format!("{name}/{k}"), v)));
            } else {
                all.insert(name, fs::read_to_string(entry.path()).unwrap_or_default());
            }
        }
        all
    }

    #[test]
    fn logs_are_put_away_whole_on_the_hour() -> io::Result<()> {
        let config = rotating("rotate", "eve,zeek-tsv");
        let mut outputs = Outputs::new(&config)?;
        // The machine's time at the start is before this; the first file's name says so, and is not looked at.
        let hour = |n: i64| Timestamp::new(4_000_000_000 / 3_600 * 3_600 + n * 3_600, 0);
        assert!(outputs.rotate(hour(0))?.is_empty(), "nothing to put away");
        outputs.write(&samples::flow());
        assert!(outputs.rotate(hour(0).plus(Span::from_secs(3_599)))?.is_empty());
        let away = outputs.rotate(hour(1))?;
        assert_eq!(away.len(), 2, "{away:?}");
        outputs.write(&samples::flow());
        outputs.write(&samples::tls());
        outputs.rotate(hour(2))?;
        outputs.write(&samples::flow());
        outputs.finish()?;
        let all = tree(&config.dir);
        let lines =
            |name: &str| all.get(name).map_or(0, |text| text.lines().filter(|l| !l.starts_with('#')).count());
        // 4,000,000,000 is 2096-10-02 07:06:40.
        for (name, count) in [
            ("2096-10-02/eve.08:00:00-09:00:00.json", 2),
            ("2096-10-02/conn.08:00:00-09:00:00.log", 1),
            ("2096-10-02/ssl.08:00:00-09:00:00.log", 1),
            ("eve.json", 1),
            ("egret.json", 0),
            ("conn.log", 1),
        ] {
            assert_eq!(lines(name), count, "{name} of {:?}", all.keys());
        }
        assert!(!all.contains_key("ssl.log"));
        for (name, text) in all.iter().filter(|(name, _)| name.contains(".log")) {
            let close = text.lines().last().is_some_and(|l| l.starts_with("#close"));
            assert!(text.starts_with("#separator") && close, "{name}");
        }
        fs::remove_dir_all(&config.dir)
    }

    #[test]
    fn what_a_killed_run_left_is_put_away_without_its_half_line() -> io::Result<()> {
        let config = rotating("killed", "eve");
        fs::create_dir_all(&config.dir)?;
        fs::write(config.dir.join("eve.json"), format!("{{\"a\":1}}\n{{\"b\":\"{}", "x".repeat(200_000)))?;
        fs::write(config.dir.join("egret.json"), "{\"half")?;
        Outputs::new(&config)?.finish()?;
        let all = tree(&config.dir);
        let away: Vec<_> = all.iter().filter(|(name, _)| name.contains('/')).collect();
        assert!(
            matches!(away.as_slice(), [(name, text)] if name.contains("/eve.") && *text == "{\"a\":1}\n"),
            "{away:?}"
        );
        assert_eq!(
            (all.get("eve.json"), all.get("egret.json")),
            (Some(&String::new()), Some(&String::new()))
        );
        fs::remove_dir_all(&config.dir)
    }

    #[test]
    fn a_log_that_was_moved_away_is_begun_anew_when_asked() -> io::Result<()> {
        let config = OutputConfig { keeping: Keeping::Append, ..config("reopen", "eve,zeek-tsv") };
        fs::create_dir_all(&config.dir)?;
        fs::write(config.dir.join("eve.json"), "{}\n{\"half")?;
        let mut outputs = Outputs::new(&config)?;
        outputs.write(&samples::flow());
        for name in ["eve.json", "conn.log"] {
            outputs.flush();
            fs::rename(config.dir.join(name), config.dir.join(format!("{name}.1")))?;
        }
        outputs.write(&samples::flow());
        outputs.reopen()?;
        outputs.write(&samples::flow());
        outputs.finish()?;
        let all = tree(&config.dir);
        let count =
            |name: &str| all.get(name).map_or(0, |text| text.lines().filter(|l| !l.starts_with('#')).count());
        assert_eq!(["eve.json.1", "eve.json", "conn.log.1", "conn.log"].map(count), [3, 1, 2, 1]);
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
        assert!(text.len() > 2 * super::super::files::BUFFER_LEN && text.ends_with("}\n"));
        assert!(text.lines().all(|l| l.starts_with('{') && l.ends_with('}')));
        assert_eq!(text.lines().count(), 2_000);
        fs::remove_dir_all(&config.dir)
    }
}
