//! What is held about a user is handed out whole, and erased whole: whatever happens meanwhile, and by whom.

#![allow(clippy::unwrap_used)]

mod common;

use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use common::*;
use otp_core::audit::{Action, Actor, Audit};
use otp_core::event::{Event, EventData, EventKind};
use otp_core::idempotency::{Idempotency, StoredReply};
use otp_core::limit::Recipient;
use otp_core::message::{Message, SendError};
use otp_core::store::{Item, Kind, Store};
use otp_core::usage::{Counter, Span};
use otp_core::user::User;
use otp_core::*;

const ANN: &str = "ann@example.org";
const BEN: &str = "ben@example.org";

/// What stands for a user in stored records.
struct Traces {
    id: String,
    digest: String,
    address: String,
}

impl Traces {
    fn of(world: &World, tenant: TenantId, user: UserId) -> Self {
        let user = world.record::<User>(tenant, user.as_bytes()).unwrap();
        let text = |value: serde_json::Value| value.as_str().unwrap().to_owned();
        let user = serde_json::to_value(user).unwrap();
        Self {
            id: text(user["id"].clone()),
            digest: text(user["subject"].clone()),
            address: text(user["address"].clone()),
        }
    }

    /// The kinds of the records that hold the id, and of those that hold digest or address.
    fn left(&self, world: &World) -> (Vec<Kind>, Vec<Kind>) {
        let items = wait(world.store.inner.inventory(None, usize::MAX)).unwrap();
        let records = items.into_iter().filter_map(|item| match item {
            Item::Record(record) => Some(record),
            Item::Count(..) => None,
        });
        let (mut by_id, mut by_address) = (Vec::new(), Vec::new());
        for record in records {
            let body = record.body();
            by_id.extend(body.contains(&self.id).then(|| record.key().kind));
            let is_theirs = body.contains(&self.digest) || body.contains(&self.address);
            by_address.extend(is_theirs.then(|| record.key().kind));
        }
        (by_id, by_address)
    }

    #[track_caller]
    fn are_gone(&self, world: &World) {
        // The event and the line of the audit trail that tell of it.
        assert_eq!(self.left(world), (vec![Kind::Event, Kind::Audit], vec![]));
    }
}

fn erase(world: &World, caller: &Caller, user: UserId) -> Result<(), Error> {
    wait(world.service.erase_user(caller, user))
}

/// The one line of the audit trail that tells of this.
fn line_of(world: &World, caller: &Caller, action: Action) -> Audit {
    let mut lines = world.audit(caller.space().tenant);
    lines.retain(|line| line.action == action);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

fn once(key: &str) -> Option<Idempotency> {
    Some(Idempotency::new(key, "POST /", key.as_bytes()))
}

/// Signs in under idempotency keys, with everything that can be told of a client.
fn sign_in_with_all(world: &World, caller: &Caller) -> SignedIn {
    let client = Client { user_agent: Some("Browser/1".to_owned()), ..from_ip("203.0.113.7") };
    let metadata = serde_json::json!({"order": "4711"}).as_object().cloned();
    let request = OtpRequest {
        client: client.clone(),
        metadata,
        context: Some("Pay 4711".to_owned()),
        idempotency: once("ask"),
        ..OtpRequest::to(email(ANN))
    };
    let asked = world.ask(caller, request);
    let context = Some("Pay 4711".to_owned());
    let guess = OtpVerification { client: client.clone(), ..OtpVerification::of(asked.id, &wrong(&asked.code, 0)) };
    assert_eq!(refusal(world.verify(caller, guess)), "otp_invalid");
    let said =
        OtpVerification { client, context, idempotency: once("say"), ..OtpVerification::of(asked.id, &asked.code) };
    let signed_in = world.verify(caller, said).unwrap();
    let refreshed = wait(world.service.refresh(None, signed_in.refresh_token.expose(), once("go"))).unwrap().value;
    SignedIn { is_new_user: true, ..refreshed }
}

#[test]
fn an_export_holds_everything_and_is_noted_before_it_is_given() {
    let world = World::new();
    let acme = world.live();
    let user = sign_in_with_all(&world, &acme).user_id;
    drop(world.sign_in(&acme, BEN));
    let export = wait(world.service.export_user(&acme, user)).unwrap();
    assert_eq!((export.user.id, export.user.email.as_deref()), (user, Some(ANN)));
    assert_eq!(export.sessions.len(), 1);
    assert_eq!(
        (&export.sessions[0]["ip"], &export.sessions[0]["userAgent"]),
        (&"203.0.113.7".into(), &"Browser/1".into())
    );
    assert_eq!((export.codes.len(), &export.codes[0]["state"]), (1, &"used".into()));
    assert_eq!((export.messages.len(), &export.messages[0]["to"]), (1, &ANN.into()));
    assert_eq!((&export.messages[0]["context"], &export.messages[0]["state"]), (&"Pay 4711".into(), &"sent".into()));
    let told: Vec<&str> = export.events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let mut sorted = told.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["otp.failed", "otp.requested", "otp.verified", "user.created", "user.logged_in"]);
    let requested = export.events.iter().find(|event| event["event"] == "otp.requested").unwrap();
    assert_eq!((&requested["data"]["metadata"]["order"], &requested["address"]), (&"4711".into(), &ANN.into()));
    assert!(requested["data"].get("sealedMetadata").is_none());
    assert_eq!((export.kept_replies.len(), export.limits["codesSentAt"].as_array().unwrap().len()), (3, 1));

    assert_eq!(line_of(&world, &acme, Action::UserExported).target, user.to_string());
    world.store.fail(Fault::ReadOnly);
    assert_eq!(refusal(wait(world.service.export_user(&acme, user))), "store_unavailable");
}

#[test]
fn nothing_is_left_of_a_user_but_counts_and_the_word_of_it() {
    let world = World::new();
    let acme = world.live();
    let (tenant, space) = (acme.space().tenant, acme.space());
    let ben = world.sign_in(&acme, BEN);
    let of_ben = Traces::of(&world, tenant, ben.user_id).left(&world);
    let ann = sign_in_with_all(&world, &acme);
    let traces = Traces::of(&world, tenant, ann.user_id);
    let counted = world.counter(space, Counter::OtpRequests, Span::Day);
    // One that waits, and one that was not taken and is tried again.
    let waits = world.request_to(&acme, ANN).unwrap();
    let kinds = traces.left(&world).1;
    for kind in [Kind::User, Kind::Session, Kind::Challenge, Kind::Message, Kind::Event, Kind::Reply] {
        assert!(kinds.contains(&kind), "{kind:?}: {kinds:?}");
    }
    world.store.forget_commits();
    erase(&world, &acme, ann.user_id).unwrap();
    traces.are_gone(&world);
    {
        let commits = world.store.commits.lock().unwrap();
        let last: Vec<Kind> = commits.last().unwrap().puts.iter().map(|record| record.key().kind).collect();
        assert_eq!(
            (commits.len(), last),
            (1, vec![Kind::Event, Kind::Audit, Kind::AuditHead]),
            "the act and the word of it are one"
        );
    }

    world.clock.advance(SECOND);
    assert_eq!(wait(world.service.verify_audit()).unwrap().faults, [], "the trail goes on behind it");

    assert_eq!(refusal(world.me(&ann)), "invalid_token");
    assert_eq!(refusal(world.refresh(&ann.refresh_token)), "invalid_refresh_token");
    let again = wait(world.service.refresh(None, ann.refresh_token.expose(), once("go")));
    assert_eq!(refusal(again), "invalid_refresh_token", "nor by the kept reply");
    assert_eq!(refusal(world.say(&acme, waits.challenge_id, "123456789")), "otp_not_found");
    let sent = world.inbox.count();
    for _ in 0..3 {
        assert_eq!(world.deliver(), Delivered::default());
        world.clock.advance(LEASE);
    }
    assert_eq!(world.inbox.count(), sent);

    assert_eq!(refusal(erase(&world, &acme, ann.user_id)), "not_found");
    assert_eq!(world.counter(space, Counter::OtpRequests, Span::Day), counted + 1);
    assert_eq!([Counter::Users, Counter::UsersErased].map(|count| world.counter(space, count, Span::Ever)), [2, 1]);
    let events = world.events(space);
    let deleted: Vec<&Event> = events.iter().filter(|event| event.kind() == EventKind::UserDeleted).collect();
    assert_eq!(deleted[0].data, EventData::UserDeleted { user_id: ann.user_id });
    assert!(deleted.len() == 1 && deleted[0].person.is_none());
    let line = line_of(&world, &acme, Action::UserErased);
    assert_eq!((line.actor, line.target), (Actor::Program, ann.user_id.to_string()));

    assert_eq!(Traces::of(&world, tenant, ben.user_id).left(&world), of_ben);
    assert!(world.me(&ben).is_ok());
    let back = world.sign_in(&acme, ANN);
    assert!(back.is_new_user && back.user_id != ann.user_id);
}

#[test]
fn a_message_that_is_with_the_provider_meanwhile_leaves_no_record() {
    let world = World::new();
    let acme = world.live();
    for refusal in [None, Some(SendError::Permanent { reason: "no such mailbox".to_owned() })] {
        let id = world.sign_in(&acme, ANN).user_id;
        let traces = Traces::of(&world, acme.space().tenant, id);
        world.request_to(&acme, ANN).unwrap();
        let (service, caller) = (world.service.clone(), acme.clone());
        // Beside the executor that sends.
        let erase = move || wait(service.erase_user(&caller, id)).unwrap();
        world.inbox.before_each(move |_| std::thread::scope(|scope| scope.spawn(&erase).join().unwrap()));
        world.inbox.refuse(refusal);
        world.deliver();
        world.inbox.before_each(|_| ());
        traces.are_gone(&world);
        world.clock.advance(HOUR);
    }
}

#[test]
fn erasing_does_not_refill_the_limits_of_the_address() {
    let world = World::new();
    let acme = world.live();
    for _ in 0..3 {
        let signed_in = world.sign_in(&acme, ANN);
        erase(&world, &acme, signed_in.user_id).unwrap();
    }
    assert_eq!(refusal(world.request_to(&acme, ANN)), "rate_limit_exceeded");
    world.clock.advance(HOUR + SECOND);
    wait(world.service.sweep(10_000)).unwrap();
    let items = wait(world.store.inner.inventory(None, usize::MAX)).unwrap();
    let is_limit = |item: &Item| matches!(item, Item::Record(record) if record.key().kind == Kind::Recipient);
    assert!(!items.iter().any(is_limit), "and they go when their hour is over");
}

/// Sixty callers say thirty codes while four erase: one erasure does it, and nobody is signed in afterwards.
#[test]
fn a_sign_in_that_races_an_erasure_leaves_nothing_behind() {
    for _ in 0..5 {
        let world = World::new();
        let acme = world.unlimited();
        let first = world.sign_in(&acme, ANN);
        let traces = Traces::of(&world, acme.space().tenant, first.user_id);
        let ask = |number: usize| {
            world.ask(&acme, OtpRequest { purpose: format!("p{number}"), ..OtpRequest::to(email(ANN)) })
        };
        let asked: Vec<Asked> = (0..30).map(ask).collect();
        let outcomes = race(64, |racer| match racer % 16 {
            0 => erase(&world, &acme, first.user_id).map(|()| None),
            _ => {
                let (purpose, asked) = (format!("p{}", racer % 30), &asked[racer % 30]);
                let said = OtpVerification { purpose, ..OtpVerification::of(asked.id, &asked.code) };
                world.verify(&acme, said).map(Some)
            }
        });
        let (signed_in, erased): (Vec<_>, Vec<_>) = outcomes.iter().flatten().partition(|one| one.is_some());
        assert_eq!(erased.len(), 1);
        for signed_in in signed_in.into_iter().flatten() {
            assert_eq!(signed_in.user_id, first.user_id);
            assert_eq!(refusal(world.me(signed_in)), "invalid_token");
        }
        traces.are_gone(&world);
        let counts = [Counter::Users, Counter::UsersErased].map(|of| world.counter(acme.space(), of, Span::Ever));
        assert_eq!((counts, world.owned::<User>(acme.space().owner()).len()), ([1, 1], 0));
    }
}

fn step<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn an_erasure_that_was_interrupted_is_taken_up_again() {
    let world = World::new();
    let acme = world.unlimited();
    let users: Vec<SignedIn> = (0..150).map(|_| world.sign_in(&acme, ANN)).collect();
    let id = users[0].user_id;
    let traces = Traces::of(&world, acme.space().tenant, id);
    let is_there = || world.record::<User>(acme.space().tenant, id.as_bytes()).is_some();
    world.store.dawdles.store(true, Ordering::SeqCst);
    let commits = || world.store.commits.lock().unwrap().len();

    // Whoever asked goes away after the first commit.
    {
        let mut erasure = pin!(world.service.erase_user(&acme, id));
        let before = commits();
        while commits() == before {
            assert!(step(erasure.as_mut()).is_pending());
        }
    }
    assert!(is_there());
    assert!(users.iter().all(|user| world.me(user).is_err()), "the tokens go first");
    // The database goes away after the second.
    {
        let mut erasure = pin!(world.service.erase_user(&acme, id));
        let before = commits();
        while commits() == before {
            assert!(step(erasure.as_mut()).is_pending());
        }
        world.store.fail(Fault::Unavailable);
        let outcome = loop {
            if let Poll::Ready(outcome) = step(erasure.as_mut()) {
                break outcome;
            }
        };
        assert_eq!(refusal(outcome), "store_unavailable");
    }
    world.store.mend();
    assert!(is_there());
    assert_eq!(world.count_events(acme.space(), EventKind::UserDeleted), 0);
    erase(&world, &acme, id).unwrap();
    traces.are_gone(&world);
    assert_eq!(world.counter(acme.space(), Counter::UsersErased, Span::Ever), 1);
    assert!(world.owned::<Message>(acme.space().owner()).is_empty());
}

#[test]
fn those_erased_make_room_in_the_plan_for_exactly_as_many() {
    let world = World::with_plans("[[plan]]\nname = 'crowd'\nusers = 10");
    let acme = world.caller(world.tenant("crowd").id, Mode::Live);
    let address = |number: usize| format!("user{number}@example.org");
    let users: Vec<UserId> = (0..10).map(|number| world.sign_in(&acme, &address(number)).user_id).collect();
    let asked: Vec<Asked> = (10..42).map(|number| world.ask_for(&acme, &address(number))).collect();
    assert_eq!(refusal(world.say(&acme, asked[0].id, &asked[0].code)), "plan_limit");
    let outcomes = race(35, |racer| match racer {
        0..3 => erase(&world, &acme, users[racer]).map(|()| 0),
        _ => world.say(&acme, asked[racer - 3].id, &asked[racer - 3].code).map(|_| 1),
    });
    let joined: usize = outcomes.iter().flatten().sum();
    let there = || world.owned::<User>(acme.space().owner()).len();
    assert!(joined <= 3 && there() == 7 + joined, "{joined}");
    // A code that was refused for lack of room still works.
    let late = asked.iter().map(|asked| world.say(&acme, asked.id, &asked.code));
    let joined = joined + late.filter(|outcome| outcome.is_ok()).count();
    assert_eq!((joined, there()), (3, 10));
}

#[test]
fn a_reply_to_one_who_was_erased_is_not_given_again() {
    let world = World::new();
    let acme = world.live();
    let asked = world.ask_for(&acme, ANN);
    let say = || OtpVerification { idempotency: once("say"), ..OtpVerification::at(email(ANN), &asked.code) };
    let signed_in = world.verify(&acme, say()).unwrap();
    assert!(world.verify(&acme, say()).is_ok());
    let user = world.record::<User>(acme.space().tenant, signed_in.user_id.as_bytes()).unwrap();
    let kept = || world.owned::<StoredReply>(user.subject.as_bytes().into()).len();
    assert_eq!(kept(), 1);
    erase(&world, &acme, signed_in.user_id).unwrap();
    assert_eq!((kept(), refusal(world.verify(&acme, say()))), (0, "otp_not_found"));
    assert!(world.record::<Recipient>(acme.space().tenant, user.bucket.as_bytes()).is_some());
}
