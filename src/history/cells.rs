//! One line of a log as cells by what they mean, whatever the format called them.
//!
//! Every format fills [`Cells`]; `entry` makes entries of them. So a format is a matter of splitting and naming, and
//! what a connection or a name is stands in one place.

use super::value;
use std::borrow::Cow;

macro_rules! roles {
    ($($(#[$about:meta])* $name:ident,)+) => {
        /// What a cell means.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Role { $($(#[$about])* $name,)+ }

        impl Role {
            /// How many there are.
            pub const COUNT: usize = [$(Self::$name),+].len();
        }
    };
}

roles! {
    /// Start of the connection, or time of the event.
    Ts,
    /// When the line was written, where the format says so.
    Written,
    /// End of the connection.
    End,
    /// Identity of the connection in all logs of its tool.
    Uid,
    /// Address of the originator.
    OrigH,
    /// Port of the originator.
    OrigP,
    /// Address of the responder.
    RespH,
    /// Port of the responder.
    RespP,
    /// Transport.
    Proto,
    /// Application protocols.
    Service,
    /// Length in seconds.
    Duration,
    /// Length in milliseconds.
    Millis,
    /// Payload from the originator.
    OrigBytes,
    /// Payload from the responder.
    RespBytes,
    /// Payload from the originator that was proven and not seen, on top of what was.
    OrigGap,
    /// The same from the responder.
    RespGap,
    /// Frame bytes from the originator.
    OrigFrameBytes,
    /// Frame bytes from the responder.
    RespFrameBytes,
    /// Zeek's `conn_state`, Suricata's flow state.
    State,
    /// Payload that was missed.
    Missed,
    /// Zeek's history letters.
    History,
    /// Packets from the originator.
    OrigPkts,
    /// IP bytes from the originator.
    OrigIp,
    /// Packets from the responder.
    RespPkts,
    /// IP bytes from the responder.
    RespIp,
    /// Link address of the originator.
    OrigMac,
    /// Link address of the responder.
    RespMac,
    /// Outer VLAN.
    Vlan,
    /// Inner VLAN.
    InnerVlan,
    /// Server name of TLS or QUIC.
    ServerName,
    /// Subject of the certificate.
    Subject,
    /// Further names of the certificate.
    SubjectNames,
    /// HTTP method.
    Method,
    /// HTTP host.
    Host,
    /// HTTP target.
    Uri,
    /// User-Agent.
    UserAgent,
    /// HTTP status.
    Status,
    /// Body length of the request.
    RequestLen,
    /// DNS name asked for.
    Query,
    /// DNS type as a number.
    Qtype,
    /// DNS type by name.
    QtypeName,
    /// DNS response code as a number.
    Rcode,
    /// DNS response code by name.
    RcodeName,
    /// DNS answers.
    Answers,
    /// Their times to live.
    Ttls,
    /// DNS transaction.
    TransId,
    /// DNS message: question or answer.
    DnsType,
    /// Link address of a lease.
    Mac,
    /// Address that the client had.
    ClientAddr,
    /// Address that was given.
    AssignedAddr,
    /// Name that the client gave itself.
    HostName,
    /// Length of the lease.
    LeaseTime,
    /// DHCP messages.
    MsgTypes,
    /// What kind of line this is, in Zeek's words.
    Kind,
    /// What kind of line this is, in Suricata's words.
    EventType,
    /// HTTP host in Zeek's JSON, the sensor in EVE.
    TopHost,
    /// The user, as a proxy or firewall knows it.
    User,
    /// A day, where the clock stands apart.
    Date,
    /// The clock, where the day stands apart.
    Clock,
    /// Offset from UTC.
    Zone,
    /// Address of the proxy itself.
    ProxyH,
    /// The number of a kind of line.
    LogId,
}

/// Most bytes that unpacked cells of one line may have; the rest is left out.
const SCRATCH_MAX: usize = 1 << 20;
/// Most answers looked at in one cell.
pub(super) const LIST_MAX: usize = 256;
/// A cell that is not there.
const UNSET: (u32, u32) = (u32::MAX, 0);

/// See the module. The bytes lie in the line, or in `scratch` where they had to be unpacked.
#[derive(Debug)]
pub struct Cells {
    at: [(u32, u32); Role::COUNT],
    /// Unpacked text; used instead of the line where the format needs it.
    scratch: Vec<u8>,
    unpacked: bool,
    /// Between the members of a list.
    pub(super) list: u8,
    /// `\x09`-style escapes stand for bytes.
    pub(super) escapes: bool,
}

impl Default for Cells {
    fn default() -> Self {
        Self { at: [UNSET; Role::COUNT], scratch: Vec::new(), unpacked: false, list: b',', escapes: false }
    }
}

impl Cells {
    /// Forgets the last line. `unpacked`: cells will come by [`Cells::put`], not [`Cells::set`].
    pub(super) fn clear(&mut self, unpacked: bool) {
        self.at = [UNSET; Role::COUNT];
        self.scratch.clear();
        self.unpacked = unpacked;
    }

    /// The cell lies in the line, from `start` on.
    #[inline]
    pub(super) fn set(&mut self, role: Role, start: usize, len: usize) {
        self.at[role as usize] = (start as u32, len as u32);
    }

    /// The cell is not set.
    #[inline]
    pub(super) fn unset(&mut self, role: Role) {
        self.at[role as usize] = UNSET;
    }

    /// Whether the cell is set.
    #[inline]
    pub(super) fn has(&self, role: Role) -> bool {
        self.at[role as usize] != UNSET
    }

    /// Writes an unpacked cell in the place of what it was.
    pub(super) fn replace(&mut self, role: Role, text: &[u8]) {
        self.unset(role);
        self.put(role, text);
    }

    /// Writes an unpacked cell; a second value of the same cell becomes the next member of a list.
    pub(super) fn put(&mut self, role: Role, text: &[u8]) {
        let (start, len) = self.at[role as usize];
        let again = (start, len) != UNSET;
        if self.scratch.len() + text.len() + len as usize + 1 > SCRATCH_MAX {
            return;
        }
        let begin = if !again {
            self.scratch.len()
        } else if start as usize + len as usize == self.scratch.len() {
            self.scratch.push(self.list);
            start as usize
        } else {
            // Members of two lists came in turns: this one moves to the end, where it can grow.
            let begin = self.scratch.len();
            self.scratch.extend_from_within(start as usize..start as usize + len as usize);
            self.scratch.push(self.list);
            begin
        };
        self.scratch.extend_from_slice(text);
        self.set(role, begin, self.scratch.len() - begin);
    }

    /// Takes another cell's value where this one has none.
    pub(super) fn fall_back(&mut self, role: Role, other: Role) {
        if !self.has(role) {
            self.at[role as usize] = self.at[other as usize];
        }
    }

    /// The bytes of a cell.
    #[inline]
    pub(super) fn get<'a>(&'a self, line: &'a [u8], role: Role) -> Option<&'a [u8]> {
        let (start, len) = self.at[role as usize];
        let bytes = if self.unpacked { &self.scratch } else { line };
        bytes.get(start as usize..(start as usize).checked_add(len as usize)?)
    }

    /// The bytes of a cell with escapes undone.
    pub(super) fn text<'a>(&'a self, line: &'a [u8], role: Role) -> Option<Cow<'a, [u8]>> {
        let bytes = self.get(line, role)?;
        if !self.escapes || !bytes.contains(&b'\\') {
            return Some(Cow::Borrowed(bytes));
        }
        let mut out = Vec::with_capacity(bytes.len());
        value::unescape(bytes, &mut out);
        Some(Cow::Owned(out))
    }

    /// The members of a list, [`LIST_MAX`] at most.
    pub(super) fn list<'a>(&'a self, line: &'a [u8], role: Role) -> impl Iterator<Item = &'a [u8]> {
        let separator = self.list;
        let bytes = self.get(line, role).unwrap_or_default();
        bytes.split(move |b| *b == separator).filter(|m| !m.is_empty()).take(LIST_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_come_in_turns() {
        let mut cells = Cells { list: 0x1f, ..Cells::default() };
        cells.clear(true);
        for (name, ttl) in [("a", "1"), ("b", "2"), ("c", "3")] {
            cells.put(Role::Answers, name.as_bytes());
            cells.put(Role::Ttls, ttl.as_bytes());
        }
        assert_eq!(cells.list(b"", Role::Answers).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
        assert_eq!(cells.list(b"", Role::Ttls).collect::<Vec<_>>(), [b"1", b"2", b"3"]);
        for _ in 0..100_000 {
            cells.put(Role::Answers, b"member of a list that never ends");
        }
        assert!(cells.scratch.len() <= SCRATCH_MAX && cells.list(b"", Role::Answers).count() == LIST_MAX);
    }

    #[test]
    fn cells_lie_in_the_line_or_nowhere() {
        let mut cells = Cells::default();
        cells.clear(false);
        cells.set(Role::Ts, 2, 3);
        assert_eq!((cells.get(b"abcdef", Role::Ts), cells.get(b"abc", Role::Ts)), (Some(&b"cde"[..]), None));
        assert_eq!(cells.get(b"abcdef", Role::Uid), None);
    }
}
