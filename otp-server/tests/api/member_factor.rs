//! `/api/auth/totp`: a member's second factor; what fixes a session on somebody, or acts by it from another site, fails.

use otp_core::member::Role;
use serde_json::{Value, json};

use crate::call::{Call, delete, get, post, put};
use crate::crew::{Browser, COOKIE, FOREIGN, OWN, cookie_of};
use crate::harness::World;

const ANN: &str = "ann@acme.example";
const EVE: &str = "eve@acme.example";

fn complete(mfa_token: &str, otp: &str) -> Call {
    post("/api/auth/totp", json!({"mfaToken": mfa_token, "otp": otp}))
}

/// The browser with the session of an answer.
fn in_browser(reply: &crate::call::Reply) -> Browser {
    Browser { cookie: cookie_of(reply).unwrap(), csrf: reply.ok()["csrfToken"].as_str().unwrap().to_owned() }
}

#[tokio::test]
async fn a_page_sets_an_authenticator_up_and_goes_on_with_sessions_that_are_new() {
    let world = World::new();
    let customer = world.customer().await;
    world.crew(&customer, ANN, Role::Owner).await;
    let browser = world.browser(ANN).await;
    let registered = world.send(browser.page(post("/api/auth/totp/register", json!({})))).await.ok();
    let secret = registered["secret"].as_str().unwrap();
    assert!(registered["otpauthUri"].as_str().unwrap().starts_with("otpauth://totp/otp.example:ann%40acme.example?"));
    assert!(registered["qrPng"].as_str().unwrap().starts_with("data:image/png;base64,"), "{registered}");
    let me = |browser: &Browser| world.send(browser.bare(get("/api/auth/me")));
    let enable = |otp: String| world.send(browser.page(post("/api/auth/totp/enable", json!({"otp": otp}))));
    enable(world.code(secret, 3600)).await.problem(401, "otp_invalid");
    me(&browser).await.ok();
    let reply = enable(world.code(secret, 0)).await;
    let codes = reply.ok()["recoveryCodes"].clone();
    assert_eq!((codes.as_array().unwrap().len(), &reply.ok()["token"]), (10, &Value::Null), "{reply}");
    let enrolled = in_browser(&reply);
    assert!(enrolled.cookie != browser.cookie && enrolled.csrf != browser.csrf);
    me(&browser).await.problem(401, "invalid_session");
    let status = world.send(enrolled.bare(get("/api/auth/totp/status"))).await.ok();
    assert_eq!((&status["enabled"], &status["recoveryCodesLeft"]), (&json!(true), &json!(10)));

    world.advance(60);
    let half = world.half_sign_in(ANN, false).await;
    me(&enrolled).await.ok();
    let carrying = |call: Call| enrolled.bare(call);
    world.send(carrying(complete(&half, &world.code(secret, 3600)))).await.problem(401, "otp_invalid");
    let both = json!({"mfaToken": half, "otp": "123456", "recoveryCode": codes[0]});
    world.send(post("/api/auth/totp", both)).await.problem(400, "invalid_request");
    world.send(post("/api/auth/totp", json!({"mfaToken": half}))).await.problem(400, "missing_field");
    let signed_in = in_browser(&world.send(carrying(complete(&half, &world.code(secret, 0)))).await);
    me(&enrolled).await.problem(401, "invalid_session");
    world.send(complete(&half, &world.code(secret, 30))).await.problem(401, "invalid_mfa_token");

    // What cannot be undone, ten minutes later.
    world.advance(600);
    let app = format!("/api/app/{}", customer.id);
    for call in [delete(&app), put(format!("{app}/api-key"), json!({}))] {
        let refused = world.send(signed_in.page(call)).await.problem(403, "step_up_required");
        assert!(refused["detail"].as_str().unwrap().contains("POST /api/auth/totp/verify"), "{refused}");
    }
    let verify = |body: Value| world.send(signed_in.page(post("/api/auth/totp/verify", body)));
    verify(json!({})).await.problem(400, "missing_field");
    let stepped_up = in_browser(&verify(json!({"recoveryCode": codes[0]})).await);
    me(&signed_in).await.problem(401, "invalid_session");
    let renewed = world.send(stepped_up.page(post("/api/auth/totp/recovery-codes", json!({})))).await.ok();
    world.send(stepped_up.page(put(format!("{app}/api-key"), json!({})))).await.ok();
    let disable =
        |code: &Value| world.send(stepped_up.page(post("/api/auth/totp/disable", json!({"recoveryCode": code}))));
    disable(&codes[1]).await.problem(401, "otp_invalid");
    let without = in_browser(&disable(&renewed["recoveryCodes"][0]).await);
    me(&stepped_up).await.problem(401, "invalid_session");
    let status = world.send(without.bare(get("/api/auth/totp/status"))).await.ok();
    assert_eq!(status["enabled"], false);
    world.browser(ANN).await;
}

#[tokio::test]
async fn a_program_gets_a_token_and_no_cookie() {
    let world = World::new();
    world.loner(ANN).await;
    let signed_in = world.let_in(ANN).await;
    let (secret, token) = world.enrol_member(signed_in["token"].as_str().unwrap()).await;
    world.send(get("/api/auth/me").bearer(signed_in["token"].as_str().unwrap())).await.problem(401, "invalid_session");
    let stepped_up =
        world.send(post("/api/auth/totp/verify", json!({"otp": world.code(&secret, 30)})).bearer(&token)).await;
    assert_eq!(cookie_of(&stepped_up), None);
    world.send(get("/api/auth/me").bearer(stepped_up.ok()["token"].as_str().unwrap())).await.ok();
    world.advance(60);
    let half = world.half_sign_in(ANN, true).await;
    let signed_in = world.send(complete(&half, &world.code(&secret, 0))).await;
    assert_eq!(cookie_of(&signed_in), None);
    world.send(get("/api/auth/me").bearer(signed_in.ok()["token"].as_str().unwrap())).await.ok();
}

/// What a browser may come with when it shows a second factor: nothing, or a cookie of one of these.
#[tokio::test]
async fn a_session_is_never_fixed_on_somebody_who_shows_a_second_factor() {
    for before in ["none", "bogus", "own", "another's", "over", "a program's"] {
        for succeeds in [true, false] {
            let world = World::new();
            let customer = world.customer().await;
            let ann = world.crew(&customer, ANN, Role::Owner).await;
            world.crew(&customer, EVE, Role::Viewer).await;
            let (secret, program) = world.enrol_member(&ann.token).await;
            world.advance(60);
            let own = world.half_sign_in(ANN, false).await;
            let own = in_browser(&world.send(complete(&own, &world.code(&secret, 0))).await);
            let planted = match before {
                "none" => None,
                "bogus" => Some("A".repeat(43)),
                "own" => Some(own.cookie.clone()),
                "another's" => Some(world.browser(EVE).await.cookie),
                "over" => {
                    world.send(own.page(post("/api/auth/logout", json!({})))).await.ok();
                    Some(own.cookie.clone())
                }
                _ => Some(program.clone()),
            };
            let carrying = |call: Call| match &planted {
                Some(cookie) => call.header("cookie", format!("{COOKIE}={cookie}")),
                None => call,
            };
            let was_open = world.send(carrying(get("/api/auth/me"))).await.status == 200;
            assert_eq!(was_open, ["own", "another's"].contains(&before), "{before}");
            world.advance(60);
            let half = world.half_sign_in(ANN, false).await;
            let said = world.code(&secret, if succeeds { 0 } else { 3600 });
            let reply = world.send(carrying(complete(&half, &said))).await;
            let case = format!("{before}, succeeds: {succeeds}\n{reply}");
            let after = world.send(carrying(get("/api/auth/me"))).await;
            match succeeds {
                true => {
                    let fresh = in_browser(&reply);
                    assert_ne!(Some(&fresh.cookie), planted.as_ref(), "{case}");
                    assert_eq!(after.status, 401, "the old one is over: {case}");
                    let me = world.send(fresh.bare(get("/api/auth/me"))).await.ok();
                    assert_eq!(me["member"]["email"], ANN, "{case}");
                }
                false => {
                    assert_eq!((reply.status.as_u16(), cookie_of(&reply)), (401, None), "{case}");
                    assert_eq!(after.status == 200, was_open, "what fails changes nothing: {case}");
                }
            }
            // The program's own session is none of the browser's.
            world.send(get("/api/auth/me").bearer(&program)).await.ok();
        }
    }
}

#[tokio::test]
async fn no_other_site_shows_a_second_factor_or_takes_it_away() {
    let world = World::new();
    let customer = world.customer().await;
    let ann = world.crew(&customer, ANN, Role::Owner).await;
    world.crew(&customer, EVE, Role::Owner).await;
    let (secret, _) = world.enrol_member(&ann.token).await;
    world.advance(60);
    let half = world.half_sign_in(ANN, false).await;
    let browser = in_browser(&world.send(complete(&half, &world.code(&secret, 0))).await);
    let other = world.browser(EVE).await;
    world.advance(60);
    let right = || json!({"otp": world.code(&secret, 0)});
    let routes = ["register", "enable", "verify", "recovery-codes", "disable"];
    for route in routes {
        let call = || browser.bare(post(format!("/api/auth/totp/{route}"), right()));
        for (sender, csrf) in FOREIGN.iter().flat_map(|sender| [(sender, None), (sender, Some(&browser.csrf))]) {
            let call = sender.map_or_else(call, |(name, value)| call().header(name, value));
            let call = match csrf {
                Some(csrf) => call.header("x-csrf-token", csrf),
                None => call,
            };
            world.send(call).await.problem(403, "cross_site_request");
        }
        for (name, value) in OWN {
            let wrong = ["", "x", &browser.csrf[1..], other.csrf.as_str(), browser.cookie.as_str()];
            world.send(call().header(name, value)).await.problem(403, "csrf_token_required");
            for csrf in wrong {
                let call = call().header(name, value).header("x-csrf-token", csrf);
                world.send(call).await.problem(403, "csrf_token_required");
            }
        }
    }
    // Nor does it end a sign-in, which would sign somebody in as somebody else.
    let half = world.half_sign_in(ANN, false).await;
    let call = || complete(&half, &world.code(&secret, 0));
    for (name, value) in FOREIGN.into_iter().flatten() {
        world.send(call().header(name, value)).await.problem(403, "cross_site_request");
    }
    let form = call().header("content-type", "text/plain").header("sec-fetch-site", "same-origin");
    world.send(form).await.problem(415, "unsupported_media_type");

    // Nothing of all that was so much as a guess.
    let status = world.send(browser.bare(get("/api/auth/totp/status"))).await.ok();
    assert_eq!(status["enabled"], true);
    world.send(browser.page(post("/api/auth/totp/verify", right()))).await.ok();
}

#[tokio::test]
async fn the_factor_of_one_member_is_good_for_no_other() {
    let world = World::new();
    let (mine, theirs) = (world.customer().await, world.customer().await);
    let ann = world.crew(&mine, ANN, Role::Owner).await;
    let eve = world.crew(&theirs, EVE, Role::Owner).await;
    let ((anns, ann), (eves, eve)) = (world.enrol_member(&ann.token).await, world.enrol_member(&eve.token).await);
    world.advance(60);
    let (half, eves_half) = (world.half_sign_in(ANN, true).await, world.half_sign_in(EVE, true).await);
    world.send(complete(&half, &world.code(&eves, 0))).await.problem(401, "otp_invalid");
    world.send(complete(&eves_half, &world.code(&anns, 0))).await.problem(401, "otp_invalid");
    for route in ["verify", "disable"] {
        let call = post(format!("/api/auth/totp/{route}"), json!({"otp": world.code(&anns, 0)}));
        world.send(call.bearer(&eve)).await.problem(401, "otp_invalid");
    }
    // The guesses were at Eve's own, and at Ann's one.
    let wrong = || complete(&eves_half, &world.code(&anns, 0));
    world.send(wrong()).await.problem(401, "otp_invalid");
    world.send(wrong()).await.problem(401, "otp_invalid");
    world.send(wrong()).await.problem(429, "rate_limit_exceeded");
    world.send(complete(&half, &world.code(&anns, 0))).await.ok();
    // With all she has, Eve reaches nothing of Ann's application.
    world.advance(300);
    let stepped_up = post("/api/auth/totp/verify", json!({"otp": world.code(&eves, 0)})).bearer(&eve);
    let eve = world.send(stepped_up).await.ok()["token"].as_str().unwrap().to_owned();
    for call in [delete(format!("/api/app/{}", mine.id)), put(format!("/api/app/{}/api-key", mine.id), json!({}))] {
        world.send(call.bearer(&eve)).await.problem(404, "not_found");
    }
    world.send(get("/api/auth/me").bearer(&ann)).await.ok();
}
