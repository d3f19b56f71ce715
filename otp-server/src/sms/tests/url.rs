//! What `OTP_SMS_URL` may be.

use otp_core::webhook::InvalidSigningSecret;

use crate::outbound::InvalidEndpoint;
use crate::provider::InvalidProviderUrl;
use crate::sms::{InvalidSmsUrl, SmsUrl, TwilioUrl};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn twilio(text: &str) -> TwilioUrl {
    match text.parse() {
        Ok(SmsUrl::Twilio(twilio)) => *twilio,
        other => panic!("{text} is {other:?}"),
    }
}

#[test]
fn a_plus_in_a_number_is_a_plus() {
    let url = twilio("twilio:AC0123:hu%3Ash?from=+14155550100&whatsapp=%2B14155550101&content=HXabc");
    assert_eq!((url.account.as_str(), url.token.expose()), ("AC0123", "hu:sh"));
    assert_eq!((url.from.as_deref(), url.whatsapp.as_deref()), (Some("+14155550100"), Some("+14155550101")));
    assert_eq!((url.service, url.content.as_deref()), (None, Some("HXabc")));
    assert_eq!(url.origin.endpoint.to_string(), "https://api.twilio.com");
    let url = twilio("TWILIO:AC0123:hush?service=MG1&content=HX1&endpoint=https://api.dublin.ie1.twilio.com");
    assert_eq!((url.service.as_deref(), url.from), (Some("MG1"), None));
    assert_eq!(url.origin.endpoint.to_string(), "https://api.dublin.ie1.twilio.com");
}

#[test]
fn a_gateway_keeps_its_own_query_and_not_the_secret() {
    let text = format!("gateway:https://sms.example/send?user=7&secret={SECRET}&x=%2B");
    match text.parse() {
        Ok(SmsUrl::Gateway(gateway)) => {
            assert_eq!(gateway.endpoint.uri().to_string(), "https://sms.example/send?user=7&x=%2B");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_mistake_is_named_with_its_remedy_and_without_the_secret() {
    use InvalidProviderUrl::{Both, Form, Gateway, Identifier, Lacking, Number, Option, Secret, Twice};
    let service = |text: &str| match text.parse::<SmsUrl>() {
        Err(InvalidSmsUrl::Service(error)) => {
            assert!(!error.to_string().contains("hush"), "{error}");
            error
        }
        other => panic!("{text} is {other:?}"),
    };
    for text in ["", "hush", "sms:hush", "smtp://hush"] {
        assert_eq!(text.parse::<SmsUrl>().unwrap_err(), InvalidSmsUrl::Scheme, "{text}");
    }
    assert_eq!("mailbox:hush".parse::<SmsUrl>().unwrap_err(), InvalidSmsUrl::AfterMailbox);
    for text in [
        "twilio:",
        "twilio:AC1",
        "twilio:hush:hush",
        "twilio:AC1/hush:hush",
        "twilio:AC1:?from=+14155550100",
        "twilio:AC1:hush%?from=+14155550100",
        "gateway:https://sms.example",
        "gateway:https://sms.example?secre=hush",
    ] {
        assert!(matches!(service(text), Form(_)), "{text}");
    }
    assert!(matches!(service("twilio:AC1:hush?sender=hush"), Option(_)));
    assert_eq!(service("twilio:AC1:hush?from=+14155550100&from=+14155550100"), Twice("from"));
    for number in ["hush", "14155550100", "+1415", "+1415555010012345", "%20+14155550100", "+1415555 100", ""] {
        assert_eq!(service(&format!("twilio:AC1:hush?from={number}")), Number("from"), "{number}");
    }
    assert_eq!(service("twilio:AC1:hush?whatsapp=whatsapp:+14155550100"), Number("whatsapp"));
    assert_eq!(service("twilio:AC1:hush?service=hush"), Identifier("service", "MG"));
    assert_eq!(service("twilio:AC1:hush?service=MG1&content=HX1/hush"), Identifier("content", "HX"));
    assert_eq!(service("twilio:AC1:hush?from=+14155550100&service=MG1"), Both("from", "service"));
    for text in
        ["twilio:AC1:hush", "twilio:AC1:hush?whatsapp=+14155550100", "twilio:AC1:hush?from=+14155550100&content=HX1"]
    {
        assert!(matches!(service(text), Lacking(_)), "{text}");
    }
    let clear = format!("gateway:http://sms.example?secret={SECRET}");
    assert_eq!(service(&clear), Gateway(InvalidEndpoint::Clear));
    assert_eq!(service(&format!("gateway:https://a?secret={SECRET}&secret={SECRET}")), Twice("secret"));
    assert_eq!(service("gateway:https://sms.example?secret=hush"), Secret(InvalidSigningSecret));
}

#[test]
fn a_url_is_printed_without_its_secrets() {
    for (text, printed) in [
        ("mailbox:", "mailbox:"),
        ("twilio:AC1:hush?from=+14155550100", "twilio:AC1"),
        ("twilio:AC1:hush?from=+14155550100&endpoint=http://[::1]:4000", "twilio:AC1?endpoint=http://[::1]:4000"),
        (&format!("gateway:https://sms.example/a?key=hush&secret={SECRET}"), "gateway:https://sms.example/a"),
    ] {
        let url: SmsUrl = text.parse().unwrap();
        assert_eq!(url.to_string(), printed);
        assert!(!format!("{url:?}").contains("MfKQ"), "{url:?}");
    }
    assert!(!format!("{:?}", twilio("twilio:AC1:hush?from=+14155550100")).contains("hush"));
}
