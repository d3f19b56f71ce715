//! What providers tell: of messages, and of recipients who want nothing more, or want it again.

use super::Service;
use super::caller::place;
use crate::command::{RecordDelivery, Suppress, Unsuppress};
use crate::delivery::{DeliveryReport, Recorded};
use crate::error::Error;
use crate::id::{EventId, TenantId};
use crate::message::{Channel, Content, Message};
use crate::secret::CannotOpen;
use crate::store::{FromRecord, Key, Read};
use crate::subject::{Address, BucketKey, PhoneNumber, SubjectKey};
use crate::suppression::{Suppression, SuppressionReason};
use crate::tenant::{Mode, Space};

impl Service {
    /// Writes down what a provider tells of a tenant's message: its status, the event that tells of it, and where the
    /// recipient cannot or does not want to be written to, that nothing more is sent there. Reports that come twice or out of
    /// order do no harm.
    ///
    /// # Errors
    /// [`Error::Store`]; then the provider is to tell it again.
    pub async fn record_delivery(&self, tenant: TenantId, report: DeliveryReport) -> Result<Recorded, Error> {
        let key = Key::new::<Message>(tenant, report.message.as_bytes());
        let seen = self.inner.store.read(vec![Read::Record(key)]).await?;
        let message = seen.records.into_iter().find_map(Message::take);
        // A notice is the installation's, and its recipient is no tenant's.
        let is_code = |message: &Message| matches!(message.content, Content::Passcode(_));
        let Some(message) = message.filter(is_code) else { return Ok(Recorded::Unknown) };
        let (keys, address) = (self.tenant_keys(tenant), self.address_of(&message)?);
        let suppress =
            report.suppress.map(|reason| self.suppression_by(&message, &address, reason, Some(report.provider)));
        let command = RecordDelivery {
            space: message.space,
            subject: SubjectKey::of(&keys, message.space.mode.byte(), &address),
            bucket: BucketKey::of(&keys, message.space.mode.byte(), &address),
            report,
            suppress,
            event: EventId::new(self.now(), self.random()),
            now: self.now(),
        };
        self.run(command).await
    }

    /// Where a message goes. One of several for the same code need not go to the address that was asked for first, which is
    /// its subject.
    pub(super) fn address_of(&self, message: &Message) -> Result<Address, Error> {
        let keys = self.tenant_keys(message.space.tenant);
        let text = keys.open_text(&place(b"address", &message.subject), &message.address)?;
        Ok(match message.channel {
            Channel::Email => Address::Email(text.parse().map_err(|_| CannotOpen)?),
            Channel::Sms | Channel::Whatsapp => Address::Phone(text.parse().map_err(|_| CannotOpen)?),
        })
    }

    /// That nothing more is sent where a message went, by the word of a provider on it.
    pub(super) fn suppression_by(
        &self,
        message: &Message,
        address: &Address,
        reason: SuppressionReason,
        provider: Option<&str>,
    ) -> Suppression {
        let (keys, at) = (self.tenant_keys(message.space.tenant), self.now());
        let subject = SubjectKey::of(&keys, message.space.mode.byte(), address);
        let sealed = keys.seal(self.random(), &place(b"address", &subject), address.display().as_bytes());
        Suppression {
            space: message.space,
            subject,
            address: Some(sealed),
            reason,
            at,
            provider: provider.map(str::to_owned),
            note: None,
            until: Suppression::end_of(reason, at),
        }
    }

    /// Nothing more is sent to a number that answered STOP to a tenant's messages.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown tenant, [`Error::Store`].
    pub async fn opt_out(&self, tenant: TenantId, number: PhoneNumber, provider: &str) -> Result<(), Error> {
        let (space, address) = (Space { tenant, mode: Mode::Live }, Address::Phone(number));
        let (subject, bucket, keys) = self.recipient_of(space, &address).await?;
        let sealed = keys.seal(self.random(), &place(b"address", &subject), address.display().as_bytes());
        let suppression = Suppression {
            space,
            subject,
            address: Some(sealed),
            reason: SuppressionReason::Stop,
            at: self.now(),
            provider: Some(provider.to_owned()),
            note: None,
            until: None,
        };
        self.run(Suppress { bucket, suppression, trail: None }).await
    }

    /// A number that answered STOP has answered START since. What else it is suppressed for stays.
    ///
    /// # Errors
    /// As [`opt_out`](Self::opt_out).
    pub async fn opt_in(&self, tenant: TenantId, number: PhoneNumber) -> Result<(), Error> {
        let space = Space { tenant, mode: Mode::Live };
        let (subject, bucket, _) = self.recipient_of(space, &Address::Phone(number)).await?;
        self.run(Unsuppress { space, subject, bucket, trail: None }).await?;
        Ok(())
    }

    async fn recipient_of(
        &self,
        space: Space,
        address: &Address,
    ) -> Result<(SubjectKey, BucketKey, crate::secret::TenantKeys), Error> {
        let context = self.tenant_context(space.tenant).await?.ok_or(Error::NotFound("customer"))?;
        let mode = space.mode.byte();
        let (subject, bucket) =
            (SubjectKey::of(&context.keys, mode, address), BucketKey::of(&context.keys, mode, address));
        Ok((subject, bucket, context.keys.clone()))
    }
}
