//! `[privacy]`: users and hosts stand in records under pseudonyms: the same for the same name as long as the key is.
//!
//! Replaced are names of accounts and hosts wherever a record has them, in command lines, paths and sentences too, and the
//! folders of users. Addresses stay: without them a record is of no use.

use super::{Answers, FactsRecord, FlowRecord, Host, Identity, IncidentRecord, Record};
use crate::attribute::{Attribution, ParentProcess, Process};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Letters of a pseudonym behind its kind.
const LETTERS: usize = 12;
/// Shorter names are no names: replacing them would take words apart.
const SHORTEST: usize = 3;
/// Folders whose subfolders are called like users.
const HOMES: &[&str] = &["\\users\\", "/home/", "/users/", "\\documents and settings\\"];
/// Such subfolders that are nobody's.
const NOBODY: &[&str] = &["public", "default", "all users", "shared", "defaultuser0"];

/// See the module.
#[derive(Clone, Debug)]
pub struct Pseudonyms {
    key: Vec<u8>,
    users: bool,
    hosts: bool,
}

/// Names of one record and what stands for them.
type Names = Vec<(String, String)>;

impl Pseudonyms {
    /// With a key that only the site has; whose names are replaced.
    pub fn new(key: &[u8], users: bool, hosts: bool) -> Self {
        Self { key: key.to_owned(), users, hosts }
    }

    fn of(&self, kind: &str, name: &str) -> String {
        let mut hash = Sha256::new();
        hash.update((self.key.len() as u64).to_le_bytes());
        hash.update(&self.key);
        hash.update(kind);
        hash.update([0]);
        hash.update(name.to_lowercase());
        let hash = hash.finalize();
        let mut out = format!("{kind}-");
        for byte in hash.iter().take(LETTERS / 2) {
            out.push_str(&format!("{byte:02x}"));
        }
        out
    }

    /// The record as it may be written.
    pub fn hide(&self, record: &Record) -> Record {
        match record {
            Record::Flow(r) => {
                Record::Flow(Box::new(FlowRecord { identity: self.identity(&r.identity), ..(**r).clone() }))
            }
            Record::Facts(r) => {
                Record::Facts(Box::new(FactsRecord { identity: self.identity(&r.identity), ..(**r).clone() }))
            }
            Record::Incident(r) => Record::Incident(Box::new(self.incident(r))),
            other => other.clone(),
        }
    }

    /// The account without its domain or realm.
    fn account(user: &str) -> &str {
        let name = user.rsplit('\\').next().unwrap_or(user);
        name.split('@').next().unwrap_or(name)
    }

    fn names(&self, identity: &Identity) -> Names {
        let mut names = Names::new();
        let said = identity.attribution.as_deref();
        if self.users {
            let of_process = said.and_then(|a| a.process.as_ref()?.user.as_deref());
            for user in [of_process, said.and_then(|a| a.user.as_deref())].into_iter().flatten() {
                // The whole first: the account is part of it. Both have one pseudonym.
                let account = Self::account(user);
                let pseudonym = self.of("user", account);
                add(&mut names, user, &pseudonym);
                add(&mut names, account, &pseudonym);
            }
        }
        if self.hosts {
            let host = identity.host.as_ref().and_then(|h| h.name.as_deref());
            for name in [host, said.and_then(|a| a.host_name.as_deref())].into_iter().flatten() {
                add(&mut names, name, &self.of("host", name));
            }
        }
        names
    }

    fn text(&self, text: &str, names: &Names) -> String {
        let mut out = text.to_owned();
        for (name, pseudonym) in names {
            out = replace(&out, name, pseudonym);
        }
        if self.users { self.folders(&out) } else { out }
    }

    /// Folders of users that no event of this record named.
    fn folders(&self, text: &str) -> String {
        let lower = text.to_ascii_lowercase();
        let (mut out, mut at) = (String::new(), 0);
        while let Some((from, to)) = next_home(&lower, at) {
            out.push_str(&text[at..from]);
            let name = &text[from..to];
            let nobody =
                name.len() < SHORTEST || NOBODY.contains(&&lower[from..to]) || name.starts_with("user-");
            out.push_str(&if nobody { name.to_owned() } else { self.of("user", name) });
            at = to;
        }
        out.push_str(&text[at..]);
        out
    }

    fn identity(&self, identity: &Identity) -> Identity {
        let names = self.names(identity);
        let mut hidden = identity.clone();
        if self.hosts {
            hidden.host = identity.host.as_ref().map(|host| {
                let name = host.name.as_deref().map(|name| self.of("host", name).into());
                Arc::new(Host { ip: host.ip, mac: None, name })
            });
        }
        hidden.attribution =
            identity.attribution.as_ref().map(|said| Arc::new(self.attribution(said, &names)));
        hidden
    }

    fn attribution(&self, said: &Attribution, names: &Names) -> Attribution {
        let text = |t: &Arc<str>| -> Arc<str> { self.text(t, names).into() };
        let user = |u: &Arc<str>| {
            if self.users { Arc::from(self.of("user", Self::account(u))) } else { Arc::clone(u) }
        };
        let process = |p: &Arc<Process>| {
            let parent = |q: &Arc<ParentProcess>| {
                Arc::new(ParentProcess { path: q.path.as_ref().map(text), ..(**q).clone() })
            };
            Arc::new(Process {
                path: p.path.as_ref().map(text),
                command_line: p.command_line.as_ref().map(text),
                user: p.user.as_ref().map(user),
                parent: p.parent.as_ref().map(parent),
                ..(**p).clone()
            })
        };
        Attribution {
            process: said.process.as_ref().map(process),
            host_name: said
                .host_name
                .as_ref()
                .map(|n| if self.hosts { self.of("host", n).into() } else { Arc::clone(n) }),
            user: said.user.as_ref().map(user),
            ..said.clone()
        }
    }

    fn incident(&self, r: &IncidentRecord) -> IncidentRecord {
        let names = self.names(&r.identity);
        let mut hidden = r.clone();
        hidden.identity = self.identity(&r.identity);
        let hide = |text: &mut String| *text = self.text(text, &names);
        hide(&mut hidden.text);
        hidden.evidence.iter_mut().for_each(|e| hide(&mut e.text));
        hidden.containment.iter_mut().for_each(hide);
        for answer in each_mut(&mut hidden.answers) {
            hide(&mut answer.text);
            answer.evidence.iter_mut().for_each(hide);
        }
        for flow in &mut hidden.flows {
            flow.attribution = flow.attribution.as_ref().map(|said| Arc::new(self.attribution(said, &names)));
        }
        hidden
    }
}

fn add(names: &mut Names, name: &str, pseudonym: &str) {
    if name.len() >= SHORTEST && !names.iter().any(|(n, _)| n == name) {
        names.push((name.to_owned(), pseudonym.to_owned()));
    }
}

fn each_mut(answers: &mut Answers) -> [&mut super::Answer; 7] {
    [
        &mut answers.business_need,
        &mut answers.device_authorised,
        &mut answers.volume_atypical,
        &mut answers.outside_hours,
        &mut answers.new_service,
        &mut answers.uploads,
        &mut answers.recent_change,
    ]
}

/// The next name of a user's folder in a text in lower case, from `at` on.
fn next_home(lower: &str, at: usize) -> Option<(usize, usize)> {
    let rest = lower.get(at..)?;
    let found = HOMES.iter().filter_map(|home| rest.find(home).map(|i| at + i + home.len())).min()?;
    let name = lower.get(found..)?;
    let len = name.find(['\\', '/', '"', '\'', ' ', ')', ',', ';']).unwrap_or(name.len());
    Some((found, found + len))
}

/// Whole words only, in any case.
fn replace(text: &str, name: &str, with: &str) -> String {
    let (lower, wanted) = (text.to_ascii_lowercase(), name.to_ascii_lowercase());
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(from) = lower.get(at..).and_then(|rest| rest.find(&wanted)).map(|i| at + i) {
        let to = from + wanted.len();
        let whole = !word(text[..from].chars().next_back()) && !word(text[to..].chars().next());
        out.push_str(&text[at..from]);
        out.push_str(if whole { with } else { &text[from..to] });
        at = to;
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::attribute::Level;

    fn record() -> IncidentRecord {
        let mut record = samples::all().into_iter().find_map(|r| match r {
            Record::Incident(r) => Some(*r),
            _ => None,
        });
        let mut r = record.take().expect("an incident");
        r.identity.host =
            Some(Arc::new(Host { ip: [10, 1, 2, 3].into(), mac: Some([2; 6]), name: Some("PC-ANN".into()) }));
        r.identity.attribution = Some(Arc::new(Attribution {
            level: Level::L1,
            user: Some("CORP\\annika".into()),
            host_name: Some("PC-ANN".into()),
            process: Some(Arc::new(Process {
                name: "rclone".into(),
                path: Some("C:\\Users\\Annika\\bin\\rclone.exe".into()),
                command_line: Some("rclone copy C:\\Users\\bertram\\x m:annika".into()),
                user: Some("CORP\\annika".into()),
                ..Process::default()
            })),
            ..Attribution::default()
        }));
        r.text = "rclone (CORP\\annika) on PC-ANN (10.1.2.3) sent annikas files.".into();
        r
    }

    #[test]
    fn no_name_is_left_and_the_same_name_stays_the_same() {
        let key = Pseudonyms::new(b"a key that only the site has", true, true);
        let hide = |p: &Pseudonyms| match p.hide(&Record::Incident(Box::new(record()))) {
            Record::Incident(r) => *r,
            _ => unreachable!("an incident stays one"),
        };
        let hidden = hide(&key);
        let text = format!("{hidden:?}").to_lowercase();
        assert!(!text.contains("pc-ann") && !text.contains("bertram") && !text.contains("corp"), "{text}");
        assert!(text.contains("annikas files"), "words stay");
        let user = key.of("user", "annika");
        let said = hidden.identity.attribution.as_deref().expect("attribution");
        let process = said.process.as_deref().expect("a process");
        assert_eq!(said.user.as_deref(), Some(&*user));
        assert_eq!(process.path.as_deref(), Some(&*format!("C:\\Users\\{user}\\bin\\rclone.exe")));
        assert!(process.command_line.as_deref().is_some_and(|c| c.ends_with(&format!("m:{user}"))));
        assert_eq!(hidden.identity.host.as_ref().map(|h| (h.ip, h.mac)), Some(([10, 1, 2, 3].into(), None)));
        assert_eq!(hide(&key).text, hidden.text);
        assert_ne!(hide(&Pseudonyms::new(b"another", true, true)).text, hidden.text);
    }

    #[test]
    fn only_what_is_asked_for() {
        let hosts = Pseudonyms::new(b"key", false, true);
        let text = format!("{:?}", hosts.hide(&Record::Incident(Box::new(record()))));
        assert!(text.contains("annika") && !text.contains("PC-ANN"));
        let users = Pseudonyms::new(b"key", true, false);
        let text = format!("{:?}", users.hide(&Record::Incident(Box::new(record()))));
        assert!(!text.contains("CORP") && text.contains("PC-ANN"));
    }

    #[test]
    fn folders_of_nobody_stay() {
        let users = Pseudonyms::new(b"key", true, false);
        for text in ["C:\\Users\\Public\\x.exe", "/home/", "/Users/Shared/x", "no path", "C:\\Users\\"] {
            assert_eq!(users.text(text, &Names::new()), text);
        }
        let out = users.text("\"/home/bert/x\" /home/ann/y", &Names::new());
        assert!(!out.contains("bert") && !out.contains("ann"), "{out}");
    }
}
