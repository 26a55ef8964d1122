//! How many uploads, how large: what the worker saw of bursts, added up over the flows of an incident.
//!
//! A count is exact where requests run one after the other, a lower bound where they may run at once; sizes are told
//! only where they do not, and as an interval: the head of a request is not told from its body.

use crate::observe::{Mux, Tally};
use crate::output::{Answer, AnswerState};
use crate::units::Bytes;

/// The head of a request is hardly longer.
const HEAD: u64 = 2_048;
/// What sizes may be off by where lengths of segments stand in for records, as a divisor.
const ROUGH: u64 = 20;

/// The answer to how many, how large. `None`: none was counted.
pub fn answer(tally: &Tally, up_bytes: u64) -> Option<Answer> {
    if tally.count == 0 {
        return None;
    }
    let (least, n) = (tally.least, tally.count);
    let many = |n: u64| if n == 1 { "1 upload".to_owned() } else { format!("{n} uploads") };
    let all = Bytes(up_bytes);
    let (state, text, estimate, mux) = match tally.mux {
        Mux::No => (AnswerState::Yes, format!("{}, {all} in all", many(n)), n.to_string(), "no"),
        Mux::Unknown => (
            AnswerState::Unknown,
            format!("at least {}, {all} in all; some may have run at once", many(least)),
            if least == n { format!("{n} or more") } else { format!("{least} to {n} or more") },
            "unknown",
        ),
        Mux::Yes => (
            AnswerState::Unknown,
            format!("at least {}, {all} in all; several ran at once", many(least)),
            format!("{least} or more"),
            "yes",
        ),
    };
    let mut evidence = vec![format!("uploads_est {estimate}"), format!("mux {mux}")];
    if let Some((smallest, largest)) = tally.sizes.filter(|_| tally.mux == Mux::No) {
        let off = |bytes: u64| if tally.rough { bytes / ROUGH } else { 0 };
        let least = smallest.saturating_sub(off(smallest)).saturating_sub(HEAD);
        evidence.push(format!(
            "each between {} and {}",
            Bytes(least),
            Bytes(largest.saturating_add(off(largest)))
        ));
    }
    evidence.push(if tally.rough { "by segments or datagrams" } else { "by TLS records" }.to_owned());
    Some(Answer { state, text, value: Some(least as f64), unit: Some("uploads"), evidence })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Uploads;

    fn seen(answered: u32, open: u32, overlapping: u8, unclear: u8, one_by_one: bool) -> Uploads {
        Uploads {
            answered,
            smallest: 1_000,
            largest: 2_000,
            open,
            overlapping,
            unclear,
            rough: 0,
            one_by_one,
        }
    }

    #[test]
    fn sizes_only_where_nothing_ran_at_once() {
        for (seen, count, mux) in [
            (seen(3, 0, 0, 0, false), 3, Mux::No),
            (seen(3, 500, 0, 0, false), 4, Mux::No),
            (seen(3, 0, 1, 0, false), 3, Mux::Yes),
            (seen(3, 0, 1, 0, true), 3, Mux::No),
            (seen(3, 0, 0, 1, false), 3, Mux::Unknown),
            (seen(1, 0, 0, 9, false), 1, Mux::Unknown),
        ] {
            let tally = Tally::of(&seen);
            assert_eq!((tally.count, tally.mux), (count, mux), "{seen:?}");
            let least = if mux == Mux::No { count } else { count.saturating_sub(seen.unclear.into()).max(1) };
            assert_eq!(tally.least, least, "{seen:?}");
            let answer = answer(&tally, 200_000).expect("counted");
            let sized = answer.evidence.iter().any(|e| e.starts_with("each between"));
            assert_eq!(sized, mux == Mux::No, "{answer:?}");
            assert_eq!(answer.state == AnswerState::Yes, mux == Mux::No, "{answer:?}");
        }
        assert_eq!(answer(&Tally::of(&seen(0, 3, 0, 0, false)), 9), None);
    }

    #[test]
    fn flows_add_up() {
        let mut tally = Tally::default();
        tally.add(&Tally::of(&seen(2, 0, 0, 0, true)));
        tally.add(&Tally::of(&Uploads { smallest: 10, largest: 30, answered: 1, ..Uploads::default() }));
        assert_eq!((tally.count, tally.sizes, tally.mux), (3, Some((640, 128_000)), Mux::No));
        tally.add(&Tally::of(&seen(2, 0, 1, 0, false)));
        assert_eq!((tally.count, tally.mux), (5, Mux::Yes));
    }
}
