//! The engine on the store: its promises under races, which rest on scopes and guards.

use std::sync::Arc;

use async_trait::async_trait;

use super::Fixture;
use super::support::{RACERS, count, race};
use crate::clock::{ManualClock, Timestamp};
use crate::error::Error;
use crate::id::TenantId;
use crate::random::SystemRandom;
use crate::secret::KeyRing;
use crate::service::{Caller, NewTenant, OtpChallenge, OtpRequest, OtpVerification, Service, SignedIn};
use crate::store::{Decide, Item, Kind, Lease, Place, Read, Reads, Record, Settled, Snapshot, Store, StoreError};
use crate::subject::Address;
use crate::tenant::Mode;
use crate::usage::{Counter, CounterKey, Span};

/// One tenant on the free plan, on a clock that stands still.
#[derive(Clone)]
struct World {
    store: Arc<dyn Store>,
    service: Service,
    caller: Caller,
}

impl World {
    /// In test mode a request is answered with its code.
    async fn on(store: Arc<dyn Store>, mode: Mode) -> Self {
        let ring = KeyRing::generate(&SystemRandom);
        let service = Service::builder(Arc::clone(&store), ring).clock(ManualClock::default()).build();
        let tenant = service.create_tenant(NewTenant::named("Acme", "ops@acme.com")).await.unwrap();
        let caller = service.program(tenant.id, mode).await.unwrap();
        Self { store, service, caller }
    }

    async fn request(&self, address: &str, purpose: &str) -> Result<OtpChallenge, Error> {
        let mut request = OtpRequest::to(self.address(address));
        request.purpose = purpose.to_owned();
        Ok(self.service.request_otp(&self.caller, request).await?.value)
    }

    fn address(&self, text: &str) -> Address {
        Address::Email(text.parse().unwrap())
    }

    async fn verify(&self, purpose: &str, mut verification: OtpVerification) -> Result<SignedIn, Error> {
        verification.purpose = purpose.to_owned();
        Ok(self.service.verify_otp(&self.caller, verification).await?.value)
    }

    async fn counted(&self, counter: Counter, span: Span) -> u64 {
        count(&self.store, CounterKey::at(self.caller.space(), counter, span, self.service.now())).await
    }
}

fn code(challenge: &OtpChallenge) -> String {
    challenge.code.as_ref().unwrap().expose().to_owned()
}

/// A code of the same form that is not the right one.
fn wrong(challenge: &OtpChallenge) -> String {
    code(challenge).chars().map(|digit| if digit == '9' { '0' } else { char::from(digit as u8 + 1) }).collect()
}

/// Of all that say the one right code at once, one signs in.
pub async fn one_passcode_has_one_winner(fixture: &impl Fixture) {
    let world = World::on(fixture.open().await, Mode::Test).await;
    let challenge = world.request("ann@example.org", "login").await.unwrap();
    let racer = |number: usize| {
        let (world, code, id) = (world.clone(), code(&challenge), challenge.challenge_id);
        async move {
            let bound = OtpVerification::of(id, &code);
            let unbound = OtpVerification::at(world.address("ann@example.org"), &code);
            world.verify("login", if number.is_multiple_of(2) { bound } else { unbound }).await
        }
    };
    let outcomes = race(fixture, (0..RACERS).map(racer));
    let lost = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::OtpNotFound))).count();
    assert_eq!((outcomes.len() - lost, lost), (1, RACERS - 1), "{outcomes:?}");
    assert_eq!(world.counted(Counter::SuccessfulLogins, Span::Hour).await, 1);
}

/// However many guess at once, no more wrong guesses are judged than each budget has, and then the right code is dead.
pub async fn wrong_guesses_never_pass_the_limit(fixture: &impl Fixture) {
    const GUESSES: usize = 200;
    let world = World::on(fixture.open().await, Mode::Test).await;
    let challenge = world.request("ann@example.org", "login").await.unwrap();
    let racer = |number: usize| {
        let (world, code, id) = (world.clone(), wrong(&challenge), challenge.challenge_id);
        async move {
            let bound = OtpVerification::of(id, &code);
            let unbound = OtpVerification::at(world.address("ann@example.org"), &code);
            world.verify("login", if number.is_multiple_of(2) { bound } else { unbound }).await
        }
    };
    let outcomes = race(fixture, (0..GUESSES).map(racer));
    let judged = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::OtpInvalid { .. }))).count();
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::OtpAttemptsExceeded))).count();
    assert_eq!((judged, refused), (10, GUESSES - 10), "five of each budget: {outcomes:?}");
    assert_eq!(world.counted(Counter::FailedAttempts, Span::Hour).await, 10);

    let late = world.verify("login", OtpVerification::of(challenge.challenge_id, &code(&challenge))).await;
    assert!(matches!(late, Err(Error::OtpAttemptsExceeded)), "{late:?}");
}

/// Several first sign-ins of one address at once make one user, who was new to one of them.
pub async fn first_sign_ins_make_one_user(fixture: &impl Fixture) {
    const PURPOSES: [&str; 3] = ["login", "signup", "checkout"];
    const USERS: usize = 8;
    let world = World::on(fixture.open().await, Mode::Test).await;
    let mut racers = Vec::new();
    for user in 0..USERS {
        for purpose in PURPOSES {
            let challenge = world.request(&format!("user{user}@example.org"), purpose).await.unwrap();
            let world = world.clone();
            racers.push(async move {
                let verification = OtpVerification::of(challenge.challenge_id, &code(&challenge));
                let signed_in = world.verify(purpose, verification).await.unwrap();
                (user, signed_in.user_id, signed_in.is_new_user)
            });
        }
    }
    let outcomes = race(fixture, racers);
    for user in 0..USERS {
        let of_user: Vec<_> = outcomes.iter().filter(|(number, ..)| *number == user).collect();
        assert!(of_user.iter().all(|(_, id, _)| *id == of_user[0].1), "{of_user:?}");
        assert_eq!(of_user.iter().filter(|(.., is_new)| *is_new).count(), 1, "{of_user:?}");
    }
    assert_eq!(world.counted(Counter::Users, Span::Ever).await, USERS as u64);
}

/// A quota is used up to the last, and not beyond.
pub async fn a_quota_is_exact_under_racers(fixture: &impl Fixture) {
    let world = World::on(fixture.open().await, Mode::Live).await;
    let quota = world.service.plans().first().otp_per_day.unwrap();
    assert!(quota < RACERS as u64, "there are fewer racers than the plan allows");
    let racer = |number: usize| {
        let world = world.clone();
        async move { world.request(&format!("user{number}@example.org"), "login").await }
    };
    let outcomes = race(fixture, (0..RACERS).map(racer));
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::QuotaExceeded(_)))).count();
    let admitted: Vec<u64> = outcomes.into_iter().flatten().map(|admitted| admitted.quota.unwrap().remaining).collect();
    assert_eq!((admitted.len() as u64, refused), (quota, RACERS - quota as usize));
    assert_eq!(world.counted(Counter::OtpRequests, Span::Day).await, quota);
    let mut left = admitted;
    left.sort_unstable();
    assert_eq!(left, (0..quota).collect::<Vec<_>>(), "each was told another remainder");
}

/// A store may ask a command more often than once: the engine's commands come to the same.
pub async fn deciding_twice_is_harmless(fixture: &impl Fixture) {
    let store: Arc<dyn Store> = Arc::new(AskingTwice(fixture.open().await));
    let world = World::on(store, Mode::Test).await;
    let challenge = world.request("ann@example.org", "login").await.unwrap();
    let refused = world.verify("login", OtpVerification::of(challenge.challenge_id, &wrong(&challenge))).await;
    assert!(matches!(refused, Err(Error::OtpInvalid { remaining: 4, .. })), "{refused:?}");
    let verification = OtpVerification::of(challenge.challenge_id, &code(&challenge));
    let signed_in = world.verify("login", verification).await.unwrap();
    assert!(signed_in.is_new_user);
    world.service.refresh(None, signed_in.refresh_token.expose(), None).await.unwrap();

    assert_eq!(world.counted(Counter::OtpRequests, Span::Day).await, 1);
    assert_eq!(world.counted(Counter::FailedAttempts, Span::Hour).await, 1);
    assert_eq!(world.counted(Counter::SuccessfulLogins, Span::Hour).await, 1);
    let items = world.store.inventory(None, 1_000).await.unwrap();
    let is_event = |item: &&Item| matches!(item, Item::Record(record) if record.key().kind == Kind::Event);
    assert_eq!(items.iter().filter(is_event).count(), 5);
}

/// A store that throws the first decision away.
struct AskingTwice(Arc<dyn Store>);

#[async_trait]
impl Store for AskingTwice {
    async fn transact(&self, reads: Reads, mut decide: Decide) -> Result<(), StoreError> {
        let decide = move |seen: &Snapshot| {
            let _ = decide(seen);
            decide(seen)
        };
        self.0.transact(reads, Box::new(decide)).await
    }

    async fn read(&self, wanted: Vec<Read>) -> Result<Snapshot, StoreError> {
        self.0.read(wanted).await
    }

    async fn claim(&self, queue: Kind, lease: Lease, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.0.claim(queue, lease, limit).await
    }

    async fn settle(&self, settled: Vec<Settled>) -> Result<usize, StoreError> {
        self.0.settle(settled).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.0.sweep(now, limit).await
    }

    async fn forget_counts(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        self.0.forget_counts(tenant, limit).await
    }

    async fn inventory(&self, after: Option<Place>, limit: usize) -> Result<Vec<Item>, StoreError> {
        self.0.inventory(after, limit).await
    }
}
