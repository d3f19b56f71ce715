//! A sign-in that a second factor has to follow.

use super::totp::{Factor, parse_otp};
use super::{Caller, Client, SecondFactorProof, Service, SignedIn, TotpEnrolment};
use crate::clock::Timestamp;
use crate::command::{Registering, Step, Then};
use crate::error::Error;
use crate::id::SessionId;
use crate::limit::Allowance;
use crate::secret::Secret;
use crate::session::RefreshToken;
use crate::store::{FromRecord, Read};
use crate::totp::{MFA_TOKEN, PendingSignIn, Shown};
use crate::user::User;

/// A code was right, and a second factor is to follow.
#[derive(Clone, Debug)]
pub struct SecondFactorRequired {
    /// What the sign-in goes on with. It ends one sign-in, of this user.
    pub mfa_token: Secret,
    /// When it is too late.
    pub expires_at: Timestamp,
    /// Whether an authenticator has to be set up first: the tenant requires one and the user has none.
    pub enrol: bool,
    /// The caller's budget of guesses.
    pub limit: Allowance,
    /// The plan's quota, of the nearer of day and month.
    pub quota: Option<Allowance>,
    /// Whether this is the first answer again.
    pub replayed: bool,
}

/// A second factor was shown.
#[derive(Clone, Debug)]
pub struct SecondSignIn {
    /// The session's tokens.
    pub signed_in: SignedIn,
    /// What makes this device a trusted one, if that was asked for; shown once.
    pub device_token: Option<Secret>,
    /// After the first code of an authenticator: the recovery codes, shown once.
    pub recovery_codes: Vec<Secret>,
}

impl Service {
    /// Ends a sign-in by its second factor, and begins the session. `trust` makes the device one that it is not asked for on.
    ///
    /// # Errors
    /// [`Error::InvalidMfaToken`], [`Error::OtpInvalid`], [`Error::RateLimited`] after too many wrong codes,
    /// [`Error::NotFound`] where an authenticator has to be set up first, [`Error::Invalid`], [`Error::Busy`],
    /// [`Error::Store`].
    pub async fn complete_sign_in(
        &self,
        caller: &Caller,
        mfa_token: &str,
        proof: &SecondFactorProof,
        trust: bool,
        client: &Client,
    ) -> Result<SecondSignIn, Error> {
        let (factor, pending, _) = self.half_signed_in(caller, mfa_token).await?;
        let shown = self.factor_shown(&factor.held(), proof).await?;
        self.begin_session(&factor, &pending, shown, Step::Use, trust, client).await
    }

    /// Makes a secret for the authenticator of somebody whose sign-in waits for it.
    ///
    /// # Errors
    /// [`Error::InvalidMfaToken`], [`Error::Conflict`] when an authenticator is in use already, [`Error::Store`].
    pub async fn register_totp_to_sign_in(&self, caller: &Caller, mfa_token: &str) -> Result<TotpEnrolment, Error> {
        let (factor, pending, user) = self.half_signed_in(caller, mfa_token).await?;
        self.enrol_user(factor, &user, Registering::SigningIn(pending.token)).await
    }

    /// Puts that authenticator in use by its first code, and begins the session. The recovery codes are with it.
    ///
    /// # Errors
    /// As [`complete_sign_in`](Self::complete_sign_in).
    pub async fn enable_totp_to_sign_in(
        &self,
        caller: &Caller,
        mfa_token: &str,
        otp: &str,
        trust: bool,
        client: &Client,
    ) -> Result<SecondSignIn, Error> {
        let (factor, pending, _) = self.half_signed_in(caller, mfa_token).await?;
        let shown = Shown::Code(parse_otp("otp", otp)?);
        let mut signed_in = self.begin_session(&factor, &pending, shown, Step::Enable, trust, client).await?;
        let device = self.device(&factor.holder).await?;
        if let Some(device) = device {
            signed_in.recovery_codes = self.first_recovery_codes(&factor.held(), &device).await?;
        }
        Ok(signed_in)
    }

    async fn begin_session(
        &self,
        factor: &Factor,
        pending: &PendingSignIn,
        shown: Shown,
        step: Step,
        trust: bool,
        client: &Client,
    ) -> Result<SecondSignIn, Error> {
        let session = SessionId::new(self.now(), self.random());
        let refresh =
            RefreshToken::new(&factor.context.keys, factor.holder.space.tenant, session, self.random().bytes());
        let then = Then::SignIn { pending: pending.token, session, refresh };
        let trust = trust.then(|| self.new_trust(factor, client)).flatten();
        let (token, device) = trust.map_or((None, None), |(token, device)| (Some(token), Some(device)));
        let by = self.by_user(factor, client);
        let mut proven = self.prove(factor, Some(shown), step, then, device, by).await?;
        if let Some((session, refresh)) = proven.session.take() {
            proven.session = Some((self.with_claims(&factor.context, session, proven.is_new).await?, refresh));
        }
        self.second_sign_in(factor, proven, token)
    }

    /// Whose sign-in waits for its second factor under this token. Its scope has to be known before it can be entered.
    async fn half_signed_in(&self, caller: &Caller, mfa_token: &str) -> Result<(Factor, PendingSignIn, User), Error> {
        let context = self.current(caller).await?;
        let token = MFA_TOKEN.digest(mfa_token).ok_or(Error::InvalidMfaToken)?;
        let wanted = Read::Record(PendingSignIn::key_of(caller.space, &token));
        let seen = self.inner.store.read(vec![wanted]).await?;
        let is_meant = |pending: &&PendingSignIn| pending.space == caller.space && pending.is_open(self.now());
        let pending = seen.one::<PendingSignIn>().filter(is_meant).cloned().ok_or(Error::InvalidMfaToken)?;
        let wanted = Read::alias::<User>(pending.subject.as_bytes());
        let seen = self.inner.store.read(vec![wanted]).await?;
        let user = seen.records.into_iter().find_map(User::take).filter(|user| user.id == pending.user);
        let user = user.ok_or(Error::InvalidMfaToken)?;
        Ok((Factor::of_user(context, &user), pending, user))
    }
}
