//! A guess at a device, and what it makes of it: the same for everybody who has one.

use crate::clock::Timestamp;
use crate::error::{Error, Limited};
use crate::limit::{Allowance, LimitOf};
use crate::secret::TenantKeys;
use crate::totp::{DeviceState, GUESSES, Method, Shown, TotpDevice, Verdict};

/// What becomes of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is in use from now on.
    Enable,
    /// It stays in use.
    Use,
    /// It is gone.
    Disable,
}

/// What is shown, and what for.
pub(crate) struct Guess<'a> {
    pub keys: &'a TenantKeys,
    /// `None` where somebody's word is enough.
    pub shown: Option<&'a Shown>,
    pub step: Step,
    pub now: Timestamp,
}

/// What a guess comes to.
pub(crate) enum Guessed {
    /// It was right. The device is as it is from now on, or was when it is gone.
    Right(TotpDevice, Option<Method>),
    /// It was wrong, which the device has noted.
    Wrong(TotpDevice, Error),
    /// It was not looked at, and nothing is noted.
    Refused(Error),
}

impl Guess<'_> {
    /// Judges it.
    pub fn at(&self, device: Option<&TotpDevice>) -> Guessed {
        let mut device = match self.admit(device) {
            Ok(device) => device.clone(),
            Err(refused) => return Guessed::Refused(refused),
        };
        let method = match self.shown.map(|shown| device.judge(self.keys, shown, self.now)) {
            None => None,
            Some(Ok(Verdict::Right(method))) => Some(method),
            Some(Ok(Verdict::Wrong)) => return self.wrong(device),
            Some(Ok(Verdict::Full { until })) => return Guessed::Refused(self.limited(until)),
            Some(Err(cannot_open)) => return Guessed::Refused(cannot_open.into()),
        };
        if self.step == Step::Enable {
            device.state = DeviceState::Enabled { at: self.now };
        }
        Guessed::Right(device, method)
    }

    /// The device, if what is asked can be done with it.
    fn admit<'d>(&self, device: Option<&'d TotpDevice>) -> Result<&'d TotpDevice, Error> {
        let device = device.filter(|device| device.enabled_at().is_some() || device.is_pending(self.now));
        let device = device.ok_or(Error::NotFound("authenticator"))?;
        match (self.step, device.enabled_at()) {
            (Step::Enable, Some(_)) => return Err(Error::Conflict("the authenticator is in use already")),
            (Step::Use, None) => return Err(Error::NotFound("authenticator")),
            _ => {}
        }
        let fits = match self.shown {
            Some(Shown::Code(code)) => code.fits(device.digits),
            Some(Shown::Two(first, second)) => first.fits(device.digits) && second.fits(device.digits),
            Some(Shown::Recovery(_)) | None => true,
        };
        if !fits {
            let wanted = format!("codes of this authenticator have {} digits", device.digits.count());
            return Err(Error::invalid("invalid_otp_format", "otp", wanted));
        }
        Ok(device)
    }

    fn limited(&self, until: Timestamp) -> Error {
        let allowance = Allowance { limit: GUESSES.into(), remaining: 0, reset_at: until };
        let retry_after = until.secs_after(self.now).max(1);
        Error::RateLimited(Limited { allowance, retry_after, of: LimitOf::Recipient })
    }

    fn wrong(&self, device: TotpDevice) -> Guessed {
        let remaining = device.remaining(self.now);
        let reset_at = device.reset_at(self.now);
        let allowance = Allowance { limit: GUESSES.into(), remaining: remaining.into(), reset_at };
        Guessed::Wrong(device, Error::OtpInvalid { remaining, allowance })
    }
}
