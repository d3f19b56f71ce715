//! API keys: their written form, what is kept of them, and their life.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::access::{Origin, OriginPattern};
use crate::clock::Timestamp;
use crate::id::{KeyId, TenantId};
use crate::random::Random;
use crate::secret::{Digest32, Secret};
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::tenant::Mode;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// How long a dead key stays on its tenant's list, and takes up one of its places.
const REMEMBERED_FOR: Duration = Duration::from_secs(90 * 86_400);
/// How long before its end the owner of a key is told of it.
const WARNED_BEFORE: Duration = Duration::from_secs(7 * 86_400);
const RANDOM_CHARS: usize = 32;
const CHECK_CHARS: usize = 6;

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyType {
    /// For servers: everything of its tenant.
    Secret,
    /// For browsers and mobile apps: authentication of end users only.
    Publishable,
}

impl KeyType {
    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            KeyType::Secret => "secret",
            KeyType::Publishable => "publishable",
        }
    }
}

/// A permission beyond what every key of its type has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyScope {
    /// May ask for a code to be returned instead of sent (`deliver: "caller"`).
    #[serde(rename = "otp:reveal")]
    OtpReveal,
}

/// The text is no key: wrong prefix, length, alphabet or checksum. Nothing was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key: prefix, length or checksum is wrong")]
pub struct InvalidKey;

/// Appends 190 random bits and a CRC-32 over everything before it, both in base62. The checksum lets typing mistakes
/// and secret scanners be answered without a look-up; it protects nothing.
fn generate(prefix: &str, random: &dyn Random) -> Secret {
    let mut text = String::with_capacity(prefix.len() + RANDOM_CHARS + CHECK_CHARS);
    text.push_str(prefix);
    while text.len() < prefix.len() + RANDOM_CHARS {
        // 248 is the largest multiple of 62 in a byte: rejecting the rest keeps every character equally likely.
        let accepted = random.bytes::<40>().into_iter().filter(|byte| *byte < 248);
        let room = prefix.len() + RANDOM_CHARS - text.len();
        text.extend(accepted.take(room).map(|byte| char::from(BASE62[usize::from(byte % 62)])));
    }
    let check = checksum(&text);
    text.push_str(std::str::from_utf8(&check).unwrap_or_default());
    Secret::from(text)
}

fn checksum(text: &str) -> [u8; CHECK_CHARS] {
    let mut crc = crc32fast::hash(text.as_bytes());
    let mut check = [b'0'; CHECK_CHARS];
    for slot in check.iter_mut().rev() {
        *slot = BASE62[(crc % 62) as usize];
        crc /= 62;
    }
    check
}

fn is_well_formed(text: &str, prefix: &str) -> bool {
    let Some(rest) = text.strip_prefix(prefix) else { return false };
    if rest.len() != RANDOM_CHARS + CHECK_CHARS || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return false;
    }
    let (body, check) = text.split_at(text.len() - CHECK_CHARS);
    checksum(body) == check.as_bytes()
}

const KINDS: [(KeyType, Mode, &str); 4] = [
    (KeyType::Secret, Mode::Live, "otp_live_sk_"),
    (KeyType::Secret, Mode::Test, "otp_test_sk_"),
    (KeyType::Publishable, Mode::Live, "otp_live_pk_"),
    (KeyType::Publishable, Mode::Test, "otp_test_pk_"),
];

/// A fresh key of this type and mode.
///
/// ```
/// use otp_core::api_key::{self, KeyType, PresentedKey};
/// let key = api_key::new_key(KeyType::Secret, otp_core::Mode::Live, &otp_core::SystemRandom);
/// assert!(key.expose().starts_with("otp_live_sk_"));
/// assert!(PresentedKey::parse(key.expose()).is_ok());
/// ```
pub fn new_key(key_type: KeyType, mode: Mode, random: &dyn Random) -> Secret {
    let (_, _, prefix) = KINDS.iter().find(|kind| kind.0 == key_type && kind.1 == mode).expect("all four are listed");
    generate(prefix, random)
}

const ADMIN_PREFIX: &str = "otp_admin_";

/// A fresh platform administrator token.
pub fn new_admin_token(random: &dyn Random) -> Secret {
    generate(ADMIN_PREFIX, random)
}

/// Whether a text has the form of an administrator token.
pub fn is_admin_token(text: &str) -> bool {
    text.starts_with(ADMIN_PREFIX)
}

const SIGNUP_PREFIX: &str = "otp_su_";

/// A fresh token for whoever has just signed up.
pub(crate) fn new_signup_token(random: &dyn Random) -> Secret {
    generate(SIGNUP_PREFIX, random)
}

/// The digest of a signup token, if the text has the form of one.
pub(crate) fn signup_token_digest(text: &str) -> Option<Digest32> {
    is_well_formed(text, SIGNUP_PREFIX).then(|| Digest32::of(text.as_bytes()))
}

/// A key as a caller presented it: well-formed, not yet known to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresentedKey {
    /// What to look up.
    pub digest: Digest32,
}

impl PresentedKey {
    /// Checks form and checksum.
    ///
    /// # Errors
    /// [`InvalidKey`] when the text can be no key of ours.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        if !KINDS.iter().any(|(_, _, prefix)| is_well_formed(text, prefix)) {
            return Err(InvalidKey);
        }
        Ok(Self { digest: Digest32::of(text.as_bytes()) })
    }
}

/// Where a key stands in its life. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// In use.
    Active,
    /// Replaced; works until its grace ends.
    Rotated {
        /// The end of its grace.
        until: Timestamp,
    },
    /// Dead at once and for ever.
    Revoked {
        /// Since when.
        at: Timestamp,
    },
}

/// What is kept of a key: its digest, never the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiKey {
    /// Public name of the key.
    pub id: KeyId,
    /// Whose key.
    pub tenant: TenantId,
    /// What its owner calls it.
    pub name: String,
    /// What it may be used for.
    pub key_type: KeyType,
    /// Whose data it reaches.
    pub mode: Mode,
    /// SHA-256 of the key.
    pub digest: Digest32,
    /// Its last four characters, to recognise it by.
    pub last4: String,
    /// Origins that may use it; empty leaves it to the tenant's.
    #[serde(default)]
    pub allowed_origins: Vec<OriginPattern>,
    /// Networks that may use it; empty leaves it to the tenant's.
    #[serde(default)]
    pub allowed_ips: Vec<IpNet>,
    /// Extra permissions.
    #[serde(default)]
    pub scopes: Vec<KeyScope>,
    /// Creation time.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Where it stands.
    pub state: KeyState,
    /// Whether its owner knows when it ends: because they were told, or because it was so soon when they set it.
    #[serde(default)]
    pub end_is_known: bool,
}

impl ApiKey {
    /// Whether the key opens anything at this time.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        let in_time = self.expires_at.is_none_or(|end| now < end);
        let alive = match self.state {
            KeyState::Active => true,
            KeyState::Rotated { until } => now < until,
            KeyState::Revoked { .. } => false,
        };
        in_time && alive
    }

    /// When the key ends by itself: its own end, or that of its grace, whichever is first.
    pub fn ends_at(&self) -> Option<Timestamp> {
        match self.state {
            KeyState::Rotated { until } => Some(self.expires_at.map_or(until, |end| end.min(until))),
            _ => self.expires_at,
        }
    }

    /// Whether it is time to tell its owner that it ends: seven days before.
    pub fn is_expiring(&self, now: Timestamp) -> bool {
        !self.end_is_known && self.is_usable(now) && self.ends_within_warning(now)
    }

    /// With its end as somebody sets it now, who needs not be told of one that is less than seven days ahead.
    pub(crate) fn ending_as_set(self, now: Timestamp) -> Self {
        Self { end_is_known: self.ends_within_warning(now), ..self }
    }

    fn ends_within_warning(&self, now: Timestamp) -> bool {
        self.ends_at().is_some_and(|end| end <= now + WARNED_BEFORE)
    }

    /// The status word the wire uses.
    pub fn status(&self, now: Timestamp) -> &'static str {
        match self.state {
            KeyState::Revoked { .. } => "revoked",
            _ if !self.is_usable(now) => "expired",
            KeyState::Rotated { .. } => "rotating",
            KeyState::Active => "active",
        }
    }

    /// Whether this origin may use the key, the tenant's list standing in for an empty one.
    pub fn allows_origin(&self, origin: &Origin, tenant: &[OriginPattern]) -> bool {
        let list = if self.allowed_origins.is_empty() { tenant } else { &self.allowed_origins };
        list.is_empty() || list.iter().any(|pattern| pattern.matches(origin))
    }

    /// Whether this address may use the key, the tenant's list standing in for an empty one.
    pub fn allows_ip(&self, ip: IpAddr, tenant: &[IpNet]) -> bool {
        let list = if self.allowed_ips.is_empty() { tenant } else { &self.allowed_ips };
        list.is_empty() || list.iter().any(|net| net.contains(&ip.to_canonical()))
    }
}

impl Stored for ApiKey {
    const KIND: Kind = Kind::ApiKey;

    fn key(&self) -> Key {
        Key::new::<Self>(self.tenant, self.id.as_bytes())
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.tenant.as_bytes().into())
    }

    fn alias(&self) -> Option<SmallBytes> {
        Some((&self.digest.0).into())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        let dead_at = match self.state {
            KeyState::Revoked { at } => Some(at),
            _ => self.ends_at(),
        };
        dead_at.map(|at| at + REMEMBERED_FOR)
    }
}

/// When a key was last used. A row of its own, so that noting a use can never write an old state of the key back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyUse {
    /// Which key.
    pub key: KeyId,
    /// Whose key.
    pub tenant: TenantId,
    /// Its last use, as of the last flush.
    pub last_used_at: Timestamp,
    /// The [masked](crate::access::masked_network) network that it came from, where an address was told.
    #[serde(default)]
    pub last_used_ip: Option<IpNet>,
    /// How often it was used.
    #[serde(default)]
    pub calls: u64,
}

impl KeyUse {
    /// Both uses together.
    pub(crate) fn and(&self, more: &Self) -> Self {
        let last = if self.last_used_at > more.last_used_at { self } else { more };
        Self { calls: self.calls + more.calls, ..last.clone() }
    }
}

impl Stored for KeyUse {
    const KIND: Kind = Kind::KeyUse;

    fn key(&self) -> Key {
        Key::new::<Self>(self.tenant, self.key.as_bytes())
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.tenant.as_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn rows_of_before_are_read() {
        let (key, tenant) = (KeyId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
        let at = Timestamp::from_millis(1_769_847_330_123);
        let network = "203.0.113.0/24".parse().unwrap();
        let used = KeyUse { key, tenant, last_used_at: at, last_used_ip: Some(network), calls: 3 };
        let mut row = serde_json::to_value(&used).unwrap();
        row.as_object_mut().unwrap().remove("last_used_ip");
        let read: KeyUse = serde_json::from_value(row).unwrap();
        assert_eq!((read.last_used_at, read.last_used_ip, read.calls), (at, None, 3));
        // The network is that of the later use, whichever is noted first.
        for both in [read.and(&KeyUse { last_used_at: at + REMEMBERED_FOR, ..used.clone() }), used.and(&read)] {
            assert_eq!((both.last_used_ip.is_some(), both.calls), (both.last_used_at > at, 6));
        }
    }

    #[test]
    fn a_single_wrong_character_is_noticed_without_a_look_up() {
        let key = new_key(KeyType::Publishable, Mode::Test, &SeededRandom::new(7));
        let key = key.expose();
        assert!(PresentedKey::parse(key).is_ok());
        for position in 0..key.len() {
            let other = if key.as_bytes()[position] == b'x' { "y" } else { "x" };
            let mut wrong = key.to_owned();
            wrong.replace_range(position..=position, other);
            assert_eq!(PresentedKey::parse(&wrong), Err(InvalidKey), "{wrong}");
        }
        assert_eq!(PresentedKey::parse(&format!("{key}0")), Err(InvalidKey));
        assert_eq!(PresentedKey::parse(new_admin_token(&SeededRandom::new(7)).expose()), Err(InvalidKey));
    }
}
