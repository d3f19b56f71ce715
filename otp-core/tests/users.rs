//! Users as their tenant sees them: listed, found, signed out. What becomes of their data is in `erasure`.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::api_key::KeyType;
use otp_core::audit::Action;
use otp_core::session::Session;
use otp_core::*;

const ANN: &str = "ann@example.org";

fn list(world: &World, caller: &Caller, cursor: Option<&str>, limit: usize) -> Result<Page<UserView>, Error> {
    wait(world.service.users(caller, cursor, limit))
}

fn find(world: &World, caller: &Caller, address: Address) -> Option<UserId> {
    wait(world.service.user_at(caller, &address)).unwrap().map(|user| user.id)
}

#[test]
fn users_are_listed_newest_first_in_pages() {
    let world = World::new();
    let acme = world.live();
    let mut expected = Vec::new();
    for number in 0..7 {
        world.clock.advance(SECOND);
        let address = format!("User{number}@example.org");
        expected.insert(0, (world.sign_in(&acme, &address).user_id, Some(address)));
    }
    for limit in [1, 3, 7, 50] {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = list(&world, &acme, cursor.as_deref(), limit).unwrap();
            assert!(page.items.len() <= limit);
            found.extend(page.items.into_iter().map(|user| (user.id, user.email)));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{limit} at a time, as first spelled");
    }
}

#[test]
fn a_cursor_is_good_for_the_list_it_was_given_out_for() {
    let world = World::new();
    let (acme, other) = (world.live(), world.live());
    for caller in [&acme, &other] {
        (0..2).for_each(|number| drop(world.sign_in(caller, &format!("user{number}@example.org"))));
    }
    let cursor = list(&world, &acme, None, 1).unwrap().next.unwrap();
    let user = cursor.split('.').next().unwrap().to_owned();
    let test = world.caller(acme.space().tenant, Mode::Test);
    assert_eq!(list(&world, &acme, Some(&cursor), 1).unwrap().items.len(), 1);
    for stranger in [&other, &test] {
        assert_eq!(refusal(list(&world, stranger, Some(&cursor), 1)), "invalid_cursor");
    }
    for forged in ["", ".", "nonsense", &user, &format!("{user}."), &format!("{cursor}A")] {
        assert_eq!(refusal(list(&world, &acme, Some(forged), 1)), "invalid_cursor", "{forged}");
    }
    // It still leads on when the user it names is gone.
    wait(world.service.erase_user(&acme, user.parse().unwrap())).unwrap();
    assert_eq!(list(&world, &acme, Some(&cursor), 1).unwrap().items.len(), 1);
}

#[test]
fn a_whole_address_finds_its_user_in_any_spelling_and_a_part_finds_nobody() {
    let world = World::new();
    let acme = world.live();
    let ann = world.sign_in(&acme, "Ann@B\u{fc}cher.example").user_id;
    let ben = world.sign_in(&acme, "ben+shop@example.org").user_id;
    for spelling in ["ann@b\u{fc}cher.example", " ANN@XN--BCHER-KVA.Example "] {
        assert_eq!(find(&world, &acme, email(spelling)), Some(ann), "{spelling}");
    }
    assert_eq!(find(&world, &acme, email("ben+SHOP@example.org")), Some(ben));
    for nobody in ["ben@example.org", "nn@b\u{fc}cher.example", "ann@bucher.example"] {
        assert_eq!(find(&world, &acme, email(nobody)), None, "{nobody}");
    }
    assert_eq!(find(&world, &acme, phone("+4915112345678")), None);
    let test = world.caller(acme.space().tenant, Mode::Test);
    for stranger in [&test, &world.live()] {
        assert_eq!(find(&world, stranger, email("ann@b\u{fc}cher.example")), None);
        assert!(list(&world, stranger, None, 50).unwrap().items.is_empty());
    }
}

#[test]
fn users_of_another_tenant_or_mode_are_no_users() {
    let world = World::new();
    let acme = world.live();
    let signed_in = world.sign_in(&acme, ANN);
    let (id, session) = (signed_in.user_id, signed_in.session_id);
    let test = world.caller(acme.space().tenant, Mode::Test);
    let nobody = UserId::new(world.now(), &SeededRandom::new(9));
    for (stranger, id) in [(&test, id), (&world.live(), id), (&acme, nobody)] {
        let service = &world.service;
        assert_eq!(refusal(wait(service.user(stranger, id))), "not_found");
        assert_eq!(refusal(wait(service.export_user(stranger, id))), "not_found");
        assert_eq!(refusal(wait(service.user_sessions(stranger, id))), "not_found");
        assert_eq!(refusal(wait(service.revoke_session(stranger, id, session))), "not_found");
        assert_eq!(refusal(wait(service.revoke_sessions(stranger, id))), "not_found");
        assert_eq!(refusal(wait(service.erase_user(stranger, id))), "not_found");
    }
    assert!(world.me(&signed_in).is_ok());
    assert_eq!(world.audit(acme.space().tenant).len(), 1, "the tenant's creation");

    let publishable = world.create_key(&acme, new_key(KeyType::Publishable, Mode::Live));
    let browser = world.authenticate(&publishable.api_key).unwrap();
    assert_eq!(refusal(list(&world, &browser, None, 50)), "secret_key_required");
    assert_eq!(refusal(wait(world.service.user(&browser, id))), "secret_key_required");
    assert_eq!(refusal(wait(world.service.erase_user(&browser, id))), "secret_key_required");
}

#[test]
fn a_tenant_ends_one_session_or_all_and_it_is_in_the_audit_trail() {
    let world = World::new();
    let acme = world.unlimited();
    let devices: Vec<SignedIn> = (0..3).map(|_| world.sign_in(&acme, ANN)).collect();
    let ben = world.sign_in(&acme, "ben@example.org");
    let id = devices[0].user_id;
    let open = || wait(world.service.user_sessions(&acme, id)).unwrap();
    assert_eq!(open().len(), 3);
    assert!(open().iter().all(|session| !session.current));
    let revoke = |session| wait(world.service.revoke_session(&acme, id, session));
    assert_eq!(refusal(revoke(ben.session_id)), "not_found");

    revoke(devices[1].session_id).unwrap();
    assert_eq!(refusal(world.me(&devices[1])), "invalid_token");
    assert_eq!(refusal(world.refresh(&devices[1].refresh_token)), "invalid_refresh_token");
    assert_eq!(refusal(revoke(devices[1].session_id)), "not_found", "it is over");
    assert_eq!(open().len(), 2);
    world.clock.advance(MILLI);
    assert_eq!(wait(world.service.revoke_sessions(&acme, id)).unwrap(), 2);
    assert_eq!(wait(world.service.revoke_sessions(&acme, id)).unwrap(), 0);
    assert!(devices.iter().all(|device| world.me(device).is_err()));
    assert!(world.me(&ben).is_ok());

    let ended: Vec<Session> = world.owned(id.as_bytes().into());
    let revoked = |session: &Session| format!("{:?}", session.state).contains("Revoked");
    assert!(ended.len() == 3 && ended.iter().all(revoked), "{ended:?}");
    let mut lines = world.audit(acme.space().tenant);
    lines.retain(|line| line.action == Action::SessionRevoked);
    let told: Vec<_> = lines.iter().map(|line| (line.target.clone(), line.data["sessions"].clone())).collect();
    assert_eq!(told, [(id.to_string(), 2.into()), (id.to_string(), 1.into())]);
    assert_eq!(lines[1].data["sessionId"], devices[1].session_id.to_string());
}

#[test]
fn the_terms_that_were_accepted_last_are_kept_with_the_user() {
    let world = World::new();
    let acme = world.unlimited();
    let consent = || wait(world.service.users(&acme, None, 1)).unwrap().items[0].consent.clone();
    let sign_in = |version: Option<&str>| {
        let asked = world.ask_for(&acme, ANN);
        let consent = version.map(str::to_owned);
        world.verify(&acme, OtpVerification { consent, ..OtpVerification::of(asked.id, &asked.code) })
    };
    sign_in(None).unwrap();
    assert_eq!(consent(), None);
    for version in ["", "two\nlines", &"x".repeat(65)] {
        assert_eq!(refusal(sign_in(Some(version))), "invalid_consent");
    }
    sign_in(Some("2026-01")).unwrap();
    let first = consent().unwrap();
    assert_eq!((first.version.as_str(), first.at), ("2026-01", world.now()));
    world.clock.advance(DAY);
    sign_in(None).unwrap();
    assert_eq!(consent(), Some(first), "a sign-in without terms changes nothing");
    let asked = world.ask_for(&acme, ANN);
    let verification =
        OtpVerification { consent: Some("2026-02".to_owned()), ..OtpVerification::of(asked.id, &asked.code) };
    wait(world.service.prove_otp(&acme, verification)).unwrap();
    let second = consent().unwrap();
    assert_eq!((second.version.as_str(), second.at), ("2026-02", world.now()));
}
