//! Tenants are told when a limit of requests for codes is reached.

use super::Service;
use crate::clock::Timestamp;
use crate::command::{EventSource, RequestOtp, TellOnce};
use crate::error::{Error, Limited};
use crate::event::{Event, EventData, Person};
use crate::id::EventId;
use crate::limit::{Allowance, HOUR, LimitOf};
use crate::secret::Digest32;
use crate::store::Read;
use crate::subject::BucketKey;
use crate::tenant::Space;

/// Whose request it was that ran into a limit, gathered before it is known whether it does.
pub(super) struct Asking {
    space: Space,
    bucket: BucketKey,
    network: Option<[u8; 16]>,
    person: Person,
}

impl Asking {
    pub fn of(command: &RequestOtp) -> Self {
        let person = Person {
            subject: command.subject,
            user: None,
            address: Some(command.address.clone()),
            client: command.client.clone(),
            days: command.context.tenant.settings.privacy.event_days,
        };
        Self { space: command.space, bucket: command.bucket, network: command.network, person }
    }

    /// The event of this limit in the hour that has begun: its name is the same for all requests that run into it.
    fn event(&self, of: LimitOf, now: Timestamp) -> EventId {
        let hour = now.as_millis().div_euclid(HOUR.as_millis() as i64);
        let whose: &[u8] = match of {
            LimitOf::Recipient => self.bucket.as_bytes(),
            LimitOf::Client => self.network.as_ref().map_or(&[], |network| network.as_slice()),
            LimitOf::Customer => &[],
        };
        let space = [self.space.mode.byte(), of as u8];
        let digest = Digest32::of(&[b"limit", space.as_slice(), &hour.to_be_bytes(), whose].concat());
        let mut id: [u8; 16] = digest.0[..16].try_into().unwrap_or_default();
        id[..6].copy_from_slice(&(hour * HOUR.as_millis() as i64).to_be_bytes()[2..]);
        EventId::from_bytes(id)
    }
}

impl Service {
    /// Tells of a limit, unless that was done within the hour. That it cannot be told is no reason to answer otherwise.
    pub(super) async fn tell_of_limit(&self, asking: Asking, limited: &Limited) {
        let now = self.now();
        let event = asking.event(limited.of, now);
        let source = EventSource { space: asking.space, at: now, person: Some(&asking.person) };
        let Limited { allowance: Allowance { limit, reset_at, .. }, of: limit_of, .. } = *limited;
        let data = EventData::RateLimitExceeded { limit_of, limit, reset_at };
        let outcome = self.tell_once(source.event(event, data)).await;
        if let Err(error) = outcome {
            tracing::warn!(code = error.code(), %error, "that a limit was reached could not be told");
        }
    }

    /// Tells of an event, unless it has been told. That is looked at first without keeping others waiting.
    pub(super) async fn tell_once(&self, event: Event) -> Result<(), Error> {
        let telling = TellOnce(event);
        match self.inner.store.read(vec![Read::Record(telling.key())]).await?.records.is_empty() {
            true => self.run(telling).await,
            false => Ok(()),
        }
    }
}
