//! The audit trail: what it tells, and that nothing can be taken out of it unnoticed.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::api_key::KeyType;
use otp_core::audit::{Action, Audit, AuditFault, AuditHead};
use otp_core::store::{Changes, Key, Reads, Record, Scope, Store, Stored};
use otp_core::*;
use serde_json::{Map, json};

fn reveal(world: &World, caller: &Caller, to: &str) {
    let request = OtpRequest { deliver: Deliver::Caller, ..OtpRequest::to(email(to)) };
    world.request(caller, request).unwrap();
}

fn configure(world: &World, caller: &Caller, ttl: u32) {
    let patch = Map::from_iter([("passcode".to_owned(), json!({"ttl": ttl}))]);
    wait(world.service.configure(caller, patch, None)).unwrap();
}

/// Writes past all rules, as somebody does who has the database.
fn tamper(world: &World, tenant: TenantId, changes: Changes) {
    let reads = Reads { scope: Scope::Tenant(tenant), wanted: Vec::new() };
    wait(world.store.inner.transact(reads, Box::new(move |_| changes.clone()))).unwrap();
}

fn put(record: impl Into<Record>) -> Changes {
    Changes { puts: vec![record.into()], ..Changes::none() }
}

fn delete(key: Key) -> Changes {
    Changes { deletes: vec![key], ..Changes::none() }
}

fn faults(world: &World) -> Vec<AuditFault> {
    wait(world.service.verify_audit()).unwrap().faults
}

/// Some acts of a tenant, whose lines are given newest first.
fn busy(world: &World, caller: &Caller) -> Vec<Audit> {
    (0..4).for_each(|number| {
        world.clock.advance(SECOND);
        configure(world, caller, 100 + number);
    });
    world.clock.advance(SECOND);
    reveal(world, caller, "ann@example.org");
    world.clock.advance(SECOND);
    world.audit(caller.space().tenant)
}

#[test]
fn every_line_has_its_place_whatever_runs_at_the_same_time() {
    let world = World::new();
    let acme = world.unlimited();
    race(24, |number| match number % 3 {
        0 => configure(&world, &acme, 60 + number as u32),
        1 => drop(world.create_key(&acme, new_key(KeyType::Secret, Mode::Live))),
        _ => reveal(&world, &acme, &format!("user{}@example.org", number % 2)),
    });
    world.clock.advance(SECOND);
    let report = wait(world.service.verify_audit()).unwrap();
    assert_eq!((report.lines, report.chains, report.faults), (world.audit(acme.space().tenant).len(), 3, vec![]));
}

#[test]
fn what_is_changed_taken_out_or_put_in_is_noticed() {
    let world = World::new();
    let acme = world.live();
    let tenant = acme.space().tenant;
    let lines = busy(&world, &acme);
    assert_eq!(faults(&world), []);
    let (last, inner) = (&lines[1], &lines[2]);

    let changed = Audit { data: json!({"version": 2, "changes": []}), ..inner.clone() };
    tamper(&world, tenant, put(changed));
    assert_eq!(faults(&world), [AuditFault::Changed(tenant, inner.id)]);
    tamper(&world, tenant, delete(inner.key()));
    assert_eq!(faults(&world), [AuditFault::Gap(tenant, last.id)]);
    tamper(&world, tenant, put(inner.clone()));
    assert_eq!(faults(&world), []);

    tamper(&world, tenant, delete(last.key()));
    assert_eq!(faults(&world), [AuditFault::CutOff(tenant, Some(inner.id))]);
    tamper(&world, tenant, put(last.clone()));

    let forged = Audit { id: id::AuditId::from_bytes([9; 16]), link: None, ..inner.clone() };
    tamper(&world, tenant, put(forged.clone()));
    assert_eq!(faults(&world), [AuditFault::Unchained(tenant, forged.id)]);
    tamper(&world, tenant, delete(forged.key()));

    // A line of another tenant's is no line of this one's.
    let other = world.live();
    let moved = Audit { tenant: other.space().tenant, ..inner.clone() };
    world.clock.advance(SECOND);
    tamper(&world, tenant, put(moved));
    assert!(faults(&world).contains(&AuditFault::Changed(other.space().tenant, inner.id)));
    tamper(&world, tenant, delete(Key::new::<Audit>(other.space().tenant, inner.id.as_bytes())));

    // The chain of the recipient, whole.
    let revealed = &lines[0];
    tamper(&world, tenant, delete(revealed.key()));
    assert_eq!(faults(&world), [AuditFault::CutOff(tenant, None)]);
    tamper(&world, tenant, put(revealed.clone()));
    assert_eq!(faults(&world), []);
}

#[test]
fn a_ring_without_the_key_says_so_and_one_with_a_further_key_goes_on() {
    let world = World::new();
    let acme = world.live();
    let lines = busy(&world, &acme);
    let further: KeyRing =
        format!("2:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=,{}", world.ring.export().expose()).parse().unwrap();
    let service = world.service_with(further, 9);
    let there = wait(service.program(acme.space().tenant, Mode::Live)).unwrap();
    wait(service.configure(&there, Map::from_iter([("passcode".to_owned(), json!({"ttl": 90}))]), None)).unwrap();
    world.clock.advance(SECOND);
    assert!(wait(service.verify_audit()).unwrap().faults.is_empty());
    let strange = wait(world.service_with(KeyRing::generate(&SeededRandom::new(77)), 8).verify_audit()).unwrap();
    assert_eq!(strange.faults.iter().filter(|fault| matches!(fault, AuditFault::Changed(..))).count(), lines.len());
    assert!(strange.faults.iter().any(|fault| matches!(fault, AuditFault::KeyMissing(_, _, 2))));
}

#[test]
fn lines_go_after_ninety_days_and_the_rest_stays_whole() {
    let world = World::new();
    let acme = world.live();
    busy(&world, &acme);
    world.clock.advance(45 * DAY);
    configure(&world, &acme, 61);
    world.clock.advance(46 * DAY);
    while wait(world.service.sweep(100)).unwrap() > 0 {}
    let kept = world.audit(acme.space().tenant);
    assert_eq!((kept.len(), kept[0].action), (1, Action::ConfigurationChanged));
    assert_eq!(faults(&world), []);
    configure(&world, &acme, 62);
    world.clock.advance(SECOND);
    assert_eq!(faults(&world), []);
    // The recipient's chain has gone, and begins anew.
    world.clock.advance(DAY);
    while wait(world.service.sweep(100)).unwrap() > 0 {}
    assert_eq!(world.committed::<AuditHead>().iter().filter(|head| head.number == 1).count(), 2);
    reveal(&world, &acme, "ann@example.org");
    world.clock.advance(SECOND);
    assert_eq!(faults(&world), []);
}

#[test]
fn how_long_lines_are_kept_is_set_and_none_goes_before_an_older_one() {
    let world = World::new();
    let acme = world.live();
    let days_of = |days| {
        let service = Service::builder(world.store.clone(), world.ring.clone()).clock(world.clock.clone());
        service.random(SeededRandom::new(u64::from(days))).audit_days(days).build()
    };
    let configure = |service: &Service, ttl: u32| {
        let there = wait(service.program(acme.space().tenant, Mode::Live)).unwrap();
        wait(service.configure(&there, Map::from_iter([("passcode".to_owned(), json!({"ttl": ttl}))]), None)).unwrap();
    };
    let left_after = |time| {
        world.clock.advance(time);
        while wait(world.service.sweep(100)).unwrap() > 0 {}
        assert_eq!(faults(&world), []);
        world.audit(acme.space().tenant).len()
    };
    let made = world.audit(acme.space().tenant).len();
    configure(&days_of(400), 61);
    configure(&days_of(30), 62);
    assert_eq!(left_after(91 * DAY), 2, "of {made} and two, those of 90 days have gone");
    assert_eq!(left_after(308 * DAY), 2, "the last one waits for the one before it");
    assert_eq!(left_after(2 * DAY), 0);
    configure(&days_of(30), 63);
    assert_eq!(left_after(29 * DAY), 1);
    assert_eq!(left_after(2 * DAY), 0);
}

#[test]
fn the_trail_is_read_in_pages_by_time_and_kind() {
    let world = World::new();
    let program = world.live();
    let began_at = world.now();
    let scopes = vec![api_key::KeyScope::OtpReveal];
    let key = world.create_key(&program, NewApiKey { scopes, ..new_key(KeyType::Secret, Mode::Live) });
    let client = Client {
        user_agent: Some("curl/8".into()),
        operation: Some("PUT /admin/config".into()),
        ..from_ip("192.0.2.7")
    };
    let acme = world.authenticate(&key.api_key).unwrap().with_client(client);
    busy(&world, &acme);
    busy(&world, &world.live());
    let read = |from, until, action, cursor: Option<&str>, limit| {
        let (page, total) =
            wait(world.service.audit_log(&acme, AuditQuery { from, until, action }, cursor, limit)).unwrap();
        (page, total)
    };
    let (all, total) = read(began_at, world.now(), None, None, 200);
    assert_eq!((all.items.len(), total, all.next), (7, 7, None));
    let newest = &all.items[1];
    assert_eq!((newest.action, newest.actor), (Action::ConfigurationChanged, audit::Actor::Key(key.key.id)));
    assert_eq!((newest.ip, newest.user_agent.as_deref()), ("192.0.2.7".parse().ok(), Some("curl/8")));
    assert_eq!(newest.operation.as_deref(), Some("PUT /admin/config"));

    let (first, total) = read(began_at, world.now(), Some(Action::ConfigurationChanged), None, 3);
    assert_eq!((first.items.len(), total), (3, 4));
    let (second, total) = read(began_at, world.now(), Some(Action::ConfigurationChanged), first.next.as_deref(), 3);
    assert_eq!((second.items.len(), total, second.next), (1, 4, None));
    let (none, total) = read(newest.at + MILLI, world.now(), Some(Action::ConfigurationChanged), None, 3);
    assert_eq!((none.items.len(), total), (0, 0));
    let (one, _) = read(newest.at, newest.at + MILLI, None, None, 3);
    assert_eq!(one.items.len(), 1);

    let publishable = world.create_key(&program, new_key(KeyType::Publishable, Mode::Live));
    let publishable = world.authenticate(&publishable.api_key).unwrap();
    let query = AuditQuery { from: began_at, until: world.now(), action: None };
    assert_eq!(refusal(wait(world.service.audit_log(&publishable, query, None, 1))), "secret_key_required");
    assert_eq!(refusal(wait(world.service.audit_log(&acme, query, Some("x"), 1))), "invalid_cursor");
}
