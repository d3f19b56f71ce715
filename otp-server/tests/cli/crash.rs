//! PostgreSQL is stopped as by a power cut, again and again, under servers that are at work.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::database::{Answer, Code, Database, Postgres, Servers};

const CRASHES: usize = 20;
const CLIENTS: usize = 8;
/// Codes that are handed out between two crashes, at least.
const BETWEEN: usize = 20;
/// How long a client waits that was told to come again later.
const PAUSE: Duration = Duration::from_millis(20);

/// What a client may be told while the database comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Done,
    /// The code is used.
    NotFound,
    NothingDone,
    /// It may have been done.
    InDoubt,
}

impl Told {
    fn by(answer: &Answer) -> Self {
        match (answer.0, answer.outcome()) {
            (200, _) => Told::Done,
            (404, "otp_not_found") => Told::NotFound,
            (503, "store_unavailable" | "busy") if answer.1["retryAfter"].is_u64() => Told::NothingDone,
            (503, "store_unavailable") => Told::InDoubt,
            _ => panic!("{answer:?}"),
        }
    }
}

/// What a client was handed, and what it was told when it said it.
struct Kept {
    code: Code,
    told: Vec<Told>,
}

/// The clients of some servers.
struct Clients<'a> {
    servers: &'a Servers,
    stop: AtomicBool,
    asked: AtomicUsize,
    kept: Mutex<Vec<Kept>>,
}

impl Clients<'_> {
    /// Asks one server for a code and says it twice at once, to two if there are two; whether all of that was answered as on a good day.
    fn sign_in(&self, server: usize) -> bool {
        let Some(code) = self.ask(server) else { return false };
        let mut told = say_twice(self.servers, &code).to_vec();
        told.sort();
        let worked = told == [Told::Done, Told::NotFound];
        self.kept.lock().unwrap().push(Kept { code, told });
        worked
    }

    /// Asks for a code and does not say it yet.
    fn save(&self, server: usize) -> bool {
        let code = self.ask(server);
        let kept = code.map(|code| self.kept.lock().unwrap().push(Kept { code, told: Vec::new() }));
        kept.is_some()
    }

    fn ask(&self, server: usize) -> Option<Code> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.servers.ask(server, &format!("user{number}@example.org"));
        match Told::by(&answer) {
            Told::Done => Some(answer.code()),
            Told::NothingDone | Told::InDoubt => None,
            Told::NotFound => panic!("{answer:?}"),
        }
    }

    /// Signs in until it is told to stop, and leaves every third code for later.
    fn run(&self, client: usize) {
        for round in client.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let served = if round % 3 == 0 { self.save(round / 3) } else { self.sign_in(round / 3) };
            if !served {
                thread::sleep(PAUSE);
            }
        }
    }

    /// Is a client itself until they have got some more done, all together.
    fn some_more(&self) {
        let kept = || self.kept.lock().unwrap().len();
        let before = kept();
        while kept() < before + BETWEEN {
            self.sign_in(0);
        }
    }
}

/// Whatever ends the test, the clients do not go on.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn say_twice(servers: &Servers, code: &Code) -> [Told; 2] {
    let say = |server| Told::by(&servers.say(server, code, &code.otp));
    thread::scope(|scope| {
        let other = scope.spawn(move || say(1));
        [say(0), other.join().unwrap()]
    })
}

#[test]
#[ignore = "needs PostgreSQL: run `cargo xtask test`"]
fn a_server_whose_database_crashes_under_load_loses_nothing_and_doubles_nothing() {
    work_while_it_crashes(1);
}

#[test]
#[ignore = "needs PostgreSQL: run `cargo xtask test`"]
fn two_servers_whose_database_crashes_under_load_lose_nothing_and_double_nothing() {
    work_while_it_crashes(2);
}

fn work_while_it_crashes(servers: usize) {
    let mut postgres = Postgres::start().unwrap();
    let database = Database::at(postgres.url());
    let servers = Servers::start(servers, &database, "enterprise");
    let (stop, asked, kept) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::default());
    let clients = Clients { servers: &servers, stop, asked, kept };
    thread::scope(|scope| {
        let (_stop, clients) = (Stop(&clients.stop), &clients);
        (0..CLIENTS).for_each(|client| drop(scope.spawn(move || clients.run(client))));
        let waited = (0..CRASHES).map(|_| crash(&mut postgres, clients)).max();
        clients.some_more();
        println!("served again within {:?} after PostgreSQL was", waited.unwrap());
    });
    check(clients, &database);
}

/// Stops PostgreSQL and starts it again; how long after its start all servers do what they did before.
#[allow(clippy::disallowed_methods)] // the time is printed, and nothing hangs on it
fn crash(postgres: &mut Postgres, clients: &Clients) -> Duration {
    clients.some_more();
    postgres.stop_immediately().unwrap();
    for server in [0, 1] {
        while clients.sign_in(server) {}
    }
    postgres.start_again().unwrap();
    let started = Instant::now();
    while !clients.sign_in(0) || !clients.sign_in(1) {}
    started.elapsed()
}

/// Says every code again, and looks whether what comes of it and what is there is what the clients were told.
fn check(clients: Clients, database: &Database) {
    let kept = clients.kept.into_inner().unwrap();
    let (codes, mut acknowledged, mut in_doubt) = (kept.len(), 0, 0);
    for Kept { code, mut told } in kept {
        acknowledged += usize::from(told.contains(&Told::Done));
        in_doubt += usize::from(told.contains(&Told::InDoubt));
        while !told.ends_with(&[Told::NotFound; 2]) {
            told.extend(say_twice(clients.servers, &code));
        }
        let done = told.iter().filter(|told| **told == Told::Done).count();
        // One that may have been used is used by now; of any other its user was told.
        let is_sound = done == 1 || done == 0 && told.contains(&Told::InDoubt);
        assert!(is_sound, "{}: {told:?}", code.challenge);
    }
    for table in ["user", "session"] {
        assert_eq!(database.rows(table), codes, "{table}: in the end each code made one sign-in");
    }
    let asked = clients.asked.into_inner();
    println!("of {asked} codes {codes} were handed out, {acknowledged} said and acknowledged, {in_doubt} in doubt");
}
