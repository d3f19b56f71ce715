//! `/admin/users`.

use serde_json::{Value, json};

use crate::call::{delete, get, post};
use crate::harness::World;

#[tokio::test]
async fn users_are_listed_in_pages_and_found_by_their_whole_address() {
    let world = World::new();
    let customer = world.customer().await;
    let ask = |query: &str| world.send(get(format!("/admin/users{query}")).bearer(&customer.key));
    assert_eq!(ask("").await.ok(), json!({"success": true, "users": [], "nextCursor": null}));
    let mut expected = Vec::new();
    for number in 0..5 {
        world.advance(1);
        let user = world.sign_in(&customer.key, &format!("User{number}@example.org")).await;
        expected.insert(0, user.user);
    }
    let (mut found, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = ask(&query).await.ok();
        let users = page["users"].as_array().unwrap();
        assert!(users.len() <= 2);
        found.extend(users.iter().map(|user| user["userId"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(found, expected);

    let ids = |page: Value| -> Vec<String> {
        page["users"].as_array().unwrap().iter().map(|user| user["userId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(ask("?email=USER3%40EXAMPLE.org").await.ok()), [expected[1].clone()]);
    assert_eq!(ids(ask("?email=user%40example.org").await.ok()), Vec::<String>::new());
    assert_eq!(ids(ask("?phone=%2B4915112345678").await.ok()), Vec::<String>::new());
    let stranger = world.customer().await;
    world.sign_in(&stranger.key, "ann@example.org").await;
    world.sign_in(&stranger.key, "ben@example.org").await;
    let foreign = world.send(get("/admin/users?limit=1").bearer(&stranger.key)).await.ok();
    let foreign = format!("?cursor={}", foreign["nextCursor"].as_str().unwrap());
    for (query, code) in [
        ("?limit=0", "invalid_field"),
        ("?limit=201", "invalid_field"),
        ("?limit=many", "invalid_field"),
        ("?cursor=nonsense", "invalid_cursor"),
        ("?cursor=user_1111111111111111111111", "invalid_cursor"),
        (&foreign, "invalid_cursor"),
        ("?email=ann", "invalid_email"),
        ("?email=%25%40example.org%00", "invalid_email"),
        ("?phone=12", "invalid_phone"),
        ("?email=ann%40example.org&phone=%2B4915112345678", "invalid_request"),
    ] {
        ask(query).await.problem(400, code);
    }
}

#[tokio::test]
async fn a_user_is_shown_with_what_they_accepted() {
    let world = World::new();
    let customer = world.customer().await;
    let asked = world.ask(&customer.key, "Ann@example.org").await;
    let said = |consent: Value| {
        let mut body = asked.body();
        body["consent"] = consent;
        body
    };
    world.verify(&customer.key, said(json!(""))).await.problem(400, "invalid_consent");
    let signed_in = world.verify(&customer.key, said(json!("2026-01"))).await.ok();
    let path = format!("/admin/users/{}", signed_in["userId"].as_str().unwrap());
    let user = world.send(get(path).bearer(&customer.key)).await.ok()["user"].clone();
    assert_eq!(
        user,
        json!({
            "userId": signed_in["userId"],
            "email": "Ann@example.org",
            "phone": null,
            "channel": "email",
            "createdAt": user["lastLogin"],
            "lastLogin": user["createdAt"],
            "consent": {"version": "2026-01", "acceptedAt": user["createdAt"]},
        })
    );
}

#[tokio::test]
async fn the_sessions_of_a_user_are_shown_and_ended() {
    let world = World::new();
    let customer = world.customer().await;
    let [phone, laptop] = [(); 2].map(|()| world.sign_in(&customer.key, "ann@example.org"));
    let (phone, laptop) = (phone.await, laptop.await);
    let path = format!("/admin/users/{}/sessions", phone.user);
    let open = async || {
        let list = world.send(get(&path).bearer(&customer.key)).await.ok();
        list["sessions"].as_array().unwrap().iter().map(|one| one["sessionId"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(open().await.len(), 2);
    let end = |session: &str| world.send(delete(format!("{path}/{session}")).bearer(&customer.key));
    end(&phone.session).await.ok();
    end(&phone.session).await.problem(404, "not_found");
    world.me(&phone.token).await.problem(401, "invalid_token");
    assert_eq!(open().await, [json!(laptop.session)]);
    let ended = world.send(delete(&path).bearer(&customer.key)).await.ok();
    assert_eq!(ended["message"], "1 sessions ended");
    world.me(&laptop.token).await.problem(401, "invalid_token");
    assert!(open().await.is_empty());
}

#[tokio::test]
async fn what_is_held_about_a_user_is_exported_and_then_erased() {
    let world = World::new();
    let customer = world.customer().await;
    let client = json!({"ip": "203.0.113.7", "userAgent": "Browser/1"});
    let body = json!({"email": "ann@example.org", "metadata": {"order": 4711}, "client": client});
    let asked = world.send(post("/auth/request-otp", body).bearer(&customer.key).once("ask")).await.ok();
    world.service.deliver_pending(10).await.unwrap();
    let code = world.inbox.code_to("ann@example.org");
    let said = json!({"challengeId": asked["challengeId"], "otp": code, "client": client});
    let signed_in = world.verify(&customer.key, said).await.ok();
    let path = format!("/admin/users/{}", signed_in["userId"].as_str().unwrap());
    let reply = world.send(get(format!("{path}/export")).bearer(&customer.key)).await;
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let export = reply.ok();
    assert!(export["exportedAt"].is_string());
    let data = &export["data"];
    assert_eq!((&data["userId"], &data["email"]), (&signed_in["userId"], &json!("ann@example.org")));
    for (list, count) in [("sessions", 1), ("codes", 1), ("messages", 1), ("events", 4), ("keptReplies", 1)] {
        assert_eq!(data[list].as_array().unwrap().len(), count, "{list}");
    }
    assert_eq!(data["messages"][0]["to"], "ann@example.org");
    assert_eq!((&data["sessions"][0]["ip"], &data["sessions"][0]["userAgent"]), (&client["ip"], &client["userAgent"]));
    let requested = data["events"].as_array().unwrap().iter().find(|event| event["event"] == "otp.requested").unwrap();
    assert_eq!(requested["data"]["metadata"]["order"], 4711);

    world.send(delete(&path).bearer(&customer.key)).await.ok();
    world.send(delete(&path).bearer(&customer.key)).await.problem(404, "not_found");
    world.send(get(format!("{path}/export")).bearer(&customer.key)).await.problem(404, "not_found");
    world.me(signed_in["token"].as_str().unwrap()).await.problem(401, "invalid_token");
    let refresh = json!({"refreshToken": signed_in["refreshToken"]});
    world.send(post("/auth/refresh", refresh)).await.problem(401, "invalid_refresh_token");
}
