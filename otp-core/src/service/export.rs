//! Everything that is held about a user, for the user.

use serde_json::{Value, json};

use super::caller::{SealedClient, place};
use super::claims::told_claims;
use super::{Caller, Service, SuppressionView, TotpStatus, UserView};
use crate::challenge::{Challenge, ChallengeState};
use crate::clock::Timestamp;
use crate::command::NoteExport;
use crate::delivery::MessageReport;
use crate::error::Error;
use crate::event::{Event, EventData};
use crate::id::UserId;
use crate::idempotency::StoredReply;
use crate::limit::Recipient;
use crate::message::{Content, Message, MessageState};
use crate::secret::{Sealed, TenantKeys};
use crate::session::{Session, SessionState};
use crate::store::{FromRecord, Key, Read, SmallBytes, Stored};
use crate::subject::SubjectKey;
use crate::suppression::Suppression;
use crate::totp::{PendingSignIn, TotpDevice, TrustedDevice};
use crate::user::User;
use crate::webhook::fields;

/// Records that one read gives.
const PAGE: usize = 500;

/// A copy of all that is held about a user.
#[derive(Clone, Debug)]
pub struct UserExport {
    /// Who they are.
    pub user: UserView,
    /// Their sessions. This and what follows is opened and in the words of the wire, newest first.
    pub sessions: Vec<Value>,
    /// Codes they were asked for; not the codes themselves, which stand nowhere.
    pub codes: Vec<Value>,
    /// Messages to them.
    pub messages: Vec<Value>,
    /// Events about them.
    pub events: Vec<Value>,
    /// What counts against the limits of their address.
    pub limits: Value,
    /// Why nothing is sent to them, if nothing is.
    pub suppression: Option<Value>,
    /// Their authenticator and its recovery codes, as far as they are no secret, and sign-ins that wait for it; null without.
    pub second_factor: Value,
    /// Devices that a second factor is not asked for on.
    pub trusted_devices: Vec<Value>,
    /// Answers kept for idempotency keys.
    pub kept_replies: Vec<Value>,
    /// When it was made.
    pub exported_at: Timestamp,
}

impl Service {
    /// All that is held about a user. That it is asked for is in the audit trail before it is given.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    pub async fn export_user(&self, caller: &Caller, id: UserId) -> Result<UserExport, Error> {
        let (context, user) = self.user_of(caller, id).await?;
        let trail = self.trail(caller);
        self.run(NoteExport { space: user.space, bucket: user.bucket, user: user.id, trail }).await??;
        let reader = Reader { service: self, keys: &context.keys, user: &user };
        reader.export(self.now()).await
    }
}

struct Reader<'a> {
    service: &'a Service,
    keys: &'a TenantKeys,
    user: &'a User,
}

impl Reader<'_> {
    async fn export(&self, now: Timestamp) -> Result<UserExport, Error> {
        let (subject, user) = (self.user.subject.as_bytes().into(), self.user.id.as_bytes().into());
        let sessions: Vec<Session> = self.all(user).await?;
        let codes: Vec<Challenge> = self.all(subject).await?;
        let events: Vec<Event> = self.all(subject).await?;
        let replies: Vec<StoredReply> = self.all(subject).await?;
        let (messages, reports) = self.messages(&events).await?;
        let told =
            |message: &Message| self.message(message, reports.iter().find(|report| report.message == message.id));
        let trusted: Vec<TrustedDevice> = self.all(subject).await?;
        let kept_reply = |reply: &StoredReply| json!({"createdAt": text(reply.created_at)});
        Ok(UserExport {
            user: UserView::of(self.user, self.keys)?,
            sessions: sessions.iter().map(|session| self.session(session)).collect::<Result<_, _>>()?,
            codes: codes.iter().map(code).collect(),
            messages: messages.iter().map(told).collect::<Result<_, _>>()?,
            events: events.iter().map(|event| self.event(event)).collect::<Result<_, _>>()?,
            limits: self.limits(now).await?,
            suppression: self.suppression().await?,
            second_factor: self.second_factor(subject, now).await?,
            trusted_devices: trusted.iter().map(|device| self.trusted(device)).collect::<Result<_, _>>()?,
            kept_replies: replies.iter().map(kept_reply).collect(),
            exported_at: now,
        })
    }

    /// All records of a kind and owner, newest first.
    async fn all<T: Stored + 'static>(&self, owner: SmallBytes) -> Result<Vec<T>, Error> {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let page = Read::Owned { kind: T::KIND, owner, before, limit: PAGE };
            let records = self.service.inner.store.read(vec![page]).await?.records;
            let is_last = records.len() < PAGE;
            all.extend(records.into_iter().filter_map(T::take));
            before = all.last().map(|record: &T| record.key().id);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// The messages that these events tell of, and what their providers told.
    async fn messages(&self, events: &[Event]) -> Result<(Vec<Message>, Vec<MessageReport>), Error> {
        let told = events.iter().filter(|event| matches!(event.data, EventData::OtpRequested { .. }));
        let keys: Vec<Key> = told
            .flat_map(Event::messages)
            .map(|id| Key::new::<Message>(self.user.space.tenant, id.as_bytes()))
            .collect();
        let (mut messages, mut reports) = (Vec::new(), Vec::new());
        for keys in keys.chunks(PAGE) {
            let wanted = keys.iter().flat_map(|key| [*key, MessageReport::key_of(key)]).map(Read::Record).collect();
            let seen = self.service.inner.store.read(wanted).await?;
            reports.extend(seen.all::<MessageReport>().cloned());
            messages.extend(seen.records.into_iter().filter_map(Message::take));
        }
        Ok((messages, reports))
    }

    async fn suppression(&self) -> Result<Option<Value>, Error> {
        let key = Suppression::key_of(self.user.space, &self.user.subject);
        let seen = self.service.inner.store.read(vec![Read::Record(key)]).await?;
        let view = seen.one::<Suppression>().map(|found| SuppressionView::of(found, self.keys)).transpose()?;
        Ok(view.map(|view| {
            json!({
                "reason": view.reason,
                "provider": view.provider,
                "note": view.note,
                "createdAt": text(view.at),
                "until": view.until.map(text),
            })
        }))
    }

    async fn limits(&self, now: Timestamp) -> Result<Value, Error> {
        let recipient = Recipient::key_of(self.user.space, &self.user.bucket);
        let seen = self.service.inner.store.read(vec![Read::Record(recipient)]).await?;
        let (mut sent, mut wrong) = (Vec::new(), Vec::new());
        if let Some(recipient) = seen.one::<Recipient>() {
            sent.extend(recipient.sends.recent(now).map(text));
            wrong.extend(recipient.wrong_guesses.recent(now).map(text));
        }
        Ok(json!({"codesSentAt": sent, "wrongGuessesAt": wrong}))
    }

    async fn second_factor(&self, subject: SmallBytes, now: Timestamp) -> Result<Value, Error> {
        let waiting: Vec<PendingSignIn> = self.all(subject).await?;
        let key = TotpDevice::key_of(self.user.space, &self.user.subject);
        let seen = self.service.inner.store.read(vec![Read::Record(key)]).await?;
        let device = seen.one::<TotpDevice>();
        if device.is_none() && waiting.is_empty() {
            return Ok(Value::Null);
        }
        let status = TotpStatus::of(device, now);
        let wrong = device.map(|device| device.wrong_guesses.iter().copied().map(text).collect::<Vec<_>>());
        Ok(json!({
            "type": status.kind,
            "createdAt": device.map(|device| text(device.created_at)),
            "enabledAt": status.enabled_at.map(text),
            "recoveryCodesLeft": status.recovery_codes_left,
            "recoveryCodesCreatedAt": device.and_then(|device| Some(text(device.recovery.as_ref()?.created_at))),
            "wrongGuessesAt": wrong,
            "waitingSignInsAt": waiting.iter().map(|waiting| text(waiting.created_at)).collect::<Vec<_>>(),
        }))
    }

    fn trusted(&self, device: &TrustedDevice) -> Result<Value, Error> {
        let client = self.client(&device.subject, device.client.as_ref())?;
        Ok(json!({
            "deviceId": device.id,
            "createdAt": text(device.created_at),
            "lastUsedAt": device.last_used_at.map(text),
            "expiresAt": text(device.ends_at()),
            "ip": client.ip,
            "userAgent": client.user_agent,
        }))
    }

    fn session(&self, session: &Session) -> Result<Value, Error> {
        let client = self.client(&session.subject, session.client.as_ref())?;
        let (state, ended_at, reason) = match session.state {
            SessionState::Open => ("open", None, None),
            SessionState::Ended { at, reason } => ("ended", Some(text(at)), Some(reason)),
        };
        Ok(json!({
            "sessionId": session.id,
            "claims": told_claims(self.keys, session)?,
            "state": state,
            "endedAt": ended_at,
            "endReason": reason,
            "createdAt": text(session.created_at),
            "refreshedAt": text(session.refreshed_at),
            "expiresAt": text(session.idle_at),
            "secondFactorAt": session.second_factor.map(|factor| text(factor.at)),
            "ip": client.ip,
            "userAgent": client.user_agent,
        }))
    }

    fn message(&self, message: &Message, report: Option<&MessageReport>) -> Result<Value, Error> {
        let client = self.client(&message.subject, message.client.as_ref())?;
        let code = match &message.content {
            Content::Passcode(code) => Some(code),
            Content::Notice { .. } => None,
        };
        let context = code.and_then(|code| code.context_text.as_ref());
        let context = context.map(|sealed| self.open(b"context", sealed)).transpose()?;
        let (state, at) = match &message.state {
            MessageState::Queued => ("queued", None),
            MessageState::Sent { at, .. } => ("sent", Some(*at)),
            MessageState::Failed { at, .. } => ("failed", Some(*at)),
            MessageState::Vetoed { at, .. } => ("vetoed", Some(*at)),
            MessageState::Expired { at } => ("expired", Some(*at)),
            MessageState::Held => ("held", None),
        };
        Ok(json!({
            "messageId": message.id,
            "channel": message.channel,
            "to": self.open(b"address", &message.address)?,
            "purpose": code.map(|code| &code.purpose),
            "locale": code.map(|code| &code.locale),
            "context": context,
            "state": state,
            "stateSince": at.map(text),
            "lastError": message.last_error,
            "delivery": report.map(|report| json!({
                "status": report.status,
                "since": text(report.at),
                "provider": report.provider,
                "reason": report.reason,
            })),
            "createdAt": text(message.created_at),
            "ip": client.ip,
            "userAgent": client.user_agent,
        }))
    }

    fn event(&self, event: &Event) -> Result<Value, Error> {
        let person = event.person.as_ref();
        let client = self.client(&self.user.subject, person.and_then(|person| person.client.as_ref()))?;
        let address = person.and_then(|person| person.address.as_ref());
        Ok(json!({
            "eventId": event.id,
            "event": event.kind(),
            "timestamp": text(event.at),
            "address": address.map(|sealed| self.open(b"address", sealed)).transpose()?,
            "ip": client.ip,
            "userAgent": client.user_agent,
            "data": fields(event, self.keys)?,
        }))
    }

    fn client(&self, subject: &SubjectKey, sealed: Option<&Sealed>) -> Result<SealedClient, Error> {
        SealedClient::open(self.keys, subject, sealed)
    }

    fn open(&self, what: &[u8], sealed: &Sealed) -> Result<String, Error> {
        Ok(self.keys.open_text(&place(what, &self.user.subject), sealed)?)
    }
}

fn code(challenge: &Challenge) -> Value {
    let state = match challenge.state {
        ChallengeState::Live { .. } => "live",
        ChallengeState::Used { .. } => "used",
        ChallengeState::Exhausted { .. } => "exhausted",
    };
    json!({
        "challengeId": challenge.id,
        "purpose": challenge.purpose,
        "channel": challenge.channel,
        "state": state,
        "createdAt": text(challenge.created_at),
        "sentAt": text(challenge.sent_at),
        "expiresAt": text(challenge.expires_at),
        "messages": challenge.sends,
        "wrongGuesses": u16::from(challenge.wrong_bound) + u16::from(challenge.wrong_unbound),
    })
}

fn text(at: Timestamp) -> String {
    at.to_string()
}
