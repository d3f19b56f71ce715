//! Devices that a second factor is not asked for on: a token that was handed out once, of which a digest is kept.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{TrustedDeviceId, UserId};
use crate::secret::{Digest32, Sealed, Secret};
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::subject::SubjectKey;
use crate::tenant::Space;

/// How long a device is trusted.
const TRUSTED_FOR: Duration = Duration::from_secs(30 * 86_400);
/// Devices of one user; of more, the one that was trusted first is forgotten.
pub(crate) const MOST_TRUSTED: usize = 50;

/// How the tokens of one purpose begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenForm(&'static str);

/// A token that was just made.
#[derive(Clone, Debug)]
pub(crate) struct NewToken {
    pub written: Secret,
    pub digest: Digest32,
}

/// What a sign-in goes on with.
pub(crate) const MFA_TOKEN: TokenForm = TokenForm("otp_mfa_");
/// What a trusted device shows.
pub(crate) const TRUST_TOKEN: TokenForm = TokenForm("otp_td_");

impl TokenForm {
    /// A token of these random bytes.
    pub fn write(self, bytes: [u8; 32]) -> NewToken {
        let written = Secret::from(format!("{}{}", self.0, URL_SAFE_NO_PAD.encode(bytes)));
        NewToken { written, digest: Digest32::of(&bytes) }
    }

    /// What is kept of a token; `None` for a text of another form.
    pub fn digest(self, token: &str) -> Option<Digest32> {
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(token.strip_prefix(self.0)?).ok()?.try_into().ok()?;
        Some(Digest32::of(&bytes))
    }
}

/// A device that its user trusts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrustedDevice {
    /// Identifier.
    pub id: TrustedDeviceId,
    /// Tenant and mode.
    pub space: Space,
    /// Whose: where `client` is sealed.
    pub subject: SubjectKey,
    /// The user.
    pub user: UserId,
    /// Digest of its token.
    pub token: Digest32,
    /// Client address and user agent when it was trusted, sealed.
    pub client: Option<Sealed>,
    /// When it was trusted.
    pub created_at: Timestamp,
    /// When its user last signed in with it.
    pub last_used_at: Option<Timestamp>,
}

impl TrustedDevice {
    /// Where a device stands in its store.
    pub fn key_of(space: Space, id: TrustedDeviceId) -> Key {
        Key::new::<Self>(space.tenant, id.as_bytes())
    }

    /// When it stops being trusted.
    pub fn ends_at(&self) -> Timestamp {
        self.created_at + TRUSTED_FOR
    }

    /// Whether it is trusted now to stand for a second factor that is in use since then.
    pub fn is_trusted(&self, enabled_at: Timestamp, now: Timestamp) -> bool {
        self.created_at >= enabled_at && now < self.ends_at()
    }
}

impl Stored for TrustedDevice {
    const KIND: Kind = Kind::TrustedDevice;

    fn key(&self) -> Key {
        Self::key_of(self.space, self.id)
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.subject.as_bytes().into())
    }

    fn alias(&self) -> Option<SmallBytes> {
        Some((&self.token.0).into())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.ends_at())
    }
}
