//! A signed-in user's second factor: set up, shown, taken away.

use std::sync::Arc;

use super::caller::place;
use super::context::TenantContext;
use super::{Caller, Client, Me, SecondSignIn, Service};
use crate::clock::Timestamp;
use crate::command::{By, Holder, ProveTotp, Proven, RegisterTotp, Registering, Step, Then};
use crate::error::Error;
use crate::id::EventId;
use crate::secret::{Secret, TenantKeys};
use crate::session::RefreshToken;
use crate::store::Read;
use crate::totp::{
    DeviceState, Digits, HashAlgorithm, KeyUri, Moving, NewToken, OtpSecret, PENDING_FOR, QrPicture, RecoverySet,
    Shown, TotpDevice, TrustedDevice, TypedOtp,
};
use crate::user::User;

/// A secret that was made for an authenticator. It is shown once, and in use from its first code on.
#[derive(Debug)]
pub struct TotpEnrolment {
    /// The secret in base32, for those who type it in.
    pub secret: Secret,
    /// The `otpauth://` URI.
    pub uri: Secret,
    /// The URI as a picture.
    pub qr: QrPicture,
    /// Until when the first code is waited for.
    pub expires_at: Timestamp,
}

/// What somebody shows as a second factor.
#[derive(Clone, Debug)]
pub enum SecondFactorProof {
    /// The code that the authenticator shows.
    Otp(Secret),
    /// One of the recovery codes.
    RecoveryCode(Secret),
}

/// How somebody's second factor stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotpStatus {
    /// Whether one is in use.
    pub enabled: bool,
    /// Whether a secret waits for its first code.
    pub pending: bool,
    /// Since when it is in use.
    pub enabled_at: Option<Timestamp>,
    /// `totp` or `hotp`.
    pub kind: Option<&'static str>,
    /// Recovery codes that were not used.
    pub recovery_codes_left: u8,
}

impl TotpStatus {
    pub(super) fn of(device: Option<&TotpDevice>, now: Timestamp) -> Self {
        let device = device.filter(|device| device.enabled_at().is_some() || device.is_pending(now));
        let enabled_at = device.and_then(TotpDevice::enabled_at);
        let set = device.and_then(|device| device.recovery.as_ref());
        Self {
            enabled: enabled_at.is_some(),
            pending: device.is_some_and(|device| device.is_pending(now)),
            enabled_at,
            kind: device.map(|device| device.moving.as_str()),
            recovery_codes_left: set.map_or(0, RecoverySet::remaining),
        }
    }
}

/// Whose second factor it is, and the keys that it is sealed with.
#[derive(Clone, Copy)]
pub(super) struct Held<'a> {
    pub keys: &'a TenantKeys,
    pub holder: Holder,
}

/// Whose second factor it is, and what is known of the tenant.
pub(super) struct Factor {
    pub context: Arc<TenantContext>,
    pub holder: Holder,
}

impl Factor {
    pub fn of_user(context: Arc<TenantContext>, user: &User) -> Self {
        let holder = Holder { space: user.space, key: user.subject, bucket: user.bucket, user: Some(user.id) };
        Self { context, holder }
    }

    pub fn of(me: &Me) -> Self {
        Self::of_user(me.context.clone(), &me.user)
    }

    pub fn held(&self) -> Held<'_> {
        Held { keys: &self.context.keys, holder: self.holder }
    }

    /// Whom the authenticator says that it is for.
    pub fn issuer(&self) -> &str {
        let tenant = &self.context.tenant;
        tenant.settings.branding.app_name.as_deref().unwrap_or(&tenant.name)
    }
}

/// What a new device is to be.
pub(super) struct NewDevice {
    pub secret: OtpSecret,
    pub algorithm: HashAlgorithm,
    pub digits: Digits,
    pub moving: Moving,
}

impl Service {
    /// Makes a secret for the user's authenticator. It is in use once [`enable_totp`](Self::enable_totp) is told a code.
    ///
    /// # Errors
    /// [`Error::Conflict`] when one is in use already, [`Error::Store`].
    pub async fn register_totp(&self, me: &Me) -> Result<TotpEnrolment, Error> {
        self.enrol_user(Factor::of(me), &me.user, Registering::ByUser).await
    }

    pub(super) async fn enrol_user(
        &self,
        factor: Factor,
        user: &User,
        registering: Registering,
    ) -> Result<TotpEnrolment, Error> {
        let address = factor.context.keys.open_text(&place(b"address", &user.subject), &user.address)?;
        self.enrol(&factor.held(), factor.issuer(), &address, self.usual_device(), registering).await
    }

    /// What every authenticator understands.
    pub(super) fn usual_device(&self) -> NewDevice {
        NewDevice {
            secret: OtpSecret::generate(self.random()),
            algorithm: HashAlgorithm::Sha1,
            digits: Digits::SIX,
            moving: Moving::usual(),
        }
    }

    pub(super) async fn enrol(
        &self,
        held: &Held<'_>,
        issuer: &str,
        account: &str,
        new: NewDevice,
        registering: Registering,
    ) -> Result<TotpEnrolment, Error> {
        let NewDevice { secret, algorithm, digits, moving } = new;
        let uri = KeyUri { issuer, account, secret: &secret, algorithm, digits, moving }.to_uri();
        let qr = QrPicture::of(uri.expose()).ok_or_else(|| Error::Internal("a URI is too long".to_owned()))?;
        let (now, holder) = (self.now(), held.holder);
        let expires_at = now + PENDING_FOR;
        let sealed = held.keys.seal(self.random(), &TotpDevice::place(&holder.key), secret.as_bytes());
        let device = TotpDevice {
            space: holder.space,
            holder: holder.key,
            algorithm,
            digits,
            moving,
            secret: sealed,
            state: DeviceState::Pending { until: expires_at },
            wrong_guesses: Vec::new(),
            recovery: None,
            created_at: now,
        };
        self.run(RegisterTotp { holder, device, registering, now }).await??;
        Ok(TotpEnrolment { secret: secret.to_base32(), uri, qr, expires_at })
    }

    /// Puts the user's authenticator in use by its first code, and gives the recovery codes: none, if there is no room to hash
    /// them right now; then [`renew_recovery_codes`](Self::renew_recovery_codes) does.
    ///
    /// # Errors
    /// [`Error::OtpInvalid`], [`Error::RateLimited`] after too many wrong codes, [`Error::Conflict`] when it is in use
    /// already, [`Error::NotFound`] without a secret that waits for its code, [`Error::Invalid`], [`Error::Store`].
    pub async fn enable_totp(&self, me: &Me, otp: &str, client: &Client) -> Result<Vec<Secret>, Error> {
        let factor = Factor::of(me);
        let shown = Shown::Code(parse_otp("otp", otp)?);
        let then = Then::Mark { session: me.session.id };
        let proven = self.prove(&factor, Some(shown), Step::Enable, then, None, self.by_user(&factor, client)).await?;
        self.first_recovery_codes(&factor.held(), &proven.device).await
    }

    /// Takes the user's authenticator away, with its recovery codes and the trusted devices.
    ///
    /// # Errors
    /// As [`enable_totp`](Self::enable_totp).
    pub async fn disable_totp(&self, me: &Me, proof: &SecondFactorProof, client: &Client) -> Result<(), Error> {
        let factor = Factor::of(me);
        let shown = self.factor_shown(&factor.held(), proof).await?;
        let by = self.by_user(&factor, client);
        self.prove(&factor, Some(shown), Step::Disable, Then::Nothing, None, by).await.map(drop)
    }

    /// How the user's second factor stands.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn totp_status(&self, me: &Me) -> Result<TotpStatus, Error> {
        Ok(TotpStatus::of(self.device(&Factor::of(me).holder).await?.as_ref(), self.now()))
    }

    /// Replaces the tokens of the user's session by those of one in which a second factor was shown: `acr` is `2fa`, and
    /// `auth_time` is now. `trust` makes the device one that it is not asked for on.
    ///
    /// # Errors
    /// As [`enable_totp`](Self::enable_totp); [`Error::InvalidToken`] when the session ended meanwhile.
    pub async fn step_up(
        &self,
        me: &Me,
        proof: &SecondFactorProof,
        trust: bool,
        client: &Client,
    ) -> Result<SecondSignIn, Error> {
        let factor = Factor::of(me);
        let shown = self.factor_shown(&factor.held(), proof).await?;
        let (session, keys) = (me.session.id, &factor.context.keys);
        let next = RefreshToken::new(keys, factor.holder.space.tenant, session, self.random().bytes());
        let then = Then::StepUp { session, generation: me.generation, next };
        let trust = trust.then(|| self.new_trust(&factor, client)).flatten();
        let by = self.by_user(&factor, client);
        let (token, device) = trust.map_or((None, None), |(token, device)| (Some(token), Some(device)));
        let proven = self.prove(&factor, Some(shown), Step::Use, then, device, by).await?;
        self.second_sign_in(&factor, proven, token)
    }

    pub(super) fn second_sign_in(
        &self,
        factor: &Factor,
        proven: Proven,
        trusted: Option<NewToken>,
    ) -> Result<SecondSignIn, Error> {
        let (session, refresh) =
            proven.session.ok_or_else(|| Error::Internal("a session was wanted and none is there".to_owned()))?;
        let at = session.refreshed_at;
        Ok(SecondSignIn {
            signed_in: self.with_tokens(&factor.context, session, refresh, at, proven.is_new)?,
            device_token: trusted.map(|token| token.written),
            recovery_codes: Vec::new(),
        })
    }

    pub(super) async fn prove(
        &self,
        factor: &Factor,
        shown: Option<Shown>,
        step: Step,
        then: Then,
        trust: Option<TrustedDevice>,
        by: By,
    ) -> Result<Proven, Error> {
        let (now, context) = (self.now(), factor.context.clone());
        let events = [(); 2].map(|()| EventId::new(now, self.random()));
        self.run(ProveTotp { context, holder: factor.holder, now, shown, step, then, trust, by, events }).await?
    }

    pub(super) async fn device(&self, holder: &Holder) -> Result<Option<TotpDevice>, Error> {
        let key = TotpDevice::key_of(holder.space, &holder.key);
        let seen = self.inner.store.read(vec![Read::Record(key)]).await?;
        Ok(seen.one::<TotpDevice>().cloned())
    }

    pub(super) fn by_user(&self, factor: &Factor, client: &Client) -> By {
        By::User { client: client.sealed_for(&factor.context.keys, self.random(), &factor.holder.key) }
    }

    pub(super) fn by_tenant(&self, caller: &Caller) -> By {
        By::Tenant(self.trail(caller))
    }
}

pub(super) fn parse_otp(field: &'static str, otp: &str) -> Result<TypedOtp, Error> {
    otp.parse().map_err(|error| Error::invalid("invalid_otp_format", field, error))
}
