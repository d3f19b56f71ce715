//! `/api/auth`: members register, sign in and out; what fixes a session on somebody, or acts by it from another site, fails.

use otp_core::member::Role;
use serde_json::{Value, json};

use crate::call::{Call, Reply, delete, get, post, put};
use crate::crew::{Browser, COOKIE, FOREIGN, OWN, cookie_of};
use crate::harness::{World, wrong};

const ANN: &str = "ann@acme.example";
const DEE: &str = "dee@example.org";
const PASSWORD: &str = "eleven pears in a teapot";

fn registration(email: &str) -> Call {
    post("/api/auth/register", json!({"email": email, "password": PASSWORD, "name": "Dee"}))
}

fn login(body: Value) -> Call {
    post("/api/auth/login", body)
}

async fn registered(world: &World, email: &str) {
    world.send(registration(email)).await.ok();
    let code = world.member_mail(email).await;
    world.send(post("/api/auth/register/verify", json!({"email": email, "code": code}))).await.ok();
}

/// Everything of an answer that could tell anything, but for its id.
fn whole(reply: &Reply) -> (u16, Vec<(String, Vec<u8>)>, Value) {
    let headers = reply.headers.iter().filter(|(name, _)| *name != "x-request-id");
    let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    let mut body = reply.json();
    body["requestId"].take();
    (reply.status.as_u16(), headers, body)
}

#[tokio::test]
async fn from_registering_to_a_new_password() {
    let world = World::new();
    let taken = world.send(registration(DEE)).await;
    assert_eq!((taken.status.as_u16(), &taken.ok()["expiresIn"]), (202, &json!(86_400)));
    let code = world.member_mail(DEE).await;
    let verify = |code: String| world.send(post("/api/auth/register/verify", json!({"email": DEE, "code": code})));
    verify(wrong(&code, 0)).await.problem(401, "sign_in_refused");
    let made = verify(format!("{} {} {}", &code[..3], &code[3..6], &code[6..])).await;
    assert_eq!((made.status.as_u16(), &made.ok()["member"]["name"]), (201, &json!("Dee")));
    verify(code).await.problem(401, "sign_in_refused");

    let reply = world.send(login(json!({"email": " DEE@example.org ", "password": PASSWORD}))).await;
    let signed_in = reply.ok();
    assert!(signed_in["token"].is_null(), "a page gets a cookie and no token: {reply}");
    let set = reply.header("set-cookie").unwrap();
    for part in ["__Host-otp_session=", "; Path=/;", "; HttpOnly;", "; SameSite=Lax;", "; Secure"] {
        assert!(set.contains(part) && !set.contains("Domain"), "{set}");
    }
    let browser =
        Browser { cookie: cookie_of(&reply).unwrap(), csrf: signed_in["csrfToken"].as_str().unwrap().to_owned() };
    let me = world.send(browser.bare(get("/api/auth/me"))).await.ok();
    assert_eq!((&me["member"]["email"], &me["csrfToken"]), (&json!(DEE), &json!(browser.csrf)));
    assert_eq!(me["member"]["memberId"], made.ok()["member"]["memberId"]);

    world.advance(1);
    let program = world.send(login(json!({"email": DEE, "password": PASSWORD, "token": true}))).await;
    assert_eq!(program.header("set-cookie"), None);
    let token = program.ok()["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("otp_ms_") && token.len() == 50, "{token}");
    let sessions = world.send(get("/api/auth/sessions").bearer(&token)).await.ok();
    let current: Vec<&Value> = sessions["sessions"].as_array().unwrap().iter().map(|one| &one["current"]).collect();
    assert_eq!(current, [&json!(true), &json!(false)]);

    let recover = |body: Value| world.send(post("/api/auth/recovery", body));
    assert_eq!(recover(json!({"email": DEE})).await.status, 202);
    let code = world.member_mail(DEE).await;
    let new = |code: &str, password: &str| json!({"email": DEE, "code": code, "newPassword": password});
    let short = recover(new(&code, "short")).await.problem(400, "invalid_password");
    assert_eq!(short["errors"][0]["field"], "newPassword");
    recover(json!({"email": DEE, "code": code})).await.problem(400, "missing_field");
    recover(new(&wrong(&code, 1), "seven plums in a kettle")).await.problem(401, "sign_in_refused");
    recover(new(&code, "seven plums in a kettle")).await.ok();
    recover(new(&code, "nine figs in a saucepan")).await.problem(401, "sign_in_refused");
    for call in [browser.bare(get("/api/auth/me")), get("/api/auth/me").bearer(&token)] {
        world.send(call).await.problem(401, "invalid_session");
    }
    world.send(login(json!({"email": DEE, "password": PASSWORD}))).await.problem(401, "sign_in_refused");
    world.send(login(json!({"email": DEE, "password": "seven plums in a kettle"}))).await.ok();
    world.service.deliver_pending(100).await.unwrap();
    assert_eq!(world.inbox.to(DEE).subject, "Your OTP Auth password was changed");
}

#[tokio::test]
async fn whether_an_address_has_an_account_is_not_told() {
    let world = World::new();
    registered(&world, DEE).await;
    world.advance(3 * 3_600);
    let mut answers = Vec::new();
    for email in [DEE, "new@example.org"] {
        let mut told = vec![
            whole(&world.send(registration(email).from("192.0.2.7")).await),
            whole(&world.send(login(json!({"email": email}))).await),
            whole(&world.send(post("/api/auth/recovery", json!({"email": email}))).await),
        ];
        for path in ["/api/auth/login", "/api/auth/register/verify"] {
            for number in 0..6 {
                let guess = json!({"email": email, "code": format!("{number:09}")});
                told.push(whole(&world.send(post(path, guess)).await));
            }
        }
        let recover = json!({"email": email, "code": "000000000", "newPassword": "seven plums in a kettle"});
        told.push(whole(&world.send(post("/api/auth/recovery", recover)).await));
        for _ in 0..6 {
            let guess = json!({"email": email, "password": "nine figs in a saucepan"});
            told.push(whole(&world.send(login(guess)).await));
        }
        answers.push(told);
    }
    assert_eq!(answers[0], answers[1]);
    let statuses: Vec<u16> = answers[0].iter().map(|(status, ..)| *status).collect();
    assert_eq!(statuses[..4], [202, 202, 202, 401]);
    assert_eq!(statuses[16..], [401, 401, 401, 401, 401, 429]);
}

#[tokio::test]
async fn wrong_passwords_do_not_stop_codes() {
    let world = World::new();
    registered(&world, DEE).await;
    for _ in 0..5 {
        world.send(login(json!({"email": DEE, "password": "x"}))).await.problem(401, "sign_in_refused");
    }
    let right = || login(json!({"email": DEE, "password": PASSWORD}));
    let limited = world.send(right()).await;
    limited.problem(429, "rate_limit_exceeded");
    assert_eq!(limited.number("x-ratelimit-limit"), 5);
    world.let_in(DEE).await;
    world.advance(15 * 60);
    world.send(right()).await.ok();
}

#[tokio::test]
async fn sessions_end_by_rest_by_age_and_at_once_by_whoever_has_them() {
    let world = World::new();
    let customer = world.customer().await;
    let ann = world.crew(&customer, ANN, Role::Owner).await;
    let me = |token: &str| world.send(get("/api/auth/me").bearer(token));
    world.advance(29 * 60);
    me(&ann.token).await.ok();
    world.advance(29 * 60);
    me(&ann.token).await.ok();
    world.advance(30 * 60);
    me(&ann.token).await.problem(401, "invalid_session");

    let fresh = || async { world.let_in(ANN).await["token"].as_str().unwrap().to_owned() };
    let (old, other) = (fresh().await, fresh().await);
    for _ in 0..(12 * 60 / 25) {
        me(&old).await.ok();
        me(&other).await.ok();
        world.advance(25 * 60);
    }
    world.advance(20 * 60);
    me(&old).await.problem(401, "invalid_session");

    let (old, other) = (fresh().await, fresh().await);
    let listed = world.send(get("/api/auth/sessions").bearer(&other)).await.ok();
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let end = |id: &Value| delete(format!("/api/auth/sessions/{}", id.as_str().unwrap())).bearer(&other);
    world.send(end(&sessions[1]["sessionId"])).await.ok();
    world.send(end(&sessions[1]["sessionId"])).await.problem(404, "not_found");
    me(&old).await.problem(401, "invalid_session");
    let third = fresh().await;
    world.send(post("/api/auth/logout", json!({"everywhere": true})).bearer(&other)).await.ok();
    me(&other).await.problem(401, "invalid_session");
    me(&third).await.problem(401, "invalid_session");
}

/// What a browser may come with: nothing, or a cookie of one of these; what it shows to be let in: a code, or one that is wrong.
#[tokio::test]
async fn a_session_is_never_fixed_on_somebody() {
    for before in ["none", "bogus", "own", "another's", "over", "a program's"] {
        for succeeds in [true, false] {
            let world = World::new();
            let customer = world.customer().await;
            let ann = world.crew(&customer, ANN, Role::Owner).await;
            world.crew(&customer, "eve@acme.example", Role::Viewer).await;
            let planted = match before {
                "none" => None,
                "bogus" => Some("A".repeat(43)),
                "own" => Some(world.browser(ANN).await.cookie),
                "another's" => Some(world.browser("eve@acme.example").await.cookie),
                "over" => {
                    let browser = world.browser(ANN).await;
                    world.send(browser.page(post("/api/auth/logout", json!({})))).await.ok();
                    Some(browser.cookie)
                }
                _ => Some(ann.token.clone()),
            };
            let carrying = |call: Call| match &planted {
                Some(cookie) => call.header("cookie", format!("{COOKIE}={cookie}")),
                None => call,
            };
            let was_open = world.send(carrying(get("/api/auth/me"))).await.status == 200;
            assert_eq!(was_open, ["own", "another's"].contains(&before), "{before}");
            let code = world.member_code(ANN).await;
            let said = if succeeds { code } else { wrong(&code, 0) };
            let reply = world.send(carrying(login(json!({"email": ANN, "code": said})))).await;
            let case = format!("{before}, succeeds: {succeeds}\n{reply}");
            let after = world.send(carrying(get("/api/auth/me"))).await;
            match succeeds {
                true => {
                    let cookie = cookie_of(&reply).unwrap();
                    assert_ne!(Some(&cookie), planted.as_ref(), "{case}");
                    assert_eq!(after.status, 401, "the old one is over: {case}");
                    let fresh = get("/api/auth/me").header("cookie", format!("{COOKIE}={cookie}"));
                    assert_eq!(world.send(fresh).await.ok()["member"]["email"], ANN, "{case}");
                }
                false => {
                    assert_eq!((reply.status.as_u16(), cookie_of(&reply)), (401, None), "{case}");
                    assert_eq!(after.status == 200, was_open, "a failed sign-in changes nothing: {case}");
                }
            }
            // The program's own session is none of the browser's.
            world.send(get("/api/auth/me").bearer(&ann.token)).await.ok();
        }
    }
}

#[tokio::test]
async fn no_other_site_acts_by_the_cookie() {
    let world = World::new();
    let customer = world.customer().await;
    world.crew(&customer, ANN, Role::Owner).await;
    let (browser, other) = (world.browser(ANN).await, world.browser(ANN).await);
    let rename = || put(format!("/api/app/{}", customer.id), json!({"name": "Hacked"}));
    let with = |sender: Option<(&'static str, &str)>, csrf: Option<&str>| {
        let call = browser.bare(rename());
        let call = sender.map(|(name, value)| browser.bare(rename()).header(name, value)).unwrap_or(call);
        match csrf {
            Some(csrf) => call.header("x-csrf-token", csrf),
            None => call,
        }
    };
    for sender in FOREIGN {
        for csrf in [None, Some(browser.csrf.as_str())] {
            world.send(with(sender, csrf)).await.problem(403, "cross_site_request");
        }
    }
    let cut = &browser.csrf[1..];
    for sender in OWN {
        for csrf in [None, Some(""), Some("x"), Some(cut), Some(other.csrf.as_str()), Some(browser.cookie.as_str())] {
            world.send(with(Some(sender), csrf)).await.problem(403, "csrf_token_required");
        }
    }
    let app = || async { world.send(browser.bare(get(format!("/api/app/{}", customer.id)))).await.ok() };
    assert_eq!(app().await["app"]["name"], "Acme");
    for sender in OWN {
        world.send(with(Some(sender), Some(&browser.csrf))).await.ok();
    }
    assert_eq!(app().await["app"]["name"], "Hacked");

    // Whoever would be signed in by another site's page is not.
    let code = world.member_code(ANN).await;
    for (path, body) in [
        ("/api/auth/login", json!({"email": ANN, "code": code})),
        ("/api/auth/register", json!({"email": DEE, "password": PASSWORD})),
        ("/api/auth/recovery", json!({"email": ANN})),
    ] {
        let call = || post(path, body.clone());
        world.send(call().header("sec-fetch-site", "cross-site")).await.problem(403, "cross_site_request");
        world.send(call().origin("https://evil.example")).await.problem(403, "cross_site_request");
        // A form cannot send JSON, and nobody's page may ask to.
        let form = call().header("content-type", "text/plain").header("sec-fetch-site", "same-origin");
        world.send(form).await.problem(415, "unsupported_media_type");
        let preflight = Call::new(axum::http::Method::OPTIONS, path)
            .origin("https://evil.example")
            .header("access-control-request-method", "POST");
        assert_eq!(world.send(preflight).await.header("access-control-allow-origin"), None);
    }
}
