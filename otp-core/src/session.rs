//! Sessions and the refresh tokens that prolong them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{SessionId, TenantId, UserId};
use crate::message::Channel;
use crate::secret::{Digest32, Sealed, Secret, TenantKeys, Use};
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::subject::{BucketKey, SubjectKey};
use crate::tenant::Space;
use crate::totp::SecondFactorUse;

/// How long an ended session is remembered.
const REMEMBERED_FOR: Duration = Duration::from_secs(7 * 86_400);

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its user signed out.
    SignedOut,
    /// A spent refresh token came back: somebody has a copy.
    RefreshReused,
    /// The tenant ended it.
    Revoked,
    /// Nobody said which claims its tokens are to hold.
    HookFailed,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum SessionState {
    /// Open until it expires.
    Open,
    /// Over, for ever.
    Ended {
        /// Since when.
        at: Timestamp,
        /// Why.
        reason: EndReason,
    },
}

/// A signed-in user on one device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Identifier: the `sid` of its tokens.
    pub id: SessionId,
    /// Tenant and mode.
    pub space: Space,
    /// Whose session.
    pub user: UserId,
    /// The user's subject: where `address` and `client` are sealed.
    pub subject: SubjectKey,
    /// The scope of every command on this session.
    pub bucket: BucketKey,
    /// What kind of address the user signed in with.
    pub channel: Channel,
    /// That address, sealed.
    pub address: Sealed,
    /// Client address and user agent of the sign-in, sealed.
    pub client: Option<Sealed>,
    /// Sign-in.
    pub created_at: Timestamp,
    /// Latest refresh.
    pub refreshed_at: Timestamp,
    /// When it ends unless refreshed before.
    pub idle_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// Digest of the one refresh token that works.
    pub refresh: Digest32,
    /// Number of the tokens given out last; it is in the `jti`.
    pub generation: u32,
    /// Access tokens of an older generation are revoked.
    pub valid_from: u32,
    /// Where it stands.
    pub state: SessionState,
    /// The second factor that the user proved last in it.
    #[serde(default)]
    pub second_factor: Option<SecondFactorUse>,
    /// What hooks said of the claims of its tokens, sealed; `None` as long as nobody was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Sealed>,
}

impl Session {
    /// Where a session stands in its store.
    pub fn key_of(tenant: TenantId, id: SessionId) -> Key {
        Key::new::<Self>(tenant, id.as_bytes())
    }

    /// Whether the session is good for anything.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state == SessionState::Open && now < self.idle_at && now < self.expires_at
    }

    /// Ends an open session; an ended one stays as it ended.
    pub fn end(&mut self, now: Timestamp, reason: EndReason) {
        if self.state == SessionState::Open {
            self.state = SessionState::Ended { at: now, reason };
        }
    }

    /// The `jti` of this session's current access token.
    pub fn jti(&self) -> String {
        format!("{}.{}", self.id, self.generation)
    }

    /// The generation that a `jti` names, if it is one of this session's.
    pub fn generation_of(&self, jti: &str) -> Option<u32> {
        let (id, generation) = jti.split_once('.')?;
        (id.parse() == Ok(self.id)).then(|| generation.parse().ok())?
    }
}

impl Stored for Session {
    const KIND: Kind = Kind::Session;

    fn key(&self) -> Key {
        Self::key_of(self.space.tenant, self.id)
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.user.as_bytes().into())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at.min(self.idle_at) + REMEMBERED_FOR)
    }
}

const PREFIX: &str = "otp_rt_";
const SECRET: usize = 32;
const TAG: usize = 16;
const LENGTH: usize = 16 + 16 + SECRET + TAG;

/// A refresh token: where its session is, 256 random bits, and a tag by which we know it as ours. The tag tells a spent
/// token (somebody has a copy: end the session) from an invented one (ignore it).
#[derive(Clone)]
pub struct RefreshToken {
    /// Whose session.
    pub tenant: TenantId,
    /// Which session.
    pub session: SessionId,
    bytes: [u8; LENGTH],
}

/// The text is no refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a refresh token")]
pub struct InvalidRefreshToken;

impl RefreshToken {
    /// A fresh token of the session around these random bytes.
    pub fn new(keys: &TenantKeys, tenant: TenantId, session: SessionId, secret: [u8; SECRET]) -> Self {
        let mut bytes = [0; LENGTH];
        bytes[..16].copy_from_slice(tenant.as_bytes());
        bytes[16..32].copy_from_slice(session.as_bytes());
        bytes[32..64].copy_from_slice(&secret);
        let tag = keys.digest(keys.newest(), Use::Refresh, &[&bytes[..64]]).expect("the newest key is of the ring");
        bytes[64..].copy_from_slice(&tag.0[..TAG]);
        Self { tenant, session, bytes }
    }

    /// Reads the written form.
    ///
    /// # Errors
    /// [`InvalidRefreshToken`] when prefix, length or alphabet is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidRefreshToken> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidRefreshToken)?;
        let mut bytes = [0; LENGTH];
        let read = URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).map_err(|_| InvalidRefreshToken)?;
        if read != LENGTH {
            return Err(InvalidRefreshToken);
        }
        let id = |from: usize| -> [u8; 16] { bytes[from..from + 16].try_into().unwrap_or_default() };
        Ok(Self { tenant: TenantId::from_bytes(id(0)), session: SessionId::from_bytes(id(16)), bytes })
    }

    /// Whether we made this token, spent or not.
    pub fn is_ours(&self, keys: &TenantKeys) -> bool {
        let tag: [u8; TAG] = self.bytes[64..].try_into().unwrap_or_default();
        let made_under = |kid: u8| {
            let expected = keys.digest(kid, Use::Refresh, &[&self.bytes[..64]]);
            expected.is_some_and(|digest| subtle::ConstantTimeEq::ct_eq(&digest.0[..TAG], &tag[..]).into())
        };
        keys.kids().any(made_under)
    }

    /// What the session keeps of it.
    pub fn digest(&self) -> Digest32 {
        Digest32::of(&self.bytes)
    }

    /// The written form, to be handed to its owner.
    pub fn expose(&self) -> Secret {
        Secret::from(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.bytes)))
    }
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RefreshToken({})", self.session)
    }
}
