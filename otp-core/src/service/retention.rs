//! Users who have not signed in for as long as their tenant has set are erased.

use std::time::Duration;

use super::Service;
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::command::{Erasing, Trail};
use crate::error::Error;
use crate::event::days;
use crate::id::{AuditId, UserId};
use crate::store::{Kind, Read};
use crate::tenant::{Mode, Space, Tenant};
use crate::user::User;

/// Users that one step looks at.
const STEP: usize = 100;
/// Tenants that one read gives.
const TENANTS: usize = 200;

/// A round through the users of all tenants that have set how long inactive ones are kept.
#[derive(Clone, Debug)]
pub struct RetentionRound {
    /// What is still to be looked through.
    lists: Vec<List>,
}

/// The users of a space, oldest last.
#[derive(Clone, Copy, Debug)]
struct List {
    space: Space,
    /// Who has not signed in since then is inactive.
    since: Timestamp,
    /// Where the next step begins.
    before: UserId,
}

impl Service {
    /// Begins a round. One a day is enough; several at a time, by several servers, do no harm.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn retention_round(&self) -> Result<RetentionRound, Error> {
        let (mut lists, mut before) = (Vec::new(), None);
        loop {
            let page = Read::Owned { kind: Kind::Tenant, owner: Tenant::ALL, before, limit: TENANTS };
            let seen = self.inner.store.read(vec![page]).await?;
            lists.extend(seen.all::<Tenant>().flat_map(|tenant| self.lists_of(tenant)));
            before = seen.all::<Tenant>().last().map(|tenant| tenant.id.as_bytes().into());
            if seen.all::<Tenant>().count() < TENANTS {
                return Ok(RetentionRound { lists });
            }
        }
    }

    fn lists_of(&self, tenant: &Tenant) -> Vec<List> {
        let Some(inactive) = tenant.settings.privacy.inactive_user_days else { return Vec::new() };
        let since = self.now() - days(inactive);
        let list = |mode| List { space: Space { tenant: tenant.id, mode }, since, before: first_after(since) };
        Mode::ALL.map(list).to_vec()
    }

    /// Does the next part of a round: erases those of the next users who are inactive, and gives how many that were; `None`
    /// when the round is over.
    ///
    /// # Errors
    /// [`Error::Store`]; the next call goes on where this one failed.
    pub async fn continue_retention(&self, round: &mut RetentionRound) -> Result<Option<usize>, Error> {
        let Some(list) = round.lists.last_mut() else { return Ok(None) };
        let before = Some(list.before.as_bytes().into());
        let page = Read::Owned { kind: Kind::User, owner: list.space.owner(), before, limit: STEP };
        let seen = self.inner.store.read(vec![page]).await?;
        let mut erased = 0;
        for user in seen.all::<User>().filter(|user| user.last_login_at <= list.since) {
            let trail = || self.trail_of_retention();
            erased += usize::from(self.erase(user, Some(list.since), trail).await? == Erasing::Done);
        }
        match seen.all::<User>().last() {
            Some(last) => list.before = last.id,
            None => drop(round.lists.pop()),
        }
        Ok(Some(erased))
    }

    fn trail_of_retention(&self) -> Trail {
        let at = self.now();
        let id = AuditId::new(at, self.random());
        Trail { id, actor: Actor::Service, client: None, request_id: None, operation: None, at }
    }
}

/// The id that all made up to a time sort before.
fn first_after(at: Timestamp) -> UserId {
    let next = (at + Duration::from_millis(1)).as_millis().max(0);
    let mut id = [0; 16];
    id[..6].copy_from_slice(&next.to_be_bytes()[2..]);
    UserId::from_bytes(id)
}
