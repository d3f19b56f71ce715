//! The chain that the lines of a trail stand in.
//!
//! A command has one scope to itself, so there is a chain for each scope: one for the tenant, and one for each recipient that
//! something was done about. A line's digest is HMAC-SHA256 under the tenant's audit key over chain, number, the digest
//! before, and the line. The head says where a chain ends. Lines whose time is over go from the front: no line goes before the
//! one that it follows, even if lines have to be kept for a shorter time since.
//!
//! Whoever can write the database *and* knows an earlier head can still cut a chain back to it; only a copy elsewhere, such
//! as an export or a backup, shows that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Audit;
use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::secret::{CannotOpen, Digest32, TenantKeys, Use};
use crate::store::{Changes, Key, Kind, Record, Scope, SmallBytes, Snapshot, Stored};

/// A head outlives its last line, so that none stands without one.
const HEAD_KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// Which chain of a tenant: zeros for the tenant itself; for a recipient a digest of its own, which no other record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainId(Digest32);

impl ChainId {
    fn of(scope: &Scope, keys: &TenantKeys) -> Self {
        match scope {
            Scope::Tenant(_) => Self(Digest32([0; 32])),
            Scope::Subject(_, bucket) => Self(keys.index(&[b"audit chain", bucket.as_bytes()])),
        }
    }
}

/// A line's place in its chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Which chain.
    pub chain: ChainId,
    /// Its number, counted from 1.
    pub number: u64,
    /// The digest of the line before; zeros for the first.
    pub previous: Digest32,
    /// Until when the line before is kept.
    pub previous_until: Option<Timestamp>,
    /// Which master key the digest is made under.
    pub kid: u8,
    /// The digest.
    pub digest: Digest32,
}

/// Where a chain ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditHead {
    /// Whose.
    pub tenant: TenantId,
    /// Which chain.
    pub chain: ChainId,
    /// The number of the last line.
    pub number: u64,
    /// Its digest.
    pub digest: Digest32,
    /// When it was written.
    pub at: Timestamp,
    /// Until when it is kept.
    pub until: Timestamp,
}

impl AuditHead {
    /// The head of the chain that lines of a scope stand in.
    pub(crate) fn key_of(scope: &Scope, keys: &TenantKeys) -> Key {
        Key::new::<Self>(scope.tenant(), &ChainId::of(scope, keys).0.0)
    }

    fn before_the_first(scope: &Scope, keys: &TenantKeys) -> Self {
        let (chain, digest) = (ChainId::of(scope, keys), Digest32([0; 32]));
        let never = Timestamp::from_millis(0);
        Self { tenant: scope.tenant(), chain, number: 0, digest, at: never, until: never }
    }
}

impl Stored for AuditHead {
    const KIND: Kind = Kind::AuditHead;

    fn key(&self) -> Key {
        Key::new::<Self>(self.tenant, SmallBytes::from(&self.chain.0.0))
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.until + HEAD_KEPT_FOR)
    }
}

impl Audit {
    /// The digest of this line at a place; `None` if the ring has lost the key.
    pub(super) fn digest(&self, link: &Link, keys: &TenantKeys) -> Option<Digest32> {
        let unlinked = Audit { link: None, ..self.clone() };
        let line = serde_json::to_vec(&unlinked).unwrap_or_default();
        let parts = [&link.chain.0.0[..], &link.number.to_be_bytes(), &link.previous.0, &line];
        keys.digest(link.kid, Use::Audit, &parts)
    }
}

/// Puts the lines among the changes behind those of their scope; they are to be kept for a time.
pub(crate) fn link(
    scope: &Scope,
    keys: &TenantKeys,
    kept_for: Duration,
    seen: &Snapshot,
    changes: &mut Changes,
) -> Result<(), CannotOpen> {
    let first = AuditHead::before_the_first(scope, keys);
    let mut head = seen.one::<AuditHead>().cloned().unwrap_or(first);
    let began_at = head.number;
    for record in &mut changes.puts {
        let Record::Audit(line) = record else { continue };
        let mut link = Link {
            chain: head.chain,
            number: head.number + 1,
            previous: head.digest,
            previous_until: (head.number > 0).then_some(head.until),
            kid: keys.newest(),
            digest: Digest32([0; 32]),
        };
        let until = head.until.max(line.at + kept_for);
        line.kept_until = Some(until);
        link.digest = line.digest(&link, keys).ok_or(CannotOpen)?;
        head = AuditHead { number: link.number, digest: link.digest, at: line.at, until, ..head };
        line.link = Some(Box::new(link));
    }
    if head.number > began_at {
        changes.put(head);
    }
    Ok(())
}
