//! What the tests of the engine stand on: a service on a store that can fail and shows what was committed, a clock that
//! moves when told to, and a mailer that keeps what it was handed.

#![allow(dead_code, clippy::unwrap_used)] // every test file is a program of its own and uses its part

pub mod members;
mod probe;
mod receiver;

use std::collections::VecDeque;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use otp_core::api_key::KeyType;
use otp_core::audit::Audit;
use otp_core::event::{Event, EventKind};
use otp_core::message::{Mailer, Outgoing, Receipt, SendError};
use otp_core::store::{FromRecord, Item, Key, Kind, Read, Record, SmallBytes, Store, Stored};
use otp_core::tenant::{Settings, Tenant};
use otp_core::totp::{Digits, HashAlgorithm, OtpSecret, Period, hotp};
use otp_core::usage::{Counter, CounterKey, Span};
use otp_core::*;

#[allow(unused_imports)]
pub use probe::{Fault, Probe};
#[allow(unused_imports)]
pub use receiver::{Received, Receiver, answer};

pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3_600);
pub const DAY: Duration = Duration::from_secs(86_400);
pub const MILLI: Duration = Duration::from_millis(1);
/// How long a worker has a message to itself.
pub const LEASE: Duration = Duration::from_secs(60);

/// Runs a future to its end on this thread.
pub fn wait<F: Future>(future: F) -> F::Output {
    futures_executor::block_on(future)
}

/// Lets all racers act at the same time and gives what each came to.
pub fn race<T: Send>(racers: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(racers);
    let run = |number| {
        barrier.wait();
        act(number)
    };
    thread::scope(|scope| {
        let racers: Vec<_> = (0..racers).map(|number| scope.spawn(move || run(number))).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    })
}

/// How many of the outcomes have this error code; successes count as `ok`.
pub fn tally<T>(outcomes: &[Result<T, Error>], code: &str) -> usize {
    let name = |outcome: &Result<T, Error>| outcome.as_ref().map_or_else(Error::code, |_| "ok");
    outcomes.iter().filter(|outcome| name(outcome) == code).count()
}

/// The stable code of an error.
pub fn refusal<T>(outcome: Result<T, Error>) -> &'static str {
    outcome.err().expect("it should have been refused").code()
}

pub fn at(text: &str) -> Timestamp {
    Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

pub fn email(text: &str) -> Address {
    Address::Email(text.parse().unwrap())
}

pub fn phone(text: &str) -> Address {
    Address::Phone(text.parse().unwrap())
}

pub fn from_ip(ip: &str) -> Client {
    Client { ip: Some(ip.parse::<IpAddr>().unwrap()), ..Client::default() }
}

/// A code of the same form that is not this one; another one for every number below ten million.
pub fn wrong(code: &str, number: usize) -> String {
    let (kept, changed) = code.split_at(code.len() - 4);
    let value: usize = changed.parse().unwrap();
    format!("{kept}{:04}", (value + 1 + number % 9_999) % 10_000)
}

/// The two JSON parts of a token, unchecked.
pub fn parts_of(token: &Secret) -> (serde_json::Value, serde_json::Value) {
    let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let mut parts = token.expose().split('.');
    (read(parts.next().unwrap()), read(parts.next().unwrap()))
}

pub fn new_key(key_type: KeyType, mode: Mode) -> NewApiKey {
    NewApiKey {
        name: "Test".to_owned(),
        key_type,
        mode,
        allowed_origins: Vec::new(),
        allowed_ips: Vec::new(),
        scopes: Vec::new(),
        expires_at: None,
        idempotency: None,
    }
}

/// What an app holds that scanned a picture.
pub struct App(OtpSecret);

impl App {
    pub fn of(enrolment: &TotpEnrolment) -> Self {
        Self(enrolment.secret.expose().parse().unwrap())
    }

    pub fn shows(&self, at: Timestamp) -> String {
        Digits::SIX.of(hotp(HashAlgorithm::Sha1, self.0.as_bytes(), Period::USUAL.step_at(at)))
    }

    pub fn proof(&self, at: Timestamp) -> SecondFactorProof {
        otp(&self.shows(at))
    }
}

pub fn otp(code: &str) -> SecondFactorProof {
    SecondFactorProof::Otp(Secret::from(code.to_owned()))
}

pub fn recovery(code: &Secret) -> SecondFactorProof {
    SecondFactorProof::RecoveryCode(code.clone())
}

type Hook = Box<dyn Fn(&Outgoing) + Send + Sync>;

/// A mailer that keeps what it is handed, and refuses what it is told to.
#[derive(Default)]
pub struct Inbox {
    sent: Mutex<Vec<Outgoing>>,
    refusals: Mutex<VecDeque<SendError>>,
    before_each: Mutex<Option<Hook>>,
}

impl Inbox {
    pub fn all(&self) -> Vec<Outgoing> {
        self.sent.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    /// The code of the newest message to this address.
    pub fn code_to(&self, to: &str) -> String {
        let sent = self.sent.lock().unwrap();
        let mut newest =
            sent.iter().rev().filter(|message| message.to == to).filter_map(|message| message.code.as_ref());
        newest.next().unwrap_or_else(|| panic!("no code was sent to {to}")).expose().to_owned()
    }

    /// The next messages are refused with these, one after another.
    pub fn refuse(&self, refusals: impl IntoIterator<Item = SendError>) {
        self.refusals.lock().unwrap().extend(refusals);
    }

    /// Something that happens while a message is being sent.
    pub fn before_each(&self, hook: impl Fn(&Outgoing) + Send + Sync + 'static) {
        *self.before_each.lock().unwrap() = Some(Box::new(hook));
    }
}

#[async_trait]
impl Mailer for Inbox {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        if let Some(hook) = &*self.before_each.lock().unwrap() {
            hook(message);
        }
        if let Some(refusal) = self.refusals.lock().unwrap().pop_front() {
            return Err(refusal);
        }
        self.sent.lock().unwrap().push(message.clone());
        Ok(Receipt { provider_id: Some(format!("provider-{}", message.id)), ..Receipt::default() })
    }
}

/// A service with everything around it.
pub struct World {
    pub service: Service,
    pub store: Arc<Probe>,
    pub clock: Arc<ManualClock>,
    pub inbox: Arc<Inbox>,
    pub ring: KeyRing,
}

/// A code that was asked for and received.
pub struct Asked {
    pub id: ChallengeId,
    pub code: String,
    pub answer: OtpChallenge,
}

impl World {
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// With plans of the test's own.
    pub fn with_plans(plans: &str) -> Self {
        let plans: Plans = plans.parse().unwrap();
        Self::with(|builder| builder.plans(plans))
    }

    /// With parts of the test's own.
    pub fn with(change: impl FnOnce(service::Builder) -> service::Builder) -> Self {
        let store = Arc::new(Probe::default());
        let clock = Arc::new(ManualClock::default());
        let inbox = Arc::new(Inbox::default());
        let ring = KeyRing::generate(&SeededRandom::new(1));
        let builder = Service::builder(store.clone(), ring.clone())
            .clock(clock.clone())
            .mailer(inbox.clone())
            .random(SeededRandom::new(2))
            .issuer("https://otp.example");
        Self { service: change(builder).build(), store, clock, inbox, ring }
    }

    /// A second process on the same store.
    pub fn another_service(&self) -> Service {
        self.service_with(self.ring.clone(), 3)
    }

    pub fn service_with(&self, ring: KeyRing, seed: u64) -> Service {
        Service::builder(self.store.clone(), ring)
            .clock(self.clock.clone())
            .mailer(self.inbox.clone())
            .random(SeededRandom::new(seed))
            .issuer("https://otp.example")
            .build()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn tenant(&self, plan: &str) -> CreatedTenant {
        let new = NewTenant { plan: Some(plan.to_owned()), ..NewTenant::named("Acme", "ops@acme.example") };
        wait(self.service.create_tenant(new)).unwrap()
    }

    pub fn caller(&self, tenant: TenantId, mode: Mode) -> Caller {
        wait(self.service.program(tenant, mode)).unwrap()
    }

    /// The live mode of a new tenant without quotas.
    pub fn live(&self) -> Caller {
        self.caller(self.tenant("enterprise").id, Mode::Live)
    }

    /// A new tenant whose rate limits are out of the way.
    pub fn unlimited(&self) -> Caller {
        self.change(&self.live(), |settings| {
            settings.limits.per_recipient = 1_000_000;
            settings.limits.guesses_per_recipient = 1_000_000;
            settings.limits.per_prefix = 1_000_000;
            settings.channels.daily_spend_cap = 1_000_000_000;
            texts(settings);
        })
    }

    /// A new tenant that sends text and WhatsApp messages.
    pub fn texting(&self) -> Caller {
        self.change(&self.live(), texts)
    }

    /// Changes settings and gives a caller that knows of it.
    pub fn change(&self, caller: &Caller, change: impl FnOnce(&mut Settings)) -> Caller {
        let tenant = caller.space().tenant;
        let mut settings = *self.record::<Tenant>(tenant, tenant.as_bytes()).unwrap().settings;
        change(&mut settings);
        let edit = EditTenant { settings: Some(settings), ..EditTenant::default() };
        wait(self.service.edit_tenant(caller, edit)).unwrap();
        self.caller(tenant, caller.space().mode)
    }

    pub fn request(&self, caller: &Caller, request: OtpRequest) -> Result<OtpChallenge, Error> {
        Ok(wait(self.service.request_otp(caller, request))?.value)
    }

    /// Asks for a code to sign in with.
    pub fn request_to(&self, caller: &Caller, to: &str) -> Result<OtpChallenge, Error> {
        self.request(caller, OtpRequest::to(email(to)))
    }

    pub fn deliver(&self) -> Delivered {
        wait(self.service.deliver_pending(1_000)).unwrap()
    }

    /// Asks for a code and receives it.
    pub fn ask(&self, caller: &Caller, request: OtpRequest) -> Asked {
        let to = request.address.display().to_owned();
        let answer = self.request(caller, request).unwrap();
        self.deliver();
        // In test mode nothing is sent, and the answer shows the code.
        let shown = answer.code.as_ref().map(|code| code.expose().to_owned());
        let code = shown.unwrap_or_else(|| self.inbox.code_to(&to));
        Asked { id: answer.challenge_id, code, answer }
    }

    pub fn ask_for(&self, caller: &Caller, to: &str) -> Asked {
        self.ask(caller, OtpRequest::to(email(to)))
    }

    pub fn verify(&self, caller: &Caller, verification: OtpVerification) -> Result<SignedIn, Error> {
        Ok(wait(self.service.verify_otp(caller, verification))?.value)
    }

    /// Says a code, naming its challenge.
    pub fn say(&self, caller: &Caller, challenge: ChallengeId, code: &str) -> Result<SignedIn, Error> {
        self.verify(caller, OtpVerification::of(challenge, code))
    }

    /// Says a code, naming the address only.
    pub fn say_at(&self, caller: &Caller, address: &str, code: &str) -> Result<SignedIn, Error> {
        self.verify(caller, OtpVerification::at(email(address), code))
    }

    pub fn sign_in(&self, caller: &Caller, to: &str) -> SignedIn {
        let asked = self.ask_for(caller, to);
        self.say(caller, asked.id, &asked.code).unwrap()
    }

    pub fn me(&self, signed_in: &SignedIn) -> Result<Me, Error> {
        wait(self.service.me(signed_in.token.expose()))
    }

    pub fn refresh(&self, refresh_token: &Secret) -> Result<SignedIn, Error> {
        Ok(wait(self.service.refresh(None, refresh_token.expose(), None))?.value)
    }

    pub fn authenticate(&self, key: &Secret) -> Result<Caller, Error> {
        wait(self.service.authenticate(key.expose(), &Approach::default()))
    }

    pub fn create_key(&self, caller: &Caller, new: NewApiKey) -> CreatedKey {
        wait(self.service.create_key(caller, new)).unwrap().value
    }

    pub fn record<T: Stored + 'static>(&self, tenant: TenantId, id: impl Into<SmallBytes>) -> Option<T> {
        let seen = wait(self.store.inner.read(vec![Read::Record(Key::new::<T>(tenant, id))])).unwrap();
        seen.one::<T>().cloned()
    }

    pub fn owned<T: Stored + 'static>(&self, owner: SmallBytes) -> Vec<T> {
        let wanted = Read::Owned { kind: T::KIND, owner, before: None, limit: 100_000 };
        wait(self.store.inner.read(vec![wanted])).unwrap().all::<T>().cloned().collect()
    }

    /// All events of a space, newest first.
    pub fn events(&self, space: Space) -> Vec<Event> {
        let items = wait(self.store.inner.inventory(None, usize::MAX)).unwrap();
        let event = |item| match item {
            Item::Record(record) => Event::take(*record).filter(|event| event.space == space),
            Item::Count(..) => None,
        };
        let mut events: Vec<Event> = items.into_iter().filter_map(event).collect();
        events.sort_by_key(|event| std::cmp::Reverse(event.id));
        events
    }

    pub fn count_events(&self, space: Space, kind: EventKind) -> usize {
        self.events(space).iter().filter(|event| event.kind() == kind).count()
    }

    pub fn audit(&self, tenant: TenantId) -> Vec<Audit> {
        self.owned(tenant.as_bytes().into())
    }

    pub fn counter(&self, space: Space, counter: Counter, span: Span) -> u64 {
        let key = CounterKey::at(space, counter, span, self.now());
        wait(self.store.inner.read(vec![Read::Counter(key)])).unwrap().counter(&key)
    }

    /// Everything of one kind that was ever committed, in the order of the commits.
    pub fn committed<T: Stored + 'static>(&self) -> Vec<T> {
        let commits = self.store.commits.lock().unwrap();
        let records = commits.iter().flat_map(|changes| changes.puts.iter().chain(&changes.creates));
        records.filter_map(T::of).cloned().collect()
    }
}

fn texts(settings: &mut Settings) {
    let countries = || ["DE", "PL"].map(|country| country.parse().unwrap()).into();
    (settings.channels.sms.countries, settings.channels.whatsapp.countries) = (countries(), countries());
}

/// The kinds of what a commit writes, sorted.
pub fn kinds<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = records.into_iter().map(|record| record.key().kind).collect();
    kinds.sort();
    kinds
}
