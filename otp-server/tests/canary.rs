//! Nothing secret is left behind: a server that logs all it can is led through sign-ins with values that stand nowhere else,
//! and then its logs, its database, its other files and its metrics are searched for them, as they are and encoded.

#![allow(clippy::unwrap_used)] // clippy sees only the functions marked #[test] as tests

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Of the customer, which is no secret.
const NAME: &str = "Acme of the canary test";

#[test]
fn no_secret_is_left_in_logs_files_or_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut secrets = Secrets::default();
    drive(&server, &mut secrets);
    assert!(secrets.0.len() > 40, "{}", secrets.0.len());

    let search = Search::new(secrets.0.iter());
    let metrics = server.operator("/metrics");
    assert!(metrics.contains("otp_http_requests_total"), "{metrics}");
    let mut found = search.hits("metrics", metrics.as_bytes());
    // The log of the database is still there while the server runs.
    let open_files = files(folder.path());
    assert!(open_files.iter().any(|file| file.extension().is_some_and(|end| end == "db-wal")), "{open_files:?}");
    found.extend(search.hits_in_files(&open_files));
    // What is no secret stands there as it is.
    let name = Search::new([&("name".to_owned(), NAME.to_owned())]);
    assert!(!name.hits_in_files(&open_files).is_empty());

    let output = server.stop();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.matches("\"DEBUG\"").count() > 30, "the log tells of every request\n{log}");
    found.extend(search.hits("standard output", &output.stdout));
    found.extend(search.hits("standard error", &output.stderr));
    let closed_files = files(folder.path());
    assert!(closed_files.iter().any(|file| file.extension().is_some_and(|end| end == "db")), "{closed_files:?}");
    found.extend(search.hits_in_files(&closed_files));
    assert!(found.is_empty(), "{found:#?}");

    // The same search finds what is there.
    let planted = folder.path().join("planted");
    let (name, secret) = secrets.0.iter().find(|(name, _)| name == "code").unwrap();
    fs::write(&planted, format!("a line with {secret} in it")).unwrap();
    let found = search.hits_in_files(&files(folder.path()));
    assert_eq!(found, [format!("{name} (raw) in {}", planted.display())]);
}

#[test]
fn the_search_finds_every_encoding_wherever_it_begins() {
    let secret = "canary-4711-Zq8/+é";
    let search = Search::new([&("it".to_owned(), secret.to_owned())]);
    let noise = "nothing to see, 123456789 and more of it; ".repeat(40);
    assert_eq!(search.hits("noise", noise.as_bytes()), Vec::<String>::new());
    for before in ["", "x", "xy", "xyz", "wxyz"] {
        let plain = format!("{before}{secret} after it");
        let hex: String = plain.bytes().map(|byte| format!("{byte:02x}")).collect();
        let encoded = [
            plain.clone(),
            hex.to_uppercase(),
            hex,
            STANDARD_NO_PAD.encode(&plain),
            URL_SAFE_NO_PAD.encode(&plain),
            percent(plain.as_bytes(), |byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)),
            percent(plain.as_bytes(), |_| false),
            format!("{:?}", plain.as_bytes()),
        ];
        for encoded in encoded {
            let hits = search.hits("text", format!("{noise}{encoded}{noise}").as_bytes());
            assert!(!hits.is_empty(), "{encoded}");
        }
    }
}

/// What must not be found, by name.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn add(&mut self, name: &str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= SHORTEST, "{name} is too short to be looked for: {secret}");
        self.0.push((name.to_owned(), secret.clone()));
        secret
    }

    /// A key, whole and without the prefix that says its kind.
    fn key(&mut self, name: &str, key: &Value) -> String {
        let key = key.as_str().unwrap();
        let kinds = ["otp_live_sk_", "otp_test_sk_", "otp_live_pk_", "otp_admin_", "otp_rt_", "otp_su_", "otp_ms_"];
        let rest = kinds.iter().find_map(|kind| key.strip_prefix(kind)).unwrap();
        self.add(&format!("{name} without its prefix"), rest);
        self.add(name, key)
    }

    /// The tokens of a sign-in, whole and the parts that make them worth something.
    fn tokens(&mut self, signed_in: &Value) -> (String, String) {
        let token = self.add("access token", signed_in["token"].as_str().unwrap());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        self.add("claims", signed.rsplit_once('.').unwrap().1);
        self.add("signature", signature);
        let refresh = self.key("refresh token", &signed_in["refreshToken"]);
        (token, refresh)
    }
}

/// Leads a server through all that handles secrets, mistakes that clients make with them included.
fn drive(server: &Server, secrets: &mut Secrets) {
    let admin = secrets.key("administrator token", &json!(server.admin_token));
    secrets.key("demo key", &json!(server.demo_key));
    let contact = secrets.add("contact address", "ops.canary.k3v8@contact-w7x2.example");
    let customer = json!({"name": NAME, "email": contact, "plan": "starter"});
    let created = server.ok("POST", "/admin/customers", &admin, Some("create-canary-5t9w"), &customer);
    secrets.add("idempotency key", "create-canary-5t9w");
    let replayed = server.ok("POST", "/admin/customers", &admin, Some("create-canary-5t9w"), &customer);
    assert_eq!(created, replayed);
    let key = secrets.key("secret key", &created["apiKey"]);
    secrets.add("webhook secret", created["apiSecret"].as_str().unwrap().strip_prefix("whsec_").unwrap());
    let keys = format!("/admin/customers/{}/api-keys", created["customerId"].as_str().unwrap());
    let new_key = |body: Value| server.ok("POST", &keys, &key, None, &body);
    drive_signup(server, secrets);
    drive_members(server, secrets);
    let reveals = new_key(json!({"name": "Reveals", "scopes": ["otp:reveal"]}));
    let reveals = secrets.key("revealing key", &reveals["apiKey"]);
    let publishable = new_key(json!({"name": "Shop", "type": "publishable"}));
    let publishable_id = publishable["keyId"].as_str().unwrap().to_owned();
    let publishable = secrets.key("publishable key", &publishable["apiKey"]);
    let test = secrets.key("test key", &new_key(json!({"name": "Test", "mode": "test"}))["apiKey"]);
    let rotated =
        server.ok("POST", &format!("{keys}/{publishable_id}/rotate"), &key, Some("rotate-canary"), &json!({}));
    secrets.key("rotated key", &rotated["apiKey"]);

    let address = secrets.add("address", "ann.canary.q5z7@mailbox-p8r3.example");
    secrets.add("part of the address before the @", "ann.canary.q5z7");
    let ask = json!({
        "email": address,
        "context": secrets.add("context", "Pay 4711 EUR to canary-h2m6"),
        "purpose": "pay",
        "metadata": {"note": secrets.add("metadata", "metadata-canary-y4c9")},
        "client": {
            "ip": secrets.add("client address", "2001:db8:7a3c:91e4:52bd:8f06:cc1a:e977"),
            "userAgent": secrets.add("user agent", "CanaryPhone/7.2 (b5n8)"),
        },
    });
    let asked = server.ok("POST", "/auth/request-otp", &key, Some("ask-canary-7f4d"), &ask);
    let code = secrets.add("code", server.mailed(&address));
    let with = |fields: Value| {
        let mut body = json!({"purpose": "pay", "context": ask["context"], "client": ask["client"]});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let wrong: String =
        code.chars().rev().map(|digit| if digit == '9' { '0' } else { (digit as u8 + 1) as char }).collect();
    let wrong = secrets.add("wrong code", wrong);
    let guess = with(json!({"challengeId": asked["challengeId"], "otp": wrong}));
    server.refused(401, "POST", "/auth/verify-otp", &key, &guess.to_string());
    // Clients that get the form wrong.
    server.refused(400, "POST", "/auth/verify-otp", &key, &format!(r#"{{"otp":"{code}","#));
    server.refused(400, "POST", "/auth/verify-otp", &key, &format!(r#"{{"email":"{address}","otp":{code}}}"#));
    server.refused(400, "POST", "/auth/verify-otp", &key, &format!(r#"{{"email":"{address}","otp":"{code}{code}"}}"#));
    server.refused(400, "POST", "/auth/request-otp", &key, &format!(r#"{{"email":"{address}@"}}"#));
    server.refused(404, "GET", &format!("/{key}/{code}?email={address}&token={admin}"), &key, "");
    server.refused(401, "GET", &format!("/auth/me?token={key}&otp={code}"), &admin, "");
    server.refused(404, "DELETE", &format!("{keys}/{publishable}"), &key, "");
    server.refused(401, "POST", "/auth/refresh", "", &format!(r#"{{"refreshToken":"{key}"}}"#));

    let right = with(json!({"challengeId": asked["challengeId"], "otp": code}));
    let signed_in = server.ok("POST", "/auth/verify-otp", &key, Some("verify-canary-2h8p"), &right);
    let (token, refresh) = secrets.tokens(&signed_in);
    server.ok("POST", "/auth/verify-otp", &key, Some("verify-canary-2h8p"), &right);
    server.ok("GET", "/auth/me", &token, None, &Value::Null);
    let prolonged =
        server.ok("POST", "/auth/refresh", "", Some("refresh-canary-9k1s"), &json!({"refreshToken": refresh}));
    let (token, newest) = secrets.tokens(&prolonged);
    server.ok("GET", "/auth/sessions", &token, None, &Value::Null);
    server.refused(401, "GET", "/auth/me", &format!("{token}x"), "");
    server.refused(401, "POST", "/auth/refresh", "", &json!({"refreshToken": refresh}).to_string());
    server.refused(401, "POST", "/auth/refresh", "", &json!({"refreshToken": newest}).to_string());

    let second = secrets.add("second address", "ben.canary.t6j1@mailbox-p8r3.example");
    let sent = server.ok("POST", "/auth/request-otp", &publishable, None, &json!({"email": second}));
    let said = json!({"challengeId": sent["challengeId"], "otp": server.mailed(&second), "result": "proof"});
    secrets.add("second code", said["otp"].as_str().unwrap());
    let proof = server.ok("POST", "/auth/verify-otp", &publishable, None, &said);
    let proof = secrets.add("proof", proof["proof"].as_str().unwrap());
    secrets.add("signature of the proof", proof.rsplit_once('.').unwrap().1);

    let revealed = json!({"email": second, "deliver": "caller"});
    let revealed = server.ok("POST", "/auth/request-otp", &reveals, Some("reveal-canary-3g7n"), &revealed);
    secrets.add("revealed code", revealed["code"].as_str().unwrap());
    let shown = server.ok("POST", "/auth/request-otp", &test, None, &json!({"email": second}));
    let shown = json!({"email": second, "otp": secrets.add("test code", shown["testCode"].as_str().unwrap())});
    let (token, _) = secrets.tokens(&server.ok("POST", "/auth/verify-otp", &test, None, &shown));
    server.ok("POST", "/auth/logout", &token, None, &json!({"everywhere": true}));
    server.ok("DELETE", &format!("{keys}/{publishable_id}"), &key, None, &Value::Null);
    server.refused(401, "POST", "/auth/request-otp", &publishable, &json!({"email": second}).to_string());
}

/// Signs up by the code, and by the link and its page; the mails, the page and the answers are the only places that tell.
fn drive_signup(server: &Server, secrets: &mut Secrets) {
    let password = secrets.add("password", "canary password k7w2 of eleven pears");
    let company = "Canary Works";
    let sign_up = |email: &str| {
        let body = json!({"email": email, "companyName": company, "password": password});
        server.ok("POST", "/signup", "", None, &body);
        let mail = server.mail(email);
        let text = mail["text"].as_str().unwrap();
        let link = text.lines().find_map(|line| line.strip_prefix(&server.url)).unwrap().to_owned();
        (link, mail["code"].as_str().unwrap().to_owned())
    };
    let first = "dee.canary.r2x6@signup-n4v9.example";
    let (link, code) = sign_up(first);
    secrets.add("address that signs up", first);
    secrets.add("token of a link", link.split_once("&token=").unwrap().1);
    secrets.add("code of a signup", &code);
    server.refused(401, "POST", "/signup/verify", "", &json!({"email": first, "code": "000000000"}).to_string());
    let confirm = json!({"email": first, "code": code});
    let opened = server.ok("POST", "/signup/verify", "", Some("confirm-canary-6m3q"), &confirm);
    assert_eq!(server.ok("POST", "/signup/verify", "", Some("confirm-canary-6m3q"), &confirm), opened);
    secrets.key("key of a signup", &opened["apiKey"]);
    let token = secrets.key("signup token", &opened["signupToken"]);
    let further = server.ok("POST", "/signup/api-key", &token, None, &json!({"name": "Second"}));
    secrets.key("second key of a signup", &further["apiKey"]);
    server.ok("POST", "/signup", "", None, &json!({"email": first, "companyName": company, "password": password}));

    let second = "eve.canary.b8t5@signup-n4v9.example";
    let (link, code) = sign_up(second);
    secrets.add("second address that signs up", second);
    secrets.add("second token of a link", link.split_once("&token=").unwrap().1);
    secrets.add("second code of a signup", code);
    assert_eq!(server.ask("GET", &link, "", None, "").0, 200);
    let (status, page) = server.ask("POST", "/signup/confirm", "", None, link.split_once('?').unwrap().1);
    let page = String::from_utf8(page).unwrap();
    assert_eq!(status, 200, "{page}");
    let key = page.split_once("\">otp_live_sk_").unwrap().1.split_once('<').unwrap().0;
    secrets.key("key of a page", &json!(format!("otp_live_sk_{key}")));
}

/// A member registers, signs in by password and by code, invites somebody and sets a new password.
fn drive_members(server: &Server, secrets: &mut Secrets) {
    let email = secrets.add("member's address", "cy.canary.w3n8@member-t5k2.example");
    let name = secrets.add("member's name", "Canary Cyrus f6j4");
    let password = secrets.add("member's password", "canary member m9d3 of twelve figs");
    let register = json!({"email": email, "password": password, "name": name});
    server.ok("POST", "/api/auth/register", "", None, &register);
    let code = secrets.add("member's code", server.mailed(&email));
    server.ok("POST", "/api/auth/register/verify", "", None, &json!({"email": email, "code": code}));
    let login = |proof: Value| {
        let mut body = json!({"email": email, "token": true});
        body.as_object_mut().unwrap().extend(proof.as_object().unwrap().clone());
        body
    };
    let wrong = secrets.add("wrong password", "canary wrong v8s1 of twelve figs");
    server.refused(401, "POST", "/api/auth/login", "", &login(json!({"password": wrong})).to_string());
    server.refused(400, "POST", "/api/auth/login", "", &format!(r#"{{"email":"{email}","password":"{password}","x":"#));
    server.refused(400, "POST", "/api/auth/login", "", &format!(r#"{{"email":"{email}","{password}":1}}"#));
    let signed_in = server.ok("POST", "/api/auth/login", "", None, &login(json!({"password": password})));
    let token = secrets.key("member's token", &signed_in["token"]);
    secrets.add("CSRF token", signed_in["csrfToken"].as_str().unwrap());
    let made = server.ok("POST", "/api/app", &token, None, &json!({"name": "Canary App"}));
    secrets.key("key of an app", &made["apiKey"]);
    let path = format!("/api/app/{}", made["appId"].as_str().unwrap());
    let reset = server.ok("PUT", &format!("{path}/api-key"), &token, None, &json!({}));
    secrets.key("key that was reset", &reset["apiKey"]);
    let invited = secrets.add("invited address", "di.canary.h7p5@member-t5k2.example");
    server.ok("POST", &format!("{path}/invitations"), &token, None, &json!({"email": invited, "role": "viewer"}));
    let invitation = secrets.add("code of an invitation", server.mailed(&invited));
    server.refused(404, "POST", "/api/auth/invitations", &token, &json!({"code": invitation}).to_string());
    server.refused(401, "GET", &format!("/api/auth/me?token={token}"), &format!("{token}x"), "");
}

/// A running server, in a data directory of its own.
struct Server {
    process: Child,
    url: String,
    operator_url: String,
    admin_token: String,
    demo_key: String,
    /// What follows the first lines, which show key and token by design.
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: [JoinHandle<()>; 2],
}

struct Output {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut server = Command::new(env!("CARGO_BIN_EXE_otp-server"));
        server.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir"]).arg(folder);
        server.current_dir(folder).env_clear().env("TMPDIR", folder);
        server.env("OTP_LOG", "trace").env("RUST_BACKTRACE", "1");
        let mut process = server.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = Arc::default();
        let log = keep(process.stderr.take().unwrap(), Arc::clone(&stderr));
        let (say, said) = mpsc::channel();
        let stdout = Arc::default();
        let words = first_lines(process.stdout.take().unwrap(), say, Arc::clone(&stdout));
        let welcome = said.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| {
            let log: Vec<u8> = stderr.lock().unwrap().clone();
            panic!("the server did not start: {}", String::from_utf8_lossy(&log))
        });
        let shown = |prefix: &str| {
            let line = welcome.lines().find_map(|line| line.trim().strip_prefix(prefix).map(str::to_owned));
            line.unwrap_or_else(|| panic!("no line begins with {prefix}\n{welcome}"))
        };
        let operator_url = shown("Metrics and health on ");
        Self {
            process,
            url: shown("OTP Auth listens on "),
            operator_url: operator_url.split("/metrics").next().unwrap().to_owned(),
            admin_token: format!("otp_admin_{}", shown("otp_admin_")),
            demo_key: format!("otp_live_sk_{}", shown("otp_live_sk_")),
            stdout,
            stderr,
            readers: [log, words],
        }
    }

    /// Sends a request and gives status and body.
    fn ask(&self, method: &str, path: &str, bearer: &str, once: Option<&str>, body: &str) -> (u16, Vec<u8>) {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        if !bearer.is_empty() {
            head += &format!("authorization: Bearer {bearer}\r\n");
        }
        if let Some(once) = once {
            head += &format!("idempotency-key: {once}\r\n");
        }
        head += &format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        exchange(host, &(head + body))
    }

    fn ok(&self, method: &str, path: &str, bearer: &str, once: Option<&str>, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = self.ask(method, path, bearer, once, &body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).unwrap()
    }

    fn refused(&self, expected: u16, method: &str, path: &str, bearer: &str, body: &str) {
        let (status, answer) = self.ask(method, path, bearer, None, body);
        assert_eq!(status, expected, "{method} {path}: {}", String::from_utf8_lossy(&answer));
    }

    /// The code that was mailed to an address, as soon as it is there.
    fn mailed(&self, to: &str) -> String {
        self.mail(to)["code"].as_str().unwrap().to_owned()
    }

    /// The mail to an address, as soon as it is there.
    fn mail(&self, to: &str) -> Value {
        for _ in 0..10_000 {
            let mails = self.ok("GET", "/dev/mailbox/messages", "", None, &Value::Null);
            let mail = mails.as_array().unwrap().iter().find(|mail| mail["to"] == to).cloned();
            if let Some(mail) = mail {
                return mail;
            }
        }
        panic!("nothing was mailed to {to}");
    }

    fn operator(&self, path: &str) -> String {
        let host = self.operator_url.strip_prefix("http://").unwrap();
        let (status, body) =
            exchange(host, &format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"));
        assert_eq!(status, 200);
        String::from_utf8(body).unwrap()
    }

    /// Ends it as an operator does, and gives what it said.
    fn stop(mut self) -> Output {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let status = self.process.wait().unwrap();
        self.readers.into_iter().for_each(|reader| reader.join().unwrap());
        let take = |kept: &Mutex<Vec<u8>>| std::mem::take(&mut *kept.lock().unwrap());
        let output = Output { stdout: take(&self.stdout), stderr: take(&self.stderr) };
        assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }
}

fn exchange(host: &str, request: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), answer.split_off(end + 4))
}

/// Reads a stream to its end, so that the process never waits for a reader.
fn keep(mut stream: impl Read + Send + 'static, kept: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut piece) {
            kept.lock().unwrap().extend_from_slice(&piece[..read]);
        }
    })
}

/// Sends what is said up to the second `curl` line; keeps the rest.
fn first_lines(
    stream: impl Read + Send + 'static,
    say: mpsc::Sender<String>,
    kept: Arc<Mutex<Vec<u8>>>,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut welcome = String::new();
        while welcome.matches("curl ").count() < 2 {
            if stream.read_line(&mut welcome).unwrap_or(0) == 0 {
                return;
            }
        }
        let _ = say.send(welcome);
        let _ = stream.read_to_end(&mut kept.lock().unwrap());
    })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

/// Nothing shorter is looked for.
const SHORTEST: usize = 8;

/// Looks for many things in one pass: by their first bytes.
struct Search(HashMap<[u8; SHORTEST], Vec<(String, Vec<u8>)>>);

impl Search {
    fn new<'a>(secrets: impl IntoIterator<Item = &'a (String, String)>) -> Self {
        let mut sought: HashMap<_, Vec<_>> = HashMap::new();
        for (name, secret) in secrets {
            for (encoding, bytes) in encodings(secret.as_bytes()) {
                let start: [u8; SHORTEST] = bytes[..SHORTEST].try_into().unwrap();
                sought.entry(start).or_default().push((format!("{name} ({encoding})"), bytes));
            }
        }
        Self(sought)
    }

    fn hits(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let mut hits = Vec::new();
        for (at, start) in bytes.windows(SHORTEST).enumerate() {
            let sought = self.0.get(start).map_or(&[][..], Vec::as_slice);
            let found = sought.iter().filter(|(_, sought)| bytes[at..].starts_with(sought));
            hits.extend(found.map(|(name, _)| format!("{name} in {place}")));
        }
        hits.dedup();
        hits
    }

    fn hits_in_files(&self, files: &[PathBuf]) -> Vec<String> {
        files.iter().flat_map(|file| self.hits(&file.display().to_string(), &fs::read(file).unwrap())).collect()
    }
}

/// A secret as it could be written down.
fn encodings(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![
        ("raw", secret.to_vec()),
        ("upper-case hex", hex.to_uppercase().into_bytes()),
        ("hex", hex.into_bytes()),
        ("bytes in decimal", format!("{secret:?}").trim_matches(['[', ']']).as_bytes().to_vec()),
        ("percent", percent(secret, |_| false).into_bytes()),
    ];
    let url = percent(secret, unreserved).into_bytes();
    if url != secret {
        all.push(("URL", url));
    }
    for offset in 0..3 {
        // What stands before and after decides the characters at the edges.
        let shifted = [&vec![0; offset][..], secret].concat();
        let inner = (offset * 8).div_ceil(6)..shifted.len() * 8 / 6;
        for (name, engine) in [("base64", &STANDARD_NO_PAD), ("base64url", &URL_SAFE_NO_PAD)] {
            all.push((name, engine.encode(&shifted).as_bytes()[inner.clone()].to_vec()));
        }
    }
    all
}

fn percent(bytes: &[u8], is_kept: impl Fn(u8) -> bool) -> String {
    let write = |byte: &u8| if is_kept(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    bytes.iter().map(write).collect()
}
