//! The claims of a session's tokens: those of the tenant's settings, and those that hooks give when it begins.

use serde_json::{Map, Value, json};

use super::Service;
use super::caller::place;
use super::context::TenantContext;
use super::hooks::ToldClaims;
use super::tokens::by_channel;
use crate::command::NoteClaims;
use crate::error::Error;
use crate::hook::{HookFailure, HookKind, SigningIn};
use crate::secret::TenantKeys;
use crate::session::{EndReason, Session, SessionState};
use crate::store::Read;
use crate::tenant::{HookTarget, MAX_CLAIMS_BYTES, OnFailure};
use crate::token::Claims;

impl Service {
    /// The session with the claims that its tokens are to hold, written down before any token leaves. Without them, where they
    /// are a must, it has ended.
    pub(super) async fn with_claims(
        &self,
        tenant: &TenantContext,
        session: Session,
        is_new_user: bool,
    ) -> Result<Session, Error> {
        let target = &tenant.tenant.settings.hooks.claims;
        if session.claims.is_some() || (self.inner.hooks.is_none() && target.url.is_none()) {
            return Ok(session);
        }
        let seal = |claims: &Map<String, Value>| {
            let plain = serde_json::to_vec(claims).expect("plain data");
            tenant.keys.seal(self.random(), &place(b"claims", &session.subject), &plain)
        };
        let told = match self.told_claims(tenant, target, &session, is_new_user).await? {
            Ok(claims) => Some(seal(&claims)),
            Err(failure) => {
                tracing::warn!(tenant = %session.space.tenant, session = %session.id, %failure, "a sign-in ends without claims");
                None
            }
        };
        let Session { space, bucket, id, .. } = session;
        let noted = self.run(NoteClaims { space, bucket, session: id, told, now: self.now() }).await??;
        Ok(Session { claims: Some(noted), ..session })
    }

    /// The same for a call that is repeated: what was noted stands, and nobody is asked of a sign-in that came to nothing. The
    /// first call may have been cut off between the two commits, so nothing noted means that nobody has its tokens yet.
    pub(super) async fn with_claims_again(
        &self,
        tenant: &TenantContext,
        session: Session,
        is_new_user: bool,
    ) -> Result<Session, Error> {
        let key = Session::key_of(session.space.tenant, session.id);
        let seen = self.inner.store.read(vec![Read::Record(key)]).await?;
        let stored = seen.one::<Session>();
        let ended = stored.map(|stored| stored.state);
        if matches!(ended, Some(SessionState::Ended { reason: EndReason::HookFailed, .. })) {
            return Err(Error::HookFailed);
        }
        let session = Session { claims: stored.and_then(|stored| stored.claims.clone()), ..session };
        self.with_claims(tenant, session, is_new_user).await
    }

    /// What the program says, and what the tenant's service does, which goes before it. A failure is one that nobody signs in
    /// with.
    async fn told_claims(
        &self,
        tenant: &TenantContext,
        target: &HookTarget,
        session: &Session,
        is_new_user: bool,
    ) -> Result<Result<Map<String, Value>, HookFailure>, Error> {
        let address = tenant.keys.open_text(&place(b"address", &session.subject), &session.address)?;
        let (email, phone) = by_channel(session.channel, address);
        let (space, user, session) = (session.space, session.user, session.id);
        let (email, phone) = (email.as_deref(), phone.as_deref());
        let mut claims = Map::new();
        if let Some(hooks) = &self.inner.hooks {
            let signing_in = SigningIn { space, user, session, email, phone, is_new_user };
            match hooks.claims(&signing_in).await.and_then(admitted) {
                Ok(told) => claims = told,
                Err(failure) => return Ok(Err(failure)),
            }
        }
        let Some(url) = &target.url else { return Ok(Ok(claims)) };
        let data = json!({
            "userId": user, "sessionId": session, "email": email, "phone": phone, "isNewUser": is_new_user,
        });
        let told = self.ask::<ToldClaims>(tenant, url, target, HookKind::Claims, space, &data).await;
        let told = told.and_then(|told| admitted(told.claims));
        self.note_hook(HookKind::Claims, space, told.as_ref().err());
        match told {
            Ok(told) => claims.extend(told),
            Err(failure) if target.on_failure == OnFailure::Closed => return Ok(Err(failure)),
            Err(_) => {}
        }
        Ok(Ok(claims))
    }
}

impl TenantContext {
    /// Those of the settings, and those of hooks, which go before them.
    pub(super) fn custom_claims(&self, session: &Session) -> Result<Map<String, Value>, Error> {
        let mut claims = self.tenant.settings.tokens.custom_claims.clone();
        claims.extend(told_claims(&self.keys, session)?);
        Ok(claims)
    }
}

/// What hooks said when the session began.
pub(super) fn told_claims(keys: &TenantKeys, session: &Session) -> Result<Map<String, Value>, Error> {
    let Some(sealed) = &session.claims else { return Ok(Map::new()) };
    let told = keys.open(&place(b"claims", &session.subject), sealed)?;
    serde_json::from_slice(&told).map_err(|error| Error::Internal(error.to_string()))
}

fn admitted(claims: Map<String, Value>) -> Result<Map<String, Value>, HookFailure> {
    if let Some(name) = claims.keys().find(|name| Claims::RESERVED.contains(&name.as_str())) {
        return Err(HookFailure(format!("the claim `{name}` is the token's own")));
    }
    let bytes = serde_json::to_vec(&claims).map_or(usize::MAX, |json| json.len());
    if bytes > MAX_CLAIMS_BYTES { Err(HookFailure("too many claims".to_owned())) } else { Ok(claims) }
}
