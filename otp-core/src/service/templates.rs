//! A tenant's messages, looked at before anybody else gets one.

use super::otp::{LOGIN, check_context, check_purpose};
use super::{Caller, OtpChallenge, OtpRequest, Service};
use crate::error::Error;
use crate::id::TenantId;
use crate::idempotency::{Answer, Idempotency};
use crate::locale::Locale;
use crate::member::{Membership, TEAM};
use crate::passcode::Alphabet;
use crate::secret::Secret;
use crate::store::Read;
use crate::subject::{Address, EmailAddress, SubjectKey};
use crate::template::{Drafts, MessageContext, Rendered};
use crate::tenant::Mode;

const SAMPLE_ADDRESS: &str = "ann@example.org";
const SAMPLE_IP: &str = "203.0.113.7";

/// Which message is to be shown.
#[derive(Clone, Debug, Default)]
pub struct MessagePreview {
    /// Templates that are tried out. Whatever is not among them is what would be sent today.
    pub drafts: Drafts,
    /// What the code is for; `login` if not set.
    pub purpose: Option<String>,
    /// What the recipient reads.
    pub locale: Option<Locale>,
    /// What is being approved.
    pub context: Option<String>,
}

/// A message with sample values.
#[derive(Clone)]
pub struct PreviewedMessage {
    /// As a mail.
    pub mail: Rendered,
    /// As a text message.
    pub sms: String,
}

/// A mail to somebody of the tenant, as its users get it.
#[derive(Clone, Debug, Default)]
pub struct TestEmail {
    /// The contact's address, if not set, or a member's.
    pub to: Option<EmailAddress>,
    /// What the code is for; `login` if not set.
    pub purpose: Option<String>,
    /// What the recipient reads.
    pub locale: Option<Locale>,
    /// The caller's idempotency key.
    pub idempotency: Option<Idempotency>,
}

impl Service {
    /// Renders a message with sample values. Nothing is stored and nothing is sent.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the draft, line, column and mistake; [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn preview_message(&self, caller: &Caller, preview: MessagePreview) -> Result<PreviewedMessage, Error> {
        caller.may_manage()?;
        let tenant = self.current(caller).await?;
        let purpose = preview.purpose.as_deref().unwrap_or(LOGIN);
        check_purpose(purpose)?;
        check_context(preview.context.as_deref())?;
        let templates = tenant.templates.with(&preview.drafts)?;
        let format = tenant.tenant.settings.passcode.format;
        let code = match format.alphabet() {
            Alphabet::Digits => "1234567890",
            Alphabet::Letters => "K7QW3MRT9XHP",
        };
        let code = Secret::from(code[..format.length()].to_owned());
        let audience = tenant.audience(purpose, preview.locale.as_ref());
        let message = MessageContext {
            context: preview.context,
            request_ip: Some(SAMPLE_IP.to_owned()),
            ..tenant.message(&audience, code, SAMPLE_ADDRESS, self.now())
        };
        Ok(PreviewedMessage { mail: templates.mail(&message, &audience)?, sms: templates.sms(&message, &audience)? })
    }

    /// Sends a code as [`request_otp`](Self::request_otp) does, with its limits and quotas, to an address that is the tenant's own.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an address that is not, [`Error::SecretKeyRequired`], and as
    /// [`request_otp`](Self::request_otp).
    pub async fn send_test_email(&self, caller: &Caller, test: TestEmail) -> Result<Answer<OtpChallenge>, Error> {
        caller.may_manage()?;
        let contact = self.contact(&self.current(caller).await?.tenant)?;
        let to = match test.to {
            Some(to) if to.canonical() == contact.canonical() || self.is_member(caller, &to).await? => to,
            Some(_) => {
                let why = "use the address of the customer's contact or of a member";
                return Err(Error::invalid("recipient_not_allowed", "to", why));
            }
            None => contact,
        };
        let base = OtpRequest::to(Address::Email(to));
        let purpose = test.purpose.unwrap_or(base.purpose);
        let request = OtpRequest { purpose, locale: test.locale, idempotency: test.idempotency, ..base };
        self.request_otp(caller, request).await
    }

    async fn is_member(&self, caller: &Caller, address: &EmailAddress) -> Result<bool, Error> {
        let keys = self.tenant_keys(TenantId::INSTALLATION);
        let subject = SubjectKey::of(&keys, Mode::Live.byte(), &Address::Email(address.clone()));
        let team = Read::owned::<Membership>(caller.space.tenant.as_bytes().into(), TEAM);
        let seen = self.inner.store.read(vec![team]).await?;
        Ok(seen.all::<Membership>().any(|membership| membership.subject == subject))
    }
}
