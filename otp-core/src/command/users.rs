//! A user is erased, or all that is held about them is handed out.

use serde_json::json;

use super::request_otp::CHALLENGES;
use super::{EventSource, Trail};
use crate::audit::Action;
use crate::challenge::Challenge;
use crate::clock::Timestamp;
use crate::delivery::MessageReport;
use crate::error::Error;
use crate::event::{Event, EventData};
use crate::id::{EventId, UserId};
use crate::idempotency::StoredReply;
use crate::message::Message;
use crate::session::Session;
use crate::store::{Add, Changes, Command, Key, Kind, Read, Reads, Scope, Snapshot, Stored};
use crate::subject::{BucketKey, SubjectKey};
use crate::suppression::Suppression;
use crate::tenant::Space;
use crate::totp::{PendingSignIn, TotpDevice, TrustedDevice};
use crate::usage::{Counter, CounterKey, Span};
use crate::user::User;

/// Records of a kind that one commit removes: others wait for it.
const PAGE: usize = 200;

/// Removes a page of what is held about a user, the user last. It is run until it says that it is done; one that was
/// interrupted is begun again and goes on where the other ended.
///
/// A wish of theirs to be sent nothing stays, without the address: it is found by whoever names the address, and by nobody
/// else.
///
/// The recipient's limits stay until their hour is over. They hold no address, and whoever could refill them by having
/// users erased could make the service send without end.
pub(crate) struct EraseUser {
    pub space: Space,
    pub bucket: BucketKey,
    pub subject: SubjectKey,
    pub user: UserId,
    /// Only a user who has not signed in since then, and has no open session.
    pub inactive_since: Option<Timestamp>,
    pub event: EventId,
    pub trail: Trail,
}

/// What tells of a user beside its own row. The end of the trail's chain is read too, and stays.
const HELD: [Kind; 7] = [
    Kind::Session,
    Kind::Challenge,
    Kind::Event,
    Kind::Reply,
    Kind::TotpDevice,
    Kind::TrustedDevice,
    Kind::PendingSignIn,
];

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Erasing {
    /// There is more.
    Unfinished,
    /// The user is gone, by this run.
    Done,
    /// There is no such user, or no longer.
    Absent,
    /// The user was to be inactive, and is not.
    Active,
}

impl Command for EraseUser {
    type Outcome = Erasing;

    fn reads(&self) -> Reads {
        let subject = self.subject.as_bytes();
        let wanted = vec![
            Read::Record(Key::new::<User>(self.space.tenant, self.user.as_bytes())),
            Read::owned::<Session>(self.user.as_bytes().into(), PAGE),
            Read::owned::<Challenge>(subject.into(), CHALLENGES),
            Read::owned::<Event>(subject.into(), PAGE),
            Read::owned::<StoredReply>(subject.into(), PAGE),
            Read::Record(Suppression::key_of(self.space, &self.subject)),
            Read::Record(TotpDevice::key_of(self.space, &self.subject)),
            Read::owned::<TrustedDevice>(subject.into(), PAGE),
            Read::owned::<PendingSignIn>(subject.into(), PAGE),
        ];
        Reads { scope: Scope::Subject(self.space.tenant, self.bucket), wanted }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Erasing, Changes) {
        let Some(user) = seen.one::<User>() else { return (Erasing::Absent, Changes::none()) };
        if self.inactive_since.is_some_and(|since| self.is_active(user, seen, since)) {
            return (Erasing::Active, Changes::none());
        }
        let mut changes = Changes::none();
        let held = seen.records.iter().map(|record| record.key()).filter(|key| HELD.contains(&key.kind));
        changes.deletes.extend(held);
        let messages = seen.all::<Event>().flat_map(Event::messages);
        let messages = messages.map(|id| Key::new::<Message>(self.space.tenant, id.as_bytes()));
        changes.deletes.extend(messages.flat_map(|message| [message, MessageReport::key_of(&message)]));
        changes.deletes.extend(seen.all::<Event>().flat_map(Event::deliveries));
        if self.is_more(seen) {
            return (Erasing::Unfinished, changes);
        }
        changes.deletes.push(user.key());
        if let Some(suppression) = seen.one::<Suppression>() {
            match suppression.remnant() {
                Some(wish) => changes.put(wish),
                None => changes.deletes.push(suppression.key()),
            }
        }
        let erased = CounterKey::at(self.space, Counter::UsersErased, Span::Ever, self.trail.at);
        changes.adds.push(Add::one(erased));
        let source = EventSource { space: self.space, at: self.trail.at, person: None };
        changes.put(source.event(self.event, EventData::UserDeleted { user_id: self.user }));
        let inactive = self.inactive_since.is_some();
        changes.put(self.trail.line(self.space.tenant, Action::UserErased, self.user, json!({"inactive": inactive})));
        (Erasing::Done, changes)
    }
}

impl EraseUser {
    fn is_more(&self, seen: &Snapshot) -> bool {
        let full = [
            seen.all::<Session>().count(),
            seen.all::<Event>().count(),
            seen.all::<StoredReply>().count(),
            seen.all::<TrustedDevice>().count(),
            seen.all::<PendingSignIn>().count(),
        ];
        full.contains(&PAGE) || seen.all::<Challenge>().count() == CHALLENGES
    }

    /// Of more sessions than were read some may be open.
    fn is_active(&self, user: &User, seen: &Snapshot, since: Timestamp) -> bool {
        user.last_login_at > since
            || seen.all::<Session>().any(|session| session.is_open(self.trail.at))
            || seen.all::<Session>().count() == PAGE
    }
}

/// Notes that all that is held about a user is handed out, before it is.
pub(crate) struct NoteExport {
    pub space: Space,
    pub bucket: BucketKey,
    pub user: UserId,
    pub trail: Trail,
}

impl Command for NoteExport {
    type Outcome = Result<(), Error>;

    fn reads(&self) -> Reads {
        let user = Key::new::<User>(self.space.tenant, self.user.as_bytes());
        Reads { scope: Scope::Subject(self.space.tenant, self.bucket), wanted: vec![Read::Record(user)] }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        if seen.one::<User>().is_none() {
            return (Err(Error::NotFound("user")), Changes::none());
        }
        let mut changes = Changes::none();
        changes.put(self.trail.line(self.space.tenant, Action::UserExported, self.user, json!({})));
        (Ok(()), changes)
    }
}
