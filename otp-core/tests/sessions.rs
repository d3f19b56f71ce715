//! Sessions: prolonged by a token that works once, ended by time, by their user, or because a spent token came back.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::event::EventKind;
use otp_core::session::{EndReason, Session, SessionState};
use otp_core::*;

const ANN: &str = "ann@example.org";

fn session(world: &World, caller: &Caller, id: SessionId) -> Session {
    world.record(caller.space().tenant, id.as_bytes()).unwrap()
}

#[test]
fn a_refresh_token_is_exchanged_for_new_tokens_of_the_same_session() {
    let world = World::new();
    let acme = world.live();
    let first = world.sign_in(&acme, ANN);
    world.clock.advance(HOUR);
    let second = world.refresh(&first.refresh_token).unwrap();
    assert_eq!((second.session_id, second.user_id, &second.email), (first.session_id, first.user_id, &first.email));
    assert!(!second.is_new_user);
    assert_eq!(second.expires_at, Timestamp::from_millis((world.now() + 7 * HOUR).as_secs() * 1_000));
    assert_eq!(second.refresh_expires_at, world.now() + 7 * DAY);
    assert_ne!(second.token.expose(), first.token.expose());
    assert_ne!(second.refresh_token.expose(), first.refresh_token.expose());
    assert!(world.me(&first).is_ok() && world.me(&second).is_ok(), "an access token lives until it ends");
    assert!(world.refresh(&second.refresh_token).is_ok());
}

#[test]
fn a_spent_refresh_token_ends_the_session() {
    let world = World::new();
    let acme = world.live();
    for spent in [0, 1, 2] {
        let mut tokens = vec![world.sign_in(&acme, &format!("user{spent}@example.org"))];
        for _ in 0..3 {
            world.clock.advance(SECOND);
            tokens.push(world.refresh(&tokens.last().unwrap().refresh_token).unwrap());
        }
        assert_eq!(refusal(world.refresh(&tokens[spent].refresh_token)), "refresh_token_reused");
        for signed_in in &tokens {
            assert_eq!(refusal(world.refresh(&signed_in.refresh_token)), "invalid_refresh_token");
            assert_eq!(refusal(world.me(signed_in)), "invalid_token");
        }
        let ended = SessionState::Ended { at: world.now(), reason: EndReason::RefreshReused };
        assert_eq!(session(&world, &acme, tokens[0].session_id).state, ended);
    }
}

#[test]
fn two_hundred_refreshes_of_one_token_leave_no_usable_one() {
    let world = World::new();
    let acme = world.unlimited();
    for _ in 0..5 {
        let first = world.sign_in(&acme, ANN);
        let outcomes = race(200, |_| world.refresh(&first.refresh_token));
        assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "refresh_token_reused")), (1, 1));
        assert_eq!(tally(&outcomes, "invalid_refresh_token"), 198);
        let leaf = outcomes.into_iter().find_map(Result::ok).unwrap();
        assert_eq!(refusal(world.refresh(&leaf.refresh_token)), "invalid_refresh_token");
        assert!(world.me(&leaf).is_err() && world.me(&first).is_err());
    }
}

#[test]
fn a_made_up_refresh_token_ends_nothing() {
    let world = World::new();
    let acme = world.live();
    let signed_in = world.sign_in(&acme, ANN);
    let token = signed_in.refresh_token.expose();
    for place in 0..token.len() {
        let other = if token.as_bytes()[place] == b'A' { "B" } else { "A" };
        let mut changed = token.to_owned();
        changed.replace_range(place..=place, other);
        // Two bits of the last character stand for nothing, and base64 refuses them when they are set.
        assert_eq!(refusal(world.refresh(&Secret::from(changed))), "invalid_refresh_token", "place {place}");
    }
    for text in
        ["", "otp_rt_", "otp_rt_AAAA", signed_in.token.expose(), &token[..token.len() - 1], &format!("{token}A")]
    {
        assert_eq!(refusal(world.refresh(&Secret::from(text.to_owned()))), "invalid_refresh_token", "{text}");
    }
    assert!(world.refresh(&signed_in.refresh_token).is_ok());
}

#[test]
fn replacing_an_access_token_revokes_it_and_those_before() {
    let world = World::new();
    let acme = world.live();
    let first = world.sign_in(&acme, ANN);
    let second = world.refresh(&first.refresh_token).unwrap();
    let me = world.me(&second).unwrap();
    let third = wait(world.service.replace_token(&me)).unwrap();
    assert_eq!(third.session_id, first.session_id);
    assert!(world.me(&first).is_err() && world.me(&second).is_err());
    assert!(world.me(&third).is_ok());
    assert_eq!(refusal(wait(world.service.replace_token(&me))), "invalid_token", "a replaced one replaces nothing");
    assert!(world.me(&third).is_ok());
    assert!(world.refresh(&third.refresh_token).is_ok());
    assert_eq!(refusal(world.refresh(&second.refresh_token)), "refresh_token_reused");
}

#[test]
fn an_access_token_is_replaced_once() {
    let world = World::new();
    let acme = world.unlimited();
    let signed_in = world.sign_in(&acme, ANN);
    let me = world.me(&signed_in).unwrap();
    let outcomes = race(64, |_| wait(world.service.replace_token(&me)));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "invalid_token")), (1, 63));
    assert!(world.me(&outcomes.into_iter().find_map(Result::ok).unwrap()).is_ok());
}

#[test]
fn a_session_that_is_not_refreshed_ends_after_a_week() {
    let world = World::new();
    let acme = world.live();
    let [early, late] = ["early@example.org", "late@example.org"].map(|to| world.sign_in(&acme, to));
    world.clock.set(early.refresh_expires_at - MILLI);
    let early = world.refresh(&early.refresh_token).unwrap();
    world.clock.advance(MILLI);
    assert_eq!(refusal(world.refresh(&late.refresh_token)), "invalid_refresh_token");
    assert!(world.me(&early).is_ok());
}

#[test]
fn a_session_that_is_refreshed_ends_after_thirty_days() {
    let world = World::new();
    let acme = world.live();
    let mut current = world.sign_in(&acme, ANN);
    let end = world.now() + 30 * DAY;
    for _ in 0..5 {
        world.clock.advance(5 * DAY);
        current = world.refresh(&current.refresh_token).unwrap();
    }
    assert_eq!(current.refresh_expires_at, end, "25 days and another week are more than 30 days");
    world.clock.set(end - HOUR);
    current = world.refresh(&current.refresh_token).unwrap();
    assert_eq!(current.refresh_expires_at, end);
    assert!(current.expires_at <= end && current.expires_at > end - SECOND, "no token outlives the session");
    world.clock.set(Timestamp::from_millis(current.expires_at.as_millis() - 1));
    assert!(world.me(&current).is_ok());
    world.clock.set(end);
    assert_eq!(refusal(world.refresh(&current.refresh_token)), "invalid_refresh_token");
    assert_eq!(refusal(world.me(&current)), "invalid_token");
}

#[test]
fn an_access_token_ends_with_the_session_that_idles() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| settings.tokens.idle_ttl = 3_600);
    let signed_in = world.sign_in(&acme, ANN);
    world.clock.set(Timestamp::from_millis(signed_in.refresh_expires_at.as_secs() * 1_000 - 1));
    assert!(world.me(&signed_in).is_ok());
    world.clock.advance(SECOND);
    assert_eq!(refusal(world.me(&signed_in)), "invalid_token");
    assert!(signed_in.expires_at <= signed_in.refresh_expires_at, "nor is it good for whoever checks it offline");
}

#[test]
fn signing_out_kills_the_tokens_of_that_session_at_once() {
    let world = World::new();
    let acme = world.live();
    let [here, there] = [ANN, ANN].map(|to| world.sign_in(&acme, to));
    let refreshed = world.refresh(&here.refresh_token).unwrap();
    let me = world.me(&here).unwrap();
    wait(world.service.sign_out(&me, here.session_id, &from_ip("198.51.100.7"))).unwrap();
    for dead in [&here, &refreshed] {
        assert_eq!(refusal(world.me(dead)), "invalid_token");
        assert_eq!(refusal(world.refresh(&dead.refresh_token)), "invalid_refresh_token");
    }
    assert_eq!(refusal(wait(world.service.replace_token(&me))), "invalid_token");
    assert!(world.me(&there).is_ok() && world.refresh(&there.refresh_token).is_ok());
    let again = wait(world.service.sign_out(&me, here.session_id, &Client::default()));
    assert_eq!(refusal(again), "not_found");
    assert_eq!(world.count_events(acme.space(), EventKind::UserLoggedOut), 1);
}

#[test]
fn sessions_are_listed_newest_first_and_ended_one_by_one() {
    let world = World::new();
    let acme = world.live();
    let sign_in = |ip: &str, agent: &str| {
        let asked = world.ask_for(&acme, ANN);
        let client = Client { user_agent: Some(agent.to_owned()), ..from_ip(ip) };
        let verification = OtpVerification { client, ..OtpVerification::of(asked.id, &asked.code) };
        let signed_in = world.verify(&acme, verification).unwrap();
        world.clock.advance(MINUTE);
        signed_in
    };
    let phone = sign_in("198.51.100.7", "Phone");
    let desk = sign_in("2001:db8::1", "Desk");
    let other = world.sign_in(&acme, "bob@example.org");
    let me = world.me(&phone).unwrap();
    let list = wait(world.service.sessions(&me)).unwrap();
    let seen: Vec<_> = list.iter().map(|view| (view.id, view.current, view.user_agent.as_deref().unwrap())).collect();
    assert_eq!(seen, [(desk.session_id, false, "Desk"), (phone.session_id, true, "Phone")]);
    assert_eq!(list[1].ip, Some("198.51.100.7".parse().unwrap()));
    assert_eq!(list[1].expires_at, phone.refresh_expires_at);
    assert_eq!((list[1].created_at, list[1].refreshed_at), (list[0].created_at - MINUTE, list[1].created_at));

    let foreign = wait(world.service.sign_out(&me, other.session_id, &Client::default()));
    let unknown = SessionId::new(world.now(), &SeededRandom::new(9));
    let unknown = wait(world.service.sign_out(&me, unknown, &Client::default()));
    assert_eq!(format!("{foreign:?}"), format!("{unknown:?}"));
    assert!(world.me(&other).is_ok());
    wait(world.service.sign_out(&me, desk.session_id, &Client::default())).unwrap();
    assert!(world.me(&desk).is_err() && world.me(&phone).is_ok());
    assert_eq!(wait(world.service.sessions(&me)).unwrap().len(), 1);
}

#[test]
fn signing_out_everywhere_leaves_no_session_however_many_there_are() {
    let world = World::new();
    let acme = world.unlimited();
    let bob = world.sign_in(&acme, "bob@example.org");
    let sessions: Vec<SignedIn> = (0..1_100)
        .map(|_| {
            world.clock.advance(MILLI);
            world.sign_in(&acme, ANN)
        })
        .collect();
    let me = world.me(&sessions[500]).unwrap();
    assert_eq!(wait(world.service.sign_out_everywhere(&me, &Client::default())).unwrap(), 1_100);
    assert!(sessions.iter().all(|signed_in| world.me(signed_in).is_err()));
    assert!(world.me(&bob).is_ok());
    assert_eq!(wait(world.service.sign_out_everywhere(&me, &Client::default())).unwrap(), 0);
    assert!(world.me(&world.sign_in(&acme, ANN)).is_ok(), "the user can come back");
}

#[test]
fn nothing_revives_a_session_while_it_is_signed_out() {
    let world = World::new();
    let acme = world.unlimited();
    for _ in 0..30 {
        let signed_in = world.sign_in(&acme, ANN);
        let me = world.me(&signed_in).unwrap();
        race(16, |racer| match racer {
            0 => drop(wait(world.service.sign_out(&me, signed_in.session_id, &Client::default()))),
            1..8 => drop(world.refresh(&signed_in.refresh_token)),
            _ => drop(wait(world.service.replace_token(&me))),
        });
        assert_eq!(refusal(world.me(&signed_in)), "invalid_token");
        assert!(matches!(session(&world, &acme, signed_in.session_id).state, SessionState::Ended { .. }));
    }
}
