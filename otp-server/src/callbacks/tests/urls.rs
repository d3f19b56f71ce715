//! What the URL of a service says of its callbacks.

use crate::callbacks::CallbackVerifier;
use crate::mail::MailUrl;
use crate::outbound::Outbound;
use crate::provider::InvalidProviderUrl;
use crate::sms::{InvalidSmsUrl, SmsUrl};

use super::SECRET;

const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1jX433UQqGvlSj0+xs0AQdDHZm6b\
                   8c7LXJVFPgE1Fr7qgc76dMQh/lnNJuqCx/K1Cb0ryUPFz42cSn7F7D1rJw==";
const SES: &str = "ses:eu-central-1?access-key-id=AKIA&secret-access-key=hush";

fn mail(text: &str) -> Result<MailUrl, String> {
    MailUrl::parse(text, |_| None).map_err(|error| error.to_string())
}

fn service(text: &str) -> Option<&'static str> {
    let url = mail(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let MailUrl::Http(url) = url else { return None };
    CallbackVerifier::of_mail(&url, &Outbound::new().unwrap()).map(|verifier| verifier.service())
}

#[test]
fn a_url_that_names_what_callbacks_are_known_by_takes_them() {
    assert_eq!(service("resend:re_hush"), None);
    assert_eq!(service(&format!("resend:re_hush?callback={SECRET}")), Some("resend"));
    assert_eq!(service("sendgrid:SG.hush"), None);
    assert_eq!(service(&format!("sendgrid:SG.hush?callback={KEY}")), Some("sendgrid"));
    assert_eq!(service(SES), None);
    for topic in ["arn:aws:sns:eu-central-1:123456789012:mail", "arn:aws-cn:sns:cn-north-1:123456789012:a-b_c"] {
        assert_eq!(service(&format!("{SES}&topic={topic}&configuration-set=otp")), Some("ses"));
    }
    assert_eq!(service("smtp://localhost"), None);
}

#[test]
fn a_mistake_in_it_is_named() {
    for (text, words) in [
        ("resend:re_hush?callback=whsec_hush", "as Resend shows it"),
        ("resend:re_hush?callback=", "as Resend shows it"),
        ("sendgrid:SG.hush?callback=hush", "as SendGrid shows it"),
        (&format!("sendgrid:SG.hush?callback={}", KEY.replace("QgAE", "QgAC")), "as SendGrid shows it"),
        (&format!("{SES}&topic=hush"), "the ARN of a topic"),
        (&format!("{SES}&topic=arn:aws:sqs:eu-central-1:123456789012:mail"), "the ARN of a topic"),
        (&format!("{SES}&topic=arn:aws:sns:evil.example/:123456789012:mail"), "the ARN of a topic"),
    ] {
        let error = mail(text).expect_err(text);
        assert!(error.contains(words) && !error.contains("hush"), "{text}: {error}");
    }
}

#[test]
fn twilio_calls_back_where_it_is_told_to_and_never_in_clear() {
    let login = "twilio:AC0123:hush?from=+14155550100";
    let at = |text: &str, public: Option<&str>| {
        let url: SmsUrl = text.parse().unwrap();
        let url = url.reached_at(public);
        let takes = CallbackVerifier::of_sms(&url).map(|verifier| verifier.service());
        let SmsUrl::Twilio(twilio) = url else { panic!() };
        assert_eq!(takes.is_some(), twilio.callback.is_some());
        twilio.callback.map(|callback| callback.to_string())
    };
    assert_eq!(at(login, None), None);
    assert_eq!(at(login, Some("http://127.0.0.1:8080")), None);
    assert_eq!(at(login, Some("https://otp.example/base")).as_deref(), Some("https://otp.example/base"));
    let named = format!("{login}&callback=https://tunnel.example");
    assert_eq!(at(&named, Some("https://otp.example")).as_deref(), Some("https://tunnel.example"));
    let clear = format!("{login}&callback=http://otp.example").parse::<SmsUrl>().unwrap_err();
    assert!(matches!(clear, InvalidSmsUrl::Service(InvalidProviderUrl::Callback(_))), "{clear}");
}

#[test]
fn a_gateway_signs_with_the_secret_that_it_is_asked_with() {
    let gateway: SmsUrl = format!("gateway:https://sms.example?secret={SECRET}").parse().unwrap();
    assert_eq!(CallbackVerifier::of_sms(&gateway).map(|verifier| verifier.service()), Some("gateway"));
    assert!(CallbackVerifier::of_sms(&SmsUrl::Mailbox).is_none());
}
