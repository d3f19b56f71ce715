//! The list of recipients that nothing is sent to, as its tenant looks after it.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::caller::place;
use super::otp::identify;
use super::{Caller, Page, Service, cursor};
use crate::clock::Timestamp;
use crate::command::{Suppress, Unsuppress};
use crate::error::Error;
use crate::id::InvalidId;
use crate::secret::TenantKeys;
use crate::store::{Kind, Read};
use crate::subject::{Address, SubjectKey};
use crate::suppression::{Suppression, SuppressionReason};

/// Characters of a note.
const LONGEST_NOTE: usize = 200;

/// A recipient that nothing is sent to, as the tenant sees it.
#[derive(Clone, Debug)]
pub struct SuppressionView {
    /// The address; `None` once what was held about them was erased.
    pub recipient: Option<String>,
    /// Why.
    pub reason: SuppressionReason,
    /// Since when.
    pub at: Timestamp,
    /// Who told of it, where a provider did.
    pub provider: Option<String>,
    /// The tenant's words on it.
    pub note: Option<String>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

impl SuppressionView {
    pub(super) fn of(found: &Suppression, keys: &TenantKeys) -> Result<Self, Error> {
        let open = |what: &[u8], sealed| keys.open_text(&place(what, &found.subject), sealed);
        Ok(Self {
            recipient: found.address.as_ref().map(|sealed| open(b"address", sealed)).transpose()?,
            reason: found.reason,
            at: found.at,
            provider: found.provider.clone(),
            note: found.note.as_ref().map(|sealed| open(b"note", sealed)).transpose()?,
            until: found.until,
        })
    }
}

/// Somebody that nothing is to be sent to.
#[derive(Clone, Debug)]
pub struct NewSuppression {
    /// Who.
    pub recipient: Address,
    /// Why.
    pub reason: SuppressionReason,
    /// The tenant's words on it, up to 200 characters.
    pub note: Option<String>,
}

/// Where a page ends: lists are in the order of digests, which tells nothing of the addresses.
struct Place(SubjectKey);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

impl FromStr for Place {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| Self(SubjectKey::from_bytes(bytes))).ok_or(InvalidId)
    }
}

impl Service {
    /// The recipients that the caller sends nothing to, in no order that means anything.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a cursor that was not given out for this list, [`Error::SecretKeyRequired`],
    /// [`Error::Store`].
    pub async fn suppressions(
        &self,
        caller: &Caller,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<SuppressionView>, Error> {
        let context = self.managed(caller).await?;
        let (keys, owner) = (&context.keys, caller.space.owner());
        let before = cursor::read::<Place>(keys, &owner, cursor)?.map(|place| place.0.as_bytes().into());
        let seen = self.inner.store.read(vec![Read::Owned { kind: Kind::Suppression, owner, before, limit }]).await?;
        let found: Vec<&Suppression> = seen.all().collect();
        let last = found.last().filter(|_| found.len() == limit);
        let next = last.map(|last| cursor::behind(keys, &owner, Place(last.subject)));
        let now = self.now();
        let items = found.iter().filter(|found| found.holds(now)).map(|found| SuppressionView::of(found, keys));
        Ok(Page { items: items.collect::<Result<_, _>>()?, next })
    }

    /// Whether the caller sends nothing to this recipient, and why.
    ///
    /// # Errors
    /// [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn suppression_of(&self, caller: &Caller, recipient: &Address) -> Result<Option<SuppressionView>, Error> {
        let context = self.managed(caller).await?;
        let (subject, _) = identify(caller, recipient);
        let seen = self.inner.store.read(vec![Read::Record(Suppression::key_of(caller.space, &subject))]).await?;
        let found = seen.one::<Suppression>().filter(|found| found.holds(self.now()));
        found.map(|found| SuppressionView::of(found, &context.keys)).transpose()
    }

    /// Has nothing more sent to a recipient, whatever was the case before. It is in the audit trail, without the address.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn suppress(&self, caller: &Caller, new: NewSuppression) -> Result<SuppressionView, Error> {
        let context = self.managed(caller).await?;
        let is_note = |note: &String| note.chars().count() <= LONGEST_NOTE && !note.chars().any(char::is_control);
        if !new.note.iter().all(is_note) {
            return Err(Error::invalid("invalid_note", "note", "use up to 200 characters without line breaks"));
        }
        let (subject, bucket) = identify(caller, &new.recipient);
        let seal = |what: &[u8], text: &str| {
            let place = place(what, &subject);
            context.keys.seal(self.random(), &place, text.as_bytes())
        };
        let suppression = Suppression {
            space: caller.space,
            subject,
            address: Some(seal(b"address", new.recipient.display())),
            reason: new.reason,
            at: self.now(),
            provider: None,
            note: new.note.as_deref().filter(|note| !note.is_empty()).map(|note| seal(b"note", note)),
            until: None,
        };
        let view = SuppressionView::of(&suppression, &context.keys)?;
        self.run(Suppress { bucket, suppression, trail: Some(self.trail(caller)) }).await?;
        Ok(view)
    }

    /// Lets messages to a recipient leave again. It is in the audit trail, without the address. What providers keep on lists
    /// of their own is not changed by it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn unsuppress(&self, caller: &Caller, recipient: &Address) -> Result<(), Error> {
        self.managed(caller).await?;
        let (subject, bucket) = identify(caller, recipient);
        let command = Unsuppress { space: caller.space, subject, bucket, trail: Some(self.trail(caller)) };
        match self.run(command).await? {
            true => Ok(()),
            false => Err(Error::NotFound("suppression")),
        }
    }
}
