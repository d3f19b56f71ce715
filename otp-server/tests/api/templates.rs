//! `/admin/templates/preview`, `/admin/config/templates`, `/admin/config/email/test`, and the language of a request.

use serde_json::json;

use crate::call::{Call, post, put};
use crate::harness::World;

#[tokio::test]
async fn a_request_is_answered_in_its_language() {
    let world = World::new();
    let customer = world.customer().await;
    let ask = |locale| {
        let body = json!({"email": "ann@example.org", "locale": locale});
        world.send(post("/auth/request-otp", body).bearer(&customer.key))
    };
    ask("de-CH").await.ok();
    world.service.deliver_pending(10).await.unwrap();
    assert_eq!(world.inbox.to("ann@example.org").subject, "Ihr Code für Acme");
    for bad in ["", "de_CH", "x", "de-"] {
        let problem = ask(bad).await.problem(400, "invalid_locale");
        assert_eq!(problem["errors"][0]["field"], "locale", "{bad}");
    }
}

#[tokio::test]
async fn templates_are_written_as_a_list() {
    let world = World::new();
    let customer = world.customer_on("starter").await;
    let write = |body| world.send(put("/admin/config/templates", body).bearer(&customer.key));
    let entry = json!({"locale": "DE", "subject": "Ihr {{appName}}-Code"});
    let shown = write(json!({"templates": [entry]})).await.ok();
    let expected = json!([{
        "purpose": null, "locale": "de", "subject": "Ihr {{appName}}-Code", "html": null, "text": null, "sms": null,
    }]);
    assert_eq!(shown["config"]["templates"], expected);
    for (body, code, field) in [
        (json!({"templates": [entry, {"locale": "fr", "html": "{{ opt }}"}]}), "invalid_template", "templates[1].html"),
        (json!({"templates": [{"locale": "fr", "htm": "{{ otp }}"}]}), "unknown_field", "templates[0].htm"),
        (json!({"template": []}), "unknown_field", "template"),
    ] {
        assert_eq!(write(body.clone()).await.problem(400, code)["errors"][0]["field"], field, "{body}");
    }
    // Four templates of this size are more than other routes take.
    let html = format!("{{{{otp}}}}{}", "x".repeat(60 * 1024));
    let large: Vec<_> = ["de", "fr", "es", "it"].iter().map(|tag| json!({"locale": tag, "html": html})).collect();
    write(json!({"templates": large.clone()})).await.ok();
    let twice = [large.clone(), large].concat();
    write(json!({"templates": twice})).await.problem(413, "body_too_large");
}

#[tokio::test]
async fn a_preview_renders_drafts_and_tells_mistakes() {
    let world = World::new();
    let customer = world.customer_on("free").await;
    let preview = |body| world.send(post("/admin/templates/preview", body).bearer(&customer.key));
    let shown = preview(json!({})).await.ok();
    assert_eq!(shown["subject"], "Your Acme code");
    assert!(shown["html"].as_str().unwrap().starts_with("<!doctype html>"));
    let body = json!({
        "html": "<p>{{ OTP }} {{ shop }} {{ context }}</p>", "sms": "{{otp}}", "locale": "ja", "context": "<Pay>",
        "variables": {"shop": "Berlin"}, "purpose": "pay",
    });
    let shown = preview(body).await.ok();
    assert_eq!((&shown["html"], &shown["sms"]), (&json!("<p>123456789 Berlin &lt;Pay&gt;</p>"), &json!("123456789")));
    assert_eq!(shown["subject"], "Acme の確認コード");
    for (body, code, field, told) in [
        (json!({"text": "{{otp}}\n {{ nobody }}"}), "invalid_template", "text", "line 2, column 2"),
        (json!({"sms": "Hello"}), "invalid_template", "sms", "{{otp}}"),
        (json!({"variables": {"otp": "1"}}), "invalid_template", "variables", "another name"),
        (json!({"locale": "de_CH"}), "invalid_locale", "locale", "BCP 47"),
        (json!({"purpose": "Pay!"}), "invalid_purpose", "purpose", "a-z"),
        (json!({"body": "x"}), "unknown_field", "body", "not known"),
    ] {
        let problem = preview(body).await.problem(400, code);
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(told), "{problem}");
    }
    assert_eq!(world.inbox.count(), 0);
}

#[tokio::test]
async fn a_test_mail_goes_to_the_customer_alone() {
    let world = World::new();
    let customer = world.customer().await;
    let send = |call: Call| world.send(call.bearer(&customer.key));
    let sent = send(post("/admin/config/email/test", json!({"locale": "fr"})).once("one")).await;
    assert!(sent.ok()["code"].is_null() && sent.json()["testCode"].is_null(), "{sent}");
    assert_eq!(sent.number("x-ratelimit-remaining"), 2);
    let again = send(post("/admin/config/email/test", json!({"locale": "fr"})).once("one")).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    world.service.deliver_pending(10).await.unwrap();
    assert_eq!(world.inbox.to("ops@acme.example").subject, "Votre code Acme");
    let other = send(post("/admin/config/email/test", json!({"to": "ann@example.org"}))).await;
    assert_eq!(other.problem(400, "recipient_not_allowed")["errors"][0]["field"], "to");
    send(post("/admin/config/email/test", json!({"to": "ann"}))).await.problem(400, "invalid_email");
    let test = world.test_key(&customer).await;
    let shown = world.send(post("/admin/config/email/test", json!({})).bearer(&test)).await.ok();
    assert!(shown["testCode"].is_string());
    assert_eq!(world.inbox.count(), 1);
}

/// Whoever signed the customer up gets the mail; a member of another customer is a stranger.
#[tokio::test]
async fn a_member_is_somebody_of_the_customer() {
    let world = World::new();
    let mail = world.sign_up("dee@example.org").await;
    let opened = world.send(post("/signup/verify", mail.by_code())).await.ok();
    let key = opened["apiKey"].as_str().unwrap().to_owned();
    let moved = put("/admin/customers/me", json!({"email": "desk@example.org"})).bearer(&key);
    world.send(moved).await.ok();
    let send = |key: String| world.send(post("/admin/config/email/test", json!({"to": "dee@example.org"})).bearer(key));
    send(key).await.ok();
    let other = world.customer().await;
    send(other.key).await.problem(400, "recipient_not_allowed");
}
