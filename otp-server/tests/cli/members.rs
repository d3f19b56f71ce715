//! A member who lost authenticator and recovery codes is helped by the operator.

use otp_core::totp::{Digits, HashAlgorithm, OtpSecret, Period, Totp};
use otp_core::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::{Place, Server};

const ANN: &str = "ann@acme.example";
const PASSWORD: &str = "eleven pears in a teapot";

fn asked(server: &Server, path: &str, token: &str, body: &Value) -> Value {
    let (status, body) = server.post_as(path, token, &body.to_string());
    assert!((200..300).contains(&status), "{path}: {status}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// The newest mail to the member whose subject contains this.
fn mail(server: &Server, subject: &str) -> Value {
    for _ in 0..10_000 {
        let (_, mails) = server.fetch("/dev/mailbox/messages", "");
        let mails: Value = serde_json::from_str(&mails).unwrap();
        let is_meant = |mail: &&Value| mail["to"] == ANN && mail["subject"].as_str().unwrap().contains(subject);
        if let Some(mail) = mails.as_array().unwrap().iter().find(is_meant) {
            return mail.clone();
        }
    }
    panic!("no mail about {subject:?}");
}

#[test]
fn the_operator_takes_an_authenticator_away_beside_a_running_server() {
    let place = Place::new();
    let server = place.start();
    asked(&server, "/api/auth/register", "", &json!({"email": ANN, "password": PASSWORD}));
    let code = mail(&server, "Confirm")["code"].clone();
    asked(&server, "/api/auth/register/verify", "", &json!({"email": ANN, "code": code}));
    let login = || asked(&server, "/api/auth/login", "", &json!({"email": ANN, "password": PASSWORD, "token": true}));
    let token = login()["token"].as_str().unwrap().to_owned();
    let registered = asked(&server, "/api/auth/totp/register", &token, &json!({}));
    let secret: OtpSecret = registered["secret"].as_str().unwrap().parse().unwrap();
    let (algorithm, digits, period) = (HashAlgorithm::Sha1, Digits::SIX, Period::USUAL);
    let code = Totp { algorithm, digits, period, secret: secret.as_bytes() }.code_at(SystemClock::default().now());
    let enabled = asked(&server, "/api/auth/totp/enable", &token, &json!({"otp": code}));
    assert_eq!(enabled["recoveryCodes"].as_array().unwrap().len(), 10);
    assert_eq!(login()["mfaRequired"], true);

    let unknown = place.run(&["member", "reset-totp", "ben@acme.example"]);
    assert_eq!((unknown.status, unknown.stderr.as_str()), (1, "otp-server: member not found\n"));
    let said = place.done(&["member", "reset-totp", ANN]);
    assert!(said.starts_with(&format!("{ANN} (mem_")), "{said}");
    assert!(login()["token"].as_str().unwrap().starts_with("otp_ms_"));
    mail(&server, "was removed");
    let again = place.run(&["member", "reset-totp", ANN]);
    assert_eq!((again.status, again.stderr.as_str()), (1, "otp-server: authenticator not found\n"));
    assert!(place.done(&["verify-audit"]).contains("stand as they were written"));
}
