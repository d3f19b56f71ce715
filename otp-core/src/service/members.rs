//! Members: registered, let in, and given a new password.

use super::member_sessions::SignedInMember;
use super::signup::{Applying, check_password};
use super::tenants::check_name;
use super::{Client, SecondFactorOfMember, Service};
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::command::{
    Addressed, ConfirmMember, LetIn, NetworkLimit, NextOfMember, RecoverMember, SendCode, ShownByMember, SignInMember,
    Trail, check_passwords,
};
use crate::error::Error;
use crate::id::{AuditId, ChallengeId, MemberId};
use crate::limit::{Recipient, SlidingLog};
use crate::member::{CodeUse, Guess, Member, MemberCode, MemberSignIn, Registrant, new_session_token};
use crate::notice::INSTALLATION;
use crate::passcode::TypedCode;
use crate::password::{Password, PasswordHash};
use crate::secret::{CannotOpen, Secret};
use crate::store::{FromRecord, Read};
use crate::totp::MFA_TOKEN;

/// Somebody who registers.
#[derive(Clone, Debug)]
pub struct NewMember {
    /// The address, which has to be proven.
    pub email: String,
    /// 12 to 256 bytes; see [`Password::parse`].
    pub password: Secret,
    /// What to be called.
    pub name: Option<String>,
    /// Who asks.
    pub client: Client,
}

/// What a member shows to be let in.
#[derive(Clone, Debug)]
pub enum MemberProof {
    /// The password.
    Password(Secret),
    /// The code of the newest mail.
    Code(String),
}

/// A member, as it sees itself.
#[derive(Clone, Debug)]
pub struct MemberView {
    /// Identifier.
    pub id: MemberId,
    /// Its address.
    pub email: String,
    /// What it wants to be called.
    pub name: Option<String>,
    /// Since when it has an account.
    pub created_at: Timestamp,
}

impl Service {
    /// Takes note of somebody who registers and mails a code. The outcome does not tell whether the address has an account:
    /// then the mail says so. It is open also where signing up is closed, because a member without an invitation has no tenant.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::RateLimited`], [`Error::Busy`] when too many passwords wait to be hashed, [`Error::Store`].
    pub async fn register_member(&self, new: NewMember) -> Result<(), Error> {
        let applying = self.applying(&new.email)?;
        let name = new.name.map(|name| check_name("name", &name)).transpose()?;
        let password = check_password(new.password, name.as_deref().unwrap_or_default(), &applying.email)?;
        let of = self.mailed(&applying, &new.client);
        if let Some(network) = &of.network {
            // Before the work; what is decided afterwards is exact.
            network.check(&self.inner.store.read(network.reads().to_vec()).await?)?;
        }
        let hash = self.inner.hasher.hash(&password, self.random().bytes()).await?;
        let registrant =
            Registrant { email: applying.email.display().to_owned(), name, password: hash.phc().to_owned() };
        self.send_code(&applying, of, CodeUse::Register, Some(&registrant), &new.client).await
    }

    /// Makes the account, once the code of the mail is shown. It is not signed in by that.
    ///
    /// # Errors
    /// [`Error::SignInRefused`] for whatever is wrong, known address or not; [`Error::Invalid`], [`Error::RateLimited`],
    /// [`Error::Store`].
    pub async fn confirm_member(&self, email: &str, code: &str, client: &Client) -> Result<MemberView, Error> {
        let applying = self.applying(email)?;
        let typed = typed(code)?;
        let member = self.member_of(&applying, &typed).await?;
        let actor = member.as_ref().map_or(Actor::Program, |(_, member)| Actor::Member(member.id));
        let of = self.tried(&applying, client);
        let trail = self.trail_of_installation(actor, client);
        let command = ConfirmMember { of, keys: applying.keys, typed, member, trail };
        let member = self.run(command).await??;
        self.member_view(&member)
    }

    /// The account, if the code is right as far as can be seen now.
    async fn member_of(
        &self,
        applying: &Applying,
        typed: &TypedCode,
    ) -> Result<Option<(ChallengeId, Box<Member>)>, Error> {
        let Some(code) = self.right_code(applying, CodeUse::Register, typed).await? else { return Ok(None) };
        let (keys, random, now) = (&applying.keys, self.random(), self.now());
        let sealed = code.registrant.as_ref().ok_or(CannotOpen)?;
        let plain = keys.open(&MemberCode::place(code.id), sealed)?;
        let registrant: Registrant =
            serde_json::from_slice(&plain).map_err(|error| Error::Internal(error.to_string()))?;
        let member = Member {
            id: MemberId::new(now, random),
            space: INSTALLATION,
            subject: applying.subject,
            bucket: applying.bucket,
            email: keys.seal(random, Member::EMAIL, registrant.email.as_bytes()),
            password: keys.seal(random, Member::PASSWORD, registrant.password.as_bytes()),
            name: registrant.name.map(|name| keys.seal(random, Member::NAME, name.as_bytes())),
            created_at: now,
        };
        Ok(Some((code.id, Box::new(member))))
    }

    async fn right_code(
        &self,
        applying: &Applying,
        of_use: CodeUse,
        typed: &TypedCode,
    ) -> Result<Option<MemberCode>, Error> {
        let seen = self.inner.store.read(vec![Read::Record(MemberCode::key_of(&applying.subject, of_use))]).await?;
        let code = seen.records.into_iter().find_map(MemberCode::take);
        let judged = MemberCode::judge(code.as_ref(), &applying.keys, typed, self.now());
        Ok(code.filter(|_| matches!(judged, Guess::Right(_))))
    }

    /// Mails a code to sign in with. The outcome does not tell whether the address has an account.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::RateLimited`], [`Error::Store`].
    pub async fn request_member_code(&self, email: &str, client: &Client) -> Result<(), Error> {
        let applying = self.applying(email)?;
        self.send_code(&applying, self.mailed(&applying, client), CodeUse::SignIn, None, client).await
    }

    /// Mails a code to set a new password with. The outcome does not tell whether the address has an account.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::RateLimited`], [`Error::Store`].
    pub async fn request_recovery(&self, email: &str, client: &Client) -> Result<(), Error> {
        let applying = self.applying(email)?;
        self.send_code(&applying, self.mailed(&applying, client), CodeUse::Recover, None, client).await
    }

    async fn send_code(
        &self,
        applying: &Applying,
        of: Addressed,
        of_use: CodeUse,
        registrant: Option<&Registrant>,
        client: &Client,
    ) -> Result<(), Error> {
        let (now, random, keys) = (self.now(), self.random(), &applying.keys);
        let id = ChallengeId::new(random);
        let registrant = registrant.map(|registrant| serde_json::to_vec(registrant).expect("plain data"));
        let code = MemberCode {
            id,
            of_use,
            space: INSTALLATION,
            subject: applying.subject,
            bucket: applying.bucket,
            kid: keys.newest(),
            registrant: registrant.map(|plain| keys.seal(random, &MemberCode::place(id), &plain)),
            created_at: now,
            expires_at: now + of_use.valid_for(),
            wrong: 0,
            asked: SlidingLog::default(),
            decoy: false,
            is_spent: false,
        };
        self.run(SendCode { of, code, envelope: self.envelope(&applying.email, client) }).await?
    }

    /// Lets a member in, by its password or by a code it was mailed. For an address that has no account as much is hashed, and
    /// the answer is the same. Five wrong passwords within 15 minutes stop passwords for the address, and not codes.
    ///
    /// # Errors
    /// [`Error::SecondFactorOfMember`] when all is right and [`complete_member_sign_in`](Self::complete_member_sign_in) is to
    /// follow; [`Error::SignInRefused`] for whatever is wrong; [`Error::Invalid`], [`Error::RateLimited`], [`Error::Busy`],
    /// [`Error::Store`].
    pub async fn sign_in_member(
        &self,
        email: &str,
        proof: MemberProof,
        for_program: bool,
        client: &Client,
    ) -> Result<SignedInMember, Error> {
        let applying = self.applying(email)?;
        let of = self.tried(&applying, client);
        let mut wanted = vec![
            Read::alias::<Member>(applying.subject.as_bytes()),
            Read::Record(Recipient::key_of(INSTALLATION, &applying.bucket)),
        ];
        wanted.extend(of.network.iter().flat_map(NetworkLimit::reads));
        let seen = self.inner.store.read(wanted).await?;
        let member = seen.one::<Member>();
        let shown = match proof {
            MemberProof::Code(code) => ShownByMember::Code(typed(&code)?),
            MemberProof::Password(password) => {
                of.network.as_ref().map_or(Ok(()), |network| network.check(&seen))?;
                check_passwords(seen.one(), self.now())?;
                ShownByMember::Password(self.compare(&applying, member, password).await?)
            }
        };
        let random = self.random();
        let (token, mfa) = (new_session_token(for_program, random), MFA_TOKEN.write(random.bytes()));
        let next = member.map(|member| NextOfMember {
            session: self.new_member_session(member, &token, client),
            half: MemberSignIn {
                token: mfa.digest,
                space: INSTALLATION,
                member: member.id,
                bucket: member.bucket,
                for_program,
                created_at: self.now(),
            },
        });
        let actor = member.map_or(Actor::Program, |member| Actor::Member(member.id));
        let trail = self.trail_of_installation(actor, client);
        match self.run(SignInMember { of, keys: applying.keys, shown, next, trail }).await?? {
            LetIn::Wholly(let_in) => self.signed_in_member(let_in.0, let_in.1, token),
            LetIn::Half(half) => {
                let required = SecondFactorOfMember { mfa_token: mfa.written, expires_at: half.ends_at() };
                Err(Error::SecondFactorOfMember(Box::new(required)))
            }
        }
    }

    /// The hash that the password is of; what was never set costs as much to compare with.
    async fn compare(
        &self,
        applying: &Applying,
        member: Option<&Member>,
        password: Secret,
    ) -> Result<Option<crate::secret::Sealed>, Error> {
        let kept = member.map(|member| applying.keys.open_text(Member::PASSWORD, &member.password)).transpose()?;
        let salt = kept.as_deref().and_then(PasswordHash::salt_of).unwrap_or_else(|| self.random().bytes());
        let hash = self.inner.hasher.hash(&Password::typed(password), salt).await?;
        let is_right = kept.is_some_and(|kept| hash.is(&kept));
        Ok(member.filter(|_| is_right).map(|member| member.password.clone()))
    }

    /// Sets a new password, once the code of the mail is shown, and ends all sessions. The address is told by mail.
    ///
    /// # Errors
    /// [`Error::SignInRefused`] for whatever is wrong, known address or not; [`Error::Invalid`], [`Error::RateLimited`],
    /// [`Error::Busy`], [`Error::Store`].
    pub async fn recover_member(
        &self,
        email: &str,
        code: &str,
        password: Secret,
        client: &Client,
    ) -> Result<(), Error> {
        let applying = self.applying(email)?;
        let typed = typed(code)?;
        let password = check_password(password, "", &applying.email).map_err(as_new)?;
        let seen = self.inner.store.read(vec![Read::alias::<Member>(applying.subject.as_bytes())]).await?;
        let member = seen.one::<Member>();
        // Nobody makes it hash without the code.
        let password = match (member, self.right_code(&applying, CodeUse::Recover, &typed).await?) {
            (Some(member), Some(_)) => {
                let hash = self.inner.hasher.hash(&password, self.random().bytes()).await?;
                let sealed = applying.keys.seal(self.random(), Member::PASSWORD, hash.phc().as_bytes());
                Some((member.id, sealed))
            }
            _ => None,
        };
        let actor = member.map_or(Actor::Program, |member| Actor::Member(member.id));
        let trail = self.trail_of_installation(actor, client);
        let envelope = self.envelope(&applying.email, client);
        let of = self.tried(&applying, client);
        self.run(RecoverMember { of, keys: applying.keys, typed, password, envelope, trail }).await?
    }

    pub(super) fn member_view(&self, member: &Member) -> Result<MemberView, Error> {
        let keys = self.tenant_keys(INSTALLATION.tenant);
        let name = member.name.as_ref().map(|name| keys.open_text(Member::NAME, name)).transpose()?;
        let email = keys.open_text(Member::EMAIL, &member.email)?;
        Ok(MemberView { id: member.id, email, name, created_at: member.created_at })
    }

    pub(super) fn trail_of_installation(&self, actor: Actor, client: &Client) -> Trail {
        let (at, keys) = (self.now(), self.tenant_keys(INSTALLATION.tenant));
        Trail {
            id: AuditId::new(at, self.random()),
            actor,
            client: client.sealed_for_audit(&keys, self.random()),
            request_id: client.request_id.clone(),
            operation: client.operation.clone(),
            at,
        }
    }

    fn mailed(&self, applying: &Applying, client: &Client) -> Addressed {
        let network = client.network(&applying.keys).map(|net| NetworkLimit::on_member_mails(net, self.now()));
        Addressed { subject: applying.subject, bucket: applying.bucket, network }
    }

    fn tried(&self, applying: &Applying, client: &Client) -> Addressed {
        let network = client.network(&applying.keys).map(|net| NetworkLimit::on_member_tries(net, self.now()));
        Addressed { subject: applying.subject, bucket: applying.bucket, network }
    }
}

fn typed(code: &str) -> Result<TypedCode, Error> {
    code.parse().map_err(|error| Error::invalid("invalid_otp_format", "code", error))
}

/// The error with the name that the field has where a new password is set.
fn as_new(error: Error) -> Error {
    match error {
        Error::Invalid(invalid) if invalid.field == "password" => {
            Error::invalid(invalid.code, "newPassword", invalid.message)
        }
        error => error,
    }
}
