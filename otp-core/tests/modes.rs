//! Test mode, which shows codes and sends nothing, and the one other way to see a code: delivering it oneself.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::api_key::{KeyScope, KeyType};
use otp_core::audit::{Action, Actor};
use otp_core::event::EventKind;
use otp_core::message::{Message, MessageState};
use otp_core::user::User;
use otp_core::*;
use serde_json::json;

const ANN: &str = "ann@example.org";

#[test]
fn test_mode_shows_the_code_and_sends_nothing() {
    let world = World::new();
    let test = world.caller(world.tenant("free").id, Mode::Test);
    let answer = world.request_to(&test, ANN).unwrap();
    let code = answer.code.clone().unwrap();
    assert_eq!(world.request_to(&test, ANN).unwrap().code.unwrap().expose(), code.expose());
    for _ in 0..3 {
        assert_eq!(world.deliver(), Delivered::default());
        world.clock.advance(MINUTE);
    }
    assert_eq!(world.inbox.count(), 0);
    let messages: Vec<Message> = world.committed();
    assert!(messages.len() == 2 && messages.iter().all(|message| message.state == MessageState::Held));

    let signed_in = world.say(&test, answer.challenge_id, code.expose()).unwrap();
    assert_eq!(parts_of(&signed_in.token).1["amr"], json!(["otp", "test"]));
    assert!(world.me(&signed_in).is_ok());
}

#[test]
fn live_mode_shows_no_code() {
    let world = World::new();
    let acme = world.live();
    assert!(world.request_to(&acme, ANN).unwrap().code.is_none());
    assert!(world.request_to(&acme, ANN).unwrap().code.is_none());
    let signed_in = world.sign_in(&acme, ANN);
    assert_eq!(parts_of(&signed_in.token).1["amr"], json!(["otp"]));
}

#[test]
fn the_modes_of_a_tenant_share_nothing() {
    let world = World::new();
    let id = world.tenant("enterprise").id;
    let [live, test] = [Mode::Live, Mode::Test].map(|mode| world.caller(id, mode));
    let shown = world.request_to(&test, ANN).unwrap();
    let asked = world.ask_for(&live, ANN);
    let code = shown.code.unwrap();
    assert_ne!(asked.code, code.expose());

    assert_eq!(refusal(world.say(&live, shown.challenge_id, code.expose())), "otp_not_found");
    assert_eq!(refusal(world.say(&test, asked.id, &asked.code)), "otp_not_found");
    assert_eq!(refusal(world.say_at(&live, ANN, code.expose())), "otp_invalid");
    assert_eq!(refusal(world.say_at(&test, ANN, &asked.code)), "otp_invalid");

    // Each has its own limits, users, sessions and events.
    (0..2).for_each(|_| drop(world.request_to(&test, ANN).unwrap()));
    assert_eq!(refusal(world.request_to(&test, ANN)), "rate_limit_exceeded");
    assert!(world.request_to(&live, ANN).is_ok());
    let tested = world.say(&test, shown.challenge_id, code.expose()).unwrap();
    let real = world.say(&live, asked.id, &asked.code).unwrap();
    assert!(tested.is_new_user && real.is_new_user && tested.user_id != real.user_id);
    for caller in [&live, &test] {
        assert_eq!(world.owned::<User>(caller.space().owner()).len(), 1);
        assert_eq!(world.count_events(caller.space(), EventKind::UserLoggedIn), 1);
    }
    let of_live = world.me(&real).unwrap();
    assert_eq!(wait(world.service.sessions(&of_live)).unwrap().len(), 1);
    let other = wait(world.service.sign_out(&of_live, tested.session_id, &Client::default()));
    assert_eq!(refusal(other), "not_found");
    let refreshed = wait(world.service.refresh(Some(&live), tested.refresh_token.expose(), None));
    assert_eq!(refusal(refreshed), "invalid_refresh_token");
    assert!(wait(world.service.refresh(Some(&test), tested.refresh_token.expose(), None)).is_ok());
}

#[test]
fn whoever_delivers_the_code_needs_the_permission_and_leaves_a_trace() {
    let world = World::new();
    let tenant = world.tenant("enterprise");
    let program = world.caller(tenant.id, Mode::Live);
    let reveal = || OtpRequest { deliver: Deliver::Caller, ..OtpRequest::to(email(ANN)) };
    let scopes = || vec![KeyScope::OtpReveal];
    let publishable = NewApiKey { scopes: scopes(), ..new_key(KeyType::Publishable, Mode::Live) };
    let plain = new_key(KeyType::Secret, Mode::Live);
    let may = NewApiKey { scopes: scopes(), ..new_key(KeyType::Secret, Mode::Live) };

    for new in [publishable, plain] {
        let caller = world.authenticate(&world.create_key(&program, new).api_key).unwrap();
        world.store.forget_commits();
        assert_eq!(refusal(world.request(&caller, reveal())), "scope_required");
        assert!(world.store.commits.lock().unwrap().is_empty());
    }
    let key = world.create_key(&program, may);
    let client = Client { request_id: Some("req-1".to_owned()), ..from_ip("198.51.100.7") };
    let caller = world.authenticate(&key.api_key).unwrap().with_client(client);
    let answer = world.request(&caller, reveal()).unwrap();
    assert_eq!(world.deliver(), Delivered::default());
    assert_eq!(world.committed::<Message>().len(), 0);
    world.clock.advance(SECOND);
    assert!(world.request(&caller, reveal()).is_ok());

    let trail: Vec<_> = world.audit(tenant.id).into_iter().filter(|line| line.action == Action::OtpRevealed).collect();
    assert_eq!(trail.len(), 2, "one line for each time");
    for line in &trail {
        assert_eq!((line.actor, line.target.as_str()), (Actor::Key(key.key.id), &*answer.challenge_id.to_string()));
        assert_eq!(line.request_id.as_deref(), Some("req-1"));
        assert!(line.client.is_some());
        assert!(!format!("{line:?}").contains(answer.code.as_ref().unwrap().expose()));
    }
    assert!(world.say(&caller, answer.challenge_id, answer.code.unwrap().expose()).is_ok());
}

#[test]
fn a_code_that_the_caller_delivers_counts_like_any_other() {
    let world = World::new();
    let acme = world.caller(world.tenant("free").id, Mode::Live);
    let reveal = || OtpRequest { deliver: Deliver::Caller, ..OtpRequest::to(email(ANN)) };
    for remaining in [49, 48, 47] {
        assert_eq!(world.request(&acme, reveal()).unwrap().quota.unwrap().remaining, remaining);
    }
    assert_eq!(refusal(world.request(&acme, reveal())), "rate_limit_exceeded");
}
