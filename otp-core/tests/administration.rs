//! Who may look after a tenant, and what can be set up.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::api_key::KeyType;
use otp_core::tenant::{Settings, TenantStatus};
use otp_core::token::Algorithm;
use otp_core::*;
use serde_json::json;

/// What a caller is told when it tries to look after its tenant, act by act.
fn attempts(world: &World, caller: &Caller, key: KeyId) -> [&'static str; 8] {
    let service = &world.service;
    let said = |outcome: Result<(), Error>| outcome.map_or_else(|error| error.code(), |()| "done");
    let rename = EditTenant { name: Some("Acme".to_owned()), ..EditTenant::default() };
    let plan = EditTenant { plan: Some("pro".to_owned()), ..EditTenant::default() };
    [
        said(wait(service.keys(caller)).map(drop)),
        said(wait(service.create_key(caller, new_key(KeyType::Secret, Mode::Live))).map(drop)),
        said(wait(service.edit_key(caller, key, EditKey::default())).map(drop)),
        said(wait(service.rotate_signing_keys(caller, Algorithm::Hs256))),
        said(wait(service.edit_tenant(caller, rename)).map(drop)),
        said(wait(service.edit_tenant(caller, plan)).map(drop)),
        said(wait(service.set_status(caller, TenantStatus::Suspended, None)).map(drop)),
        said(wait(service.set_status(caller, TenantStatus::Cancelled, None)).map(drop)),
    ]
}

#[test]
fn a_publishable_key_looks_after_nothing_and_a_secret_key_not_after_plan_and_standing() {
    let world = World::new();
    let keyed = |key_type| {
        let acme = world.live();
        let created = world.create_key(&acme, new_key(key_type, Mode::Live));
        (world.authenticate(&created.api_key).unwrap(), created.key.id)
    };
    let (publishable, key) = keyed(KeyType::Publishable);
    assert_eq!(attempts(&world, &publishable, key), ["secret_key_required"; 8]);
    let (secret, key) = keyed(KeyType::Secret);
    let above = "administrator_required";
    assert_eq!(attempts(&world, &secret, key), ["done", "done", "done", "done", "done", above, above, "done"]);
    let (_, key) = keyed(KeyType::Secret);
    let program = world.live();
    let mut expected = ["done"; 8];
    // Another tenant's key is none; and a suspended tenant can still be cancelled.
    expected[2] = "not_found";
    assert_eq!(attempts(&world, &program, key), expected);
}

#[test]
fn settings_out_of_bounds_are_refused_and_change_nothing() {
    let world = World::new();
    let acme = world.live();
    let before = *world.record::<tenant::Tenant>(acme.space().tenant, acme.space().tenant.as_bytes()).unwrap().settings;
    let refused = |field: &str, change: &dyn Fn(&mut Settings)| {
        let mut settings = before.clone();
        change(&mut settings);
        let edit = EditTenant { settings: Some(settings), ..EditTenant::default() };
        let Err(Error::Invalid(invalid)) = wait(world.service.edit_tenant(&acme, edit)) else {
            panic!("{field} was accepted")
        };
        assert_eq!(invalid.field, field, "{invalid}");
    };
    refused("passcode.ttl", &|settings| settings.passcode.ttl = 0);
    refused("passcode.ttl", &|settings| settings.passcode.ttl = 3_601);
    refused("passcode.attempts", &|settings| settings.passcode.attempts = 0);
    refused("passcode.attempts", &|settings| settings.passcode.attempts = 11);
    // Five guesses at four digits would be one in two thousand.
    refused("passcode.attempts", &|settings| settings.passcode.format = "digits:4".parse().unwrap());
    refused("tokens.accessTtl", &|settings| settings.tokens.access_ttl = 59);
    refused("tokens.sessionTtl", &|settings| settings.tokens.session_ttl = 0);
    refused("tokens.idleTtl", &|settings| settings.tokens.idle_ttl = settings.tokens.session_ttl + 1);
    let claims = |json: serde_json::Value| json.as_object().cloned().unwrap();
    refused("tokens.customClaims", &|settings| settings.tokens.custom_claims = claims(json!({"sub": "somebody"})));
    let long = "x".repeat(5_000);
    refused("tokens.customClaims", &|settings| settings.tokens.custom_claims = claims(json!({"note": long})));
    refused("rateLimits.perRecipient", &|settings| settings.limits.per_recipient = 0);
    refused("rateLimits.otpRequestsPerHour", &|settings| settings.limits.per_tenant = Some(0));
    refused("rateLimits.emailCooldown", &|settings| settings.limits.email_cooldown = 3_601);
    refused("rateLimits.guessesPerIp", &|settings| settings.limits.guesses_per_ip = 0);
    refused("allowedOrigins", &|settings| settings.allowed_origins = vec!["http://localhost:*".parse().unwrap()]);
    refused("branding.appName", &|settings| settings.branding.app_name = Some("Acme\r\nBcc: x".to_owned()));
    refused("branding.supportUrl", &|settings| settings.branding.support_url = Some("javascript:alert(1)".to_owned()));
    let after = *world.record::<tenant::Tenant>(acme.space().tenant, acme.space().tenant.as_bytes()).unwrap().settings;
    assert_eq!(before, after);
}
