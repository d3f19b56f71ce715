use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use otp_core::destination::Reach;
use otp_core::secret::Secret;
use otp_core::store::MemoryStore;
use otp_core::webhook::Signing;
use otp_core::{Address, Caller, KeyRing, Mode, NewEndpoint, NewTenant, OtpRequest, Service, SystemRandom};
use serde_json::json;

use super::*;
use crate::capture::{Capture, Captured, Reply};

fn hasty() -> Webhooks {
    Webhooks(Outbound::new().unwrap().within(Duration::from_millis(500)))
}

async fn answer(reply: impl Fn(&Captured) -> Reply + Send + Sync + 'static) -> Result<Answer, Failure> {
    let capture = Capture::start(reply);
    let headers = vec![("x-acme".into(), Secret::from("7".to_owned()))];
    hasty()
        .send(Request { url: format!("{}/hooks?a=b", capture.url), headers, body: b"{}".to_vec(), within: None })
        .await
}

#[tokio::test]
async fn a_receiver_that_drips_or_says_nothing_is_not_waited_for() {
    assert_eq!(answer(|_| Reply::Silence).await.unwrap_err(), Failure::Timeout);
    assert_eq!(answer(|_| Reply::Drip).await.unwrap_err(), Failure::Timeout);
    assert_eq!(answer(|_| Reply::Raw(b"220 mail.example\r\n".to_vec())).await.unwrap_err(), Failure::Broken);
}

#[tokio::test]
async fn redirects_are_answers_and_nobody_goes_there() {
    let elsewhere = Capture::start(|_| Reply::json(200, "{}"));
    let location: &'static str = format!("Location: {}\r\n", elsewhere.url).leak();
    for status in [301, 302, 307, 308] {
        let answer = answer(move |_| Reply::Answer(status, location, String::new())).await.unwrap();
        assert_eq!(answer.status, status);
    }
    assert!(elsewhere.is_quiet());
}

/// One that leads from each place to the next, ten thousand times, and then to a place that takes the event.
#[tokio::test]
async fn an_endpoint_that_redirects_for_ever_has_failed_after_the_first() {
    let stage = Stage::answering(|request| {
        let step: usize = request.target.trim_start_matches('/').parse().unwrap_or_default();
        match step {
            10_000 => Reply::json(200, "{}"),
            step => {
                Reply::Raw(format!("HTTP/1.1 307 x\r\nLocation: /{}\r\nContent-Length: 0\r\n\r\n", step + 1).into())
            }
        }
    });
    let stage = stage.await;
    let (endpoint, _) = stage.endpoint().await;
    let to = Address::Email("ann@example.org".parse().unwrap());
    stage.service.request_otp(&stage.caller, OtpRequest::to(to)).await.unwrap();
    let came_to = stage.service.deliver_webhooks(10).await.unwrap();
    assert_eq!((came_to.sent, came_to.retried), (0, 1));
    assert_eq!(stage.capture.next().target, "/");
    assert!(stage.capture.is_quiet(), "nobody goes to the next place");
    let deliveries = stage.service.deliveries(&stage.caller, Default::default(), None, 10).await.unwrap().items;
    let [delivery] = &deliveries[..] else { panic!("{deliveries:?}") };
    assert_eq!((delivery.endpoint, delivery.attempts[0].status), (endpoint, Some(307)));
}

#[tokio::test]
async fn what_it_answers_is_told() {
    let busy = |_: &Captured| Reply::Answer(503, "Retry-After: 7\r\n", "later".to_owned());
    let answer = answer(busy).await.unwrap();
    assert_eq!((answer.status, answer.retry_after), (503, Some(Duration::from_secs(7))));
    assert_eq!(answer.body, b"later");
}

#[tokio::test]
async fn it_may_ask_for_a_pause_in_seconds_or_until_a_date() {
    let asked = async |headers: &'static str| {
        answer(move |_| Reply::Answer(429, headers, String::new())).await.unwrap().retry_after
    };
    let date = "Date: Sat, 31 Jan 2026 08:15:30 GMT\r\n";
    let until = |retry: &str| -> &'static str { format!("{date}Retry-After: {retry}\r\n").leak() };
    let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
    assert_eq!(asked(until("120")).await, minutes(2));
    for date in ["Sat, 31 Jan 2026 08:25:30 GMT", "Saturday, 31-Jan-26 08:25:30 GMT", "Sat Jan 31 08:25:30 2026"] {
        assert_eq!(asked(until(date)).await, minutes(10), "{date}");
    }
    for nothing in ["Sat, 31 Jan 2026 08:15:29 GMT", "soon", "-5", "2026-01-31T08:25:30Z"] {
        assert_eq!(asked(until(nothing)).await, None, "{nothing}");
    }
    // Without a date of its own, the answer is read by our clock, which is long past 2026-01-31.
    let in_the_past = asked("Retry-After: Sat, 31 Jan 2026 08:25:30 GMT\r\n").await;
    assert_eq!(in_the_past, None);
    let far = asked("Retry-After: Tue, 31 Dec 2999 23:59:59 GMT\r\n").await.unwrap();
    assert!(far > Duration::from_secs(86_400), "{far:?}");
}

#[tokio::test]
async fn a_request_with_a_deadline_of_its_own_is_given_up_then() {
    let capture = Capture::start(|_| Reply::Drip);
    let within = Some(Duration::from_millis(100));
    let request = Request { url: capture.url.clone(), headers: Vec::new(), body: b"{}".to_vec(), within };
    let patient = Webhooks(Outbound::new().unwrap().within(Duration::from_secs(3_600)));
    assert_eq!(patient.send(request).await.unwrap_err(), Failure::Timeout);
}

#[tokio::test]
#[ignore = "takes 15 seconds: run `cargo xtask test`"]
async fn a_byte_a_second_for_ever_is_listened_to_for_15_seconds() {
    let capture = Capture::start(|_| Reply::Drip);
    let webhooks = Webhooks::guarded(Guard::anywhere()).unwrap();
    let request = Request { url: capture.url.clone(), headers: Vec::new(), body: b"{}".to_vec(), within: None };
    let began = tokio::time::Instant::now();
    assert_eq!(webhooks.send(request).await.unwrap_err(), Failure::Timeout);
    let took = began.elapsed().as_secs_f64();
    assert!((15.0..17.0).contains(&took), "{took}");
}

struct Stage {
    capture: Capture,
    service: Service,
    caller: Caller,
}

impl Stage {
    async fn new() -> Self {
        Self::answering(|_| Reply::json(200, "{}")).await
    }

    async fn answering(reply: impl Fn(&Captured) -> Reply + Send + Sync + 'static) -> Self {
        let capture = Capture::start(reply);
        let service = Service::builder(MemoryStore::new(), KeyRing::generate(&SystemRandom));
        let service = service.webhooks(hasty()).webhook_reach(Reach::Anywhere).build();
        let new = NewTenant { plan: Some("pro".to_owned()), ..NewTenant::named("Acme", "ops@acme.com") };
        let tenant = service.create_tenant(new).await.unwrap();
        let caller = service.program(tenant.id, Mode::Live).await.unwrap();
        Self { capture, service, caller }
    }

    async fn endpoint(&self) -> (otp_core::EndpointId, String) {
        let new = NewEndpoint {
            url: self.capture.url.clone(),
            description: String::new(),
            events: vec!["*".to_owned()],
            signing: Signing::Hmac,
            secret: None,
            headers: vec![("Authorization".to_owned(), "Bearer hush".to_owned())],
            per_second: None,
            idempotency: None,
        };
        let made = self.service.create_endpoint(&self.caller, new).await.unwrap().value;
        (made.endpoint.id, made.secret.unwrap().expose().to_owned())
    }

    async fn event(&self) -> Captured {
        let to = Address::Email("ann@example.org".parse().unwrap());
        self.service.request_otp(&self.caller, OtpRequest::to(to)).await.unwrap();
        assert_eq!(self.service.deliver_webhooks(10).await.unwrap().sent, 1);
        self.capture.next()
    }
}

/// A published library that verifies.
struct Peer {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Peer {
    fn start(mut command: Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    fn all() -> [Self; 2] {
        let script = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/peers").join(name);
        let python = std::env::var_os("OTP_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        let (mut python, mut node) = (Command::new(python), Command::new("node"));
        python.arg(script("webhook.py"));
        node.arg(script("webhook.mjs"));
        [Self::start(python), Self::start(node)]
    }

    fn takes(&mut self, secret: &str, request: &Captured) -> bool {
        let header = |name: &str| (name.to_owned(), json!(request.header(name)));
        let headers: serde_json::Map<_, _> =
            ["webhook-id", "webhook-timestamp", "webhook-signature"].into_iter().map(header).collect();
        let asked = json!({"secret": secret, "headers": headers, "body": String::from_utf8_lossy(&request.body)});
        writeln!(self.process.stdin.as_mut().unwrap(), "{asked}").unwrap();
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert!(line.starts_with("right") || line.starts_with("wrong"), "run `cargo xtask test`: {line:?}");
        line.starts_with("right")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn with(request: &Captured, name: &str, change: impl Fn(&str) -> String) -> Captured {
    let mut changed = request.clone();
    for (known, value) in &mut changed.headers {
        if known == name {
            *value = change(value);
        }
    }
    changed
}

#[tokio::test]
#[ignore = "needs the Standard Webhooks libraries of Python and Node: run `cargo xtask test`"]
async fn the_published_libraries_take_our_signatures_and_nothing_that_was_changed() {
    let stage = Stage::new().await;
    let (endpoint, secret) = stage.endpoint().await;
    let request = stage.event().await;
    assert_eq!(request.header("authorization"), "Bearer hush");
    let rotate = stage.service.rotate_endpoint_secret(&stage.caller, endpoint, None, None, None);
    let second = rotate.await.unwrap().value.secret.unwrap().expose().to_owned();
    let rotated = stage.event().await;
    for mut peer in Peer::all() {
        assert!(peer.takes(&secret, &request));
        assert!(peer.takes(&secret, &rotated) && peer.takes(&second, &rotated));
        assert!(!peer.takes(&second, &request));
        let mut other_body = request.clone();
        other_body.body[10] ^= 1;
        let other_time = |time: &str| (time.parse::<i64>().unwrap() + 1).to_string();
        for changed in [
            other_body,
            with(&request, "webhook-id", |id| format!("{id}x")),
            with(&request, "webhook-timestamp", other_time),
            with(&request, "webhook-signature", |signature| signature.replacen("v1,", "v1,A", 1)),
        ] {
            assert!(!peer.takes(&secret, &changed), "{changed:?}");
        }
    }
}
