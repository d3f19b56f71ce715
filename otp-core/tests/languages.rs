//! What recipients read: the language of a request, of the tenant, and English; and a tenant's own templates for each.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::message::Outgoing;
use otp_core::store::Record;
use otp_core::*;
use serde_json::{Value, json};

fn set(world: &World, caller: &Caller, patch: Value) -> Result<ConfigView, Error> {
    wait(world.service.configure(caller, patch.as_object().unwrap().clone(), None))
}

/// The message that a new recipient gets.
fn sent(world: &World, caller: &Caller, purpose: &str, locale: Option<&str>, to: Address) -> Outgoing {
    let locale = locale.map(|tag| tag.parse().unwrap());
    world.ask(caller, OtpRequest { purpose: purpose.to_owned(), locale, ..OtpRequest::to(to) });
    world.inbox.all().pop().unwrap()
}

fn subject(world: &World, caller: &Caller, purpose: &str, locale: Option<&str>) -> String {
    let fresh = email(&format!("user{}@example.org", world.inbox.count()));
    sent(world, caller, purpose, locale, fresh).subject
}

#[test]
fn the_language_is_that_of_the_request_then_of_the_tenant_then_english() {
    let world = World::new();
    let acme = world.live();
    let of = |locale: Option<&str>| subject(&world, &acme, "login", locale);
    assert_eq!(of(None), "Your Acme code");
    for (tag, expected) in [
        ("de", "Ihr Code für Acme"),
        ("de-CH", "Ihr Code für Acme"),
        ("DE-at-1996", "Ihr Code für Acme"),
        ("fr", "Votre code Acme"),
        ("es-419", "Su código de Acme"),
        ("pt-BR", "O seu código de Acme"),
        ("it", "Il suo codice Acme"),
        ("nl-BE", "Uw code voor Acme"),
        ("pl", "Twój kod Acme"),
        ("tr", "Acme kodunuz"),
        ("ja-JP", "Acme の確認コード"),
        ("zh-Hans-CN", "您的 Acme 验证码"),
        ("ar-EG", "رمز \u{2068}Acme\u{2069} الخاص بك"),
        ("sw", "Your Acme code"),
        ("und", "Your Acme code"),
    ] {
        assert_eq!(of(Some(tag)), expected, "{tag}");
    }
    set(&world, &acme, json!({"branding": {"locale": "fr-ca"}})).unwrap();
    assert_eq!(of(None), "Votre code Acme");
    assert_eq!(of(Some("sw-KE")), "Votre code Acme");
    assert_eq!(of(Some("de-LI")), "Ihr Code für Acme");
    assert_eq!(of(Some("en-US")), "Your Acme code");
    set(&world, &acme, json!({"branding": {"locale": "sw"}})).unwrap();
    assert_eq!(of(None), "Your Acme code");
    let refused = set(&world, &acme, json!({"branding": {"locale": "de_CH"}}));
    let Err(Error::Invalid(invalid)) = refused else { panic!("it should have been refused") };
    assert_eq!((invalid.code, &*invalid.field), ("invalid_locale", "branding.locale"));
}

/// The locale is the message's: who asks again in another language reads the same code in that one.
#[test]
fn every_part_is_in_the_language_and_the_code_is_the_same_in_all() {
    let world = World::new();
    let acme = world.texting();
    let german = sent(&world, &acme, "login", Some("de"), email("ann@example.org"));
    assert!(german.html.as_deref().unwrap().contains("<html lang=\"de\" dir=\"ltr\">"));
    assert!(german.text.contains("Er läuft in 10 Minuten ab und gilt nur einmal."), "{}", german.text);
    let arabic = sent(&world, &acme, "login", Some("ar"), email("ann@example.org"));
    assert!(arabic.html.as_deref().unwrap().contains("<html lang=\"ar\" dir=\"rtl\">"));
    assert!(arabic.text.contains("تنتهي صلاحيته بعد 10 دقائق"), "{}", arabic.text);
    assert_eq!(german.code.unwrap().expose(), arabic.code.unwrap().expose());
    let sms = sent(&world, &acme, "login", Some("pl-PL"), phone("+48512345678")).text;
    assert!(sms.ends_with(" to Twój kod Acme. Wygasa za 10 minut. Nikomu go nie udostępniaj."), "{sms}");
}

/// What the sender of schema version 1 queued has no language.
#[test]
fn a_message_of_before_is_still_read() {
    let world = World::new();
    let acme = world.live();
    world.request_to(&acme, "ann@example.org").unwrap();
    let message = world.committed::<message::Message>().pop().unwrap();
    let written = serde_json::to_value(&message).unwrap();
    assert!(written.get("locale").is_none(), "{written}");
    let read: message::Message = serde_json::from_value(written).unwrap();
    let message::Content::Passcode(code) = &read.content else { panic!("{read:?}") };
    assert_eq!(code.locale, None);
    assert!(matches!(Record::from(read), Record::Message(_)));
}

fn entry(purpose: Option<&str>, locale: Option<&str>, subject: &str) -> Value {
    json!({"purpose": purpose, "locale": locale, "subject": subject})
}

#[test]
fn the_entry_that_says_most_about_the_reader_wins() {
    let world = World::new();
    let acme = world.live();
    let entries = json!([
        entry(Some("pay"), None, "pay"),
        entry(None, Some("de"), "de"),
        entry(Some("pay"), Some("de"), "pay de"),
        entry(Some("pay"), Some("de-CH"), "pay de-CH"),
        entry(None, Some("fr"), "fr"),
        entry(Some("pay"), Some("fr"), "pay fr"),
        entry(Some("sign"), Some("de"), "sign de"),
    ]);
    set(&world, &acme, json!({"templates": entries, "emailConfig": {"subjectTemplate": "all"}})).unwrap();
    let check = |cases: &[(&str, Option<&str>, &str)]| {
        for (purpose, locale, expected) in cases {
            assert_eq!(subject(&world, &acme, purpose, *locale), *expected, "{purpose} {locale:?}");
        }
    };
    check(&[
        ("pay", Some("de-CH"), "pay de-CH"),
        ("pay", Some("de-AT"), "pay de"),
        ("sign", Some("de-CH"), "sign de"),
        ("login", Some("de-CH"), "de"),
        ("pay", Some("ja"), "pay"),
        ("pay", None, "pay"),
        ("login", Some("ja"), "all"),
        ("login", None, "all"),
    ]);
    set(&world, &acme, json!({"branding": {"locale": "fr-FR"}})).unwrap();
    check(&[
        ("pay", Some("de-CH"), "pay de-CH"),
        ("pay", Some("ja"), "pay fr"),
        ("pay", None, "pay fr"),
        ("login", Some("ja"), "fr"),
        ("login", None, "fr"),
    ]);
    // What no entry has is built in, in the language of the reader.
    let japanese = sent(&world, &acme, "login", Some("ja"), email("ken@example.org"));
    assert!(japanese.text.contains("有効期限は10分で"), "{}", japanese.text);
}

/// Each part is looked for by itself.
#[test]
fn a_part_that_an_entry_lacks_is_that_of_the_next() {
    let world = World::new();
    let acme = world.texting();
    let patch = json!({
        "emailConfig": {"textTemplate": "all {{otp}}", "htmlTemplate": "<b>{{otp}}</b>"},
        "templates": [
            {"locale": "de", "text": "de {{otp}}"},
            {"sms": "{{ APPNAME | upper }}: {{ Otp }}{% if context %} ({{context}}){% endif %}"},
            {"locale": "de-CH", "sms": "Grüezi {{otp}}"},
        ],
    });
    set(&world, &acme, patch).unwrap();
    let mail = sent(&world, &acme, "login", Some("de"), email("ann@example.org"));
    let code = mail.code.as_ref().unwrap().expose();
    assert_eq!((mail.text, mail.html.unwrap()), (format!("de {code}"), format!("<b>{code}</b>")));
    assert_eq!(mail.subject, "Ihr Code für Acme");
    let text = |locale, number| {
        let sms = sent(&world, &acme, "login", locale, phone(number));
        sms.text.replace(sms.code.unwrap().expose(), "CODE")
    };
    assert_eq!(text(Some("de"), "+4915112345678"), "ACME: CODE");
    assert_eq!(text(Some("de-CH"), "+4915112345679"), "Grüezi CODE");
}

#[test]
fn a_text_message_that_becomes_too_long_is_the_built_in_one() {
    let world = World::new();
    let acme = world.texting();
    let long = "{{context}}".repeat(40);
    set(&world, &acme, json!({"templates": [{"sms": format!("{{{{otp}}}} {long}")}]})).unwrap();
    let ask = |context: &str, to| {
        world.ask(&acme, OtpRequest { context: Some(context.to_owned()), ..OtpRequest::to(phone(to)) });
        world.inbox.all().pop().unwrap().text
    };
    assert!(ask("Pay 5", "+4915112345678").contains("Pay 5Pay 5"));
    assert!(ask(&"x".repeat(200), "+4915112345679").contains("is your Acme code. You are approving: xxx"));
}

#[test]
fn a_mistake_names_the_entry_the_part_the_line_and_the_column() {
    let world = World::new();
    let acme = world.live();
    let fine = json!({"locale": "de", "subject": "Ihr Code"});
    let large = |byte: &str| format!("{{{{otp}}}}{}", byte.repeat(60 * 1024));
    let crowd: Vec<Value> = (0..51).map(|number| entry(Some(&format!("p{number}")), None, "x")).collect();
    let heavy: Vec<Value> = (0..5).map(|number| json!({"purpose": format!("p{number}"), "html": large("x")})).collect();
    for (entries, code, field, told) in [
        (
            json!([fine, {"locale": "fr", "html": "a\n  {{ opt }}"}]),
            "invalid_template",
            "templates[1].html",
            "line 2, column 3",
        ),
        (json!([{"locale": "fr", "text": "Bonjour"}]), "invalid_template", "templates[0].text", "{{otp}}"),
        (json!([fine, {"sms": "Hi"}]), "invalid_template", "templates[1].sms", "{{otp}}"),
        (json!([{"sms": "{{otp}}{% for x in y %}"}]), "invalid_template", "templates[0].sms", "line 1, column 8"),
        (json!([{"sms": format!("{{{{otp}}}}{}", "x".repeat(1600))}]), "invalid_template", "templates[0].sms", "1600"),
        (
            json!([{"locale": "de", "subject": "{{footerText}}".repeat(70)}]),
            "invalid_template",
            "templates[0].subject",
            "256 KiB",
        ),
        (
            json!([{"locale": "de", "html": format!("{}xxxxxx", large("x")).repeat(2)}]),
            "invalid_template",
            "templates[0].html",
            "65536",
        ),
        (json!([fine, {"locale": "DE", "html": "{{otp}}"}]), "invalid_template", "templates[1]", "another entry"),
        (json!([{"locale": "de"}]), "invalid_template", "templates[0]", "at least one"),
        (json!([{"subject": "x"}]), "invalid_template", "templates[0].subject", "emailConfig"),
        (json!([{"purpose": "Pay!", "subject": "x"}]), "invalid_template", "templates[0].purpose", "a-z"),
        (json!([{"locale": "de_CH", "subject": "x"}]), "invalid_locale", "templates[0].locale", "BCP 47"),
        (json!([fine, {"locale": "fr", "htm": "x"}]), "unknown_field", "templates[1].htm", "there is no"),
        (json!([{"locale": "fr", "html": 1}]), "invalid_field", "templates[0].html", "string"),
        (json!({}), "invalid_field", "templates", "sequence"),
        (crowd.into(), "invalid_template", "templates", "at most 50"),
        (heavy.into(), "invalid_template", "templates", "262144 bytes together"),
    ] {
        match set(&world, &acme, json!({"templates": entries})) {
            Err(Error::Invalid(invalid)) => {
                let (found, of) = (invalid.code, &*invalid.field);
                assert_eq!((found, of), (code, field), "{entries:.120}: {}", invalid.message);
                assert!(invalid.message.contains(told), "{entries:.120}: {}", invalid.message);
            }
            other => panic!("{entries:.120}: {other:?}"),
        }
    }
    let most: Vec<Value> = (0..50).map(|number| entry(Some(&format!("p{number}")), None, "x")).collect();
    set(&world, &acme, json!({"templates": most})).unwrap();
    let free = world.caller(world.tenant("free").id, Mode::Live);
    assert_eq!(refusal(set(&world, &free, json!({"templates": [fine]}))), "plan_limit");
}

#[test]
fn templates_are_versioned_and_come_back() {
    let world = World::new();
    let acme = world.live();
    set(&world, &acme, json!({"templates": [{"locale": "de", "subject": "one"}]})).unwrap();
    set(&world, &acme, json!({"templates": [{"locale": "de", "subject": "two"}]})).unwrap();
    assert_eq!(subject(&world, &acme, "login", Some("de")), "two");
    wait(world.service.restore_configuration(&acme, 2, None)).unwrap();
    assert_eq!(subject(&world, &acme, "login", Some("de")), "one");
    set(&world, &acme, json!({"templates": null})).unwrap();
    assert_eq!(subject(&world, &acme, "login", Some("de")), "Ihr Code für Acme");
}
