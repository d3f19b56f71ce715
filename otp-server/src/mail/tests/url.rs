//! What `OTP_MAIL_URL` and `OTP_MAIL_FROM` may be.

use std::path::{Path, PathBuf};

use crate::mail::{InvalidMailFrom, InvalidMailUrl, MailFrom, MailUrl, SmtpTls, SmtpUrl};

fn parse(text: &str) -> Result<MailUrl, InvalidMailUrl> {
    text.parse()
}

fn smtp(text: &str) -> SmtpUrl {
    match parse(text) {
        Ok(MailUrl::Smtp(server)) => server,
        other => panic!("{text} is {other:?}"),
    }
}

#[test]
fn encryption_and_port_follow_from_each_other_and_the_host() {
    use SmtpTls::{Implicit, None, StartTls};
    for (text, host, port, tls) in [
        ("smtp://mail.example", "mail.example", 587, StartTls),
        ("smtp://mail.example/", "mail.example", 587, StartTls),
        ("smtp://mail.example?tls=starttls", "mail.example", 587, StartTls),
        ("smtp://mail.example?tls=required", "mail.example", 465, Implicit),
        ("smtp://mail.example:2465?tls=required", "mail.example", 2465, Implicit),
        ("smtp://mail.example?tls=none", "mail.example", 25, None),
        ("smtp://mail.example:465?tls=starttls", "mail.example", 465, StartTls),
        ("smtps://mail.example", "mail.example", 465, Implicit),
        ("SMTPS://Mail.Example?tls=required", "mail.example", 465, Implicit),
        ("smtp://localhost", "localhost", 25, None),
        ("smtp://LOCALHOST:2525", "localhost", 2525, None),
        ("smtp://localhost?tls=starttls", "localhost", 587, StartTls),
        ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, None),
        ("smtp://[::1]:1025", "::1", 1025, None),
        ("smtp://[2001:db8::1]", "2001:db8::1", 587, StartTls),
        (" smtp://192.0.2.1 ", "192.0.2.1", 587, StartTls),
        ("smtp://münchen.example", "xn--mnchen-3ya.example", 587, StartTls),
    ] {
        let server = smtp(text);
        assert_eq!((server.host.as_str(), server.port, server.tls), (host, port, tls), "{text}");
        assert!(server.login.is_none() && server.ca.is_none(), "{text}");
    }
}

#[test]
fn login_and_certificate_are_percent_decoded() {
    let server =
        smtp("smtp://user%40mail.example:p%3A%2F%23%25+%C3%A9@mail.example?tls=required&ca=/etc/my%20ca/c++.pem");
    let login = server.login.unwrap();
    assert_eq!((login.user.as_str(), login.password.expose()), ("user@mail.example", "p:/#%+é"));
    assert_eq!(server.ca.as_deref(), Some(Path::new("/etc/my ca/c++.pem")));
    assert!(smtp("smtp://user:hush@localhost").login.is_some(), "in clear, but not over a network");
}

#[test]
fn mailbox_and_files_are_named_in_short() {
    assert!(matches!(parse("mailbox:"), Ok(MailUrl::Mailbox)));
    for (text, folder) in
        [("file:mails", "mails"), ("file:./a b%20", "./a b%20"), ("file:/var/m", "/var/m"), ("file:///var/m", "/var/m")]
    {
        match parse(text) {
            Ok(MailUrl::File(path)) => assert_eq!(path, PathBuf::from(folder), "{text}"),
            other => panic!("{text} is {other:?}"),
        }
    }
}

#[test]
fn a_mistake_is_named_with_its_remedy_and_without_the_password() {
    use InvalidMailUrl::*;
    let form = |text: &str| parse(text).is_err_and(|error| matches!(error, Form(_)));
    for text in
        ["smtp://user:hush/hush@mail.example", "smtp://mail.example:99999", "smtp://mail example", "smtp://[::1"]
    {
        assert!(form(text), "{text}: {:?}", parse(text));
    }
    for (text, error) in [
        ("", Scheme),
        ("mail.example", Scheme),
        ("http://mail.example", Scheme),
        ("hush:hush@mail.example", Scheme),
        ("mailbox:hush", AfterMailbox),
        ("file:", Folder),
        ("file://mails", Folder),
        ("file://", Folder),
        ("smtp:mail.example", Host),
        ("smtp://", Host),
        ("smtp://mail.example/hush", AfterHost),
        ("smtp://mail.example#hush", AfterHost),
        ("smtp://mail.example?hush@mail", AfterHost),
        ("smtp://mail.example?timeout=hush", AfterHost),
        ("smtp://user:12?hush@mail.example", AfterHost),
        ("smtp://user:hush%@mail.example", Encoding("password")),
        ("smtp://user:%zzhush@mail.example", Encoding("password")),
        ("smtp://%ff:hush@mail.example", Encoding("user")),
        ("smtp://user@mail.example", HalfLogin),
        ("smtp://user:@mail.example", HalfLogin),
        ("smtp://:hush@mail.example", HalfLogin),
        ("smtp://mail.example?tls=yes", Tls),
        ("smtp://mail.example?tls=opportunistic", Tls),
        ("smtp://mail.example?tls=none&tls=required", Twice("tls")),
        ("smtp://mail.example?ca=a&ca=b", Twice("ca")),
        ("smtp://mail.example?ca=", Ca),
        ("smtps://mail.example?tls=none", SmtpsTls),
        ("smtp://mail.example:465", Port465),
        ("smtp://user:hush@mail.example?tls=none", ClearPassword),
        ("smtp://user:hush@192.0.2.1:25?tls=none", ClearPassword),
        ("smtp://localhost?ca=ca.pem", UselessCa),
    ] {
        let found = parse(text).expect_err(text);
        assert_eq!(found, error, "{text}");
        assert!(!found.to_string().contains("hush"), "{found}");
    }
}

#[test]
fn a_url_is_printed_without_its_login() {
    let url = parse("smtp://user:hush@[2001:db8::1]?tls=starttls").unwrap();
    assert_eq!(url.to_string(), "smtp://[2001:db8::1]:587?tls=starttls");
    assert!(!format!("{url:?}").contains("hush"));
    assert_eq!(parse("mailbox:").unwrap().to_string(), "mailbox:");
    assert_eq!(parse("file:mails").unwrap().to_string(), "file:mails");
}

#[test]
fn a_sender_is_one_name_and_one_address() {
    for (text, printed) in [
        ("OTP Auth <noreply@localhost>", "OTP Auth <noreply@localhost>"),
        ("noreply@mail.example", "noreply@mail.example"),
        (" \"Acme, Inc.\" <noreply@mail.example> ", "\"Acme, Inc.\" <noreply@mail.example>"),
        ("Müller <noreply@mail.example>", "Müller <noreply@mail.example>"),
    ] {
        let from: MailFrom = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(from.to_string(), printed);
    }
    for text in ["", "OTP Auth", "OTP Auth <noreply>", "<>", "a@mail.example, b@mail.example", "a@mail.example b"] {
        assert_eq!(text.parse::<MailFrom>(), Err(InvalidMailFrom::Form), "{text}");
    }
    let injected = "OTP\r\nBcc: eve@mail.example <noreply@mail.example>";
    assert_eq!(injected.parse::<MailFrom>(), Err(InvalidMailFrom::ControlCharacter));
}
