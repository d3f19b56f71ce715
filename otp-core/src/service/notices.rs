//! Notices: addressed to the people who run a tenant, and rendered when they leave.

use std::net::IpAddr;
use std::sync::Arc;

use url::form_urlencoded::Serializer;

use super::caller::{SealedClient, place};
use super::{Client, Service};
use crate::error::Error;
use crate::id::TenantId;
use crate::member::{InvitationProof, MemberCode};
use crate::message::{Message, Outgoing};
use crate::notice::{Envelope, Frame, Notice, SealedNotice, Stationery, letter};
use crate::secret::{CannotOpen, Secret, TenantKeys};
use crate::signup::SignupProof;
use crate::subject::{EmailAddress, SubjectKey};
use crate::template::{Rendered, render_letter};
use crate::tenant::Tenant;

impl Service {
    /// An envelope to this address. `client` is told as whoever caused the notice.
    pub(super) fn envelope(&self, address: &EmailAddress, client: &Client) -> Envelope {
        let stationery = Stationery::new(self.now(), self.random());
        let envelope = stationery.envelope(self.tenant_keys(TenantId::INSTALLATION), address);
        let client = client.sealed_for(&envelope.keys, self.random(), &envelope.subject);
        Envelope { client, ..envelope }
    }

    /// An envelope to a tenant's contact.
    pub(super) fn envelope_to(&self, tenant: &Tenant) -> Result<Envelope, Error> {
        Ok(self.envelope(&self.contact(tenant)?, &Client::default()))
    }

    /// A tenant's contact address.
    pub(super) fn contact(&self, tenant: &Tenant) -> Result<EmailAddress, Error> {
        tenant.contact(&self.tenant_keys(tenant.id))
    }

    pub(super) fn notice_message(&self, message: &Message, sealed: &SealedNotice) -> Result<Outgoing, Error> {
        let keys = self.tenant_keys(TenantId::INSTALLATION);
        let notice = sealed.open(&keys, &message.subject)?;
        let to = keys.open_text(&place(b"address", &message.subject), &message.address)?;
        let client = SealedClient::open(&keys, &message.subject, message.client.as_ref())?;
        let link = match &notice {
            Notice::SignupVerification { signup, kid, .. } => {
                let proof = SignupProof { signup: *signup, kid: *kid, subject: &message.subject };
                Some(self.signup_link(&to, &proof.link_token(&keys).ok_or(CannotOpen)?))
            }
            _ => None,
        };
        let code = code_of(&notice, &keys, &message.subject)?;
        let ip = client.ip.as_ref().map(IpAddr::to_string);
        let frame = Frame { url: &self.inner.issuer, link, code: code.clone(), at: message.created_at, ip };
        let Rendered { subject, html, text } = render_letter(&letter(&notice, frame))?;
        Ok(Outgoing {
            id: message.id,
            tenant: message.space.tenant,
            channel: message.channel,
            to,
            from_name: None,
            providers: Arc::new([]),
            from_email: None,
            reply_to: None,
            subject,
            text,
            html: Some(html),
            code,
            expires_at: message.pointless_at,
        })
    }

    fn signup_link(&self, to: &str, token: &Secret) -> String {
        let query =
            Serializer::new(String::new()).append_pair("email", to).append_pair("token", token.expose()).finish();
        format!("{}/signup/verify?{query}", self.inner.issuer)
    }
}

/// What the notice is sent for, if it is to be said somewhere.
fn code_of(notice: &Notice, keys: &TenantKeys, subject: &SubjectKey) -> Result<Option<Secret>, CannotOpen> {
    let code = match notice {
        Notice::SignupVerification { signup, kid, .. } => {
            SignupProof { signup: *signup, kid: *kid, subject }.code(keys)
        }
        Notice::MemberCode { code, kid, of_use, .. } => MemberCode::code_of(keys, *code, *kid, *of_use, subject),
        Notice::Invitation { invitation, kid, .. } => {
            InvitationProof { invitation: *invitation, kid: *kid, subject }.token(keys)
        }
        _ => return Ok(None),
    };
    code.map(Some).ok_or(CannotOpen)
}
