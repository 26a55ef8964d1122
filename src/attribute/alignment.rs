//! Two prints of one course of events: what a log without ports says its host did, and the flows of an address. Shifted
//! by as much as the log's clock is off, the one lies on the other.
//!
//! All differences between an event and a flow to the same destination are laid out in a row; where many of them fall
//! into a narrow window, each of another event and another flow, and no second window has half as many, there the clock
//! stands. What repeats evenly (a beacon) has many such windows and is not taken.

use crate::detect::Map;
use std::collections::VecDeque;
use std::net::IpAddr;

use super::MILLI;

/// Clocks whose events are remembered; further ones find no room.
const MAX_TRACKS: usize = 1_024;
/// Events of one clock, while there are few clocks and when there are many.
const EVENTS_OF_FEW: usize = 4_096;
const EVENTS_OF_MANY: usize = 512;
const FEW: usize = 128;
/// Addresses whose flows are remembered, and how many of each.
const MAX_ADDRESSES: usize = 4_096;
const FLOWS: usize = 256;
/// Addresses that are held against one clock.
const MEETINGS: usize = 32;
/// Meetings before the first try; each further try waits for twice as many, up to the second number.
const FIRST_TRY: u32 = 4;
const LAST_TRY: u32 = 256;
/// Destinations that tell two addresses apart.
const PLACES: usize = 8;
/// Destinations that must be common to a clock and an address, and to no other, for the address to be put down to it.
const SOLE: usize = 3;
/// Windows into which differences must fall: of stamps in milliseconds, of whole seconds.
const WINDOWS: [i64; 2] = [200 * MILLI, 2_000 * MILLI];
/// Events that must agree.
const AGREE: usize = 4;
/// What it costs an event or a flow to have no partner.
const ALONE: i64 = 1_000 * MILLI;
/// Differences looked at in one try.
const MAX_DIFFERENCES: usize = 1 << 18;

/// An event or a flow: when, and to where.
#[derive(Clone, Copy, Debug)]
struct Step {
    at: i64,
    place: u64,
    /// Own address; 0: not said, or a flow.
    local: u128,
}

/// An address that was where a clock's host was.
#[derive(Clone, Debug)]
struct Meeting {
    ip: IpAddr,
    met: u32,
    next: u32,
    places: Vec<u64>,
    /// Events that agreed in the last try.
    agreed: usize,
}

/// What a meeting has led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// The clock is off by so much; events that agree.
    Offset(i64, usize),
    /// No other address was where this host was.
    Sole,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Alignments {
    tracks: Map<u32, VecDeque<Step>>,
    flows: Map<IpAddr, VecDeque<Step>>,
    order: VecDeque<IpAddr>,
    meetings: Map<u32, Vec<Meeting>>,
}

impl Alignments {
    /// An event without a port.
    pub(super) fn event(&mut self, clock: u32, at: i64, place: u64, local: u128) {
        let most = if self.tracks.len() <= FEW { EVENTS_OF_FEW } else { EVENTS_OF_MANY };
        if self.tracks.len() >= MAX_TRACKS && !self.tracks.contains_key(&clock) {
            return;
        }
        let track = self.tracks.entry(clock).or_default();
        while track.len() >= most {
            track.pop_front();
        }
        track.push_back(Step { at, place, local });
    }

    /// There are events of this clock.
    pub(super) fn has(&self, clock: u32) -> bool {
        self.tracks.contains_key(&clock)
    }

    /// A new flow.
    pub(super) fn flow(&mut self, ip: IpAddr, at: i64, place: u64) {
        if !self.flows.contains_key(&ip) {
            if self.flows.len() >= MAX_ADDRESSES
                && let Some(oldest) = self.order.pop_front()
            {
                self.flows.remove(&oldest);
            }
            self.order.push_back(ip);
        }
        let flows = self.flows.entry(ip).or_default();
        if flows.len() >= FLOWS {
            flows.pop_front();
        }
        flows.push_back(Step { at, place, local: 0 });
    }

    /// A clock's host and an address were at the same place.
    pub(super) fn met(&mut self, clock: u32, ip: IpAddr, place: u64) -> Option<Found> {
        let list = self.meetings.entry(clock).or_default();
        let at = match list.iter().position(|m| m.ip == ip) {
            Some(at) => at,
            None if list.len() >= MEETINGS => return None,
            None => {
                list.push(Meeting { ip, met: 0, next: FIRST_TRY, places: Vec::new(), agreed: 0 });
                list.len() - 1
            }
        };
        let meeting = list.get_mut(at)?;
        meeting.met += 1;
        let new = !meeting.places.contains(&place) && meeting.places.len() < PLACES;
        if new {
            meeting.places.push(place);
        }
        if meeting.met >= meeting.next {
            meeting.next = meeting.met + meeting.met.min(LAST_TRY);
            if let Some(found) = self.try_to_align(clock, ip) {
                return Some(found);
            }
        }
        (new && self.is_sole(clock, ip)).then_some(Found::Sole)
    }

    fn is_sole(&self, clock: u32, ip: IpAddr) -> bool {
        let list = self.meetings.get(&clock).map_or(&[][..], Vec::as_slice);
        let enough = |m: &Meeting| if m.ip == ip { m.places.len() >= SOLE } else { m.places.len() <= 1 };
        // A log that says where it stands needs no guess.
        let told = self.tracks.get(&clock).is_some_and(|t| t.iter().any(|s| s.local != 0));
        !told && list.len() < MEETINGS && list.iter().all(enough)
    }

    fn try_to_align(&mut self, clock: u32, ip: IpAddr) -> Option<Found> {
        let (events, flows) = (self.tracks.get(&clock)?, self.flows.get(&ip)?);
        let own = super::seats::wide(ip);
        let events: Vec<Step> = events.iter().filter(|e| e.local == 0 || e.local == own).copied().collect();
        let flows: Vec<Step> = flows.iter().copied().collect();
        let (offset, agreed) = WINDOWS.into_iter().find_map(|width| align(&events, &flows, width))?;
        let list = self.meetings.get_mut(&clock)?;
        // Many hosts go where this one goes, about as often: then it is not known which of them it is.
        let other = list.iter().filter(|m| m.ip != ip).map(|m| m.agreed).max().unwrap_or(0);
        list.iter_mut().find(|m| m.ip == ip)?.agreed = agreed;
        (agreed >= 2 * other).then_some(Found::Offset(offset, agreed))
    }
}

/// The shift that lays most events on flows, and how many.
fn align(events: &[Step], flows: &[Step], width: i64) -> Option<(i64, usize)> {
    let mut by_place: Map<u64, Vec<(usize, i64)>> = Map::default();
    for (n, flow) in flows.iter().enumerate() {
        by_place.entry(flow.place).or_default().push((n, flow.at));
    }
    let mut all: Vec<(i64, usize, usize)> = Vec::new();
    // The newest first: what was long ago is behind the flows that are remembered.
    for (n, event) in events.iter().enumerate().rev() {
        let near = by_place.get(&event.place).into_iter().flatten();
        all.extend(near.map(|(flow, at)| (event.at.saturating_sub(*at), n, *flow)));
        if all.len() >= MAX_DIFFERENCES {
            break;
        }
    }
    all.sort_unstable();
    let scores = windows(&all, events.len(), flows.len(), width);
    let best = scores.iter().copied().max_by_key(|(score, at)| (*score, std::cmp::Reverse(*at)))?;
    let centre = |at: usize| all.get(at).map_or(0, |d| d.0);
    let start = centre(best.1);
    let others = scores.iter().filter(|(_, at)| (centre(*at) - start).abs() > 2 * width);
    let second = others.map(|(score, _)| *score).max().unwrap_or(0);
    if best.0 < AGREE || best.0 < 2 * second {
        return None;
    }
    let inside: Vec<i64> = all.iter().map(|d| d.0).filter(|d| (start..=start + width).contains(d)).collect();
    inside.get(inside.len() / 2).map(|offset| (*offset, best.0))
}

/// For each difference, how many events and flows have one within `width` behind it, the fewer of both.
fn windows(all: &[(i64, usize, usize)], events: usize, flows: usize, width: i64) -> Vec<(usize, usize)> {
    let (mut of_event, mut of_flow) = (vec![0u32; events], vec![0u32; flows]);
    let (mut distinct_events, mut distinct_flows, mut end) = (0usize, 0usize, 0usize);
    let mut scores = Vec::with_capacity(all.len());
    for (start, (from, event, flow)) in all.iter().enumerate() {
        while let Some((at, e, f)) = all.get(end)
            && at - from <= width
        {
            enter(&mut of_event, *e, &mut distinct_events);
            enter(&mut of_flow, *f, &mut distinct_flows);
            end += 1;
        }
        scores.push((distinct_events.min(distinct_flows), start));
        leave(&mut of_event, *event, &mut distinct_events);
        leave(&mut of_flow, *flow, &mut distinct_flows);
    }
    scores
}

fn enter(counts: &mut [u32], at: usize, distinct: &mut usize) {
    if let Some(count) = counts.get_mut(at) {
        *distinct += usize::from(*count == 0);
        *count += 1;
    }
}

fn leave(counts: &mut [u32], at: usize, distinct: &mut usize) {
    if let Some(count) = counts.get_mut(at) {
        *count -= 1;
        *distinct -= usize::from(*count == 0);
    }
}

/// Which event is a flow's, when both stand in the order of time and each belongs to one other at most: the pairing with
/// the least sum of distances, where one that stays alone costs [`ALONE`]. Times of events are the middle of what a stamp
/// stands for, `half` to either side. `None`: this one stays alone.
pub(super) fn partner(flows: &[i64], events: &[i64], of: usize, half: i64) -> Option<usize> {
    let (rows, columns) = (flows.len(), events.len());
    // Within a stamp all times are alike, nearly.
    let apart = |flow: i64, event: i64| {
        let off = (flow - event).abs();
        (off - half).max(0).saturating_add(off.min(ALONE) / 1_000)
    };
    let mut cost = vec![vec![0i64; columns + 1]; rows + 1];
    for row in 0..=rows {
        for column in 0..=columns {
            let up = row.checked_sub(1).map(|r| cost[r][column].saturating_add(ALONE));
            let left = column.checked_sub(1).map(|c| cost[row][c].saturating_add(ALONE));
            let pair = row.checked_sub(1).zip(column.checked_sub(1));
            let both = pair.map(|(r, c)| cost[r][c].saturating_add(apart(flows[r], events[c])));
            cost[row][column] = [both, up, left].into_iter().flatten().min().unwrap_or(0);
        }
    }
    let (mut row, mut column) = (rows, columns);
    while row > 0 && column > 0 {
        let paired = cost[row - 1][column - 1].saturating_add(apart(flows[row - 1], events[column - 1]));
        if cost[row][column] == paired {
            if row - 1 == of {
                return Some(column - 1);
            }
            (row, column) = (row - 1, column - 1);
        } else if cost[row][column] == cost[row - 1][column].saturating_add(ALONE) {
            row -= 1;
        } else {
            column -= 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: i64 = 1_000 * MILLI;

    fn steps(times: &[i64], ahead: i64) -> Vec<Step> {
        times.iter().map(|t| Step { at: t * MILLI + ahead, place: 1, local: 0 }).collect()
    }

    #[test]
    fn an_uneven_course_gives_the_clock_away_at_one_destination() {
        let times = [0, 1_300, 1_900, 7_000, 7_100, 30_000, 31_700, 64_000];
        let ahead = -483_275 * SEC;
        let events: Vec<i64> = times.iter().map(|t| t + t % 3).collect();
        let (offset, agreed) = align(&steps(&events, ahead), &steps(&times, 0), WINDOWS[0]).expect("found");
        assert!((offset - ahead).abs() < 5 * MILLI, "{offset}");
        assert_eq!(agreed, 8);
        // Events of other days before and behind change nothing.
        let mut long = steps(&[-900_000, -500_000, 2_000_000, 2_700_000], ahead);
        long.extend(steps(&events, ahead));
        assert!(align(&long, &steps(&times, 0), WINDOWS[0]).is_some());
    }

    #[test]
    fn a_beacon_gives_nothing_away() {
        let times: Vec<i64> = (0..40).map(|n| n * 60_000).collect();
        assert_eq!(align(&steps(&times, 7 * SEC), &steps(&times[..30], 0), WINDOWS[0]), None);
    }

    #[test]
    fn partners_keep_their_order() {
        let flows = [10, 200, 390].map(|t| t * MILLI);
        let events = [500; 3].map(|t| t * MILLI);
        for of in 0..3 {
            assert_eq!(partner(&flows, &events, of, 500 * MILLI), Some(of));
        }
        // The middle one was not logged.
        let events = [11, 391].map(|t| t * MILLI);
        assert_eq!([0, 1, 2].map(|of| partner(&flows, &events, of, MILLI / 2)), [Some(0), None, Some(1)]);
        assert_eq!(partner(&flows, &[], 0, 0), None);
    }

    #[test]
    fn one_address_that_was_everywhere_is_taken_and_two_are_not() {
        let (a, b): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let mut all = Alignments::default();
        all.event(0, 0, 1, 0);
        assert_eq!([1, 2].map(|place| all.met(0, a, place)), [None, None]);
        assert_eq!(all.met(0, a, 3), Some(Found::Sole));
        assert_eq!([1, 2].map(|place| all.met(0, b, place)), [None, None]);
        assert_eq!(all.met(0, a, 4), None);
    }

    #[test]
    fn bounded() {
        let mut all = Alignments::default();
        for n in 0..20_000u32 {
            all.event(n % 3_000, i64::from(n), 1, 0);
            all.event(0, i64::from(n), 1, 0);
            all.flow(IpAddr::from(n.to_be_bytes()), 0, 1);
            all.met(0, IpAddr::from(n.to_be_bytes()), u64::from(n));
        }
        assert!(all.tracks.len() <= MAX_TRACKS && all.flows.len() <= MAX_ADDRESSES);
        assert!(all.tracks.values().all(|t| t.len() <= EVENTS_OF_FEW));
        assert!(all.meetings[&0].len() <= MEETINGS);
    }
}
