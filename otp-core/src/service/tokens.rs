//! Outcomes become signed tokens.

use std::time::Duration;

use super::caller::place;
use super::context::{Issuer, TenantContext};
use super::otp::Proof;
use super::{SecondFactorRequired, Service, SignedIn};
use crate::clock::Timestamp;
use crate::command::{Refreshed, Verified};
use crate::error::Error;
use crate::message::Channel;
use crate::secret::{Digest32, Secret};
use crate::session::Session;
use crate::store::Read;
use crate::tenant::{Mode, Space, Tenant};
use crate::token::{self, Claims, SigningKey, TokenType, mint};
use crate::user::User;

pub(super) const PROOF_TTL: Duration = Duration::from_secs(300);

impl TenantContext {
    fn sign(&self, mode: Mode, typ: TokenType, claims: &Claims) -> Result<Secret, Error> {
        let key = self.issuer(mode).keys.first();
        let key = key.ok_or_else(|| Error::Internal("the tenant has no signing key".to_owned()))?;
        Ok(Secret::from(mint(key, typ, claims)))
    }

    /// The claims of one of our access tokens, and the mode whose key signed it.
    pub(super) fn verify(&self, token: &str, now: Timestamp) -> Result<(Mode, Claims), Error> {
        let check = |mode: Mode| {
            let Issuer { keys, url } = self.issuer(mode);
            let claims = token::verify(keys, TokenType::Access, url, self.tenant.id, now, token).ok()?;
            Some((mode, claims))
        };
        Mode::ALL.into_iter().find_map(check).ok_or(Error::InvalidToken)
    }

    fn claims(&self, sub: String, jti: String, mode: Mode, at: Timestamp, until: Timestamp) -> Claims {
        let mut amr = vec!["otp".to_owned()];
        if mode == Mode::Test {
            amr.push("test".to_owned());
        }
        Claims {
            iss: self.issuer(mode).url.clone(),
            sub,
            aud: self.tenant.id,
            sid: None,
            jti,
            iat: at.as_secs(),
            nbf: at.as_secs(),
            exp: until.as_secs(),
            email: None,
            phone: None,
            amr,
            auth_time: None,
            acr: None,
            purpose: None,
            context_hash: None,
            custom: serde_json::Map::new(),
        }
    }
}

impl Service {
    pub(super) async fn signed_in(
        &self,
        context: &TenantContext,
        verified: Verified,
        replayed: bool,
    ) -> Result<SignedIn, Error> {
        if let Some((pending, token)) = verified.pending {
            return Err(Error::SecondFactorRequired(Box::new(SecondFactorRequired {
                mfa_token: Secret::from(token),
                expires_at: pending.ends_at(),
                enrol: pending.enrol,
                limit: verified.limit,
                quota: verified.quota,
                replayed,
            })));
        }
        let (Some(session), Some(refresh)) = (verified.session, verified.refresh) else {
            return Err(Error::Internal("a session was wanted and none began".to_owned()));
        };
        let session = match replayed {
            true => self.with_claims_again(context, session, verified.is_new).await?,
            false => self.with_claims(context, session, verified.is_new).await?,
        };
        let signed_in = self.with_tokens(context, session, refresh, verified.at, verified.is_new)?;
        Ok(SignedIn { limit: Some(verified.limit), quota: verified.quota, ..signed_in })
    }

    pub(super) fn refreshed(&self, context: &TenantContext, refreshed: Refreshed) -> Result<SignedIn, Error> {
        self.with_tokens(context, refreshed.session, refreshed.refresh, refreshed.at, false)
    }

    pub(super) fn with_tokens(
        &self,
        context: &TenantContext,
        session: Session,
        refresh: String,
        at: Timestamp,
        is_new: bool,
    ) -> Result<SignedIn, Error> {
        let settings = &context.tenant.settings.tokens;
        let address = context.keys.open_text(&place(b"address", &session.subject), &session.address)?;
        let lifetime = Duration::from_secs(settings.access_ttl.into());
        let expires_at = whole_seconds((at + lifetime).min(session.idle_at));
        let (email, phone) = by_channel(session.channel, address);
        let base = context.claims(session.user.to_string(), session.jti(), session.space.mode, at, expires_at);
        let mut amr = base.amr.clone();
        amr.extend(session.second_factor.map(|factor| factor.by.as_str().to_owned()));
        let proven_at = session.second_factor.map_or(session.created_at, |factor| factor.at);
        let claims = Claims {
            sid: Some(session.id),
            amr,
            auth_time: Some(proven_at.as_secs()),
            acr: Some(if session.second_factor.is_some() { "2fa" } else { "1fa" }.to_owned()),
            email: email.clone(),
            phone: phone.clone(),
            custom: context.custom_claims(&session)?,
            ..base
        };
        Ok(SignedIn {
            token: context.sign(session.space.mode, TokenType::Access, &claims)?,
            expires_at,
            refresh_token: Secret::from(refresh),
            refresh_expires_at: session.idle_at,
            user_id: session.user,
            email,
            phone,
            is_new_user: is_new,
            session_id: session.id,
            limit: None,
            quota: None,
        })
    }

    pub(super) fn proof(
        &self,
        context: &TenantContext,
        verified: &Verified,
        purpose: String,
        approves: Option<Digest32>,
    ) -> Result<Proof, Error> {
        let User { id, channel, ref address, ref subject, space, .. } = verified.user;
        let (email, phone) = by_channel(channel, context.keys.open_text(&place(b"address", subject), address)?);
        let expires_at = whole_seconds(verified.at + PROOF_TTL);
        let claims = Claims {
            email,
            phone,
            purpose: Some(purpose),
            context_hash: approves.map(|digest| digest.to_base64url()),
            ..context.claims(id.to_string(), verified.challenge.to_string(), space.mode, verified.at, expires_at)
        };
        Ok(Proof { token: context.sign(space.mode, TokenType::Proof, &claims)?, expires_at })
    }

    /// The public keys of a tenant's mode, as a JWK set (RFC 7517). Empty for HS256, which has none.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown tenant, [`Error::Store`].
    pub async fn jwks(&self, space: Space) -> Result<serde_json::Value, Error> {
        let context = self.tenant_context(space.tenant).await?.ok_or(Error::NotFound("customer"))?;
        let keys: Vec<_> = context.issuer(space.mode).keys.iter().filter_map(SigningKey::jwk).collect();
        Ok(serde_json::json!({ "keys": keys }))
    }
}

impl Service {
    /// The public keys of all tenants (of the newest thousand) for live tokens, as one JWK set.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn all_jwks(&self) -> Result<serde_json::Value, Error> {
        let wanted = Read::owned::<Tenant>(Tenant::ALL, 1_000);
        let seen = self.inner.store.read(vec![wanted]).await?;
        let mut keys = Vec::new();
        for tenant in seen.all::<Tenant>() {
            let context = self.tenant_context(tenant.id).await?;
            keys.extend(
                context.iter().flat_map(|context| &context.issuer(Mode::Live).keys).filter_map(SigningKey::jwk),
            );
        }
        Ok(serde_json::json!({ "keys": keys }))
    }
}

/// The time as a token can say it.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_secs() * 1000)
}

pub(super) fn by_channel(channel: Channel, address: String) -> (Option<String>, Option<String>) {
    match channel {
        Channel::Email => (Some(address), None),
        Channel::Sms | Channel::Whatsapp => (None, Some(address)),
    }
}
