//! Two services with stores of their own on one database: limits, budgets and single uses hold over both.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use futures_util::future::join_all;
use otp_core::{
    Address, Caller, Deliver, Error, KeyRing, ManualClock, Mode, NewTenant, OtpChallenge, OtpRequest, OtpVerification,
    SeededRandom, Service,
};
use otp_store_postgres::PostgresStore;
use support::Database;

/// The same tenant, as each of the two services knows it.
struct Pair([(Service, Caller); 2]);

impl Pair {
    async fn new(database: &Database, plan: &str) -> Self {
        let ring = KeyRing::generate(&SeededRandom::new(1));
        let clock = Arc::new(ManualClock::default());
        let service = |store: PostgresStore, seed| {
            Service::builder(store, ring.clone()).clock(Arc::clone(&clock)).random(SeededRandom::new(seed)).build()
        };
        let services = [service(database.open().await, 2), service(database.open().await, 3)];
        let new = NewTenant { plan: Some(plan.to_owned()), ..NewTenant::named("Acme", "ops@acme.com") };
        let tenant = services[0].create_tenant(new).await.unwrap().id;
        let [first, second] = services;
        let callers = [first.program(tenant, Mode::Live).await, second.program(tenant, Mode::Live).await];
        let [one, other] = callers.map(Result::unwrap);
        Self([(first, one), (second, other)])
    }

    fn of(&self, number: usize) -> &(Service, Caller) {
        &self.0[number % 2]
    }

    async fn request(&self, number: usize, to: &str) -> Result<OtpChallenge, Error> {
        let (service, caller) = self.of(number);
        let address = Address::Email(to.parse().unwrap());
        let request = OtpRequest { deliver: Deliver::Caller, ..OtpRequest::to(address) };
        Ok(service.request_otp(caller, request).await?.value)
    }

    async fn say(&self, number: usize, challenge: &OtpChallenge, code: &str) -> Result<(), Error> {
        let (service, caller) = self.of(number);
        service.verify_otp(caller, OtpVerification::of(challenge.challenge_id, code)).await.map(drop)
    }
}

fn tally(outcomes: &[Result<(), Error>], code: &str) -> usize {
    outcomes.iter().filter(|outcome| outcome.as_ref().map_or_else(Error::code, |()| "ok") == code).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn two_hundred_wrong_guesses_over_two_servers_are_five() {
    let pair = Pair::new(&Database::new(), "enterprise").await;
    let challenge = pair.request(0, "ann@example.org").await.unwrap();
    let right = challenge.code.as_ref().unwrap().expose().to_owned();
    let wrong = |number: usize| format!("{:09}", (right.parse::<usize>().unwrap() + 1 + number) % 1_000_000_000);
    let guesses = (0..200).map(|number| {
        let (pair, challenge, code) = (&pair, &challenge, wrong(number));
        async move { pair.say(number, challenge, &code).await }
    });
    let outcomes = join_all(guesses).await;
    assert_eq!([tally(&outcomes, "otp_invalid"), tally(&outcomes, "otp_attempts_exceeded")], [5, 195]);
    assert_eq!(tally(&[pair.say(0, &challenge, &right).await], "otp_attempts_exceeded"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn a_right_code_works_once_over_two_servers() {
    let pair = Pair::new(&Database::new(), "enterprise").await;
    for round in 0..10 {
        let challenge = pair.request(round, &format!("user{round}@example.org")).await.unwrap();
        let code = challenge.code.as_ref().unwrap().expose();
        let outcomes = join_all((0..64).map(|number| pair.say(number, &challenge, code))).await;
        assert_eq!([tally(&outcomes, "ok"), tally(&outcomes, "otp_not_found")], [1, 63], "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn a_quota_is_exact_over_two_servers() {
    let pair = Pair::new(&Database::new(), "free").await;
    let asked = (0..128).map(|number| {
        let pair = &pair;
        async move { pair.request(number, &format!("user{number}@example.org")).await.map(drop) }
    });
    let outcomes = join_all(asked).await;
    assert_eq!([tally(&outcomes, "ok"), tally(&outcomes, "quota_exceeded")], [50, 78]);
}
