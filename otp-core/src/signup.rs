//! Signups: somebody wants a tenant of their own, and has yet to prove that the address is theirs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{ChallengeId, MemberId, SignupId, TenantId};
use crate::limit::SlidingLog;
use crate::notice::INSTALLATION;
use crate::passcode::{Derivation, PasscodeFormat, TypedCode};
use crate::secret::{Digest32, Sealed, Secret, TenantKeys, Use};
use crate::store::{Key, Kind, Stored};
use crate::subject::{BucketKey, SubjectKey};
use crate::tenant::Space;

/// How long link and code confirm a signup.
pub const VALID_FOR: Duration = Duration::from_secs(24 * 3600);
/// Wrong guesses after which the code is dead. The link is too long to be guessed, so nobody can burn it.
pub const GUESSES: u8 = 5;
/// How long the token works that a confirmed signup is answered with.
pub const TOKEN_VALID_FOR: Duration = Duration::from_secs(3600);
/// How long a signup that is over is remembered, so that whoever comes late with the right link gets the right answer.
const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 3600);

/// Where a signup stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum SignupState {
    /// Waits to be confirmed.
    Open,
    /// Was confirmed, once.
    Used {
        /// When.
        at: Timestamp,
    },
}

/// A signup; an address has one at a time, and a later one takes the place of an earlier one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Signup {
    /// What link and code are derived from.
    pub id: SignupId,
    /// The installation's: there is no tenant yet.
    pub space: Space,
    /// Whose address, under the installation's keys.
    pub subject: SubjectKey,
    /// The scope of every command on this signup.
    pub bucket: BucketKey,
    /// Which master key link and code are derived with.
    pub kid: u8,
    /// Address, company and the hash of the password, sealed; nothing once it was confirmed.
    pub applicant: Option<Sealed>,
    /// When it began.
    pub created_at: Timestamp,
    /// When link and code die.
    pub expires_at: Timestamp,
    /// Wrong guesses at the code.
    pub wrong: u8,
    /// When the address was signed up in the last hour, this time included.
    pub asked: SlidingLog,
    /// Neither link nor code is right: the address has an account already. Nothing else is different.
    pub decoy: bool,
    /// Where it stands.
    pub state: SignupState,
}

/// Who signs up.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Applicant {
    pub email: String,
    pub company_name: String,
    /// A PHC string.
    pub password: String,
}

/// What shows that a mail was received: its link, or its code.
pub(crate) enum Shown {
    Link(Digest32),
    Code(TypedCode),
}

impl Signup {
    /// Where the signup of an address stands.
    pub fn key_of(subject: &SubjectKey) -> Key {
        Key::new::<Self>(INSTALLATION.tenant, subject.as_bytes())
    }

    /// Whether its link would confirm it.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state == SignupState::Open && now < self.expires_at
    }

    /// Where its applicant is sealed.
    pub(crate) fn place(id: SignupId) -> Vec<u8> {
        [b"signup", id.as_bytes().as_slice()].concat()
    }

    /// Whether what is shown is of this signup's mail, in constant time. That it still counts is another question.
    pub(crate) fn is_right(&self, keys: &TenantKeys, shown: &Shown) -> bool {
        let proof = SignupProof { signup: self.id, kid: self.kid, subject: &self.subject };
        let right = match shown {
            Shown::Link(token) => proof.link_digest(keys).is_some_and(|digest| digest.matches(token)),
            Shown::Code(code) => proof.derivation().accepts(keys, code),
        };
        right && !self.decoy
    }
}

/// What link and code of a signup are derived from: they stand nowhere.
pub(crate) struct SignupProof<'a> {
    pub signup: SignupId,
    pub kid: u8,
    pub subject: &'a SubjectKey,
}

impl SignupProof<'_> {
    fn derivation(&self) -> Derivation<'_> {
        Derivation {
            space: INSTALLATION,
            challenge: ChallengeId::from_bytes(*self.signup.as_bytes()),
            kid: self.kid,
            purpose: "signup",
            subject: self.subject,
            context: None,
            format: PasscodeFormat::default(),
        }
    }

    /// The code; `None` when the ring has lost the key.
    pub fn code(&self, keys: &TenantKeys) -> Option<Secret> {
        self.derivation().code(keys)
    }

    /// What the link carries, 256 bits; `None` when the ring has lost the key.
    pub fn link_token(&self, keys: &TenantKeys) -> Option<Secret> {
        Some(Secret::from(self.link_digest(keys)?.to_base64url()))
    }

    /// The first part is of another length than a code's, so no link is a code's block.
    fn link_digest(&self, keys: &TenantKeys) -> Option<Digest32> {
        let parts: [&[u8]; 3] = [b"signup link", self.signup.as_bytes(), self.subject.as_bytes()];
        keys.digest(self.kid, Use::Passcode, &parts)
    }
}

impl Stored for Signup {
    const KIND: Kind = Kind::Signup;

    fn key(&self) -> Key {
        Key::new::<Self>(self.space.tenant, self.subject.as_bytes())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at + REMEMBERED_FOR)
    }
}

/// What is kept of the token that a confirmed signup is answered with: its digest, never the token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignupToken {
    /// SHA-256 of the token.
    pub digest: Digest32,
    /// The installation's: a token does not tell whose it is.
    pub space: Space,
    /// For which tenant it makes keys.
    pub tenant: TenantId,
    /// Who holds it.
    pub member: MemberId,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl SignupToken {
    /// Where the token of this digest stands.
    pub fn key_of(digest: &Digest32) -> Key {
        Key::new::<Self>(INSTALLATION.tenant, &digest.0)
    }
}

impl Stored for SignupToken {
    const KIND: Kind = Kind::SignupToken;

    fn key(&self) -> Key {
        Key::new::<Self>(self.space.tenant, &self.digest.0)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}
