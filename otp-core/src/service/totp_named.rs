//! Second factors of people whom the tenant names: its own program sets them up and asks for their codes.

use super::totp::{Factor, NewDevice, parse_otp};
use super::{Caller, SecondFactorProof, Service, TotpEnrolment, TotpStatus};
use crate::clock::Timestamp;
use crate::command::{Holder, NoteReveal, Registering, Step, Then};
use crate::error::Error;
use crate::id::UserId;
use crate::secret::Secret;
use crate::subject::{BucketKey, SubjectKey};
use crate::totp::{Digits, HashAlgorithm, Moving, OtpSecret, Shown, TotpDevice};

/// Characters of a name.
const LONGEST_NAME: usize = 128;

/// An authenticator that a tenant sets up for somebody.
#[derive(Clone, Debug)]
pub struct NewAuthenticator {
    /// For whom: any text of 1 to 128 characters that the tenant knows them by. One that is the id of a user names that user.
    pub name: String,
    /// The hash.
    pub algorithm: HashAlgorithm,
    /// Digits of a code.
    pub digits: Digits,
    /// What changes from code to code.
    pub moving: Moving,
    /// A secret that is brought along; a fresh one, if not set.
    pub secret: Option<OtpSecret>,
    /// Whom the authenticator says that it is for; the name in the tenant's branding, if not set.
    pub issuer: Option<String>,
    /// The account that the authenticator shows; the name, if not set.
    pub account: Option<String>,
}

impl NewAuthenticator {
    /// What every authenticator understands.
    pub fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            algorithm: HashAlgorithm::default(),
            digits: Digits::SIX,
            moving: Moving::usual(),
            secret: None,
            issuer: None,
            account: None,
        }
    }
}

/// The code that an authenticator shows.
#[derive(Clone, Debug)]
pub struct NamedCode {
    /// The code.
    pub otp: Secret,
    /// `totp` or `hotp`.
    pub kind: &'static str,
    /// Until when it is shown; a code of a counter until it is used.
    pub expires_at: Option<Timestamp>,
}

impl Service {
    /// Makes a secret for somebody's authenticator. It is in use once
    /// [`enable_authenticator`](Self::enable_authenticator) is told a code.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Conflict`] when one is in use already, [`Error::NotFound`] for the id of no user,
    /// [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn register_authenticator(&self, caller: &Caller, new: NewAuthenticator) -> Result<TotpEnrolment, Error> {
        let factor = self.factor_named(caller, &new.name).await?;
        let secret = new.secret.unwrap_or_else(|| OtpSecret::generate(self.random()));
        let device = NewDevice { secret, algorithm: new.algorithm, digits: new.digits, moving: new.moving };
        let issuer = new.issuer.as_deref().unwrap_or(factor.issuer());
        let account = new.account.as_deref().unwrap_or(&new.name);
        self.enrol(&factor.held(), issuer, account, device, Registering::ByTenant).await
    }

    /// Gives somebody who lost the authenticator a new secret. The old one, its recovery codes and the trusted devices are dead
    /// at once; the new one is in use from its first code on. It is in the audit trail.
    ///
    /// # Errors
    /// As [`register_authenticator`](Self::register_authenticator); [`Error::NotFound`] also where there is none.
    pub async fn replace_authenticator(
        &self,
        caller: &Caller,
        name: &str,
        account: Option<&str>,
    ) -> Result<TotpEnrolment, Error> {
        let factor = self.factor_named(caller, name).await?;
        let known = self.device(&factor.holder).await?.ok_or(Error::NotFound("authenticator"))?;
        let device = NewDevice {
            secret: OtpSecret::generate(self.random()),
            algorithm: known.algorithm,
            digits: known.digits,
            moving: known.moving.restarted(),
        };
        let registering = Registering::Replacing(self.trail(caller));
        self.enrol(&factor.held(), factor.issuer(), account.unwrap_or(name), device, registering).await
    }

    /// Puts somebody's authenticator in use by its first code, and gives the recovery codes. It is in the audit trail.
    ///
    /// # Errors
    /// As [`enable_totp`](Self::enable_totp) and [`register_authenticator`](Self::register_authenticator).
    pub async fn enable_authenticator(&self, caller: &Caller, name: &str, otp: &str) -> Result<Vec<Secret>, Error> {
        let factor = self.factor_named(caller, name).await?;
        let shown = Shown::Code(parse_otp("otp", otp)?);
        let by = self.by_tenant(caller);
        let proven = self.prove(&factor, Some(shown), Step::Enable, Then::Nothing, None, by).await?;
        self.first_recovery_codes(&factor.held(), &proven.device).await
    }

    /// Takes somebody's authenticator away, on the tenant's word. It is in the audit trail.
    ///
    /// # Errors
    /// As [`replace_authenticator`](Self::replace_authenticator).
    pub async fn disable_authenticator(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        let factor = self.factor_named(caller, name).await?;
        let by = self.by_tenant(caller);
        self.prove(&factor, None, Step::Disable, Then::Nothing, None, by).await.map(drop)
    }

    /// How somebody's second factor stands.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] for the id of no user, [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn authenticator(&self, caller: &Caller, name: &str) -> Result<TotpStatus, Error> {
        let factor = self.factor_named(caller, name).await?;
        Ok(TotpStatus::of(self.device(&factor.holder).await?.as_ref(), self.now()))
    }

    /// Accepts what somebody shows, once ever, and tells how their second factor stands then.
    ///
    /// # Errors
    /// As [`enable_totp`](Self::enable_totp) and [`register_authenticator`](Self::register_authenticator).
    pub async fn check_authenticator(
        &self,
        caller: &Caller,
        name: &str,
        proof: &SecondFactorProof,
    ) -> Result<TotpStatus, Error> {
        let factor = self.factor_named(caller, name).await?;
        let shown = self.factor_shown(&factor.held(), proof).await?;
        self.judge_named(caller, &factor, shown).await
    }

    /// Accepts two consecutive codes of a counter that ran up to a thousand ahead (RFC 4226, section 7.4).
    ///
    /// # Errors
    /// As [`check_authenticator`](Self::check_authenticator).
    pub async fn resynchronise_authenticator(
        &self,
        caller: &Caller,
        name: &str,
        otp: &str,
        next: &str,
    ) -> Result<TotpStatus, Error> {
        let factor = self.factor_named(caller, name).await?;
        let shown = Shown::Two(parse_otp("otp", otp)?, parse_otp("nextOtp", next)?);
        self.judge_named(caller, &factor, shown).await
    }

    async fn judge_named(&self, caller: &Caller, factor: &Factor, shown: Shown) -> Result<TotpStatus, Error> {
        let by = self.by_tenant(caller);
        let proven = self.prove(factor, Some(shown), Step::Use, Then::Nothing, None, by).await?;
        Ok(TotpStatus::of(Some(&proven.device), self.now()))
    }

    /// The code that somebody's authenticator shows now. It is for tenants that send codes themselves: the key needs the scope
    /// `otp:reveal`, and every use is in the audit trail. The second factor of a user is shown to nobody.
    ///
    /// # Errors
    /// [`Error::ScopeRequired`], [`Error::NotFound`] without an authenticator in use, and for users' own;
    /// [`Error::Invalid`], [`Error::Store`].
    pub async fn reveal_code(&self, caller: &Caller, name: &str) -> Result<NamedCode, Error> {
        let factor = self.factor_named(caller, name).await?;
        caller.may_reveal()?;
        if factor.holder.user.is_some() {
            return Err(Error::NotFound("authenticator"));
        }
        let command = NoteReveal { holder: factor.holder, trail: self.trail(caller) };
        let device: TotpDevice = self.run(command).await??;
        let (otp, expires_at) = device.code_at(&factor.context.keys, self.now())?;
        Ok(NamedCode { otp: Secret::from(otp), kind: device.moving.as_str(), expires_at })
    }

    /// Whom the tenant means. What reads as the id of a user is one, and has to be the tenant's; anything else is a name that
    /// only the tenant knows, and of which only a keyed digest is kept.
    async fn factor_named(&self, caller: &Caller, name: &str) -> Result<Factor, Error> {
        caller.may_manage()?;
        if !(1..=LONGEST_NAME).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(Error::invalid("invalid_user_id", "userId", "use 1 to 128 characters without line breaks"));
        }
        if let Ok(id) = name.parse::<UserId>() {
            let (context, user) = self.user_of(caller, id).await?;
            return Ok(Factor::of_user(context, &user));
        }
        let context = self.current(caller).await?;
        let space = caller.space;
        let digest = context.keys.index(&[b"authenticator", &[space.mode.byte()], name.as_bytes()]);
        let (key, bucket) = (SubjectKey::from_bytes(digest.0), BucketKey::from_bytes(digest.0));
        Ok(Factor { context, holder: Holder { space, key, bucket, user: None } })
    }
}
