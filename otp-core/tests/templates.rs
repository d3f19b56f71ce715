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
