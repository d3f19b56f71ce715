//! A store that fails: nothing is handed out, sent or counted that was not committed, and each act is one commit.

#![allow(clippy::unwrap_used)]

mod common;

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

use common::*;
use otp_core::api_key::KeyType;
use otp_core::event::EventKind;
use otp_core::store::{Changes, Kind};
use otp_core::usage::{Counter, Span};
use otp_core::user::User;
use otp_core::*;

const ANN: &str = "ann@example.org";
const FAULTS: [(Fault, &str, Option<u64>); 4] = [
    (Fault::Busy, "busy", Some(1)),
    (Fault::Unavailable, "store_unavailable", Some(1)),
    (Fault::ReadOnly, "store_unavailable", Some(1)),
    (Fault::UnknownLost, "store_unavailable", None),
];

#[test]
fn a_request_that_is_not_committed_sends_and_counts_nothing() {
    for (fault, code, retry_after) in FAULTS {
        let world = World::new();
        let acme = world.live();
        world.store.fail(fault);
        for _ in 0..5 {
            let error = world.request_to(&acme, ANN).unwrap_err();
            assert_eq!((error.code(), error.retry_after()), (code, retry_after), "{fault:?}");
        }
        world.store.mend();
        assert_eq!(world.deliver(), Delivered::default());
        world.clock.advance(MINUTE);
        assert_eq!(world.deliver(), Delivered::default());
        assert_eq!(world.count_events(acme.space(), EventKind::OtpRequested), 0);
        assert_eq!(world.counter(acme.space(), Counter::OtpRequests, Span::Day), 0);
        (0..3).for_each(|_| drop(world.request_to(&acme, ANN).unwrap()));
    }
}

#[test]
fn a_code_is_not_accepted_without_a_commit_and_not_lost_either() {
    for (fault, code, _) in FAULTS {
        let world = World::new();
        let acme = world.live();
        let asked = world.ask_for(&acme, ANN);
        world.store.fail(fault);
        for guess in [asked.code.clone(), wrong(&asked.code, 0)] {
            assert_eq!(refusal(world.say(&acme, asked.id, &guess)), code, "{fault:?}");
            assert_eq!(refusal(world.say_at(&acme, ANN, &guess)), code, "{fault:?}");
        }
        world.store.mend();
        assert!(world.owned::<User>(acme.space().owner()).is_empty());
        assert_eq!(world.count_events(acme.space(), EventKind::OtpFailed), 0);
        let wrong_guess = world.say(&acme, asked.id, &wrong(&asked.code, 0)).unwrap_err();
        assert!(matches!(wrong_guess, Error::OtpInvalid { remaining: 4, .. }), "{wrong_guess:?}");
        assert!(world.say(&acme, asked.id, &asked.code).is_ok());
    }
}

#[test]
fn a_commit_of_which_nothing_was_heard_hands_out_nothing_and_counts() {
    let world = World::new();
    let acme = world.live();
    let asked = world.ask_for(&acme, ANN);
    world.store.fail(Fault::UnknownDone);
    let error = world.say(&acme, asked.id, &asked.code).unwrap_err();
    assert_eq!((error.code(), error.retry_after()), ("store_unavailable", None));
    let other = world.request_to(&acme, "bob@example.org").unwrap_err();
    assert_eq!(other.code(), "store_unavailable");
    world.store.mend();
    assert_eq!(refusal(world.say(&acme, asked.id, &asked.code)), "otp_not_found", "the code is treated as spent");
    // Bob's message was committed, so it leaves: once the lease that nobody holds has ended.
    assert_eq!(world.deliver(), Delivered::default());
    world.clock.advance(LEASE);
    assert_eq!(world.deliver().sent, 1);
    let code = world.inbox.code_to("bob@example.org");
    assert!(world.say_at(&acme, "bob@example.org", &code).is_ok());

    let asked = world.ask_for(&acme, "cyd@example.org");
    world.store.fail(Fault::UnknownDone);
    assert_eq!(refusal(world.say(&acme, asked.id, &wrong(&asked.code, 0))), "store_unavailable");
    world.store.mend();
    let next = world.say(&acme, asked.id, &wrong(&asked.code, 1)).unwrap_err();
    assert!(matches!(next, Error::OtpInvalid { remaining: 3, .. }), "the first guess was counted: {next:?}");
}

#[test]
fn sessions_fail_closed() {
    for (fault, code, _) in FAULTS {
        let world = World::new();
        let acme = world.live();
        let signed_in = world.sign_in(&acme, ANN);
        let me = world.me(&signed_in).unwrap();
        world.store.fail(fault);
        assert_eq!(refusal(world.refresh(&signed_in.refresh_token)), code, "{fault:?}");
        assert_eq!(refusal(wait(world.service.replace_token(&me))), code);
        assert_eq!(refusal(wait(world.service.sign_out(&me, me.session_id(), &Client::default()))), code);
        assert_eq!(refusal(wait(world.service.sign_out_everywhere(&me, &Client::default()))), code);
        if fault == Fault::Unavailable {
            assert_eq!(refusal(world.me(&signed_in)), code);
            assert_eq!(refusal(wait(world.service.sessions(&me))), code);
        }
        world.store.mend();
        assert!(world.me(&signed_in).is_ok() && world.refresh(&signed_in.refresh_token).is_ok());
    }
}

#[test]
fn keys_fail_closed() {
    let world = World::new();
    let acme = world.live();
    let created = world.create_key(&acme, new_key(KeyType::Secret, Mode::Live));
    world.store.fail(Fault::Unavailable);
    assert_eq!(refusal(world.authenticate(&created.api_key)), "store_unavailable");
    assert_eq!(refusal(wait(world.service.keys(&acme))), "store_unavailable");
    assert_eq!(
        refusal(wait(world.service.create_key(&acme, new_key(KeyType::Secret, Mode::Live)))),
        "store_unavailable"
    );
    world.store.mend();
    assert!(world.authenticate(&created.api_key).is_ok());

    // When nothing is heard of a revocation, the key may be dead or not; what was cached of it is not believed any more.
    world.store.fail(Fault::UnknownDone);
    assert_eq!(refusal(wait(world.service.revoke_key(&acme, created.key.id))), "store_unavailable");
    assert_eq!(refusal(world.authenticate(&created.api_key)), "invalid_api_key");
    world.store.mend();
    assert_eq!(refusal(world.authenticate(&created.api_key)), "invalid_api_key");
    assert_eq!(wait(world.service.keys(&acme)).unwrap().len(), 2);
}

#[test]
fn a_secret_key_in_a_browser_does_not_work_where_it_cannot_be_noted() {
    let world = World::new();
    let acme = world.live();
    let key = world.create_key(&acme, new_key(KeyType::Secret, Mode::Live)).api_key;
    let in_browser = Approach { from_browser: true, ..Approach::default() };
    world.store.fail(Fault::ReadOnly);
    assert_eq!(refusal(wait(world.service.authenticate(key.expose(), &in_browser))), "store_unavailable");
    world.store.mend();
    assert!(wait(world.service.authenticate(key.expose(), &in_browser)).is_ok());
}

/// Lets the future run until it has waited so many times, and drops it. Whether it came to its end before.
fn abandoned(waits: usize, future: impl Future) -> bool {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..=waits).any(|_| future.as_mut().poll(&mut context).is_ready())
}

#[test]
fn a_caller_who_goes_away_leaves_all_of_an_act_or_nothing() {
    for waits in 0.. {
        let world = World::new();
        let acme = world.live();
        let asked = world.ask_for(&acme, ANN);
        let request = world.service.request_otp(&acme, OtpRequest::to(email("bob@example.org")));
        let guess = world.service.verify_otp(&acme, OtpVerification::of(asked.id, &wrong(&asked.code, 0)));
        world.clock.advance(2 * SECOND);
        world.store.dawdles.store(true, Ordering::SeqCst);
        let ended = [abandoned(waits, request), abandoned(waits, guess)];
        world.store.dawdles.store(false, Ordering::SeqCst);

        // The message is there if the request was counted, and leaves once the lease of whoever went away has ended.
        let requested = world.counter(acme.space(), Counter::OtpRequests, Span::Day) - 1;
        world.clock.advance(LEASE);
        assert_eq!(world.deliver().sent as u64, requested);
        assert_eq!(world.count_events(acme.space(), EventKind::OtpRequested) as u64, requested + 1);
        // A guess that was judged stays counted.
        let judged = world.counter(acme.space(), Counter::FailedAttempts, Span::Hour);
        assert_eq!(world.count_events(acme.space(), EventKind::OtpFailed) as u64, judged);
        let next = world.say(&acme, asked.id, &wrong(&asked.code, 1)).unwrap_err();
        assert!(matches!(next, Error::OtpInvalid { remaining, .. } if u64::from(remaining) == 4 - judged), "{next:?}");
        if ended == [true, true] {
            return assert!(waits >= 3 && requested == 1 && judged == 1, "{waits}");
        }
    }
}

#[test]
fn a_code_said_by_somebody_who_goes_away_is_spent_or_untouched() {
    let mut outcomes = Vec::new();
    for waits in 0.. {
        let world = World::new();
        let acme = world.live();
        let asked = world.ask_for(&acme, ANN);
        world.clock.advance(2 * SECOND);
        world.store.dawdles.store(true, Ordering::SeqCst);
        let ended = abandoned(waits, world.service.verify_otp(&acme, OtpVerification::of(asked.id, &asked.code)));
        world.store.dawdles.store(false, Ordering::SeqCst);
        let users = world.owned::<User>(acme.space().owner()).len();
        assert_eq!(world.count_events(acme.space(), EventKind::UserLoggedIn), users);
        let outcome = world.say(&acme, asked.id, &asked.code);
        assert_eq!(outcome.is_ok(), users == 0, "after {waits} waits: {outcome:?}");
        outcomes.push(users);
        if ended {
            break;
        }
    }
    assert!(outcomes.starts_with(&[0]) && outcomes.ends_with(&[1, 1]), "{outcomes:?}");
}

fn only_commit(world: &World, act: impl FnOnce()) -> Changes {
    world.store.forget_commits();
    act();
    let commits = world.store.commits.lock().unwrap();
    assert_eq!(commits.len(), 1, "{commits:?}");
    commits[0].clone()
}

fn written(changes: &Changes) -> Vec<Kind> {
    kinds(changes.puts.iter().chain(&changes.creates))
}

fn counted(changes: &Changes) -> Vec<(Counter, Span)> {
    changes.adds.iter().map(|add| (add.counter.counter, add.counter.span)).collect()
}

#[test]
fn whatever_belongs_together_is_one_commit() {
    use Kind::{
        ApiKey, Audit, AuditHead, Challenge, ConfigVersion, Event, KeyUse, Message, Recipient, Session, Tenant, User,
        Visit,
    };
    let world = World::new();
    let acme = world.live();
    let (service, tenant) = (&world.service, acme.space().tenant);

    let commit = only_commit(&world, || drop(world.request_to(&acme, ANN).unwrap()));
    assert_eq!(written(&commit), [Recipient, Challenge, Message, Event]);
    let requests = [Span::Hour, Span::Day, Span::Month].map(|span| (Counter::OtpRequests, span));
    assert_eq!(counted(&commit), requests);
    world.deliver();
    let code = world.inbox.code_to(ANN);

    let commit = only_commit(&world, || drop(world.say_at(&acme, ANN, &wrong(&code, 0))));
    assert_eq!(written(&commit), [Recipient, Challenge, Event]);
    assert_eq!(counted(&commit), [(Counter::OtpVerifications, Span::Hour), (Counter::FailedAttempts, Span::Hour)]);

    let mut signed_in = None;
    let commit = only_commit(&world, || signed_in = Some(world.say_at(&acme, ANN, &code).unwrap()));
    assert_eq!(written(&commit), [Challenge, User, Session, Event, Event, Event, Visit]);
    let verified = [(Counter::OtpVerifications, Span::Hour), (Counter::SuccessfulLogins, Span::Hour)];
    let seen = [(Counter::NewUsers, Span::Hour), (Counter::ActiveUsers, Span::Hour)];
    assert_eq!(counted(&commit), [&verified[..], &[(Counter::Users, Span::Ever)], &seen].concat());

    let signed_in = signed_in.unwrap();
    let me = world.me(&signed_in).unwrap();
    let commit = only_commit(&world, || drop(world.refresh(&signed_in.refresh_token).unwrap()));
    assert_eq!(written(&commit), [Session]);
    let commit = only_commit(&world, || wait(service.sign_out(&me, me.session_id(), &Client::default())).unwrap());
    assert_eq!(written(&commit), [Session, Event]);

    let asked = world.ask_for(&acme, ANN);
    let prove = || drop(wait(service.prove_otp(&acme, OtpVerification::of(asked.id, &asked.code))).unwrap());
    let commit = only_commit(&world, prove);
    assert_eq!(written(&commit), [Challenge, User, Event]);

    let reveal = OtpRequest { deliver: Deliver::Caller, ..OtpRequest::to(email("bob@example.org")) };
    let commit = only_commit(&world, || drop(world.request(&acme, reveal).unwrap()));
    assert_eq!(written(&commit), [Recipient, Challenge, Event, Audit, AuditHead]);

    let mut key = None;
    let commit = only_commit(&world, || key = Some(world.create_key(&acme, new_key(KeyType::Secret, Mode::Live))));
    assert_eq!(written(&commit), [ApiKey, Event, Audit, AuditHead]);
    let key = key.unwrap();
    let commit = only_commit(&world, || drop(wait(service.rotate_key(&acme, key.key.id, DAY, None)).unwrap()));
    assert_eq!(written(&commit), [ApiKey, ApiKey, Event, Audit, AuditHead]);
    assert_eq!(counted(&commit), [(Counter::Configuration, Span::Ever)]);
    let commit = only_commit(&world, || wait(service.revoke_key(&acme, key.key.id)).unwrap());
    assert_eq!(written(&commit), [ApiKey, Event, Audit, AuditHead]);
    let commit = only_commit(&world, || wait(service.rotate_signing_keys(&acme, token::Algorithm::EdDsa)).unwrap());
    let [retired, fresh] = [[Kind::SigningKey; 2]; 2];
    assert_eq!(
        written(&commit),
        [&[Tenant][..], &retired, &fresh, &[Audit, AuditHead, ConfigVersion, ConfigVersion]].concat()
    );

    world.authenticate(&world.create_key(&acme, new_key(KeyType::Secret, Mode::Live)).api_key).unwrap();
    let commit = only_commit(&world, || wait(service.flush_key_uses()).unwrap());
    assert_eq!(written(&commit), [KeyUse]);
    let administrator = wait(service.administrator(tenant)).unwrap();
    let suspended = tenant::TenantStatus::Suspended;
    let commit = only_commit(&world, || drop(wait(service.set_status(&administrator, suspended, None)).unwrap()));
    assert_eq!(written(&commit), [Tenant, Message, Event, Audit, AuditHead]);
}

#[test]
fn a_refused_act_commits_nothing_but_the_guess() {
    let world = World::new();
    let acme = world.live();
    let asked = world.ask_for(&acme, ANN);
    (0..2).for_each(|_| drop(world.request_to(&acme, ANN).unwrap()));
    world.store.forget_commits();
    assert!(world.request_to(&acme, ANN).is_err());
    assert!(world.say(&acme, asked.id, "12").is_err());
    assert!(world.say(&acme, ChallengeId::new(&SeededRandom::new(9)), &asked.code).is_err());
    assert!(wait(world.service.revoke_key(&acme, KeyId::new(world.now(), &SeededRandom::new(9)))).is_err());
    let commits = world.store.commits.lock().unwrap();
    let counted: usize = commits.iter().map(|changes| changes.adds.len()).sum();
    let written: Vec<Kind> = commits.iter().flat_map(written).collect();
    assert_eq!((written, counted), (vec![Kind::Event], 0), "that a limit was reached is told: {commits:?}");
}
