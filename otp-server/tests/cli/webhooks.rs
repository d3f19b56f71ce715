//! A server is killed again and again while it sends events to a receiver that refuses each second one at first.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::capture::{Capture, Captured, Reply};
use crate::support::{Place, Server};

const EVENTS: usize = 1_000;
/// Events between two kills.
const EACH: usize = 200;
/// How long a server lives at least when `OTP_TEST_CRASH_EVENTS` asks for another number of events.
const LIFE: Duration = Duration::from_secs(5);
/// Requests that an endpoint is sent at a time: what may arrive twice by a kill.
const AT_ONCE: usize = 4;

/// What arrived, by the id of the event: how often in all, and how often it was taken.
#[derive(Default)]
struct Arrived(Mutex<HashMap<String, (usize, usize)>>);

impl Arrived {
    /// Every second event is refused when it comes for the first time.
    fn reply(&self, request: &Captured) -> Reply {
        let id = request.header("webhook-id").to_owned();
        assert_eq!(request.json()["id"], json!(id));
        let mut arrived = self.0.lock().unwrap();
        let is_refused = id.bytes().last().is_some_and(|byte| byte % 2 == 0);
        let (times, taken) = arrived.entry(id).or_default();
        *times += 1;
        if is_refused && *times == 1 {
            return Reply::json(500, "{}");
        }
        *taken += 1;
        Reply::json(200, "{}")
    }

    fn taken(&self) -> HashSet<String> {
        let arrived = self.0.lock().unwrap();
        arrived.iter().filter(|(_, (_, taken))| *taken > 0).map(|(id, _)| id.clone()).collect()
    }
}

/// How many events there are to be, and how long a server lives at least.
#[allow(clippy::disallowed_methods)] // of the test, and not of the server
fn scale() -> (usize, Duration) {
    match std::env::var("OTP_TEST_CRASH_EVENTS") {
        Ok(events) => (events.parse().expect("OTP_TEST_CRASH_EVENTS is a number"), LIFE),
        Err(_) => (EVENTS, Duration::ZERO),
    }
}

fn start(place: &Place) -> Server {
    place.start_with(&[("OTP_WEBHOOK_ALLOW_PRIVATE", "true")])
}

fn ask(server: &Server, key: &str, number: usize) {
    let ip = format!("198.51.{}.{}", number / 250, number % 250 + 1);
    let body = json!({"email": format!("user{number}@example.org"), "client": {"ip": ip}});
    let (status, answer) = server.post("/auth/request-otp", key, &body.to_string());
    assert_eq!(status, 200, "{answer}");
}

#[test]
#[ignore = "takes minutes: run `cargo xtask test`"]
#[allow(clippy::disallowed_methods)] // servers live for so long, and the time is printed
fn no_event_is_lost_or_made_up_however_often_the_server_is_killed() {
    let (events, life) = scale();
    let began = Instant::now();
    let arrived = Arc::new(Arrived::default());
    let receiver = Arc::clone(&arrived);
    let capture = Capture::start(move |request| receiver.reply(request));
    let place = Place::new();
    let email = ["--email", "ops@acme.example", "--plan", "enterprise", "--json"];
    let customer = place.json(&[&["customer", "create", "Acme"][..], &email].concat());
    let key = customer["apiKey"].as_str().unwrap();
    let mut server = start(&place);
    let endpoint = json!({"url": capture.url, "events": ["otp.requested"]});
    let (status, made) = server.post("/admin/webhooks/endpoints", key, &endpoint.to_string());
    assert_eq!(status, 201, "{made}");
    let (mut kills, mut asked, mut started) = (0, 0, Instant::now());
    for number in 0..events {
        if asked >= EACH && started.elapsed() >= life {
            server.crash();
            server = start(&place);
            (kills, asked, started) = (kills + 1, 0, Instant::now());
        }
        ask(&server, key, number);
        asked += 1;
    }
    let query = "SELECT (SELECT count(*) FROM event_waits) + count(*) FROM delivery WHERE due_at IS NOT NULL";
    let waiting = || -> i64 { place.database().query_row(query, [], |row| row.get(0)).unwrap() };
    // What was on its way at a kill is sent when its lease has ended, a minute later.
    for _ in 0..600 {
        if waiting() == 0 {
            break;
        }
        thread::sleep(Duration::from_millis(500)); // looks again; the loop has an end of its own
    }
    assert_eq!(waiting(), 0, "all was sent within five minutes");
    server.stop();
    let database = place.database();
    let mut written =
        database.prepare("SELECT body ->> '$.id' FROM event WHERE body ->> '$.data.kind' = 'otp.requested'").unwrap();
    let written: HashSet<String> = written.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let arrived_ids: HashSet<String> = arrived.0.lock().unwrap().keys().cloned().collect();
    assert!(written.len() >= events, "{}", written.len());
    assert_eq!(arrived.taken(), written, "each event was taken, and nothing else");
    assert_eq!(arrived_ids, written);
    let twice: usize = arrived.0.lock().unwrap().values().map(|(_, taken)| taken - 1).sum();
    println!("{events} events, {kills} kills, {twice} taken twice, {:.0} s", began.elapsed().as_secs_f64());
    assert!(kills > 0 && twice <= kills * AT_ONCE, "{twice} were taken twice");
}
