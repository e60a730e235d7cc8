//! Where a request that a resource asks for may go.
//!
//! The runner stands where the author of a resource does not: beside the apiserver, the services of the cluster and the
//! cloud's metadata. What is checked is the address that is then connected to; a name is looked up once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

use super::cidr::Cidr;
use super::failure::{Failure, Reason};
use super::settings::{ResolveSettings, names};

/// Metadata services of clouds that are not on a link-local address: of AWS by IPv6, and of Alibaba.
const METADATA: [IpAddr; 2] =
    [IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200))];

/// Decides where connections may go, and makes them.
#[derive(Debug)]
pub struct Guard {
    allowed: Vec<String>,
    apiserver: Option<String>,
    services: Vec<Cidr>,
    connect_limit: Duration,
}

impl Guard {
    /// As the settings say.
    pub fn new(settings: &ResolveSettings) -> Self {
        let ResolveSettings { allowed_hosts, apiserver, connect_limit, .. } = settings;
        let around = || apiserver.as_deref().and_then(|host| Cidr::of_services(bare(host).parse().ok()?));
        let services = match settings.service_cidrs.as_slice() {
            [] => around().into_iter().collect(),
            told => told.to_vec(),
        };
        Self { allowed: allowed_hosts.clone(), apiserver: apiserver.clone(), services, connect_limit: *connect_limit }
    }

    /// Whether a host may be asked, as far as its name tells. True: whatever its addresses are.
    ///
    /// # Errors
    /// When it is refused.
    pub fn check(&self, host: &str, port: u16) -> Result<bool, Failure> {
        if names(&self.allowed, host, port) {
            return Ok(true);
        }
        let address = bare(host).parse().ok().and_then(|address| self.refused_address(address));
        let name = || self.refused_name(host).map(String::from);
        address.or_else(name).map_or(Ok(false), |what| Err(refusal(host, port, &what)))
    }

    /// Looks a host up, checks every address, and connects to one of those.
    ///
    /// # Errors
    /// When the host or one of its addresses is refused, or none answers.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Failure> {
        let allowed = self.check(host, port)?;
        let addresses = self.look_up(host, port, allowed).await?;
        if !allowed {
            self.admit(host, port, &addresses)?;
        }
        let mut last = format!("nothing answered within {}", humantime::format_duration(self.connect_limit));
        for address in addresses {
            match tokio::time::timeout(self.connect_limit, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => {}
            }
        }
        Err(Failure::new(Reason::Unreachable, format!("cannot connect to {host}:{port}: {last}; check the host and the network policies")))
    }

    /// Whether all that a name was looked up to may be connected to: one address that may not is enough to refuse it.
    fn admit(&self, host: &str, port: u16, addresses: &[SocketAddr]) -> Result<(), Failure> {
        let refused = addresses.iter().find_map(|address| self.refused_address(address.ip()));
        refused.map_or(Ok(()), |what| Err(refusal(host, port, &what)))
    }

    async fn look_up(&self, host: &str, port: u16, allowed: bool) -> Result<Vec<SocketAddr>, Failure> {
        let bare = bare(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        // With a dot at its end a name is looked up as it stands: in a pod, name.namespace would else be a service.
        let whole = if allowed || bare.ends_with('.') { bare.to_owned() } else { format!("{bare}.") };
        let found = tokio::time::timeout(self.connect_limit, tokio::net::lookup_host((whole.as_str(), port))).await;
        let cause = match found {
            Ok(Ok(found)) => {
                let found: Vec<_> = found.collect();
                if !found.is_empty() {
                    return Ok(found);
                }
                "it has no address".into()
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".into(),
        };
        Err(Failure::new(
            Reason::Unreachable,
            format!("cannot look up {host}: {cause}; it must be a whole name that the runner's DNS knows"),
        ))
    }

    fn refused_name(&self, host: &str) -> Option<&'static str> {
        let name = bare(host).trim_end_matches('.').to_ascii_lowercase();
        if name.parse::<IpAddr>().is_ok() {
            return None;
        }
        let labels: Vec<&str> = name.split('.').collect();
        let under = |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        if self.apiserver.as_ref().is_some_and(|server| server.eq_ignore_ascii_case(&name)) {
            Some("the apiserver")
        } else if name == "localhost" || under("localhost") {
            Some("the runner itself")
        } else if labels.len() == 1 || under("svc") || under("cluster.local") || labels.iter().skip(2).any(|label| *label == "svc") {
            Some("a service of the cluster")
        } else {
            None
        }
    }

    fn refused_address(&self, address: IpAddr) -> Option<String> {
        let address = unwrapped(address);
        let is_apiserver = |server: &String| bare(server).parse() == Ok(address);
        if self.apiserver.as_ref().is_some_and(is_apiserver) {
            return Some("the apiserver".into());
        }
        if let Some(range) = self.services.iter().find(|range| range.contains(address)) {
            return Some(format!("among the addresses of the cluster's services ({range}; --service-cidr says which these are)"));
        }
        refused_anywhere(address).map(String::from)
    }
}

/// What an address is that no cluster has to be asked about.
fn refused_anywhere(address: IpAddr) -> Option<&'static str> {
    if METADATA.contains(&address) {
        return Some("the cloud's metadata");
    }
    let (link_local, this_host) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[0] == 0 || v4.is_broadcast()),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.is_unspecified()),
    };
    if address.is_loopback() {
        Some("the runner itself (a loopback address)")
    } else if link_local {
        Some("a link-local address, as the cloud's metadata have")
    } else if this_host {
        Some("no host (an unspecified or broadcast address)")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else {
        None
    }
}

/// The IPv4 address that an IPv6 one stands for: mapped, compatible, or behind a NAT64 with the well-known prefix.
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let embedded = || IpAddr::V4(Ipv4Addr::from((u32::from(g) << 16) | u32::from(h)));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => embedded(),
        [0, 0, 0, 0, 0, 0] if (g, h) != (0, 0) && (g, h) != (0, 1) => embedded(),
        _ => address,
    }
}

/// Without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn refusal(host: &str, port: u16, what: &str) -> Failure {
    let message = format!("{host}:{port} is not asked: it is {what}; name a public host, or let the runner's settings allow {host}:{port}");
    Failure::new(Reason::Refused, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard::new(&ResolveSettings { apiserver: Some("10.96.0.1".into()), ..ResolveSettings::default() })
    }

    #[test]
    fn names_of_the_cluster_are_refused() {
        for (name, refused) in [
            ("localhost", true),
            ("LOCALHOST.", true),
            ("a.localhost", true),
            ("kubernetes", true),
            ("kubernetes.default.svc", true),
            ("kubernetes.default.svc.cluster.local", true),
            ("kubernetes.default.svc.cluster.local.", true),
            ("pod.name.namespace.svc.example.org", true),
            ("api.github.com", false),
            ("svc.example.org", false),
            ("notcluster.local.example", false),
            ("127.0.0.1", false),
            ("[::1]", false),
        ] {
            assert_eq!(guard().refused_name(name).is_some(), refused, "{name}");
        }
    }

    #[test]
    fn addresses_of_the_machine_the_link_and_the_cluster_are_refused() {
        for (address, refused) in [
            ("127.0.0.1", true),
            ("127.8.9.1", true),
            ("0.0.0.0", true),
            ("0.1.2.3", true),
            ("169.254.169.254", true),
            ("224.0.0.1", true),
            ("255.255.255.255", true),
            ("10.96.0.1", true),
            ("10.96.4.4", true),
            ("10.111.0.1", true),
            ("::ffff:10.100.0.1", true),
            ("100.100.100.200", true),
            ("::1", true),
            ("::", true),
            ("fe80::1", true),
            ("febf::1", true),
            ("ff02::1", true),
            ("fd00:ec2::254", true),
            ("::ffff:127.0.0.1", true),
            ("::ffff:169.254.169.254", true),
            ("::127.0.0.1", true),
            ("64:ff9b::a9fe:a9fe", true),
            ("::ffff:10.96.0.1", true),
            ("10.0.0.1", false),
            ("192.168.1.1", false),
            ("140.82.121.6", false),
            ("2606:50c0:8000::154", false),
            ("fd12:3456::1", false),
        ] {
            assert_eq!(guard().refused_address(address.parse().unwrap()).is_some(), refused, "{address}");
        }
    }

    #[test]
    fn a_name_that_is_looked_up_to_an_address_of_the_cluster_is_refused() {
        let guard = guard();
        let at = |addresses: &[&str]| addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 443)).collect::<Vec<_>>();
        for (addresses, refused) in [
            (&["140.82.121.6"][..], None),
            (&["140.82.121.6", "10.96.9.9"], Some("10.96.0.0/12")),
            (&["169.254.169.254"], Some("link-local")),
            (&["::1", "140.82.121.6"], Some("loopback")),
        ] {
            let told = guard.admit("releases.example.org", 443, &at(addresses)).err().map(|failure| failure.message);
            assert_eq!(told.is_some(), refused.is_some(), "{addresses:?}");
            assert!(told.unwrap_or_default().contains(refused.unwrap_or_default()), "{addresses:?}");
        }
    }

    #[test]
    fn ranges_of_services_that_are_told_take_the_place_of_the_one_that_is_guessed() {
        let settings = ResolveSettings {
            apiserver: Some("10.0.0.1".into()),
            service_cidrs: vec!["10.0.0.0/16".parse().unwrap(), "fd00::/112".parse().unwrap()],
            ..ResolveSettings::default()
        };
        let guessed = Guard::new(&ResolveSettings { service_cidrs: Vec::new(), ..settings.clone() });
        let told = Guard::new(&settings);
        for (address, by_guess, by_word) in [
            ("10.0.0.1", true, true),
            ("10.0.9.9", true, true),
            ("10.1.0.4", true, false),
            ("fd00::9", false, true),
            ("10.16.0.1", false, false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(
                (guessed.refused_address(address).is_some(), told.refused_address(address).is_some()),
                (by_guess, by_word),
                "{address}"
            );
        }
    }

    #[tokio::test]
    async fn other_spellings_of_an_address_are_refused_as_well() {
        // getaddrinfo takes these for 127.0.0.1, where it takes them at all.
        for host in ["127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1"] {
            let failure = guard().connect(host, 9).await.unwrap_err();
            assert!(matches!(failure.reason, Reason::Refused | Reason::Unreachable), "{host}: {failure}");
            assert!(!failure.message.contains("cannot connect"), "{host}: {failure}");
        }
    }

    #[tokio::test]
    async fn what_is_allowed_is_connected_to() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let refused = guard().connect("127.0.0.1", port).await.unwrap_err();
        assert_eq!(refused.reason, Reason::Refused);
        let settings = ResolveSettings { allowed_hosts: vec![format!("127.0.0.1:{port}")], ..ResolveSettings::default() };
        assert!(Guard::new(&settings).connect("127.0.0.1", port).await.is_ok());
        assert_eq!(Guard::new(&settings).connect("127.0.0.1", port ^ 1).await.unwrap_err().reason, Reason::Refused);
    }
}
