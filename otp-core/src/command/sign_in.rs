//! A session begins: after a code, or after the second factor that followed it.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::secret::Sealed;
use crate::service::TenantContext;
use crate::session::{RefreshToken, Session, SessionState};
use crate::store::{Add, Changes};
use crate::tenant::Space;
use crate::usage::{Counter, CounterKey, Span};
use crate::user::User;
use crate::visit::Visit;

/// Where and when it begins.
pub(super) struct Beginning<'a> {
    pub context: &'a TenantContext,
    pub space: Space,
    pub now: Timestamp,
}

impl Beginning<'_> {
    pub fn session(&self, user: &User, id: SessionId, refresh: &RefreshToken, client: Option<Sealed>) -> Session {
        let tokens = &self.context.tenant.settings.tokens;
        let after = |seconds: u32| self.now + Duration::from_secs(seconds.into());
        Session {
            id,
            space: self.space,
            user: user.id,
            subject: user.subject,
            bucket: user.bucket,
            channel: user.channel,
            address: user.address.clone(),
            client,
            created_at: self.now,
            refreshed_at: self.now,
            idle_at: after(tokens.idle_ttl).min(after(tokens.session_ttl)),
            expires_at: after(tokens.session_ttl),
            refresh: refresh.digest(),
            generation: 1,
            valid_from: 1,
            state: SessionState::Open,
            second_factor: None,
            claims: None,
        }
    }

    /// The first sign-in of an hour and of a day tells that the user was there.
    pub fn note_visit(&self, changes: &mut Changes, known: Option<&User>, user: &User) {
        let is_first =
            |span: Span| known.is_none_or(|known| span.start(known.last_login_at) != span.start(user.last_login_at));
        if is_first(Span::Hour) {
            let counter = CounterKey::at(self.space, Counter::ActiveUsers, Span::Hour, self.now);
            changes.adds.push(Add::one(counter));
        }
        if is_first(Span::Day) {
            changes.put(Visit::of(user, &self.context.keys, self.now));
        }
    }
}
