//! Signing up: anybody becomes a tenant, once the mail to the address was received.

use super::caller::active;
use super::tenants::{check_name, parse_email};
use super::{Caller, Client, NewTenant, Service, TenantView};
use crate::api_key::{new_signup_token, signup_token_digest};
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::command::{Confirm, NetworkLimit, NewAccount, ResendSignup, SignUp, open};
use crate::error::Error;
use crate::id::{EventId, KeyId, MemberId, SignupId, TenantId};
use crate::idempotency::{Answer, Idempotency, Once, ReplySlot};
use crate::limit::SlidingLog;
use crate::member::{Member, Membership, Role};
use crate::notice::INSTALLATION;
use crate::password::Password;
use crate::secret::{Digest32, Secret, TenantKeys};
use crate::signup::{Applicant, Shown, Signup, SignupState, SignupToken, TOKEN_VALID_FOR, VALID_FOR};
use crate::store::Read;
use crate::subject::{Address, BucketKey, EmailAddress, SubjectKey};
use crate::tenant::Mode;

/// Somebody who signs up.
#[derive(Clone, Debug)]
pub struct NewSignup {
    /// The address, which has to be proven.
    pub email: String,
    /// The company, which becomes the tenant's name.
    pub company_name: String,
    /// 12 to 256 bytes; see [`Password::parse`].
    pub password: Secret,
    /// Who asks.
    pub client: Client,
    /// The caller's idempotency key.
    pub idempotency: Option<Idempotency>,
}

/// What the mail of a signup holds; either will do.
#[derive(Clone, Debug)]
pub enum SignupSecret {
    /// What its link carries.
    Token(String),
    /// Its code.
    Code(String),
}

/// A signup to be confirmed.
#[derive(Clone, Debug)]
pub struct ConfirmSignup {
    /// The address that signed up.
    pub email: String,
    /// What was in the mail.
    pub secret: SignupSecret,
    /// Who asks.
    pub client: Client,
    /// The caller's idempotency key.
    pub idempotency: Option<Idempotency>,
}

/// A new tenant, and what is shown of it once.
#[derive(Clone, Debug)]
pub struct ConfirmedSignup {
    /// The tenant.
    pub tenant: TenantView,
    /// A live secret key.
    pub api_key: Secret,
    /// Its public name.
    pub key_id: KeyId,
    /// What further keys can be made with for an hour, see [`Service::signup_caller`].
    pub signup_token: Secret,
    /// When that ends.
    pub signup_token_expires_at: Timestamp,
}

/// An address that signs up, as the store knows it.
pub(super) struct Applying {
    pub email: EmailAddress,
    pub keys: TenantKeys,
    pub subject: SubjectKey,
    pub bucket: BucketKey,
}

impl Service {
    /// Takes note of a signup and mails its link and code. The outcome does not tell whether the address has an account: then
    /// the mail says so. A later signup of the same address takes the place of an earlier one.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::RateLimited`], [`Error::SignupClosed`], [`Error::Busy`] when too many passwords wait to be
    /// hashed, [`Error::IdempotencyConflict`], [`Error::Store`].
    pub async fn sign_up(&self, new: NewSignup) -> Result<Answer<()>, Error> {
        self.signup_is_open()?;
        let applying = self.applying(&new.email)?;
        let company_name = check_name("companyName", &new.company_name)?;
        let password = check_password(new.password, &company_name, &applying.email)?;
        let network = new.client.network(&applying.keys).map(|net| NetworkLimit::on_signups(net, self.now()));
        if let Some(network) = &network {
            // Before the work; what is decided afterwards is exact.
            network.check(&self.inner.store.read(network.reads().to_vec()).await?)?;
        }
        let hash = self.inner.hasher.hash(&password, self.random().bytes()).await?;
        let applicant = Applicant {
            email: applying.email.display().to_owned(),
            company_name: company_name.clone(),
            password: hash.phc().to_owned(),
        };
        let signup = self.new_signup(&applying, &applicant);
        let slot = self.signup_slot(new.idempotency, &applying, b"s");
        let envelope = self.envelope(&applying.email, &new.client);
        self.run(Once { command: SignUp { signup, company_name, network, envelope }, slot }).await?
    }

    fn new_signup(&self, applying: &Applying, applicant: &Applicant) -> Signup {
        let (now, random) = (self.now(), self.random());
        let id = SignupId::new(random);
        let plain = serde_json::to_vec(applicant).expect("plain data");
        Signup {
            id,
            space: INSTALLATION,
            subject: applying.subject,
            bucket: applying.bucket,
            kid: applying.keys.newest(),
            applicant: Some(applying.keys.seal(random, &Signup::place(id), &plain)),
            created_at: now,
            expires_at: now + VALID_FOR,
            wrong: 0,
            asked: SlidingLog::default(),
            decoy: false,
            state: SignupState::Open,
        }
    }

    /// Mails the link and the code of an open signup again, the same as before. The outcome does not tell whether there is one.
    ///
    /// # Errors
    /// As [`sign_up`](Self::sign_up).
    pub async fn resend_signup(
        &self,
        email: &str,
        client: &Client,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer<()>, Error> {
        self.signup_is_open()?;
        let applying = self.applying(email)?;
        let now = self.now();
        let slot = self.signup_slot(idempotency, &applying, b"m");
        let command = ResendSignup {
            now,
            subject: applying.subject,
            bucket: applying.bucket,
            network: client.network(&applying.keys).map(|net| NetworkLimit::on_tries(net, now)),
            envelope: self.envelope(&applying.email, client),
        };
        self.run(Once { command, slot }).await?
    }

    /// Accepts the link or the code of a signup, once ever: there is a tenant, and its first key.
    ///
    /// # Errors
    /// [`Error::SignupRefused`] for whatever is wrong, known address or not. Whoever shows the right link or code is told why it
    /// does not count any more: [`Error::OtpNotFound`] when it was used, [`Error::OtpExpired`], and for a code
    /// [`Error::OtpAttemptsExceeded`]. [`Error::Invalid`], [`Error::RateLimited`], [`Error::SignupClosed`],
    /// [`Error::IdempotencyConflict`], [`Error::Store`].
    pub async fn confirm_signup(&self, confirm: ConfirmSignup) -> Result<Answer<ConfirmedSignup>, Error> {
        self.signup_is_open()?;
        let applying = self.applying(&confirm.email)?;
        let (shown, said) = match &confirm.secret {
            SignupSecret::Token(token) => (Shown::Link(check_token(token)?), token),
            SignupSecret::Code(code) => {
                let typed = code.parse().map_err(|error| Error::invalid("invalid_otp_format", "code", error))?;
                (Shown::Code(typed), code)
            }
        };
        // Under the name of what was said: a guess under somebody else's idempotency key is a guess like any other.
        let name = [b"v".as_slice(), &Digest32::of(said.as_bytes()).0].concat();
        let slot = self.signup_slot(confirm.idempotency, &applying, &name);
        let account = self.account_of(&applying, &shown, &confirm.client).await?;
        let now = self.now();
        let command = Confirm {
            now,
            network: confirm.client.network(&applying.keys).map(|net| NetworkLimit::on_tries(net, now)),
            subject: applying.subject,
            bucket: applying.bucket,
            keys: applying.keys,
            shown,
            account: account.map(Box::new),
        };
        let Answer { value: confirmed, replayed } = self.run(Once { command, slot }).await??;
        let value = ConfirmedSignup {
            tenant: self.tenant_view(&confirmed.tenant)?,
            api_key: Secret::from(confirmed.api_key),
            key_id: confirmed.key.id,
            signup_token: Secret::from(confirmed.token_text),
            signup_token_expires_at: confirmed.token.expires_at,
        };
        Ok(Answer { value, replayed })
    }

    /// What the signup would become, if what is shown is right as far as can be seen now.
    async fn account_of(
        &self,
        applying: &Applying,
        shown: &Shown,
        client: &Client,
    ) -> Result<Option<NewAccount>, Error> {
        let seen = self.inner.store.read(vec![Read::Record(Signup::key_of(&applying.subject))]).await?;
        let right = |signup: &&Signup| signup.is_open(self.now()) && signup.is_right(&applying.keys, shown);
        let Some(signup) = seen.one::<Signup>().filter(right) else { return Ok(None) };
        let applicant = open(signup, &applying.keys)?;
        let (now, random) = (self.now(), self.random());
        let id = MemberId::new(now, random);
        let new = NewTenant {
            company_name: Some(applicant.company_name.clone()),
            client: client.clone(),
            ..NewTenant::named(&applicant.company_name, &applicant.email)
        };
        let mut created = self.create_command(new)?;
        created.trail.actor = Actor::Member(id);
        let (tenant, keys) = (created.tenant.id, &applying.keys);
        let token = new_signup_token(random);
        Ok(Some(NewAccount {
            signup: signup.id,
            member: Member {
                id,
                space: INSTALLATION,
                subject: applying.subject,
                bucket: applying.bucket,
                email: keys.seal(random, Member::EMAIL, applicant.email.as_bytes()),
                password: keys.seal(random, Member::PASSWORD, applicant.password.as_bytes()),
                name: None,
                created_at: now,
            },
            membership: Membership {
                tenant,
                member: id,
                subject: applying.subject,
                role: Role::Owner,
                since: now,
                invited_by: None,
            },
            token: SignupToken {
                digest: Digest32::of(token.expose().as_bytes()),
                space: INSTALLATION,
                tenant,
                member: id,
                expires_at: now + TOKEN_VALID_FOR,
            },
            token_text: token.expose().to_owned(),
            events: [(); 2].map(|()| EventId::new(now, random)),
            envelope: self.envelope(&applying.email, &Client::default()),
            created,
        }))
    }

    /// Whoever has just signed a tenant up, by the token that was the answer: may make keys of it for an hour.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], [`Error::TenantNotActive`], [`Error::Store`].
    pub async fn signup_caller(&self, token: &str) -> Result<Caller, Error> {
        let digest = signup_token_digest(token).ok_or(Error::InvalidToken)?;
        let seen = self.inner.store.read(vec![Read::Record(SignupToken::key_of(&digest))]).await?;
        let token = seen.one::<SignupToken>().filter(|token| self.now() < token.expires_at);
        let token = token.ok_or(Error::InvalidToken)?;
        let caller = self.caller(token.tenant, Mode::Live, false).await?;
        active(&caller.context)?;
        Ok(Caller { member: Some(token.member), ..caller })
    }

    pub(super) fn signup_is_open(&self) -> Result<(), Error> {
        if self.inner.signup_is_open { Ok(()) } else { Err(Error::SignupClosed) }
    }

    pub(super) fn applying(&self, email: &str) -> Result<Applying, Error> {
        let email = parse_email(email)?;
        let keys = self.tenant_keys(TenantId::INSTALLATION);
        let (address, mode) = (Address::Email(email.clone()), INSTALLATION.mode.byte());
        let subject = SubjectKey::of(&keys, mode, &address);
        Ok(Applying { bucket: BucketKey::of(&keys, mode, &address), subject, email, keys })
    }

    fn signup_slot(&self, request: Option<Idempotency>, applying: &Applying, act: &[u8]) -> Option<ReplySlot> {
        let caller = [act, applying.subject.as_bytes()].concat();
        self.reply_slot(request, TenantId::INSTALLATION, &caller, &applying.keys)
    }
}

pub(super) fn check_password(text: Secret, company_name: &str, email: &EmailAddress) -> Result<Password, Error> {
    let joined: String = company_name.split_whitespace().collect();
    let address = email.display();
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    Ok(Password::parse(text, &[address, company_name, &joined, local, domain])?)
}

fn check_token(token: &str) -> Result<Digest32, Error> {
    let wrong = || Error::invalid("invalid_token_format", "token", "send what stands behind `token=` in the link");
    Digest32::from_base64url(token).ok_or_else(wrong)
}
