//! What `resend:`, `sendgrid:` and `ses:` may be followed by.

use crate::mail::{HttpMailUrl, InvalidMailUrl, MailService, MailUrl, Ses};
use crate::outbound::InvalidEndpoint;
use crate::provider::InvalidProviderUrl;

const NO_VARIABLES: fn(&str) -> Option<String> = |_| None;

fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<HttpMailUrl, InvalidProviderUrl> {
    match MailUrl::parse(text, variable) {
        Ok(MailUrl::Http(url)) => Ok(url),
        Err(InvalidMailUrl::Service(error)) => Err(error),
        other => panic!("{text} is {other:?}"),
    }
}

fn ses(text: &str, variable: impl Fn(&str) -> Option<String>) -> Ses {
    match parse(text, variable).unwrap_or_else(|error| panic!("{text}: {error}")).service {
        MailService::Ses(ses) => ses,
        other => panic!("{text} is {other:?}"),
    }
}

#[test]
fn a_key_is_percent_decoded_and_the_endpoint_is_the_services_own_unless_named() {
    for (text, key, endpoint) in [
        ("resend:re_hush", "re_hush", "https://api.resend.com"),
        (" RESEND:re_h%3Fsh ", "re_h?sh", "https://api.resend.com"),
        ("resend:re_a?endpoint=http://127.0.0.1:4000/x/", "re_a", "http://127.0.0.1:4000/x"),
        ("resend:re_a?endpoint=http%3A%2F%2Flocalhost", "re_a", "http://localhost"),
        ("sendgrid:SG.a-b_c+/=", "SG.a-b_c+/=", "https://api.sendgrid.com"),
        ("sendgrid:SG.a?endpoint=https://api.eu.sendgrid.com", "SG.a", "https://api.eu.sendgrid.com"),
    ] {
        let url = parse(text, NO_VARIABLES).unwrap_or_else(|error| panic!("{text}: {error}"));
        let (MailService::Resend { key: found, .. } | MailService::SendGrid { key: found, .. }) = url.service else {
            panic!()
        };
        assert_eq!((found.expose(), url.origin.endpoint.to_string().as_str()), (key, endpoint), "{text}");
    }
}

#[test]
fn the_credentials_of_aws_are_in_the_url_or_in_its_variables() {
    let variables = |name: &str| {
        let value = match name {
            "AWS_ACCESS_KEY_ID" => "AKIAENV",
            "AWS_SECRET_ACCESS_KEY" => "hush/env",
            "AWS_SESSION_TOKEN" => "session",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let own = ses("ses:eu-central-1?access-key-id=AKIAURL&secret-access-key=hu%2Bsh&configuration-set=otp", variables);
    let key = &own.credentials;
    assert_eq!((key.id.as_str(), key.key.expose(), key.token.is_some()), ("AKIAURL", "hu+sh", false));
    assert_eq!((own.region.as_str(), own.configuration_set.as_deref()), ("eu-central-1", Some("otp")));

    let key = ses("ses:us-east-1", variables).credentials;
    let token = key.token.as_ref().map(|token| token.expose());
    assert_eq!((key.id.as_str(), key.key.expose(), token), ("AKIAENV", "hush/env", Some("session")));
    let url = parse("ses:us-east-1", variables).unwrap();
    assert_eq!(url.origin.endpoint.to_string(), "https://email.us-east-1.amazonaws.com");
    let empty = |name: &str| variables(name).map(|_| String::new());
    for (text, variable) in [("ses:us-east-1", NO_VARIABLES), ("ses:us-east-1?access-key-id=AKIA", NO_VARIABLES)] {
        assert!(matches!(parse(text, variable), Err(InvalidProviderUrl::Lacking(_))), "{text}");
    }
    assert!(matches!(parse("ses:us-east-1", empty), Err(InvalidProviderUrl::Lacking(_))));
}

#[test]
fn a_mistake_is_named_with_its_remedy_and_without_the_key() {
    use InvalidProviderUrl::{Encoding, Endpoint, Form, Option, Twice};
    let expect = |text: &str, fits: fn(InvalidProviderUrl) -> bool| {
        let found = parse(text, NO_VARIABLES).expect_err(text);
        assert!(fits(found), "{text}: {found:?}");
        assert!(!found.to_string().contains("hush"), "{found}");
    };
    for text in [
        "resend:",
        "resend:?endpoint=https://hush",
        "resend:re hush",
        "resend:re_hüsh",
        "resend:re_hush%",
        "ses:",
        "sendgrid:%0D%0Ahush",
        "sendgrid:SG.hush\u{7f}",
        "ses:hush.example/",
        "ses:EU",
        "ses:a@hush",
    ] {
        expect(text, |error| matches!(error, Form(_)));
    }
    for text in
        ["resend:re_hush?key=hush", "resend:re_hush?hush", "sendgrid:SG.hush?region=hush", "ses:eu-west-1?key=hush"]
    {
        expect(text, |error| matches!(error, Option(_)));
    }
    expect("resend:a?endpoint=https://a.example&endpoint=https://hush.example", |error| error == Twice("endpoint"));
    expect("resend:a?endpoint=%hush", |error| error == Encoding("endpoint"));
    for text in ["hush", "ftp://hush.example", "https://", "//hush.example"] {
        expect(&format!("resend:a?endpoint={text}"), |error| error == Endpoint(InvalidEndpoint::Form));
    }
    for text in ["http://hush.example", "http://192.0.2.1", "http://localhost.hush.example", "http://[::2]"] {
        expect(&format!("resend:a?endpoint={text}"), |error| error == Endpoint(InvalidEndpoint::Clear));
    }
    expect("resend:a?endpoint=https://hush:hush@mail.example", |error| error == Endpoint(InvalidEndpoint::Login));
    for text in ["https://mail.example%3Fa=hush", "https://mail.example#hush", "https://mail.example%3F"] {
        expect(&format!("resend:a?endpoint={text}"), |error| error == Endpoint(InvalidEndpoint::Behind));
    }
}

#[test]
fn a_url_is_printed_without_its_key() {
    for (text, printed) in [
        ("resend:hush", "resend:"),
        ("sendgrid:hush?endpoint=https://api.eu.sendgrid.com/", "sendgrid:?endpoint=https://api.eu.sendgrid.com"),
        ("ses:eu-west-1?access-key-id=a&secret-access-key=hush&session-token=hush", "ses:eu-west-1"),
    ] {
        let url = MailUrl::parse(text, NO_VARIABLES).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(url.to_string(), printed);
        assert!(!format!("{url:?}").contains("hush"), "{url:?}");
    }
}
