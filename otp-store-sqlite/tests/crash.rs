//! The process dies at any moment, by `kill -9`: what it acknowledged is there, once, and nothing is there by halves.
//!
//! `OTP_TEST_KILLS=500 cargo test -p otp-store-sqlite --test crash` kills it more often.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use futures_util::stream::{self, StreamExt};
use otp_core::message::{Mailer, Outgoing, Receipt, SendError};
use otp_core::store::{Read, Store};
use otp_core::usage::{Counter, CounterKey, Span};
use otp_core::{
    Address, KeyRing, ManualClock, Mode, NewTenant, OtpRequest, OtpVerification, Random, SeededRandom, Service, Space,
    SystemRandom, TenantId,
};
use otp_store_sqlite::SqliteStore;
use serde_json::Value;
use support::Database;

/// What a worker is told about, by the environment.
const DATABASE: &str = "OTP_TEST_CRASH_DATABASE";
const KEYS: &str = "OTP_TEST_CRASH_KEYS";
const TENANT: &str = "OTP_TEST_CRASH_TENANT";

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill() {
    let kills = told("OTP_TEST_KILLS").map_or(20, |kills| kills.parse().unwrap());
    let database = Database::new();
    let ring = KeyRing::generate(&SystemRandom);
    let tenant = create_tenant(&database, ring.clone()).await;
    let random = SeededRandom::new(9);
    let mut acknowledged = Acknowledged::default();
    for kill in 0..kills {
        let dice: &dyn Random = &random;
        let after = 1 + u64::from_be_bytes(dice.bytes()) % 200;
        acknowledged.extend(run_until_killed(&database, &ring, tenant, after));
        check(&database, tenant, &acknowledged).await.unwrap_or_else(|wrong| panic!("after kill {kill}: {wrong}"));
    }
    assert!(acknowledged.verified.len() >= kills, "the workers verified codes");
}

async fn create_tenant(database: &Database, ring: KeyRing) -> TenantId {
    let service = Service::builder(database.open(), ring).clock(ManualClock::default()).build();
    let unlimited = NewTenant { plan: Some("enterprise".into()), ..NewTenant::named("Acme", "ops@acme.com") };
    service.create_tenant(unlimited).await.unwrap().id
}

/// What workers were told is done.
#[derive(Default)]
struct Acknowledged {
    requested: HashSet<String>,
    verified: HashSet<String>,
}

impl Acknowledged {
    fn extend(&mut self, lines: Vec<String>) {
        for line in lines {
            match line.split_once(' ') {
                Some(("requested", challenge)) => self.requested.insert(challenge.to_owned()),
                Some(("verified", challenge)) => self.verified.insert(challenge.to_owned()),
                _ => false,
            };
        }
    }
}

/// Starts this test binary again as a worker, and kills it once it has acknowledged so much.
fn run_until_killed(database: &Database, ring: &KeyRing, tenant: TenantId, after: u64) -> Vec<String> {
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "worker", "--ignored", "--nocapture"])
        .env(DATABASE, database.path())
        .env(KEYS, ring.export().expose())
        .env(TENANT, tenant.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines().map(Result::unwrap);
    let is_told = |line: &String| line.starts_with("requested ") || line.starts_with("verified ");
    let mut told: Vec<String> = lines.by_ref().filter(is_told).take(after as usize).collect();
    worker.kill().unwrap();
    worker.wait().unwrap();
    // What it said between the last line and its death counts as well.
    told.extend(lines.filter(is_told));
    assert!(told.len() >= after as usize, "the worker ended by itself");
    told
}

/// Opens the file that a killed process has left, and counts.
async fn check(database: &Database, tenant: TenantId, acknowledged: &Acknowledged) -> Result<(), String> {
    let store = database.open();
    store.quick_check().map_err(|damage| format!("{damage:?}"))?;
    let challenges = bodies(database, "challenge");
    let events = bodies(database, "event");
    let told_of = |kind: &'static str| -> HashMap<String, usize> {
        occurrences(
            events
                .iter()
                .filter(|event| event["data"]["kind"] == kind)
                .map(|event| text(&event["data"]["data"]["challengeId"])),
        )
    };
    let known = occurrences(challenges.iter().map(|challenge| text(&challenge["id"])));
    let used = challenges.iter().filter(|challenge| challenge["state"]["is"] == "used");
    let used = occurrences(used.map(|challenge| text(&challenge["id"])));
    let sent = occurrences(bodies(database, "message").iter().map(|message| text(&message["challenge"])));

    // One commit holds all of a request, and one all of a verification: what is there is there in every place, once.
    same("messages", &sent, &known)?;
    same("requests told of", &told_of("otp.requested"), &known)?;
    same("verifications told of", &told_of("otp.verified"), &used)?;
    let space = Space { tenant, mode: Mode::Live };
    counted(&store, space, Counter::OtpRequests, Span::Day, known.len()).await?;
    counted(&store, space, Counter::SuccessfulLogins, Span::Hour, used.len()).await?;
    counted(&store, space, Counter::Users, Span::Ever, used.len()).await?;
    for table in ["user", "session"] {
        let rows = bodies(database, table).len();
        if rows != used.len() {
            return Err(format!("{rows} rows of {table} after {} sign-ins", used.len()));
        }
    }
    missing("requested", &acknowledged.requested, &known)?;
    missing("verified", &acknowledged.verified, &used)
}

fn bodies(database: &Database, table: &str) -> Vec<Value> {
    let connection = database.other();
    let mut all = connection.prepare(&format!("SELECT body FROM {table}")).unwrap();
    let rows = all.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|body| serde_json::from_str(&body.unwrap()).unwrap()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn occurrences(names: impl Iterator<Item = String>) -> HashMap<String, usize> {
    names.fold(HashMap::new(), |mut counts, name| {
        *counts.entry(name).or_default() += 1;
        counts
    })
}

fn same(what: &str, found: &HashMap<String, usize>, expected: &HashMap<String, usize>) -> Result<(), String> {
    let differs = found.iter().find(|(name, count)| expected.get(*name) != Some(count));
    match differs {
        Some((name, count)) => Err(format!("{count} {what} for {name}")),
        None if found.len() != expected.len() => Err(format!("{} {what} for {}", found.len(), expected.len())),
        None => Ok(()),
    }
}

fn missing(what: &str, acknowledged: &HashSet<String>, known: &HashMap<String, usize>) -> Result<(), String> {
    match acknowledged.iter().find(|name| known.get(*name) != Some(&1)) {
        Some(lost) => Err(format!("{lost} was acknowledged as {what} and is not")),
        None => Ok(()),
    }
}

async fn counted(
    store: &SqliteStore,
    space: Space,
    counter: Counter,
    span: Span,
    expected: usize,
) -> Result<(), String> {
    let key = CounterKey::at(space, counter, span, otp_core::Clock::now(&ManualClock::default()));
    let found = store.read(vec![Read::Counter(key)]).await.unwrap().counter(&key);
    if found == expected as u64 { Ok(()) } else { Err(format!("{counter:?} stands at {found}, not {expected}")) }
}

/// Asks for codes and says them, sixteen at a time, and tells of each when it was acknowledged. It runs until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is started and killed by the test above"]
async fn worker() {
    let Some(path) = told(DATABASE) else { return };
    let inbox = Inbox::default();
    let store = SqliteStore::open(path).unwrap();
    let ring: KeyRing = told(KEYS).unwrap().parse().unwrap();
    let service = Service::builder(store, ring).clock(ManualClock::default()).mailer(inbox.clone()).build();
    let caller = service.program(told(TENANT).unwrap().parse().unwrap(), Mode::Live).await.unwrap();
    let run: [u8; 8] = (&SystemRandom as &dyn Random).bytes();
    let run = u64::from_be_bytes(run);
    let sign_in = |number: u64| {
        let (service, caller, inbox) = (service.clone(), caller.clone(), inbox.clone());
        async move {
            let address = format!("user{number}@run{run:x}.example");
            let request = OtpRequest::to(Address::Email(address.parse().unwrap()));
            let challenge = service.request_otp(&caller, request).await.unwrap().value.challenge_id;
            println!("requested {challenge}");
            service.deliver_fresh(16).await.unwrap();
            // Another one may have taken the message along and be about to send it.
            let Some(code) = inbox.code(&address) else { return };
            service.verify_otp(&caller, OtpVerification::of(challenge, &code)).await.unwrap();
            println!("verified {challenge}");
        }
    };
    stream::iter(0..).for_each_concurrent(16, sign_in).await;
}

/// What the environment says. Only a test reads it, and only what this file has put there.
fn told(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok()
}

#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<HashMap<String, String>>>);

impl Inbox {
    fn code(&self, address: &str) -> Option<String> {
        self.0.lock().unwrap().remove(address)
    }
}

#[async_trait::async_trait]
impl Mailer for Inbox {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        let code = message.code.as_ref().unwrap().expose().to_owned();
        self.0.lock().unwrap().insert(message.to.clone(), code);
        Ok(Receipt::default())
    }
}
