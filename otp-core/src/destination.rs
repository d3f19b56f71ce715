//! Where requests may go that a tenant has named the host of: receivers of webhooks, mail servers, services.
//!
//! Whoever may name a host could name one that only this machine can reach: a database beside it, the metadata service of
//! its cloud. So literal addresses are judged when they are written down, and names when they have been looked up, at each
//! connection, because a name can point elsewhere a second later.
//!
//! The address blocks are those of the IANA special-purpose registries (RFC 6890 and what has been entered since).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// More than any receiver needs, and less than proxies cut off.
const LONGEST: usize = 2048;
/// Where `https` is spoken.
const PORTS: [u16; 2] = [443, 8443];

const CLOSED_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// All that is given out for the public net.
const OPEN_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// Of that: protocol assignments with Teredo and ORCHID, documentation, 6to4, documentation again.
const CLOSED_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
/// Translates to the IPv4 address in its last four bytes (RFC 6052).
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Which hosts a tenant may name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Those of the public net.
    #[default]
    Public,
    /// Any: an operator whose tenants are at home beside the server has allowed it.
    Anywhere,
}

/// The address is none of the public net.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its host is not on the public internet")]
pub struct NotPublic;

impl Reach {
    /// Whether a connection to this address may be made.
    ///
    /// ```
    /// use otp_core::destination::Reach;
    /// assert!(Reach::Public.admits("93.184.216.34".parse().unwrap()));
    /// assert!(!Reach::Public.admits("::ffff:169.254.169.254".parse().unwrap()));
    /// ```
    pub fn admits(self, address: IpAddr) -> bool {
        self == Reach::Anywhere || is_public(address)
    }

    /// Judges what can be judged of a host before it is looked up: a literal address, or a name of the machine itself.
    ///
    /// # Errors
    /// [`NotPublic`].
    pub fn admit<S: AsRef<str>>(self, host: &Host<S>) -> Result<(), NotPublic> {
        let is_admitted = match host {
            Host::Domain(name) => self == Reach::Anywhere || !is_local(name.as_ref()),
            Host::Ipv4(address) => self.admits(IpAddr::V4(*address)),
            Host::Ipv6(address) => self.admits(IpAddr::V6(*address)),
        };
        if is_admitted { Ok(()) } else { Err(NotPublic) }
    }
}

/// RFC 6761 section 6.3.
fn is_local(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.is_empty() || name == "localhost" || name.ends_with(".localhost")
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) if is_v6_of(address, NAT64) => {
            let [.., a, b, c, d] = address.octets();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        IpAddr::V6(address) => is_v6_of(address, OPEN_V6) && !CLOSED_V6.iter().any(|block| is_v6_of(address, *block)),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_of = |(block, prefix): &(Ipv4Addr, u32)| (address.to_bits() ^ block.to_bits()) >> (32 - prefix) == 0;
    !CLOSED_V4.iter().any(is_of)
}

fn is_v6_of(address: Ipv6Addr, (block, prefix): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ block.to_bits()) >> (128 - prefix) == 0
}

/// A URL that a tenant's requests go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination(Url);

/// Why a URL is none, and what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDestination {
    /// It does not read.
    #[error("use an absolute URL such as https://acme.com/hooks, of up to {LONGEST} characters")]
    Form,
    /// What it carries could be read on the way.
    #[error("use https")]
    Scheme,
    /// User or password.
    #[error("leave out user name and password")]
    Login,
    /// `#`.
    #[error("leave out the # and what follows it")]
    Fragment,
    /// A port where something else may listen.
    #[error("use port 443 or 8443")]
    Port,
    /// An address of a network of its own.
    #[error("use a host on the public internet")]
    NotPublic(#[from] NotPublic),
}

impl Destination {
    /// Reads a URL within the reach.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str, reach: Reach) -> Result<Self, InvalidDestination> {
        if text.len() > LONGEST {
            return Err(InvalidDestination::Form);
        }
        let url = Url::parse(text).map_err(|_| InvalidDestination::Form)?;
        let host = url.host().ok_or(InvalidDestination::Form)?;
        let is_anywhere = reach == Reach::Anywhere;
        match url.scheme() {
            "https" => (),
            "http" if is_anywhere => (),
            "http" => return Err(InvalidDestination::Scheme),
            _ => return Err(InvalidDestination::Form),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidDestination::Login);
        }
        if url.fragment().is_some() {
            return Err(InvalidDestination::Fragment);
        }
        reach.admit(&host)?;
        let is_usual = url.port_or_known_default().is_some_and(|port| PORTS.contains(&port));
        if is_usual || is_anywhere { Ok(Self(url)) } else { Err(InvalidDestination::Port) }
    }

    /// The URL.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
