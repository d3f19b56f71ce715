//! The server is killed in the middle of a thousand mails: each arrives, and hardly one twice.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::{Place, Server};

const MAILS: usize = 1_000;
const CLIENTS: usize = 8;
/// Mails that arrive before the server is killed.
const BEFORE: usize = 300;
/// What may be on its way at a time.
const IN_FLIGHT: usize = 128;
/// What was on its way is tried again when its lease has ended, after a minute. A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(180);

/// A mail server that takes nothing until it is opened, and tells to whom each mail was that it has read.
struct Sink {
    port: u16,
    open: Arc<(Mutex<bool>, Condvar)>,
    taken: Receiver<String>,
}

impl Sink {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, (sender, taken)) = (Arc::<(Mutex<bool>, Condvar)>::default(), channel());
        let gate = Arc::clone(&open);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (gate, sender) = (Arc::clone(&gate), sender.clone());
                thread::spawn(move || converse(stream, &gate, &sender));
            }
        });
        Self { port, open, taken }
    }

    fn open(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }
}

/// Until the client is gone.
fn converse(stream: TcpStream, gate: &(Mutex<bool>, Condvar), taken: &Sender<String>) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let say = |answer: &str| (&stream).write_all(format!("{answer}\r\n").as_bytes()).ok();
    say("220 sink.test")?;
    let mut to = String::new();
    loop {
        let line = lines.next()?.ok()?;
        match line.get(..4).unwrap_or_default() {
            "EHLO" => say("250 sink.test")?,
            "RCPT" => {
                to = line;
                say("250 OK")?;
            }
            "DATA" => {
                say("354 go on")?;
                while lines.next()?.ok()? != "." {}
                drop(gate.1.wait_while(gate.0.lock().unwrap(), |open| !*open).unwrap());
                taken.send(to.clone()).ok()?;
                say("250 queued")?;
            }
            "QUIT" => return say("221 bye"),
            _ => say("250 OK")?,
        }
    }
}

fn ask_for_all(server: &Server, key: &str) {
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                for number in (client..MAILS).step_by(CLIENTS) {
                    let body = format!(r#"{{"email":"user{number}@example.org"}}"#);
                    let (status, said) = server.post("/auth/request-otp", key, &body);
                    assert_eq!(status, 200, "{said}");
                }
            });
        }
    });
}

#[test]
#[ignore = "takes more than a minute: run `cargo xtask test`"]
fn a_server_that_is_killed_loses_no_mail_and_doubles_only_what_was_on_its_way() {
    let (place, sink) = (Place::new(), Sink::start());
    let url = format!("smtp://127.0.0.1:{}?tls=none", sink.port);
    let variables = [("OTP_MAIL_URL", url.as_str())];
    let server = place.start_with(&variables);
    let arguments = ["customer", "create", "Acme", "--email", "ops@acme.com", "--plan", "enterprise", "--json"];
    let key = place.json(&arguments)["apiKey"].as_str().unwrap().to_owned();
    ask_for_all(&server, &key);
    sink.open();
    let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
    let mut next = || {
        let to = sink.taken.recv_timeout(PATIENCE).expect("mails arrive");
        *arrived.entry(to).or_default() += 1;
        arrived.len()
    };
    while next() < BEFORE {}
    server.crash();
    let server = place.start_with(&variables);
    while next() < MAILS {}
    assert_eq!(server.stop().status, 0, "it sends what it has before it ends");
    for to in sink.taken.try_iter() {
        *arrived.entry(to).or_default() += 1;
    }
    let doubles: usize = arrived.values().map(|times| times - 1).sum();
    assert_eq!(arrived.len(), MAILS);
    assert!(doubles <= IN_FLIGHT, "{doubles} mails arrived twice");
    println!("{doubles} of {MAILS} mails arrived twice");
}
