//! A device that makes codes, and how a guess at one is judged.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::engine::Keyed;
use super::{Digits, HashAlgorithm, Period, RecoverySet, Totp, TypedOtp, hotp};
use crate::clock::Timestamp;
use crate::secret::{CannotOpen, Digest32, Sealed, TenantKeys};
use crate::store::{Key, Kind, Stored};
use crate::subject::SubjectKey;
use crate::tenant::Space;

/// Wrong guesses at one device, its recovery codes included, within the [window](GUESS_WINDOW).
pub const GUESSES: u8 = 5;
/// After which a wrong guess no longer counts.
pub const GUESS_WINDOW: Duration = Duration::from_secs(300);
/// How long a device may wait for its first code.
pub const PENDING_FOR: Duration = Duration::from_secs(3600);

/// Counters ahead of the next one that are tried (RFC 4226, 7.4): codes that were made and never said.
const LOOK_AHEAD: u64 = 10;
/// Counters among which two consecutive codes are looked for.
const RESYNC_AHEAD: u64 = 1000;

/// What changes from code to code, and how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum Moving {
    /// The time (RFC 6238).
    Totp {
        /// How long a code is shown.
        period: Period,
        /// The last step that was accepted: neither it nor an earlier one is accepted again.
        accepted: Option<u64>,
    },
    /// A counter (RFC 4226).
    Hotp {
        /// The first counter that was not accepted.
        next: u64,
    },
}

impl Moving {
    /// What all apps understand: the time, in steps of 30 seconds.
    pub const fn usual() -> Self {
        Moving::Totp { period: Period::USUAL, accepted: None }
    }

    /// `totp` or `hotp`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Moving::Totp { .. } => "totp",
            Moving::Hotp { .. } => "hotp",
        }
    }

    /// From the start, for a new secret.
    pub(crate) const fn restarted(self) -> Self {
        match self {
            Moving::Totp { period, .. } => Moving::Totp { period, accepted: None },
            Moving::Hotp { .. } => Moving::Hotp { next: 0 },
        }
    }
}

/// Where a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum DeviceState {
    /// Waits for its first code, which shows that the secret arrived.
    Pending {
        /// And is forgotten then.
        until: Timestamp,
    },
    /// In use.
    Enabled {
        /// Since when.
        at: Timestamp,
    },
}

/// How a second factor was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// By a code of the device.
    Totp,
    /// By a recovery code.
    RecoveryCode,
}

impl Method {
    /// What stands in `amr` of the tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Totp => "totp",
            Method::RecoveryCode => "recovery_code",
        }
    }
}

/// A session's user proved a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactorUse {
    /// When; the latest time.
    pub at: Timestamp,
    /// How.
    pub by: Method,
}

/// A device that makes codes, of a user or of somebody the tenant names. There is one for each.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TotpDevice {
    /// Tenant and mode.
    pub space: Space,
    /// Whose: a user's subject, or a keyed digest of the name that the tenant has for somebody.
    pub holder: SubjectKey,
    /// The hash.
    pub algorithm: HashAlgorithm,
    /// Digits of a code.
    pub digits: Digits,
    /// What changes from code to code.
    pub moving: Moving,
    /// The shared secret, sealed.
    pub secret: Sealed,
    /// Where it stands.
    pub state: DeviceState,
    /// The latest wrong guesses.
    pub wrong_guesses: Vec<Timestamp>,
    /// Its recovery codes.
    pub recovery: Option<RecoverySet>,
    /// When the secret was made.
    pub created_at: Timestamp,
}

/// What somebody shows.
#[derive(Clone, Debug)]
pub(crate) enum Shown {
    /// A code of the device.
    Code(TypedOtp),
    /// Two consecutive ones of a device whose counter ran ahead.
    Two(TypedOtp, TypedOtp),
    /// The hash of a recovery code.
    Recovery(Digest32),
}

/// What a guess comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right(Method),
    Wrong,
    /// Too many were wrong: it was not looked at.
    Full {
        until: Timestamp,
    },
}

impl TotpDevice {
    /// Where a holder's device stands in its store.
    pub fn key_of(space: Space, holder: &SubjectKey) -> Key {
        Key::new::<Self>(space.tenant, holder.as_bytes())
    }

    /// Since when it is in use.
    pub fn enabled_at(&self) -> Option<Timestamp> {
        match self.state {
            DeviceState::Enabled { at } => Some(at),
            DeviceState::Pending { .. } => None,
        }
    }

    /// Whether it waits for its first code.
    pub fn is_pending(&self, now: Timestamp) -> bool {
        matches!(self.state, DeviceState::Pending { until } if now < until)
    }

    /// Where its secret is sealed.
    pub(crate) fn place(holder: &SubjectKey) -> Vec<u8> {
        place_of(b"totp", holder)
    }

    /// Judges a guess and notes what came of it: the step, counter or recovery code that is used up, or a wrong guess.
    pub(crate) fn judge(&mut self, keys: &TenantKeys, shown: &Shown, now: Timestamp) -> Result<Verdict, CannotOpen> {
        if let Some(until) = self.full_until(now) {
            return Ok(Verdict::Full { until });
        }
        let method = match shown {
            Shown::Code(code) => self.accept(keys, code, now)?.then_some(Method::Totp),
            Shown::Two(first, second) => self.resynchronise(keys, first, second)?.then_some(Method::Totp),
            Shown::Recovery(hash) => match &mut self.recovery {
                Some(set) => set.spend(keys, &self.holder, hash)?.then_some(Method::RecoveryCode),
                None => None,
            },
        };
        if method.is_none() {
            self.wrong_guesses.retain(|at| *at + GUESS_WINDOW > now);
            self.wrong_guesses.push(now);
        }
        Ok(method.map_or(Verdict::Wrong, Verdict::Right))
    }

    fn recent_guesses(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        self.wrong_guesses.iter().copied().filter(move |at| *at + GUESS_WINDOW > now)
    }

    /// Guesses that are left now.
    pub fn remaining(&self, now: Timestamp) -> u8 {
        GUESSES.saturating_sub(self.recent_guesses(now).count().try_into().unwrap_or(u8::MAX))
    }

    /// When the next guess is looked at, if none is now.
    fn full_until(&self, now: Timestamp) -> Option<Timestamp> {
        if self.remaining(now) > 0 { None } else { Some(self.reset_at(now)) }
    }

    /// When a guess that was wrong no longer counts.
    pub(crate) fn reset_at(&self, now: Timestamp) -> Timestamp {
        self.recent_guesses(now).next().unwrap_or(now) + GUESS_WINDOW
    }

    fn accept(&mut self, keys: &TenantKeys, code: &TypedOtp, now: Timestamp) -> Result<bool, CannotOpen> {
        let secret = keys.open(&Self::place(&self.holder), &self.secret)?;
        let (algorithm, digits) = (self.algorithm, self.digits);
        match &mut self.moving {
            Moving::Totp { period, accepted } => {
                let totp = Totp { algorithm, digits, period: *period, secret: &secret };
                let found = totp.step_of(code, *accepted, now);
                *accepted = found.or(*accepted);
                Ok(found.is_some())
            }
            Moving::Hotp { next } => {
                let keyed = Keyed::new(algorithm, &secret);
                let is_right = |counter: &u64| code.is(digits, keyed.truncated(*counter));
                let found = (*next..=next.saturating_add(LOOK_AHEAD)).find(is_right);
                *next = found.map_or(*next, |found| found.saturating_add(1));
                Ok(found.is_some())
            }
        }
    }

    /// Finds a counter that ran far ahead by two codes of it, one after the other (RFC 4226, 7.4). The time needs none of it.
    fn resynchronise(&mut self, keys: &TenantKeys, first: &TypedOtp, second: &TypedOtp) -> Result<bool, CannotOpen> {
        let secret = keys.open(&Self::place(&self.holder), &self.secret)?;
        let (digits, keyed) = (self.digits, Keyed::new(self.algorithm, &secret));
        let shows = |code: &TypedOtp, counter: u64| code.is(digits, keyed.truncated(counter));
        let Moving::Hotp { next } = &mut self.moving else { return Ok(false) };
        let found = (*next..next.saturating_add(RESYNC_AHEAD))
            .find(|counter| shows(first, *counter) && shows(second, counter.saturating_add(1)));
        *next = found.map_or(*next, |found| found.saturating_add(2));
        Ok(found.is_some())
    }

    /// The code that the device shows now, and until when; one of a counter is shown until it is used.
    pub(crate) fn code_at(&self, keys: &TenantKeys, now: Timestamp) -> Result<(String, Option<Timestamp>), CannotOpen> {
        let secret = keys.open(&Self::place(&self.holder), &self.secret)?;
        let (counter, until) = match self.moving {
            Moving::Totp { period, .. } => (period.step_at(now), Some(period.end_of(period.step_at(now)))),
            Moving::Hotp { next } => (next, None),
        };
        Ok((self.digits.of(hotp(self.algorithm, &secret, counter)), until))
    }
}

/// Where a holder's sealed values stand.
pub(super) fn place_of(what: &[u8], holder: &SubjectKey) -> Vec<u8> {
    [what, holder.as_bytes()].concat()
}

impl Stored for TotpDevice {
    const KIND: Kind = Kind::TotpDevice;

    fn key(&self) -> Key {
        Self::key_of(self.space, &self.holder)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        match self.state {
            // The wrong guesses count on.
            DeviceState::Pending { until } => Some(until + GUESS_WINDOW),
            DeviceState::Enabled { .. } => None,
        }
    }
}
