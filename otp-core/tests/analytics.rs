//! Reports are what was done, to the unit: a seeded load over days, tenants, modes and channels is counted beside the engine.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::*;
use otp_core::message::Channel;
use otp_core::metrics::{Funnel, Metrics};
use otp_core::period::{Period, PeriodQuery};
use otp_core::store::{Changes, Reads, Scope, Store};
use otp_core::usage::Span;
use otp_core::visit::Visit;
use otp_core::*;

/// What the load did in one hour.
#[derive(Clone, Debug, Default)]
struct Hour {
    requests: u64,
    right: u64,
    wrong: u64,
    mails: u64,
    texts: u64,
    phone_requests: u64,
    phone_logins: u64,
    new_users: u64,
    users: BTreeSet<String>,
}

/// A load, and what it came to by the hour.
struct Load {
    random: SeededRandom,
    hours: BTreeMap<Timestamp, Hour>,
    known: BTreeSet<String>,
}

impl Load {
    fn new(seed: u64) -> Self {
        Self { random: SeededRandom::new(seed), hours: BTreeMap::new(), known: BTreeSet::new() }
    }

    fn below(&self, bound: u64) -> u64 {
        let random: &dyn Random = &self.random;
        u64::from_be_bytes(random.bytes()) % bound
    }

    /// One user asks for a code, and perhaps says it or another.
    fn act(&mut self, world: &World, caller: &Caller) {
        let number = self.below(60);
        let is_phone = number < 12;
        let to = if is_phone { format!("+4915112345{number:03}") } else { format!("user{number}@example.org") };
        let address = if is_phone { phone(&to) } else { email(&to) };
        let asked = world.ask(caller, OtpRequest::to(address));
        let hour = self.hours.entry(Span::Hour.start(world.now())).or_default();
        let is_sent = u64::from(caller.space().mode == Mode::Live);
        hour.requests += 1;
        match is_phone {
            true => (hour.phone_requests, hour.texts) = (hour.phone_requests + 1, hour.texts + is_sent),
            false => hour.mails += is_sent,
        }
        for guess in 0..self.below(4) {
            let is_right = self.below(2) == 0;
            let code = if is_right { asked.code.clone() } else { wrong(&asked.code, guess as usize) };
            let hour = self.hours.get_mut(&Span::Hour.start(world.now())).unwrap();
            match world.say(caller, asked.id, &code) {
                Ok(signed_in) => {
                    hour.right += 1;
                    hour.phone_logins += u64::from(is_phone);
                    hour.new_users += u64::from(self.known.insert(to.clone()));
                    assert!(signed_in.is_new_user <= self.known.contains(&to));
                    hour.users.insert(to);
                    return;
                }
                Err(Error::OtpInvalid { .. }) => hour.wrong += 1,
                Err(Error::OtpAttemptsExceeded | Error::OtpNotFound) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What was done from one time to another.
    fn sum(&self, from: Timestamp, until: Timestamp) -> Hour {
        let mut sum = Hour::default();
        for hour in self.hours.range(from..until).map(|(_, hour)| hour) {
            sum.requests += hour.requests;
            sum.right += hour.right;
            sum.wrong += hour.wrong;
            sum.mails += hour.mails;
            sum.texts += hour.texts;
            sum.phone_requests += hour.phone_requests;
            sum.phone_logins += hour.phone_logins;
            sum.new_users += hour.new_users;
            sum.users.extend(hour.users.iter().cloned());
        }
        sum
    }
}

fn assert_same(found: &Metrics, expected: &Hour, has_users: bool) {
    let counts = [
        (found.otp_requests, expected.requests),
        (found.otp_verifications, expected.right + expected.wrong),
        (found.successful_logins, expected.right),
        (found.failed_attempts, expected.wrong),
        (found.emails_sent, expected.mails),
        (found.new_users, expected.new_users),
    ];
    assert!(counts.iter().all(|(found, expected)| found == expected), "{found:?} {expected:?}");
    assert_eq!(found.unique_users, has_users.then_some(expected.users.len() as u64), "{expected:?}");
    let Hour { requests, right, mails, texts, phone_requests, phone_logins, .. } = *expected;
    let funnel = |requested, sent, verified| Funnel { requested, sent, verified };
    assert_eq!(found.funnel(Channel::Email), funnel(requests - phone_requests, mails, right - phone_logins));
    assert_eq!(found.funnel(Channel::Sms), funnel(phone_requests, texts, phone_logins));
    assert_eq!(found.funnel(Channel::Whatsapp), funnel(0, 0, 0));
    let guesses = right + expected.wrong;
    let rate = (guesses > 0).then(|| (right as f64 / guesses as f64 * 1e4).round() / 1e4);
    assert_eq!(found.success_rate(), rate);
}

fn query(start: &str, end: &str, granularity: &str, timezone: &str) -> PeriodQuery {
    let [start_date, end_date, granularity, timezone] =
        [start, end, granularity, timezone].map(|text| (!text.is_empty()).then(|| text.to_owned()));
    PeriodQuery { start_date, end_date, granularity, timezone }
}

fn report(world: &World, caller: &Caller, query: &PeriodQuery) -> Report {
    wait(world.service.analytics(caller, query)).unwrap()
}

/// Some acts of each caller's, a few minutes apart, over more than a week.
fn run(world: &World, loads: &mut [(Load, Caller)], acts: usize) {
    let times = Load::new(99);
    for _ in 0..acts {
        world.clock.advance(MINUTE * (1 + times.below(25) as u32));
        loads.iter_mut().for_each(|(load, caller)| load.act(world, caller));
        if times.below(10) == 0 {
            wait(world.service.fold_visits(1 + times.below(30) as usize)).unwrap();
        }
    }
}

#[test]
fn reports_are_what_was_done_to_the_unit() {
    let world = World::new();
    world.clock.set(at("2026-02-24T20:00:00Z"));
    let ours = world.unlimited();
    let test = world.caller(ours.space().tenant, Mode::Test);
    let theirs = world.unlimited();
    let mut loads = [(Load::new(1), ours), (Load::new(2), test), (Load::new(3), theirs)];
    run(&world, &mut loads, 1_000);
    assert!(world.now() > at("2026-03-04T00:00:00Z"));
    for (load, caller) in &loads {
        for (granularity, timezone) in
            [("day", ""), ("hour", ""), ("month", ""), ("day", "Europe/Berlin"), ("hour", "America/New_York")]
        {
            let found = report(&world, caller, &query("2026-02-20", "2026-03-08", granularity, timezone));
            let Period { windows, .. } = &found.period;
            for (window, metrics) in windows.iter().zip(&found.windows) {
                let has_users = timezone.is_empty() || granularity == "hour";
                assert_same(metrics, &load.sum(window.from, window.until), has_users);
            }
            let whole = load.sum(found.period.from(), found.period.until());
            assert!(whole.requests == 1_000 && whole.new_users > 30 && whole.wrong > 100);
            assert_same(&found.whole, &whole, timezone.is_empty());
        }
        let from = Span::Hour.start(world.now());
        let now = wait(world.service.realtime(caller)).unwrap();
        let (hour, day) = (load.sum(from, world.now()), load.sum(from - HOUR * 23, world.now()));
        assert_eq!(
            (now.current_hour.otp_requests, now.current_hour.hourly_users),
            (hour.requests, hour.users.len() as u64)
        );
        assert_eq!((now.last_24_hours.otp_requests, now.last_24_hours.new_users), (day.requests, day.new_users));

        let usage = wait(world.service.usage(caller)).unwrap();
        let month = load.sum(at("2026-03-01T00:00:00Z"), world.now());
        assert_eq!((usage.metrics.otp_requests, usage.requests_this_month.used), (month.requests, month.requests));
        let today = load.sum(Span::Day.start(world.now()), world.now());
        assert_eq!(
            (usage.days.last().unwrap().metrics.otp_requests, usage.requests_today.used),
            (today.requests, today.requests)
        );
        assert_eq!(usage.users.used, load.known.len() as u64);
    }
    // Whether visits were folded makes no difference.
    let caller = &loads[0].1;
    let all = query("2026-02-20", "2026-03-08", "day", "");
    let before = report(&world, caller, &all);
    world.clock.advance(HOUR);
    while wait(world.service.fold_visits(50)).unwrap() > 0 {}
    assert!(world.owned::<Visit>(caller.space().owner()).is_empty());
    assert_eq!(report(&world, caller, &all), before);

    let ledger = wait(world.service.verify_ledger()).unwrap();
    assert!(ledger.differences.is_empty() && ledger.compared > 1_000, "{ledger:?}");
}

#[test]
fn what_another_tenant_does_changes_no_byte() {
    let transcript = |with_load: bool| {
        let world = World::new();
        let ours = world.unlimited();
        let mut loads = vec![(Load::new(1), ours.clone())];
        if with_load {
            let test = world.caller(ours.space().tenant, Mode::Test);
            loads.extend([(Load::new(2), world.unlimited()), (Load::new(3), test)]);
        }
        run(&world, &mut loads, 150);
        let all = query("2026-01-31", "2026-02-10", "", "");
        let (report, now) = (report(&world, &ours, &all), wait(world.service.realtime(&ours)).unwrap());
        let errors = wait(world.service.errors(&ours, &all)).unwrap();
        let usage = wait(world.service.usage(&ours)).unwrap();
        format!("{report:?} {now:?} {errors:?} {usage:?}")
    };
    assert_eq!(transcript(false), transcript(true));
}

fn visit(world: &World, space: Space, days: u64, digest: u64) -> Visit {
    let now = world.now() - DAY * days as u32;
    let due = store::Due { at: Some(world.now()), lease: None };
    Visit { space, day: Span::Day.start(now), digest, due }
}

fn put(world: &World, visits: &[Visit]) {
    for visits in visits.chunks(500) {
        let puts = visits.iter().cloned().map(Into::into).collect();
        let changes = Changes { puts, ..Changes::none() };
        let reads = Reads { scope: Scope::Tenant(visits[0].space.tenant), wanted: Vec::new() };
        wait(world.store.inner.transact(reads, Box::new(move |_| changes.clone()))).unwrap();
    }
}

#[test]
fn users_are_exact_to_ten_thousand_and_near_beyond() {
    let world = World::new();
    let acme = world.live();
    let random: &dyn Random = &SeededRandom::new(5);
    let digests: Vec<u64> = (0..40_000).map(|_| u64::from_be_bytes(random.bytes())).collect();
    let on = |day: u64, range: std::ops::Range<usize>| -> Vec<Visit> {
        digests[range].iter().map(|digest| visit(&world, acme.space(), day, *digest)).collect()
    };
    // Six thousand and six thousand, two thousand of them the same.
    put(&world, &[on(2, 0..6_000), on(1, 4_000..10_000)].concat());
    let users = |world: &World| {
        let found = report(world, &acme, &query("2026-01-29", "2026-01-31", "day", ""));
        (
            found.windows.iter().map(|window| window.unique_users.unwrap()).collect::<Vec<_>>(),
            found.whole.unique_users.unwrap(),
        )
    };
    assert_eq!(users(&world), (vec![6_000, 6_000, 0], 10_000));
    for folded in [1, 999, 5_000, 6_000] {
        assert_eq!(wait(world.service.fold_visits(folded)).unwrap(), folded);
        assert_eq!(users(&world), (vec![6_000, 6_000, 0], 10_000), "{folded} more are folded");
    }
    put(&world, &on(0, 10_000..40_000));
    let unfolded = users(&world);
    while wait(world.service.fold_visits(1_000)).unwrap() > 0 {}
    assert_eq!(users(&world), unfolded);
    let (days, whole) = unfolded;
    assert_eq!(days[..2], [6_000, 6_000]);
    for (found, exact) in [(days[2], 30_000.0), (whole, 40_000.0)] {
        assert!((found as f64 / exact - 1.0).abs() < 0.025, "{found} of {exact}");
    }
    assert!(world.owned::<Visit>(acme.space().owner()).is_empty());
    // Two processes that fold the same visits, and one of them again later, count nobody twice.
    let again = on(1, 4_000..5_000);
    put(&world, &again);
    while wait(world.another_service().fold_visits(700)).unwrap() > 0 {}
    assert_eq!(users(&world).0[1], 6_000);
}

#[test]
fn visits_and_visitors_name_no_user_and_are_forgotten() {
    let world = World::new();
    let acme = world.live();
    let signed_in = world.sign_in(&acme, "ann@example.org");
    let visits = world.owned::<Visit>(acme.space().owner());
    assert_eq!(visits.len(), 1);
    let body = store::Record::from(visits[0].clone()).body();
    assert!(!body.contains(&signed_in.user_id.to_string()), "{body}");
    world.clock.advance(HOUR);
    assert_eq!(wait(world.service.fold_visits(10)).unwrap(), 1);
    let day = query("2026-01-31", "2026-01-31", "", "");
    assert_eq!(report(&world, &acme, &day).whole.unique_users, Some(1));
    world.clock.advance(DAY * 400);
    while wait(world.service.sweep(100)).unwrap() > 0 {}
    assert_eq!(report(&world, &acme, &day).whole.unique_users, Some(1));
    world.clock.advance(DAY * 2);
    while wait(world.service.sweep(100)).unwrap() > 0 {}
    assert_eq!(report(&world, &acme, &day).whole.unique_users, Some(0));
    assert_eq!(report(&world, &acme, &day).whole.new_users, 1, "counts of usage stay");
}

#[test]
fn only_plans_with_analytics_have_them() {
    let world = World::new();
    let free = world.caller(world.tenant("free").id, Mode::Live);
    let all = PeriodQuery::default();
    assert_eq!(refusal(wait(world.service.analytics(&free, &all))), "plan_limit");
    assert_eq!(refusal(wait(world.service.realtime(&free))), "plan_limit");
    assert_eq!(refusal(wait(world.service.errors(&free, &all))), "plan_limit");
    assert!(wait(world.service.usage(&free)).is_ok());
    let plan = wait(world.service.plan(&free)).unwrap();
    assert_eq!((plan.plan.name.as_str(), plan.next.unwrap().name.as_str(), plan.added.len()), ("free", "starter", 4));
    let largest = wait(world.service.plan(&world.live())).unwrap();
    assert!(largest.next.is_none() && largest.added.is_empty());
    let publishable = world.create_key(&world.live(), new_key(api_key::KeyType::Publishable, Mode::Live));
    let publishable = world.authenticate(&publishable.api_key).unwrap();
    assert_eq!(refusal(wait(world.service.usage(&publishable))), "secret_key_required");
    assert_eq!(refusal(wait(world.service.analytics(&publishable, &all))), "secret_key_required");
}

#[test]
fn quotas_are_told_with_what_is_left() {
    let world = World::new();
    let tenant = world.tenant("free").id;
    let (live, test) = (world.caller(tenant, Mode::Live), world.caller(tenant, Mode::Test));
    for caller in [&live, &test] {
        world.sign_in(caller, "ann@example.org");
        world.request_to(caller, "bob@example.org").unwrap();
    }
    let usage = wait(world.service.usage(&live)).unwrap();
    let day = QuotaUse { limit: Some(50), used: 2, reset_at: Some(at("2026-02-01T00:00:00Z")) };
    assert_eq!((usage.requests_today, day.remaining()), (day, Some(48)));
    assert_eq!(usage.requests_this_month, QuotaUse { limit: Some(1_000), ..day });
    assert_eq!(usage.users, QuotaUse { limit: Some(100), used: 1, reset_at: None });
    let unlimited = wait(world.service.usage(&test)).unwrap();
    assert_eq!(unlimited.requests_today, QuotaUse { limit: None, ..day });
    assert_eq!(unlimited.users.remaining(), None);
}
