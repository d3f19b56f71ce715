//! Whether a call costs the same whatever else is in the file: users of a million sign in, and users of ten thousand
//! tenants. Both by turns with the same calls on a file that holds only these users, of one tenant.
//!
//! `cargo bench --profile fast -p otp-benches --bench sqlite_flatness`, with `OTP_BENCH_QUICK=1` on a smaller scale

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use otp_benches::race::{is_quick, race};
use otp_benches::row::{Row, rate};
use otp_benches::run::{Run, TURNS};
use otp_benches::world::{Codes, address};
use otp_core::message::Channel;
use otp_core::store::{Record, Stored};
use otp_core::subject::{BucketKey, SubjectKey};
use otp_core::user::User;
use otp_core::{
    Address, Approach, ChallengeId, KeyRing, NewTenant, OtpRequest, OtpVerification, Secret, Service, SystemRandom,
    Timestamp, UserId,
};
use otp_store_sqlite::SqliteStore;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const CALLERS: usize = 64;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (calls, users, tenants) = if is_quick() { (2_000, 20_000, 500) } else { (20_000, 1_000_000, 10_000) };
    let few = || Filled::new(&runtime, calls, calls, 1);
    let many_users = Filled::new(&runtime, calls, users, 1);
    compare(&format!("{users} users"), &many_users, &format!("{calls} users"), &few());
    drop(many_users);
    let many_tenants = Filled::new(&runtime, calls, calls, tenants);
    compare(&format!("{tenants} tenants"), &many_tenants, "1 tenant", &few());
}

fn compare(many_name: &str, many: &Filled<'_>, few_name: &str, few: &Filled<'_>) {
    let mut sums: [(Run, Run); 2] = Default::default();
    for turn in 0..TURNS {
        let numbers = turn * many.calls / TURNS..(turn + 1) * many.calls / TURNS;
        let both = many.sign_in(numbers.clone()).into_iter().zip(few.sign_in(numbers));
        for (sum, (measured, base)) in sums.iter_mut().zip(both) {
            sum.0.add(measured);
            sum.1.add(base);
        }
    }
    for (name, (measured, base)) in ["request", "verify"].into_iter().zip(sums) {
        let ratio = format!("{}, CPU {}", measured.rate_beside(&base), measured.cpu_beside(&base));
        Row::new(format!("sqlite_flatness/{name}, {many_name}"), measured.words())
            .against(format!("{few_name} {}", rate(base.calls, base.took)), ratio)
            .cpu(measured.cpu_per_call())
            .print();
    }
}

/// A tenant, as whoever holds its key sees it.
struct Customer {
    api_key: Secret,
    codes: Codes,
}

/// A service on a file with users and tenants in it.
struct Filled<'a> {
    runtime: &'a Runtime,
    service: Service,
    customers: Arc<Vec<Customer>>,
    calls: usize,
    users: usize,
    _folder: TempDir,
}

impl<'a> Filled<'a> {
    fn new(runtime: &'a Runtime, calls: usize, users: usize, tenants: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("otp.db");
        let ring = KeyRing::generate(&SystemRandom);
        let open = || Service::builder(SqliteStore::open(&path).expect("the file"), ring.clone()).build();
        let customers = customers(runtime, &open(), &ring, tenants);
        add_users(&path, &customers, users);
        let service = open();
        warm(runtime, &service, &customers);
        Self { runtime, service, customers: Arc::new(customers), calls, users, _folder: folder }
    }

    /// Signs users in, by numbers of calls: they are spread over the whole file, each of its tenant.
    fn sign_in(&self, numbers: Range<usize>) -> [Run; 2] {
        let each = self.users / self.calls;
        let asked: Arc<Mutex<Vec<(usize, ChallengeId)>>> = Arc::default();
        let (service, customers, noted) = (self.service.clone(), Arc::clone(&self.customers), Arc::clone(&asked));
        let requested = race(self.runtime, CALLERS, numbers, move |number| {
            let (service, customers, noted) = (service.clone(), Arc::clone(&customers), Arc::clone(&noted));
            let user = number * each;
            async move {
                let challenge = customers[user % customers.len()].request(&service, address("user", user)).await;
                noted.lock().expect("no panic").push((user, challenge));
            }
        });
        let asked = Arc::new(std::mem::take(&mut *asked.lock().expect("no panic")));
        let (service, customers) = (self.service.clone(), Arc::clone(&self.customers));
        let verified = race(self.runtime, CALLERS, 0..asked.len(), move |index| {
            let (service, customers) = (service.clone(), Arc::clone(&customers));
            let (user, challenge) = asked[index];
            async move { customers[user % customers.len()].verify(&service, address("user", user), challenge).await }
        });
        [requested, verified]
    }
}

impl Customer {
    async fn request(&self, service: &Service, address: Address) -> ChallengeId {
        let caller = service.authenticate(self.api_key.expose(), &Approach::default()).await.expect("the key is good");
        service.request_otp(&caller, OtpRequest::to(address)).await.expect("a code is sent").value.challenge_id
    }

    async fn verify(&self, service: &Service, address: Address, challenge: ChallengeId) {
        let caller = service.authenticate(self.api_key.expose(), &Approach::default()).await.expect("the key is good");
        let code = self.codes.code(&address, challenge);
        let verification = OtpVerification { address: Some(address), ..OtpVerification::of(challenge, code.expose()) };
        let signed_in = service.verify_otp(&caller, verification).await.expect("the code is right").value;
        assert!(!signed_in.is_new_user, "the user was there");
    }
}

fn customers(runtime: &Runtime, service: &Service, ring: &KeyRing, count: usize) -> Vec<Customer> {
    let create = |number: usize| {
        let service = service.clone();
        let named = NewTenant::named(&format!("Customer {number}"), &format!("ops@customer{number}.com"));
        let new = NewTenant { plan: Some("enterprise".to_owned()), ..named };
        runtime.spawn(async move { service.create_tenant(new).await.expect("a tenant") })
    };
    let mut customers = Vec::new();
    for numbers in (0..count).collect::<Vec<_>>().chunks(CALLERS) {
        for created in numbers.iter().map(|number| create(*number)).collect::<Vec<_>>() {
            let created = runtime.block_on(created).expect("no panic");
            customers.push(Customer { codes: Codes::of(ring, created.id), api_key: created.api_key });
        }
    }
    customers
}

/// Every tenant has called before.
fn warm(runtime: &Runtime, service: &Service, customers: &[Customer]) {
    for (number, customer) in customers.iter().enumerate() {
        runtime.block_on(async {
            let approach = Approach::default();
            let caller = service.authenticate(customer.api_key.expose(), &approach).await.expect("the key is good");
            if number < CALLERS {
                let warm = OtpRequest::to(address("warm", number));
                service.request_otp(&caller, warm).await.expect("a code is sent");
            }
        });
    }
}

/// Writes users straight into the file, as they would be had they signed in one after another in the past.
fn add_users(path: &Path, customers: &[Customer], count: usize) {
    let connection = Connection::open(path).expect("the file");
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -524288").expect("known pragmas");
    let sql = "INSERT INTO user (id, tenant, owner, alias, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut insert = connection.prepare(sql).expect("a statement");
    connection.execute_batch("BEGIN").expect("a transaction");
    for number in 0..count {
        let user = user(&customers[number % customers.len()].codes, &address("user", number), number);
        let key = user.key();
        let (owner, alias) = (user.owner().expect("an owner"), user.alias().expect("an alias"));
        let columns = (key.id.as_slice(), &key.tenant.as_bytes()[..], owner.as_slice(), alias.as_slice());
        let body = Record::from(user).body();
        insert.execute((columns.0, columns.1, columns.2, columns.3, body)).expect("a new user");
    }
    connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").expect("a commit");
}

fn user(codes: &Codes, address: &Address, number: usize) -> User {
    let (keys, mode) = (&codes.keys, codes.space.mode.byte());
    let subject = SubjectKey::of(keys, mode, address);
    let at = Timestamp::from_millis(1_700_000_000_000 + number as i64 * 1_000);
    let place = [b"address".as_slice(), subject.as_bytes()].concat();
    User {
        id: UserId::new(at, &SystemRandom),
        space: codes.space,
        subject,
        bucket: BucketKey::of(keys, mode, address),
        channel: Channel::Email,
        address: keys.seal(&SystemRandom, &place, address.display().as_bytes()),
        created_at: at,
        last_login_at: at,
        consent: None,
    }
}
