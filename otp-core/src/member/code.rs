//! Codes that members are mailed: to confirm an address, to sign in, to set a new password.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::ChallengeId;
use crate::limit::SlidingLog;
use crate::notice::INSTALLATION;
use crate::passcode::{Derivation, PasscodeFormat, TypedCode};
use crate::secret::{Digest32, Sealed, Secret, TenantKeys};
use crate::store::{Key, Kind, Stored};
use crate::subject::{BucketKey, SubjectKey};
use crate::tenant::Space;

/// Wrong guesses after which a code is dead.
const GUESSES: u8 = 5;
/// The window over which codes to one address are counted.
const COUNTED_FOR: Duration = Duration::from_secs(3_600);

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeUse {
    /// Showing that the address of a new account is received.
    Register,
    /// Signing in.
    SignIn,
    /// Setting a new password.
    Recover,
}

impl CodeUse {
    /// The name it is derived with.
    const fn purpose(self) -> &'static str {
        match self {
            CodeUse::Register => "member register",
            CodeUse::SignIn => "member sign in",
            CodeUse::Recover => "member recover",
        }
    }

    /// How long a code works.
    pub const fn valid_for(self) -> Duration {
        match self {
            CodeUse::Register => Duration::from_secs(24 * 3_600),
            CodeUse::SignIn | CodeUse::Recover => Duration::from_secs(600),
        }
    }
}

/// A code for a member; an address has one at a time for each use, and a later one takes the place of an earlier one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberCode {
    /// What the code is derived from.
    pub id: ChallengeId,
    /// What for.
    pub of_use: CodeUse,
    /// The installation's.
    pub space: Space,
    /// Whose address, under the installation's keys.
    pub subject: SubjectKey,
    /// The scope of every command on it.
    pub bucket: BucketKey,
    /// Which master key it is derived with.
    pub kid: u8,
    /// Who registers, sealed.
    pub registrant: Option<Sealed>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it dies.
    pub expires_at: Timestamp,
    /// Wrong guesses.
    pub wrong: u8,
    /// When codes of this use were asked for in the last hour, this one included.
    pub asked: SlidingLog,
    /// Nothing is right: the address has no account, or has one already. Nothing else is different.
    pub decoy: bool,
    /// It was said and accepted.
    pub is_spent: bool,
}

/// Who registers.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Registrant {
    pub email: String,
    pub name: Option<String>,
    /// A PHC string.
    pub password: String,
}

/// What a typed code comes to.
pub(crate) enum Guess {
    /// It is the code, which is spent now.
    Right(MemberCode),
    /// It counts against the code, if there is one.
    Wrong(Option<MemberCode>),
}

impl MemberCode {
    /// Where the code of an address stands.
    pub fn key_of(subject: &SubjectKey, of_use: CodeUse) -> Key {
        Key::new::<Self>(INSTALLATION.tenant, &id_of(subject, of_use).0)
    }

    /// Where its registrant is sealed.
    pub(crate) fn place(id: ChallengeId) -> Vec<u8> {
        [b"registrant", id.as_bytes().as_slice()].concat()
    }

    /// The code, of what stands in the notice; `None` when the ring has lost the key.
    pub(crate) fn code_of(
        keys: &TenantKeys,
        id: ChallengeId,
        kid: u8,
        of_use: CodeUse,
        subject: &SubjectKey,
    ) -> Option<Secret> {
        derivation(id, kid, of_use, subject).code(keys)
    }

    /// Whether the code would be accepted.
    pub fn is_open(&self, now: Timestamp) -> bool {
        !self.is_spent && !self.decoy && self.wrong < GUESSES && now < self.expires_at
    }

    /// Judges what was typed. Whatever is wrong with code or guess reads the same.
    pub(crate) fn judge(known: Option<&Self>, keys: &TenantKeys, typed: &TypedCode, now: Timestamp) -> Guess {
        let Some(code) = known else { return Guess::Wrong(None) };
        let is_right = derivation(code.id, code.kid, code.of_use, &code.subject).accepts(keys, typed);
        match is_right && code.is_open(now) {
            true => Guess::Right(Self { is_spent: true, registrant: None, ..code.clone() }),
            false => Guess::Wrong(Some(Self { wrong: code.wrong.saturating_add(1), ..code.clone() })),
        }
    }
}

fn id_of(subject: &SubjectKey, of_use: CodeUse) -> Digest32 {
    Digest32::of(&[of_use.purpose().as_bytes(), subject.as_bytes()].concat())
}

fn derivation(id: ChallengeId, kid: u8, of_use: CodeUse, subject: &SubjectKey) -> Derivation<'_> {
    Derivation {
        space: INSTALLATION,
        challenge: id,
        kid,
        purpose: of_use.purpose(),
        subject,
        context: None,
        format: PasscodeFormat::default(),
    }
}

impl Stored for MemberCode {
    const KIND: Kind = Kind::MemberCode;

    fn key(&self) -> Key {
        Key::new::<Self>(self.space.tenant, &id_of(&self.subject, self.of_use).0)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at.max(self.created_at + COUNTED_FOR))
    }
}
