//! Network prefixes: one CIDR, and a set of them that answers "is this address inside" quickly.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A network prefix of either family, with its host bits cleared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cidr {
    addr: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// The network of `prefix` leading bits that holds `addr`; nothing when the family has fewer bits.
    pub fn new(addr: IpAddr, prefix: u8) -> Option<Self> {
        let addr = match addr {
            IpAddr::V4(v4) if prefix <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V4((u32::from(v4) & mask).into())
            }
            IpAddr::V6(v6) if prefix <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V6((u128::from(v6) & mask).into())
            }
            _ => return None,
        };
        Some(Self { addr, prefix })
    }

    /// The lowest address of the network.
    pub const fn addr(&self) -> IpAddr {
        self.addr
    }

    /// The number of leading bits that are fixed.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether `ip` lies in this network; an IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.addr, ip.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                (u32::from(net) ^ u32::from(ip)).checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                (u128::from(net) ^ u128::from(ip)).checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// First and last address on one line: IPv4 stands in its mapped place within IPv6.
    pub(crate) fn span(&self) -> (u128, u128) {
        let (start, host_bits) = match self.addr {
            IpAddr::V4(v4) => (number(IpAddr::V4(v4)), 32 - u32::from(self.prefix)),
            IpAddr::V6(v6) => (u128::from(v6), 128 - u32::from(self.prefix)),
        };
        (start, start | !u128::MAX.checked_shl(host_bits).unwrap_or(0))
    }
}

/// An address as a number on the line that [`Cidr::span`] uses.
pub(crate) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = String;

    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or a single address. Host bits that are set are refused: either the
    /// address or the prefix would be a slip.
    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| format!("'{}' is no network: {why}", text.escape_debug());
        let (addr, prefix) = match text.split_once('/') {
            Some((addr, prefix)) => (addr, Some(prefix)),
            None => (text, None),
        };
        let addr: IpAddr =
            addr.parse().map_err(|_| refuse("write for example 10.0.0.0/8 or 2001:db8::/32"))?;
        let full = if addr.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(p) if p.len() <= 3 && p.bytes().all(|b| b.is_ascii_digit()) => {
                p.parse::<u8>().map_err(|_| refuse("the prefix is too long"))?
            }
            Some(_) => return Err(refuse("the prefix is no number")),
            None => full,
        };
        let cidr = Self::new(addr, prefix).ok_or_else(|| refuse("the prefix is too long"))?;
        if cidr.addr != addr {
            return Err(refuse(&format!("bits beyond the prefix are set; write {cidr}")));
        }
        Ok(cidr)
    }
}

/// A set of networks: sorted, merged, and searched in a few comparisons.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Nets {
    cidrs: Vec<Cidr>,
    spans: Vec<(u128, u128)>,
}

impl Nets {
    /// A set of the given networks.
    pub fn new(cidrs: impl IntoIterator<Item = Cidr>) -> Self {
        let mut cidrs: Vec<Cidr> = cidrs.into_iter().collect();
        cidrs.sort_unstable();
        cidrs.dedup();
        let mut spans: Vec<(u128, u128)> = cidrs.iter().map(Cidr::span).collect();
        spans.sort_unstable();
        spans.dedup_by(|next, kept| {
            let joined = next.0 <= kept.1.saturating_add(1);
            if joined {
                kept.1 = kept.1.max(next.1);
            }
            joined
        });
        Self { cidrs, spans }
    }

    /// Whether any of the networks holds `ip`.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let at = number(ip);
        let after = self.spans.partition_point(|span| span.0 <= at);
        after.checked_sub(1).and_then(|i| self.spans.get(i)).is_some_and(|span| at <= span.1)
    }

    /// Whether the set holds no network.
    pub fn is_empty(&self) -> bool {
        self.cidrs.is_empty()
    }

    /// The number of networks as they were given, duplicates removed.
    pub fn len(&self) -> usize {
        self.cidrs.len()
    }

    /// The networks, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Cidr> {
        self.cidrs.iter()
    }
}

impl FromIterator<Cidr> for Nets {
    fn from_iter<I: IntoIterator<Item = Cidr>>(cidrs: I) -> Self {
        Self::new(cidrs)
    }
}

/// The private and link-local networks that count as home unless the user says otherwise.
pub fn default_home() -> Nets {
    let v4 = [([10, 0, 0, 0], 8), ([100, 64, 0, 0], 10), ([127, 0, 0, 0], 8), ([169, 254, 0, 0], 16)];
    let more = [([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16)];
    let v6 = [(Ipv6Addr::LOCALHOST, 128), (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7)];
    let link = [(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)];
    let v4 = v4.into_iter().chain(more).filter_map(|(addr, prefix)| Cidr::new(IpAddr::from(addr), prefix));
    let v6 = v6.into_iter().chain(link).filter_map(|(addr, prefix)| Cidr::new(IpAddr::V6(addr), prefix));
    v4.chain(v6).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().expect(text)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn reads_and_prints_both_families() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.7/32", "2001:db8::/32", "::/0", "::1/128"] {
            assert_eq!(cidr(text).to_string(), text);
        }
        assert_eq!(cidr("192.0.2.7").to_string(), "192.0.2.7/32");
    }

    #[test]
    fn refuses_slips_with_a_cure() {
        for bad in
            ["", "10", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "ünï/8", "/8"]
        {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
        let said = "10.1.2.3/8".parse::<Cidr>().expect_err("host bits");
        assert!(said.contains("write 10.0.0.0/8"), "{said}");
    }

    #[test]
    fn a_network_holds_its_edges_and_no_more() {
        let net = cidr("10.20.0.0/15");
        assert!(net.contains(ip("10.20.0.0")) && net.contains(ip("10.21.255.255")));
        assert!(!net.contains(ip("10.19.255.255")) && !net.contains(ip("10.22.0.0")));
        assert!(net.contains(ip("::ffff:10.20.0.1")) && !net.contains(ip("::1")));
        assert!(cidr("0.0.0.0/0").contains(ip("255.255.255.255")) && cidr("::/0").contains(ip("ffff::")));
    }

    #[test]
    fn a_set_agrees_with_its_members() {
        let list = ["10.0.0.0/8", "10.1.0.0/16", "11.0.0.0/8", "2001:db8::/32", "192.0.2.1/32", "fe80::/10"];
        let nets: Nets = list.iter().map(|t| cidr(t)).collect();
        for probe in
            ["9.255.255.255", "10.0.0.0", "11.255.255.255", "12.0.0.0", "192.0.2.1", "192.0.2.2", "fe80::1"]
        {
            let probe = ip(probe);
            assert_eq!(nets.contains(probe), nets.iter().any(|n| n.contains(probe)), "{probe}");
        }
        assert!(!Nets::default().contains(ip("::")) && Nets::default().is_empty());
    }

    #[test]
    fn home_is_private_space() {
        let home = default_home();
        for inside in ["10.1.1.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "fd00::1", "fe80::1", "::1"]
        {
            assert!(home.contains(ip(inside)), "{inside}");
        }
        for outside in ["172.32.0.0", "8.8.8.8", "2001:db8::1", "100.128.0.0"] {
            assert!(!home.contains(ip(outside)), "{outside}");
        }
    }
}
