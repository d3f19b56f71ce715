//! Recovery codes: made, renewed, and hashed to be judged.

use super::totp::{Factor, Held, parse_otp};
use super::{Client, Me, SecondFactorProof, Service};
use crate::command::{PutRecovery, Step, Then, Trail};
use crate::error::Error;
use crate::id::MemberId;
use crate::secret::{Digest32, Secret};
use crate::totp::{RECOVERY_CODES, RecoveryCode, RecoverySet, Shown, TotpDevice, digest_of};

/// For how many seconds after a second factor was shown new recovery codes are given without another one.
const FRESH_FOR: u64 = 300;

impl Service {
    /// Gives the user new recovery codes, in the place of those before. Needs a second factor: one that is shown now, or that
    /// was shown in this session within the last five minutes.
    ///
    /// # Errors
    /// As [`enable_totp`](Self::enable_totp); [`Error::StepUpRequired`], [`Error::Busy`].
    pub async fn renew_recovery_codes(
        &self,
        me: &Me,
        proof: Option<&SecondFactorProof>,
        client: &Client,
    ) -> Result<Vec<Secret>, Error> {
        let factor = Factor::of(me);
        let is_fresh = me.session.second_factor.is_some_and(|used| self.now().secs_after(used.at) < FRESH_FOR);
        let device = match proof {
            Some(proof) => {
                let shown = self.factor_shown(&factor.held(), proof).await?;
                let by = self.by_user(&factor, client);
                self.prove(&factor, Some(shown), Step::Use, Then::Nothing, None, by).await?.device
            }
            None if is_fresh => self.device(&factor.holder).await?.ok_or(Error::NotFound("authenticator"))?,
            None => return Err(Error::StepUpRequired),
        };
        self.new_recovery_codes(&factor.held(), &device, None).await
    }

    /// What is to be judged. A recovery code is hashed here, unless it will not be looked at.
    pub(super) async fn factor_shown(&self, held: &Held<'_>, proof: &SecondFactorProof) -> Result<Shown, Error> {
        let code = match proof {
            SecondFactorProof::Otp(otp) => return Ok(Shown::Code(parse_otp("otp", otp.expose())?)),
            SecondFactorProof::RecoveryCode(code) => code.expose(),
        };
        let code: RecoveryCode =
            code.parse().map_err(|error| Error::invalid("invalid_otp_format", "recoveryCode", error))?;
        let device = self.device(&held.holder).await?;
        let guessable = device.as_ref().filter(|device| device.remaining(self.now()) > 0);
        let Some(set) = guessable.and_then(|device| device.recovery.as_ref()) else {
            return Ok(Shown::Recovery(Digest32([0; 32])));
        };
        let salt = set.salt(held.keys, &held.holder.key)?;
        let hash = self.inner.hasher.hash(&code.to_password(), salt).await?;
        Ok(Shown::Recovery(digest_of(&hash)))
    }

    /// The codes that go with a device that was just put in use. It is in use also where there is no room to hash them.
    pub(super) async fn first_recovery_codes(
        &self,
        held: &Held<'_>,
        device: &TotpDevice,
    ) -> Result<Vec<Secret>, Error> {
        match self.new_recovery_codes(held, device, None).await {
            Err(Error::Busy(_)) => Ok(Vec::new()),
            codes => codes,
        }
    }

    pub(super) async fn new_recovery_codes(
        &self,
        held: &Held<'_>,
        device: &TotpDevice,
        by_member: Option<(MemberId, Trail)>,
    ) -> Result<Vec<Secret>, Error> {
        let enabled_at = device.enabled_at().ok_or(Error::NotFound("authenticator"))?;
        let salt = self.random().bytes();
        let (mut codes, mut hashes) = (Vec::new(), Vec::new());
        for _ in 0..RECOVERY_CODES {
            let code = RecoveryCode::generate(self.random());
            // One after another: a set does not take the places of ten.
            hashes.push(self.inner.hasher.hash(&code.to_password(), salt).await?);
            codes.push(code.expose());
        }
        let holder = held.holder;
        let set = RecoverySet::new(held.keys, self.random(), &holder.key, salt, &hashes, self.now());
        self.run(PutRecovery { holder, enabled_at, set, by_member }).await??;
        Ok(codes)
    }
}
