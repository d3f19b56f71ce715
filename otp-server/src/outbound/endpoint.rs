//! Where requests go.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use otp_core::destination::{Destination, InvalidDestination, Reach};
use url::{Host, Url};

/// The address of a service, which its paths are put behind: `https`, or `http` where nothing leaves the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

/// The text is no address that secrets could be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// It is no URL, or has none of the two schemes.
    #[error("it is no `https://host`")]
    Form,
    /// `http` to another machine.
    #[error(
        "it is `http://`, which would send secrets and codes in clear; write `https://`, or name a loopback address"
    )]
    Clear,
    /// User or password.
    #[error("it has a user name or password; remove that")]
    Login,
    /// A query or fragment where none has a place.
    #[error("it has a `?` or `#`; remove that")]
    Behind,
}

impl Endpoint {
    /// An address with a query of its own.
    ///
    /// # Errors
    /// As for one without, but for the query.
    pub fn with_query(text: &str) -> Result<Self, InvalidEndpoint> {
        let url = Url::parse(text).map_err(|_| InvalidEndpoint::Form)?;
        match (url.scheme(), url.host()) {
            ("https", Some(_)) => (),
            ("http", Some(host)) if is_loopback(&host) => (),
            ("http", Some(_)) => return Err(InvalidEndpoint::Clear),
            _ => return Err(InvalidEndpoint::Form),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidEndpoint::Login);
        }
        if url.fragment().is_some() {
            return Err(InvalidEndpoint::Behind);
        }
        // A URL of browsers may have signs that a URI of RFC 3986 has not.
        if url.as_str().parse::<Uri>().is_err() { Err(InvalidEndpoint::Form) } else { Ok(Self(url)) }
    }

    /// Whether it is one that a tenant may name.
    ///
    /// # Errors
    /// What to write instead.
    pub(crate) fn admit(&self, reach: Reach) -> Result<(), InvalidDestination> {
        Destination::parse(self.0.as_str(), reach).map(drop)
    }

    /// The address itself.
    pub(crate) fn uri(&self) -> Uri {
        self.0.as_str().parse().expect("it was one when it was read")
    }

    /// The address of a path, which begins with a slash.
    pub(crate) fn at(&self, path: &str) -> Uri {
        format!("{self}{path}").parse().expect("paths are made of letters and identifiers that were checked")
    }

    /// The ways to write it that differ in the port alone: without one, with the usual one, and with its own.
    pub(crate) fn spellings(&self) -> Vec<String> {
        let host = self.0.host_str().unwrap_or_default();
        let (scheme, path) = (self.0.scheme(), self.0.path().trim_end_matches('/'));
        let port = self.0.port_or_known_default().map(|port| format!(":{port}"));
        let ports = [String::new(), port.unwrap_or_default()];
        ports.into_iter().map(|port| format!("{scheme}://{host}{port}{path}")).collect()
    }

    /// Host, and port where it is not the usual one, as in the header `Host`.
    pub(crate) fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let endpoint = Self::with_query(text)?;
        if endpoint.0.query().is_some() { Err(InvalidEndpoint::Behind) } else { Ok(endpoint) }
    }
}

/// Without a slash at its end, and without a query: that can hold secrets of others.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.as_str();
        f.write_str(text.split('?').next().unwrap_or(text).trim_end_matches('/'))
    }
}

pub(crate) fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => name.as_ref() == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.to_canonical().is_loopback(),
    }
}
