//! Load on a server that runs already, wherever it is.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::{self, Answers, post};
use crate::row::Row;
use crate::run::Run;
use crate::world::address;

/// A server, and a secret key of test mode, whose answers show the codes.
pub struct Remote {
    address: SocketAddr,
    key: String,
}

impl Remote {
    /// Reads `http://HOST:PORT`. The load speaks plain HTTP: ask the server itself, not the proxy in front.
    pub fn new(url: &str, key: &str) -> Self {
        let place = url.strip_prefix("http://").expect("http://HOST:PORT").trim_end_matches('/');
        let address = place.to_socket_addrs().expect("http://HOST:PORT").next().expect("an address");
        assert!(
            key.starts_with("otp_test_sk_"),
            "the key must be a secret key of test mode, whose answers show the codes"
        );
        Self { address, key: key.to_owned() }
    }

    /// Signs new users in over so many connections, and prints what that took.
    pub fn measure(&self, connections: usize, sign_ins: usize) {
        // Other runs had other users.
        let run = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis());
        let kind = format!("r{run}c{connections}n");
        let body = |number| json!({ "email": address(&kind, number).display() }).to_string();
        let requests: Vec<_> =
            (0..sign_ins).map(|number| post("/auth/request-otp", &self.key, &body(number))).collect();
        let asked = load::run(self.address, connections, &requests);
        let said = asked.bodies.iter().map(|answer| {
            let answer: Value = serde_json::from_slice(answer).expect("JSON");
            let body = json!({ "challengeId": answer["challengeId"], "otp": answer["testCode"] });
            post("/auth/verify-otp", &self.key, &body.to_string())
        });
        let said: Vec<_> = said.collect();
        print("request", connections, asked);
        print("verify", connections, load::run(self.address, connections, &said));
    }
}

fn print(act: &str, connections: usize, answers: Answers) {
    let Answers { bodies, spans, took } = answers;
    let run = Run { calls: bodies.len(), took, cpu: Duration::ZERO, spans, commits: 0 };
    Row::new(format!("http/{act}, {connections} connections"), run.words()).print();
}
