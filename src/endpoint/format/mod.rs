//! The log formats. A format is pure: from one record and what the source has shown so far to events. Adding one is a
//! file here and a line in `all`; one that is vendor JSON is a TOML table and a line in `TABLES`.

mod audit;
mod audit_text;
mod defender;
mod dhcp;
mod esxi;
mod santa_log;
mod security;
mod sysmon;
mod windows;

use super::draft::Desk;
use super::event::SourceKind;
use super::map::Mapping;
use super::map_load;
use super::tally::Reason;
use super::tree::View;
use crate::strict::Fault;
use std::path::PathBuf;
use std::sync::OnceLock;

/// A record with its notation taken off.
#[derive(Clone, Copy, Debug)]
pub enum Record<'r> {
    /// JSON, XML or a row of a table.
    Tree(View<'r>),
    /// A line of text.
    Line(&'r str),
}

/// What the records of one source so far mean for the next. Bounded.
#[derive(Default, Debug)]
pub struct State {
    /// Heading of the table that the lines are rows of.
    pub(super) heading: Option<String>,
    /// Audit events of which a record may still come.
    audit: audit::Waiting,
}

impl State {
    /// Puts out what waits for more.
    pub(super) fn finish(&mut self, desk: &mut Desk<'_>) {
        self.heading = None;
        self.audit.finish(desk);
    }

    /// Whether lines are rows of a table.
    pub(super) fn reads_rows(&self) -> bool {
        self.heading.is_some()
    }
}

/// One log format.
pub trait Format: Send + Sync {
    /// As users name it before `=PATH`, the usual name first.
    fn names(&self) -> &[&str];

    /// One line about it.
    fn about(&self) -> &str;

    /// Product that writes it.
    fn source(&self) -> SourceKind;

    /// Whether a record is of this format. Looks at a key or two.
    fn recognises(&self, record: Record<'_>) -> bool;

    /// Makes the events of a record that it recognises.
    fn read(&self, record: Record<'_>, state: &mut State, desk: &mut Desk<'_>) -> Result<(), Reason>;
}

/// The formats that are tables of the mapper.
const TABLES: &[(&str, &str)] = &[
    ("tetragon.toml", include_str!("tetragon.toml")),
    ("falco.toml", include_str!("falco.toml")),
    ("tracee.toml", include_str!("tracee.toml")),
    ("crowdstrike.toml", include_str!("crowdstrike.toml")),
    ("sentinelone.toml", include_str!("sentinelone.toml")),
    ("carbonblack.toml", include_str!("carbonblack.toml")),
    ("santa.toml", include_str!("santa.toml")),
    ("macos.toml", include_str!("macos.toml")),
    ("osquery.toml", include_str!("osquery.toml")),
    ("velociraptor.toml", include_str!("velociraptor.toml")),
    ("azure_vm.toml", include_str!("azure_vm.toml")),
    ("zeek.toml", include_str!("zeek.toml")),
    ("ecs.toml", include_str!("ecs.toml")),
];

/// A table of the mapper as a format.
struct Table {
    mapping: Mapping,
    names: Vec<&'static str>,
}

impl Table {
    fn new(mapping: Mapping) -> Self {
        // Built-in tables live as long as the program, and those of a site are read once.
        let name: &'static str = Box::leak(mapping.name.clone().into_boxed_str());
        Self { mapping, names: vec![name] }
    }
}

impl Format for Table {
    fn names(&self) -> &[&str] {
        &self.names
    }

    fn about(&self) -> &str {
        &self.mapping.about
    }

    fn source(&self) -> SourceKind {
        self.mapping.source
    }

    fn recognises(&self, record: Record<'_>) -> bool {
        matches!(record, Record::Tree(root) if self.mapping.recognises(root))
    }

    fn read(&self, record: Record<'_>, _: &mut State, desk: &mut Desk<'_>) -> Result<(), Reason> {
        match record {
            Record::Tree(root) => self.mapping.read(root, desk),
            Record::Line(_) => Err(Reason::OtherFormat),
        }
    }
}

/// The formats of a run: the built-in ones and those that a site described.
pub struct Formats {
    list: Vec<Box<dyn Format>>,
}

impl std::fmt::Debug for Formats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.list.iter().map(|format| format.names())).finish()
    }
}

impl Formats {
    /// The built-in formats, those that are told by most first.
    pub fn built_in() -> &'static Self {
        static BUILT_IN: OnceLock<Formats> = OnceLock::new();
        BUILT_IN.get_or_init(|| Self { list: all() })
    }

    /// The built-in formats behind those of a site: who describes a format knows his own logs best.
    pub fn with_site(mappings: Vec<Mapping>) -> Self {
        let own = mappings.into_iter().map(|mapping| Box::new(Table::new(mapping)) as Box<dyn Format>);
        Self { list: own.chain(all()).collect() }
    }

    /// The formats that a site described in files, and in every `*.toml` of folders, before the built-in ones.
    pub fn from_paths(paths: &[PathBuf]) -> Result<Self, Vec<Fault>> {
        let (mut mappings, mut faults) = (Vec::new(), Vec::new());
        for path in map_load::files(paths, &mut faults) {
            match map_load::read(&path) {
                Ok(more) => mappings.extend(more),
                Err(more) => faults.extend(more),
            }
        }
        let formats = Self::with_site(mappings);
        faults.extend(formats.twice());
        if faults.is_empty() { Ok(formats) } else { Err(faults) }
    }

    /// Names that more than one format has.
    fn twice(&self) -> Vec<Fault> {
        let mut names: Vec<&str> = self.iter().flat_map(|format| format.names().iter().copied()).collect();
        names.sort_unstable();
        let pairs =
            names.windows(2).filter(|pair| pair.first() == pair.get(1)).filter_map(|pair| pair.first());
        pairs
            .map(|name| Fault {
                file: "endpoint formats".into(),
                line: None,
                what: format!("two formats are called {name}"),
                cure: "give the one you describe a name of its own".to_owned(),
            })
            .collect()
    }

    /// All of them, in the order in which they are asked.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Format> {
        self.list.iter().map(|format| &**format)
    }

    pub(super) fn at(&self, at: usize) -> Option<&dyn Format> {
        self.list.get(at).map(|format| &**format)
    }

    /// Whether a name is one of a format; the error names those that are.
    pub fn check(&self, name: &str) -> Result<(), String> {
        if self.iter().any(|format| format.names().contains(&name)) {
            return Ok(());
        }
        let names = || self.iter().filter_map(|format| format.names().first().copied());
        let known = names().collect::<Vec<_>>().join(", ");
        let all = self.iter().flat_map(|format| format.names().iter().copied());
        let shown = crate::strict::shown(name);
        Err(match map_load::nearest(name, all) {
            Some(near) => format!("no log format is called \"{shown}\"; did you mean {near}? known: {known}"),
            None => format!("no log format is called \"{shown}\"; known: {known}"),
        })
    }
}

/// The formats that are code and those that are tables, in the order in which they are asked: what is told by most
/// before what many logs have.
fn all() -> Vec<Box<dyn Format>> {
    let mut list: Vec<Box<dyn Format>> = vec![
        Box::new(windows::Windows),
        Box::new(audit::Auditd),
        Box::new(santa_log::SantaLog),
        Box::new(dhcp::WindowsDhcp),
        Box::new(esxi::Esxcli),
        Box::new(esxi::Esxi),
    ];
    list.extend(
        built_in(include_str!("defender.toml")).map(|table| Box::new(defender::Defender::new(table)) as _),
    );
    for (_, text) in TABLES {
        list.extend(built_in(text).map(|table| Box::new(Table::new(table)) as _));
    }
    list
}

/// The mappings of a built-in table. The tests read every one; a build with a bad one does not pass them.
fn built_in(text: &str) -> impl Iterator<Item = Mapping> {
    let read = map_load::load("built in", text, true);
    debug_assert!(read.is_ok(), "{read:?}");
    read.unwrap_or_default().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_table_is_sound() {
        let defender = ("defender.toml", include_str!("defender.toml"));
        for (file, text) in TABLES.iter().chain([&defender]) {
            let faults = map_load::load(file, text, true).err().unwrap_or_default();
            let said: Vec<_> = faults.iter().map(ToString::to_string).collect();
            assert!(said.is_empty(), "{}", said.join("\n"));
        }
    }

    #[test]
    fn names_are_unique_and_unknown_ones_are_told() {
        let formats = Formats::built_in();
        let mut names: Vec<_> = formats.iter().flat_map(|f| f.names().iter().copied()).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(all, names.len());
        assert_eq!(formats.check("sysmon"), Ok(()));
        let said = formats.check("sysmom").expect_err("unknown");
        assert!(said.contains("did you mean sysmon?"), "{said}");
    }
}
