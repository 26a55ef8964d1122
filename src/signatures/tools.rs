//! Programs: tools that carry data out, and applications that are watched or that upload by their nature.
//!
//! `tools.toml` has tables `[tool.SLUG]`, `applications.toml` has `[OS.SLUG]`; both name services by slug.

use super::Catalogue;
use super::ServiceId;
use super::kinds::{Os, Watch};
use super::load::{good_slug, schema};
use crate::strict::{Findings, Keys, Source, Text, closest, shown};
use std::collections::HashSet;
use toml::de::DeTable;

const MAX_PROGRAMS: usize = 5_000;
const MAX_LIST: usize = 500;

/// A program that carries data out, or can be made to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tool {
    /// Its stable short name, such as `rclone`.
    pub slug: String,
    /// Its name for readers.
    pub name: String,
    /// What kind of program it is: `sync`, `cli`, `backup`, `tunnel`, …
    pub kind: String,
    /// How telling its use is, 0 to 100.
    pub weight: u8,
    /// Its ATT&CK software id, such as `S1040`.
    pub attack: Option<String>,
    /// Process names in lower case, without `.exe`.
    pub processes: Vec<String>,
    /// Words of a command line that mean sending.
    pub arguments: Vec<String>,
    /// Beginnings of its user agent.
    pub user_agents: Vec<String>,
    /// JA3 fingerprints of its TLS library.
    pub ja3: Vec<String>,
    /// JA4 fingerprints of its TLS library.
    pub ja4: Vec<String>,
    /// The services it talks to; empty means any.
    pub services: Vec<ServiceId>,
}

/// An application whose uploads are judged by what the application is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Application {
    /// The system it runs on.
    pub os: Os,
    /// Its stable short name, such as `word`; unique within the system.
    pub slug: String,
    /// Its name for readers.
    pub name: String,
    /// What kind of program it is: `office`, `viewer`, `system`, `browser`, …
    pub kind: String,
    /// Why it is listed.
    pub watch: Watch,
    /// How odd bulk upload by it is, 0 to 100.
    pub weight: u8,
    /// Process names in lower case, without `.exe`.
    pub processes: Vec<String>,
    /// The services that it uploads to by its nature.
    pub services: Vec<ServiceId>,
}

/// A process name in the form that tools and applications have: the last part of a path, lower case, without `.exe`.
pub(crate) fn process_name(text: &str) -> String {
    let name = text.rsplit(['/', '\\']).next().unwrap_or(text).to_lowercase();
    name.strip_suffix(".exe").map(str::to_owned).unwrap_or(name)
}

impl Catalogue {
    /// Names of all tools and applications, lower case, without `.exe`.
    pub fn program_names(&self) -> HashSet<Box<str>> {
        let tools = self.tools.iter().flat_map(|t| &t.processes);
        let applications = self.applications.iter().flat_map(|a| &a.processes);
        tools.chain(applications).map(|name| name.as_str().into()).collect()
    }

    /// The tools that a process name or path may be.
    pub fn tools_named<'c>(&'c self, process: &str) -> impl Iterator<Item = &'c Tool> + use<'c> {
        let name = process_name(process);
        self.tools.iter().filter(move |tool| tool.processes.contains(&name))
    }

    /// The applications that a process name or path may be.
    pub fn applications_named<'c>(
        &'c self,
        process: &str,
    ) -> impl Iterator<Item = &'c Application> + use<'c> {
        let name = process_name(process);
        self.applications.iter().filter(move |app| app.processes.contains(&name))
    }
}

/// Reads `tools.toml` or `applications.toml`: each may hold either kind of table.
pub(crate) fn read(catalogue: &mut Catalogue, file: &str, text: &str) -> Findings {
    let mut source = Source::new(file, text);
    if let Some(document) = source.document() {
        let mut keys = Keys::new(&document, "the file", 1);
        schema(&mut keys, &mut source);
        if let Some((table, line)) = keys.table(&mut source, "tool") {
            for (slug, table) in Keys::new(table, "tool", line).named(&mut source, MAX_PROGRAMS) {
                tool(catalogue, &mut source, &slug, table);
            }
        }
        for os in Os::ALL {
            if let Some((table, line)) = keys.table(&mut source, os.as_str()) {
                for (slug, table) in Keys::new(table, os.as_str(), line).named(&mut source, MAX_PROGRAMS) {
                    application(catalogue, &mut source, *os, &slug, table);
                }
            }
        }
        keys.finish(&mut source);
    }
    source.findings
}

/// What tools and applications have in common.
struct Program {
    name: String,
    kind: String,
    weight: u8,
    processes: Vec<String>,
    services: Vec<ServiceId>,
}

fn program(
    catalogue: &Catalogue,
    source: &mut Source<'_>,
    keys: &mut Keys<'_, '_>,
    slug: &Text,
) -> Option<Program> {
    if !good_slug(&slug.text) {
        let what = format!("'{}' is no short name", shown(&slug.text));
        source.fault(Some(slug.line), what, "1 to 40 of a-z 0-9 _ -");
    }
    let name = keys.needed(source, "name", "\"…\"")?.text;
    let kind = keys.needed(source, "kind", "\"cli\"")?.text;
    let weight = keys.number(source, "weight", 100).unwrap_or(50) as u8;
    let mut processes: Vec<String> =
        keys.list(source, "processes", MAX_LIST).iter().map(|text| process_name(&text.text)).collect();
    processes.sort();
    processes.dedup();
    if processes.is_empty() || processes.iter().any(String::is_empty) {
        let what = format!("{} names no process", keys.what());
        source.fault(Some(slug.line), what, "add processes = [\"name.exe\"]");
    }
    let mut services = Vec::new();
    for text in keys.list(source, "services", MAX_LIST) {
        services.extend(known_service(catalogue, source, &text));
    }
    Some(Program { name, kind, weight, processes, services })
}

/// A service named by slug in a file; an unknown one is a fault with the nearest slug as cure.
pub(crate) fn known_service(
    catalogue: &Catalogue,
    source: &mut Source<'_>,
    text: &Text,
) -> Option<ServiceId> {
    let found = catalogue.find(&text.text);
    if found.is_none() {
        let cure = match closest(&text.text, catalogue.services().map(|s| s.slug.as_str())) {
            Some(near) => format!("did you mean {near}?"),
            None => "`egret services` lists the ids".to_owned(),
        };
        source.fault(Some(text.line), format!("no service '{}'", shown(&text.text)), cure);
    }
    found
}

fn texts(source: &mut Source<'_>, keys: &mut Keys<'_, '_>, key: &'static str) -> Vec<String> {
    keys.list(source, key, MAX_LIST).into_iter().map(|text| text.text).collect()
}

fn tool(catalogue: &mut Catalogue, source: &mut Source<'_>, slug: &Text, table: &DeTable<'_>) {
    let mut keys = Keys::new(table, format!("tool {}", shown(&slug.text)), slug.line);
    let attack = keys.text(source, "attack").map(|t| t.text);
    let arguments = texts(source, &mut keys, "arguments");
    let user_agents = texts(source, &mut keys, "user_agents");
    let ja3 = texts(source, &mut keys, "ja3");
    let ja4 = texts(source, &mut keys, "ja4");
    if let Some(Program { name, kind, weight, processes, services }) =
        program(catalogue, source, &mut keys, slug)
    {
        let slug = slug.text.clone();
        let tool =
            Tool { slug, name, kind, weight, attack, processes, arguments, user_agents, ja3, ja4, services };
        catalogue.tools.push(tool);
        keys.finish(source);
    }
}

fn application(catalogue: &mut Catalogue, source: &mut Source<'_>, os: Os, slug: &Text, table: &DeTable<'_>) {
    let mut keys = Keys::new(table, format!("application {}", shown(&slug.text)), slug.line);
    let watch = keys.needed(source, "watch", "\"watched\"").and_then(|text| {
        let watch = Watch::from_word(&text.text);
        if watch.is_none() {
            let what = format!("watch is '{}'", shown(&text.text));
            source.fault(Some(text.line), what, "watched, tool or uploader");
        }
        watch
    });
    let Some(program) = program(catalogue, source, &mut keys, slug) else { return };
    keys.finish(source);
    let Some(watch) = watch else { return };
    let Program { name, kind, weight, processes, services } = program;
    let slug = slug.text.clone();
    catalogue.applications.push(Application { os, slug, name, kind, watch, weight, processes, services });
}
