//! Zeek's tab-separated logs: header lines name the columns, and only those that matter are looked at.

use super::cells::{Cells, Role};
use super::entry::{Bad, Kind};

/// Columns looked at in one line; Zeek's widest log has fifty.
const COLUMNS_MAX: usize = 512;
/// Bytes kept of the words that stand for an unset and an empty value.
const WORD_MAX: usize = 32;

/// Columns of all logs that matter here, by Zeek's names. Those that several logs share mean the same in each.
pub(super) static COLUMNS: &[(&[u8], Role)] = &[
    (b"ts", Role::Ts),
    (b"uid", Role::Uid),
    (b"id.orig_h", Role::OrigH),
    (b"id.orig_p", Role::OrigP),
    (b"id.resp_h", Role::RespH),
    (b"id.resp_p", Role::RespP),
    (b"proto", Role::Proto),
    (b"service", Role::Service),
    (b"duration", Role::Duration),
    (b"orig_bytes", Role::OrigBytes),
    (b"resp_bytes", Role::RespBytes),
    (b"conn_state", Role::State),
    (b"missed_bytes", Role::Missed),
    (b"history", Role::History),
    (b"orig_pkts", Role::OrigPkts),
    (b"orig_ip_bytes", Role::OrigIp),
    (b"resp_pkts", Role::RespPkts),
    (b"resp_ip_bytes", Role::RespIp),
    (b"orig_l2_addr", Role::OrigMac),
    (b"resp_l2_addr", Role::RespMac),
    (b"vlan", Role::Vlan),
    (b"inner_vlan", Role::InnerVlan),
    (b"server_name", Role::ServerName),
    (b"subject", Role::Subject),
    (b"method", Role::Method),
    (b"host", Role::Host),
    (b"uri", Role::Uri),
    (b"user_agent", Role::UserAgent),
    (b"status_code", Role::Status),
    (b"request_body_len", Role::RequestLen),
    (b"query", Role::Query),
    (b"qtype", Role::Qtype),
    (b"qtype_name", Role::QtypeName),
    (b"rcode", Role::Rcode),
    (b"rcode_name", Role::RcodeName),
    (b"answers", Role::Answers),
    (b"TTLs", Role::Ttls),
    (b"trans_id", Role::TransId),
    (b"mac", Role::Mac),
    (b"client_addr", Role::ClientAddr),
    (b"assigned_addr", Role::AssignedAddr),
    (b"assigned_ip", Role::AssignedAddr),
    (b"host_name", Role::HostName),
    (b"lease_time", Role::LeaseTime),
    (b"msg_types", Role::MsgTypes),
];

/// What a column of Zeek means.
pub(super) fn role(name: &[u8]) -> Option<Role> {
    COLUMNS.iter().find(|(column, _)| *column == name).map(|(_, role)| *role)
}

/// What a log is by Zeek's name for it. Open connections are told again when they end.
pub fn kind(path: &[u8]) -> Kind {
    match path {
        b"conn" => Kind::Conn,
        b"ssl" => Kind::Ssl,
        b"quic" => Kind::Quic,
        b"http" => Kind::Http,
        b"dns" => Kind::Dns,
        b"dhcp" => Kind::Dhcp,
        _ => Kind::Other,
    }
}

/// The state of one file: what its header has said.
#[derive(Debug)]
pub struct Zeek {
    separator: u8,
    unset: Vec<u8>,
    empty: Vec<u8>,
    path: Option<Kind>,
    /// Meaning of each column, up to the last one that matters.
    columns: Vec<Option<Role>>,
    kind: Kind,
}

impl Default for Zeek {
    fn default() -> Self {
        Self {
            separator: b'\t',
            unset: b"-".to_vec(),
            empty: b"(empty)".to_vec(),
            path: None,
            columns: Vec::new(),
            kind: Kind::Other,
        }
    }
}

impl Zeek {
    /// Reads a line: the kind of what is in `cells` then, or nothing for a header.
    pub fn line(&mut self, line: &[u8], cells: &mut Cells) -> Result<Option<Kind>, Bad> {
        if line.first() == Some(&b'#') {
            return self.header(line, cells).map(|()| None);
        }
        if self.columns.is_empty() {
            return if self.path.is_some() { Ok(Some(Kind::Other)) } else { Err(Bad::NoHeader) };
        }
        if self.kind != Kind::Other {
            self.split(line, cells)?;
        }
        Ok(Some(self.kind))
    }

    /// What kind of log it is, once the header has been read.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    fn split(&self, line: &[u8], cells: &mut Cells) -> Result<(), Bad> {
        let mut start = 0;
        let mut columns = self.columns.iter();
        // Whether there is a column to come; a cell that nobody asks for costs nothing.
        let mut cell = |end: usize| {
            let Some(role) = columns.next() else { return false };
            if let Some(role) = role {
                match line.get(start..end).unwrap_or_default() {
                    [b] if self.unset == [*b] => cells.unset(*role),
                    [b'(', ..] if line.get(start..end) == Some(&self.empty) => cells.set(*role, start, 0),
                    long if long.len() > 1 && self.unset == long => cells.unset(*role),
                    _ => cells.set(*role, start, end - start),
                }
            }
            start = end + 1;
            true
        };
        if each(self.separator, line, &mut cell) {
            cell(line.len());
        }
        if columns.next().is_some() { Err(Bad::Columns) } else { Ok(()) }
    }

    fn header(&mut self, line: &[u8], cells: &mut Cells) -> Result<(), Bad> {
        let mark = |b: &u8| *b == b' ' || *b == self.separator;
        let end = line.iter().position(mark).unwrap_or(line.len());
        let (word, rest) = line.split_at(end);
        let rest = rest.get(1..).unwrap_or_default();
        let text = |rest: &[u8]| {
            let mut out = Vec::new();
            super::value::unescape(rest.get(..rest.len().min(WORD_MAX)).unwrap_or_default(), &mut out);
            out
        };
        match word {
            b"#separator" => {
                let &[separator] = text(rest).as_slice() else { return Err(Bad::Header) };
                *self = Self { separator, ..Self::default() };
                cells.clear(false);
                (cells.list, cells.escapes) = (b',', true);
            }
            b"#set_separator" => cells.list = *text(rest).first().ok_or(Bad::Header)?,
            b"#empty_field" => self.empty = text(rest),
            b"#unset_field" => self.unset = text(rest),
            b"#path" => self.path = Some(kind(rest)),
            b"#fields" => self.fields(rest, cells),
            // Types are known by name; opening and closing times, and remarks of people.
            _ => {}
        }
        Ok(())
    }

    fn fields(&mut self, names: &[u8], cells: &mut Cells) {
        cells.clear(false);
        cells.escapes = true;
        let names = names.split(|b| *b == self.separator).take(COLUMNS_MAX);
        self.columns = names.map(role).collect();
        self.kind = self.path.unwrap_or_else(|| kind_by_columns(&self.columns));
        let wanted = |role: &Option<Role>| role.is_some_and(|role| matters(self.kind, role));
        for column in &mut self.columns {
            if !wanted(column) {
                *column = None;
            }
        }
        let last = self.columns.iter().rposition(Option::is_some).map_or(0, |at| at + 1);
        self.columns.truncate(last);
        if last == 0 {
            self.kind = Kind::Other;
            self.path = Some(Kind::Other);
        }
    }
}

/// Calls `found` with the place of each separator, eight bytes at a time: columns are too short for a search of each
/// to pay. False: `found` wanted no more.
#[inline]
fn each(separator: u8, line: &[u8], mut found: impl FnMut(usize) -> bool) -> bool {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let pattern = u64::from_ne_bytes([separator; 8]);
    let (chunks, rest) = line.as_chunks::<8>();
    for (i, chunk) in chunks.iter().enumerate() {
        let differs = u64::from_le_bytes(*chunk) ^ pattern;
        // The high bit of each byte that is zero, and of no other.
        let mut hits = !(((differs & LOW) + LOW) | differs | LOW);
        while hits != 0 {
            if !found(i * 8 + hits.trailing_zeros() as usize / 8) {
                return false;
            }
            hits &= hits - 1;
        }
    }
    let from = line.len() - rest.len();
    rest.iter().enumerate().filter(|(_, b)| **b == separator).all(|(i, _)| found(from + i))
}

/// Which cells a kind of line needs: what is not looked at costs nothing.
fn matters(kind: Kind, role: Role) -> bool {
    match kind {
        Kind::Ssl | Kind::Quic => matches!(role, Role::Ts | Role::Uid | Role::ServerName | Role::Subject),
        Kind::Http => !matches!(role, Role::OrigH | Role::RespH | Role::OrigP | Role::RespP),
        Kind::Other => false,
        Kind::Conn | Kind::Session | Kind::Dns | Kind::Dhcp => true,
    }
}

/// The kind of a log whose header has no `#path`, or of a line of JSON.
pub(super) fn kind_by(has: impl Fn(Role) -> bool) -> Kind {
    let all = |roles: &[Role]| roles.iter().all(|r| has(*r));
    if all(&[Role::State, Role::Proto]) || all(&[Role::OrigPkts, Role::RespPkts, Role::Proto]) {
        Kind::Conn
    } else if has(Role::Query) {
        Kind::Dns
    } else if has(Role::Method) || all(&[Role::Host, Role::Uri]) {
        Kind::Http
    } else if has(Role::ServerName) {
        Kind::Ssl
    } else if all(&[Role::Mac, Role::MsgTypes]) {
        Kind::Dhcp
    } else {
        Kind::Other
    }
}

fn kind_by_columns(columns: &[Option<Role>]) -> Kind {
    kind_by(|role| columns.contains(&Some(role)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn separators_are_found_wherever_they_are(line in proptest::collection::vec(7u8..12, 0..60)) {
            let mut got = Vec::new();
            each(9, &line, |at| { got.push(at); true });
            let want: Vec<_> = line.iter().enumerate().filter(|(_, b)| **b == 9).map(|(i, _)| i).collect();
            prop_assert_eq!(got, want);
        }
    }
}
