//! Identifiers: 16 bytes inside, a prefix and 22 base58 characters outside.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Timestamp;
use crate::random::Random;

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// `58^22 > 2^128`, so every id has the same length and text sorts as the bytes do.
const LENGTH: usize = 22;
const CHUNK: u128 = 58u128.pow(10);
/// What each ASCII character stands for; 58 for none.
const DIGITS: [u8; 128] = {
    let mut digits = [58; 128];
    let mut digit = 0;
    while digit < ALPHABET.len() {
        digits[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    digits
};

/// The text is no identifier of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier of this kind")]
pub struct InvalidId;

fn encode(id: u128, out: &mut [u8]) {
    // Three 64-bit chunks, because 128-bit division is ten times dearer than 64-bit.
    let rest = id / CHUNK;
    let head = rest / CHUNK;
    let chunks = [head as u64, (rest - head * CHUNK) as u64, (id - rest * CHUNK) as u64];
    for (mut chunk, range) in chunks.into_iter().zip([0..2, 2..12, 12..22]) {
        for slot in out[range].iter_mut().rev() {
            *slot = ALPHABET[(chunk % 58) as usize];
            chunk /= 58;
        }
    }
}

fn decode(text: &str) -> Result<u128, InvalidId> {
    let text: &[u8; LENGTH] = text.as_bytes().try_into().map_err(|_| InvalidId)?;
    let chunk = |digits: &[u8]| {
        digits.iter().try_fold(0u64, |chunk, byte| match DIGITS.get(usize::from(*byte)) {
            Some(digit) if *digit < 58 => Ok(chunk * 58 + u64::from(*digit)),
            _ => Err(InvalidId),
        })
    };
    let (head, tail) = text.split_at(2);
    let [head, middle, tail] = [head, &tail[..10], &tail[10..]].map(chunk);
    let head = u128::from(head?).checked_mul(CHUNK * CHUNK);
    let rest = u128::from(middle?) * CHUNK + u128::from(tail?);
    head.and_then(|head| head.checked_add(rest)).ok_or(InvalidId)
}

/// 48 bits of milliseconds, then 80 random bits: sorted by time, never a secret.
pub(crate) fn by_time(now: Timestamp, random: &dyn Random) -> [u8; 16] {
    let mut id: [u8; 16] = random.bytes();
    id[..6].copy_from_slice(&now.as_millis().to_be_bytes()[2..]);
    id
}

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;

            /// The identifier with these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes that stores keep.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// The text form, in a place of the caller's.
            fn write<'a>(&self, place: &'a mut [u8; $prefix.len() + LENGTH]) -> &'a str {
                let (prefix, digits) = place.split_at_mut($prefix.len());
                prefix.copy_from_slice($prefix.as_bytes());
                encode(u128::from_be_bytes(self.0), digits);
                std::str::from_utf8(place).expect("ASCII")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.write(&mut [0; $prefix.len() + LENGTH]))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let id = text.strip_prefix($prefix).ok_or(InvalidId).and_then(decode)?;
                Ok(Self(id.to_be_bytes()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.write(&mut [0; $prefix.len() + LENGTH]))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::text::read(deserializer, str::parse)
            }
        }
    )*};
}

ids! {
    /// A tenant; the wire calls it a customer.
    TenantId = "cust_";
    /// A user: a subject that has verified once.
    UserId = "user_";
    /// An API key (its public name, not the key).
    KeyId = "key_";
    /// A session.
    SessionId = "sess_";
    /// A challenge: 128 random bits, because whoever holds it has guesses of their own.
    ChallengeId = "otp_";
    /// A message to an end user.
    MessageId = "msg_";
    /// An event in the outbox.
    EventId = "evt_";
    /// An audit record.
    AuditId = "aud_";
    /// A request, where its sender gave it no id of its own.
    RequestId = "req_";
    /// A key that signs a tenant's tokens.
    SigningKeyId = "skey_";
    /// Somebody who runs tenants.
    MemberId = "mem_";
    /// Where a tenant wants to hear of events.
    EndpointId = "whe_";
    /// An event on its way to an endpoint.
    DeliveryId = "whd_";
    /// A device that its user trusts.
    TrustedDeviceId = "dev_";
    /// A member's session.
    MemberSessionId = "mses_";
    /// An invitation to a team.
    InvitationId = "inv_";
    /// A provider that a tenant has set up.
    ProviderId = "prov_";
    /// A signup: 128 random bits, of which the link and the code that confirm it are derived.
    SignupId = "sgn_";
}

macro_rules! new_by_time {
    ($($name:ident)*) => {$(
        impl $name {
            /// A fresh identifier that sorts behind those made before.
            pub fn new(now: Timestamp, random: &dyn Random) -> Self {
                Self(by_time(now, random))
            }

            /// What all made at a time or later sort behind, and all made before it sort before.
            pub fn first_at(at: Timestamp) -> Self {
                let mut id = [0; 16];
                id[..6].copy_from_slice(&at.as_millis().max(0).to_be_bytes()[2..]);
                Self(id)
            }
        }
    )*};
}

new_by_time! {
    TenantId UserId KeyId SessionId MessageId EventId AuditId RequestId SigningKeyId MemberId EndpointId TrustedDeviceId
    MemberSessionId ProviderId
}

impl AuditId {
    /// The one behind it, for a second line of the same commit.
    pub(crate) fn next(self) -> Self {
        Self(u128::from_be_bytes(self.0).wrapping_add(1).to_be_bytes())
    }
}

macro_rules! new_at_random {
    ($($name:ident)*) => {$(
        impl $name {
            /// A fresh, unguessable identifier.
            pub fn new(random: &dyn Random) -> Self {
                Self(random.bytes())
            }
        }
    )*};
}

new_at_random! { ChallengeId SignupId InvitationId }

impl TenantId {
    /// The installation itself, in the place of a tenant: whose signups, notices and kept replies are no tenant's.
    pub const INSTALLATION: Self = Self([0; 16]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_are_one_to_one_and_sort_alike() {
        let mut previous = String::new();
        for id in [0, 1, 57, 58, CHUNK - 1, CHUNK, u128::from(u64::MAX), CHUNK * CHUNK, u128::MAX - 1, u128::MAX] {
            let id = TenantId::from_bytes(id.to_be_bytes());
            let text = id.to_string();
            assert_eq!(text.parse(), Ok(id));
            assert!(text > previous, "{text} sorts behind {previous}");
            previous = text;
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let beyond = format!("cust_{}", "z".repeat(22));
        for text in [
            "",
            "cust_",
            "user_1111111111111111111111",
            "cust_111111111111111111111",
            "cust_1111111111111111111110",
            "cust_11111111111111111111\u{e9}",
            &beyond,
        ] {
            assert_eq!(text.parse::<TenantId>(), Err(InvalidId), "{text}");
        }
    }
}
