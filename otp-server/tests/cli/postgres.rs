//! Servers on one PostgreSQL, and installations that move there and back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::database::Database;
use crate::support::{Place, Server, word};

fn code_of(server: &Server) -> String {
    loop {
        let (_, mails) = server.fetch("/dev/mailbox/messages", "");
        let digits = |text: &&str| text.len() == 9 && text.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(code) = mails.split('"').find(digits) {
            return code.to_owned();
        }
    }
}

#[test]
#[ignore = "needs PostgreSQL: run `cargo xtask test`"]
fn two_servers_on_one_database_are_one_service() {
    let (database, places) = (Database::new(), [Place::new(), Place::new()]);
    let mut first = database.serve(&places[0]);
    first.read_until("verify-otp");
    let key = word(&first.said, "otp_live_sk_").to_owned();
    let admin = format!("Authorization: Bearer {}\r\n", word(&first.said, "otp_admin_"));
    let second = database.serve(&places[1]);

    // Asked here, said there.
    let (status, body) = first.post("/auth/request-otp", &key, r#"{"email":"ann@example.org"}"#);
    assert_eq!(status, 200, "{body}");
    let said = format!(r#"{{"email":"ann@example.org","otp":"{}"}}"#, code_of(&first));
    let (status, body) = second.post("/auth/verify-otp", &key, &said);
    assert_eq!(status, 200, "{body}");
    let token = format!("Authorization: Bearer {}\r\n", word(&body, "eyJ"));
    assert_eq!(first.fetch("/auth/me", &token).0, 200);
    assert_eq!(first.post("/auth/verify-otp", &key, &said).0, 404, "a code works once");

    // A limit is shared: two more codes, whichever server is asked.
    let ask = |server: &Server| server.post("/auth/request-otp", &key, r#"{"email":"ann@example.org"}"#).0;
    assert_eq!([ask(&second), ask(&first), ask(&second)], [200, 200, 429]);

    // The other server notices a suspension within a second.
    let own = |server: &Server| server.fetch("/admin/customers/me", &format!("X-OTP-API-Key: {key}\r\n"));
    let (_, body) = own(&second);
    let id = word(&body, "cust_").to_owned();
    let (status, body) = first.fetch(&format!("/admin/customers/{id}"), &admin);
    assert_eq!(status, 200, "{body}");
    let suspended = places[0].run_with(&["customer", "suspend", &id], &database.variables());
    assert_eq!(suspended.status, 0, "{suspended:?}");
    for server in [&first, &second] {
        while own(server).0 == 200 {}
        assert!(own(server).1.contains("customer_suspended"));
    }
    assert_eq!(first.stop().status, 0);
    let second = second.stop();
    assert!(
        second.status == 0 && !second.stdout.contains("otp_live_sk_"),
        "the demo customer is made once: {second:?}"
    );
}

/// Gets a page the way a proxy does: from the first server that answers.
fn through_a_proxy(addresses: &Mutex<[String; 2]>, key: &str) -> bool {
    let places = addresses.lock().unwrap().clone();
    let get = |address: &String| {
        let mut stream = TcpStream::connect(address).ok()?;
        let request = format!(
            "GET /admin/customers/me HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nX-OTP-API-Key: {key}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        (!answer.is_empty()).then_some(answer)
    };
    places.iter().find_map(get).is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

#[test]
#[ignore = "needs PostgreSQL: run `cargo xtask test`"]
fn a_rolling_restart_fails_no_request() {
    let (database, places) = (Database::new(), [Place::new(), Place::new()]);
    let mut servers = [0, 1].map(|number| database.serve(&places[number]));
    servers[0].read_until("verify-otp");
    let key = word(&servers[0].said, "otp_live_sk_").to_owned();
    let addresses = Mutex::new([0, 1].map(|number: usize| servers[number].address.clone()));
    let (stop, served, failed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let until = |more: usize| {
        let before = served.load(Ordering::SeqCst);
        while served.load(Ordering::SeqCst) < before + more {
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    failed.fetch_add(usize::from(!through_a_proxy(&addresses, &key)), Ordering::SeqCst);
                    served.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for _ in 0..2 {
            for (number, place) in places.iter().enumerate() {
                until(50);
                let fresh = database.serve(place);
                let address = fresh.address.clone();
                let old = std::mem::replace(&mut servers[number], fresh);
                old.signal("TERM");
                until(50);
                addresses.lock().unwrap()[number] = address;
                assert_eq!(old.ended().status, 0);
            }
        }
        until(50);
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(failed.load(Ordering::SeqCst), 0, "of {}", served.load(Ordering::SeqCst));
}

#[test]
#[ignore = "needs PostgreSQL: run `cargo xtask test`"]
fn another_master_key_and_a_newer_schema_are_refused() {
    let (database, place) = (Database::new(), Place::new());
    database.serve(&place).stop();
    let start = |key: &str| place.run_with(&[], &[("OTP_DATABASE_URL", database.url()), ("OTP_MASTER_KEY", key)]);
    let other = start("1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=");
    assert!(other.mistake().contains("not the master key"), "{other:?}");
    let missing = place.run_with(&["migrate"], &[("OTP_DATABASE_URL", database.url())]);
    assert!(missing.mistake().contains("is missing"), "{missing:?}");
    let sound = place.run_with(&["check"], &database.variables());
    assert!(sound.status == 0 && sound.stdout.contains("answers, and has the newest schema"), "{sound:?}");
    let backup = place.run_with(&["backup", "b"], &database.variables());
    assert!(backup.mistake().contains("pg_dump"), "{backup:?}");
}

#[test]
#[ignore = "needs PostgreSQL: run `cargo xtask test`"]
fn an_installation_moves_to_postgresql_and_back() {
    let (database, place) = (Database::new(), Place::new());
    let mut server = place.start();
    server.read_until("verify-otp");
    let key = word(&server.said, "otp_live_sk_").to_owned();
    let (_, asked) = server.post("/auth/request-otp", &key, r#"{"email":"ann@example.org"}"#);
    let code = code_of(&server);
    let file = format!("sqlite:{}", place.path("otp-data/otp.db").display());
    let copy = |from: &str, to: &str| place.run(&["copy", "--from", from, "--to", to]);
    let busy = copy(&file, database.url());
    assert!(busy.status == 1 && busy.stderr.contains("stop the server first"), "{busy:?}");
    server.stop();

    let copied = copy(&file, database.url());
    assert_eq!(copied.status, 0, "{copied:?}");
    assert!(copied.stdout.contains("same rows") && copied.stdout.contains("challenge"), "{copied:?}");
    // What an interruption left undone is done by the same command; what is there is not counted twice.
    database.sql("DELETE FROM challenge; DELETE FROM event; UPDATE counter SET value = 0");
    let again = copy(&file, database.url());
    assert_eq!((again.status, &again.stdout), (0, &copied.stdout), "{again:?}");

    let moved = place.start_with(&[("OTP_DATABASE_URL", database.url())]);
    let said = format!(r#"{{"challengeId":"{}","otp":"{code}"}}"#, word(&asked, "otp_"));
    let (status, body) = moved.post("/auth/verify-otp", &key, &said);
    assert_eq!(status, 200, "{body}");
    let said_there = moved.stop().stdout;
    assert!(!said_there.contains("otp_admin_"), "the administrator's token moved too: {said_there}");

    let back = format!("sqlite:{}", place.path("back.db").display());
    assert_eq!(copy(database.url(), &back).status, 0);
    let returned = place.start_with(&[("OTP_DATABASE_URL", &back)]);
    assert_eq!(returned.post("/auth/verify-otp", &key, &said).0, 404, "a code works once, wherever it was used");
    returned.stop();

    // A target with something else in it is left as it is.
    let foreign = Database::new();
    foreign.serve(&Place::new()).stop();
    let refused = copy(&file, foreign.url());
    assert!(refused.mistake().contains("another installation"), "{refused:?}");
    assert!(place.run(&["copy", "--from", "memory:", "--to", &file]).mistake().contains("--from"));
}
