//! A member's second factor: set up, shown, taken away, and reset by the operator.

use super::member_sessions::{MemberCaller, SignedInMember};
use super::members::MemberView;
use super::tenants::parse_email;
use super::totp::{Held, parse_otp};
use super::{Client, SecondFactorProof, Service, TotpEnrolment, TotpStatus};
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::command::{Holder, MemberWaits, ProveMember, Registering, ResetMemberFactor, Step};
use crate::error::Error;
use crate::id::MemberSessionId;
use crate::member::{Member, MemberSession, MemberSignIn, new_session_token};
use crate::notice::{Envelope, INSTALLATION};
use crate::secret::{Digest32, Secret, TenantKeys};
use crate::store::{FromRecord, Key, Read};
use crate::totp::{MFA_TOKEN, Shown, TotpDevice};

/// A member's password or code was right, and its second factor is to follow.
#[derive(Clone, Debug)]
pub struct SecondFactorOfMember {
    /// What the sign-in goes on with. It ends one sign-in, of this member.
    pub mfa_token: Secret,
    /// When it is too late.
    pub expires_at: Timestamp,
}

/// A member's authenticator is in use.
#[derive(Clone, Debug)]
pub struct EnabledMemberTotp {
    /// The session that took the place of all that there were.
    pub signed_in: SignedInMember,
    /// Shown once; none, if there was no room to hash them.
    pub recovery_codes: Vec<Secret>,
}

/// Who shows a second factor, and what it goes on with.
struct Showing<'a> {
    member: &'a Member,
    keys: &'a TenantKeys,
    waits: MemberWaits,
    /// The session that asks.
    session: Option<&'a MemberSession>,
    for_program: bool,
    client: &'a Client,
}

impl Showing<'_> {
    fn held(&self) -> Held<'_> {
        held(self.keys, self.member)
    }
}

/// A member's device stands where that of a user of the installation would: there are none.
fn held<'a>(keys: &'a TenantKeys, member: &Member) -> Held<'a> {
    Held { keys, holder: Holder { space: member.space, key: member.subject, bucket: member.bucket, user: None } }
}

impl Service {
    /// Makes a secret for the member's authenticator. It is in use once [`enable_member_totp`](Self::enable_member_totp) is
    /// told a code. Whoever found a session open cannot take the account over by it: the sign-in has to be fresh.
    ///
    /// # Errors
    /// [`Error::MemberStepUpRequired`], [`Error::Conflict`] when one is in use already, [`Error::Store`].
    pub async fn register_member_totp(&self, caller: &MemberCaller) -> Result<TotpEnrolment, Error> {
        self.check_freshness(caller).await?;
        let keys = self.tenant_keys(INSTALLATION.tenant);
        let trail = self.trail_of_installation(Actor::Member(caller.member.id), &caller.client);
        let (issuer, account) = (self.host(), self.member_self(caller)?.email);
        let registering = Registering::ByMember(caller.member.id, trail);
        self.enrol(&held(&keys, &caller.member), &issuer, &account, self.usual_device(), registering).await
    }

    /// Whom an authenticator of a member says that it is for.
    fn host(&self) -> String {
        let url = url::Url::parse(&self.inner.issuer).ok();
        url.and_then(|url| Some(url.host_str()?.to_owned())).unwrap_or_else(|| self.inner.issuer.clone())
    }

    /// Puts the member's authenticator in use by its first code. All of the member's sessions are over, and another one takes
    /// the place of the one that asks. The member is told by mail.
    ///
    /// # Errors
    /// [`Error::OtpInvalid`], [`Error::RateLimited`] after too many wrong codes, [`Error::Conflict`] when it is in use
    /// already, [`Error::NotFound`] without a secret that waits for its code, [`Error::InvalidSession`], [`Error::Invalid`],
    /// [`Error::Store`].
    pub async fn enable_member_totp(&self, caller: &MemberCaller, otp: &str) -> Result<EnabledMemberTotp, Error> {
        let keys = self.tenant_keys(INSTALLATION.tenant);
        let shown = Shown::Code(parse_otp("otp", otp)?);
        let showing = caller.showing(&keys);
        let (signed_in, device) = self.prove_member(&showing, shown, Step::Enable).await?;
        let recovery_codes = self.first_recovery_codes(&showing.held(), &device).await?;
        Ok(EnabledMemberTotp { signed_in, recovery_codes })
    }

    /// Takes the member's authenticator away, with its recovery codes. All of the member's sessions are over, and another one
    /// takes the place of the one that asks. The member is told by mail.
    ///
    /// # Errors
    /// As [`enable_member_totp`](Self::enable_member_totp); [`Error::Busy`].
    pub async fn disable_member_totp(
        &self,
        caller: &MemberCaller,
        proof: &SecondFactorProof,
    ) -> Result<SignedInMember, Error> {
        self.show_in_session(caller, proof, Step::Disable).await
    }

    /// The member shows its second factor again. Another session takes the place of the one that asks.
    ///
    /// # Errors
    /// As [`disable_member_totp`](Self::disable_member_totp).
    pub async fn step_up_member(
        &self,
        caller: &MemberCaller,
        proof: &SecondFactorProof,
    ) -> Result<SignedInMember, Error> {
        self.show_in_session(caller, proof, Step::Use).await
    }

    async fn show_in_session(
        &self,
        caller: &MemberCaller,
        proof: &SecondFactorProof,
        step: Step,
    ) -> Result<SignedInMember, Error> {
        let keys = self.tenant_keys(INSTALLATION.tenant);
        let showing = caller.showing(&keys);
        let shown = self.factor_shown(&showing.held(), proof).await?;
        Ok(self.prove_member(&showing, shown, step).await?.0)
    }

    /// How the member's second factor stands.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn member_totp_status(&self, caller: &MemberCaller) -> Result<TotpStatus, Error> {
        Ok(TotpStatus::of(self.device_of_member(&caller.member).await?.as_ref(), self.now()))
    }

    /// Gives the member new recovery codes, in the place of those before.
    ///
    /// # Errors
    /// [`Error::MemberStepUpRequired`], [`Error::NotFound`] without an authenticator, [`Error::Busy`], [`Error::Store`].
    pub async fn renew_member_recovery_codes(&self, caller: &MemberCaller) -> Result<Vec<Secret>, Error> {
        self.check_freshness(caller).await?;
        let (member, keys) = (&caller.member, self.tenant_keys(INSTALLATION.tenant));
        let device = self.device_of_member(member).await?.ok_or(Error::NotFound("authenticator"))?;
        let trail = self.trail_of_installation(Actor::Member(member.id), &caller.client);
        self.new_recovery_codes(&held(&keys, member), &device, Some((member.id, trail))).await
    }

    /// Refuses what cannot be undone to whoever did not show lately that it is the member.
    pub(super) async fn check_freshness(&self, caller: &MemberCaller) -> Result<(), Error> {
        let device = self.device_of_member(&caller.member).await?;
        let has_one = device.is_some_and(|device| device.enabled_at().is_some());
        if caller.session.is_fresh(has_one, self.now()) { Ok(()) } else { Err(Error::MemberStepUpRequired) }
    }

    async fn device_of_member(&self, member: &Member) -> Result<Option<TotpDevice>, Error> {
        let key = TotpDevice::key_of(member.space, &member.subject);
        let seen = self.inner.store.read(vec![Read::Record(key)]).await?;
        Ok(seen.one::<TotpDevice>().cloned())
    }

    /// Ends a sign-in by its second factor, and begins the session.
    ///
    /// # Errors
    /// [`Error::InvalidMfaToken`], [`Error::OtpInvalid`], [`Error::RateLimited`] after too many wrong codes,
    /// [`Error::Invalid`], [`Error::Busy`], [`Error::Store`].
    pub async fn complete_member_sign_in(
        &self,
        mfa_token: &str,
        proof: &SecondFactorProof,
        client: &Client,
    ) -> Result<SignedInMember, Error> {
        let token = MFA_TOKEN.digest(mfa_token).ok_or(Error::InvalidMfaToken)?;
        let seen = self.inner.store.read(vec![Read::Record(MemberSignIn::key_of(&token))]).await?;
        let half = seen.one::<MemberSignIn>().filter(|half| half.is_open(self.now()));
        let half = half.ok_or(Error::InvalidMfaToken)?;
        let member = Key::new::<Member>(INSTALLATION.tenant, half.member.as_bytes());
        let seen = self.inner.store.read(vec![Read::Record(member)]).await?;
        let member = seen.records.into_iter().find_map(Member::take).ok_or(Error::InvalidMfaToken)?;
        let keys = self.tenant_keys(INSTALLATION.tenant);
        let showing = Showing {
            member: &member,
            keys: &keys,
            waits: MemberWaits::SignIn(token),
            session: None,
            for_program: half.for_program,
            client,
        };
        let shown = self.factor_shown(&showing.held(), proof).await?;
        Ok(self.prove_member(&showing, shown, Step::Use).await?.0)
    }

    async fn prove_member(
        &self,
        showing: &Showing<'_>,
        shown: Shown,
        step: Step,
    ) -> Result<(SignedInMember, TotpDevice), Error> {
        let (member, random) = (showing.member, self.random());
        let token = new_session_token(showing.for_program, random);
        let fresh = self.new_member_session(member, &token, showing.client);
        // However often the second factor is shown: a session lasts no longer than twelve hours from the sign-in.
        let session = match showing.session {
            Some(before) => MemberSession { created_at: before.created_at, ..fresh },
            None => fresh,
        };
        let command = ProveMember {
            holder: showing.held().holder,
            member: member.id,
            keys: showing.keys.clone(),
            shown,
            step,
            waits: showing.waits,
            session,
            envelope: self.envelope_to_member(member, showing.client)?,
            trail: self.trail_of_installation(Actor::Member(member.id), showing.client),
        };
        let (member, session, device) = self.run(command).await??;
        Ok((self.signed_in_member(member, session, token)?, device))
    }

    pub(super) fn new_member_session(&self, member: &Member, token: &Secret, client: &Client) -> MemberSession {
        let (now, random) = (self.now(), self.random());
        MemberSession {
            id: MemberSessionId::new(now, random),
            space: INSTALLATION,
            member: member.id,
            bucket: member.bucket,
            digest: Digest32::of(token.expose().as_bytes()),
            client: client.sealed_for(&self.tenant_keys(INSTALLATION.tenant), random, &member.subject),
            created_at: now,
            seen_at: now,
            second_factor: None,
        }
    }

    fn envelope_to_member(&self, member: &Member, client: &Client) -> Result<Envelope, Error> {
        Ok(self.envelope(&parse_email(&self.member_view(member)?.email)?, client))
    }

    /// Takes away the second factor of a member who lost authenticator and recovery codes, and ends all of its sessions. It is
    /// for the operator, who has to make sure who asks. It is in the audit trail, and the member is told by mail.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an address without an account, and for a member without an authenticator; [`Error::Invalid`],
    /// [`Error::Store`].
    pub async fn reset_member_totp(&self, email: &str) -> Result<MemberView, Error> {
        let applying = self.applying(email)?;
        let seen = self.inner.store.read(vec![Read::alias::<Member>(applying.subject.as_bytes())]).await?;
        let member = seen.one::<Member>().ok_or(Error::NotFound("member"))?;
        let command = ResetMemberFactor {
            subject: member.subject,
            bucket: member.bucket,
            member: member.id,
            envelope: self.envelope_to_member(member, &Client::default())?,
            trail: self.trail_of_installation(Actor::Administrator, &Client::default()),
        };
        self.run(command).await??;
        self.member_view(member)
    }
}

impl MemberCaller {
    fn showing<'a>(&'a self, keys: &'a TenantKeys) -> Showing<'a> {
        Showing {
            member: &self.member,
            keys,
            waits: MemberWaits::Session(self.session.id),
            session: Some(&self.session),
            for_program: self.for_program,
            client: &self.client,
        }
    }
}
