//! The client against servers that mean no good.

mod rebinding;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::*;
use crate::capture::{Capture, Reply};
use crate::mail::tests::peer::Certificates;

fn client() -> Outbound {
    Outbound::new().unwrap()
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

async fn answer(reply: fn() -> Reply) -> Result<Answer, Unanswered> {
    let capture = Capture::start(move |_| reply());
    let hasty = Outbound { deadline: Duration::from_millis(500), ..client() };
    hasty.send(get(&capture.url)).await
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.status, self.body)
    }
}

#[tokio::test]
async fn an_answer_has_a_deadline_as_a_whole() {
    assert_eq!(answer(|| Reply::Silence).await.unwrap_err(), Unanswered::Silent);
    assert_eq!(answer(|| Reply::Drip).await.unwrap_err(), Unanswered::Silent, "each byte is no new beginning");
}

#[tokio::test]
async fn of_an_answer_that_is_too_long_only_the_status_counts() {
    let long = answer(|| Reply::Answer(403, "", "x".repeat(LARGEST_ANSWER + 1))).await.unwrap();
    assert_eq!((long.status.as_u16(), long.body.len()), (403, 0));
    let longest = answer(|| Reply::Answer(200, "", "x".repeat(LARGEST_ANSWER))).await.unwrap();
    assert_eq!(longest.body.len(), LARGEST_ANSWER);
}

#[tokio::test]
async fn what_is_cut_off_or_no_http_is_no_answer() {
    let broken = [
        (|| Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":".to_vec())) as fn() -> Reply,
        || Reply::Raw(b"HTTP/1.1 200 OK\r\n".to_vec()),
        || Reply::Raw(b"220 mail.example ESMTP\r\n".to_vec()),
        || Reply::Raw(Vec::new()),
        || Reply::Raw(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)).into_bytes()),
    ];
    for reply in broken {
        assert_eq!(answer(reply).await.unwrap_err(), Unanswered::Broken);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Capture::start(|_| Reply::json(200, "{}"));
    let target = elsewhere.url.clone();
    let answer =
        move || Reply::Raw(format!("HTTP/1.1 307 x\r\nLocation: {target}/\r\nContent-Length: 0\r\n\r\n").into_bytes());
    let capture = Capture::start(move |_| answer());
    assert_eq!(client().send(get(&capture.url)).await.unwrap().status.as_u16(), 307);
    assert!(elsewhere.is_quiet());
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_told_of() {
    let Unanswered::Connect(words) = client().send(get("http://127.0.0.1:1/")).await.unwrap_err() else {
        panic!("it is not connected to");
    };
    assert!(words.contains("refused"), "{words}");
    let plain = Capture::start(|_| Reply::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()));
    let error = client().send(get(&plain.url.replace("http:", "https:"))).await.unwrap_err();
    assert!(matches!(error, Unanswered::Tls(_) | Unanswered::Connect(_) | Unanswered::Broken), "{error:?}");
}

#[test]
fn secrets_go_over_https_or_stay_on_the_machine() {
    for (text, printed) in [
        ("https://api.example", "https://api.example"),
        ("HTTPS://API.Example:443/v1//", "https://api.example/v1"),
        ("http://localhost:8025", "http://localhost:8025"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:1", "http://[::1]:1"),
        ("http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]"),
    ] {
        let endpoint: Endpoint = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(endpoint.to_string(), printed);
        assert_eq!(endpoint.at("/a/b").to_string(), format!("{printed}/a/b"));
    }
    for text in [
        "http://api.example",
        "http://10.0.0.1",
        "http://localhost.api.example",
        "http://[::2]",
        "http://127.1.example",
    ] {
        assert_eq!(text.parse::<Endpoint>(), Err(InvalidEndpoint::Clear), "{text}");
    }
    for text in ["", "api.example", "ftp://api.example", "https:", "unix:/run/x", "https://a b"] {
        assert_eq!(text.parse::<Endpoint>(), Err(InvalidEndpoint::Form), "{text}");
    }
    assert_eq!("https://me@api.example".parse::<Endpoint>(), Err(InvalidEndpoint::Login));
    assert_eq!("https://api.example?a".parse::<Endpoint>(), Err(InvalidEndpoint::Behind));
    assert_eq!("https://api.example#a".parse::<Endpoint>(), Err(InvalidEndpoint::Behind));
}

/// Python's HTTP server behind TLS; it ends with its standard input.
struct Tls {
    process: Child,
    port: String,
}

impl Tls {
    fn start(certificates: &Certificates) -> Self {
        let python = std::env::var_os("OTP_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        let script = "import http.server, ssl, sys, threading\n\
                      context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
                      context.load_cert_chain(sys.argv[1], sys.argv[2])\n\
                      server = http.server.HTTPServer(('127.0.0.1', 0), http.server.BaseHTTPRequestHandler)\n\
                      server.socket = context.wrap_socket(server.socket, server_side=True)\n\
                      print(server.server_port, flush=True)\n\
                      threading.Thread(target=server.serve_forever, daemon=True).start()\n\
                      sys.stdin.read()";
        let mut command = Command::new(python);
        command.args(["-c", script, &certificates.path("host.pem"), &certificates.path("host.key")]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { process, port: port.trim().to_owned() }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs python3 and openssl: run `cargo xtask test`"]
async fn a_certificate_is_trusted_for_its_name_and_no_other() {
    let certificates = Certificates::make();
    let server = Tls::start(&certificates);
    let (named, by_address) =
        (format!("https://localhost:{}/", server.port), format!("https://127.0.0.1:{}/", server.port));
    let error = client().send(get(&named)).await.unwrap_err();
    assert!(matches!(error, Unanswered::Tls(rustls::Error::InvalidCertificate(_))), "{error:?}");

    let ca = CertificateDer::from_pem_file(certificates.path("ca.pem")).unwrap();
    let provider = Arc::new(ring::default_provider());
    let trusting = Outbound::of(Verifier::new_with_extra_roots([ca], provider).unwrap(), Guard::anywhere());
    assert_eq!(trusting.send(get(&named)).await.unwrap().status.as_u16(), 501, "it knows no GET");
    let error = trusting.send(get(&by_address)).await.unwrap_err();
    assert!(matches!(error, Unanswered::Tls(rustls::Error::InvalidCertificate(_))), "{error:?}");
}
