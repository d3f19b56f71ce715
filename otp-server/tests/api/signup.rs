//! `/signup`: the routes, and the page behind the link.

use axum::http::Method;
use serde_json::json;

use crate::call::{Call, Reply, get, post};
use crate::harness::{ADMIN, SignupMail, World, signup, wrong};

const DEE: &str = "dee@example.org";

#[tokio::test]
async fn from_the_first_request_to_a_second_key() {
    let world = World::new();
    let taken = world.send(post("/signup", signup(DEE))).await;
    assert_eq!(taken.status, 202);
    assert_eq!(taken.ok()["expiresIn"], 86_400);
    let mail = world.signup_mail(DEE).await;
    world.send(post("/signup/resend", json!({"email": DEE}))).await.ok();
    assert_eq!(world.signup_mail(DEE).await.token, mail.token);

    let opened = world.send(post("/signup/verify", mail.by_token())).await;
    assert_eq!(opened.status, 201);
    assert_eq!(opened.header("cache-control"), Some("no-store"));
    let opened = opened.ok();
    assert_eq!(opened["customer"]["customerId"], opened["customerId"]);
    assert_eq!((&opened["customer"]["status"], &opened["customer"]["email"]), (&json!("active"), &json!(DEE)));
    assert_eq!((&opened["customer"]["name"], &opened["customer"]["companyName"]), (&json!("Acme"), &json!("Acme")));
    let text = |name: &str| opened[name].as_str().unwrap().to_owned();
    world.send(get("/admin/customers/me").bearer(text("apiKey"))).await.ok();

    let further = || post("/signup/api-key", json!({"name": "Staging"})).bearer(text("signupToken"));
    let made = world.send(further().once("k")).await;
    assert_eq!(made.status, 201);
    let made = made.ok();
    assert_eq!(made["name"], "Staging");
    assert_eq!(world.send(further().once("k")).await.ok(), made);
    world.send(get("/admin/customers/me").bearer(made["apiKey"].as_str().unwrap())).await.ok();
    let path = format!("/admin/customers/{}/suspend", text("customerId"));
    world.send(post(path, json!({})).bearer(ADMIN)).await.ok();
    world.send(further()).await.problem(403, "customer_suspended");
    world.advance(3_600);
    world.send(further()).await.problem(401, "invalid_token");
}

/// Everything of an answer that could tell anything, but for its id.
fn whole(reply: &Reply) -> (u16, Vec<(String, Vec<u8>)>, serde_json::Value) {
    let headers = reply.headers.iter().filter(|(name, _)| *name != "x-request-id");
    let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    let mut body = reply.json();
    body["requestId"].take();
    (reply.status.as_u16(), headers, body)
}

#[tokio::test]
async fn a_known_address_is_answered_like_an_unknown_one() {
    let world = World::new();
    let mail = world.sign_up(DEE).await;
    world.send(post("/signup/verify", mail.by_token())).await.ok();
    world.advance(2 * 3_600);
    let mut answers = Vec::new();
    for email in [DEE, "new@example.org"] {
        let mut told = vec![whole(&world.send(post("/signup", signup(email))).await)];
        for _ in 0..4 {
            told.push(whole(&world.send(post("/signup/resend", json!({"email": email}))).await));
        }
        for number in 0..7 {
            let guess = json!({"email": email, "code": format!("{number:09}")});
            told.push(whole(&world.send(post("/signup/verify", guess)).await));
        }
        let guess = json!({"email": email, "token": "A".repeat(43)});
        told.push(whole(&world.send(post("/signup/verify", guess)).await));
        answers.push(told);
    }
    assert_eq!(answers[0], answers[1]);
    let statuses: Vec<u16> = answers[0].iter().map(|(status, ..)| *status).collect();
    assert_eq!(statuses, [202, 202, 202, 202, 429, 401, 401, 401, 401, 401, 401, 401, 401]);
}

#[tokio::test]
async fn what_is_wrong_with_a_confirmation_is_told_to_whoever_holds_the_mail() {
    let world = World::new();
    let mail = world.sign_up(DEE).await;
    let verify = |body| world.send(post("/signup/verify", body));
    verify(json!({"email": DEE})).await.problem(400, "missing_field");
    verify(json!({"email": DEE, "token": "x", "code": "1"})).await.problem(400, "missing_field");
    verify(json!({"email": "dee", "code": mail.code})).await.problem(400, "invalid_email");
    verify(json!({"email": DEE, "code": "12"})).await.problem(400, "invalid_otp_format");
    verify(json!({"email": DEE, "token": "x"})).await.problem(400, "invalid_token_format");
    for number in 0..5 {
        verify(json!({"email": DEE, "code": wrong(&mail.code, number)})).await.problem(401, "otp_invalid");
    }
    verify(mail.by_code()).await.problem(401, "otp_attempts_exceeded");
    world.advance(86_400);
    verify(mail.by_token()).await.problem(401, "otp_expired");
    let mail = world.sign_up(DEE).await;
    let spaced = format!("{} {} {}", &mail.code[..3], &mail.code[3..6], &mail.code[6..]);
    verify(json!({"email": " DEE@Example.org ", "code": spaced})).await.ok();
    verify(mail.by_token()).await.problem(404, "otp_not_found");
}

#[tokio::test]
async fn bad_fields_and_limits_are_told() {
    let world = World::new();
    let sign_up = |field: &str, value: &str| {
        let mut body = signup(DEE);
        body[field] = json!(value);
        world.send(post("/signup", body))
    };
    for (field, value, code) in [
        ("email", "dee", "invalid_email"),
        ("companyName", "", "invalid_field"),
        ("password", "too short", "invalid_password"),
        ("password", "Password1234", "password_too_common"),
    ] {
        assert_eq!(sign_up(field, value).await.problem(400, code)["errors"][0]["field"], field);
    }
    for number in 0..5 {
        world.send(post("/signup", signup(&format!("dee{number}@example.org")))).await.ok();
    }
    let limited = world.send(post("/signup", signup(DEE))).await;
    limited.problem(429, "rate_limit_exceeded");
    assert_eq!(limited.number("x-ratelimit-limit"), 5);
    world.send(post("/signup", signup(DEE)).from("192.0.2.2")).await.ok();
}

#[tokio::test]
async fn a_closed_installation_says_so() {
    let world = World::new();
    let mail = world.sign_up(DEE).await;
    let send = |call| world.send_to(&world.closed, call);
    send(post("/signup", signup(DEE))).await.problem(403, "signup_closed");
    send(post("/signup/resend", json!({"email": DEE}))).await.problem(403, "signup_closed");
    send(post("/signup/verify", mail.by_token())).await.problem(403, "signup_closed");
    let page = send(press(&mail)).await;
    assert!(page.status == 403 && page.text().contains("Signing up is closed"), "{page}");
}

/// What the page's button sends.
fn press(mail: &SignupMail) -> Call {
    let body = mail.link.split_once('?').unwrap().1.to_owned();
    Call::new(Method::POST, "/signup/confirm")
        .raw(body)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
}

#[tokio::test]
async fn the_link_opens_a_page_that_changes_nothing_until_its_button_is_pressed() {
    let world = World::new();
    let mail = world.sign_up(DEE).await;
    let commits = || async { world.service.tenants(None, None, 10).await.unwrap().items.len() };
    for _ in 0..3 {
        let page = world.send(get(&mail.link)).await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("form-action 'self'") && !policy.contains("script"), "{policy}");
        let html = page.text();
        assert!(html.contains("method=\"post\" action=\"confirm\"") && html.contains(DEE), "{html}");
        assert_eq!(html.matches(&mail.token).count(), 1, "in the form and nowhere else");
        assert!(
            !html.contains("http://") || html.matches("http://www.w3.org").count() == html.matches("http://").count()
        );
        assert!(!html.contains("https://") && !html.contains("<script"), "{html}");
    }
    assert_eq!(commits().await, 0);

    // Another site's page cannot press it.
    for site in ["cross-site", "same-site"] {
        let page = world.send(press(&mail).header("sec-fetch-site", site)).await;
        assert!(page.status == 403 && !page.text().contains("otp_live_"), "{page}");
    }
    assert_eq!(commits().await, 0);
    let page = world.send(press(&mail)).await;
    assert_eq!(page.status, 200, "{page}");
    let html = page.text();
    let key = html.split_once("tabindex=\"0\">otp_live_sk_").unwrap().1.split_once('<').unwrap().0;
    let key = format!("otp_live_sk_{key}");
    assert!(!html.contains(&mail.token) && page.header("cache-control") == Some("no-store"), "{html}");
    let own = world.send(get("/admin/customers/me").bearer(&key)).await.ok();
    assert_eq!(own["customer"]["email"], DEE);

    let page = world.send(press(&mail)).await;
    assert!(page.status == 404 && page.text().contains("confirmed already"), "{page}");
}

#[tokio::test]
async fn a_broken_link_is_a_page_that_says_what_to_do() {
    let world = World::new();
    let mail = world.sign_up(DEE).await;
    for path in ["/signup/verify", "/signup/verify?email=a", "/signup/verify?token=a"] {
        let page = world.send(get(path)).await;
        assert!(page.status == 400 && page.text().contains("not whole"), "{page}");
    }
    let evil = "/signup/verify?email=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&token=%22%3E%3Cimg%20src=x%3E";
    let page = world.send(get(evil)).await.text();
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    let wrong = SignupMail { link: mail.link.replace(&mail.token, &"A".repeat(43)), ..mail.clone() };
    let page = world.send(press(&wrong)).await;
    assert!(page.status == 401 && page.text().contains("does not work"), "{page}");
    let page = world.send(press(&mail).raw(vec![b'x'; 70_000])).await;
    assert_eq!(page.status, 413, "{page}");
    world.advance(86_400);
    let page = world.send(press(&mail)).await;
    assert!(page.status == 401 && page.text().contains("too old"), "{page}");
}
