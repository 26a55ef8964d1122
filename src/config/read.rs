//! Values of the configuration, one reader for each type that a key may want.

use super::facts::{Change, Hosts, Network, Permit, Tenants};
use super::{AlertBudget, ProcessThresholds, Profiles, VolumeThresholds};
use crate::net::{Cidr, Nets};
use crate::signatures::{Category, globs, nets_and_names};
use crate::strict::{Keys, Source, Text, plain, shown};
use crate::units::{Bytes, Span};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use toml::de::{DeTable, DeValue};

/// Longest list and most entries of a table.
const MAX_LIST: usize = 5_000;

/// One key while it is read. Every reader gives nothing when the key is absent, or faulty and noted.
pub(super) struct Reading<'r, 'k, 't, 's> {
    pub(super) keys: &'r mut Keys<'k, 't>,
    pub(super) source: &'r mut Source<'s>,
    pub(super) key: &'static str,
    /// What relative paths are relative to.
    pub(super) base: Option<&'r Path>,
}

/// Takes a value over if there is one.
pub(super) fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

impl<'k, 't> Reading<'_, 'k, 't, '_> {
    pub(super) fn quantity<T: FromStr<Err = String>>(&mut self, example: &str) -> Option<T> {
        self.keys.quantity(self.source, self.key, example)
    }

    pub(super) fn size(&mut self, example: &str) -> Option<Bytes> {
        self.quantity(example)
    }

    /// A size within bounds.
    pub(super) fn size_within(&mut self, example: &str, least: u64, most: u64) -> Option<Bytes> {
        let size = self.size(example)?;
        if !(least..=most).contains(&size.0) {
            self.refuse(
                "is out of bounds",
                format!("write from \"{}\" to \"{}\"", Bytes(least), Bytes(most)),
            );
            return None;
        }
        Some(size)
    }

    /// The size of a block of a ring.
    pub(super) fn block(&mut self) -> Option<Bytes> {
        let size = self.size_within("256 KiB", 4096, 8 << 20)?;
        if !size.0.is_power_of_two() {
            self.refuse("is no power of two", "write for example \"256 KiB\"".to_owned());
            return None;
        }
        Some(size)
    }

    /// A length of time; none is no length.
    pub(super) fn span(&mut self, example: &str) -> Option<Span> {
        let span: Span = self.quantity(example)?;
        if span.nanos() == 0 {
            self.refuse("is no time at all", format!("write for example \"{example}\""));
            return None;
        }
        Some(span)
    }

    /// A number of things in memory: at least one.
    pub(super) fn count(&mut self, max: u32) -> Option<usize> {
        let count = self.keys.number(self.source, self.key, max)?;
        if count == 0 {
            self.refuse("is 0", format!("write a whole number from 1 to {max}"));
            return None;
        }
        Some(count as usize)
    }

    /// A list of strings.
    fn list(&mut self) -> Option<Vec<Text>> {
        let there = self.keys.has(self.key);
        let list = self.keys.list(self.source, self.key, MAX_LIST);
        there.then_some(list)
    }

    pub(super) fn words(&mut self) -> Option<Vec<String>> {
        self.list().map(|list| list.into_iter().map(|text| text.text).collect())
    }

    pub(super) fn globs(&mut self, what: &str) -> Option<Vec<String>> {
        let list = self.list()?;
        Some(globs(self.source, list, what).iter().map(str::to_owned).collect())
    }

    /// A list of strings that each are a `T`.
    pub(super) fn each<T: FromStr<Err = String>>(&mut self, example: &str) -> Option<Vec<T>> {
        let list = self.list()?;
        let mut values = Vec::with_capacity(list.len());
        for text in &list {
            match text.text.parse() {
                Ok(value) => values.push(value),
                Err(error) => {
                    let error: String = error;
                    let cure = format!("write for example \"{example}\"");
                    let (what, cure) = error.split_once("; ").unwrap_or((&error, &cure));
                    self.source.fault(Some(text.line), format!("{}: {}", self.key, plain(what)), cure);
                }
            }
        }
        (values.len() == list.len()).then_some(values)
    }

    pub(super) fn home(&mut self) -> Option<Nets> {
        let cidrs: Vec<Cidr> = self.each("10.0.0.0/8")?;
        if cidrs.iter().any(|cidr| cidr.prefix() == 0) {
            self.refuse("takes in the world, so that nothing could leave", "name the networks at home");
        }
        if cidrs.is_empty() {
            self.refuse("names no network", "name the networks at home, or leave the key out");
            return None;
        }
        Some(Nets::new(cidrs))
    }

    pub(super) fn hosts(&mut self) -> Option<Hosts> {
        let list = self.list()?;
        let (nets, names) = nets_and_names(self.source, list);
        Some(Hosts { nets, names })
    }

    pub(super) fn name(&mut self) -> Option<String> {
        Some(self.keys.needed_if_there(self.source, self.key, "\"egret\"")?.text)
    }

    pub(super) fn timezone(&mut self) -> Option<String> {
        let text = self.keys.text(self.source, self.key)?.text;
        let part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+'))
        };
        if text != "UTC" && !(text.contains('/') && text.split('/').all(part)) {
            self.refuse(
                &format!("is '{}', no IANA name", shown(&text)),
                "write for example \"Europe/Berlin\"",
            );
            return None;
        }
        Some(text)
    }

    pub(super) fn path(&mut self) -> Option<PathBuf> {
        let path = self.path_here()?;
        Some(self.base.map_or(path.clone(), |base| base.join(&path)))
    }

    /// Paths, relative to the folder of the file.
    pub(super) fn paths(&mut self) -> Option<Vec<PathBuf>> {
        let paths = self.words()?;
        Some(paths.into_iter().map(|p| self.base.map_or(PathBuf::from(&p), |base| base.join(&p))).collect())
    }

    /// A path that is relative to where the program runs.
    pub(super) fn path_here(&mut self) -> Option<PathBuf> {
        self.keys.needed_if_there(self.source, self.key, "\"path\"").map(|text| PathBuf::from(text.text))
    }

    /// Permissions: `"0640"` or `0o640`.
    pub(super) fn mode(&mut self) -> Option<u32> {
        let value = self.keys.take(self.key)?;
        let digits = match value.get_ref() {
            DeValue::String(text) => Some(text.as_ref()),
            DeValue::Integer(number) if number.radix() == 8 => Some(number.as_str()),
            _ => None,
        };
        let octal = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
        let mode = digits.filter(|d| octal(d)).and_then(|d| u32::from_str_radix(d, 8).ok());
        let mode = mode.filter(|mode| *mode <= 0o777 && mode & 0o200 != 0);
        if mode.is_none() {
            self.refuse("is no permission that lets the owner write", "write for example \"0640\"");
        }
        mode
    }

    pub(super) fn logs(&mut self) -> Option<Vec<&'static str>> {
        match crate::output::file::kinds(&self.words()?.join(",")) {
            Ok(kinds) => Some(kinds.iter().map(|kind| kind.name).collect()),
            Err(error) => {
                let (what, cure) = error.split_once("; ").unwrap_or((&error, "see egret replay --help"));
                self.refuse(&format!("is wrong: {what}"), cure);
                None
            }
        }
    }

    /// Tenants of any service as a list, or of certain services as a table of lists.
    pub(super) fn tenants(&mut self) -> Option<Tenants> {
        let Some((table, line)) = self.own_table() else {
            return Some([(String::new(), self.globs("tenant")?)].into());
        };
        let keys = Keys::new(table, self.key, line);
        let lists = keys.lists(self.source, MAX_LIST);
        let source = &mut *self.source;
        let tenants = lists.into_iter().map(|(service, list)| {
            let names = globs(source, list, "tenant").iter().map(str::to_owned).collect();
            (service.text, names)
        });
        Some(tenants.collect())
    }

    pub(super) fn groups(&mut self) -> Vec<(String, Hosts)> {
        let Some((table, line)) = self.keys.table(self.source, self.key) else { return Vec::new() };
        let mut groups = Vec::new();
        for (group, list) in Keys::new(table, self.key, line).lists(self.source, MAX_LIST) {
            let (nets, names) = nets_and_names(self.source, list);
            groups.push((group.text, Hosts { nets, names }));
        }
        groups
    }

    /// One size for every kind of service, or sizes by kind and category.
    pub(super) fn volumes(&mut self, levels: &mut VolumeThresholds) {
        let Some((table, line)) = self.own_table() else {
            if let Some(size) = self.size("3 MB") {
                (levels.storage, levels.webhook, levels.text) = (size, size, size);
                levels.categories.fill(None);
            }
            return;
        };
        let mut keys = Keys::new(table, self.key, line);
        let source = &mut *self.source;
        put(&mut levels.storage, keys.quantity(source, "storage", "3 MB"));
        put(&mut levels.webhook, keys.quantity(source, "webhook", "1 MB"));
        put(&mut levels.text, keys.quantity(source, "text", "20 kB"));
        put(&mut levels.ceiling, keys.quantity(source, "ceiling", "1 GiB"));
        // `webhook` is a kind of its own and a category; the kind takes in message APIs too.
        for category in Category::ALL.iter().filter(|c| **c != Category::Webhook) {
            let level = keys.quantity(source, category.as_str(), "3 MB").map(Some);
            if let Some(place) = levels.categories.get_mut(*category as usize) {
                put(place, level);
            }
        }
        keys.finish(source);
    }

    pub(super) fn processes(&mut self, levels: &mut ProcessThresholds) {
        let Some((table, line)) = self.own_table() else {
            if let Some(size) = self.size("10 MB") {
                *levels = ProcessThresholds { tool: size, first_seen: size };
            }
            return;
        };
        let mut keys = Keys::new(table, self.key, line);
        put(&mut levels.tool, keys.quantity(self.source, "tool", "10 MB"));
        put(&mut levels.first_seen, keys.quantity(self.source, "first_seen", "100 MB"));
        keys.finish(self.source);
    }

    pub(super) fn profiles(&mut self, profiles: &mut Profiles) {
        let Some((table, line)) = self.keys.table(self.source, self.key) else { return };
        let mut keys = Keys::new(table, self.key, line);
        put(&mut profiles.memory, keys.quantity(self.source, "memory", "28d"));
        put(&mut profiles.activation, keys.quantity(self.source, "activation", "14d"));
        put(&mut profiles.lag, keys.quantity(self.source, "lag", "6d"));
        keys.finish(self.source);
    }

    pub(super) fn budget(&mut self, budget: &mut AlertBudget) {
        let range = || 0.0..=100_000.0;
        let Some((table, line)) = self.own_table() else {
            put(&mut budget.alerts, self.keys.fraction(self.source, self.key, range()));
            return;
        };
        let mut keys = Keys::new(table, self.key, line);
        put(&mut budget.alerts, keys.fraction(self.source, "alerts", range()));
        put(&mut budget.low, keys.fraction(self.source, "low", range()));
        keys.finish(self.source);
    }

    pub(super) fn permits(&mut self) -> Option<Vec<Permit>> {
        self.entries(|source, keys| {
            let group = keys.needed(source, "group", "\"design\"");
            let services = services(source, keys);
            let (reason, owner) = answer(source, keys);
            let expires = day(source, keys, "expires");
            Some(Permit {
                group: group?.text,
                services: services?,
                reason: reason?.text,
                owner: owner?.text,
                expires: expires?,
            })
        })
    }

    pub(super) fn changes(&mut self) -> Option<Vec<Change>> {
        self.entries(|source, keys| {
            let (reason, owner) = answer(source, keys);
            let list = keys.list(source, "hosts", MAX_LIST);
            let (nets, names) = nets_and_names(source, list);
            let services = services(source, keys);
            let (from, until) = (day(source, keys, "from"), day(source, keys, "until"));
            let (from, until) = (from?, until?);
            if until < from {
                source.fault(Some(keys.line), "[[change]] ends before it begins", "mend from or until");
                return None;
            }
            let hosts = Hosts { nets, names };
            Some(Change { reason: reason?.text, owner: owner?.text, hosts, services: services?, from, until })
        })
    }

    pub(super) fn networks(&mut self) -> Option<Vec<Network>> {
        self.entries(|source, keys| {
            let name = keys.needed(source, "name", "\"guest\"");
            let (vlans, vnis) = (keys.numbers(source, "vlans"), keys.numbers(source, "vnis"));
            if vlans.iter().any(|id| *id > 4_094) || vnis.iter().any(|id| *id >= 1 << 24) {
                source.fault(
                    Some(keys.line),
                    "[[networks]] has an id that cannot be",
                    "vlans go up to 4094, vnis to 16777215",
                );
            } else if vlans.is_empty() && vnis.is_empty() {
                source.fault(Some(keys.line), "[[networks]] has no vlans and no vnis", "add vlans = [30]");
            }
            Some(Network { name: name?.text, vlans, vnis })
        })
    }

    /// The entries of an array of tables, each with nothing left over.
    fn entries<T>(
        &mut self,
        mut read: impl FnMut(&mut Source<'_>, &mut Keys<'k, 't>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let there = self.keys.has(self.key);
        let mut entries = Vec::new();
        for mut keys in self.keys.tables(self.source, self.key, MAX_LIST) {
            entries.extend(read(self.source, &mut keys));
            keys.finish(self.source);
        }
        there.then_some(entries)
    }

    /// This key's value, if it is a table.
    fn own_table(&mut self) -> Option<(&'k DeTable<'t>, usize)> {
        let value = self.keys.take(self.key)?;
        Some((value.get_ref().as_table()?, self.source.line(value.span().start)))
    }

    fn refuse(&mut self, what: &str, cure: impl Into<String>) {
        let line = self.keys.line_of(self.source, self.key);
        self.source.fault(line, format!("{} of {} {what}", self.key, self.keys.what()), cure);
    }
}

fn services(source: &mut Source<'_>, keys: &mut Keys<'_, '_>) -> Option<Vec<String>> {
    if !keys.has("services") {
        let what = format!("{} has no services", keys.what());
        source.fault(Some(keys.line), what, "add services = [\"dropbox\"]");
    }
    let list = keys.list(source, "services", MAX_LIST);
    (!list.is_empty()).then(|| list.into_iter().map(|text| text.text).collect())
}

/// Who answers for an entry, and why it is there.
fn answer(source: &mut Source<'_>, keys: &mut Keys<'_, '_>) -> (Option<Text>, Option<Text>) {
    let reason = keys.needed(source, "reason", "\"why, with the ticket\"");
    (reason, keys.needed(source, "owner", "\"name@example.org\""))
}

fn day(source: &mut Source<'_>, keys: &mut Keys<'_, '_>, key: &'static str) -> Option<jiff::civil::Date> {
    if !keys.has(key) {
        let what = format!("{} has no {key}", keys.what());
        source.fault(Some(keys.line), what, format!("add {key} = 2027-01-31"));
    }
    keys.date(source, key).map(|day| day.0)
}
