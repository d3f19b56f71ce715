//! Access tokens: what they say, how they are signed, and what happens to them when the signing key is replaced.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::*;
use ed25519_dalek::VerifyingKey;
use otp_core::token::Algorithm;
use otp_core::*;
use p256::ecdsa::signature::Verifier;
use serde_json::{Value, json};

const ANN: &str = "Ann@example.org";

#[test]
fn a_token_says_exactly_what_is_promised() {
    let world = World::new();
    let tenant = world.tenant("enterprise").id;
    let acme = world.caller(tenant, Mode::Live);
    let signed_in = world.sign_in(&acme, ANN);
    let (header, claims) = parts_of(&signed_in.token);
    let names: BTreeSet<&str> = header.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["alg", "typ", "kid"]));
    assert_eq!((&header["alg"], &header["typ"]), (&json!("HS256"), &json!("at+jwt")));
    let now = world.now().as_secs();
    let expected = json!({
        "iss": format!("https://otp.example/auth/{tenant}"), "sub": signed_in.user_id.to_string(),
        "aud": tenant.to_string(), "sid": signed_in.session_id.to_string(), "jti": claims["jti"],
        "iat": now, "nbf": now, "exp": now + 7 * 3_600, "email": ANN, "amr": ["otp"], "acr": "1fa",
        "auth_time": now,
    });
    assert_eq!(claims, expected);
    assert_eq!(signed_in.expires_at.as_millis(), (now + 7 * 3_600) * 1_000);

    let mut ids = BTreeSet::from([claims["jti"].to_string()]);
    let mut current = signed_in;
    for _ in 0..3 {
        current = world.refresh(&current.refresh_token).unwrap();
        assert!(ids.insert(parts_of(&current.token).1["jti"].to_string()), "a jti is used once");
    }
}

#[test]
fn a_phones_token_names_the_number() {
    let world = World::new();
    let acme = world.texting();
    let asked = world.ask(&acme, OtpRequest::to(phone("+4915112345678")));
    let claims = parts_of(&world.say(&acme, asked.id, &asked.code).unwrap().token).1;
    assert_eq!((&claims["phone"], claims.get("email")), (&json!("+4915112345678"), None));
}

#[test]
fn the_tenants_claims_stand_beside_the_others() {
    let world = World::new();
    let custom = json!({"role": "editor", "https://acme/plan": {"a": [1]}});
    let plain = world.live();
    let acme = world.change(&plain, |settings| settings.tokens.custom_claims = custom.as_object().cloned().unwrap());
    let signed_in = world.sign_in(&acme, ANN);
    assert!(world.me(&signed_in).is_ok());
    let claims = parts_of(&signed_in.token).1;
    assert_eq!((&claims["role"], &claims["https://acme/plan"]), (&json!("editor"), &json!({"a": [1]})));
    assert_eq!((&claims["amr"], claims.get("phone"), claims.get("purpose")), (&json!(["otp"]), None, None));
    assert_eq!(claims["sub"], json!(signed_in.user_id.to_string()));
    assert_eq!(claims.as_object().unwrap().len(), 14);
    let refreshed = world.refresh(&signed_in.refresh_token).unwrap();
    assert_eq!(parts_of(&refreshed.token).1["role"], json!("editor"));
}

#[test]
fn a_token_lives_as_long_as_the_tenant_set_and_not_a_second_longer() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| settings.tokens.access_ttl = 900);
    let signed_in = world.sign_in(&acme, ANN);
    let claims = parts_of(&signed_in.token).1;
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    world.clock.set(signed_in.expires_at - MILLI);
    assert!(world.me(&signed_in).is_ok());
    world.clock.advance(MILLI);
    assert_eq!(refusal(world.me(&signed_in)), "invalid_token");
    assert!(world.refresh(&signed_in.refresh_token).is_ok());
}

fn jwks(world: &World, caller: &Caller) -> Vec<Value> {
    let set = wait(world.service.jwks(caller.space())).unwrap();
    set["keys"].as_array().unwrap().clone()
}

fn bytes(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
}

/// Checks a token as somebody does who has nothing but the published keys.
fn verified_offline(token: &Secret, keys: &[Value]) -> bool {
    let (signed, signature) = token.expose().rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let header = parts_of(token).0;
    let Some(key) = keys.iter().find(|key| key["kid"] == header["kid"]) else { return false };
    assert_eq!((&key["alg"], &key["use"]), (&header["alg"], &json!("sig")));
    match key["kty"].as_str().unwrap() {
        "OKP" => {
            let key = VerifyingKey::from_bytes(bytes(&key["x"]).as_slice().try_into().unwrap()).unwrap();
            let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
            key.verify_strict(signed.as_bytes(), &signature).is_ok()
        }
        _ => {
            let point = [vec![4], bytes(&key["x"]), bytes(&key["y"])].concat();
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).unwrap();
            key.verify(signed.as_bytes(), &p256::ecdsa::Signature::from_slice(&signature).unwrap()).is_ok()
        }
    }
}

#[test]
fn signing_keys_are_replaced_with_overlap() {
    let world = World::new();
    let acme = world.unlimited();
    let rotate = |algorithm| wait(world.service.rotate_signing_keys(&acme, algorithm)).unwrap();
    let algorithm = |signed_in: &SignedIn| parts_of(&signed_in.token).0["alg"].as_str().unwrap().to_owned();

    let hs256 = world.sign_in(&acme, ANN);
    assert_eq!(jwks(&world, &acme), Vec::<Value>::new(), "a shared secret is not published");
    world.clock.advance(HOUR);
    rotate(Algorithm::EdDsa);
    let eddsa = world.sign_in(&acme, ANN);
    assert_eq!(jwks(&world, &acme).len(), 1);
    world.clock.advance(HOUR);
    rotate(Algorithm::Es256);
    let es256 = world.sign_in(&acme, ANN);
    let keys = jwks(&world, &acme);
    assert_eq!(keys.len(), 2);
    assert!(!keys.iter().any(|key| key.get("d").is_some() || key.get("k").is_some()), "nothing secret is published");
    assert_eq!([&hs256, &eddsa, &es256].map(algorithm), ["HS256", "EdDSA", "ES256"]);
    assert!([&hs256, &eddsa, &es256].iter().all(|signed_in| world.me(signed_in).is_ok()));
    assert!(verified_offline(&eddsa.token, &keys) && verified_offline(&es256.token, &keys));

    // The last token of the EdDSA key ends seven hours after it was replaced; then the key is gone.
    world.clock.advance(7 * HOUR - MILLI);
    assert_eq!(jwks(&world, &acme).len(), 2);
    world.clock.advance(MILLI);
    let keys = jwks(&world, &acme);
    assert!(keys.len() == 1 && keys[0]["alg"] == "ES256", "{keys:?}");
    assert!(world.refresh(&hs256.refresh_token).is_ok(), "a session outlives the key");
    while wait(world.service.sweep(1_000)).unwrap() > 0 {}
    assert!(world.me(&world.sign_in(&acme, ANN)).is_ok());
}

#[test]
fn a_test_token_is_no_live_token_also_where_only_signatures_are_checked() {
    let world = World::new();
    let live = world.live();
    let test = world.caller(live.space().tenant, Mode::Test);
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256] {
        wait(world.service.rotate_signing_keys(&live, algorithm)).unwrap();
        let [real, mock] = [&live, &test].map(|caller| world.sign_in(caller, ANN));
        let [[head, claims], [mock_head, mock_claims]] = [&real, &mock].map(|signed_in| {
            let (head, claims) = parts_of(&signed_in.token);
            [head, claims]
        });
        assert_ne!(head["kid"], mock_head["kid"], "{algorithm:?}");
        assert_eq!(mock_claims["iss"], format!("{}/test", claims["iss"].as_str().unwrap()));
        if algorithm != Algorithm::Hs256 {
            let [keys, mock_keys] = [&live, &test].map(|caller| jwks(&world, caller));
            assert!(verified_offline(&real.token, &keys) && verified_offline(&mock.token, &mock_keys));
            assert!(!verified_offline(&mock.token, &keys) && !verified_offline(&real.token, &mock_keys));
        }
        assert!(world.me(&real).is_ok() && world.me(&mock).is_ok());
    }
}

#[test]
fn a_replaced_key_signs_no_more_from_that_millisecond_on() {
    let world = World::new();
    let acme = world.unlimited();
    for round in 0..20 {
        let algorithm = [Algorithm::EdDsa, Algorithm::Hs256][round % 2];
        wait(world.service.rotate_signing_keys(&acme, algorithm)).unwrap();
        let signed_in = world.sign_in(&acme, ANN);
        assert_eq!(parts_of(&signed_in.token).0["alg"], algorithm.as_str(), "round {round}");
    }
}

#[test]
fn a_forged_or_changed_token_opens_nothing() {
    let world = World::new();
    let [acme, other] = [world.live(), world.live()];
    let ours = world.sign_in(&acme, ANN);
    let theirs = world.sign_in(&other, ANN);
    let parts: Vec<&str> = ours.token.expose().split('.').collect();
    let foreign: Vec<&str> = theirs.token.expose().split('.').collect();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (header, claims) = parts_of(&ours.token);
    let with = |value: &Value, name: &str, new: Value| {
        let mut changed = value.clone();
        changed[name] = new;
        encode(&changed)
    };
    let (h, c, s) = (parts[0], parts[1], parts[2]);
    let forged = [
        format!("{}.{c}.{s}", with(&header, "alg", json!("none"))),
        format!("{}.{c}.", with(&header, "alg", json!("none"))),
        format!("{}.{c}.{s}", with(&header, "kid", json!("x"))),
        format!("{}.{c}.{s}", with(&header, "typ", json!("proof+jwt"))),
        format!("{h}.{}.{s}", with(&claims, "sub", json!(theirs.user_id.to_string()))),
        format!("{h}.{}.{s}", with(&claims, "aud", json!(other.space().tenant.to_string()))),
        format!("{h}.{}.{s}", with(&claims, "exp", json!(9_999_999_999_i64))),
        format!("{h}.{c}.{}", foreign[2]),
        format!("{}.{c}.{}", foreign[0], foreign[2]),
        format!("{h}.{}.{s}", foreign[1]),
        format!("{h}.{c}"),
        format!("{h}.{c}.{s}.{s}"),
        String::new(),
        "a.b.c".to_owned(),
        ours.refresh_token.expose().to_owned(),
    ];
    for token in forged {
        assert_eq!(refusal(wait(world.service.me(&token))), "invalid_token", "{token}");
    }
    assert!(world.me(&ours).is_ok() && world.me(&theirs).is_ok());
}
