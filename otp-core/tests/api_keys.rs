//! API keys: where they open, until when, and that a revoked one never opens again.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::*;
use otp_core::api_key::KeyType;
use otp_core::audit::{Action, Actor};
use otp_core::event::EventKind;
use otp_core::*;

fn approach<'a>(origin: Option<&'a str>, ip: Option<&str>) -> Approach<'a> {
    Approach { origin, ip: ip.map(|ip| ip.parse().unwrap()), from_browser: false }
}

fn list<const N: usize>(entries: [&str; N]) -> Vec<String> {
    entries.map(str::to_owned).to_vec()
}

#[test]
fn a_key_opens_its_tenant_in_its_mode() {
    let world = World::new();
    let tenant = world.tenant("free");
    let first = world.authenticate(&tenant.api_key).unwrap();
    assert_eq!(first.space(), Space { tenant: tenant.id, mode: Mode::Live });
    assert_eq!(first.key_type(), Some(KeyType::Secret));
    for (key_type, mode, prefix) in [
        (KeyType::Secret, Mode::Live, "otp_live_sk_"),
        (KeyType::Secret, Mode::Test, "otp_test_sk_"),
        (KeyType::Publishable, Mode::Live, "otp_live_pk_"),
        (KeyType::Publishable, Mode::Test, "otp_test_pk_"),
    ] {
        let created = world.create_key(&first, new_key(key_type, mode));
        let text = created.api_key.expose();
        assert!(text.starts_with(prefix) && text.ends_with(&created.key.last4), "{prefix}");
        assert_eq!(text.len(), prefix.len() + 38);
        let caller = world.authenticate(&created.api_key).unwrap();
        assert_eq!((caller.space().mode, caller.key_type()), (mode, Some(key_type)));
        let kept = serde_json::to_string(&created.key).unwrap();
        assert!(!kept.contains(&text[prefix.len()..]), "the key itself is not kept");
    }
    let created =
        world.audit(tenant.id).into_iter().filter(|line| line.action == Action::KeyCreated).collect::<Vec<_>>();
    assert_eq!(created.len(), 4);
    assert!(created.iter().all(|line| line.actor == Actor::Key(tenant.key_id)));
    let event = |mode| world.count_events(Space { tenant: tenant.id, mode }, EventKind::ApiKeyCreated);
    assert_eq!((event(Mode::Live), event(Mode::Test)), (2, 2));
}

#[test]
fn a_mistyped_key_is_refused_without_a_look_up() {
    let world = World::new();
    let key = world.tenant("free").api_key;
    let reads = world.store.reads();
    for place in 0..key.expose().len() {
        let other = if key.expose().as_bytes()[place] == b'x' { "y" } else { "x" };
        let mut typed = key.expose().to_owned();
        typed.replace_range(place..=place, other);
        assert_eq!(refusal(world.authenticate(&Secret::from(typed))), "invalid_api_key");
    }
    assert_eq!(world.store.reads(), reads);
    assert!(world.authenticate(&key).is_ok());
}

#[test]
fn unknown_revoked_and_expired_keys_are_refused_alike() {
    let world = World::new();
    let acme = world.live();
    let expiring = NewApiKey { expires_at: Some(world.now() + HOUR), ..new_key(KeyType::Secret, Mode::Live) };
    let expiring = world.create_key(&acme, expiring);
    let revoked = world.create_key(&acme, new_key(KeyType::Secret, Mode::Live));
    let rotated = world.create_key(&acme, new_key(KeyType::Secret, Mode::Live));
    wait(world.service.revoke_key(&acme, revoked.key.id)).unwrap();
    wait(world.service.rotate_key(&acme, rotated.key.id, MINUTE, None)).unwrap();
    let unknown = api_key::new_key(KeyType::Secret, Mode::Live, &SeededRandom::new(9));

    world.clock.advance(HOUR - MILLI);
    assert!(world.authenticate(&expiring.api_key).is_ok());
    world.clock.advance(MILLI);
    let mut errors = [&expiring.api_key, &revoked.api_key, &rotated.api_key, &unknown]
        .map(|key| format!("{:?}", world.authenticate(key).unwrap_err()))
        .to_vec();
    errors.dedup();
    assert_eq!(errors, ["InvalidApiKey"]);
    let statuses: Vec<&str> = wait(world.service.keys(&acme)).unwrap().iter().map(|view| view.status).collect();
    let count = |status| statuses.iter().filter(|known| **known == status).count();
    assert_eq!((count("expired"), count("revoked"), count("active")), (2, 1, 2), "{statuses:?}");
    let past = NewApiKey { expires_at: Some(world.now()), ..new_key(KeyType::Secret, Mode::Live) };
    assert_eq!(refusal(wait(world.service.create_key(&acme, past))), "invalid_field");
}

#[test]
fn a_replaced_key_works_until_its_grace_ends() {
    let world = World::new();
    let acme = world.live();
    let new = NewApiKey {
        allowed_origins: list(["https://acme.example"]),
        allowed_ips: list(["198.51.100.0/24"]),
        ..new_key(KeyType::Publishable, Mode::Test)
    };
    let old = world.create_key(&acme, new);
    let rotated = wait(world.service.rotate_key(&acme, old.key.id, 7 * DAY, None)).unwrap().value;
    let (new, end) = (&rotated.created, rotated.old_expires_at);
    assert_eq!((rotated.old, end), (old.key.id, world.now() + 7 * DAY));
    assert_eq!((&new.key.name, new.key.key_type, new.key.mode), (&old.key.name, KeyType::Publishable, Mode::Test));
    assert_eq!(new.key.allowed_origins, old.key.allowed_origins);
    assert_eq!(new.key.allowed_ips, old.key.allowed_ips);

    let from = approach(Some("https://acme.example"), Some("198.51.100.7"));
    let open = |key: &Secret| wait(world.service.authenticate(key.expose(), &from)).is_ok();
    assert!(open(&old.api_key) && open(&new.api_key));
    world.clock.set(end - MILLI);
    assert!(open(&old.api_key) && open(&new.api_key));
    world.clock.set(end);
    assert!(!open(&old.api_key) && open(&new.api_key));
    let again = wait(world.service.rotate_key(&acme, old.key.id, DAY, None));
    assert_eq!(refusal(again), "conflict");
    assert_eq!(world.count_events(Space { mode: Mode::Test, ..acme.space() }, EventKind::ApiKeyRotated), 1);
}

#[test]
fn the_grace_is_the_callers_choice_from_none_to_thirty_days() {
    let world = World::new();
    let acme = world.live();
    let rotate = |key: &CreatedKey, grace| wait(world.service.rotate_key(&acme, key.key.id, grace, None));
    let key = world.create_key(&acme, new_key(KeyType::Secret, Mode::Live));
    assert_eq!(refusal(rotate(&key, 30 * DAY + SECOND)), "invalid_field");
    rotate(&key, std::time::Duration::ZERO).unwrap();
    assert_eq!(refusal(world.authenticate(&key.api_key)), "invalid_api_key");
    let key = world.create_key(&acme, new_key(KeyType::Secret, Mode::Live));
    rotate(&key, 30 * DAY).unwrap();
    assert!(world.authenticate(&key.api_key).is_ok());
    wait(world.service.revoke_key(&acme, key.key.id)).unwrap();
    assert_eq!(refusal(world.authenticate(&key.api_key)), "invalid_api_key", "revoking cuts the grace short");

    let soon = NewApiKey { expires_at: Some(world.now() + HOUR), ..new_key(KeyType::Secret, Mode::Live) };
    let soon = world.create_key(&acme, soon);
    let rotated = rotate(&soon, DAY).unwrap().value;
    assert_eq!(rotated.old_expires_at, world.now() + HOUR, "a grace does not prolong a key");
}

#[test]
fn a_key_is_replaced_once_by_however_many_at_a_time() {
    let world = World::new();
    let acme = world.live();
    let key = world.create_key(&acme, new_key(KeyType::Secret, Mode::Live));
    let outcomes = race(32, |_| wait(world.service.rotate_key(&acme, key.key.id, DAY, None)));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "conflict")), (1, 31));
}

#[test]
fn a_revoked_key_never_opens_again_while_sixty_four_use_it() {
    let world = World::new();
    let acme = world.live();
    for round in 0..50 {
        let key = world.create_key(&acme, new_key(KeyType::Secret, Mode::Live));
        let is_revoked = AtomicBool::new(false);
        race(65, |racer| {
            if racer == 64 {
                (0..20).for_each(|_| assert!(world.authenticate(&key.api_key).is_ok()));
                wait(world.service.revoke_key(&acme, key.key.id)).unwrap();
                return is_revoked.store(true, Ordering::SeqCst);
            }
            loop {
                let was_revoked = is_revoked.load(Ordering::SeqCst);
                let outcome = world.authenticate(&key.api_key);
                if was_revoked {
                    return assert_eq!(refusal(outcome), "invalid_api_key", "round {round}");
                }
            }
        });
        // Writing down when it was last used must not write an old state of the key back.
        wait(world.service.flush_key_uses()).unwrap();
        world.clock.advance(2 * SECOND);
        assert_eq!(refusal(world.authenticate(&key.api_key)), "invalid_api_key");
        assert_eq!(
            refusal(wait(world.another_service().authenticate(key.api_key.expose(), &Approach::default()))),
            "invalid_api_key"
        );
        let view = wait(world.service.keys(&acme)).unwrap().into_iter().find(|view| view.key.id == key.key.id).unwrap();
        assert!(view.status == "revoked" && view.last_used_at.is_some());
    }
}

#[test]
fn revoking_twice_tells_once() {
    let world = World::new();
    let acme = world.live();
    let key = world.create_key(&acme, new_key(KeyType::Secret, Mode::Live));
    for _ in 0..3 {
        wait(world.service.revoke_key(&acme, key.key.id)).unwrap();
        world.clock.advance(SECOND);
    }
    assert_eq!(world.count_events(acme.space(), EventKind::ApiKeyRevoked), 1);
    let tenant = acme.space().tenant;
    assert_eq!(world.audit(tenant).iter().filter(|line| line.action == Action::KeyRevoked).count(), 1);
    assert_eq!(refusal(wait(world.service.rotate_key(&acme, key.key.id, DAY, None))), "conflict");
}

#[test]
fn another_server_learns_of_a_revocation_within_a_second() {
    let world = World::new();
    let acme = world.live();
    let other = world.another_service();
    let key = world.create_key(&acme, new_key(KeyType::Secret, Mode::Live));
    let open = || wait(other.authenticate(key.api_key.expose(), &Approach::default())).is_ok();
    assert!(open());
    wait(world.service.revoke_key(&acme, key.key.id)).unwrap();
    world.clock.advance(SECOND);
    assert!(!open());
}

#[test]
fn an_origin_is_compared_as_parsed_and_only_where_there_is_one() {
    let world = World::new();
    let acme = world.live();
    let new = NewApiKey {
        allowed_origins: list(["https://acme.example", "http://localhost:3000"]),
        ..new_key(KeyType::Publishable, Mode::Live)
    };
    let key = world.create_key(&acme, new).api_key;
    let from = |origin| wait(world.service.authenticate(key.expose(), &approach(Some(origin), None)));
    for origin in ["https://acme.example", "https://ACME.example:443", "http://localhost:3000"] {
        assert!(from(origin).is_ok(), "{origin}");
    }
    for origin in [
        "https://acme.example.evil.com",
        "https://evilacme.example",
        "https://www.acme.example",
        "http://acme.example",
        "https://acme.example:8443",
        "http://localhost:3001",
        "https://acme.example/",
        "null",
        "",
        "*",
    ] {
        assert_eq!(refusal(from(origin)), "origin_not_allowed", "{origin}");
    }
    assert!(world.authenticate(&key).is_ok(), "no origin, no check");
}

#[test]
fn a_key_without_origins_falls_back_to_the_tenants() {
    let world = World::new();
    let acme = world.live();
    let key = world.create_key(&acme, new_key(KeyType::Publishable, Mode::Live)).api_key;
    let from = |origin| wait(world.service.authenticate(key.expose(), &approach(Some(origin), None)));
    assert!(from("https://anywhere.example").is_ok() && from("null").is_ok(), "with neither, any origin");
    let allow = |origins: Vec<String>| {
        let edit = EditTenant { allowed_origins: Some(origins), ..EditTenant::default() };
        wait(world.service.edit_tenant(&acme, edit))
    };
    allow(list(["https://*.acme.example"])).unwrap();
    assert!(from("https://shop.acme.example").is_ok());
    assert_eq!(refusal(from("https://acme.example")), "origin_not_allowed");
    allow(list(["*"])).unwrap();
    assert!(from("https://anywhere.example").is_ok());
    assert_eq!(refusal(from("null")), "origin_not_allowed", "null never matches");
    for origin in ["https://acme.example/", "acme.example", "https://*", "http://localhost:*", "https://*.example"] {
        assert_eq!(refusal(allow(list([origin]))), "invalid_origin", "{origin}");
    }
}

#[test]
fn what_a_key_accepts_as_origin_or_network_is_checked_when_it_is_set() {
    let world = World::new();
    let acme = world.live();
    let with = |mode, origin: &str| {
        let new = NewApiKey { allowed_origins: list([origin]), ..new_key(KeyType::Publishable, mode) };
        wait(world.service.create_key(&acme, new))
    };
    for origin in ["https://acme.example/", "acme.example", "*", "https://*.acme.example", "ftp://acme.example", "null"]
    {
        assert_eq!(refusal(with(Mode::Test, origin)), "invalid_origin", "{origin}");
    }
    assert_eq!(refusal(with(Mode::Live, "http://localhost:*")), "invalid_origin");
    let test = with(Mode::Test, "http://localhost:*").unwrap().value;
    let from = |origin| wait(world.service.authenticate(test.api_key.expose(), &approach(Some(origin), None)));
    assert!(from("http://localhost:5173").is_ok() && from("http://localhost").is_ok());
    assert_eq!(refusal(from("http://localhost.evil.com:80")), "origin_not_allowed");

    let edit = |edit: EditKey| wait(world.service.edit_key(&acme, test.key.id, edit));
    for network in ["", "10.0.0.0/33", "localhost", "10.0.0.1-10.0.0.9"] {
        let refused = edit(EditKey { allowed_ips: Some(list([network])), ..EditKey::default() });
        assert_eq!(refusal(refused), "invalid_ip", "{network}");
    }
    assert_eq!(refusal(edit(EditKey { name: Some(" ".to_owned()), ..EditKey::default() })), "invalid_field");
    let view = edit(EditKey {
        name: Some(" Renamed ".to_owned()),
        allowed_origins: Some(list(["https://acme.example"])),
        ..EditKey::default()
    });
    assert_eq!(view.unwrap().key.name, "Renamed");
    assert!(from("https://acme.example").is_ok());
    assert_eq!(refusal(from("http://localhost:5173")), "origin_not_allowed", "at once");
}

#[test]
fn a_key_opens_for_its_networks_only() {
    let world = World::new();
    let acme = world.live();
    let new =
        NewApiKey { allowed_ips: list(["198.51.100.0/24", "2001:db8::/32"]), ..new_key(KeyType::Secret, Mode::Live) };
    let key = world.create_key(&acme, new).api_key;
    let open = world.create_key(&acme, new_key(KeyType::Secret, Mode::Live)).api_key;
    let from = |key: &Secret, ip| wait(world.service.authenticate(key.expose(), &approach(None, ip)));
    for ip in ["198.51.100.7", "::ffff:198.51.100.7", "2001:db8:1::1"] {
        assert!(from(&key, Some(ip)).is_ok(), "{ip}");
    }
    for ip in [Some("198.51.101.7"), Some("::1"), None] {
        assert_eq!(refusal(from(&key, ip)), "ip_not_allowed", "{ip:?}");
        assert!(from(&open, ip).is_ok());
    }
    world.change(&acme, |settings| settings.allowed_ips = vec!["203.0.113.0/24".parse().unwrap()]);
    assert_eq!(refusal(from(&open, Some("198.51.100.7"))), "ip_not_allowed");
    assert!(from(&open, Some("203.0.113.7")).is_ok());
    assert!(from(&key, Some("198.51.100.7")).is_ok(), "its own list goes before the tenant's");
}

#[test]
fn a_secret_key_in_a_browser_is_told_of_once_a_day() {
    let world = World::new();
    world.clock.set(at("2026-02-10T23:59:59Z"));
    let acme = world.live();
    let [secret, publishable] =
        [KeyType::Secret, KeyType::Publishable].map(|kind| world.create_key(&acme, new_key(kind, Mode::Live)).api_key);
    let in_browser = Approach { from_browser: true, ..Approach::default() };
    let exposed = || world.count_events(acme.space(), EventKind::ApiKeyExposed);
    assert!(world.authenticate(&secret).is_ok());
    assert!(wait(world.service.authenticate(publishable.expose(), &in_browser)).is_ok());
    assert_eq!(exposed(), 0);
    let other = world.another_service();
    let outcomes = race(64, |racer| {
        let service = if racer % 2 == 0 { &world.service } else { &other };
        wait(service.authenticate(secret.expose(), &in_browser))
    });
    assert_eq!((tally(&outcomes, "ok"), exposed()), (64, 1), "it still works");
    world.clock.advance(SECOND);
    for _ in 0..3 {
        assert!(wait(world.service.authenticate(secret.expose(), &in_browser)).is_ok());
    }
    assert_eq!(exposed(), 2);
}

#[test]
fn dead_keys_are_forgotten_in_time_and_make_room() {
    let world = World::new();
    let acme = world.live();
    let keys: Vec<CreatedKey> =
        (0..199).map(|_| world.create_key(&acme, new_key(KeyType::Secret, Mode::Live))).collect();
    let one_more = || wait(world.service.create_key(&acme, new_key(KeyType::Secret, Mode::Live)));
    assert_eq!(refusal(one_more()), "conflict");
    for key in &keys[..100] {
        wait(world.service.revoke_key(&acme, key.key.id)).unwrap();
    }
    assert_eq!(refusal(one_more()), "conflict", "revoked keys stay on the list for a while");
    world.clock.advance(90 * DAY + SECOND);
    while wait(world.service.sweep(1_000)).unwrap() > 0 {}
    assert!(one_more().is_ok());
    assert_eq!(wait(world.service.keys(&acme)).unwrap().len(), 101);
    assert_eq!(refusal(world.authenticate(&keys[0].api_key)), "invalid_api_key");
    assert!(world.authenticate(&keys[100].api_key).is_ok());
}
