//! Names of others read like names of nothing, byte for byte.

use otp_core::{ChallengeId, KeyId, SessionId, TenantId};
use serde_json::{Value, json};

use crate::call::{Call, Reply, delete, get, post, put};
use crate::harness::World;

/// All routes under a customer, with a body that would do.
fn routes_of(customer: &str, key: &str) -> Vec<Call> {
    let path = |rest: &str| format!("/admin/customers/{customer}{rest}");
    let key_path = |rest: &str| format!("/admin/customers/{customer}/api-keys/{key}{rest}");
    vec![
        get(path("")),
        put(path(""), json!({"name": "Mine"})),
        put(path("/status"), json!({"status": "suspended"})),
        put(path("/status"), json!({"status": "cancelled"})),
        post(path("/suspend"), json!({})),
        post(path("/activate"), json!({})),
        get(path("/api-keys")),
        post(path("/api-keys"), json!({"name": "Mine"})),
        put(key_path(""), json!({"name": "Mine"})),
        post(key_path("/rotate"), json!({"graceSeconds": 0})),
        delete(key_path("")),
    ]
}

/// Status, headers and body.
type Whole = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);

/// What of an answer could tell anything.
fn whole(reply: &Reply) -> Whole {
    let headers = reply.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    (reply.status.as_u16(), headers.collect(), reply.body.to_vec())
}

#[tokio::test]
async fn another_customers_ids_answer_like_unknown_ones() {
    let world = World::new();
    let (mine, other) = (world.customer().await, world.customer().await);
    let (_, others_key) = world.key(&other, json!({})).await;
    let nobody = TenantId::from_bytes([9; 16]).to_string();
    let no_key = KeyId::from_bytes([9; 16]).to_string();
    let by_me = |call: Call| world.send(call.bearer(&mine.key).header("x-request-id", "same"));

    let foreign = routes_of(&other.id, &others_key);
    let unknown = routes_of(&nobody, &no_key);
    let nonsense = routes_of("cust_%ff", "key_%ff");
    for ((foreign, unknown), nonsense) in foreign.into_iter().zip(unknown).zip(nonsense) {
        let foreign = by_me(foreign).await;
        foreign.problem(404, "not_found");
        assert_eq!(whole(&foreign), whole(&by_me(unknown).await), "{foreign}");
        assert_eq!(whole(&foreign), whole(&by_me(nonsense).await), "{foreign}");
    }

    // The other's key under one's own id.
    let mixed = routes_of(&mine.id, &others_key).into_iter().skip(8);
    for (mixed, unknown) in mixed.zip(routes_of(&mine.id, &no_key).into_iter().skip(8)) {
        let mixed = by_me(mixed).await;
        mixed.problem(404, "not_found");
        assert_eq!(whole(&mixed), whole(&by_me(unknown).await), "{mixed}");
    }
    world.send(get("/admin/customers/me").bearer(&other.key)).await.ok();
}

#[tokio::test]
async fn another_customers_challenges_and_sessions_answer_like_unknown_ones() {
    let world = World::new();
    let (mine, other) = (world.customer().await, world.customer().await);
    let my_test_key = world.test_key(&mine).await;
    let theirs = world.ask(&other.key, "ann@example.org").await;
    let of_test_mode = world.ask(&my_test_key, "ann@example.org").await;
    let verify = |challenge: String, otp: String| {
        let body = json!({"challengeId": challenge, "otp": otp});
        world.send(post("/auth/verify-otp", body).bearer(&mine.key).header("x-request-id", "same"))
    };
    let unknown = verify(ChallengeId::from_bytes([9; 16]).to_string(), theirs.code.clone()).await;
    unknown.problem(404, "otp_not_found");
    for asked in [&theirs, &of_test_mode] {
        let foreign = verify(asked.challenge.clone(), asked.code.clone()).await;
        assert_eq!(whole(&foreign), whole(&unknown));
    }
    world.verify(&other.key, theirs.body()).await.ok();

    let (ann, ben) =
        (world.sign_in(&mine.key, "ann@example.org").await, world.sign_in(&mine.key, "ben@example.org").await);
    let end = |session: String| {
        world.send(delete(format!("/auth/sessions/{session}")).bearer(&ann.token).header("x-request-id", "same"))
    };
    let unknown = end(SessionId::from_bytes([9; 16]).to_string()).await;
    unknown.problem(404, "not_found");
    for session in [ben.session.clone(), "%ff".to_owned(), "sess_".to_owned()] {
        assert_eq!(whole(&end(session).await), whole(&unknown));
    }
    world.me(&ben.token).await.ok();
}

/// All routes under a user.
fn routes_of_user(user: &str, session: &str) -> Vec<Call> {
    let path = |rest: &str| format!("/admin/users/{user}{rest}");
    vec![
        get(path("")),
        get(path("/export")),
        get(path("/sessions")),
        delete(path(&format!("/sessions/{session}"))),
        delete(path("/sessions")),
        delete(path("")),
    ]
}

#[tokio::test]
async fn another_customers_users_answer_like_unknown_ones() {
    let world = World::new();
    let (mine, other) = (world.customer().await, world.customer().await);
    let my_test_key = world.test_key(&mine).await;
    let theirs = world.sign_in(&other.key, "ann@example.org").await;
    let of_test_mode = world.sign_in(&my_test_key, "ann@example.org").await;
    let ann = world.sign_in(&mine.key, "ann@example.org").await;
    let by_me = |call: Call| world.send(call.bearer(&mine.key).header("x-request-id", "same"));
    let nobody = otp_core::UserId::from_bytes([9; 16]).to_string();
    for (user, session) in [
        (&theirs.user, &theirs.session),
        (&of_test_mode.user, &of_test_mode.session),
        (&"user_%ff".to_owned(), &"sess_%ff".to_owned()),
        (&theirs.user, &"sess_".to_owned()),
        (&theirs.user, &ann.session),
    ] {
        let unknown = routes_of_user(&nobody, &SessionId::from_bytes([9; 16]).to_string());
        for (foreign, unknown) in routes_of_user(user, session).into_iter().zip(unknown) {
            let foreign = by_me(foreign).await;
            foreign.problem(404, "not_found");
            assert_eq!(whole(&foreign), whole(&by_me(unknown).await), "{foreign}");
        }
    }
    // Another's session under one's own user.
    let end = |session: String| by_me(delete(format!("/admin/users/{}/sessions/{session}", ann.user)));
    let unknown = end(SessionId::from_bytes([9; 16]).to_string()).await;
    unknown.problem(404, "not_found");
    for session in [theirs.session.clone(), of_test_mode.session.clone(), "sess_".to_owned()] {
        assert_eq!(whole(&end(session).await), whole(&unknown));
    }
    for user in [&theirs, &of_test_mode, &ann] {
        world.me(&user.token).await.ok();
    }
}

#[tokio::test]
async fn lists_hold_ones_own_alone() {
    let world = World::new();
    let (mine, other) = (world.customer().await, world.customer().await);
    world.key(&other, json!({"name": "Theirs"})).await;
    let keys = world.send(get(mine.path("/api-keys")).bearer(&mine.key)).await.ok();
    let ids: Vec<&Value> = keys["keys"].as_array().unwrap().iter().map(|key| &key["keyId"]).collect();
    assert_eq!(ids, [mine.key_id.as_str()]);

    let ann = world.sign_in(&mine.key, "ann@example.org").await;
    let same_address_elsewhere = world.sign_in(&other.key, "ann@example.org").await;
    for user in [&ann, &same_address_elsewhere] {
        let sessions = world.send(get("/auth/sessions").bearer(&user.token)).await.ok();
        let ids: Vec<&Value> = sessions["sessions"].as_array().unwrap().iter().map(|one| &one["sessionId"]).collect();
        assert_eq!(ids, [user.session.as_str()]);
    }
    for (customer, user) in [(&mine, &ann), (&other, &same_address_elsewhere)] {
        for query in ["", "?email=ann%40example.org"] {
            let users = world.send(get(format!("/admin/users{query}")).bearer(&customer.key)).await.ok();
            let ids: Vec<&Value> = users["users"].as_array().unwrap().iter().map(|one| &one["userId"]).collect();
            assert_eq!(ids, [user.user.as_str()]);
        }
    }
}

#[tokio::test]
async fn whether_an_address_belongs_to_a_user_is_not_told() {
    let world = World::new();
    let customer = world.customer().await;
    let publishable = world.publishable_key(&customer).await;
    world.sign_in(&customer.key, "known@example.org").await;
    world.advance(3_700);
    let mut answers = Vec::new();
    for (email, create) in [("known@example.org", true), ("stranger@example.org", true), ("nobody@example.org", false)]
    {
        let body = json!({"email": email, "createUser": create});
        let call = post("/auth/request-otp", body).bearer(&publishable).header("x-request-id", "same");
        let mut reply = world.send(call).await;
        let challenge = reply.ok()["challengeId"].as_str().unwrap().to_owned();
        reply.body = reply.text().replace(&challenge, "…").into();
        let guess = json!({"email": email, "otp": "000000000"});
        let guess =
            world.send(post("/auth/verify-otp", guess).bearer(&publishable).header("x-request-id", "same")).await;
        answers.push((whole(&reply), whole(&guess)));
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
}
