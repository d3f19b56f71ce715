//! Hooks: a tenant's own service, and the program, have a say in what is sent and in what tokens hold.

#![allow(clippy::unwrap_used)]

mod common;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use common::*;
use futures_util::FutureExt;
use otp_core::hook::{BeforeSend, HookFailure, HookKind, Hooks, Sending, SigningIn};
use otp_core::tenant::{HookTarget, OnFailure};
use otp_core::webhook::{Answer, Failure};
use otp_core::*;
use serde_json::{Map, Value, json};

const URL: &str = "https://hooks.acme.example/otp";

struct Stage {
    world: World,
    receiver: Arc<Receiver>,
    acme: Caller,
}

fn target(on_failure: OnFailure) -> HookTarget {
    HookTarget { url: Some(URL.to_owned()), on_failure, ..HookTarget::default() }
}

fn says(status: u16, body: Value) -> Result<Answer, Failure> {
    Ok(Answer { status, retry_after: None, body: body.to_string().into_bytes() })
}

impl Stage {
    fn new(change: impl FnOnce(&mut tenant::HookSettings)) -> Self {
        let receiver = Arc::new(Receiver::default());
        let world = World::with(|builder| builder.webhooks(receiver.clone()));
        let acme = world.unlimited();
        let acme = world.change(&acme, |settings| change(&mut settings.hooks));
        Self { world, receiver, acme }
    }

    fn before_send(on_failure: OnFailure) -> Self {
        Self::new(|hooks| hooks.before_send = target(on_failure))
    }

    fn claims(on_failure: OnFailure) -> Self {
        Self::new(|hooks| hooks.claims = target(on_failure))
    }

    fn send(&self) -> Delivered {
        self.world.request_to(&self.acme, "ann@example.org").unwrap();
        self.world.deliver()
    }

    /// The tenant sets a secret: the one that it was made with was shown once.
    fn set_secret(&self, secret: &str) {
        let patch = json!({"webhookConfig": {"secret": secret}}).as_object().unwrap().clone();
        wait(self.world.service.configure(&self.acme, patch, None)).unwrap();
    }
}

#[test]
fn a_hook_hears_what_is_about_to_leave_and_never_the_code() {
    let stage = Stage::before_send(OnFailure::Closed);
    let [secret, next] = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_NfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
    stage.set_secret(secret);
    stage.set_secret(next);
    stage.receiver.answers([says(200, json!({"action": "send"}))]);
    let asked = stage.world.ask_for(&stage.acme, "ann@example.org");
    let received = stage.receiver.last();
    assert_eq!(received.url, URL);
    received.verify(secret, stage.world.now()).unwrap();
    received.verify(next, stage.world.now()).expect("for a day both sign");
    let question = received.json();
    assert_eq!(question["type"], "hook.before_send");
    assert_eq!(question["customerId"], json!(stage.acme.space().tenant));
    let data = question["data"].as_object().unwrap();
    assert_eq!(data["to"], "ann@example.org");
    assert_eq!((&data["channel"], &data["purpose"]), (&json!("email"), &json!("login")));
    assert!(!question.to_string().contains(&asked.code), "{question}");
    assert_eq!(received.within, Some(Duration::from_secs(1)));
}

#[test]
fn a_veto_is_the_end_of_a_message_and_told_to_the_tenant() {
    let stage = Stage::before_send(OnFailure::Open);
    stage.receiver.answers([says(200, json!({"action": "veto", "reason": "left\nthe company"}))]);
    assert_eq!(stage.send(), Delivered { vetoed: 1, ..Delivered::default() });
    assert_eq!(stage.world.inbox.count(), 0);
    let shown = wait(stage.world.service.messages(&stage.acme, &MessageQuery::default(), None, 10)).unwrap().items;
    let [shown] = &shown[..] else { panic!("{shown:?}") };
    assert_eq!((shown.status, shown.tries), (delivery::MessageStatus::Vetoed, 0));
    assert_eq!(shown.last_error.as_deref(), Some("vetoed by the before-send hook: leftthe company"));
    assert_eq!(shown.failed_at, Some(stage.world.now()));
    let failed = usage::Counter::MessagesFailed(message::Channel::Email);
    assert_eq!(stage.world.counter(stage.acme.space(), failed, usage::Span::Hour), 0, "nothing went wrong");
    stage.world.clock.advance(MINUTE);
    assert_eq!(stage.world.deliver(), Delivered::default(), "nor is it tried again");
    assert_eq!(stage.receiver.count(), 1);
    let events = stage.world.events(stage.acme.space());
    let told = events.iter().find(|event| event.kind() == event::EventKind::MessageFailed).unwrap();
    assert!(json!(told.data).to_string().contains("vetoed by the before-send hook: leftthe company"), "{told:?}");
}

#[test]
fn other_words_are_rendered_with_the_code_in_them() {
    let stage = Stage::before_send(OnFailure::Closed);
    let words = json!({"action": "replace", "subject": "Hello {{userEmail}}", "text": "Say {{otp}} to {{appName}}."});
    stage.receiver.answers([says(200, words)]);
    let asked = stage.world.ask_for(&stage.acme, "ann@example.org");
    let sent = stage.world.inbox.all().pop().unwrap();
    assert_eq!(sent.subject, "Hello ann@example.org");
    assert!(sent.text.contains(&format!("Say {} to", asked.code)), "{}", sent.text);
    assert!(sent.html.unwrap().contains(&asked.code[..3]), "what was not said stays, in groups of three");
}

/// Words without the code, HTML, too long an answer, an error, silence: no answer that can be followed.
#[test]
fn what_counts_without_an_answer_is_the_tenants_choice() {
    let failures = || {
        [
            says(200, json!({"action": "replace", "text": "no code"})),
            says(200, json!({"action": "replace", "html": "{% for x in y %}"})),
            says(200, json!({"action": "shred"})),
            says(200, json!([])),
            says(500, json!({"action": "send"})),
            says(302, json!({})),
            Err(Failure::Timeout),
            Err(Failure::Forbidden),
        ]
    };
    for failure in failures() {
        let open = Stage::before_send(OnFailure::Open);
        open.receiver.answers([failure.clone()]);
        assert_eq!(open.send().sent, 1, "{failure:?}");
        let closed = Stage::before_send(OnFailure::Closed);
        closed.receiver.answers([failure.clone(), says(204, json!(null))]);
        assert_eq!(closed.send().retried, 1, "{failure:?}");
        closed.world.clock.advance(5 * SECOND);
        assert_eq!(closed.world.deliver().sent, 1, "the next answer lets it leave");
    }
}

#[test]
fn claims_are_in_the_tokens_of_the_session_also_after_a_refresh() {
    let stage = Stage::claims(OnFailure::Closed);
    stage.receiver.always(says(200, json!({"claims": {"roles": ["admin"], "plan": "gold"}})));
    let signed_in = stage.world.sign_in(&stage.acme, "ann@example.org");
    let question = stage.receiver.last().json();
    assert_eq!(question["type"], "hook.claims");
    assert_eq!(question["data"]["email"], "ann@example.org");
    assert_eq!(question["data"]["isNewUser"], true);
    let (_, claims) = parts_of(&signed_in.token);
    assert_eq!((&claims["plan"], &claims["roles"]), (&json!("gold"), &json!(["admin"])));
    let asked = stage.receiver.count();
    let refreshed = stage.world.refresh(&signed_in.refresh_token).unwrap();
    assert_eq!(parts_of(&refreshed.token).1["plan"], "gold");
    assert_eq!(stage.receiver.count(), asked, "a refresh asks nobody");
    let held = format!("{:?}", stage.world.committed::<session::Session>());
    assert!(!held.contains("gold"), "claims are sealed at rest");
}

#[test]
fn nobody_signs_in_without_claims_that_are_a_must() {
    let failures = [
        says(500, json!({})),
        says(200, json!({"claims": {"sub": "somebody else"}})),
        says(200, json!({"claims": {"text": "x".repeat(4096)}})),
        Err(Failure::Timeout),
    ];
    for failure in failures {
        let open = Stage::claims(OnFailure::Open);
        open.receiver.always(failure.clone());
        let signed_in = open.world.sign_in(&open.acme, "ann@example.org");
        open.world.me(&signed_in).unwrap();
        let closed = Stage::claims(OnFailure::Closed);
        closed.receiver.always(failure.clone());
        let asked = closed.world.ask_for(&closed.acme, "ann@example.org");
        let refused = closed.world.say(&closed.acme, asked.id, &asked.code);
        assert_eq!(refusal(refused), "hook_failed", "{failure:?}");
        let sessions = closed.world.committed::<session::Session>();
        assert!(sessions.last().is_some_and(|session| !session.is_open(closed.world.now())), "the session has ended");
    }
}

#[test]
fn a_repeated_call_gets_the_same_claims_and_asks_nobody() {
    let stage = Stage::claims(OnFailure::Closed);
    stage.receiver.always(says(200, json!({"claims": {"plan": "gold"}})));
    let asked = stage.world.ask_for(&stage.acme, "ann@example.org");
    let first = stage.world.verify(&stage.acme, once(&asked)).unwrap();
    let again = stage.world.verify(&stage.acme, once(&asked)).unwrap();
    assert_eq!(parts_of(&first.token).1, parts_of(&again.token).1);
    assert_eq!(stage.receiver.count(), 1);
}

/// The words of a sign-in: the first call and its repetition.
fn once(asked: &Asked) -> OtpVerification {
    OtpVerification {
        idempotency: Some(idempotency::Idempotency::new("once", "POST /auth/verify-otp", b"{}")),
        ..OtpVerification::of(asked.id, &asked.code)
    }
}

#[test]
fn a_call_that_was_cut_off_before_it_had_claims_gets_them_when_repeated() {
    let stage = Stage::claims(OnFailure::Closed);
    let asked = stage.world.ask_for(&stage.acme, "ann@example.org");
    stage.receiver.hangs.store(true, Ordering::SeqCst);
    assert!(stage.world.service.verify_otp(&stage.acme, once(&asked)).now_or_never().is_none(), "it is cut off");
    stage.receiver.hangs.store(false, Ordering::SeqCst);
    stage.receiver.answers([says(200, json!({"claims": {"plan": "gold"}}))]);
    let again = stage.world.verify(&stage.acme, once(&asked)).unwrap();
    assert_eq!(parts_of(&again.token).1["plan"], "gold");
}

#[test]
fn a_sign_in_that_came_to_nothing_comes_to_nothing_again() {
    let stage = Stage::claims(OnFailure::Closed);
    let asked = stage.world.ask_for(&stage.acme, "ann@example.org");
    stage.receiver.answers([says(500, json!({}))]);
    assert_eq!(refusal(stage.world.verify(&stage.acme, once(&asked))), "hook_failed");
    assert_eq!(refusal(stage.world.verify(&stage.acme, once(&asked))), "hook_failed");
    assert_eq!(stage.receiver.count(), 1, "nobody is asked of it again");
}

#[test]
fn of_one_call_that_came_twice_at_a_time_both_get_the_same() {
    let stage = Stage::claims(OnFailure::Closed);
    let asked = stage.world.ask_for(&stage.acme, "ann@example.org");
    stage.receiver.hangs.store(true, Ordering::SeqCst);
    let mut first = pin!(stage.world.service.verify_otp(&stage.acme, once(&asked)));
    assert!(first.as_mut().now_or_never().is_none());
    stage.receiver.hangs.store(false, Ordering::SeqCst);
    stage.receiver.answers([says(200, json!({"claims": {"plan": "gold"}})), says(500, json!({}))]);
    let second = stage.world.verify(&stage.acme, once(&asked)).unwrap();
    let first = wait(first).unwrap().value;
    assert_eq!(parts_of(&first.token).1, parts_of(&second.token).1);
    stage.world.me(&first).unwrap();
}

#[test]
fn in_test_mode_claims_are_asked_for_and_nothing_leaves() {
    let stage = Stage::new(|hooks| {
        hooks.claims = target(OnFailure::Closed);
        hooks.before_send = target(OnFailure::Closed);
    });
    stage.receiver.always(says(200, json!({"claims": {"plan": "gold"}})));
    let test = stage.world.caller(stage.acme.space().tenant, Mode::Test);
    let signed_in = stage.world.sign_in(&test, "ann@example.org");
    assert_eq!(parts_of(&signed_in.token).1["plan"], "gold");
    assert_eq!(stage.receiver.count(), 1);
    assert_eq!(stage.receiver.last().json()["mode"], "test");
}

#[test]
fn whoever_asks_what_is_held_about_them_sees_the_claims() {
    let stage = Stage::claims(OnFailure::Open);
    stage.receiver.always(says(200, json!({"claims": {"plan": "gold"}})));
    let signed_in = stage.world.sign_in(&stage.acme, "ann@example.org");
    let export = wait(stage.world.service.export_user(&stage.acme, signed_in.user_id)).unwrap();
    assert_eq!(export.sessions[0]["claims"], json!({"plan": "gold"}));
}

/// A service that hangs is waited for while nothing is locked and no more than its tenant's places are taken.
#[test]
fn a_hook_that_hangs_holds_up_no_other_tenant() {
    let stage = Stage::before_send(OnFailure::Closed);
    let (world, other) = (&stage.world, stage.world.unlimited());
    (0..100).for_each(|number| drop(world.request_to(&stage.acme, &format!("user{number}@example.org")).unwrap()));
    stage.receiver.hangs.store(true, Ordering::SeqCst);
    let parcels: Vec<Parcel> = std::iter::from_fn(|| world.service.next_parcel()).collect();
    let mut hanging: Vec<_> = parcels.into_iter().map(|parcel| Box::pin(world.service.send(parcel))).collect();
    assert!(hanging.iter_mut().all(|send| send.now_or_never().is_none()));
    world.request_to(&other, "ben@example.org").unwrap();
    assert_eq!(wait(world.service.deliver_fresh(10)).unwrap(), Delivered { sent: 1, ..Delivered::default() });
    assert_eq!(world.inbox.all().pop().unwrap().to, "ben@example.org");
    // It answers when half of the lease is over: whoever claims the messages next sends them.
    world.clock.advance(LEASE / 2);
    stage.receiver.hangs.store(false, Ordering::SeqCst);
    stage.receiver.always(says(204, json!(null)));
    let late: Vec<Sent> = hanging.into_iter().map(wait).collect();
    assert_eq!(wait(world.service.settle(late)).unwrap(), Delivered::default());
    world.clock.advance(LEASE);
    assert_eq!(world.deliver().sent, 100);
}

#[test]
fn what_services_answered_is_counted() {
    let stage = Stage::before_send(OnFailure::Open);
    stage.receiver.answers([says(200, json!({"action": "send"})), Err(Failure::Timeout)]);
    stage.send();
    stage.world.clock.advance(MINUTE);
    stage.send();
    let count = stage.world.service.hook_count(HookKind::BeforeSend);
    assert_eq!(count, HookCount { answered: 1, failed: 1 });
    assert_eq!(stage.world.service.hook_count(HookKind::Claims), HookCount::default());
}

#[test]
fn a_plan_without_webhooks_has_no_hooks() {
    let world = World::new();
    let small = world.caller(world.tenant("free").id, Mode::Live);
    let patch = json!({"hooks": {"claims": {"url": URL}}}).as_object().unwrap().clone();
    assert_eq!(refusal(wait(world.service.configure(&small, patch, None))), "plan_limit");
}

#[test]
fn a_url_of_a_network_of_the_servers_own_is_refused() {
    let stage = Stage::new(|_| ());
    for (section, field) in [("beforeSend", "hooks.beforeSend.url"), ("claims", "hooks.claims.url")] {
        let patch = json!({"hooks": {section: {"url": "https://127.0.0.1/"}}}).as_object().unwrap().clone();
        let Err(Error::Invalid(wrong)) = wait(stage.world.service.configure(&stage.acme, patch, None)) else {
            panic!()
        };
        assert_eq!(wrong.field, field);
        let patch = json!({"hooks": {section: {"timeoutMillis": 5001}}}).as_object().unwrap().clone();
        assert_eq!(refusal(wait(stage.world.service.configure(&stage.acme, patch, None))), "invalid_field");
    }
}

struct OfTheProgram;

#[async_trait]
impl Hooks for OfTheProgram {
    async fn before_send(&self, message: &BeforeSend<'_>) -> Result<Sending, HookFailure> {
        match message.to {
            "ann@example.org" => Ok(Sending::Send),
            "ben@example.org" => Ok(Sending::Veto { reason: None }),
            _ => Err(HookFailure("down".to_owned())),
        }
    }

    async fn claims(&self, user: &SigningIn<'_>) -> Result<Map<String, Value>, HookFailure> {
        let mut claims = Map::new();
        claims.insert("address".to_owned(), json!(user.email));
        Ok(claims)
    }
}

#[test]
fn a_program_says_the_same_by_a_trait() {
    let world = World::with(|builder| builder.hooks(OfTheProgram));
    let acme = world.unlimited();
    let signed_in = world.sign_in(&acme, "ann@example.org");
    assert_eq!(parts_of(&signed_in.token).1["address"], "ann@example.org");
    world.request_to(&acme, "ben@example.org").unwrap();
    world.request_to(&acme, "cy@example.org").unwrap();
    assert_eq!(world.deliver(), Delivered { vetoed: 1, retried: 1, ..Delivered::default() });
}

#[test]
fn the_tenant_is_asked_after_the_program_and_goes_before_it() {
    let receiver = Arc::new(Receiver::default());
    let world = World::with(|builder| builder.webhooks(receiver.clone()).hooks(OfTheProgram));
    let acme = world.unlimited();
    let acme = world.change(&acme, |settings| settings.hooks.claims = target(OnFailure::Closed));
    receiver.answers([says(200, json!({"claims": {"address": "hidden", "plan": "gold"}}))]);
    let claims = parts_of(&world.sign_in(&acme, "ann@example.org").token).1;
    assert_eq!((&claims["address"], &claims["plan"]), (&json!("hidden"), &json!("gold")));
    let acme = world.change(&acme, |settings| settings.hooks.before_send = target(OnFailure::Closed));
    world.request_to(&acme, "ben@example.org").unwrap();
    assert_eq!(world.deliver().vetoed, 1);
    assert_eq!(receiver.count(), 1, "nobody is asked of what the program does not let leave");
}
