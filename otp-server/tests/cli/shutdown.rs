use std::io::{BufRead, BufReader, Write};

use crate::support::{Place, answer, word};

#[test]
fn what_is_in_flight_is_finished() {
    let place = Place::new();
    let mut server = place.start_with(&[("OTP_MAIL_URL", "file:mails"), ("OTP_LOG", "info")]);
    server.read_until("verify-otp");
    let key = word(&server.said, "otp_live_sk_");
    let body = r#"{"email":"ann@example.org"}"#;
    let mut request = server.connect().unwrap();
    let head = format!(
        "POST /auth/request-otp HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\n\
         X-OTP-API-Key: {key}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    request.write_all(head.as_bytes()).unwrap();
    let mut line = String::new();
    let mut answers = BufReader::new(request.try_clone().unwrap());
    answers.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    answers.read_line(&mut line).unwrap();

    server.signal("TERM");
    while server.connect().is_ok() {}
    request.write_all(body.as_bytes()).unwrap();
    let (status, said) = answer(request);
    assert_eq!(status, 200, "{said}");
    let finished = server.ended();
    assert_eq!(finished.status, 0, "{finished:?}");
    assert!(finished.stderr.contains("stopping") && finished.stderr.contains("stopped"), "{finished:?}");
    assert_eq!(place.entries("mails").len(), 1, "the mail it queued was sent");
}

#[test]
fn open_pages_and_idle_connections_hold_nothing_up() {
    let place = Place::new();
    let server = place.start();
    let mut page = server.connect().unwrap();
    let address = &server.address;
    page.write_all(format!("GET /dev/mailbox/events HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(page.try_clone().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    let _idle = server.connect().unwrap();
    server.signal("INT");
    assert_eq!(server.ended().status, 0);
}

#[test]
fn a_second_signal_ends_at_once() {
    let place = Place::new();
    let mut server = place.start();
    server.read_until("verify-otp");
    let key = word(&server.said, "otp_live_sk_");
    let mut request = server.connect().unwrap();
    let head = format!(
        "POST /auth/request-otp HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\n\
         X-OTP-API-Key: {key}\r\nContent-Length: 10\r\n\r\n"
    );
    request.write_all(head.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(request.try_clone().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    server.signal("TERM");
    while server.connect().is_ok() {}
    server.signal("TERM");
    let finished = server.ended();
    assert_eq!(finished.status, 0, "{finished:?}");
    assert!(finished.stderr.contains("told again"), "{finished:?}");
}

#[test]
fn the_use_of_a_key_is_written_down() {
    let place = Place::new();
    let mut server = place.start();
    server.read_until("verify-otp");
    let key = word(&server.said, "otp_live_sk_").to_owned();
    assert_eq!(server.post("/auth/request-otp", &key, r#"{"email":"ann@example.org"}"#).0, 200);
    server.stop();
    let list = place.json(&["customer", "list", "--json"]);
    let id = list["customers"][0]["customerId"].as_str().unwrap();
    let keys = place.json(&["key", "list", id, "--json"]);
    assert!(keys["keys"][0]["lastUsed"].is_string(), "{keys}");
}
