//! Tenants do not see, change, count or disturb one another: a foreign id answers like one that never existed.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::api_key::KeyType;
use otp_core::*;

const ANN: &str = "ann@example.org";

/// Two errors that a client must not be able to tell apart.
fn alike<T, U>(foreign: Result<T, Error>, unknown: Result<U, Error>) -> String {
    let [foreign, unknown] = [foreign.err().unwrap(), unknown.err().unwrap()]
        .map(|error| format!("{} {error:?} {error} {:?}", error.code(), error.retry_after()));
    assert_eq!(foreign, unknown);
    foreign
}

#[test]
fn a_foreign_id_answers_like_an_unknown_one() {
    let world = World::new();
    let [ours, theirs] = [world.live(), world.live()];
    let random = SeededRandom::new(9);
    let key = world.create_key(&theirs, new_key(KeyType::Secret, Mode::Live)).key.id;
    let asked = world.ask_for(&theirs, ANN);
    let signed_in = world.sign_in(&theirs, "bob@example.org");
    let mine = world.me(&world.sign_in(&ours, ANN)).unwrap();
    let (now, service) = (world.now(), &world.service);
    let no_key = KeyId::new(now, &random);

    alike(world.say(&ours, asked.id, &asked.code), world.say(&ours, ChallengeId::new(&random), &asked.code));
    let spent = ours.clone();
    alike(
        world.say_at(&spent, "bob@example.org", &asked.code),
        world.say_at(&spent, "nobody@example.org", "123456789"),
    );
    alike(wait(service.revoke_key(&ours, key)), wait(service.revoke_key(&ours, no_key)));
    alike(wait(service.rotate_key(&ours, key, DAY, None)), wait(service.rotate_key(&ours, no_key, DAY, None)));
    let edit = EditKey { name: Some("mine".to_owned()), ..EditKey::default() };
    alike(wait(service.edit_key(&ours, key, edit.clone())), wait(service.edit_key(&ours, no_key, edit)));
    let sign_out = |session| wait(service.sign_out(&mine, session, &Client::default()));
    alike(sign_out(signed_in.session_id), sign_out(SessionId::new(now, &random)));
    let refresh = |text: &str| wait(service.refresh(Some(&ours), text, None));
    alike(refresh(signed_in.refresh_token.expose()), refresh("otp_rt_AAAA"));
    let nobody = TenantId::new(now, &random);
    assert_eq!(refusal(wait(service.tenant(nobody))), "not_found");
    assert_eq!(refusal(wait(service.jwks(Space { tenant: nobody, mode: Mode::Live }))), "not_found");
    assert_eq!(refusal(wait(service.program(nobody, Mode::Live))), "not_found");

    // Nothing of theirs was touched.
    assert!(world.say(&theirs, asked.id, &asked.code).is_ok());
    assert!(world.me(&signed_in).is_ok() && world.refresh(&signed_in.refresh_token).is_ok());
    let keys = wait(service.keys(&theirs)).unwrap();
    assert!(keys.len() == 2 && keys.iter().all(|view| view.status == "active" && view.key.name != "mine"));
}

#[test]
fn one_address_is_somebody_else_at_every_tenant() {
    let world = World::new();
    let [ours, theirs] = [world.live(), world.live()];
    let [one, two] = [&ours, &theirs].map(|caller| world.ask_for(caller, ANN));
    assert_ne!(one.code, two.code);
    assert_eq!(refusal(world.say_at(&ours, ANN, &two.code)), "otp_invalid");
    let [one, two] =
        [(&ours, &one), (&theirs, &two)].map(|(caller, asked)| world.say(caller, asked.id, &asked.code).unwrap());
    assert!(one.is_new_user && two.is_new_user && one.user_id != two.user_id);
    // Limits are each tenant's own.
    (0..2).for_each(|_| drop(world.request_to(&ours, ANN).unwrap()));
    assert_eq!(refusal(world.request_to(&ours, ANN)), "rate_limit_exceeded");
    assert!(world.request_to(&theirs, ANN).is_ok());
}

#[test]
fn what_a_tenant_sees_does_not_depend_on_what_another_does() {
    let transcript = |with_load: bool| {
        let world = World::new();
        let [ours, theirs] = [world.caller(world.tenant("free").id, Mode::Live), world.live()];
        let mut seen = Vec::new();
        for step in 0..120 {
            let client = from_ip(&format!("198.51.100.{}", step % 3));
            if with_load {
                for number in 0..3 {
                    let to = email(&format!("user{}@example.org", (step + number) % 4));
                    let _ = world.request(&theirs, OtpRequest { client: client.clone(), ..OtpRequest::to(to.clone()) });
                    let guess = OtpVerification { client: client.clone(), ..OtpVerification::at(to, "123456789") };
                    let _ = world.verify(&theirs, guess);
                }
            }
            let to = format!("user{}@example.org", step % 7);
            let request = OtpRequest { client: client.clone(), ..OtpRequest::to(email(&to)) };
            seen.push(match world.request(&ours, request) {
                Ok(answer) => format!("{:?} {:?} {}", answer.limit, answer.quota, answer.expires_at),
                Err(error) => format!("{error:?}"),
            });
            let guess = OtpVerification { client, ..OtpVerification::at(email(&to), "123456789") };
            seen.push(
                world.verify(&ours, guess).map(drop).map_or_else(|error| format!("{error:?}"), |()| "right".into()),
            );
            world.clock.advance(2 * MINUTE);
        }
        seen
    };
    assert_eq!(transcript(true), transcript(false));
}
