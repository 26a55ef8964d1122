//! What a site says about itself: its tenants, hosts, hours, permits and planned changes.

use crate::net::Nets;
use crate::signatures::Globs;
use crate::units::Span;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Facts about the site.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SiteFacts {
    /// Tenants that are the site's own.
    pub own_tenants: Tenants,
    /// Tenants that it allows.
    pub sanctioned_tenants: Tenants,
    /// Its own buckets and containers, of any object store.
    pub own_buckets: Vec<String>,
    /// Servers.
    pub servers: Hosts,
    /// ESXi hosts and vCenters.
    pub esxi_hosts: Hosts,
    /// Virtual machines of theirs, beside those that are known by their link addresses.
    pub esxi_guests: Hosts,
    /// Proxies, NAT and VPN gateways: many users behind one address.
    pub gateways: Hosts,
    /// Name of the time zone; unset: off-hours are unknown.
    pub timezone: Option<String>,
    /// When people work.
    pub business_hours: Vec<Weekly>,
    /// Days when nobody works.
    pub holidays: Vec<Date>,
    /// Groups of hosts by name.
    pub host_groups: BTreeMap<String, Hosts>,
    /// File of assets.
    pub assets: Option<PathBuf>,
    /// File of people.
    pub people: Option<PathBuf>,
    /// What groups may use.
    pub permits: Vec<Permit>,
    /// Planned changes.
    pub changes: Vec<Change>,
    /// Networks whose addresses overlap.
    pub networks: Vec<Network>,
}

/// Tenants by the service they belong to; `""` stands for any service.
pub type Tenants = BTreeMap<String, Vec<String>>;

/// Hosts by address, network or name.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Hosts {
    /// Addresses and networks.
    pub nets: Nets,
    /// Names, which may hold `*`.
    pub names: Globs,
}

impl Hosts {
    /// Whether a host is among them, by address or by name.
    pub fn contains(&self, address: IpAddr, name: Option<&str>) -> bool {
        self.nets.contains(address) || name.is_some_and(|name| self.names.matches(name))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nets.is_empty() && self.names.is_empty()
    }
}

/// What a group of hosts may use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permit {
    /// The group of hosts.
    pub group: String,
    /// Services by slug.
    pub services: Vec<String>,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day.
    pub expires: Date,
}

/// A planned change, such as a move of data or a roll-out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// What it is, with its ticket.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The hosts that it touches.
    pub hosts: Hosts,
    /// Services by slug.
    pub services: Vec<String>,
    /// The first day.
    pub from: Date,
    /// The last day.
    pub until: Date,
}

/// A network whose addresses are used elsewhere too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// VLAN ids that lead to it.
    pub vlans: Vec<u32>,
    /// VXLAN or Geneve ids that lead to it.
    pub vnis: Vec<u32>,
}

/// So many in so long a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In what time.
    pub per: Span,
}

impl FromStr for Rate {
    type Err = String;

    /// Reads `200/h` and `600/3h`.
    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || format!("'{}' is no rate; write for example \"200/h\"", text.escape_debug());
        let (count, per) = text.split_once('/').ok_or_else(shape)?;
        let per = per.trim();
        let per =
            if per.starts_with(|c: char| c.is_ascii_digit()) { per.to_owned() } else { format!("1{per}") };
        let rate = Self {
            count: count.trim().parse().map_err(|_| shape())?,
            per: per.parse().map_err(|_| shape())?,
        };
        if rate.count == 0 || rate.per.nanos() == 0 { Err(shape()) } else { Ok(rate) }
    }
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Hours of some days of the week.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weekly {
    /// A bit for each day, Monday the lowest.
    pub days: u8,
    /// Minute of the day when it begins.
    pub from: u16,
    /// Minute of the day when it ends, at most 1440.
    pub until: u16,
}

impl FromStr for Weekly {
    type Err = String;

    /// Reads `mon-fri 08:00-18:30` and `sat 09:00-12:00`.
    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (days, hours) = text.trim().split_once(' ')?;
            let (first, last) = days.split_once('-').unwrap_or((days, days));
            let day = |word: &str| DAYS.iter().position(|day| word.eq_ignore_ascii_case(day));
            let (first, last) = (day(first)?, day(last)?);
            let (from, until) = hours.trim().split_once('-')?;
            let (from, until) = (minute(from)?, minute(until)?);
            if first > last || from >= until {
                return None;
            }
            let days = (first..=last).fold(0, |days, day| days | 1 << day);
            Some(Self { days, from, until })
        };
        read().ok_or_else(|| {
            format!(
                "'{}' is no time of the week; write for example \"mon-fri 08:00-18:00\"",
                text.escape_debug()
            )
        })
    }
}

/// `08:30` as a minute of the day.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let at = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && at <= 1_440).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_hours_read_as_written() {
        assert_eq!("200/h".parse(), Ok(Rate { count: 200, per: Span::from_secs(3_600) }));
        assert_eq!("600/3h".parse(), Ok(Rate { count: 600, per: Span::from_secs(3 * 3_600) }));
        assert_eq!("mon-fri 08:00-18:30".parse(), Ok(Weekly { days: 0b1_1111, from: 480, until: 1_110 }));
        assert_eq!("Sun 00:00-24:00".parse(), Ok(Weekly { days: 1 << 6, from: 0, until: 1_440 }));
        for bad in ["", "200", "200/", "0/h", "-1/h", "200/ü", "200/99999999999999999999d"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
        for bad in [
            "",
            "mon",
            "fri-mon 08:00-09:00",
            "mon 9-10",
            "mon 10:00-09:00",
            "mon 08:00-24:01",
            "mon 99999:00-1:00",
        ] {
            assert!(bad.parse::<Weekly>().is_err(), "{bad}");
        }
    }
}
