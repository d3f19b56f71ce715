//! The challenge: a code that was asked for, its guesses and its end. A state machine whose moves only go forward.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::ChallengeId;
use crate::message::{Channel, Charge};
use crate::passcode::{Derivation, PasscodeFormat};
use crate::secret::{Digest32, Sealed};
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::subject::{BucketKey, SubjectKey};
use crate::tenant::Space;

/// How long a finished challenge is remembered, so that late guesses get the right answer.
const REMEMBERED_FOR: Duration = Duration::from_secs(3600);

/// Whether a word can be a purpose: what a code is for.
pub(crate) fn is_purpose(word: &str) -> bool {
    let admitted = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
    (1..=64).contains(&word.len()) && word.bytes().all(admitted)
}

/// How a guess names its challenge. The two have budgets of their own, so that an outsider who knows an address cannot
/// burn the guesses of whoever asked for the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// By the challenge id that the request was answered with.
    Bound,
    /// By the address alone.
    Unbound,
}

/// Where a challenge stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum ChallengeState {
    /// Open for guesses.
    Live {
        /// The address as first spelled, sealed: the first verification makes it the user's.
        address: Sealed,
    },
    /// Its code was accepted once.
    Used {
        /// When.
        at: Timestamp,
    },
    /// Both budgets are spent.
    Exhausted {
        /// When.
        at: Timestamp,
    },
}

/// A code that was asked for. The code itself is derived and stands nowhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Challenge {
    /// Identifier, 128 random bits.
    pub id: ChallengeId,
    /// Tenant and mode.
    pub space: Space,
    /// Who is asked.
    pub subject: SubjectKey,
    /// Whose limits count, and the scope of every command on this challenge.
    pub bucket: BucketKey,
    /// What the code is for.
    pub purpose: String,
    /// Digest of what is being approved.
    pub context: Option<Digest32>,
    /// The way its message travels.
    pub channel: Channel,
    /// Which master key the code is derived with.
    pub kid: u8,
    /// Alphabet and length of the code.
    pub format: PasscodeFormat,
    /// Wrong guesses that each budget allows.
    pub attempts: u8,
    /// When it began.
    pub created_at: Timestamp,
    /// From when on no guess is right.
    pub expires_at: Timestamp,
    /// Messages that carried its code.
    pub sends: u32,
    /// When its code was last asked for: an address stands for the code it was sent last.
    pub sent_at: Timestamp,
    /// Wrong guesses of callers with the challenge id.
    pub wrong_bound: u8,
    /// Wrong guesses of callers with the address only.
    pub wrong_unbound: u8,
    /// No code is right: the request asked for an existing user, and there is none. Told by nothing but the verdict.
    #[serde(default)]
    pub decoy: bool,
    /// The prefixes that paid messages with its code went to: they count it when it comes back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<[u8; 16]>,
    /// Where it stands.
    pub state: ChallengeState,
}

/// What a guess comes to.
#[derive(Debug)]
pub enum Verdict {
    /// Right, and now used up; here is the sealed address.
    Accepted(Sealed),
    /// Wrong; so many guesses are left in the caller's budget.
    Wrong {
        /// Guesses left.
        remaining: u8,
    },
    /// Not judged: the caller's budget is spent.
    Exhausted,
    /// Not judged: too late.
    Expired,
    /// Not judged: already used.
    Used,
}

impl Challenge {
    /// What the code is derived from.
    pub fn derivation<'a>(&'a self, context: Option<&'a Digest32>) -> Derivation<'a> {
        Derivation {
            space: self.space,
            challenge: self.id,
            kid: self.kid,
            purpose: &self.purpose,
            subject: &self.subject,
            context,
            format: self.format,
        }
    }

    /// Whether a guess would be judged at all.
    pub fn is_open(&self, binding: Binding, now: Timestamp) -> bool {
        matches!(self.state, ChallengeState::Live { .. }) && now < self.expires_at && self.remaining(binding) > 0
    }

    /// Whether another request for the same thing repeats this code: every budget still has guesses and at least a third
    /// of the lifetime is left.
    pub fn can_resend(&self, now: Timestamp) -> bool {
        let lifetime = self.expires_at.since(self.created_at);
        let fresh = self.expires_at.since(now) * 3 >= lifetime;
        fresh && self.is_open(Binding::Bound, now) && self.is_open(Binding::Unbound, now)
    }

    /// The same after a message that counts against this.
    pub(crate) fn charged(&self, charge: Charge) -> Self {
        let mut charged = self.clone();
        if !charged.prefixes.contains(&charge.prefix) {
            charged.prefixes.push(charge.prefix);
        }
        charged
    }

    /// Guesses left in a budget.
    pub fn remaining(&self, binding: Binding) -> u8 {
        self.attempts.saturating_sub(match binding {
            Binding::Bound => self.wrong_bound,
            Binding::Unbound => self.wrong_unbound,
        })
    }

    /// Judges one guess and moves on. `is_right` is asked only when the guess counts.
    pub fn guess(&mut self, binding: Binding, now: Timestamp, is_right: impl FnOnce(&Self) -> bool) -> Verdict {
        let address = match &self.state {
            ChallengeState::Used { .. } => return Verdict::Used,
            ChallengeState::Exhausted { .. } => return Verdict::Exhausted,
            ChallengeState::Live { .. } if now >= self.expires_at => return Verdict::Expired,
            ChallengeState::Live { .. } if self.remaining(binding) == 0 => return Verdict::Exhausted,
            ChallengeState::Live { address } => address.clone(),
        };
        if is_right(self) && !self.decoy {
            self.state = ChallengeState::Used { at: now };
            return Verdict::Accepted(address);
        }
        match binding {
            Binding::Bound => self.wrong_bound += 1,
            Binding::Unbound => self.wrong_unbound += 1,
        }
        if self.remaining(Binding::Bound) == 0 && self.remaining(Binding::Unbound) == 0 {
            self.state = ChallengeState::Exhausted { at: now };
        }
        Verdict::Wrong { remaining: self.remaining(binding) }
    }
}

impl Stored for Challenge {
    const KIND: Kind = Kind::Challenge;

    fn key(&self) -> Key {
        Key::new::<Self>(self.space.tenant, self.id.as_bytes())
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.subject.as_bytes().into())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at + REMEMBERED_FOR)
    }
}
