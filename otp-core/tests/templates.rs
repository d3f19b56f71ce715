//! A tenant's own mails.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::*;
use serde_json::{Map, Value, json};

fn set(world: &World, caller: &Caller, section: &str, fields: Value) -> Result<ConfigView, Error> {
    let patch = Map::from_iter([(section.to_owned(), fields)]);
    wait(world.service.configure(caller, patch, None))
}

fn configure(world: &World, caller: &Caller, patch: Value) -> Result<ConfigView, Error> {
    wait(world.service.configure(caller, patch.as_object().unwrap().clone(), None))
}

fn email_section(world: &World, caller: &Caller, fields: Value) -> Result<ConfigView, Error> {
    set(world, caller, "emailConfig", fields)
}

#[test]
fn the_parts_that_are_set_take_the_place_of_the_built_in_ones() {
    let world = World::new();
    let acme = world.live();
    let fields = json!({
        "subjectTemplate": "{{ APPNAME | upper }}: {{ shop | default(\"your shop\") }}",
        "htmlTemplate": "<p>{{ otpgrouped }}</p>{% if context %}<b>{{ context }}</b>{% else %}login{% endif %}{# note #}",
        "variables": {"shop": "Berlin <1>"},
    });
    email_section(&world, &acme, fields).unwrap();
    let asked = world.ask_for(&acme, "ann@example.org");
    let request =
        OtpRequest { context: Some("Pay \"5\" & <go>".to_owned()), ..OtpRequest::to(email("ben@example.org")) };
    world.ask(&acme, request);
    let sent = world.inbox.all();
    let code = &asked.code;
    assert_eq!(sent[0].subject, "ACME: Berlin <1>");
    let grouped = format!("{} {} {}", &code[..3], &code[3..6], &code[6..]);
    assert_eq!(sent[0].html.as_deref().unwrap(), format!("<p>{grouped}</p>login"));
    assert!(sent[0].text.contains(&grouped) && sent[0].text.contains("Never share"), "the built-in text stays");
    assert!(sent[1].html.as_deref().unwrap().ends_with("<b>Pay &quot;5&quot; &amp; &lt;go&gt;</b>"));
    // Without them all is built in again.
    email_section(&world, &acme, json!({"subjectTemplate": null, "htmlTemplate": null})).unwrap();
    world.ask_for(&acme, "cy@example.org");
    assert_eq!(world.inbox.all()[2].subject, "Your Acme code");
}

#[test]
fn a_mistake_is_told_with_its_line_and_column() {
    let world = World::new();
    let acme = world.live();
    let deep = format!("{}{{{{otp}}}}{}", "{% if context %}".repeat(9), "{% endif %}".repeat(9));
    let long = format!("{{{{otp}}}}{}", "x".repeat(64 * 1024));
    let explodes = format!("{{{{otp}}}}{}", "{{context}}".repeat(300));
    for (html, told) in [
        ("{{ otp }", "line 1, column 1: there is no `}}`"),
        ("a\n  {{ opt }}", "line 2, column 3: there is no variable `opt`"),
        ("{{ otp | shout }}", "`shout` is no filter"),
        ("{{ otp }}{% for x in y %}", "line 1, column 10: `for x in y` is not known"),
        ("{{ otp }}{% set x = 1 %}", "`set x = 1` is not known"),
        ("{{ otp }}{% include 'x' %}", "is not known"),
        ("{{ otp }}{% if %}", "write {% if name %}"),
        ("{{ otp }}{% if a and b %}", "write {% if name %}"),
        ("{{ otp }}{% if context %}", "no {% endif %}"),
        ("{{ otp }}{% endif %}", "no `if` that this belongs to"),
        ("{{ otp }}{% if context %}{% else %}{% else %}{% endif %}", "no {% endif %}"),
        ("{{ otp.__class__ }}", "no variable `otp.__class__`"),
        ("{{ otp() }}", "no variable"),
        ("{{ 7*7 }}", "no variable"),
        ("Hello", "{{otp}}"),
        ("{% if context %}{{ otp }}{% endif %}", "always shows"),
        (&deep, "8 deep"),
        (&long, "65536 bytes"),
        (&explodes, "256 KiB"),
    ] {
        match email_section(&world, &acme, json!({"htmlTemplate": html})) {
            Err(Error::Invalid(invalid)) => {
                assert_eq!((invalid.code, &*invalid.field), ("invalid_template", "emailConfig.htmlTemplate"));
                assert!(invalid.message.contains(told), "{html:.60}: {}", invalid.message);
            }
            other => panic!("{html:.60}: {other:?}"),
        }
    }
    let free = world.caller(world.tenant("free").id, Mode::Live);
    assert_eq!(refusal(email_section(&world, &free, json!({"textTemplate": "{{otp}}"}))), "plan_limit");
    for variables in [
        json!({"otp": "x"}),
        json!({"1st": "x"}),
        json!({"a-b": "x"}),
        json!({"long": "x".repeat(1025)}),
        (0..51).map(|number| (format!("v{number}"), json!("x"))).collect::<Map<_, _>>().into(),
    ] {
        let refused = email_section(&world, &acme, json!({"variables": variables}));
        assert_eq!(refusal(refused), "invalid_template");
    }
    assert!(email_section(&world, &acme, json!({"variables": {"a": 1}})).is_err());
}

/// What a value holds is never a header, a line or markup of its own.
#[test]
fn values_stay_values() {
    let world = World::new();
    let acme = world.live();
    let fields = json!({
        "subjectTemplate": "{{note}}\n{{appName}}", "htmlTemplate": "{{otp}}<i title='{{note}}'></i>",
        "variables": {"note": "a\r\nBcc: eve@example.org\u{2028}'><script>{{otp}}"},
    });
    email_section(&world, &acme, fields).unwrap();
    let asked = world.ask_for(&acme, "ann@example.org");
    let sent = &world.inbox.all()[0];
    assert!(!sent.subject.contains(char::is_control), "{:?}", sent.subject);
    assert!(!sent.subject.contains(&asked.code), "a value is no template");
    let html = sent.html.as_deref().unwrap();
    assert!(html.contains("&#39;&gt;&lt;script&gt;{{otp}}'></i>"), "{html}");
}

#[test]
fn branding_shows_in_the_built_in_mail() {
    let world = World::new();
    let acme = world.live();
    let fields = json!({
        "appName": "Shop", "logoUrl": "https://acme.example/logo.png", "brandColor": "#0a7f5a",
        "footerText": "Acme Ltd, 1 Main Street", "supportUrl": "https://acme.example/help",
    });
    set(&world, &acme, "branding", fields).unwrap();
    world.ask_for(&acme, "ann@example.org");
    let sent = &world.inbox.all()[0];
    let html = sent.html.as_deref().unwrap();
    for shown in ["src=\"https:&#x2f;&#x2f;acme.example&#x2f;logo.png\"", "solid #0a7f5a", "Acme Ltd, 1 Main Street"] {
        assert!(html.contains(shown), "{shown} is not in {html}");
    }
    assert!(sent.text.ends_with("\n\nAcme Ltd, 1 Main Street"), "{}", sent.text);
    for (field, value) in [
        ("logoUrl", "http://acme.example/logo.png"),
        ("brandColor", "red"),
        ("brandColor", "#12"),
        ("brandColor", "#zzzzzz"),
        ("footerText", "a\nb"),
        ("footerText", ""),
    ] {
        let refused = set(&world, &acme, "branding", json!({field: value}));
        let Err(Error::Invalid(invalid)) = refused else { panic!("{field} {value}") };
        assert_eq!(invalid.field, format!("branding.{field}"));
    }
}

/// Names in any case, a value of the tenant's own, and what stands in for an empty one.
#[test]
fn variables_are_found_in_any_case_and_have_defaults() {
    let world = World::new();
    let acme = world.live();
    let names = [
        "otp",
        "otpGrouped",
        "expiresIn",
        "appName",
        "userEmail",
        "supportUrl",
        "logoUrl",
        "brandColor",
        "footerText",
        "context",
        "requestIp",
        "requestTime",
        "Shop",
    ];
    let spellings = names
        .map(|name| format!("{{{{{}}}}}", if name.len() % 2 == 0 { name.to_uppercase() } else { name.to_lowercase() }));
    let tail = r#"{{ EMPTY | default("a|b {}") | upper }} {{ shop | default("none") }}"#;
    let long = format!("https://acme.example/{}", "a".repeat(2000));
    let patch = json!({
        "branding": {"supportUrl": "https://acme.example/help", "logoUrl": long, "brandColor": "#0a7f5a", "footerText": "Acme Ltd"},
        "emailConfig": {"variables": {"Shop": "Berlin", "Empty": ""}, "textTemplate": format!("{}\n{tail}", spellings.join("\n"))},
    });
    configure(&world, &acme, patch).unwrap();
    let request = OtpRequest {
        context: Some("Pay 5".to_owned()),
        client: from_ip("203.0.113.7"),
        ..OtpRequest::to(email("Ann@example.org"))
    };
    let code = world.ask(&acme, request).code;
    let text = world.inbox.all().pop().unwrap().text;
    let grouped = format!("{} {} {}", &code[..3], &code[3..6], &code[6..]);
    let time = world.now().to_string();
    let time = format!("{} {} UTC", &time[..10], &time[11..16]);
    let expected = [
        &*code,
        &grouped,
        "10",
        "Acme",
        "Ann@example.org",
        "https://acme.example/help",
        &long,
        "#0a7f5a",
        "Acme Ltd",
        "Pay 5",
        "203.0.113.7",
        &time,
        "Berlin",
        "A|B {} Berlin",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

/// 500 texts made of what headers are made of, in every place that a subject takes a value from.
#[test]
fn no_value_of_a_subject_begins_a_header() {
    const PARTS: [&str; 20] = [
        "\r\n",
        "\n",
        "\r",
        "\0",
        "\u{b}",
        "\u{c}",
        "\u{85}",
        "\u{2028}",
        "\u{2029}",
        "\u{202e}",
        "\u{2066}",
        "\t",
        "Bcc: eve@example.org",
        "=?utf-8?q?=0d=0aBcc:_eve@example.org?=",
        "=?utf-8?b?DQpCY2M6IGV2ZQ==?=",
        ": ",
        "{{otp}}",
        "%0d%0a",
        "\u{7f}",
        "Acme",
    ];
    let world = World::new();
    let acme = world.unlimited();
    let subject = "{{note}}{{ note | upper }} {{appName}}";
    let random: &dyn Random = &SeededRandom::new(47);
    for number in 0..500 {
        let bytes: [u8; 8] = random.bytes();
        let note: String = bytes.iter().map(|byte| PARTS[usize::from(*byte) % PARTS.len()]).collect();
        let own = json!({"variables": {"note": note}, "subjectTemplate": subject});
        configure(&world, &acme, json!({"emailConfig": own})).unwrap();
        world.ask_for(&acme, &format!("user{number}@example.org"));
        let sent = world.inbox.all().pop().unwrap();
        let breaks = |c: char| {
            c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        for line in [Some(&sent.subject), sent.from_name.as_ref(), sent.reply_to.as_ref()].into_iter().flatten() {
            assert!(!line.contains(breaks), "{note:?}: {line:?}");
        }
        assert!(!sent.subject.contains(sent.code.unwrap().expose()), "{note:?} is a value and no template");
    }
}

#[test]
fn a_preview_shows_what_would_be_sent_and_keeps_nothing() {
    let world = World::new();
    let acme = world.live();
    let preview = |drafts: &[(template::Part, &str)], locale: Option<&str>| {
        let drafts = template::Drafts {
            parts: drafts.iter().map(|(part, source)| (*part, (*source).to_owned())).collect(),
            variables: [("Shop".to_owned(), "Berlin".to_owned())].into(),
        };
        let locale = locale.map(|tag| tag.parse().unwrap());
        wait(world.service.preview_message(&acme, MessagePreview { drafts, locale, ..MessagePreview::default() }))
    };
    let built_in = preview(&[], Some("de-CH")).unwrap();
    assert_eq!(built_in.mail.subject, "Ihr Code für Acme");
    assert!(
        built_in.mail.html.contains("123 456 789") && built_in.sms.starts_with("123 456 789 ist"),
        "{}",
        built_in.sms
    );
    let patch = json!({"templates": [{"locale": "de", "subject": "saved"}], "passcode": {"length": 6}});
    configure(&world, &acme, patch).unwrap();
    let shown = preview(&[(template::Part::Sms, "{{otp}} {{SHOP}}")], Some("de")).unwrap();
    assert_eq!((&*shown.mail.subject, &*shown.sms), ("saved", "123456 Berlin"));
    let shown = preview(&[(template::Part::Subject, "draft {{ shop }}")], Some("de")).unwrap();
    assert_eq!(shown.mail.subject, "draft Berlin");
    for (part, source, field) in [
        (template::Part::Subject, "a\n{{ nobody }}", "subject"),
        (template::Part::Html, "Hello", "html"),
        (template::Part::Text, "{{ otp", "text"),
        (template::Part::Sms, "{{ otp | shout }}", "sms"),
    ] {
        let Err(Error::Invalid(invalid)) = preview(&[(part, source)], None) else { panic!("{field}") };
        assert_eq!((invalid.code, &*invalid.field), ("invalid_template", field));
    }
    assert_eq!(world.inbox.count(), 0);
    let german = OtpRequest { locale: "de".parse().ok(), ..OtpRequest::to(email("ann@example.org")) };
    world.ask(&acme, german);
    assert_eq!(world.inbox.all()[0].subject, "saved");
}

#[test]
fn a_test_mail_goes_to_the_tenant_itself_and_counts() {
    let world = World::new();
    let acme = world.live();
    let send = |to: Option<&str>| {
        let to = to.map(|to| to.parse().unwrap());
        let test = TestEmail { to, locale: Some("de".parse().unwrap()), ..TestEmail::default() };
        wait(world.service.send_test_email(&acme, test))
    };
    let Err(Error::Invalid(invalid)) = send(Some("eve@example.org")) else { panic!("it should have been refused") };
    assert_eq!((invalid.code, &*invalid.field), ("recipient_not_allowed", "to"));
    send(None).unwrap();
    send(Some("Ops@acme.example")).unwrap();
    world.deliver();
    let sent = world.inbox.all();
    assert_eq!(sent.len(), 2);
    assert_eq!((&*sent[0].to, &*sent[0].subject), ("ops@acme.example", "Ihr Code für Acme"));
    assert_eq!(send(None).unwrap().value.limit.remaining, 0);
    assert_eq!(refusal(send(None)), "rate_limit_exceeded");
}
