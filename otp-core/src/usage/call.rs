//! What calls of the API are counted by.

use std::fmt;

use serde::{Deserialize, Serialize};

const LONGEST: usize = 28;

/// The short name of a route, such as `request-otp`: lower-case letters, digits and hyphens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Route([u8; LONGEST]);

impl Route {
    /// All routes together.
    pub const ALL: Self = Self([0; LONGEST]);

    /// The route of this name, of which 28 characters count; what else is in it is left out.
    pub fn named(name: &str) -> Self {
        let mut route = Self::ALL;
        route.0.iter_mut().zip(name.bytes().filter(is_plain)).for_each(|(slot, byte)| *slot = byte);
        route
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(LONGEST);
        &self.0[..length]
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(bytes).ok()?;
        Some(Self::named(name)).filter(|route| route.as_bytes() == bytes)
    }
}

fn is_plain(byte: &u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-'
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of thing went wrong in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCategory {
    /// The request breaks a rule.
    Validation,
    /// Key, token or code open nothing, or not this.
    Authentication,
    /// Too often.
    RateLimit,
    /// Beyond the plan.
    Quota,
    /// A message could not be sent.
    EmailDelivery,
    /// A fault of the service.
    Internal,
}

impl ErrorCategory {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Validation, Self::Authentication, Self::RateLimit, Self::Quota, Self::EmailDelivery, Self::Internal];

    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Authentication => "authentication",
            Self::RateLimit => "rate_limit",
            Self::Quota => "quota",
            Self::EmailDelivery => "email_delivery",
            Self::Internal => "internal",
        }
    }

    pub(super) const fn byte(self) -> u8 {
        self as u8 + 1
    }

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.byte() == byte)
    }
}
