//! Silences: what an analyst has said of one incident, to hold until a day and up to so many bytes. What is silenced is
//! still booked, still told, and counted each time.

use crate::output::Evidence;
use crate::units::{Bytes, Timestamp};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One of them. What is not named is not looked at; host or destination always is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Silence {
    /// Its number in the state file.
    pub number: i64,
    /// The host.
    pub host: Option<IpAddr>,
    /// The service, by its identifier.
    pub service: Option<String>,
    /// The destination's name.
    pub name: Option<String>,
    /// Bytes out in 24 h up to which it holds.
    pub budget: Bytes,
    /// When it ends.
    pub expires: Timestamp,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
}

/// An upload, as far as a silence looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'h> {
    /// The host.
    pub host: Option<IpAddr>,
    /// The service.
    pub service: Option<&'h str>,
    /// The destination's name.
    pub name: Option<&'h str>,
    /// Bytes out in 24 h.
    pub out: u64,
    /// When.
    pub now: Timestamp,
}

impl Silence {
    fn covers(&self, h: &Heard<'_>) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|w| found.is_some_and(|f| f.eq_ignore_ascii_case(w)))
        };
        (self.host.is_some() || self.name.is_some())
            && h.now < self.expires
            && h.out <= self.budget.0
            && self.host.is_none_or(|host| h.host == Some(host))
            && is(&self.service, h.service)
            && is(&self.name, h.name)
    }
}

#[derive(Default, Debug)]
struct Book {
    list: Vec<Silence>,
    /// How often each was hit since this was asked last, and when last.
    hits: BTreeMap<i64, (u64, Timestamp)>,
}

/// All in force, shared by the detector, which asks, and the writer, which fetches them from the file.
#[derive(Clone, Default, Debug)]
pub struct Silences(Arc<Mutex<Book>>);

impl Silences {
    fn book(&self) -> MutexGuard<'_, Book> {
        // Whoever died with it has left whole values: each change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are in force now.
    pub fn set(&self, list: Vec<Silence>) {
        self.book().list = list;
    }

    /// Whether one covers this; its words for the record. `count`: a record is being written.
    pub fn cover(&self, heard: &Heard<'_>, count: bool) -> Option<Evidence> {
        let mut book = self.book();
        let silence = book.list.iter().find(|s| s.covers(heard))?;
        let text =
            format!("silenced by {} up to {} a day: {}", silence.owner, silence.budget, silence.reason);
        let number = silence.number;
        if count {
            let hit = book.hits.entry(number).or_default();
            *hit = (hit.0 + 1, heard.now);
        }
        Some(Evidence { name: "silenced", value: 1.0, weight: 0.0, contribution: 0.0, text })
    }

    /// What was hit since the last call.
    pub fn take_hits(&self) -> BTreeMap<i64, (u64, Timestamp)> {
        std::mem::take(&mut self.book().hits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_narrow_as_it_is_written() {
        let ip = IpAddr::from([10, 0, 0, 1]);
        let silence = Silence {
            number: 7,
            host: Some(ip),
            service: Some("dropbox".into()),
            name: None,
            budget: Bytes(1_000),
            expires: Timestamp::new(100, 0),
            owner: "soc".into(),
            reason: "known".into(),
        };
        let heard = Heard {
            host: Some(ip),
            service: Some("dropbox"),
            name: Some("content.dropboxapi.com"),
            out: 1_000,
            now: Timestamp::new(99, 0),
        };
        let all = Silences::default();
        all.set(vec![silence.clone()]);
        assert!(all.cover(&heard, true).is_some());
        let other = |change: fn(&mut Heard<'_>)| {
            let mut h = heard;
            change(&mut h);
            all.cover(&h, true).is_none()
        };
        assert!(other(|h| h.out = 1_001) && other(|h| h.now = Timestamp::new(100, 0)));
        assert!(other(|h| h.host = None) && other(|h| h.service = Some("box")));
        assert_eq!(all.take_hits().get(&7).map(|h| h.0), Some(1));
        all.set(vec![Silence { host: None, ..silence }]);
        assert!(all.cover(&heard, false).is_none(), "neither a host nor a name is no scope");
    }
}
