//! Notices: what the installation mails to the people who run its tenants, beside the codes that end users get.
//!
//! A notice is queued in the commit of what it tells of, under the installation's keys: it leaves also when the tenant it is
//! about may not use the service. Neither key nor password is ever in one; the link and the code that confirm a signup are
//! derived when the mail is rendered, as the codes of challenges are.

#[cfg(test)]
mod tests;
mod wording;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{ChallengeId, InvitationId, MessageId, SignupId, TenantId};
use crate::member::{CodeUse, Role};
use crate::message::{Channel, Content, Message, MessageState};
use crate::random::Random;
use crate::secret::{CannotOpen, Sealed, TenantKeys};
use crate::service::place;
use crate::store::Due;
use crate::subject::{Address, EmailAddress, SubjectKey};
use crate::tenant::{Mode, Space, TenantStatus};
use crate::usage::Span;

pub(crate) use wording::{Frame, letter};

/// After so long a notice is old news.
pub(crate) const WORTH_SENDING_FOR: Duration = Duration::from_secs(3 * 86_400);

/// The tenant a notice is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Identifier.
    pub tenant: TenantId,
    /// Display name.
    pub name: String,
}

/// What became of a member's second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactorChange {
    /// An authenticator is in use.
    Enabled,
    /// The member took it away.
    Disabled,
    /// The operator took it away.
    Reset,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Notice {
    /// An address is to be confirmed: the mail has the link and the code.
    SignupVerification {
        /// Of what both are derived.
        signup: SignupId,
        /// With which master key.
        kid: u8,
        /// Who wants to sign up.
        company_name: String,
        /// When link and code die.
        expires_at: Timestamp,
    },
    /// Somebody wants to sign up with an address that has an account.
    SignupKnown {},
    /// The address was confirmed and the account is open.
    Welcome {
        /// Whose.
        about: About,
    },
    /// A code that a member asked for.
    MemberCode {
        /// Of what it is derived.
        code: ChallengeId,
        /// With which master key.
        kid: u8,
        /// What for.
        of_use: CodeUse,
        /// When it dies.
        expires_at: Timestamp,
    },
    /// A member's password was changed.
    PasswordChanged {
        /// When.
        at: Timestamp,
    },
    /// A member's second factor was changed.
    SecondFactorChanged {
        /// To what.
        change: FactorChange,
        /// When.
        at: Timestamp,
    },
    /// Somebody is asked to join the team of a tenant.
    Invitation {
        /// Whose.
        about: About,
        /// Of what the token is derived.
        invitation: InvitationId,
        /// With which master key.
        kid: u8,
        /// As what.
        role: Role,
        /// The address of whoever asks.
        by: String,
        /// Until when.
        expires_at: Timestamp,
    },
    /// A tenant's standing was changed.
    StatusChanged {
        /// Whose.
        about: About,
        /// What it was.
        from: TenantStatus,
        /// What it is.
        to: TenantStatus,
        /// Why, in the words of whoever changed it.
        reason: Option<String>,
        /// Since when.
        at: Timestamp,
    },
    /// A plan's quota is used up, or nearly.
    Quota {
        /// Whose.
        about: About,
        /// Of the day or of the month.
        span: Span,
        /// Codes asked for.
        used: u64,
        /// Codes that the plan includes.
        limit: u64,
        /// When it is renewed.
        renewed_at: Timestamp,
    },
    /// Too many of a tenant's requests failed within five minutes.
    ErrorRate {
        /// Whose.
        about: About,
        /// Requests that failed.
        failed: u64,
        /// Requests in all.
        requests: u64,
    },
    /// A tenant's requests took too long within five minutes.
    Latency {
        /// Whose.
        about: About,
        /// Milliseconds within which 95 of 100 requests were answered.
        p95_millis: u64,
        /// Milliseconds that this should not pass.
        limit_millis: u64,
    },
    /// Messages of a tenant were given up within a day.
    Undelivered {
        /// Whose.
        about: About,
        /// How many.
        failed: u64,
    },
    /// An endpoint for events was given up.
    EndpointDisabled {
        /// Whose.
        about: About,
        /// Where it is.
        url: String,
        /// Whether it said that it is gone; else it has taken nothing for five days.
        is_gone: bool,
    },
}

/// The names of notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// [`Notice::SignupVerification`].
    SignupVerification,
    /// [`Notice::SignupKnown`].
    SignupKnown,
    /// [`Notice::Welcome`].
    Welcome,
    /// [`Notice::MemberCode`].
    MemberCode,
    /// [`Notice::PasswordChanged`].
    PasswordChanged,
    /// [`Notice::SecondFactorChanged`].
    SecondFactorChanged,
    /// [`Notice::Invitation`].
    Invitation,
    /// [`Notice::StatusChanged`].
    StatusChanged,
    /// [`Notice::Quota`].
    Quota,
    /// [`Notice::ErrorRate`].
    ErrorRate,
    /// [`Notice::Latency`].
    Latency,
    /// [`Notice::Undelivered`].
    Undelivered,
    /// [`Notice::EndpointDisabled`].
    EndpointDisabled,
}

impl Notice {
    /// Its name.
    pub const fn kind(&self) -> NoticeKind {
        match self {
            Notice::SignupVerification { .. } => NoticeKind::SignupVerification,
            Notice::SignupKnown {} => NoticeKind::SignupKnown,
            Notice::Welcome { .. } => NoticeKind::Welcome,
            Notice::MemberCode { .. } => NoticeKind::MemberCode,
            Notice::PasswordChanged { .. } => NoticeKind::PasswordChanged,
            Notice::SecondFactorChanged { .. } => NoticeKind::SecondFactorChanged,
            Notice::Invitation { .. } => NoticeKind::Invitation,
            Notice::StatusChanged { .. } => NoticeKind::StatusChanged,
            Notice::Quota { .. } => NoticeKind::Quota,
            Notice::ErrorRate { .. } => NoticeKind::ErrorRate,
            Notice::Latency { .. } => NoticeKind::Latency,
            Notice::Undelivered { .. } => NoticeKind::Undelivered,
            Notice::EndpointDisabled { .. } => NoticeKind::EndpointDisabled,
        }
    }

    /// From when on there is no use in sending it.
    fn pointless_at(&self, now: Timestamp) -> Timestamp {
        match self {
            Notice::SignupVerification { expires_at, .. }
            | Notice::MemberCode { expires_at, .. }
            | Notice::Invitation { expires_at, .. } => *expires_at,
            _ => now + WORTH_SENDING_FOR,
        }
    }
}

/// A notice in the queue: its name in clear, what it says sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealedNotice {
    /// Its name.
    pub kind: NoticeKind,
    /// The [`Notice`], sealed.
    pub values: Sealed,
}

impl SealedNotice {
    /// What it says, in a message to this subject.
    ///
    /// # Errors
    /// [`CannotOpen`] under keys that it was not sealed with.
    pub fn open(&self, keys: &TenantKeys, subject: &SubjectKey) -> Result<Notice, CannotOpen> {
        let plain = keys.open(&place(b"notice", subject), &self.values)?;
        serde_json::from_slice(&plain).map_err(|_| CannotOpen)
    }
}

/// Where data of the installation stands that is no tenant's.
pub(crate) const INSTALLATION: Space = Space { tenant: TenantId::INSTALLATION, mode: Mode::Live };

/// An addressed envelope for one notice, made before it is decided what goes into it: a decision draws no nonce.
#[derive(Clone)]
pub(crate) struct Envelope {
    pub keys: TenantKeys,
    pub id: MessageId,
    pub subject: SubjectKey,
    pub address: Sealed,
    pub client: Option<Sealed>,
    pub nonce: [u8; 24],
    pub now: Timestamp,
}

/// What an envelope is made with, drawn also where it may turn out that there is nothing to tell.
#[derive(Clone, Copy)]
pub(crate) struct Stationery {
    id: MessageId,
    nonces: [[u8; 24]; 2],
    now: Timestamp,
}

impl Stationery {
    /// Fresh; it makes one envelope.
    pub fn new(now: Timestamp, random: &dyn Random) -> Self {
        Self { id: MessageId::new(now, random), nonces: [(); 2].map(|()| random.bytes()), now }
    }

    /// An envelope to this address, under the installation's keys.
    pub fn envelope(&self, keys: TenantKeys, address: &EmailAddress) -> Envelope {
        let subject = SubjectKey::of(&keys, Mode::Live.byte(), &Address::Email(address.clone()));
        let [of_address, nonce] = self.nonces;
        let sealed = keys.seal_with(of_address, &place(b"address", &subject), address.display().as_bytes());
        Envelope { keys, id: self.id, subject, address: sealed, client: None, nonce, now: self.now }
    }
}

impl Envelope {
    /// The message. Nobody holds a lease on it: whoever looks through the queue next sends it.
    pub fn around(&self, notice: &Notice) -> Message {
        let plain = serde_json::to_vec(notice).expect("plain data");
        let values = self.keys.seal_with(self.nonce, &place(b"notice", &self.subject), &plain);
        Message {
            id: self.id,
            space: INSTALLATION,
            content: Content::Notice { notice: SealedNotice { kind: notice.kind(), values } },
            subject: self.subject,
            channel: Channel::Email,
            address: self.address.clone(),
            client: self.client.clone(),
            pointless_at: notice.pointless_at(self.now),
            created_at: self.now,
            tries: 0,
            last_error: None,
            attempts: Vec::new(),
            days: crate::event::kept_days(),
            state: MessageState::Queued,
            due: Due { at: Some(self.now), lease: None },
        }
    }
}
