//! Sessions of members: opaque, looked up at every request, so that one that is ended is over at once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{MemberId, MemberSessionId};
use crate::notice::INSTALLATION;
use crate::random::Random;
use crate::secret::{Digest32, Sealed, Secret, TenantKeys};
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::subject::BucketKey;
use crate::tenant::Space;
use crate::totp::SecondFactorUse;

/// How long a session lasts without a request.
pub const IDLE: Duration = Duration::from_secs(30 * 60);
/// How long a session lasts whatever happens.
pub const ABSOLUTE: Duration = Duration::from_secs(12 * 3_600);
/// How long after a member showed its second factor, or signed in without one, it may do what cannot be undone.
pub const FRESH_FOR: Duration = Duration::from_secs(600);
/// Sessions of one member; a further one ends the oldest.
pub(crate) const SESSIONS: usize = 20;
/// Requests within this time of the one that was noted are not noted again.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// A signed-in member on one device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberSession {
    /// Identifier, which is no secret.
    pub id: MemberSessionId,
    /// The installation's.
    pub space: Space,
    /// Whose session.
    pub member: MemberId,
    /// The scope of every command on it: that of its member.
    pub bucket: BucketKey,
    /// SHA-256 of the token, which has 256 random bits.
    pub digest: Digest32,
    /// Client address and user agent of the sign-in, sealed.
    pub client: Option<Sealed>,
    /// Sign-in.
    pub created_at: Timestamp,
    /// Latest request, to the minute.
    pub seen_at: Timestamp,
    /// When the second factor was last shown in it, and how; none without one.
    #[serde(default)]
    pub second_factor: Option<SecondFactorUse>,
}

impl MemberSession {
    /// Where a session stands.
    pub fn key_of(id: MemberSessionId) -> Key {
        Key::new::<Self>(INSTALLATION.tenant, id.as_bytes())
    }

    /// When it ends, unless it is used before.
    pub fn ends_at(&self) -> Timestamp {
        (self.seen_at + IDLE).min(self.created_at + ABSOLUTE)
    }

    /// Whether it is good for anything.
    pub fn is_open(&self, now: Timestamp) -> bool {
        now < self.ends_at()
    }

    /// Whether its member showed lately that it is there: the second factor, or without one by signing in.
    pub(crate) fn is_fresh(&self, has_second_factor: bool, now: Timestamp) -> bool {
        let shown_at = if has_second_factor { self.second_factor.map(|used| used.at) } else { Some(self.created_at) };
        shown_at.is_some_and(|at| now < at + FRESH_FOR)
    }

    /// Whether a request is to be noted.
    pub(crate) fn is_worth_noting(&self, now: Timestamp) -> bool {
        now >= self.seen_at + NOTED_EVERY
    }
}

impl Stored for MemberSession {
    const KIND: Kind = Kind::MemberSession;

    fn key(&self) -> Key {
        Key::new::<Self>(self.space.tenant, self.id.as_bytes())
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.member.as_bytes().into())
    }

    fn alias(&self) -> Option<SmallBytes> {
        Some((&self.digest.0).into())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.ends_at())
    }
}

/// What the tokens for programs begin with; the cookie of a browser needs no name.
const FOR_PROGRAMS: &str = "otp_ms_";

/// A fresh token.
pub(crate) fn new_session_token(for_program: bool, random: &dyn Random) -> Secret {
    let token = Digest32(random.bytes()).to_base64url();
    Secret::from(if for_program { format!("{FOR_PROGRAMS}{token}") } else { token })
}

/// Whether a token is a program's.
pub(crate) fn is_for_program(token: &str) -> bool {
    token.starts_with(FOR_PROGRAMS)
}

/// What a page has to show beside the session's cookie, so that no other site's page can act by it.
pub(crate) fn csrf_token(keys: &TenantKeys, session: &MemberSession) -> Digest32 {
    keys.index(&[b"member csrf", session.id.as_bytes(), &session.digest.0])
}
