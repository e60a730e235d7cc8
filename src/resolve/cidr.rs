//! Ranges of addresses, and the one in which a cluster's services are. Pure.

// From core: addresses, and no sockets.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;

/// A range of addresses, such as 10.96.0.0/12.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    first: IpAddr,
    prefix: u32,
}

/// A text that is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no range of addresses: write for example 10.96.0.0/12 or fd00:10:96::/112")]
pub struct CidrError(String);

/// The apiserver takes no larger range for services than one of so many bits behind the prefix.
const LARGEST: (u32, u32) = (20, 64);

impl Cidr {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let shift = width(self.first) - self.prefix;
        let block = |address| number(address).checked_shr(shift).unwrap_or(0);
        width(address) == width(self.first) && block(address) == block(self.first)
    }

    /// The largest range in which the services of a cluster can be, by the address of its apiserver's own service: that is
    /// the first one after the beginning of the range. The exact range is only known to who reads the ServiceCIDRs.
    pub fn of_services(apiserver: IpAddr) -> Option<Self> {
        let begin = number(apiserver).checked_sub(1)?;
        let (first, largest) = match apiserver {
            IpAddr::V4(_) => (IpAddr::V4(Ipv4Addr::from(u32::try_from(begin).ok()?)), LARGEST.0),
            IpAddr::V6(_) => (IpAddr::V6(Ipv6Addr::from(begin)), LARGEST.1),
        };
        Some(Self { first, prefix: width(first) - begin.trailing_zeros().min(largest) })
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let wrong = || CidrError(text.into());
        let (first, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let (first, prefix): (IpAddr, u32) = (first.parse().map_err(|_| wrong())?, prefix.parse().map_err(|_| wrong())?);
        if prefix > width(first) { Err(wrong()) } else { Ok(Self { first, prefix }) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_range() {
        for (range, address, inside) in [
            ("10.96.0.0/12", "10.96.0.1", true),
            ("10.96.0.0/12", "10.111.255.255", true),
            ("10.96.0.0/12", "10.112.0.0", false),
            ("10.43.7.9/16", "10.43.0.10", true),
            ("192.0.2.1/32", "192.0.2.1", true),
            ("192.0.2.1/32", "192.0.2.2", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("fd00:10:96::/112", "fd00:10:96::a", true),
            ("fd00:10:96::/112", "fd00:10:96::1:a", false),
        ] {
            let range: Cidr = range.parse().unwrap();
            assert_eq!(range.contains(address.parse().unwrap()), inside, "{range} {address}");
        }
        for text in ["10.96.0.0", "10.96.0.0/33", "10.96.0/12", "services/12", "10.96.0.0/-1", "::/129", ""] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_services_of_a_cluster_are_around_that_of_its_apiserver() {
        for (apiserver, range) in [
            // As kubeadm, k3s, EKS and AKS have it: never less than the whole range, and at most what an apiserver takes.
            ("10.96.0.1", "10.96.0.0/12"),
            ("10.43.0.1", "10.43.0.0/16"),
            ("172.20.0.1", "172.20.0.0/14"),
            ("10.0.0.1", "10.0.0.0/12"),
            ("34.118.224.1", "34.118.224.0/19"),
            ("fd00:10:96::1", "fd00:10:96::/64"),
            ("203.0.113.9", "203.0.113.8/29"),
        ] {
            let found = Cidr::of_services(apiserver.parse().unwrap()).unwrap();
            assert_eq!(found.to_string(), range, "{apiserver}");
            assert!(found.contains(apiserver.parse().unwrap()));
        }
        assert_eq!(Cidr::of_services("0.0.0.0".parse().unwrap()), None);
    }
}
