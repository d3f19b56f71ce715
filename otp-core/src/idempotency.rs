//! Idempotency keys: the same request again gives the first answer again.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::TenantId;
use crate::secret::{Digest32, Sealed, TenantKeys};
use crate::store::{Changes, Command, Key, Kind, Read, Reads, Scope, SmallBytes, Snapshot, Stored};
use crate::subject::SubjectKey;

const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// A caller's idempotency key, and what was asked under it.
#[derive(Clone, Copy, Debug)]
pub struct Idempotency {
    name: Digest32,
    fingerprint: Digest32,
}

impl Idempotency {
    /// `key` is the caller's, `operation` what was called, `body` what was sent.
    pub fn new(key: &str, operation: &str, body: &[u8]) -> Self {
        let mut request = Vec::with_capacity(operation.len() + 1 + body.len());
        request.extend_from_slice(operation.as_bytes());
        request.push(0);
        request.extend_from_slice(body);
        Self { name: Digest32::of(key.as_bytes()), fingerprint: Digest32::of(&request) }
    }
}

/// An answer kept for its idempotency key, sealed because it may hold a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredReply {
    /// Digest of caller and key.
    pub name: Digest32,
    /// Whose request it was.
    pub tenant: TenantId,
    /// Digest of what was asked.
    pub fingerprint: Digest32,
    /// The outcome, sealed.
    pub outcome: Sealed,
    /// When it was given.
    pub created_at: Timestamp,
    /// Whom the outcome is about, if about somebody: it is erased with them.
    #[serde(default)]
    pub subject: Option<SubjectKey>,
}

impl Stored for StoredReply {
    const KIND: Kind = Kind::Reply;

    fn key(&self) -> Key {
        Key::new::<Self>(self.tenant, &self.name.0)
    }

    fn owner(&self) -> Option<SmallBytes> {
        self.subject.map(|subject| subject.as_bytes().into())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.created_at + KEPT_FOR)
    }
}

/// An outcome, and whether it is the first answer again.
#[derive(Clone, Copy, Debug)]
pub struct Answer<T> {
    /// The outcome.
    pub value: T,
    /// Whether nothing was done this time.
    pub replayed: bool,
}

/// Where a reply is kept: a tenant, or the installation.
#[derive(Clone, Debug)]
pub(crate) struct ReplySlot {
    pub request: Idempotency,
    pub tenant: TenantId,
    /// Tells callers of one tenant apart, such as its two modes.
    pub caller: Vec<u8>,
    pub keys: TenantKeys,
    pub nonce: [u8; 24],
    pub now: Timestamp,
    pub subject: Option<SubjectKey>,
}

impl ReplySlot {
    /// The same for a reply about somebody.
    pub fn about(self, subject: SubjectKey) -> Self {
        Self { subject: Some(subject), ..self }
    }

    fn name(&self) -> Digest32 {
        let mut name = self.caller.clone();
        name.extend_from_slice(&self.request.name.0);
        Digest32::of(&name)
    }

    fn key(&self) -> Key {
        Key::new::<StoredReply>(self.tenant, &self.name().0)
    }
}

/// A command that gives its first answer again when it is asked again. Refusals are not kept: nothing was done.
pub(crate) struct Once<C> {
    pub command: C,
    pub slot: Option<ReplySlot>,
}

impl<C, T> Command for Once<C>
where
    C: Command<Outcome = Result<T, Error>>,
    T: Serialize + DeserializeOwned + Send + 'static,
{
    type Outcome = Result<Answer<T>, Error>;

    fn reads(&self) -> Reads {
        let mut reads = self.command.reads();
        reads.wanted.extend(self.slot.as_ref().map(|slot| Read::Record(slot.key())));
        reads
    }

    fn is_recorded(&self) -> bool {
        self.command.is_recorded()
    }

    fn recorded_in(&self) -> Scope {
        self.command.recorded_in()
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let Some(slot) = &self.slot else { return self.fresh(seen) };
        let kept = seen.one::<StoredReply>().filter(|reply| slot.now < reply.created_at + KEPT_FOR);
        if let Some(reply) = kept {
            return (replay(slot, reply), Changes::none());
        }
        let (outcome, mut changes) = self.fresh(seen);
        if let Ok(answer) = &outcome {
            let expired = seen.one::<StoredReply>().is_some();
            let reply = keep(slot, &answer.value);
            if expired { changes.put(reply) } else { changes.create(reply) }
        }
        (outcome, changes)
    }
}

impl<C, T> Once<C>
where
    C: Command<Outcome = Result<T, Error>>,
{
    fn fresh(&self, seen: &Snapshot) -> (Result<Answer<T>, Error>, Changes) {
        let (outcome, changes) = self.command.decide(seen);
        (outcome.map(|value| Answer { value, replayed: false }), changes)
    }
}

fn replay<T: DeserializeOwned>(slot: &ReplySlot, reply: &StoredReply) -> Result<Answer<T>, Error> {
    if reply.fingerprint != slot.request.fingerprint {
        return Err(Error::IdempotencyConflict);
    }
    let plain = slot.keys.open(&reply.name.0, &reply.outcome)?;
    let value = serde_json::from_slice(&plain).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(Answer { value, replayed: true })
}

fn keep<T: Serialize>(slot: &ReplySlot, value: &T) -> StoredReply {
    let name = slot.name();
    let plain = serde_json::to_vec(value).expect("outcomes are plain data");
    StoredReply {
        name,
        tenant: slot.tenant,
        fingerprint: slot.request.fingerprint,
        outcome: slot.keys.seal_with(slot.nonce, &name.0, &plain),
        created_at: slot.now,
        subject: slot.subject,
    }
}
