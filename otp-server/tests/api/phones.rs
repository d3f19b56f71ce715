//! Codes to phones: by which fields they are asked for, and what is told of countries, guards and steps.

use otp_core::message::Channel;
use serde_json::{Value, json};

use crate::call::{Reply, get, post, put};
use crate::harness::{Customer, World};

const ANN: &str = "+4915112345678";

/// A customer that sends to Germany.
async fn customer(world: &World) -> Customer {
    let customer = world.customer().await;
    let channels =
        json!({"sms": {"countries": ["de"]}, "whatsapp": {"countries": ["DE", "AT"]}, "host": "login.acme.com"});
    let call = put("/admin/config", json!({"config": {"channels": channels}})).bearer(&customer.key);
    let shown = &world.send(call).await.ok()["config"]["channels"];
    assert_eq!((&shown["sms"]["countries"], &shown["whatsapp"]["countries"]), (&json!(["DE"]), &json!(["AT", "DE"])));
    customer
}

async fn request(world: &World, key: &str, body: Value) -> Reply {
    world.send(post("/auth/request-otp", body).bearer(key)).await
}

fn sent(world: &World) -> Vec<(Channel, String)> {
    world.inbox.all().into_iter().map(|message| (message.channel, message.to)).collect()
}

#[tokio::test]
async fn a_phone_number_signs_in_and_is_shown_as_one() {
    let world = World::new();
    let customer = customer(&world).await;
    let asked = request(&world, &customer.key, json!({"phone": "+49 (1511) 234-5678"})).await.ok();
    assert_eq!(asked["channel"], "sms");
    world.service.deliver_pending(10).await.unwrap();
    let code = world.inbox.code_to(ANN);
    assert!(world.inbox.to(ANN).text.ends_with(&format!("\n@login.acme.com #{code}")));
    let answer = world.verify(&customer.key, json!({"phone": ANN, "otp": code})).await.ok();
    assert_eq!((&answer["phone"], &answer["email"]), (&json!(ANN), &Value::Null));
    let me = world.me(answer["token"].as_str().unwrap()).await.ok();
    assert_eq!((&me["phone"], &me["email"]), (&json!(ANN), &Value::Null));
    let found = world.send(get("/admin/users?phone=%2B4915112345678").bearer(&customer.key)).await.ok();
    assert_eq!(found["users"][0]["phone"], ANN);
    let export = format!("/admin/users/{}/export", answer["userId"].as_str().unwrap());
    assert_eq!(world.send(get(export).bearer(&customer.key)).await.ok()["data"]["phone"], ANN);

    world.advance(60);
    let asked = request(&world, &customer.key, json!({"phone": ANN, "channel": "whatsapp"})).await.ok();
    assert_eq!(asked["channel"], "whatsapp");
}

#[tokio::test]
async fn a_country_that_is_not_listed_is_not_sent_to() {
    let world = World::new();
    let unset = world.customer().await;
    request(&world, &unset.key, json!({"phone": ANN})).await.problem(403, "country_not_enabled");
    let customer = customer(&world).await;
    let problem =
        request(&world, &customer.key, json!({"phone": "+436641234567"})).await.problem(403, "country_not_enabled");
    assert!(problem["detail"].as_str().unwrap().contains("AT"), "{problem}");
    request(&world, &customer.key, json!({"phone": "+436641234567", "channel": "whatsapp"})).await.ok();
    let test = world.test_key(&customer).await;
    request(&world, &test, json!({"phone": "+436641234567"})).await.problem(403, "country_not_enabled");
    assert!(request(&world, &test, json!({"phone": ANN})).await.ok()["testCode"].is_string());
}

#[tokio::test]
async fn a_guard_says_which_it_is_and_how_long_it_lasts() {
    let world = World::new();
    let customer = customer(&world).await;
    let ask =
        async |number: usize| request(&world, &customer.key, json!({"phone": format!("+4915112345{number:03}")})).await;
    for number in 0..10 {
        ask(number).await.ok();
    }
    let reply = ask(10).await;
    let problem = reply.problem(429, "channel_guard");
    assert_eq!(problem["reason"], "prefix_velocity");
    assert_eq!(reply.header("retry-after").unwrap(), problem["retryAfter"].to_string());
    let cap = json!({"config": {"channels": {"dailySpendCap": 0}}});
    world.send(put("/admin/config", cap).bearer(&customer.key)).await.ok();
    let refused =
        request(&world, &customer.key, json!({"phone": "+4917112345678"})).await.problem(429, "channel_guard");
    assert_eq!(refused["reason"], "daily_spend");
}

#[tokio::test]
async fn steps_are_taken_until_the_code_is_said() {
    let world = World::new();
    let customer = customer(&world).await;
    let steps = json!([{"channel": "sms", "to": ANN, "after": 20}, {"channel": "whatsapp", "after": 40},
        {"channel": "email", "to": "ann@example.org"}]);
    let asked = request(&world, &customer.key, json!({"channels": steps})).await.ok();
    assert_eq!(asked["channel"], "sms");
    for seconds in [0, 20, 40, 600] {
        world.advance(seconds);
        world.service.deliver_pending(10).await.unwrap();
    }
    let ways = [(Channel::Sms, ANN), (Channel::Whatsapp, ANN), (Channel::Email, "ann@example.org")];
    assert_eq!(sent(&world), ways.map(|(channel, to)| (channel, to.to_owned())));

    let again = json!({"phone": ANN, "channels": [{"channel": "sms"}, {"channel": "whatsapp"}]});
    let asked = request(&world, &world.publishable_key(&customer).await, again).await.ok();
    world.service.deliver_pending(10).await.unwrap();
    let said = json!({"challengeId": asked["challengeId"], "otp": world.inbox.code_to(ANN)});
    world.verify(&customer.key, said).await.ok();
    world.advance(60);
    world.service.deliver_pending(10).await.unwrap();
    assert_eq!(world.inbox.count(), 4, "the code was said");
}

#[tokio::test]
async fn only_a_secret_key_sends_a_code_elsewhere() {
    let world = World::new();
    let customer = customer(&world).await;
    let elsewhere =
        json!({"phone": ANN, "channels": [{"channel": "sms"}, {"channel": "email", "to": "eve@example.org"}]});
    let publishable = world.publishable_key(&customer).await;
    request(&world, &publishable, elsewhere.clone()).await.problem(403, "secret_key_required");
    request(&world, &customer.key, elsewhere).await.ok();
}

#[tokio::test]
async fn mistakes_name_their_field() {
    let world = World::new();
    let customer = customer(&world).await;
    let sms = |after: Value| json!({"channel": "sms", "after": after});
    let whatsapp = json!({"channel": "whatsapp"});
    for (body, code, field) in [
        (json!({"phone": "+49301234567"}), "invalid_phone", "phone"),
        (json!({"phone": "+491801234567", "channel": "whatsapp"}), "invalid_phone", "phone"),
        (json!({"phone": "+12125"}), "invalid_phone", "phone"),
        (json!({"phone": "+10005550123"}), "invalid_phone", "phone"),
        (json!({"phone": ANN, "channel": "fax"}), "invalid_channel", "channel"),
        (json!({"phone": ANN, "channel": "email"}), "invalid_channel", "channel"),
        (json!({"email": "ann@example.org", "channel": "sms"}), "invalid_channel", "channel"),
        (json!({"phone": ANN, "channel": "sms", "channels": [whatsapp]}), "invalid_request", "channel"),
        (json!({"phone": ANN, "channels": []}), "invalid_request", "channels"),
        (json!({"phone": ANN, "channels": vec![&whatsapp; 5]}), "invalid_request", "channels"),
        (json!({"phone": ANN, "channels": [{"channel": "sms", "to": ANN}]}), "invalid_request", "channels[0].to"),
        (json!({"channels": [whatsapp]}), "missing_field", "email"),
        (json!({"phone": ANN, "channels": [{"channel": "pigeon"}]}), "invalid_channel", "channels[0].channel"),
        (json!({"phone": ANN, "channels": [whatsapp, whatsapp]}), "invalid_channel", "channels[1].channel"),
        (json!({"phone": ANN, "channels": [whatsapp, {"channel": "email"}]}), "invalid_channel", "channels[1].channel"),
        (json!({"phone": ANN, "channels": [sms(json!(4)), whatsapp]}), "invalid_after", "channels[0].after"),
        (json!({"phone": ANN, "channels": [sms(json!(301)), whatsapp]}), "invalid_after", "channels[0].after"),
        (json!({"channels": [{"channel": "email", "to": "nobody"}]}), "invalid_email", "channels[0].to"),
        (json!({"channels": [{"channel": "sms", "to": "12"}]}), "invalid_phone", "channels[0].to"),
    ] {
        let reply = request(&world, &customer.key, body.clone()).await;
        let problem = reply.problem(400, code);
        assert_eq!(problem["errors"], json!([{"field": field, "message": problem["detail"]}]), "{body}");
    }
    assert_eq!(world.inbox.count(), 0);
}
