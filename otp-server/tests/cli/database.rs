//! PostgreSQL, and servers on it.

#[path = "../../../otp-store-postgres/tests/support/server.rs"]
mod server;

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

pub use server::Server as Postgres;

use crate::support::{Place, Server};

const MASTER_KEY: &str = "1:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";

/// An empty database.
pub struct Database(String);

impl Database {
    /// On the server of the run.
    pub fn new() -> Self {
        Self::at(server::url())
    }

    /// On the server of this address.
    pub fn at(server: &str) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("cli_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        execute(server, &format!("DROP DATABASE IF EXISTS {name}"));
        execute(server, &format!("CREATE DATABASE {name}"));
        let (place, _) = server.rsplit_once('/').unwrap();
        Self(format!("{place}/{name}"))
    }

    pub fn url(&self) -> &str {
        &self.0
    }

    /// What a server or a command on it is told.
    pub fn variables(&self) -> [(&'static str, &str); 2] {
        [("OTP_DATABASE_URL", &self.0), ("OTP_MASTER_KEY", MASTER_KEY)]
    }

    /// A server on it.
    pub fn serve(&self, place: &Place) -> Server {
        let [database, master_key] = self.variables();
        // Tokens name it as their issuer.
        place.start_with(&[database, master_key, ("OTP_PUBLIC_URL", "https://auth.example.com")])
    }

    pub fn sql(&self, statement: &str) {
        execute(&self.0, &format!("SET search_path TO otp; {statement}"));
    }

    /// How many rows a table has.
    pub fn rows(&self, table: &str) -> usize {
        let found = execute(&self.0, &format!("SELECT count(*) FROM otp.\"{table}\""));
        let count = found.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        count.unwrap().parse().unwrap()
    }
}

/// Gives what the last statement found.
fn execute(url: &str, statements: &str) -> Vec<SimpleQueryMessage> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection): (Client, _) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let mut found = Vec::new();
        // Each by itself: a database is not made within a transaction.
        for statement in statements.split("; ") {
            found = client.simple_query(statement).await.unwrap();
        }
        found
    })
}

/// Servers on one database, and the key of a customer that hands its codes over itself.
pub struct Servers {
    servers: Vec<Server>,
    key: String,
    _places: Vec<Place>,
}

/// A code, as it was handed out.
pub struct Code {
    pub challenge: String,
    pub otp: String,
}

/// Status and body.
#[derive(Debug)]
pub struct Answer(pub u16, pub Value);

impl Servers {
    pub fn start(count: usize, database: &Database, plan: &str) -> Self {
        let places: Vec<_> = (0..count).map(|_| Place::new()).collect();
        let servers = places.iter().map(|place| database.serve(place)).collect();
        let made = |arguments: &[&str], field: &str| {
            let finished = places[0].run_with(arguments, &database.variables());
            assert_eq!(finished.status, 0, "{finished:?}");
            let made: Value = serde_json::from_str(&finished.stdout).unwrap();
            made[field].as_str().unwrap().to_owned()
        };
        let email = ["--email", "ops@acme.com", "--plan", plan, "--json"];
        let customer = made(&[&["customer", "create", "Acme"][..], &email].concat(), "customerId");
        let key = made(&["key", "create", &customer, "--name", "Tests", "--reveal-codes", "--json"], "apiKey");
        Self { servers, key, _places: places }
    }

    /// Asks one of them for a code.
    pub fn ask(&self, server: usize, email: &str) -> Answer {
        self.post(server, "/auth/request-otp", &json!({ "email": email, "deliver": "caller" }))
    }

    /// Says a code to one of them.
    pub fn say(&self, server: usize, code: &Code, otp: &str) -> Answer {
        self.post(server, "/auth/verify-otp", &json!({ "challengeId": code.challenge, "otp": otp }))
    }

    fn post(&self, server: usize, path: &str, body: &Value) -> Answer {
        let (status, said) = self.servers[server % self.servers.len()].post(path, &self.key, &body.to_string());
        Answer(status, serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {status} {said}")))
    }
}

impl Answer {
    /// `ok`, or the problem's code.
    pub fn outcome(&self) -> &str {
        if self.0 == 200 { "ok" } else { self.1["code"].as_str().unwrap() }
    }

    /// What was handed out.
    pub fn code(&self) -> Code {
        let field = |name: &str| self.1[name].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned();
        Code { challenge: field("challengeId"), otp: field("code") }
    }
}
