//! `/api/app`: a member's applications and their teams, and what another's member gets of them.

use otp_core::member::{Permission, Role};
use otp_core::{InvitationId, MemberId, MemberSessionId, TenantId};
use serde_json::{Value, json};

use crate::call::{Call, Reply, delete, get, post, put};
use crate::crew::Crew;
use crate::harness::{ADMIN, World};

const ANN: &str = "ann@acme.example";
const BEN: &str = "ben@acme.example";

/// All routes under an app, with a body that would do, and what each takes.
fn routes_of(app: &str, member: &str, invitation: &str) -> Vec<(Permission, Call)> {
    let path = |rest: &str| format!("/api/app/{app}{rest}");
    vec![
        (Permission::See, get(path(""))),
        (Permission::Rename, put(path(""), json!({"name": "Mine"}))),
        (Permission::ResetKey, put(path("/api-key"), json!({}))),
        (Permission::SeeUsers, get(path("/users"))),
        (Permission::SeeTeam, get(path("/members"))),
        (Permission::ManageTeam, post(path("/invitations"), json!({"email": "cy@example.org", "role": "viewer"}))),
        (Permission::ManageTeam, delete(path(&format!("/invitations/{invitation}")))),
        (Permission::ManageTeam, put(path(&format!("/members/{member}")), json!({"role": "developer"}))),
        (Permission::ManageTeam, delete(path(&format!("/members/{member}")))),
        (Permission::Delete, delete(path(""))),
    ]
}

/// Status, headers and body.
#[derive(Debug, PartialEq)]
struct Whole {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

fn whole(reply: &Reply) -> Whole {
    let headers = reply.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    Whole { status: reply.status.as_u16(), headers: headers.collect(), body: reply.body.to_vec() }
}

#[tokio::test]
async fn an_app_from_its_first_key_to_its_end() {
    let world = World::new();
    world.loner(ANN).await;
    let ann = world.let_in(ANN).await;
    let send = |call: Call| world.send(call.bearer(ann["token"].as_str().unwrap()));
    assert_eq!(send(get("/api/app")).await.ok()["apps"], json!([]));
    let refused = send(post("/api/app", json!({"name": "Acme", "allowedOrigins": ["ftp://x"]}))).await;
    assert_eq!(refused.status, 400, "{refused}");
    let made = send(post("/api/app", json!({"name": "Acme", "allowedOrigins": ["https://acme.example"]}))).await.ok();
    let (id, key) = (made["appId"].as_str().unwrap(), made["apiKey"].as_str().unwrap());
    let own = world.send(get("/admin/customers/me").bearer(key)).await.ok();
    assert_eq!((&own["customer"]["customerId"], &own["customer"]["email"]), (&made["appId"], &json!(ANN)));

    let path = format!("/api/app/{id}");
    let renamed = send(put(&path, json!({"name": "Acme Rockets"}))).await.ok();
    assert_eq!((&renamed["app"]["name"], &renamed["app"]["role"]), (&json!("Acme Rockets"), &json!("owner")));
    assert_eq!(send(get("/api/app")).await.ok()["apps"], json!([renamed["app"]]));

    let user = world.sign_in(key, "end.user@example.org").await;
    let users = send(get(format!("{path}/users"))).await.ok();
    assert_eq!(users["users"][0]["userId"], user.user);

    let reset = send(put(format!("{path}/api-key"), json!({}))).await.ok();
    assert_eq!(reset["revoked"], 1);
    world.send(get("/admin/customers/me").bearer(key)).await.problem(401, "invalid_api_key");
    let key = reset["apiKey"].as_str().unwrap();
    let trail = world.send(get("/admin/audit-logs").bearer(key)).await.ok();
    let actions: Vec<&str> =
        trail["events"].as_array().unwrap().iter().map(|log| log["eventType"].as_str().unwrap()).collect();
    for action in ["customer.created", "customer.changed", "api_key.revoked", "api_key.created"] {
        assert!(actions.contains(&action), "{actions:?}");
    }

    let gone = send(delete(&path)).await.ok();
    assert_eq!(gone["app"]["status"], "cancelled");
    let end = gone["app"]["erasedAt"].as_str().unwrap().to_owned();
    world.send(get("/admin/customers/me").bearer(key)).await.problem(403, "customer_cancelled");
    send(put(&path, json!({"name": "Again"}))).await.problem(403, "customer_cancelled");
    world.advance(86_400);
    let ann = world.let_in(ANN).await;
    let send = |call: Call| world.send(call.bearer(ann["token"].as_str().unwrap()));
    assert_eq!(send(delete(&path)).await.ok()["app"]["erasedAt"], json!(end), "asking again puts nothing off");
    assert_eq!(world.service.erase_tenants().await.unwrap(), 0);
    world.advance(29 * 86_400);
    assert_eq!(world.service.erase_tenants().await.unwrap(), 1);
    let ann = world.let_in(ANN).await;
    let send = |call: Call| world.send(call.bearer(ann["token"].as_str().unwrap()));
    assert_eq!(send(get("/api/app")).await.ok()["apps"], json!([]));
    send(get(&path)).await.problem(404, "not_found");
    world.send(get(format!("/admin/customers/{id}")).bearer(ADMIN)).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_team_from_the_invitation_to_the_end() {
    let world = World::new();
    let customer = world.customer().await;
    let ann = world.crew(&customer, ANN, Role::Owner).await;
    let invite = |email: &str, role: &str| {
        world.send(
            post(format!("/api/app/{}/invitations", ann.app), json!({"email": email, "role": role})).bearer(&ann.token),
        )
    };
    invite(BEN, "king").await.problem(400, "unknown_role");
    invite("ben", "viewer").await.problem(400, "invalid_email");
    invite(ANN, "viewer").await.problem(409, "conflict");
    let (first, spent) = world.invited(&ann, BEN, "viewer").await;
    let (second, code) = world.invited(&ann, BEN, "admin").await;
    assert_ne!(first, second);
    let team = world.send(get(format!("/api/app/{}/members", ann.app)).bearer(&ann.token)).await.ok();
    assert_eq!(team["invitations"].as_array().unwrap().len(), 1, "the newer one took the place: {team}");
    assert_eq!((&team["members"][0]["email"], &team["invitations"][0]["email"]), (&json!(ANN), &json!(BEN)));

    for email in [BEN, "eve@example.org"] {
        world.loner(email).await;
    }
    let (ben, eve) = (world.let_in(BEN).await, world.let_in("eve@example.org").await);
    let accept = |who: &Value, code: &str| {
        world.send(post("/api/auth/invitations", json!({"code": code})).bearer(who["token"].as_str().unwrap()))
    };
    // Somebody else's, a replaced one and none at all.
    for (who, code) in [(&eve, code.as_str()), (&ben, spent.as_str()), (&ben, "x")] {
        accept(who, code).await.problem(404, "not_found");
    }
    // As the mail shows it.
    let grouped = format!(" {} {} ", &code[..20], &code[20..]);
    assert_eq!(accept(&ben, &grouped).await.ok()["app"]["role"], "admin");
    accept(&ben, &code).await.problem(404, "not_found");

    let ben_id = ben["member"]["memberId"].as_str().unwrap();
    let by = |token: &str, call: Call| world.send(call.bearer(token));
    let ben_token = ben["token"].as_str().unwrap();
    let member = |id: &str| format!("/api/app/{}/members/{id}", ann.app);
    // An admin has no say about owners.
    by(ben_token, put(member(&ann.id), json!({"role": "viewer"}))).await.problem(403, "role_required");
    by(ben_token, delete(member(&ann.id))).await.problem(403, "role_required");
    by(ben_token, put(member(ben_id), json!({"role": "owner"}))).await.problem(403, "role_required");
    let owner = json!({"email": "cy@example.org", "role": "owner"});
    by(ben_token, post(format!("/api/app/{}/invitations", ann.app), owner)).await.problem(403, "role_required");
    // The last owner stays.
    by(&ann.token, put(member(&ann.id), json!({"role": "admin"}))).await.problem(409, "conflict");
    by(&ann.token, delete(member(&ann.id))).await.problem(409, "conflict");
    by(&ann.token, put(member(ben_id), json!({"role": "owner"}))).await.ok();
    by(ben_token, delete(member(&ann.id))).await.ok();
    // At once, and with the session that was open.
    by(&ann.token, get(format!("/api/app/{}", ann.app))).await.problem(404, "not_found");
    assert_eq!(by(&ann.token, get("/api/app")).await.ok()["apps"], json!([]));
    by(ben_token, delete(member(ben_id))).await.problem(409, "conflict");
    let trail = world.send(get("/admin/audit-logs").bearer(&customer.key)).await.ok();
    let actions: Vec<&Value> = trail["events"].as_array().unwrap().iter().map(|log| &log["eventType"]).collect();
    for action in ["member.invited", "member.joined", "member.role_changed", "member.removed"] {
        assert!(actions.contains(&&json!(action)), "{actions:?}");
    }

    world.advance(7 * 86_400);
    let ben = world.let_in(BEN).await;
    let by_ben = Crew { token: ben["token"].as_str().unwrap().to_owned(), ..ann.clone() };
    let (_, late) = world.invited(&by_ben, "eve@example.org", "viewer").await;
    world.advance(7 * 86_400);
    let eve = world.let_in("eve@example.org").await;
    accept(&eve, &late).await.problem(404, "not_found");
}

#[tokio::test]
async fn another_members_apps_answer_like_unknown_ones() {
    let world = World::new();
    let (mine, other) = (world.customer().await, world.customer().await);
    let ann = world.crew(&mine, ANN, Role::Owner).await;
    let ben = world.crew(&other, BEN, Role::Owner).await;
    let (invitation, _) = world.invited(&ben, "cy@example.org", "viewer").await;
    let nobody = TenantId::from_bytes([9; 16]).to_string();
    let (no_member, no_invitation) =
        (MemberId::from_bytes([9; 16]).to_string(), InvitationId::from_bytes([9; 16]).to_string());
    let by_ann = |call: Call| world.send(call.bearer(&ann.token).header("x-request-id", "same"));
    let unknown = || routes_of(&nobody, &no_member, &no_invitation);
    for other_app in [other.id.as_str(), "cust_%ff", "cust_"] {
        let foreign = routes_of(other_app, &ben.id, &invitation);
        for ((_, foreign), (_, unknown)) in foreign.into_iter().zip(unknown()) {
            let foreign = by_ann(foreign).await;
            foreign.problem(404, "not_found");
            assert_eq!(whole(&foreign), whole(&by_ann(unknown).await), "{foreign}");
        }
    }
    // Another's member and invitation under one's own app.
    let own = |member: &str, invitation: &str| routes_of(&mine.id, member, invitation).into_iter().skip(6).take(3);
    for ((_, foreign), (_, unknown)) in own(&ben.id, &invitation).zip(own(&no_member, &no_invitation)) {
        let foreign = by_ann(foreign).await;
        foreign.problem(404, "not_found");
        assert_eq!(whole(&foreign), whole(&by_ann(unknown).await), "{foreign}");
    }
    let end = |session: String| by_ann(delete(format!("/api/auth/sessions/{session}")));
    let none = end(MemberSessionId::from_bytes([9; 16]).to_string()).await;
    none.problem(404, "not_found");
    for session in [ben.session.clone(), "%ff".to_owned()] {
        assert_eq!(whole(&end(session).await), whole(&none));
    }
    // Nothing happened to the other.
    let by_ben = |call: Call| world.send(call.bearer(&ben.token));
    assert_eq!(by_ben(get(format!("/api/app/{}", other.id))).await.ok()["app"]["name"], "Acme");
    let team = by_ben(get(format!("/api/app/{}/members", other.id))).await.ok();
    let count = |list: &str| team[list].as_array().unwrap().len();
    assert_eq!((count("members"), count("invitations")), (1, 1));
    world.send(get("/admin/customers/me").bearer(&other.key)).await.ok();
    let ids: Vec<Value> =
        by_ann(get("/api/app")).await.ok()["apps"].as_array().unwrap().iter().map(|app| app["appId"].clone()).collect();
    assert_eq!(ids, [json!(mine.id)]);
}

/// The table of who may do what, row by row as it was agreed.
const ROLES: &str = "
            See Rename Delete ResetKey SeeUsers SeeTeam ManageTeam
owner       yes yes    yes    yes      yes      yes     yes
admin       yes yes    no     yes      yes      yes     yes
developer   yes no     no     yes      yes      yes     no
billing     yes no     no     no       no       yes     no
viewer      yes no     no     no       yes      yes     no
";

#[tokio::test]
async fn each_role_may_what_the_table_says() {
    let names: Vec<&str> = ROLES.trim().lines().next().unwrap().split_whitespace().collect();
    for line in ROLES.trim().lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let role: Role = words[0].parse().unwrap();
        for number in 0..routes_of("", "", "").len() {
            let world = World::new();
            let customer = world.customer().await;
            let owner = world.crew(&customer, "owner@acme.example", Role::Owner).await;
            let ann = world.crew(&customer, ANN, role).await;
            let ben = world.seat(&customer.id, BEN, Role::Viewer).await.to_string();
            let (invitation, _) = world.invited(&owner, "dee@example.org", "viewer").await;
            let (permission, call) = routes_of(&customer.id, &ben, &invitation).swap_remove(number);
            let column = names.iter().position(|name| *name == format!("{permission:?}")).unwrap();
            let reply = world.send(call.bearer(&ann.token)).await;
            match words[column + 1] {
                "yes" => drop(reply.ok()),
                _ => drop(reply.problem(403, "role_required")),
            }
        }
    }
    assert_eq!(names.len(), Permission::ALL.len());
    assert_eq!(ROLES.trim().lines().count() - 1, Role::ALL.len());
}

#[tokio::test]
async fn whoever_is_not_an_owner_may_leave() {
    let world = World::new();
    let customer = world.customer().await;
    world.crew(&customer, ANN, Role::Owner).await;
    for role in [Role::Admin, Role::Developer, Role::Billing, Role::Viewer] {
        let email = format!("{}@acme.example", role.as_str());
        let member = world.crew(&customer, &email, role).await;
        let leave = delete(format!("/api/app/{}/members/{}", customer.id, member.id)).bearer(&member.token);
        world.send(leave).await.ok();
        let app = get(format!("/api/app/{}", customer.id)).bearer(&member.token);
        world.send(app).await.problem(404, "not_found");
    }
}
