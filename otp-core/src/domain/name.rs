//! Names of domains.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Host;

use crate::subject::{InvalidEmail, canonical_domain};

/// The label that the record stands under.
const LABEL: &str = "_otpauth-verify.";
/// Of any name in the DNS (RFC 1035), less what is put in front of this one.
const LONGEST: usize = 253 - LABEL.len();
/// Top-level names that no DNS answers for (RFC 6761, 6762, 7686, 9476).
const NOT_IN_DNS: [&str; 5] = ["alt", "invalid", "local", "localhost", "onion"];

/// A name that somebody can own: at or below a registrable domain, in lower case, as A-labels.
///
/// ```
/// use otp_core::domain::DomainName;
/// let name: DomainName = "Mail.Bücher.example".parse().unwrap();
/// assert_eq!(name.as_str(), "mail.xn--bcher-kva.example");
/// assert!("co.uk".parse::<DomainName>().is_err());
/// ```
// What is stored was parsed once. It is not parsed again, because the list of public suffixes changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DomainName(String);

/// Why a text is no domain that can be verified, and what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDomain {
    /// There is more than a name.
    #[error("write the name alone, such as acme.com: without scheme, path, port, @ or a dot at its end")]
    Form,
    /// An IP address.
    #[error("an IP address has no DNS record of its own to prove it by; write a name, such as acme.com")]
    Address,
    /// A single word.
    #[error("write the full name, such as acme.com")]
    SingleLabel,
    /// Too long for the DNS.
    #[error("use a name of at most {LONGEST} bytes")]
    TooLong,
    /// A label is empty, too long, or has a character out of place.
    #[error("use letters, digits and single hyphens in labels of 1 to 63 bytes, with dots between them")]
    Label,
    /// A character could be taken for another.
    #[error("write the name with plain characters: one of them is a variant that could pass for another")]
    Lookalike,
    /// A name under which anybody can register.
    #[error("different people own the names below this one; write your own, such as acme.example")]
    PublicSuffix,
    /// A name that the DNS does not know.
    #[error("names that end so are not in the DNS; write one that is, such as acme.com")]
    NotInDns,
}

impl DomainName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the record that proves it stands.
    pub fn record_name(&self) -> String {
        format!("{LABEL}{}", self.0)
    }

    /// Whether the host is this name or one below it.
    pub(super) fn spans(&self, host: &str) -> bool {
        host.strip_suffix(self.0.as_str()).is_some_and(|above| above.is_empty() || above.ends_with('.'))
    }

    /// The part of it that was registered.
    pub(super) fn registered(&self) -> &str {
        psl::domain_str(&self.0).unwrap_or(&self.0)
    }
}

/// The name and those above it, down to two labels.
pub(super) fn with_parents(host: &str) -> impl Iterator<Item = DomainName> + '_ {
    let names = std::iter::successors(Some(host), |name| Some(name.split_once('.')?.1));
    names.filter(|name| name.contains('.')).map(|name| DomainName(name.to_owned()))
}

impl FromStr for DomainName {
    type Err = InvalidDomain;

    fn from_str(text: &str) -> Result<Self, InvalidDomain> {
        let typed = text.trim();
        let is_address = matches!(Host::parse(typed), Ok(Host::Ipv4(_) | Host::Ipv6(_)));
        if is_address || typed.parse::<IpAddr>().is_ok() {
            return Err(InvalidDomain::Address);
        }
        let is_foreign = |c: char| matches!(c, '/' | '\\' | ':' | '@' | '?' | '#' | '*') || c.is_whitespace();
        if typed.is_empty() || typed.contains(is_foreign) || typed.ends_with('.') {
            return Err(InvalidDomain::Form);
        }
        if typed.len() > LONGEST {
            return Err(InvalidDomain::TooLong);
        }
        if !typed.contains('.') {
            return Err(InvalidDomain::SingleLabel);
        }
        let name = canonical_domain(typed).map_err(|error| match error {
            InvalidEmail::Lookalike => InvalidDomain::Lookalike,
            _ => InvalidDomain::Label,
        })?;
        Self(name).checked()
    }
}

impl DomainName {
    fn checked(self) -> Result<Self, InvalidDomain> {
        if self.0.len() > LONGEST {
            return Err(InvalidDomain::TooLong);
        }
        if self.0.rsplit('.').next().is_some_and(|last| NOT_IN_DNS.contains(&last)) {
            return Err(InvalidDomain::NotInDns);
        }
        if psl::domain_str(&self.0).is_none() {
            return Err(InvalidDomain::PublicSuffix);
        }
        Ok(self)
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
