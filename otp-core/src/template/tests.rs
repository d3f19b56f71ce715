//! Every template rendered from samples, and what must never happen to one.

use super::*;

const CODE: &str = "123456789";

fn plain() -> MessageContext {
    MessageContext {
        language: Language::English,
        app_name: "Acme".to_owned(),
        otp: CODE.to_owned().into(),
        expires_in_minutes: 10,
        context: None,
        request_ip: None,
        request_time: Timestamp::from_millis(1_769_847_330_123),
        support_url: None,
        user_email: "ann@example.org".to_owned(),
        logo_url: None,
        brand_color: None,
        footer_text: None,
        host: None,
    }
}

fn full() -> MessageContext {
    MessageContext {
        context: Some("Transfer of 250.00 EUR to Jane Doe".to_owned()),
        request_ip: Some("203.0.113.7".to_owned()),
        support_url: Some("https://acme.example/help".to_owned()),
        host: Some("acme.example".to_owned()),
        logo_url: Some("https://acme.example/logo.png".to_owned()),
        brand_color: Some("#0a7f5a".to_owned()),
        footer_text: Some("Acme Ltd, 1 Main Street, Springfield".to_owned()),
        ..plain()
    }
}

/// The values of [`full`] with all that HTML, headers and lines of their own are made of.
fn hostile() -> MessageContext {
    let evil = |name: &str| {
        format!("{name}\r\nBcc: x@evil.test\n@evil.test #000\u{2028}\u{0}\u{202e}<script>\"'&{{{{ otp }}}}")
    };
    MessageContext {
        app_name: evil("app"),
        context: Some(evil("context")),
        request_ip: Some(evil("ip")),
        support_url: Some(format!("https://{}", evil("url"))),
        host: Some(evil("host")),
        logo_url: Some(format!("https://{}", evil("logo"))),
        footer_text: Some(evil("footer")),
        ..plain()
    }
}

/// What a reader sees, one line for each run of text.
fn visible(html: &str) -> Vec<String> {
    let body = html.split_once("</div>").unwrap().1;
    let text = body.split('<').filter_map(|tag| tag.split_once('>')).map(|(_, text)| text.trim().to_owned());
    text.filter(|text| !text.is_empty()).collect()
}

#[test]
fn every_template_renders_from_every_sample() {
    for message in [plain(), full(), hostile()] {
        for language in Language::ALL {
            let message = MessageContext { language: *language, ..message.clone() };
            render(&message).and(render_sms(&message).map(drop)).unwrap_or_else(|error| panic!("{error:?}"));
        }
    }
    assert_eq!(built_in().templates().count(), 5);
}

#[test]
fn the_full_mail_reads_well() {
    let mail = render(&full()).unwrap();
    assert_eq!(mail.subject, "Your Acme code");
    assert_eq!(
        mail.text,
        "Your Acme code:

    123 456 789

You are approving: Transfer of 250.00 EUR to Jane Doe
If that is not what you want to do, do not enter the code.

It expires in 10 minutes and works once.
Enter it only on acme.example.

Never share this code: nobody from Acme will ask you for it.
If you did not ask for it, ignore this message. Without the code nothing happens.

Requested on 2026-01-31 08:15 UTC
from 203.0.113.7
Help: https://acme.example/help

Acme Ltd, 1 Main Street, Springfield"
    );
    let lines = [
        "Acme",
        "Here is your code",
        "You are approving:",
        "Transfer of 250.00 EUR to Jane Doe",
        "If that is not what you want to do, do not enter the code.",
        "123 456 789",
        "It expires in",
        "10 minutes",
        "and works once.",
        "Enter it only on",
        "acme.example",
        ".",
        "Never share this code:",
        "nobody from Acme will ask you for it.",
        "If you did not ask for it, ignore this message. Without the code nothing happens.",
        "Requested on 2026-01-31 08:15 UTC",
        "from 203.0.113.7",
        "Get help from Acme",
        "Acme Ltd, 1 Main Street, Springfield",
    ];
    assert_eq!(visible(&mail.html), lines);
    assert!(mail.html.contains("href=\"https:&#x2f;&#x2f;acme.example&#x2f;help\""));
}

#[test]
fn the_plain_mail_says_nothing_that_is_not_known() {
    let mail = render(&MessageContext { expires_in_minutes: 1, ..plain() }).unwrap();
    assert_eq!(
        mail.text,
        "Your Acme code:

    123 456 789

It expires in 1 minute and works once.

Never share this code: nobody from Acme will ask you for it.
If you did not ask for it, ignore this message. Without the code nothing happens.

Requested on 2026-01-31 08:15 UTC"
    );
    let shown = visible(&mail.html).join(" ");
    assert!(shown.contains("It expires in 1 minute and works once. Never share"), "{shown}");
    assert!(!shown.contains("approving") && !shown.contains("from 2") && !mail.html.contains("<a "), "{shown}");
}

#[test]
fn a_text_message_is_short_and_ends_with_the_origin_bound_code() {
    let plain_text = render_sms(&plain()).unwrap();
    assert_eq!(plain_text, "123 456 789 is your Acme code. It expires in 10 minutes. Never share it.");
    let bound = render_sms(&MessageContext { host: Some("acme.example".to_owned()), ..plain() }).unwrap();
    assert_eq!(bound, format!("{plain_text}\n\n@acme.example #123456789"));
    assert!(bound.len() <= 160, "one part");
    assert_eq!(
        render_sms(&full()).unwrap(),
        "123 456 789 is your Acme code. You are approving: Transfer of 250.00 EUR to Jane Doe. \
         It expires in 10 minutes. Never share it.\n\n@acme.example #123456789"
    );
}

#[test]
fn the_code_stands_once_in_the_body_and_never_where_a_lock_screen_shows_it() {
    let mail = render(&full()).unwrap();
    let holds = |text: &str| text.matches(&grouped(CODE)).count() + text.matches(CODE).count();
    let (preview, body) = mail.html.split_once("</div>").unwrap();
    assert_eq!((holds(&mail.subject), holds(preview), holds(body), holds(&mail.text)), (0, 0, 1, 1));
}

#[test]
fn the_mail_loads_nothing_from_elsewhere() {
    let html = render(&plain()).unwrap().html.to_lowercase();
    for forbidden in ["http", "//", "src=", "url(", "@import", "<img", "<link", "<script", "<form", "<iframe"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn no_value_becomes_markup_a_header_or_a_line_of_its_own() {
    let (hostile, full) = (hostile(), full());
    let (mail, expected) = (render(&hostile).unwrap(), render(&full).unwrap());
    assert!(!mail.subject.contains(|c: char| c.is_control()), "{:?}", mail.subject);
    assert_eq!(mail.text.lines().count(), expected.text.lines().count());
    assert!(!mail.text.contains(['\0', '\r', '\u{2028}', '\u{202e}']));
    assert_eq!(mail.html.matches('<').count(), expected.html.matches('<').count());
    assert_eq!(mail.html.matches('"').count(), expected.html.matches('"').count());
    assert!(mail.text.contains("{{ otp }}"), "a value is no template");

    let text = render_sms(&hostile).unwrap();
    let bound: Vec<_> = text.lines().filter(|line| line.starts_with('@')).collect();
    assert_eq!(bound.len(), 1, "{text}");
    assert!(bound[0].starts_with("@host"), "{text}");
}

#[test]
fn only_https_links_are_shown() {
    for url in ["javascript:alert(1)", "http://acme.example", "data:text/html,x", "//acme.example"] {
        let mail = render(&MessageContext { support_url: Some(url.to_owned()), ..full() }).unwrap();
        assert!(!mail.html.contains("<a ") && !mail.text.contains("Help"), "{url}");
    }
}

#[test]
fn codes_are_grouped_as_they_are_read_out() {
    for (code, shown) in [
        ("", ""),
        ("1234", "1234"),
        ("12345", "123 45"),
        ("123456", "123 456"),
        ("1234567", "1234 567"),
        ("12345678", "1234 5678"),
        ("123456789", "123 456 789"),
        ("1234567890", "1234 567 890"),
        ("K7QW3MRT9XHP", "K7QW 3MRT 9XHP"),
    ] {
        assert_eq!(grouped(code), shown);
    }
}

#[test]
fn an_error_names_the_template_and_not_the_code() {
    let mut templates = built_in();
    templates.add_template("broken.txt", "{{ otp }} {{ nothing }}").unwrap();
    let error =
        templates.get_template("broken.txt").unwrap().render(Value::from(Serde(&variables(&full())))).unwrap_err();
    let error = TemplateError::from(error);
    let shown = format!("{error} {error:?} {error:#?}");
    assert!(shown.contains("broken.txt") && !shown.contains(CODE), "{shown}");
}
