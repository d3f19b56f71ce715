//! Codes: asked for, and said.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::caller::place;
use super::context::TenantContext;
use super::limits::Asking;
use super::sessions::SignedIn;
use super::worker::LEASE;
use super::{Caller, Client, FallbackStep, Revealed, Service};
use crate::challenge::{Challenge, is_purpose};
use crate::clock::Timestamp;
use crate::command::{RequestOtp, Requested, Verified, VerifyOtp, Wanted};
use crate::error::Error;
use crate::id::{ChallengeId, EventId, MessageId, SessionId, UserId};
use crate::idempotency::{Answer, Idempotency, Once};
use crate::limit::Allowance;
use crate::locale::Locale;
use crate::message::Channel;
use crate::notice::Stationery;
use crate::passcode::TypedCode;
use crate::secret::{Digest32, Secret};
use crate::session::RefreshToken;
use crate::store::{Key, Lease, Read};
use crate::subject::{Address, BucketKey, SubjectKey};
use crate::tenant::Mode;
use crate::totp::{MFA_TOKEN, TRUST_TOKEN};

/// The purpose of a code unless another is named.
pub const LOGIN: &str = "login";

/// Who hands the code to its recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deliver {
    /// The service sends a message.
    #[default]
    Service,
    /// The caller does: the code is in the answer. Keys need the scope `otp:reveal`; every use is in the audit trail.
    Caller,
}

/// Asks for a code.
#[derive(Clone, Debug)]
pub struct OtpRequest {
    /// Whom to send it to.
    pub address: Address,
    /// How.
    pub channel: Channel,
    /// What is sent if the code is not said in time: further messages with the same code, for the same challenge. The request
    /// counts once against the limits of its recipient.
    pub fallback: Vec<FallbackStep>,
    /// What the code will be good for: up to 64 of `a-z 0-9 _ . -`.
    pub purpose: String,
    /// What the recipient reads; what the tenant's settings say, if not set.
    pub locale: Option<Locale>,
    /// What is being approved, up to 200 characters: bound into the code and shown in the message.
    pub context: Option<String>,
    /// Whether an unknown address may become a user. If not, an unknown one gets no message and no right code, and the
    /// answer does not tell.
    pub create_user: bool,
    /// The tenant's own notes, given back in events; up to 1 KiB of JSON.
    pub metadata: Option<Map<String, Value>>,
    /// The end user's side.
    pub client: Client,
    /// Who hands the code over.
    pub deliver: Deliver,
    /// The caller's idempotency key.
    pub idempotency: Option<Idempotency>,
}

impl OtpRequest {
    /// A code to sign in with.
    pub fn to(address: Address) -> Self {
        let channel = match &address {
            Address::Email(_) => Channel::Email,
            Address::Phone(_) => Channel::Sms,
        };
        Self {
            address,
            channel,
            fallback: Vec::new(),
            purpose: LOGIN.to_owned(),
            locale: None,
            context: None,
            create_user: true,
            metadata: None,
            client: Client::default(),
            deliver: Deliver::Service,
            idempotency: None,
        }
    }
}

/// A code is on its way.
#[derive(Clone, Debug)]
pub struct OtpChallenge {
    /// Names the challenge; whoever shows it when saying the code has guesses of their own.
    pub challenge_id: ChallengeId,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When the code dies.
    pub expires_at: Timestamp,
    /// When another message can be sent.
    pub resend_at: Timestamp,
    /// How the message travels.
    pub channel: Channel,
    /// The recipient's limit.
    pub limit: Allowance,
    /// The plan's quota, of the nearer of day and month; `None` where none applies.
    pub quota: Option<Allowance>,
    /// The code: in test mode, and when the caller delivers it.
    pub code: Option<Secret>,
}

/// Says a code.
#[derive(Clone, Debug)]
pub struct OtpVerification {
    /// The address that was asked, if the caller names it.
    pub address: Option<Address>,
    /// The challenge, if the caller names it. One of the two is needed.
    pub challenge: Option<ChallengeId>,
    /// The code as typed.
    pub code: String,
    /// What it was asked for.
    pub purpose: String,
    /// What is being approved, as it was when the code was asked for.
    pub context: Option<String>,
    /// The version of the tenant's terms that the user accepts with it, as the tenant names it: 1 to 64 characters.
    pub consent: Option<String>,
    /// The token of a trusted device: on one, no second factor is asked for.
    pub trusted_device: Option<Secret>,
    /// The end user's side.
    pub client: Client,
    /// The caller's idempotency key.
    pub idempotency: Option<Idempotency>,
}

impl OtpVerification {
    /// The code of a challenge, to sign in.
    pub fn of(challenge: ChallengeId, code: &str) -> Self {
        Self::new(None, Some(challenge), code)
    }

    /// The newest code of an address, to sign in.
    pub fn at(address: Address, code: &str) -> Self {
        Self::new(Some(address), None, code)
    }

    fn new(address: Option<Address>, challenge: Option<ChallengeId>, code: &str) -> Self {
        Self {
            address,
            challenge,
            code: code.to_owned(),
            purpose: LOGIN.to_owned(),
            context: None,
            consent: None,
            trusted_device: None,
            client: Client::default(),
            idempotency: None,
        }
    }
}

/// A signed statement that an address was verified for a purpose.
#[derive(Clone, Debug)]
pub struct Proof {
    /// A JWT of type `proof+jwt`, good for five minutes; its `jti` is the challenge, so a receiver can accept it once.
    pub token: Secret,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Service {
    /// Sends a code, or the same code again while it lives.
    ///
    /// # Errors
    /// [`Error::Invalid`], the limits ([`Error::RateLimited`], [`Error::Cooldown`], [`Error::QuotaExceeded`]),
    /// [`Error::ChannelDisabled`], [`Error::CountryNotEnabled`], [`Error::ChannelGuard`], [`Error::RecipientSuppressed`],
    /// [`Error::ScopeRequired`],
    /// [`Error::SecretKeyRequired`] of a step to another address, [`Error::IdempotencyConflict`], [`Error::Store`].
    pub async fn request_otp(&self, caller: &Caller, request: OtpRequest) -> Result<Answer<OtpChallenge>, Error> {
        if request.deliver == Deliver::Caller {
            caller.may_reveal()?;
        }
        let reveals = request.deliver == Deliver::Caller || caller.space.mode == Mode::Test;
        let keys = &caller.context.keys;
        let slot = self.reply_slot(request.idempotency, caller.space.tenant, &[caller.space.mode.byte(), b'r'], keys);
        let command = self.request_command(caller, self.current(caller).await?, request)?;
        let slot = slot.map(|slot| slot.about(command.subject));
        let asking = Asking::of(&command);
        let answer = self.run(Once { command, slot }).await?;
        if let Err(Error::RateLimited(limited)) = &answer {
            self.tell_of_limit(asking, limited).await;
        }
        let answer = answer.map_err(|error| as_told_to(caller, error))?;
        let Answer { value: Requested { challenge, at, resend_at, limit, quota, message }, replayed } = answer;
        if let Some(message) = message {
            self.enqueue(message);
        }
        let Revealed(code) = Revealed::of(challenge.derivation(challenge.context.as_ref()), keys, reveals);
        let value = OtpChallenge {
            challenge_id: challenge.id,
            requested_at: at,
            expires_at: challenge.expires_at,
            resend_at,
            channel: challenge.channel,
            limit,
            quota,
            code,
        };
        Ok(Answer { value, replayed })
    }

    fn request_command(
        &self,
        caller: &Caller,
        context: Arc<TenantContext>,
        request: OtpRequest,
    ) -> Result<RequestOtp, Error> {
        let keys = &caller.context.keys;
        let (now, random) = (self.now(), self.random());
        check_purpose(&request.purpose)?;
        let approves = check_context(request.context.as_deref())?;
        let (charge, fallback) = self.ways(caller, &context, &request)?;
        let (subject, bucket) = identify(caller, &request.address);
        let seal = |what: &[u8], plain: &[u8]| keys.seal(random, &place(what, &subject), plain);
        let metadata = check_metadata(request.metadata.as_ref())?;
        Ok(RequestOtp {
            context,
            space: caller.space,
            now,
            subject,
            bucket,
            channel: request.channel,
            address: seal(b"address", request.address.display().as_bytes()),
            charge,
            fallback,
            client: request.client.sealed_for(keys, random, &subject),
            network: request.client.network(keys),
            purpose: request.purpose,
            locale: request.locale,
            approves,
            approves_text: request.context.as_ref().map(|text| seal(b"context", text.as_bytes())),
            metadata: metadata.map(|plain| seal(b"metadata", &plain)),
            create_user: request.create_user,
            deliver: request.deliver,
            challenge: ChallengeId::new(random),
            message: MessageId::new(now, random),
            event: EventId::new(now, random),
            quota_events: [(); 2].map(|()| EventId::new(now, random)),
            stationery: [(); 2].map(|()| Stationery::new(now, random)),
            trail: self.trail(caller),
            lease: Lease { id: random.bytes(), now, until: now + LEASE },
        })
    }

    /// Accepts a right code, once ever, and begins a session.
    ///
    /// # Errors
    /// [`Error::SecondFactorRequired`] when the code was right and the tenant wants more: nothing went wrong, and the sign-in
    /// goes on with [`complete_sign_in`](Self::complete_sign_in).
    ///
    /// [`Error::OtpNotFound`], [`Error::OtpInvalid`], [`Error::OtpExpired`], [`Error::OtpAttemptsExceeded`],
    /// [`Error::Invalid`], [`Error::RateLimited`], [`Error::PlanLimit`], [`Error::IdempotencyConflict`],
    /// [`Error::Store`]. A wrong guess is counted before the answer, whatever becomes of the answer.
    pub async fn verify_otp(&self, caller: &Caller, verification: OtpVerification) -> Result<Answer<SignedIn>, Error> {
        let context = self.current(caller).await?;
        let Answer { value, replayed } = self.verify(caller, &context, verification, Wanted::Session).await?;
        Ok(Answer { value: self.signed_in(&context, value, replayed).await?, replayed })
    }

    /// Accepts a right code, once ever, and gives a signed proof of it instead of a session.
    ///
    /// # Errors
    /// As [`verify_otp`](Self::verify_otp).
    pub async fn prove_otp(&self, caller: &Caller, verification: OtpVerification) -> Result<Answer<Proof>, Error> {
        let (purpose, approves) = (verification.purpose.clone(), check_context(verification.context.as_deref())?);
        let context = self.current(caller).await?;
        let Answer { value, replayed } = self.verify(caller, &context, verification, Wanted::Proof).await?;
        Ok(Answer { value: self.proof(&context, &value, purpose, approves)?, replayed })
    }

    async fn verify(
        &self,
        caller: &Caller,
        context: &Arc<TenantContext>,
        verification: OtpVerification,
        wanted: Wanted,
    ) -> Result<Answer<Verified>, Error> {
        let keys = &caller.context.keys;
        let act = match wanted {
            Wanted::Session => b'v',
            Wanted::Proof => b'p',
        };
        let slot_name = [caller.space.mode.byte(), act];
        let slot = self.reply_slot(verification.idempotency, caller.space.tenant, &slot_name, keys);
        let command = self.verify_command(caller, context.clone(), verification, wanted).await?;
        let slot = slot.map(|slot| slot.about(command.subject));
        self.run(Once { command, slot }).await?
    }

    async fn verify_command(
        &self,
        caller: &Caller,
        context: Arc<TenantContext>,
        verification: OtpVerification,
        wanted: Wanted,
    ) -> Result<VerifyOtp, Error> {
        let keys = &caller.context.keys;
        let (now, random) = (self.now(), self.random());
        let typed: TypedCode =
            verification.code.parse().map_err(|error| Error::invalid("invalid_otp_format", "otp", error))?;
        check_purpose(&verification.purpose)?;
        let approves = check_context(verification.context.as_deref())?;
        check_consent(verification.consent.as_deref())?;
        let (subject, bucket) = match (&verification.address, verification.challenge) {
            (Some(address), _) => identify(caller, address),
            (None, Some(challenge)) => self.challenged(caller, challenge).await?,
            (None, None) => return Err(Error::invalid("missing_field", "email", "name email, phone or challengeId")),
        };
        let session = SessionId::new(now, random);
        Ok(VerifyOtp {
            context,
            space: caller.space,
            now,
            subject,
            bucket,
            challenge: verification.challenge,
            purpose: verification.purpose,
            approves,
            typed,
            wanted,
            consent: verification.consent,
            client: verification.client.sealed_for(keys, random, &subject),
            network: verification.client.network(keys),
            user: UserId::new(now, random),
            session,
            refresh: RefreshToken::new(keys, caller.space.tenant, session, random.bytes()),
            trusted: verification.trusted_device.and_then(|token| TRUST_TOKEN.digest(token.expose())),
            mfa_token: MFA_TOKEN.write(random.bytes()),
            events: [(); 3].map(|()| EventId::new(now, random)),
        })
    }

    /// Who was asked by a challenge: its scope has to be known before it can be entered.
    async fn challenged(&self, caller: &Caller, id: ChallengeId) -> Result<(SubjectKey, BucketKey), Error> {
        let key = Key::new::<Challenge>(caller.space.tenant, id.as_bytes());
        let seen = self.inner.store.read(vec![Read::Record(key)]).await?;
        let challenge = seen.one::<Challenge>().filter(|challenge| challenge.space == caller.space);
        challenge.map(|challenge| (challenge.subject, challenge.bucket)).ok_or(Error::OtpNotFound)
    }
}

pub(super) fn identify(caller: &Caller, address: &Address) -> (SubjectKey, BucketKey) {
    let (keys, mode) = (&caller.context.keys, caller.space.mode.byte());
    (SubjectKey::of(keys, mode, address), BucketKey::of(keys, mode, address))
}

/// Why nothing is sent to somebody is told to whoever may look after the tenant.
fn as_told_to(caller: &Caller, error: Error) -> Error {
    match error {
        Error::RecipientSuppressed(_) if caller.may_manage().is_err() => Error::RecipientSuppressed(None),
        error => error,
    }
}

pub(super) fn check_purpose(purpose: &str) -> Result<(), Error> {
    if is_purpose(purpose) {
        return Ok(());
    }
    Err(Error::invalid("invalid_purpose", "purpose", "use 1 to 64 of a-z, 0-9, `_`, `.` and `-`"))
}

pub(super) fn check_context(context: Option<&str>) -> Result<Option<Digest32>, Error> {
    let Some(context) = context else { return Ok(None) };
    if context.is_empty() || context.chars().count() > 200 || context.chars().any(char::is_control) {
        return Err(Error::invalid("invalid_context", "context", "use 1 to 200 characters without line breaks"));
    }
    Ok(Some(Digest32::of(context.as_bytes())))
}

fn check_consent(version: Option<&str>) -> Result<(), Error> {
    let is_name = |text: &str| (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if version.is_none_or(is_name) {
        return Ok(());
    }
    Err(Error::invalid("invalid_consent", "consent", "name the version of your terms in 1 to 64 characters"))
}

fn check_metadata(metadata: Option<&Map<String, Value>>) -> Result<Option<Vec<u8>>, Error> {
    let Some(metadata) = metadata else { return Ok(None) };
    let plain = serde_json::to_vec(metadata).map_err(|error| Error::Internal(error.to_string()))?;
    if plain.len() > 1024 {
        return Err(Error::invalid("invalid_metadata", "metadata", "keep it within 1024 bytes of JSON"));
    }
    Ok(Some(plain))
}
