//! Sender domains: proven by a record that has to stay, by each tenant for itself, and never by a failure of the DNS.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::*;
use otp_core::audit::{Action, Actor};
use otp_core::domain::{Domain, DomainName, DomainStatus, Lookup, Resolver};
use otp_core::tenant::TenantStatus;
use otp_core::*;

const PLACE: &str = "_otpauth-verify.acme.com";
const WEEK: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);

type Hook = Box<dyn Fn() + Send + Sync>;

/// A DNS that says what it is told to.
#[derive(Default)]
struct Zone {
    says: Mutex<HashMap<String, Lookup>>,
    asked: AtomicUsize,
    meanwhile: Mutex<Option<Hook>>,
}

impl Zone {
    fn say(&self, lookup: Lookup) {
        self.says.lock().unwrap().insert(PLACE.to_owned(), lookup);
    }

    fn publish(&self, value: &str) {
        self.say(Lookup::Found(vec!["google-site-verification=x".to_owned(), value.to_owned()]));
    }

    fn remove(&self) {
        self.say(Lookup::NotFound);
    }

    fn fail(&self) {
        self.say(Lookup::Failed { reason: "SERVFAIL".to_owned() });
    }

    /// What happens while the next question is being answered.
    fn meanwhile(&self, hook: impl Fn() + Send + Sync + 'static) {
        *self.meanwhile.lock().unwrap() = Some(Box::new(hook));
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Resolver for Zone {
    async fn txt(&self, name: &str) -> Lookup {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.says.lock().unwrap().get(name).cloned().unwrap_or(Lookup::NotFound);
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            // On a thread of its own, because this one is waiting for the answer.
            std::thread::scope(|scope| scope.spawn(meanwhile).join().unwrap());
        }
        answer
    }
}

fn world() -> (World, Arc<Zone>) {
    let zone = Arc::new(Zone::default());
    let resolver = zone.clone();
    (World::with(|builder| builder.resolver(resolver)), zone)
}

fn acme() -> DomainName {
    "acme.com".parse().unwrap()
}

fn add(service: &Service, caller: &Caller) -> AddedDomain {
    wait(service.add_domain(caller, "acme.com", None)).unwrap().value
}

fn check(service: &Service, caller: &Caller) -> Result<DomainView, Error> {
    wait(service.check_domain(caller, &acme()))
}

fn work(world: &World) -> usize {
    wait(world.service.check_due_domains(100)).unwrap()
}

fn view(world: &World, caller: &Caller) -> DomainView {
    wait(world.service.domain(caller, &acme())).unwrap()
}

fn row(world: &World, caller: &Caller) -> Domain {
    world.owned::<Domain>(caller.space().tenant.as_bytes().into()).pop().unwrap()
}

/// Adds the domain and has it verified.
fn verified(world: &World, zone: &Zone, caller: &Caller) -> String {
    let value = add(&world.service, caller).domain.record_value;
    zone.publish(&value);
    world.clock.advance(SECOND);
    assert_eq!(check(&world.service, caller).unwrap().status, DomainStatus::Verified);
    world.clock.advance(SECOND);
    value
}

/// The trail's lines about domains, oldest first.
fn trail(world: &World, caller: &Caller) -> Vec<(Action, Actor)> {
    let of_domains = |action: &Action| {
        matches!(action, Action::DomainAdded | Action::DomainVerified | Action::DomainLost | Action::DomainDeleted)
    };
    let mut lines = world.audit(caller.space().tenant);
    lines.sort_by_key(|line| line.at);
    lines.into_iter().filter(|line| of_domains(&line.action)).map(|line| (line.action, line.actor)).collect()
}

#[test]
fn a_pending_domain_is_looked_up_ever_more_seldom_until_it_expires() {
    let (world, zone) = world();
    let caller = world.live();
    let added = add(&world.service, &caller);
    assert!(added.is_new && !add(&world.service, &caller).is_new);
    assert_eq!(added.domain.expires_at, Some(world.now() + WEEK));
    let mut at = Vec::new();
    let start = world.now();
    while world.now() < start + WEEK + DAY {
        if work(&world) > 0 {
            at.push(world.now().since(start).as_secs() / 60);
        }
        world.clock.advance(MINUTE);
    }
    assert_eq!(at[..10], [1, 2, 4, 8, 16, 32, 64, 124, 184, 244]);
    assert_eq!(zone.asked(), at.len(), "{at:?}");
    assert!(at.len() < 200 && at.last().unwrap() <= &(8 * 24 * 60), "{at:?}");
    let view = view(&world, &caller);
    assert_eq!((view.status, view.verified_at), (DomainStatus::Expired, None));
    assert_eq!(row(&world, &caller).due.at, None);

    // Too late: nothing but adding it again helps, with another value.
    zone.publish(&added.domain.record_value);
    assert_eq!(refusal(check(&world.service, &caller)), "conflict");
    let again = add(&world.service, &caller);
    assert!(again.is_new && again.domain.record_value != added.domain.record_value);
    assert_eq!(check(&world.service, &caller).unwrap().status, DomainStatus::Pending);
}

#[test]
fn the_week_ends_to_the_millisecond() {
    let (world, zone) = world();
    let caller = world.live();
    let value = add(&world.service, &caller).domain.record_value;
    zone.publish(&value);
    world.clock.advance(WEEK - MILLI);
    assert_eq!(view(&world, &caller).status, DomainStatus::Pending);
    world.clock.advance(MILLI);
    assert_eq!(view(&world, &caller).status, DomainStatus::Expired);
    assert_eq!(work(&world), 1);
    assert_eq!(view(&world, &caller).status, DomainStatus::Expired, "what has expired stays expired");
    world.clock.advance(30 * DAY);
    wait(world.service.sweep(100)).unwrap();
    assert_eq!(wait(world.service.domains(&caller)).unwrap().len(), 1);
    world.clock.advance(MILLI);
    wait(world.service.sweep(100)).unwrap();
    assert!(wait(world.service.domains(&caller)).unwrap().is_empty());
}

#[test]
fn a_verified_domain_is_looked_up_daily_and_its_loss_starts_the_grace() {
    let (world, zone) = world();
    let caller = world.live();
    verified(&world, &zone, &caller);
    let since = view(&world, &caller).verified_at;
    let address = "noreply@mail.acme.com".parse().unwrap();
    let covers = |world: &World| row(world, &caller).covers(&address, world.now());
    world.clock.advance(DAY - SECOND - MILLI);
    assert_eq!(work(&world), 0);
    world.clock.advance(MILLI);
    assert_eq!(work(&world), 1);
    assert_eq!(view(&world, &caller).status, DomainStatus::Verified);

    zone.remove();
    world.clock.advance(DAY);
    work(&world);
    let lost = view(&world, &caller);
    assert_eq!((lost.status, lost.verified_at, lost.expires_at), (DomainStatus::Lost, since, Some(world.now() + WEEK)));
    assert!(lost.problem.unwrap().contains("no TXT record") && covers(&world));

    // Found again, the grace is over and the next loss has a whole one.
    zone.publish(&row(&world, &caller).value);
    world.clock.advance(6 * DAY);
    work(&world);
    let found = view(&world, &caller);
    assert_eq!((found.status, found.verified_at, found.expires_at), (DomainStatus::Verified, since, None));

    zone.say(Lookup::Found(vec!["otpauth-verify=somebody-elses".to_owned()]));
    world.clock.advance(DAY);
    work(&world);
    let gone_at = world.now();
    while world.now() < gone_at + WEEK {
        assert!(covers(&world));
        work(&world);
        world.clock.advance(HOUR);
    }
    assert_eq!(view(&world, &caller).status, DomainStatus::Expired);
    assert!(!covers(&world));
    zone.publish(&row(&world, &caller).value);
    work(&world);
    assert_eq!(view(&world, &caller).status, DomainStatus::Expired);

    let by_itself = |action| (action, Actor::Program);
    assert_eq!(
        trail(&world, &caller)[2..],
        [Action::DomainLost, Action::DomainVerified, Action::DomainLost].map(by_itself)
    );
}

#[test]
fn a_failure_of_the_dns_changes_nothing_and_is_tried_again() {
    let (world, zone) = world();
    let caller = world.live();
    let value = add(&world.service, &caller).domain.record_value;
    zone.fail();
    let failed = check(&world.service, &caller).unwrap();
    assert_eq!(failed.status, DomainStatus::Pending);
    assert!(failed.problem.unwrap().contains("SERVFAIL"));
    zone.publish(&value);
    world.clock.advance(MINUTE);
    assert_eq!(work(&world), 1);
    assert_eq!(view(&world, &caller).status, DomainStatus::Verified);

    zone.fail();
    for _ in 0..24 * 30 {
        world.clock.advance(HOUR);
        work(&world);
        assert_eq!(view(&world, &caller).status, DomainStatus::Verified);
    }
    zone.remove();
    world.clock.advance(HOUR);
    work(&world);
    let lost = view(&world, &caller);
    assert_eq!(lost.status, DomainStatus::Lost);
    zone.fail();
    world.clock.advance(HOUR);
    work(&world);
    assert_eq!(view(&world, &caller).expires_at, lost.expires_at);
}

#[test]
fn a_tenant_waits_ten_seconds_between_two_look_ups() {
    let (world, zone) = world();
    let caller = world.live();
    add(&world.service, &caller);
    check(&world.service, &caller).unwrap();
    world.clock.advance(10 * SECOND - MILLI);
    let Err(Error::RateLimited(limited)) = check(&world.service, &caller) else { panic!() };
    assert_eq!(limited.retry_after, 1);
    assert_eq!(zone.asked(), 1);
    world.clock.advance(MILLI);
    check(&world.service, &caller).unwrap();
    // Racing, one of them asks.
    world.clock.advance(10 * SECOND);
    let outcomes = race(8, |_| check(&world.service, &caller));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "rate_limit_exceeded")), (1, 7));
    assert_eq!(zone.asked(), 3);
}

#[test]
fn each_tenant_proves_a_domain_for_itself() {
    let (world, zone) = world();
    let (one, two) = (world.live(), world.live());
    let value = verified(&world, &zone, &one);
    let other = add(&world.service, &two).domain;
    assert_ne!(other.record_value, value);
    world.clock.advance(10 * SECOND);
    let told = check(&world.service, &two).unwrap();
    assert_eq!(told.status, DomainStatus::Pending, "another's value proves nothing");
    zone.say(Lookup::Found(vec![value, other.record_value]));
    world.clock.advance(10 * SECOND);
    assert_eq!(check(&world.service, &two).unwrap().status, DomainStatus::Verified);
    assert_eq!(check(&world.service, &one).unwrap().status, DomainStatus::Verified);
    wait(world.service.delete_domain(&two, &acme())).unwrap();
    assert_eq!(view(&world, &one).status, DomainStatus::Verified);
    for refused in [
        refusal(wait(world.service.delete_domain(&two, &acme()))),
        refusal(wait(world.service.domain(&two, &acme()))),
        refusal(check(&world.service, &two)),
        refusal(wait(world.service.mail_report(&two, &acme(), &[]))),
    ] {
        assert_eq!(refused, "not_found");
    }
    assert!(wait(world.service.domains(&two)).unwrap().is_empty());
    // The modes of one tenant share its domains.
    assert_eq!(view(&world, &world.caller(one.space().tenant, Mode::Test)).status, DomainStatus::Verified);
}

#[test]
fn the_plan_and_the_key_have_to_allow_it() {
    let (world, zone) = world();
    let free = world.caller(world.tenant("free").id, Mode::Live);
    assert_eq!(refusal(wait(world.service.add_domain(&free, "acme.com", None))), "plan_limit");
    let caller = world.live();
    verified(&world, &zone, &caller);
    let downgrade = EditTenant { plan: Some("free".to_owned()), ..EditTenant::default() };
    wait(world.service.edit_tenant(&caller, downgrade)).unwrap();
    world.clock.advance(MINUTE);
    assert_eq!(refusal(check(&world.service, &caller)), "plan_limit");
    assert_eq!(view(&world, &caller).status, DomainStatus::Verified);
    wait(world.service.delete_domain(&caller, &acme())).unwrap();

    let caller = world.live();
    let created = world.create_key(&caller, new_key(api_key::KeyType::Publishable, Mode::Live));
    let publishable = world.authenticate(&created.api_key).unwrap();
    for refused in [
        refusal(wait(world.service.add_domain(&publishable, "acme.com", None))),
        refusal(check(&world.service, &publishable)),
        refusal(wait(world.service.domain(&publishable, &acme()))),
        refusal(wait(world.service.domains(&publishable))),
        refusal(wait(world.service.mail_report(&publishable, &acme(), &[]))),
        refusal(wait(world.service.delete_domain(&publishable, &acme()))),
    ] {
        assert_eq!(refused, "secret_key_required");
    }
}

#[test]
fn without_a_dns_to_ask_it_is_said_and_nothing_is_claimed() {
    let (world, zone) = world();
    let caller = world.live();
    verified(&world, &zone, &caller);
    let blind = world.another_service();
    let caller = wait(blind.program(caller.space().tenant, Mode::Live)).unwrap();
    assert_eq!(refusal(wait(blind.add_domain(&caller, "acme.com", None))), "dns_unavailable");
    assert_eq!(refusal(wait(blind.check_domain(&caller, &acme()))), "dns_unavailable");
    assert_eq!(refusal(wait(blind.mail_report(&caller, &acme(), &[]))), "dns_unavailable");
    assert_eq!(wait(blind.domains(&caller)).unwrap().len(), 1);
    world.clock.advance(DAY);
    assert_eq!(wait(blind.check_due_domains(10)).unwrap(), 0);
    assert_eq!(work(&world), 1);
    wait(blind.delete_domain(&caller, &acme())).unwrap();
}

#[test]
fn two_services_share_the_work_and_a_dead_ones_is_done_after_its_lease() {
    let (world, zone) = world();
    let caller = world.live();
    let resolver = zone.clone();
    let other = Service::builder(world.store.clone(), world.ring.clone())
        .clock(world.clock.clone())
        .random(SeededRandom::new(3))
        .resolver(resolver)
        .build();
    for number in 0..40 {
        wait(world.service.add_domain(&caller, &format!("acme{number}.com"), None)).unwrap();
    }
    world.clock.advance(MINUTE);
    let counts = race(8, |racer| {
        let service = if racer % 2 == 0 { &world.service } else { &other };
        wait(service.check_due_domains(7)).unwrap()
    });
    assert_eq!((counts.iter().sum::<usize>(), zone.asked()), (40, 40), "{counts:?}");

    // One dies between the look-up and writing it down.
    world.clock.advance(MINUTE);
    world.store.fail(Fault::ReadOnly);
    assert!(wait(other.check_due_domains(100)).is_err());
    world.store.mend();
    let failing = world.store.clone();
    zone.meanwhile(move || failing.fail(Fault::Busy));
    assert!(wait(other.check_due_domains(1)).is_err());
    world.store.mend();
    assert_eq!(work(&world), 39);
    world.clock.advance(LEASE - MILLI);
    assert_eq!(work(&world), 0);
    world.clock.advance(MILLI);
    assert_eq!(work(&world), 1);
}

#[test]
fn what_happens_during_a_look_up_wins() {
    let (world, zone) = world();
    let caller = world.live();
    let value = add(&world.service, &caller).domain.record_value;
    zone.publish(&value);
    let (service, deleter) = (world.service.clone(), caller.clone());
    zone.meanwhile(move || wait(service.delete_domain(&deleter, &acme())).unwrap());
    assert_eq!(refusal(check(&world.service, &caller)), "not_found");

    // Deleted and added again: the answer is about a value that is worth nothing any more.
    add(&world.service, &caller);
    zone.publish(&row(&world, &caller).value);
    let (service, other) = (world.service.clone(), caller.clone());
    zone.meanwhile(move || {
        wait(service.delete_domain(&other, &acme())).unwrap();
        add(&service, &other);
    });
    world.clock.advance(MINUTE);
    assert_eq!(work(&world), 1);
    let anew = view(&world, &caller);
    assert_eq!((anew.status, anew.checked_at), (DomainStatus::Pending, None));

    // The tenant asks while a worker is asking: the worker's answer, which is the older one, is not written down.
    world.clock.advance(MINUTE);
    let (service, other, dns) = (world.service.clone(), caller.clone(), zone.clone());
    zone.meanwhile(move || {
        let value = wait(service.domain(&other, &acme())).unwrap().record_value;
        dns.publish(&value);
        assert_eq!(check(&service, &other).unwrap().status, DomainStatus::Verified);
    });
    zone.remove();
    assert_eq!(work(&world), 1);
    assert_eq!(view(&world, &caller).status, DomainStatus::Verified);
    world.clock.advance(DAY - MILLI);
    assert_eq!(work(&world), 0);
}

#[test]
fn racing_to_add_verify_and_delete_leaves_one_state_and_its_trail() {
    let (world, zone) = world();
    let caller = world.live();
    let added = race(8, |_| wait(world.service.add_domain(&caller, "acme.com", None)).unwrap().value);
    assert_eq!(added.iter().filter(|added| added.is_new).count(), 1);
    let value = &added[0].domain.record_value;
    assert!(added.iter().all(|added| added.domain.record_value == *value));
    zone.publish(value);
    for _ in 0..30 {
        world.clock.advance(MINUTE);
        race(9, |racer| match racer % 3 {
            0 => drop(wait(world.service.add_domain(&caller, "acme.com", None))),
            1 => drop(check(&world.service, &caller)),
            _ => drop(wait(world.service.delete_domain(&caller, &acme()))),
        });
        let lines = trail(&world, &caller);
        let count = |action| lines.iter().filter(|(line, _)| *line == action).count();
        let rows = world.owned::<Domain>(caller.space().tenant.as_bytes().into()).len();
        assert_eq!(count(Action::DomainAdded), count(Action::DomainDeleted) + rows);
        // Only the first value was ever published.
        assert!(count(Action::DomainVerified) <= 1);
    }
}

#[test]
fn who_did_what_is_in_the_trail_and_a_cancelled_tenants_domains_rest() {
    let (world, zone) = world();
    let tenant = world.tenant("pro");
    let caller = world.authenticate(&tenant.api_key).unwrap();
    verified(&world, &zone, &caller);
    wait(world.service.delete_domain(&caller, &acme())).unwrap();
    let by_key = |action| (action, Actor::Key(tenant.key_id));
    assert_eq!(
        trail(&world, &caller),
        [Action::DomainAdded, Action::DomainVerified, Action::DomainDeleted].map(by_key)
    );

    verified(&world, &zone, &caller);
    wait(world.service.set_status(&caller, TenantStatus::Cancelled, None)).unwrap();
    world.clock.advance(DAY);
    assert_eq!(work(&world), 1);
    world.clock.advance(30 * DAY);
    assert_eq!(work(&world), 0);
}

#[test]
fn there_are_a_hundred_at_most() {
    let (world, _) = world();
    let caller = world.live();
    let add = |number: usize| wait(world.service.add_domain(&caller, &format!("acme{number}.com"), None));
    (0..100).for_each(|number| drop(add(number).unwrap()));
    assert_eq!(refusal(add(100)), "conflict");
    assert!(!add(99).unwrap().value.is_new);
    wait(world.service.delete_domain(&caller, &"acme0.com".parse().unwrap())).unwrap();
    assert!(add(100).unwrap().value.is_new);
}

#[test]
fn mail_comes_from_a_domain_while_it_is_verified() {
    let (world, zone) = world();
    let caller = world.live();
    let from = |address: &str| {
        let patch = serde_json::json!({"emailConfig": {"fromEmail": address}});
        wait(world.service.configure(&caller, patch.as_object().cloned().unwrap(), None))
    };
    let sent_from = |to: &str| {
        world.ask_for(&caller, to);
        world.inbox.all().last().unwrap().from_email.clone()
    };
    assert_eq!(refusal(from("login@acme.com")), "domain_not_verified");
    verified(&world, &zone, &caller);
    assert_eq!(refusal(from("login@acme.com.evil.example")), "domain_not_verified");
    from("login@mail.acme.com").unwrap();
    assert_eq!(sent_from("ann@example.org").as_deref(), Some("login@mail.acme.com"));
    // Another tenant has proven nothing.
    let other = world.live();
    let patch = serde_json::json!({"emailConfig": {"fromEmail": "login@acme.com"}});
    let refused = wait(world.service.configure(&other, patch.as_object().cloned().unwrap(), None));
    assert_eq!(refusal(refused), "domain_not_verified");

    zone.remove();
    world.clock.advance(DAY);
    work(&world);
    assert_eq!(view(&world, &caller).status, DomainStatus::Lost);
    assert!(sent_from("ben@example.org").is_some(), "there are seven days of grace");
    world.clock.advance(WEEK);
    assert_eq!(sent_from("cy@example.org"), None);
    // The setting stays, and is good again when the record is back.
    assert_eq!(refusal(from("other@acme.com")), "domain_not_verified");
    from("login@mail.acme.com").unwrap();
}
