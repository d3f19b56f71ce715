//! Records: the closed list of what is stored, and what a store has to know of each.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::api_key::{ApiKey, KeyUse};
use crate::audit::{Audit, AuditHead};
use crate::call::{RecentErrors, StorageUse};
use crate::challenge::Challenge;
use crate::clock::Timestamp;
use crate::configuration::ConfigVersion;
use crate::delivery::MessageReport;
use crate::domain::Domain;
use crate::event::Event;
use crate::id::TenantId;
use crate::idempotency::StoredReply;
use crate::limit::Recipient;
use crate::member::{Invitation, Member, MemberCode, MemberSession, MemberSignIn, Membership, Seat};
use crate::message::Message;
use crate::provider::Provider;
use crate::session::Session;
use crate::signing::StoredSigningKey;
use crate::signup::{Signup, SignupToken};
use crate::suppression::Suppression;
use crate::tenant::Tenant;
use crate::totp::{PendingSignIn, TotpDevice, TrustedDevice};
use crate::user::User;
use crate::visit::{Visit, Visitors};
use crate::webhook::{Delivery, Endpoint};

/// Up to 32 bytes without an allocation: ids, owners and aliases.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SmallBytes {
    bytes: [u8; 32],
    length: u8,
}

impl SmallBytes {
    /// No bytes.
    pub const EMPTY: Self = Self { bytes: [0; 32], length: 0 };

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The parts one after another.
    ///
    /// # Panics
    /// When they are more than 32 bytes together: a mistake in the code.
    pub fn concat(parts: &[&[u8]]) -> Self {
        let mut joined = Self::EMPTY;
        for part in parts {
            let end = usize::from(joined.length) + part.len();
            joined.bytes[usize::from(joined.length)..end].copy_from_slice(part);
            joined.length = end as u8;
        }
        joined
    }

    /// Reads what a store kept.
    ///
    /// # Errors
    /// [`CorruptRecord`] when it is longer than any of ours.
    pub fn try_from_slice(bytes: &[u8]) -> Result<Self, CorruptRecord> {
        if bytes.len() > 32 {
            return Err(CorruptRecord("a key of more than 32 bytes".into()));
        }
        Ok(Self::concat(&[bytes]))
    }
}

impl<const N: usize> From<&[u8; N]> for SmallBytes {
    fn from(bytes: &[u8; N]) -> Self {
        Self::concat(&[bytes])
    }
}

impl fmt::Debug for SmallBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a store kept is not what the engine wrote.
#[derive(Debug, thiserror::Error)]
#[error("a stored record cannot be read: {0}")]
pub struct CorruptRecord(String);

/// The primary key of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Whose record.
    pub tenant: TenantId,
    /// Its id within kind and tenant; those that begin with a time sort by it.
    pub id: SmallBytes,
}

impl Key {
    /// The key of a record of type `T`.
    pub fn new<T: Stored>(tenant: TenantId, id: impl Into<SmallBytes>) -> Self {
        Self { kind: T::KIND, tenant, id: id.into() }
    }
}

/// Names whoever holds a lease; 128 random bits.
pub type LeaseId = [u8; 16];

/// Where a record stands in its queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// When somebody may claim it: its due time, or the end of the lease it is under. `None` when it is settled.
    pub at: Option<Timestamp>,
    /// The lease it is under.
    pub lease: Option<LeaseId>,
}

/// What a store has to know of a type of record.
pub trait Stored: FromRecord + Clone + Into<Record> + Serialize + for<'de> Deserialize<'de> {
    /// Its kind.
    const KIND: Kind;

    /// Its primary key.
    fn key(&self) -> Key;

    /// What lists of it are asked by.
    fn owner(&self) -> Option<SmallBytes> {
        None
    }

    /// A second, unique key, over all tenants.
    fn alias(&self) -> Option<SmallBytes> {
        None
    }

    /// From when on it may be swept away.
    fn expires_at(&self) -> Option<Timestamp> {
        None
    }

    /// Where it stands in its queue, if its kind has one.
    fn due(&self) -> Option<&Due> {
        None
    }

    /// As [`due`](Self::due), to be changed.
    fn due_mut(&mut self) -> Option<&mut Due> {
        None
    }
}

/// Bytes that most bodies need less than: room for them is made once.
const BODY: usize = 1_024;

macro_rules! records {
    ($($(#[$meta:meta])* $kind:ident($type:ty) = $name:literal;)*) => {
        /// The kinds of records.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$meta])* $kind,)*
        }

        impl Kind {
            /// Every kind, in a fixed order.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)*];

            /// The name of its table.
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$kind => $name,)* }
            }
        }

        /// A record of any kind.
        #[derive(Clone, Debug)]
        #[allow(clippy::large_enum_variant)] // boxing would cost an allocation on every read of the hot path
        pub enum Record {
            $($(#[$meta])* $kind($type),)*
        }

        impl Record {
            /// The columns a store keeps beside the body.
            pub fn key(&self) -> Key {
                match self { $(Record::$kind(record) => record.key(),)* }
            }

            /// What lists of it are asked by.
            pub fn owner(&self) -> Option<SmallBytes> {
                match self { $(Record::$kind(record) => record.owner(),)* }
            }

            /// Its second, unique key.
            pub fn alias(&self) -> Option<SmallBytes> {
                match self { $(Record::$kind(record) => record.alias(),)* }
            }

            /// From when on it may be swept away.
            pub fn expires_at(&self) -> Option<Timestamp> {
                match self { $(Record::$kind(record) => record.expires_at(),)* }
            }

            /// Where it stands in its queue; settled if its kind has none.
            pub fn due(&self) -> Due {
                match self { $(Record::$kind(record) => record.due().copied().unwrap_or_default(),)* }
            }

            /// Puts it at a place in its queue; nothing happens if its kind has none.
            pub fn set_due(&mut self, due: Due) {
                let place = match self { $(Record::$kind(record) => record.due_mut(),)* };
                if let Some(place) = place {
                    *place = due;
                }
            }

            /// The rest of it, as JSON. Whatever is secret or personal in it is sealed or digested already.
            ///
            /// # Panics
            /// Never: every record's type can be written as JSON.
            pub fn body(&self) -> String {
                let mut body = Vec::with_capacity(BODY);
                match self {
                    $(Record::$kind(record) => serde_json::to_writer(&mut body, record),)*
                }.expect("records are plain data");
                String::from_utf8(body).expect("JSON is text")
            }

            /// Reads what [`body`](Self::body) wrote, now or in an earlier version.
            ///
            /// # Errors
            /// [`CorruptRecord`].
            pub fn from_body(kind: Kind, body: &str, due: Due) -> Result<Self, CorruptRecord> {
                let mut record = match kind {
                    $(Kind::$kind => serde_json::from_str(body).map(Record::$kind),)*
                }.map_err(|error| CorruptRecord(format!("{}: {error}", kind.name())))?;
                record.set_due(due);
                Ok(record)
            }
        }

        $(
            impl From<$type> for Record {
                fn from(record: $type) -> Self {
                    Record::$kind(record)
                }
            }

            impl FromRecord for $type {
                fn of(record: &Record) -> Option<&Self> {
                    match record {
                        Record::$kind(record) => Some(record),
                        _ => None,
                    }
                }

                fn take(record: Record) -> Option<Self> {
                    match record {
                        Record::$kind(record) => Some(record),
                        _ => None,
                    }
                }
            }
        )*
    };
}

/// Tells a record's type; written by `records!`.
pub trait FromRecord: Sized {
    /// The record, if it is of this type.
    fn of(record: &Record) -> Option<&Self>;
    /// The record, if it is of this type.
    fn take(record: Record) -> Option<Self>;
}

records! {
    /// A tenant.
    Tenant(Tenant) = "tenant";
    /// An API key.
    ApiKey(ApiKey) = "api_key";
    /// When an API key was last used.
    KeyUse(KeyUse) = "key_use";
    /// A key that signs tokens.
    SigningKey(StoredSigningKey) = "signing_key";
    /// A recipient's limits.
    Recipient(Recipient) = "recipient";
    /// A challenge.
    Challenge(Challenge) = "challenge";
    /// A user.
    User(User) = "user";
    /// A session.
    Session(Session) = "session";
    /// A message in the queue.
    Message(Message) = "message";
    /// An event in the outbox.
    Event(Event) = "event";
    /// A line of the audit trail.
    Audit(Audit) = "audit";
    /// An answer kept for its idempotency key.
    Reply(StoredReply) = "reply";
    /// Where a chain of the audit trail ends.
    AuditHead(AuditHead) = "audit_head";
    /// A version of a tenant's configuration.
    ConfigVersion(ConfigVersion) = "config_version";
    /// A user's first sign-in of a day.
    Visit(Visit) = "visit";
    /// The users of a day.
    Visitors(Visitors) = "visitors";
    /// The last errors of a space.
    RecentErrors(RecentErrors) = "recent_errors";
    /// How much a tenant's records take.
    StorageUse(StorageUse) = "storage_use";
    /// A domain that mail may come from.
    Domain(Domain) = "domain";
    /// A signup.
    Signup(Signup) = "signup";
    /// The token of a confirmed signup.
    SignupToken(SignupToken) = "signup_token";
    /// Somebody who runs tenants.
    Member(Member) = "member";
    /// Where a tenant wants to hear of events.
    Endpoint(Endpoint) = "endpoint";
    /// An event on its way to an endpoint.
    Delivery(Delivery) = "delivery";
    /// What providers told of a message.
    MessageReport(MessageReport) = "message_report";
    /// A recipient that nothing is sent to.
    Suppression(Suppression) = "suppression";
    /// A device that makes codes.
    TotpDevice(TotpDevice) = "totp_device";
    /// A device that a second factor is not asked for on.
    TrustedDevice(TrustedDevice) = "trusted_device";
    /// A sign-in that waits for its second factor.
    PendingSignIn(PendingSignIn) = "pending_sign_in";
    /// A code that a member was mailed.
    MemberCode(MemberCode) = "member_code";
    /// A signed-in member.
    MemberSession(MemberSession) = "member_session";
    /// A member's sign-in that waits for its second factor.
    MemberSignIn(MemberSignIn) = "member_sign_in";
    /// A tenant's member.
    Membership(Membership) = "membership";
    /// A member's tenant.
    Seat(Seat) = "seat";
    /// Somebody who was asked to join a team.
    Invitation(Invitation) = "invitation";
    /// A provider that a tenant has set up.
    Provider(Provider) = "provider";
}
