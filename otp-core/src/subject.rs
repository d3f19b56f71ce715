//! Who a code is sent to: e-mail addresses and phone numbers, parsed once into their identity form, and the keyed
//! digests that stand for them at rest.

mod email;
mod phone;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::secret::{Digest32, TenantKeys};

pub(crate) use self::email::canonical_domain;
pub use self::email::{EmailAddress, InvalidEmail};
pub use self::phone::{InvalidPhone, PhoneNumber};

/// What sort of address it is. Several channels can reach one sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
}

impl AddressKind {
    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            AddressKind::Email => "email",
            AddressKind::Phone => "phone",
        }
    }
}

/// Where a code goes. Two spellings of one address are equal; `Debug` shows it masked, `Serialize` does not exist.
///
/// ```
/// use otp_core::Address;
/// let address = Address::Email(" Ann.Lee@Example.ORG ".parse().unwrap());
/// assert_eq!(address.display(), "Ann.Lee@Example.ORG");
/// assert_eq!(address.canonical(), "ann.lee@example.org");
/// assert_eq!(format!("{address:?}"), "a***@example.org");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// An e-mail address.
    Email(EmailAddress),
    /// A phone number.
    Phone(PhoneNumber),
}

impl Address {
    /// What sort it is.
    pub fn kind(&self) -> AddressKind {
        match self {
            Address::Email(_) => AddressKind::Email,
            Address::Phone(_) => AddressKind::Phone,
        }
    }

    /// The spelling that mail is sent to and people are shown. Parsing it gives an equal address.
    pub fn display(&self) -> &str {
        match self {
            Address::Email(email) => email.display(),
            Address::Phone(phone) => phone.canonical(),
        }
    }

    /// The one spelling that stands for the identity.
    pub fn canonical(&self) -> &str {
        match self {
            Address::Email(email) => email.canonical(),
            Address::Phone(phone) => phone.canonical(),
        }
    }

    /// What rate limits count under: the same for all aliases of one mailbox. Never an identity.
    pub fn bucket(&self) -> String {
        match self {
            Address::Email(email) => email.bucket(),
            Address::Phone(phone) => phone.canonical().to_owned(),
        }
    }

    /// A form for logs and screens, `a***@example.org` or `+49***42`.
    pub fn masked(&self) -> String {
        match self {
            Address::Email(email) => email.masked(),
            Address::Phone(phone) => phone.masked(),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

macro_rules! address_digests {
    ($($(#[$meta:meta])* $name:ident = $label:literal of $form:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Digest32);

        impl $name {
            /// The digest of an address under the tenant's keys; `mode_byte` keeps test and live data apart.
            pub fn of(keys: &TenantKeys, mode_byte: u8, address: &Address) -> Self {
                let kind = address.kind().as_str();
                Self(keys.index(&[$label, &[mode_byte], kind.as_bytes(), address.$form().as_bytes()]))
            }

            /// The digest with these bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(Digest32(bytes))
            }

            /// The 32 bytes that stores keep.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0.0
            }
        }
    )*};
}

address_digests! {
    /// A blind index: stands for an address at rest, and for the subject that it identifies within one tenant.
    SubjectKey = b"subject" of canonical;
    /// As [`SubjectKey`], for the mailbox: what the limits on sending and guessing count under.
    BucketKey = b"bucket" of bucket;
}
