//! What a tenant sets up for itself: one document, its versions, its bounds.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::audit::{Action, Actor, Audit};
use otp_core::error::InvalidField;
use otp_core::token::Algorithm;
use otp_core::*;
use serde_json::{Map, Value, json};

fn configure(world: &World, caller: &Caller, patch: Value) -> Result<ConfigView, Error> {
    wait(world.service.configure(caller, object(patch), None))
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn shown(world: &World, caller: &Caller) -> Value {
    Value::Object(wait(world.service.configuration(caller)).unwrap().document)
}

fn versions(world: &World, caller: &Caller) -> Vec<VersionView> {
    wait(world.service.configuration_versions(caller, None, 200)).unwrap().items
}

#[test]
fn what_is_named_changes_and_the_rest_stays() {
    let world = World::new();
    let acme = world.live();
    let before = shown(&world, &acme);
    let patch = json!({"passcode": {"length": 6}, "allowedOrigins": ["https://acme.example"]});
    let view = configure(&world, &acme, patch).unwrap();
    assert_eq!(view.version, 2);
    let mut expected = before.clone();
    expected["passcode"]["length"] = 6.into();
    expected["allowedOrigins"] = json!(["https://acme.example"]);
    assert_eq!(shown(&world, &acme), expected);
    // Null brings a default back.
    configure(&world, &acme, json!({"passcode": {"length": null}, "allowedOrigins": null})).unwrap();
    assert_eq!(shown(&world, &acme), before);
    // What changes nothing is no version.
    assert_eq!(configure(&world, &acme, json!({"passcode": {"length": 9}})).unwrap().version, 3);
    assert_eq!(configure(&world, &acme, json!({})).unwrap().version, 3);
    assert_eq!(versions(&world, &acme).len(), 3);
}

#[test]
fn a_change_is_in_effect_at_once_and_a_second_later_elsewhere() {
    let world = World::new();
    let acme = world.live();
    let elsewhere = world.another_service();
    let there = wait(elsewhere.program(acme.space().tenant, Mode::Live)).unwrap();
    configure(&world, &acme, json!({"passcode": {"alphabet": "letters", "length": 8}})).unwrap();
    assert_eq!(world.ask_for(&acme, "ann@example.org").code.len(), 8);
    world.clock.advance(SECOND);
    let request = OtpRequest::to(email("ben@example.org"));
    wait(elsewhere.request_otp(&there, request)).unwrap();
    wait(elsewhere.deliver_pending(10)).unwrap();
    assert_eq!(world.inbox.code_to("ben@example.org").len(), 8);
}

/// Patch, code of the refusal, field, and a part of the message.
const REFUSED: &[(&str, &str, &str, &str)] = &[
    (r#"{"nonsense": 1}"#, "unknown_field", "nonsense", ""),
    (r#"{"passcode": {"lenght": 6}}"#, "unknown_field", "passcode.lenght", ""),
    (r#"{"limits": {"perIp": 6}}"#, "unknown_field", "limits", ""),
    (r#"{"tokens": {"accessTtl": {"a": 1}}}"#, "invalid_field", "tokens.accessTtl", "invalid type"),
    (r#"{"rateLimits": {"perIp": "many"}}"#, "invalid_field", "rateLimits.perIp", "string"),
    (r#"{"rateLimits": {"perIp": -1}}"#, "invalid_field", "rateLimits.perIp", "-1"),
    (r#"{"rateLimits": {"perIp": 0}}"#, "invalid_field", "rateLimits.perIp", "1 to"),
    (r#"{"rateLimits": {"otpRequestsPerHour": 0}}"#, "invalid_field", "rateLimits.otpRequestsPerHour", "1 to"),
    (r#"{"rateLimits": {"otpRequestsPerDay": 0}}"#, "invalid_field", "rateLimits.otpRequestsPerDay", "1 to"),
    (r#"{"rateLimits": {"maxUsers": 0}}"#, "invalid_field", "rateLimits.maxUsers", "1 to"),
    (r#"{"rateLimits": {"perRecipient": 0}}"#, "invalid_field", "rateLimits.perRecipient", "1 to"),
    (r#"{"rateLimits": {"emailCooldown": 3601}}"#, "invalid_field", "rateLimits.emailCooldown", "3600"),
    (r#"{"rateLimits": {"phoneCooldown": 3601}}"#, "invalid_field", "rateLimits.phoneCooldown", "3600"),
    (r#"{"rateLimits": {"guessesPerRecipient": 0}}"#, "invalid_field", "rateLimits.guessesPerRecipient", "1 to"),
    (r#"{"rateLimits": {"guessesPerIp": 0}}"#, "invalid_field", "rateLimits.guessesPerIp", "1 to"),
    (r#"{"passcode": {"length": 3}}"#, "invalid_field", "passcode", "4 to 10 digits"),
    (r#"{"passcode": {"alphabet": "letters", "length": 13}}"#, "invalid_field", "passcode", "6 to 12 letters"),
    (r#"{"passcode": {"alphabet": "emoji"}}"#, "invalid_field", "passcode.alphabet", "emoji"),
    (r#"{"passcode": {"ttl": 29}}"#, "invalid_field", "passcode.ttl", "30 to 3600"),
    (r#"{"passcode": {"length": 5}}"#, "invalid_field", "passcode.attempts", "1 to 3"),
    (r#"{"tokens": {"algorithm": "none"}}"#, "invalid_field", "tokens.algorithm", "none"),
    (r#"{"tokens": {"accessTtl": 59}}"#, "invalid_field", "tokens.accessTtl", "60 to"),
    (r#"{"tokens": {"idleTtl": 9999999}}"#, "invalid_field", "tokens.idleTtl", "2592000"),
    (r#"{"tokens": {"sessionTtl": 1}}"#, "invalid_field", "tokens.sessionTtl", "60 to"),
    (r#"{"tokens": {"customClaims": {"sub": "x"}}}"#, "invalid_field", "tokens.customClaims", "`sub`"),
    (r#"{"allowedOrigins": "https://acme.example"}"#, "invalid_origin", "allowedOrigins", "sequence"),
    (r#"{"allowedOrigins": ["https://acme.example/"]}"#, "invalid_origin", "allowedOrigins", "trailing slash"),
    (r#"{"allowedOrigins": ["http://localhost:*"]}"#, "invalid_origin", "allowedOrigins", "test keys"),
    (r#"{"allowedIps": ["10.0.0.0/33"]}"#, "invalid_ip", "allowedIps", "10.0.0.0/33"),
    (r#"{"webhookConfig": {"url": "acme"}}"#, "invalid_webhook_url", "webhookConfig.url", "absolute"),
    (r#"{"webhookConfig": {"url": "ftp://acme.example"}}"#, "invalid_webhook_url", "webhookConfig.url", "http"),
    (r#"{"webhookConfig": {"url": "https://a:b@acme.example"}}"#, "invalid_webhook_url", "webhookConfig.url", "user"),
    (r#"{"webhookConfig": {"events": ["otp.gone"]}}"#, "invalid_field", "webhookConfig.events", "otp.gone"),
    (r#"{"webhookConfig": {"secret": "whsec_c2hvcnQ="}}"#, "invalid_webhook_secret", "webhookConfig.secret", "24"),
    (r#"{"webhookConfig": {"secret": 7}}"#, "invalid_webhook_secret", "webhookConfig.secret", "whsec_"),
    (r#"{"emailConfig": {"fromName": "A\nB"}}"#, "invalid_field", "emailConfig.fromName", "one line"),
    (r#"{"emailConfig": {"replyTo": "nobody"}}"#, "invalid_email", "emailConfig.replyTo", "@"),
    (r#"{"branding": {"appName": ""}}"#, "invalid_field", "branding.appName", "1 to 200"),
    (r#"{"branding": {"supportUrl": "javascript:x"}}"#, "invalid_field", "branding.supportUrl", "https"),
    (r#"{"channels": {"fax": {"enabled": true}}}"#, "unknown_field", "channels.fax", ""),
    (r#"{"channels": {"sms": {"enabled": "yes"}}}"#, "invalid_field", "channels.sms.enabled", "boolean"),
    (r#"{"channels": {"sms": {"countries": ["DE", "UK"]}}}"#, "invalid_country", "channels.sms.countries", "`UK`"),
    (r#"{"channels": {"email": {"countries": ["DE"]}}}"#, "unknown_field", "channels.email.countries", ""),
    (r#"{"channels": {"sms": {"prices": {"DE": -1}}}}"#, "invalid_field", "channels.sms.prices.DE", "-1"),
    (
        r#"{"channels": {"whatsapp": {"prices": {"DE": 1000000001}}}}"#,
        "invalid_field",
        "channels.whatsapp.prices",
        "0 to",
    ),
    (r#"{"channels": {"host": "https://acme.com"}}"#, "invalid_host", "channels.host", "login.acme.com"),
    (r#"{"channels": {"host": "Acme.com"}}"#, "invalid_host", "channels.host", "lower case"),
    (r#"{"channels": {"host": "127.0.0.1"}}"#, "invalid_host", "channels.host", "host"),
    (r#"{"channels": {"dailySpendCap": 1000000000001}}"#, "invalid_field", "channels.dailySpendCap", "0 to"),
    (r#"{"rateLimits": {"perPrefix": 0}}"#, "invalid_field", "rateLimits.perPrefix", "1 to"),
];

#[test]
fn each_rule_names_its_field_and_nothing_is_changed() {
    let world = World::new();
    let acme = world.live();
    let before = shown(&world, &acme);
    for (patch, code, field, told) in REFUSED {
        let patch: Value = serde_json::from_str(patch).unwrap();
        match configure(&world, &acme, patch.clone()) {
            Err(Error::Invalid(InvalidField { code: found, field: of, message })) => {
                assert_eq!((found, &*of), (*code, *field), "{patch}: {message}");
                assert!(message.contains(told), "{patch}: {message}");
            }
            other => panic!("{patch}: {other:?}"),
        }
    }
    assert_eq!(shown(&world, &acme), before);
    assert_eq!(versions(&world, &acme).len(), 1);
}

#[test]
fn nothing_is_set_above_the_plan() {
    let world = World::new();
    let acme = world.caller(world.tenant("free").id, Mode::Live);
    for (patch, allowed) in [
        (json!({"rateLimits": {"otpRequestsPerDay": 51}}), false),
        (json!({"rateLimits": {"otpRequestsPerHour": 51}}), false),
        (json!({"rateLimits": {"maxUsers": 101}}), false),
        (json!({"rateLimits": {"otpRequestsPerDay": 50, "otpRequestsPerHour": 50, "maxUsers": 100}}), true),
        (json!({"webhookConfig": {"url": "https://acme.example/hooks"}}), false),
    ] {
        let outcome = configure(&world, &acme, patch.clone());
        assert_eq!(
            outcome.as_ref().map_or_else(Error::code, |_| "ok"),
            if allowed { "ok" } else { "plan_limit" },
            "{patch}"
        );
    }
    let starter = world.caller(world.tenant("starter").id, Mode::Live);
    configure(&world, &starter, json!({"webhookConfig": {"url": "https://acme.example/hooks"}})).unwrap();
    // After a downgrade the rest can still be changed.
    let edit = EditTenant { plan: Some("free".to_owned()), force: true, ..EditTenant::default() };
    wait(world.service.edit_tenant(&starter, edit)).unwrap();
    configure(&world, &starter, json!({"passcode": {"length": 6}})).unwrap();
}

#[test]
fn own_limits_are_exact() {
    let world = World::new();
    let acme = world.live();
    configure(&world, &acme, json!({"rateLimits": {"otpRequestsPerDay": 10, "maxUsers": 2}})).unwrap();
    let outcomes = race(32, |number| world.request_to(&acme, &format!("user{number}@example.org")));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "rate_limit_exceeded")), (10, 22));
    world.clock.advance(DAY);
    let asked: Vec<_> = (0..3).map(|number| world.ask_for(&acme, &format!("user{number}@example.net"))).collect();
    let said: Vec<_> = asked.iter().map(|asked| world.say(&acme, asked.id, &asked.code)).collect();
    assert_eq!((tally(&said, "ok"), tally(&said, "plan_limit")), (2, 1));
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let world = World::new();
    let acme = world.live();
    let outcomes = race(16, |number| {
        let patch = match number {
            0 => json!({"passcode": {"ttl": 60}}),
            1 => json!({"branding": {"appName": "Acme App"}}),
            2 => json!({"rateLimits": {"perIp": 7}}),
            _ => json!({"tokens": {"customClaims": {format!("claim{number}"): number}}}),
        };
        configure(&world, &acme, patch)
    });
    assert_eq!(tally(&outcomes, "ok"), 16);
    let config = shown(&world, &acme);
    assert_eq!((&config["passcode"]["ttl"], &config["rateLimits"]["perIp"]), (&json!(60), &json!(7)));
    assert_eq!(config["branding"]["appName"], "Acme App");
    assert_eq!(config["tokens"]["customClaims"].as_object().unwrap().len(), 13);
    assert_eq!(versions(&world, &acme).len(), 17);

    let version = wait(world.service.configuration(&acme)).unwrap().version;
    let outcomes = race(8, |number| {
        wait(world.service.configure(&acme, object(json!({"passcode": {"ttl": 100 + number}})), Some(version)))
    });
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "version_conflict")), (1, 7));
}

#[test]
fn versions_tell_who_changed_what_and_can_be_restored() {
    let world = World::new();
    let program = world.live();
    let key = world.create_key(&program, new_key(otp_core::api_key::KeyType::Secret, Mode::Live));
    let acme = world.authenticate(&key.api_key).unwrap();
    world.clock.advance(HOUR);
    configure(&world, &acme, json!({"passcode": {"ttl": 60}, "tokens": {"customClaims": {"role": "buyer"}}})).unwrap();
    configure(&world, &program, json!({"passcode": {"ttl": 90}})).unwrap();
    let listed = versions(&world, &acme);
    assert_eq!(listed.iter().map(|version| version.version).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(listed[1].actor, Actor::Key(key.key.id));
    assert_eq!(listed[1].at, world.now());
    let told: Vec<_> =
        listed[1].changes.iter().map(|change| (change.field.as_str(), &change.old, &change.new)).collect();
    let [old, new, none, role] = [json!(600), json!(60), Value::Null, json!("buyer")];
    assert_eq!(told, [("passcode.ttl", &old, &new), ("tokens.customClaims.role", &none, &role)]);

    let pages = |cursor: Option<String>| {
        let page = wait(world.service.configuration_versions(&acme, cursor.as_deref(), 2)).unwrap();
        (page.items.iter().map(|version| version.version).collect::<Vec<_>>(), page.next)
    };
    let (first, next) = pages(None);
    assert_eq!((first, pages(next).0), (vec![3, 2], vec![1]));

    let restored = wait(world.service.restore_configuration(&acme, 2, Some(3))).unwrap();
    assert_eq!((restored.version, &restored.document["passcode"]["ttl"]), (4, &json!(60)));
    assert_eq!(refusal(wait(world.service.restore_configuration(&acme, 2, Some(3)))), "version_conflict");
    assert_eq!(refusal(wait(world.service.restore_configuration(&acme, 99, None))), "not_found");
    // Of another tenant there is none.
    let other = world.live();
    assert_eq!(refusal(wait(world.service.restore_configuration(&other, 2, None))), "not_found");
}

#[test]
fn a_hundred_versions_are_kept() {
    let world = World::new();
    let acme = world.live();
    for ttl in 0..120 {
        configure(&world, &acme, json!({"passcode": {"ttl": 100 + ttl}})).unwrap();
    }
    let kept: Vec<_> = versions(&world, &acme).iter().map(|version| version.version).collect();
    assert_eq!((kept.len(), kept[0], kept[99]), (100, 121, 22));
}

#[test]
fn the_trail_tells_every_change_and_shows_no_secret() {
    let world = World::new();
    let acme = world.live();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let before = shown(&world, &acme)["webhookConfig"]["secret"].as_str().unwrap().to_owned();
    let view = configure(&world, &acme, json!({"webhookConfig": {"secret": secret}})).unwrap();
    assert_eq!(view.document["webhookConfig"]["secret"], "••••LaSw");
    let lines: Vec<Audit> = world.audit(acme.space().tenant);
    let line = lines.iter().find(|line| line.action == Action::ConfigurationChanged).unwrap();
    let change = json!({"field": "webhookConfig.secret", "old": before, "new": "••••LaSw"});
    assert_eq!(line.data, json!({"version": 2, "changes": [change]}));
    for record in world.committed::<configuration::ConfigVersion>() {
        assert!(!serde_json::to_string(&record).unwrap().contains(secret));
    }
    // What was shown can be written back.
    let again = configure(&world, &acme, json!({"webhookConfig": {"secret": "••••LaSw"}})).unwrap();
    assert_eq!(again.version, 2);
}

#[test]
fn another_algorithm_comes_with_new_keys_and_old_tokens_live_on() {
    let world = World::new();
    let acme = world.live();
    let before = world.sign_in(&acme, "ann@example.org");
    configure(&world, &acme, json!({"tokens": {"algorithm": "EdDSA"}})).unwrap();
    let after = world.sign_in(&acme, "ben@example.org");
    assert_eq!(parts_of(&after.token).0["alg"], "EdDSA");
    assert!(world.me(&before).is_ok() && world.me(&after).is_ok());
    assert_eq!(wait(world.service.jwks(acme.space())).unwrap()["keys"].as_array().unwrap().len(), 1);
    // A version with the old one brings it back, with keys of its own.
    wait(world.service.restore_configuration(&acme, 1, None)).unwrap();
    let restored = world.sign_in(&acme, "cy@example.org");
    assert_eq!(parts_of(&restored.token).0["alg"], "HS256");
    assert_ne!(parts_of(&restored.token).0["kid"], parts_of(&before.token).0["kid"]);
    wait(world.service.rotate_signing_keys(&acme, Algorithm::Es256)).unwrap();
    assert_eq!(shown(&world, &acme)["tokens"]["algorithm"], "ES256");
    assert_eq!(versions(&world, &acme)[0].changes[0].field, "tokens.algorithm");
}

#[test]
fn a_channel_that_is_off_sends_nothing() {
    let world = World::new();
    let acme = world.texting();
    configure(&world, &acme, json!({"channels": {"email": {"enabled": false}}})).unwrap();
    assert_eq!(refusal(world.request_to(&acme, "ann@example.org")), "channel_disabled");
    let request = OtpRequest { channel: message::Channel::Sms, ..OtpRequest::to(phone("+4915112345678")) };
    world.request(&acme, request).unwrap();
}

#[test]
fn mails_are_from_whom_the_tenant_says() {
    let world = World::new();
    let acme = world.live();
    configure(&world, &acme, json!({"branding": {"appName": "Shop"}})).unwrap();
    world.ask_for(&acme, "ann@example.org");
    configure(&world, &acme, json!({"emailConfig": {"fromName": "Acme Security", "replyTo": "help@acme.example"}}))
        .unwrap();
    world.ask_for(&acme, "ben@example.org");
    let sent = world.inbox.all();
    assert_eq!((sent[0].from_name.as_deref(), sent[0].reply_to.as_deref()), (Some("Shop"), None));
    assert_eq!(sent[1].from_name.as_deref(), Some("Acme Security"));
    assert_eq!(sent[1].reply_to.as_deref(), Some("help@acme.example"));
    assert!(sent[1].text.contains("Shop"));
}

#[test]
fn only_secret_keys_and_the_program_configure() {
    let world = World::new();
    let acme = world.live();
    let key = world.create_key(&acme, new_key(otp_core::api_key::KeyType::Publishable, Mode::Live));
    let publishable = world.authenticate(&key.api_key).unwrap();
    assert_eq!(refusal(configure(&world, &publishable, json!({}))), "secret_key_required");
    assert_eq!(refusal(wait(world.service.configuration(&publishable))), "secret_key_required");
    assert_eq!(refusal(wait(world.service.restore_configuration(&publishable, 1, None))), "secret_key_required");
    let versions = wait(world.service.configuration_versions(&publishable, None, 1));
    assert_eq!(refusal(versions), "secret_key_required");
}
