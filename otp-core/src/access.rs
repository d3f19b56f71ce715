//! Who may call from where: web origins and networks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// A web origin (RFC 6454): scheme, host and port, compared as parsed and never as text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

/// Why a text is no origin. The message says what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrigin {
    /// Not `scheme://host[:port]`.
    #[error("write it as scheme://host[:port], for example https://myapp.com, without path or trailing slash")]
    Form,
    /// Neither http nor https.
    #[error("the scheme must be http or https")]
    Scheme,
    /// A wildcard where none may stand.
    #[error("a wildcard may only stand for subdomains, as in https://*.acme.com")]
    Wildcard,
    /// `http://localhost:*` on a live key.
    #[error("http://localhost:* is accepted on test keys only; name the port")]
    LocalhostLive,
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let url = Url::parse(text).map_err(|_| InvalidOrigin::Form)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidOrigin::Scheme);
        }
        let authority = text.split_once("://").map(|(_, rest)| rest).ok_or(InvalidOrigin::Form)?;
        if authority.contains(['/', '?', '#', '@', '\\']) || text.chars().any(char::is_whitespace) {
            return Err(InvalidOrigin::Form);
        }
        let host = match url.host().ok_or(InvalidOrigin::Form)? {
            Host::Domain(name) if name.contains('*') => return Err(InvalidOrigin::Wildcard),
            host => host.to_string(),
        };
        let port = url.port_or_known_default().ok_or(InvalidOrigin::Form)?;
        Ok(Self { scheme: url.scheme().to_owned(), host, port })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match (self.scheme.as_str(), self.port) {
            ("https", 443) | ("http", 80) => Ok(()),
            (_, port) => write!(f, ":{port}"),
        }
    }
}

/// What a list of allowed origins may name.
///
/// ```
/// use otp_core::access::{Origin, OriginPattern};
/// let pattern: OriginPattern = "https://acme.com".parse().unwrap();
/// let same: Origin = "https://ACME.com:443".parse().unwrap();
/// let other: Origin = "https://acme.com.evil.com".parse().unwrap();
/// assert!(pattern.matches(&same) && !pattern.matches(&other));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginPattern {
    /// This origin and no other.
    Exact(Origin),
    /// Every subdomain of a domain, but not the domain itself.
    Subdomains(Origin),
    /// `http://localhost` on any port.
    Localhost,
    /// Any origin at all.
    Any,
}

impl OriginPattern {
    /// Whether the pattern covers the origin.
    pub fn matches(&self, origin: &Origin) -> bool {
        match self {
            OriginPattern::Exact(exact) => exact == origin,
            OriginPattern::Subdomains(of) => {
                let sub = origin.host.strip_suffix(of.host.as_str()).is_some_and(|sub| sub.ends_with('.'));
                sub && of.scheme == origin.scheme && of.port == origin.port
            }
            OriginPattern::Localhost => origin.scheme == "http" && origin.host == "localhost",
            OriginPattern::Any => true,
        }
    }

    /// Accepts the pattern for a key: exact origins only, and any port of localhost on test keys.
    ///
    /// # Errors
    /// [`InvalidOrigin`] naming what is not accepted.
    pub fn for_key(self, mode: crate::tenant::Mode) -> Result<Self, InvalidOrigin> {
        match self {
            OriginPattern::Exact(_) => Ok(self),
            OriginPattern::Localhost if mode == crate::tenant::Mode::Test => Ok(self),
            OriginPattern::Localhost => Err(InvalidOrigin::LocalhostLive),
            OriginPattern::Subdomains(_) | OriginPattern::Any => Err(InvalidOrigin::Wildcard),
        }
    }

    /// Accepts the pattern for a tenant: exact origins, subdomains, or any.
    ///
    /// # Errors
    /// [`InvalidOrigin::LocalhostLive`], because a tenant's list also guards its live keys.
    pub fn for_tenant(self) -> Result<Self, InvalidOrigin> {
        match self {
            OriginPattern::Localhost => Err(InvalidOrigin::LocalhostLive),
            pattern => Ok(pattern),
        }
    }
}

impl FromStr for OriginPattern {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        match text {
            "*" => return Ok(OriginPattern::Any),
            "http://localhost:*" => return Ok(OriginPattern::Localhost),
            _ => {}
        }
        if let Some((scheme, domain)) = text.split_once("://*.") {
            let parent: Origin = format!("{scheme}://{domain}").parse()?;
            let named = parent.host.contains('.') && parent.host.parse::<IpAddr>().is_err();
            return if named { Ok(OriginPattern::Subdomains(parent)) } else { Err(InvalidOrigin::Wildcard) };
        }
        if text.contains('*') {
            return Err(InvalidOrigin::Wildcard);
        }
        text.parse().map(OriginPattern::Exact)
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OriginPattern::Exact(origin) => origin.fmt(f),
            OriginPattern::Subdomains(parent) => f.write_str(&parent.to_string().replacen("://", "://*.", 1)),
            OriginPattern::Localhost => f.write_str("http://localhost:*"),
            OriginPattern::Any => f.write_str("*"),
        }
    }
}

impl Serialize for OriginPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OriginPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::read(deserializer, str::parse)
    }
}

/// A text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no IP address or network; write 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32")]
pub struct InvalidNetwork(String);

/// Reads a network in CIDR form, or a single address; IPv4-mapped IPv6 counts as IPv4.
///
/// # Errors
/// [`InvalidNetwork`].
pub fn parse_network(text: &str) -> Result<IpNet, InvalidNetwork> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let net = net.map_err(|_| InvalidNetwork(text.chars().take(64).collect()))?;
    let mapped = match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => v6.addr().to_ipv4_mapped(),
        _ => None,
    };
    let plain = mapped.and_then(|v4| IpNet::new(v4.into(), net.prefix_len() - 96).ok());
    Ok(plain.unwrap_or(net).trunc())
}

/// What a client is counted as: an IPv4 address, or the /64 that an IPv6 host chooses its addresses from.
pub fn counted_network(ip: IpAddr) -> IpNet {
    network_of(ip, 32, 64)
}

/// What is shown of an address where it tells whence somebody came and not who they are: the /24 of an IPv4 address, the
/// /48 of an IPv6 one.
pub fn masked_network(ip: IpAddr) -> IpNet {
    network_of(ip, 24, 48)
}

fn network_of(ip: IpAddr, v4: u8, v6: u8) -> IpNet {
    let ip = ip.to_canonical();
    let prefix = if ip.is_ipv4() { v4 } else { v6 };
    IpNet::new(ip, prefix).map(|net| net.trunc()).unwrap_or_else(|_| ip.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    #[test]
    fn origins_are_compared_as_parsed() {
        let exact: OriginPattern = "https://acme.com".parse().unwrap();
        for same in ["https://acme.com", "https://ACME.com", "https://acme.com:443"] {
            assert!(exact.matches(&origin(same)), "{same}");
        }
        for other in [
            "http://acme.com",
            "https://acme.com:8443",
            "https://acme.com.evil.com",
            "https://evilacme.com",
            "https://a.acme.com",
        ] {
            assert!(!exact.matches(&origin(other)), "{other}");
        }
        let subdomains: OriginPattern = "https://*.acme.com".parse().unwrap();
        assert!(subdomains.matches(&origin("https://a.b.acme.com")));
        for other in ["https://acme.com", "https://evilacme.com", "http://a.acme.com", "https://a.acme.com:444"] {
            assert!(!subdomains.matches(&origin(other)), "{other}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for (text, why) in [
            ("https://acme.com/", InvalidOrigin::Form),
            ("acme.com", InvalidOrigin::Form),
            ("null", InvalidOrigin::Form),
            ("https://user@acme.com", InvalidOrigin::Form),
            ("https://acme.com?x", InvalidOrigin::Form),
            ("ftp://acme.com", InvalidOrigin::Scheme),
            ("https://acme.*", InvalidOrigin::Wildcard),
            ("https://*.com", InvalidOrigin::Wildcard),
            ("https://a.*.acme.com", InvalidOrigin::Wildcard),
        ] {
            assert_eq!(text.parse::<OriginPattern>(), Err(why), "{text}");
        }
        let localhost: OriginPattern = "http://localhost:*".parse().unwrap();
        assert_eq!(localhost.clone().for_key(crate::Mode::Live), Err(InvalidOrigin::LocalhostLive));
        assert!(localhost.for_key(crate::Mode::Test).is_ok());
    }

    #[test]
    fn networks_and_clients_are_counted_in_canonical_form() {
        assert_eq!(parse_network("::ffff:10.0.0.0/104"), parse_network("10.0.0.0/8"));
        assert_eq!(parse_network("10.1.2.3"), Ok("10.1.2.3/32".parse().unwrap()));
        assert!(parse_network("10.0.0.0/33").is_err());
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let two: IpAddr = "2001:db8::ffff:2".parse().unwrap();
        assert_eq!(counted_network(one), counted_network(two));
        assert_eq!(counted_network("::ffff:1.2.3.4".parse().unwrap()), "1.2.3.4/32".parse().unwrap());
    }
}
