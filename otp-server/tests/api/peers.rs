//! Programs by others look at what this one makes: token libraries, a validator of OpenAPI documents, a browser.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use axum::http::{HeaderValue, header};
use otp_core::token::Algorithm;
use otp_core::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::call::get;
use crate::document::document;
use crate::harness::{ISSUER, World};
use crate::sockets::Server;

fn setting(name: &str) -> OsString {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name} is set by `cargo xtask test`"))
}

/// Runs a program with this on its standard input.
fn run(mut program: Command, input: &Value) -> Output {
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn script(name: &str) -> String {
    format!("{}/tests/api/peers/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
#[ignore = "needs openapi-spec-validator: run `cargo xtask test`"]
fn the_document_is_valid_openapi_3_1() {
    let validate = |document: &Value| {
        let mut python = Command::new(setting("OTP_TEST_PYTHON"));
        python.args(["-m", "openapi_spec_validator", "--schema", "3.1.0", "-"]);
        run(python, document)
    };
    let verdict = validate(document());
    assert!(verdict.status.success(), "{verdict:?}");
    let mut broken = document().clone();
    broken["paths"]["/auth/me"]["get"]["responses"] = json!("none");
    assert!(!validate(&broken).status.success(), "the validator finds no fault in a broken document");
}

/// Tokens of one customer under each algorithm that has a public key, with the keys as they are served.
async fn tokens() -> Value {
    let world = World::new();
    // The libraries tell the time themselves.
    world.clock.set(SystemClock::default().now());
    let customer = world.customer().await;
    let caller = world.service.administrator(customer.tenant()).await.unwrap();
    let mut tokens = Vec::new();
    for (number, algorithm) in [Algorithm::EdDsa, Algorithm::Es256].into_iter().enumerate() {
        world.service.rotate_signing_keys(&caller, algorithm).await.unwrap();
        let user = world.sign_in(&customer.key, &format!("ann{number}@example.org")).await;
        tokens.push(json!({"token": user.token, "algorithm": algorithm.as_str(), "session": user.session}));
    }
    let issuer = format!("{ISSUER}/auth/{}", customer.id);
    let jwks = world.send(get(format!("/auth/{}/.well-known/jwks.json", customer.id))).await.json();
    json!({"jwks": jwks, "tokens": tokens, "issuer": issuer, "audience": customer.id})
}

/// Whether the library accepts the tokens as they are, and none of them with a changed signature, audience or issuer.
fn judged(program: impl Fn() -> Command, input: &Value) {
    let accepted = run(program(), input);
    assert!(accepted.status.success(), "{accepted:?}");
    let mut forged = Vec::new();
    for (field, value) in [("issuer", json!("https://evil.example")), ("audience", json!("cust_other"))] {
        let mut changed = input.clone();
        changed[field] = value;
        forged.push(changed);
    }
    let mut changed = input.clone();
    for token in changed["tokens"].as_array_mut().unwrap() {
        let (signed, signature) = token["token"].as_str().unwrap().rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { "B" } else { "A" };
        token["token"] = json!(format!("{signed}.{first}{}", &signature[1..]));
    }
    forged.push(changed);
    for input in forged {
        let refused = run(program(), &input);
        assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    }
}

#[tokio::test]
#[ignore = "needs jose: run `cargo xtask test`"]
async fn jose_verifies_the_tokens() {
    let modules = setting("OTP_TEST_NODE_MODULES");
    let node = || {
        let mut node = Command::new("node");
        node.arg(script("verify.mjs")).arg(Path::new(&modules).join("jose/dist/webapi/index.js"));
        node
    };
    judged(node, &tokens().await);
}

#[tokio::test]
#[ignore = "needs PyJWT: run `cargo xtask test`"]
async fn pyjwt_verifies_the_tokens() {
    let python = || {
        let mut python = Command::new(setting("OTP_TEST_PYTHON"));
        python.arg(script("verify.py"));
        python
    };
    judged(python, &tokens().await);
}

/// What a browser makes of a page: its document once the scripts have run, and what it complained of.
fn browse(url: &str) -> (String, Vec<String>) {
    let profile = tempfile::tempdir().unwrap();
    let mut chromium = Command::new("chromium");
    chromium
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom", url]);
    let output = run(chromium, &Value::Null);
    assert!(output.status.success(), "{output:?}");
    let complaints = String::from_utf8_lossy(&output.stderr);
    let complaints = complaints.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect();
    (String::from_utf8_lossy(&output.stdout).into_owned(), complaints)
}

/// The page under another policy than its own, if one is given.
async fn page(policy: Option<String>) -> (String, Vec<String>) {
    let world = World::new();
    let router = world.router.clone();
    let router = router.layer(axum::middleware::map_response(move |mut response: axum::response::Response| {
        let policy = policy.clone();
        async move {
            if let Some(policy) = policy {
                let policy = HeaderValue::from_str(&policy).unwrap();
                response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            }
            response
        }
    }));
    let server = Server::start_with(world, router).await;
    // With one operation unfolded.
    let url = format!("http://{}/docs/#/Sign-in/requestOtp", server.addr);
    tokio::task::spawn_blocking(move || browse(&url)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium: run `cargo xtask test`"]
async fn a_browser_shows_the_docs_without_complaint() {
    let (dom, complaints) = page(None).await;
    assert_eq!(complaints, Vec::<String>::new());
    for shown in ["/auth/request-otp", "/auth/verify-otp", "Sends a code", "Sign-in", "body_too_large"] {
        assert!(dom.contains(shown), "{shown} is not shown\n{dom}");
    }
}

/// Each source that the page's policy admits is one that the page needs.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium: run `cargo xtask test`"]
async fn the_policy_of_the_docs_admits_no_more_than_the_page_needs() {
    let policy = World::new().send(get("/docs/")).await.header("content-security-policy").unwrap().to_owned();
    let admitted: Vec<&str> = policy.split("; ").filter(|directive| !directive.ends_with("'none'")).collect();
    assert!(!admitted.is_empty(), "{policy}");
    for directive in admitted {
        let (name, sources) = directive.split_once(' ').unwrap();
        for source in sources.split(' ') {
            let others: Vec<&str> = sources.split(' ').filter(|other| *other != source).collect();
            let others = if others.is_empty() { "'none'".to_owned() } else { others.join(" ") };
            let stricter = policy.replace(directive, &format!("{name} {others}"));
            let (_, complaints) = page(Some(stricter.clone())).await;
            assert!(
                complaints.iter().any(|line| line.contains("Content Security Policy")),
                "{stricter}: {complaints:?}"
            );
        }
    }
}
