//! `listen` beside a running server.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use otp_core::webhook::{ReceiverKey, Signed, verify};
use otp_core::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::capture::{Capture, Reply};
use crate::support::{Place, Server};

struct Listener {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
}

impl Listener {
    /// Listens; what happens from now on is told.
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.command(&[&["listen"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut listener = Self { child, stdout, stderr };
        let said = listener.says();
        assert!(said.contains("Ctrl-C ends it"), "{said}");
        listener
    }

    /// The next line on standard error.
    fn says(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    /// The next line on standard output.
    fn prints(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    fn event(&mut self) -> Value {
        let line = self.prints();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn interrupt(mut self) -> i32 {
        let sent = Command::new("kill").arg("-INT").arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

fn customer(place: &Place, name: &str) -> (String, String) {
    let made = place.json(&["customer", "create", name, "--email", "ops@acme.com", "--plan", "pro", "--json"]);
    ["customerId", "apiKey"].map(|field| made[field].as_str().unwrap().to_owned()).into()
}

fn ask(server: &Server, key: &str, to: &str) {
    let (status, answer) = server.post("/auth/request-otp", key, &json!({"email": to}).to_string());
    assert_eq!(status, 200, "{answer}");
}

#[test]
fn a_customers_events_are_printed_as_they_happen_and_no_others() {
    let place = Place::new();
    let server = place.start();
    let [(acme, key), (_, other)] = ["Acme", "Other"].map(|name| customer(&place, name));
    ask(&server, &key, "before@example.org");
    let mut listener = Listener::start(&place, &["--customer", &acme, "--json"]);
    let mut in_words = Listener::start(&place, &["--customer", &acme]);
    for number in 0..5 {
        ask(&server, &other, &format!("other{number}@example.org"));
        ask(&server, &key, &format!("user{number}@example.org"));
    }
    for number in 0..5 {
        let event = listener.event();
        assert_eq!((&event["event"], &event["customerId"]), (&json!("otp.requested"), &json!(acme)));
        assert_eq!(event["data"]["email"], json!(format!("user{number}@example.org")));
    }
    let (head, body) = (in_words.prints(), in_words.prints());
    assert!(head.ends_with("  otp.requested  live\n") && body.starts_with("    "), "{head}{body}");
    assert_eq!(listener.interrupt(), 0);
}

#[test]
fn they_are_sent_to_a_receiver_signed_with_the_secret_that_is_shown() {
    let place = Place::new();
    let server = place.start();
    let (acme, key) = customer(&place, "Acme");
    let capture = Capture::start(|_| Reply::json(202, "{}"));
    let url = format!("{}/hooks", capture.url);
    let wanted = ["--customer", &acme, "--event", "otp.failed", "--event", "otp.requested", "--forward-to", &url];
    let mut listener = Listener::start(&place, &wanted);
    let said = listener.says();
    let secret = said.trim().rsplit(' ').next().unwrap().to_owned();
    ask(&server, &key, "ann@example.org");
    let request = capture.next();
    assert_eq!((request.target.as_str(), &request.json()["type"]), ("/hooks", &json!("otp.requested")));
    let [id, timestamp, signature] =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| request.header(name));
    let key = ReceiverKey::parse(&secret).unwrap();
    verify(&[key], Signed { id, timestamp, signature }, &request.body, SystemClock::default().now()).unwrap();
    assert_eq!(listener.says(), "    -> 202\n");
}

#[test]
fn whom_to_listen_to_has_to_be_known() {
    let place = Place::new();
    place.done(&["migrate"]);
    let nobody = place.run(&["listen"]);
    assert!(nobody.status == 1 && nobody.stderr.contains("there is no customer yet"), "{nobody:?}");
    ["Acme", "Other"].iter().for_each(|name| drop(customer(&place, name)));
    let several = place.run(&["listen"]);
    assert!(several.status == 1 && several.stderr.contains("name one with --customer"), "{several:?}");
    let unknown = place.run(&["listen", "--customer", "cust_1ChGpMeM8qoVtVas6bQGjR"]);
    assert_eq!(unknown.status, 1, "{unknown:?}");
    let word = place.run(&["listen", "--event", "otp.gone"]);
    assert!(word.status == 2 && word.stderr.contains("otp.gone"), "{word:?}");
}
