//! Calls that meet, at one server and at two on one PostgreSQL: limits, quotas and single uses hold over both.

use std::sync::Barrier;
use std::thread;

use crate::database::{Answer, Database, Servers};

/// Calls from so many clients at once, which ask the servers by turns; how often each of these came of it.
fn all_at_once<const N: usize>(
    clients: usize,
    call: impl Fn(usize) -> Answer + Sync,
    outcomes: [&str; N],
) -> [usize; N] {
    let (start, call) = (&Barrier::new(clients), &call);
    let client = |number| {
        start.wait();
        loop {
            let answer = call(number);
            // As clients do that are told to come again: two servers may wait for each other for too long.
            if answer.outcome() != "busy" {
                return answer.outcome().to_owned();
            }
        }
    };
    let client = &client;
    let came = thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|number| scope.spawn(move || client(number))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    outcomes.map(|wanted| came.iter().filter(|came| *came == wanted).count())
}

/// A server by itself, and two.
fn services(plan: &str) -> [Servers; 2] {
    [1, 2].map(|count| Servers::start(count, &Database::new(), plan))
}

#[test]
#[ignore = "needs PostgreSQL: run `cargo xtask test`"]
fn two_hundred_wrong_guesses_are_five() {
    for servers in services("enterprise") {
        for round in 0..4 {
            let code = servers.ask(round, &format!("user{round}@example.org")).code();
            let right: usize = code.otp.parse().unwrap();
            let wrong = |number: usize| format!("{:09}", (right + 1 + number) % 1_000_000_000);
            let guess = |number| servers.say(number, &code, &wrong(number));
            let came = all_at_once(200, guess, ["otp_invalid", "otp_attempts_exceeded"]);
            assert_eq!(came, [5, 195], "round {round}");
            for server in [0, 1] {
                assert_eq!(servers.say(server, &code, &code.otp).outcome(), "otp_attempts_exceeded");
            }
        }
    }
}

#[test]
#[ignore = "needs PostgreSQL: run `cargo xtask test`"]
fn a_right_code_works_once() {
    for servers in services("enterprise") {
        // The first code of an address makes a user, the second finds one.
        let came = std::array::from_fn(|round| {
            let code = servers.ask(round, &format!("user{}@example.org", round / 2)).code();
            all_at_once(64, |number| servers.say(number, &code, &code.otp), ["ok", "otp_not_found"])
        });
        assert_eq!(came, [[1, 63]; 10]);
    }
}

#[test]
#[ignore = "needs PostgreSQL: run `cargo xtask test`"]
fn a_quota_is_exact() {
    for servers in services("free") {
        let ask = |number: usize| servers.ask(number, &format!("user{number}@example.org"));
        assert_eq!(all_at_once(128, ask, ["ok", "quota_exceeded"]), [50, 78]);
    }
}
