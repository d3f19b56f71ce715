//! Requests signed by the libraries of the services, ours beside them, and a topic of the test's own.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use otp_core::Secret;
use otp_core::webhook::ReceiverKey;
use ring::rand::SystemRandom;
use serde_json::{Value, json};

use super::told::event_key;
use super::{MESSAGE, Refused, SECRET, Sent, now};
use crate::callbacks::{CallbackVerifier, EventKey, SesCallbacks, TwilioCallbacks};
use crate::capture::{Capture, Reply};
use crate::outbound::Outbound;

/// What a script says of this.
fn said(mut command: Command, given: &Value) -> String {
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "run `cargo xtask test`, which installs the libraries");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn node(script: &str, given: &Value) -> String {
    let read = "const given = JSON.parse(require('fs').readFileSync(0));";
    let mut command = Command::new("node");
    if let Some(modules) = std::env::var_os("OTP_TEST_NODE_MODULES") {
        command.env("NODE_PATH", modules);
    }
    command.args(["-e", &format!("{read}\n{script}")]);
    said(command, given)
}

fn python(script: &str, given: &Value) -> String {
    let mut command = Command::new(std::env::var_os("OTP_TEST_PYTHON").unwrap_or_else(|| "python3".into()));
    command.args(["-c", &format!("import json, sys\ngiven = json.load(sys.stdin)\n{script}")]);
    said(command, given)
}

#[tokio::test]
#[ignore = "needs node with svix: run `cargo xtask test`"]
async fn what_svix_signs_is_resends() {
    let body = json!({"type": "email.delivered", "data": {"tags": {"message_id": MESSAGE}}}).to_string();
    let script = "const { Webhook } = require('svix');\n\
                  console.log(new Webhook(given.secret).sign('id-1', new Date(given.at * 1000), given.body));";
    let signature = node(script, &json!({"secret": SECRET, "at": now().as_secs(), "body": body}));
    let sent = Sent::new(body).header("svix-id", "id-1").header("svix-timestamp", now().as_secs().to_string());
    let sent = sent.header("svix-signature", signature);
    let verifier = CallbackVerifier::Resend(ReceiverKey::parse(SECRET).unwrap());
    sent.is_bound(&verifier, &["svix-id", "svix-timestamp", "svix-signature"]).await;
}

#[tokio::test]
#[ignore = "needs python3 with standardwebhooks: run `cargo xtask test`"]
async fn what_standard_webhooks_signs_is_the_gateways() {
    let body = json!({"messageId": MESSAGE, "status": "delivered"}).to_string();
    let script = "from datetime import datetime, timezone\nfrom standardwebhooks.webhooks import Webhook\n\
                  at = datetime.fromtimestamp(given['at'], timezone.utc)\n\
                  print(Webhook(given['secret']).sign('id-1', at, given['body']))";
    let signature = python(script, &json!({"secret": SECRET, "at": now().as_secs(), "body": body}));
    let sent = Sent::new(body).header("webhook-id", "id-1").header("webhook-timestamp", now().as_secs().to_string());
    let sent = sent.header("webhook-signature", signature);
    let verifier = CallbackVerifier::Gateway(ReceiverKey::parse(SECRET).unwrap());
    sent.is_bound(&verifier, &["webhook-id", "webhook-timestamp", "webhook-signature"]).await;
}

/// SendGrid's library only verifies: what it takes and refuses, we take and refuse.
#[tokio::test]
#[ignore = "needs node with @sendgrid/eventwebhook: run `cargo xtask test`"]
async fn sendgrids_library_and_we_agree() {
    let (pair, key) = event_key();
    let verifier = CallbackVerifier::SendGrid(EventKey::parse(&key).unwrap());
    let script = "const { EventWebhook } = require('@sendgrid/eventwebhook');\n\
                  const hook = new EventWebhook();\n\
                  const key = hook.convertPublicKeyToECDSA(given.key);\n\
                  console.log(hook.verifySignature(key, given.body, given.signature, given.time));";
    let (body, time) =
        (format!("[{{\"event\":\"delivered\",\"message_id\":\"{MESSAGE}\"}}]\r\n"), now().as_secs().to_string());
    let signature = pair.sign(&SystemRandom::new(), format!("{time}{body}").as_bytes()).unwrap();
    let signature = BASE64_STANDARD.encode(signature);
    for (body, is_right) in [(body.clone(), "true"), (body.trim_end().to_owned(), "false")] {
        let given = json!({"key": key, "body": body, "signature": signature, "time": time});
        assert_eq!(node(script, &given), is_right);
        let sent = Sent::new(body).header("x-twilio-email-event-webhook-timestamp", &time);
        let sent = sent.header("x-twilio-email-event-webhook-signature", &signature);
        assert_eq!(sent.at(&verifier).await.is_ok().to_string(), is_right);
    }
}

#[tokio::test]
#[ignore = "needs python3 with twilio: run `cargo xtask test`"]
async fn what_twilios_library_signs_is_twilios() {
    let base = "https://otp.example";
    let (token, reached_at) = (Secret::from("hush".to_owned()), base.parse().unwrap());
    let verifier = CallbackVerifier::Twilio(TwilioCallbacks { token, reached_at });
    let script = "from urllib.parse import parse_qs\nfrom twilio.request_validator import RequestValidator\n\
                  class Form(dict):\n    getlist = dict.__getitem__\n\
                  form = Form(parse_qs(given['form'], keep_blank_values=True))\n\
                  print(RequestValidator('hush').compute_signature(given['url'], form))";
    for form in [
        "MessageStatus=delivered&MessageSid=SM1",
        "To=%2B4915112345678&MessageStatus=failed&ErrorCode=&Body=a+%26+b%3D%C3%A9&z=2&z=1&z=2",
        "",
    ] {
        let sent = Sent::new(form);
        let given = json!({"url": format!("{base}{}", sent.target), "form": form});
        let sent = sent.header("x-twilio-signature", python(script, &given));
        assert!(sent.at(&verifier).await.is_ok(), "{form}");
        let mut forged = sent.clone();
        forged.body.extend(b"&x=y");
        assert_eq!(forged.at(&verifier).await, Err(Refused::Forged));
    }
    let digest = "from hashlib import sha256\nprint(sha256(given['body'].encode()).hexdigest())";
    let body = "{\"a\":1}";
    let mut sent = Sent::new(body);
    sent.target = format!("{}&bodySHA256={}", sent.target, python(digest, &json!({"body": body})));
    let given = json!({"url": format!("{base}{}", sent.target), "form": ""});
    let sent = sent.header("x-twilio-signature", python(script, &given));
    sent.is_bound(&verifier, &["x-twilio-signature"]).await;
}

/// A topic that is confirmed at the place that it names itself.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs openssl: run `cargo xtask test`"]
async fn a_subscription_is_confirmed_if_it_is_of_the_topic() {
    let folder = tempfile::tempdir().unwrap();
    let (key, pem) = (folder.path().join("key.pem"), folder.path().join("certificate.pem"));
    let openssl = |arguments: &[&str], input: &str| {
        let mut command = Command::new("openssl");
        let mut process =
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success());
        output.stdout
    };
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let new = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=sns",
        "-keyout",
        &path(&key),
        "-out",
        &path(&pem),
    ];
    openssl(&new, "");
    let certificate = std::fs::read_to_string(&pem).unwrap();
    let capture = Capture::start(move |request| {
        let is_certificate = request.target.ends_with(".pem");
        Reply::Answer(200, "", if is_certificate { certificate.clone() } else { "<ok/>".to_owned() })
    });
    for (arn, is_ours) in
        [("arn:aws:sns:eu-central-1:123456789012:mail", true), ("arn:aws:sns:eu-central-1:123456789012:other", false)]
    {
        let mut notice = json!({
            "Type": "SubscriptionConfirmation",
            "MessageId": "1",
            "Token": "t",
            "TopicArn": arn,
            "Message": "You have chosen to subscribe",
            "SubscribeURL": format!("{}/?Action=ConfirmSubscription&Token=t", capture.url),
            "Timestamp": now().to_string(),
            "SignatureVersion": "2",
            "SigningCertURL": format!("{}/a.pem", capture.url),
        });
        let names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];
        let signed: String = names.iter().map(|name| format!("{name}\n{}\n", notice[name].as_str().unwrap())).collect();
        let signature = openssl(&["dgst", "-sha256", "-sign", &path(&key)], &signed);
        notice["Signature"] = BASE64_STANDARD.encode(signature).into();
        let topic = "arn:aws:sns:eu-central-1:123456789012:mail".parse().unwrap();
        let ses = SesCallbacks::new(topic, Some(capture.url.parse().unwrap()), Outbound::new().unwrap());
        let told = Sent::new(notice.to_string()).at(&CallbackVerifier::Ses(ses.into())).await;
        assert_eq!(told, if is_ours { Ok(vec![]) } else { Err(Refused::Forged) });
        if is_ours {
            let asked = [capture.next().target, capture.next().target];
            assert_eq!(asked, ["/a.pem", "/?Action=ConfirmSubscription&Token=t"]);
        }
        assert!(capture.is_quiet());
    }
}
