//! Reads the tables of the mapper from TOML: those that are built in, and a site's own.

use super::draft::EventKind;
use super::event::{ClockClass, SourceKind};
use super::map::{FIELDS, Field, From, Getter, Level, Mapping, Rule, Taken, Test, Wanted};
use super::pointer::Pointer;
use crate::strict::{Fault, Findings, Keys, MAX_FILE, Source, closest, shown};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Formats of one file at most.
const MAX_FORMATS: usize = 64;
/// Rules of one format at most.
const MAX_RULES: usize = 64;

/// Reads every `[[endpoint_format]]` of a text. `built_in` allows a product as the source.
pub fn load(file: &str, text: &str, built_in: bool) -> Result<Vec<Mapping>, Vec<Fault>> {
    let mut source = Source::new(file, text);
    let mut formats = Vec::new();
    if let Some(table) = source.document() {
        let mut keys = Keys::new(&table, "the file", 1);
        for (table, line) in tables(&mut source, keys.take("endpoint_format"), "endpoint_format", MAX_FORMATS)
        {
            let keys = Keys::new(table, "[[endpoint_format]]", line);
            formats.extend(format(&mut source, keys, built_in));
        }
        keys.finish(&mut source);
        if formats.is_empty() && source.findings.faults.is_empty() {
            source.fault(Some(1), "describes no format", "begin one with [[endpoint_format]]");
        }
    }
    let Findings { faults, .. } = source.findings;
    if faults.is_empty() { Ok(formats) } else { Err(faults) }
}

/// Reads one file of a site.
pub fn read(path: &Path) -> Result<Vec<Mapping>, Vec<Fault>> {
    let file = path.display().to_string();
    let fault = |what: String, cure: &str| {
        vec![Fault { file: file.as_str().into(), line: None, what, cure: cure.to_owned() }]
    };
    let size = std::fs::metadata(path).map_or(0, |meta| meta.len());
    if size > MAX_FILE as u64 {
        return Err(fault("is larger than 4 MiB".to_owned(), "split it"));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| fault(format!("cannot be read: {error}"), "check the path and the rights"))?;
    load(&file, &text, false)
}

/// The files of a list of files and folders, in the order of their names.
pub fn files(paths: &[PathBuf], faults: &mut Vec<Fault>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        match std::fs::read_dir(path) {
            Ok(entries) => {
                let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
                found.retain(|path| path.extension().is_some_and(|end| end == "toml"));
                found.sort();
                files.extend(found);
            }
            Err(error) => faults.push(Fault {
                file: path.display().to_string().into(),
                line: None,
                what: format!("cannot be listed: {error}"),
                cure: "check the path and the rights".to_owned(),
            }),
        }
    }
    files
}

type Value<'k, 't> = &'k Spanned<DeValue<'t>>;

/// The tables of an array of tables.
fn tables<'k, 't>(
    source: &mut Source<'_>,
    value: Option<Value<'k, 't>>,
    name: &str,
    max: usize,
) -> Vec<(&'k DeTable<'t>, usize)> {
    let Some(value) = value else { return Vec::new() };
    let line = source.line(value.span().start);
    let items = value.get_ref().as_array().map(|items| items.iter().collect::<Vec<_>>()).unwrap_or_default();
    let tables: Vec<_> = items
        .iter()
        .filter_map(|item| Some((item.get_ref().as_table()?, source.line(item.span().start))))
        .collect();
    if tables.len() != items.len() || tables.is_empty() || tables.len() > max {
        let what = format!("{name} is no list of 1 to {max} tables");
        source.fault(Some(line), what, format!("write [[{name}]] before each"));
        return Vec::new();
    }
    tables
}

fn format(source: &mut Source<'_>, mut keys: Keys<'_, '_>, built_in: bool) -> Option<Mapping> {
    let name = keys.needed(source, "name", "\"my-edr\"");
    let about = keys.text(source, "about").map(|about| about.text).unwrap_or_default();
    let recognise = tests(source, &mut keys, "recognise");
    let kind = keys.text(source, "source").and_then(|kind| source_kind(source, &kind, built_in));
    let mut common = Vec::new();
    if let Some(value) = keys.take("fields") {
        let line = source.line(value.span().start);
        match value.get_ref().as_table() {
            Some(table) => {
                let mut keys = Keys::new(table, "[endpoint_format.fields]", line);
                common = fields(source, &mut keys);
                keys.finish(source);
            }
            None => source.fault(Some(line), "fields is no table", "write [endpoint_format.fields]"),
        }
    }
    let mut rules = Vec::new();
    for (table, line) in tables(source, keys.take("event"), "endpoint_format.event", MAX_RULES) {
        let keys = Keys::new(table, "[[endpoint_format.event]]", line);
        rules.extend(rule(source, keys, &common, built_in));
    }
    let line = keys.line;
    keys.finish(source);
    let name = name?;
    let plain = name.text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !plain {
        let what = format!("name \"{}\" is no plain word", shown(&name.text));
        source.fault(Some(name.line), what, "use a-z, 0-9 and -");
    }
    if recognise.is_empty() {
        let what = format!("{} says not by what it is recognised", name.text);
        source.fault(Some(line), what, "add recognise = [\"/a_key_of_its_own\"]");
    }
    if rules.is_empty() {
        source.fault(Some(line), format!("{} has no event", name.text), "add [[endpoint_format.event]]");
    }
    Some(Mapping { name: name.text, about, source: kind.unwrap_or(SourceKind::Site), recognise, rules })
}

fn source_kind(source: &mut Source<'_>, name: &crate::strict::Text, built_in: bool) -> Option<SourceKind> {
    let kind = SourceKind::ALL.into_iter().find(|kind| kind.as_str() == name.text);
    if kind.is_none() || !built_in {
        let what = format!("source \"{}\" is none that a site can name", shown(&name.text));
        source.fault(
            Some(name.line),
            what,
            "take the line out: the source of a described format is \"site\"",
        );
        return None;
    }
    kind
}

fn rule(
    source: &mut Source<'_>,
    mut keys: Keys<'_, '_>,
    common: &[(Field, Vec<Getter>)],
    built_in: bool,
) -> Option<Rule> {
    let kind = one_of(source, &mut keys, "kind", &KINDS);
    if kind.is_none() && !keys.has("kind") {
        let what = format!("{} has no kind", keys.what());
        source.fault(Some(keys.line), what, "add kind = \"connect\"");
    }
    let clock = one_of(source, &mut keys, "clock", &CLOCKS).unwrap_or(ClockClass::Host);
    let when = tests(source, &mut keys, "when");
    let each = list_pointer(source, &mut keys, "each");
    let inner = list_pointer(source, &mut keys, "inner");
    let from = keys.text(source, "source_kind").and_then(|kind| source_kind(source, &kind, built_in));
    let own = fields(source, &mut keys);
    keys.finish(source);
    let mut all: Vec<_> =
        common.iter().filter(|(field, _)| own.iter().all(|(other, _)| other != field)).cloned().collect();
    all.extend(own);
    Some(Rule { kind: kind?, when, each, inner, clock, source: from, fields: all })
}

fn list_pointer(source: &mut Source<'_>, keys: &mut Keys<'_, '_>, key: &'static str) -> Option<Pointer> {
    let text = keys.text(source, key)?;
    match Pointer::parse(text.text.strip_prefix('.').unwrap_or(&text.text)) {
        Ok(pointer) => Some(pointer),
        Err(what) => {
            let cure = "write a pointer to a list, for example \"/snapshot\"";
            source.fault(Some(text.line), format!("{key}: {}", shown(&what)), cure);
            None
        }
    }
}

const KINDS: [(&str, EventKind); 5] = [
    ("process", EventKind::Process),
    ("connect", EventKind::Connect),
    ("file", EventKind::File),
    ("dns", EventKind::Dns),
    ("address", EventKind::Address),
];

const CLOCKS: [(&str, ClockClass); 4] = [
    ("host", ClockClass::Host),
    ("network", ClockClass::Network),
    ("header", ClockClass::Header),
    ("cloud", ClockClass::Cloud),
];

fn one_of<T: Copy>(
    source: &mut Source<'_>,
    keys: &mut Keys<'_, '_>,
    key: &'static str,
    words: &[(&'static str, T)],
) -> Option<T> {
    let text = keys.text(source, key)?;
    let found = words.iter().find(|(word, _)| *word == text.text).map(|(_, value)| *value);
    if found.is_none() {
        let list: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let what = format!("{key} \"{}\" is unknown", shown(&text.text));
        source.fault(Some(text.line), what, format!("write one of {}", list.join(", ")));
    }
    found
}

/// Conditions: `/a` there, `/a||/b` one of them there, `!/a` not there, `/a=x|y` one of these, `/a=x*` and `/a=*x` beginning and end, `/a!=x`.
fn tests(source: &mut Source<'_>, keys: &mut Keys<'_, '_>, key: &'static str) -> Vec<Test> {
    let list = keys.list(source, key, 32);
    list.into_iter()
        .filter_map(|text| match test(&text.text) {
            Ok(test) => Some(test),
            Err(what) => {
                let cure = "write \"/key\", \"!/key\", \"/key=word|word\" or \"/key!=word\"";
                source.fault(Some(text.line), format!("{key}: {what}"), cure);
                None
            }
        })
        .collect()
}

fn test(text: &str) -> Result<Test, String> {
    let (absent, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
    // A `=` inside `*[key=value]` belongs to the pointer.
    let from = text.rfind(']').map_or(0, |at| at + 1);
    let (pointer, words) = match text.get(from..).and_then(|rest| rest.find('=')) {
        Some(at) => (text.get(..from + at).unwrap_or(""), text.get(from + at + 1..)),
        None => (text, None),
    };
    let (pointer, unlike) = pointer.strip_suffix('!').map_or((pointer, false), |rest| (rest, true));
    let any_of = words.map(|words| words.split('|').map(Wanted::parse).collect()).unwrap_or_default();
    let pointers = pointer.split("||").map(pointed).collect::<Result<_, _>>()?;
    Ok(Test { pointers, any_of, not: absent || unlike })
}

/// A pointer and what it begins at.
fn pointed(text: &str) -> Result<(Pointer, Level), String> {
    match (text.strip_prefix(".."), text.strip_prefix('.')) {
        (Some(rest), _) => Ok((Pointer::parse(rest)?, Level::Outer)),
        (None, Some(rest)) => Ok((Pointer::parse(rest)?, Level::Element)),
        (None, None) => Ok((Pointer::parse(text)?, Level::Record)),
    }
}

fn fields(source: &mut Source<'_>, keys: &mut Keys<'_, '_>) -> Vec<(Field, Vec<Getter>)> {
    let mut all = Vec::new();
    for (name, field, _) in FIELDS {
        if let Some(value) = keys.take(name) {
            let getters = getters(source, name, value);
            if !getters.is_empty() {
                all.push((*field, getters));
            }
        }
    }
    all
}

/// `"/a"`, `["/a", "/b"]`, `{ from = …, map = { … }, take = "…" }`, `{ join = […] }`, `{ value = "…" }`.
fn getters(source: &mut Source<'_>, name: &str, value: Value<'_, '_>) -> Vec<Getter> {
    let line = source.line(value.span().start);
    match value.get_ref() {
        DeValue::String(text) => pointer_getter(source, name, line, text).into_iter().collect(),
        DeValue::Array(items) => items.iter().flat_map(|item| getters(source, name, item)).collect(),
        DeValue::Table(table) => table_getters(source, name, line, table),
        _ => {
            let what = format!("{name} is neither a pointer nor a list of them");
            source.fault(Some(line), what, format!("write {name} = \"/key\""));
            Vec::new()
        }
    }
}

fn pointer_getter(source: &mut Source<'_>, name: &str, line: usize, text: &str) -> Option<Getter> {
    match pointed(text) {
        Ok((pointer, level)) => {
            Some(Getter { from: From::Pointer(pointer, level), map: Vec::new(), taken: Taken::Whole })
        }
        Err(what) => {
            source.fault(
                Some(line),
                format!("{name}: {}", shown(&what)),
                "write a pointer such as \"/process/pid\"",
            );
            None
        }
    }
}

const TAKES: [(&str, Taken); 7] = [
    ("host_of_url", Taken::Host),
    ("base64", Taken::Base64),
    ("before_colon", Taken::BeforeColon),
    ("after_scheme", Taken::AfterScheme),
    ("before_arrow", Taken::BeforeArrow),
    ("after_arrow", Taken::AfterArrow),
    ("network_port", Taken::NetworkPort),
];

fn table_getters(source: &mut Source<'_>, name: &str, line: usize, table: &DeTable<'_>) -> Vec<Getter> {
    let mut keys = Keys::new(table, name, line);
    let from = keys.take("from").map(|value| getters(source, name, value));
    let value = keys.text(source, "value");
    let join: Vec<_> = keys
        .list(source, "join", 16)
        .iter()
        .filter_map(|text| pointer_getter(source, name, text.line, &text.text))
        .filter_map(|getter| match getter.from {
            From::Pointer(pointer, level) => Some((pointer, level)),
            _ => None,
        })
        .collect();
    let between = keys.text(source, "between").map_or_else(|| " ".to_owned(), |text| text.text);
    let taken = one_of(source, &mut keys, "take", &TAKES).unwrap_or(Taken::Whole);
    let map = keys.take("map").map(|value| words(source, name, value)).unwrap_or_default();
    let mut all = from.unwrap_or_default();
    if !join.is_empty() {
        all.push(Getter { from: From::Join(join, between.into()), map: Vec::new(), taken: Taken::Whole });
    }
    for getter in &mut all {
        getter.taken = taken;
        getter.map.clone_from(&map);
    }
    all.extend(value.map(|text| Getter {
        from: From::Value(text.text.into()),
        map: Vec::new(),
        taken: Taken::Whole,
    }));
    if all.is_empty() && source.findings.faults.is_empty() {
        let what = format!("{name} has neither from, join nor value");
        source.fault(Some(line), what, "add from = \"/key\"");
    }
    keys.finish(source);
    all
}

fn words(source: &mut Source<'_>, name: &str, value: Value<'_, '_>) -> Vec<(Wanted, Box<str>)> {
    let line = source.line(value.span().start);
    let Some(table) = value.get_ref().as_table() else {
        source.fault(
            Some(line),
            format!("map of {name} is no table"),
            "write map = { \"word\" = \"meaning\" }",
        );
        return Vec::new();
    };
    let mut all = Vec::new();
    for (word, meaning) in table {
        match meaning.get_ref().as_str() {
            Some(meaning) => all.push((Wanted::parse(word.get_ref()), Box::from(meaning))),
            None => {
                let line = source.line(word.span().start);
                let what =
                    format!("map of {name}: the meaning of \"{}\" is no string", shown(word.get_ref()));
                source.fault(Some(line), what, "put it in quotes");
            }
        }
    }
    // What says most comes first, `*` is for all others.
    all.sort_by_key(|(word, _)| match word {
        Wanted::Is(_) => 0,
        Wanted::Begins(_) | Wanted::Ends(_) => 1,
        Wanted::Contains(_) => 2,
        Wanted::Any => 3,
    });
    all
}

/// The name nearest to one that is unknown.
pub fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    closest(name, names)
}

#[cfg(test)]
mod tests {
    use super::super::draft::{Desk, Hint, Pool};
    use super::super::{json, tree::Tree};
    use super::*;

    const GOOD: &str = r#"
[[endpoint_format]]
name = "my-edr"
recognise = ["/vendor=ACME*", "!/alert"]
[endpoint_format.fields]
at = "/when"
host_name = ["/computer/fqdn", "/computer/name"]
[[endpoint_format.event]]
kind = "connect"
when = ["/what=conn"]
pid = "/proc/id"
path = "/proc/image"
local = "/l/a"
local_port = "/l/p"
remote = "/r/a"
remote_port = "/r/p"
transport = { value = "tcp" }
direction = { from = "/way", map = { "1" = "out", "*" = "in" } }
"#;

    #[test]
    fn a_site_describes_its_own_format() {
        let mappings = load("own.toml", GOOD, false).expect("sound");
        let text = r#"{"vendor":"ACME EDR","what":"conn","when":1709283600,"computer":{"name":"PC"},"way":1,
            "proc":{"id":7,"image":"/bin/x"},"l":{"a":"10.1.2.3","p":5},"r":{"a":"203.0.113.9","p":443}}"#;
        let (mut tree, mut out) = (Tree::default(), Vec::new());
        json::parse(text, &mut tree).expect("valid");
        let root = tree.root(text);
        assert!(mappings[0].recognises(root));
        let mut desk = Desk { out: &mut out, pool: &mut Pool::default(), hint: &Hint::default() };
        mappings[0].read(root, &mut desk).expect("an event");
        let super::super::EndpointEvent::Connect(event) = &out[0] else { panic!("{out:?}") };
        assert_eq!((&*event.common.host.id, &*event.proc.name, event.remote_port), ("pc", "x", 443));
        assert_eq!(event.direction, super::super::Direction::Out);
    }

    #[test]
    fn faults_are_told_with_line_and_cure() {
        for (bad, line, words) in [
            (GOOD.replace("pid =", "pdi ="), Some(11), "did you mean pid?"),
            (GOOD.replace("\"/proc/id\"", "\"proc/id\""), Some(11), "does not begin with /"),
            (
                GOOD.replace("kind = \"connect\"", "kind = \"conect\""),
                Some(9),
                "write one of process, connect",
            ),
            (GOOD.replace("\"my-edr\"", "\"My EDR\""), Some(3), "use a-z, 0-9 and -"),
            (
                GOOD.replace("name = \"my-edr\"", "name = \"my-edr\"\nsource = \"sysmon\""),
                Some(4),
                "take the line out",
            ),
            (GOOD.replace("recognise =", "#"), Some(2), "add recognise"),
            (GOOD.replace("{ value = \"tcp\" }", "{ valeu = \"tcp\" }"), Some(17), "did you mean value?"),
            (GOOD.replace("pid = \"/proc/id\"", "pid = 7"), Some(11), "write pid ="),
            (String::new(), Some(1), "[[endpoint_format]]"),
            ("[[endpoint_format]".to_owned(), Some(1), "no valid TOML"),
        ] {
            let faults = load("own.toml", &bad, false).expect_err("a fault");
            let said: Vec<_> = faults.iter().map(ToString::to_string).collect();
            assert!(said.iter().any(|said| said.contains(words)), "{said:?} without {words}");
            assert!(faults.iter().any(|fault| fault.line == line), "{said:?} not on {line:?}");
        }
    }
}
