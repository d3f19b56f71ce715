//! Who may call what: every kind of caller on every route.

use otp_core::api_key::{KeyType, new_key};
use otp_core::{Mode, SeededRandom};
use serde_json::json;

use crate::call::{Call, delete, get, post, put};
use crate::factors::Factor;
use crate::harness::{ADMIN, Asked, Customer, SignedIn, SignupMail, World, signup};

/// `ok` is a success; otherwise the code of the refusal by the list below.
const EXPECTED: &str = "
                                  none  publ  secr  test  other revok expir admin wrong user
POST /auth/request-otp            key?  ok    ok    ok    ok    key!  key!  key?  key?  key?
POST /auth/verify-otp             key?  ok    ok    otp0  otp0  key!  key!  key?  key?  key?
GET /auth/me                      tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  ok
POST /auth/refresh                ok    ok    ok    ref!  ref!  key!  key!  ok    ok    ok
POST /auth/logout                 tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  ok
GET /auth/sessions                tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  ok
DELETE /auth/sessions/SESSION     tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  ok
POST /auth/totp/register          tok?  tok?  tok?  tok?  tok?  key!  key!  tok?  tok?  ok
POST /auth/totp/enable            tok?  tok?  tok?  tok?  tok?  key!  key!  tok?  tok?  ok
POST /auth/totp/disable           tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  ok
GET /auth/totp/status             tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  ok
POST /auth/totp/verify            tok?  tok?  tok?  tok?  tok?  key!  key!  tok?  tok?  ok
POST /auth/totp/recovery-codes    tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  ok
GET /auth/totp/devices            tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  ok
DELETE /auth/totp/devices/DEVICE  tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  tok?  ok
POST /api/otp/register            key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
PUT /api/otp/enable               key?  sk    ok    404   404   key!  key!  key?  key?  key?
PUT /api/otp/disable              key?  sk    ok    404   404   key!  key!  key?  key?  key?
PUT /api/otp/recovery             key?  sk    ok    404   404   key!  key!  key?  key?  key?
GET /api/otp/status?userId=eve    key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
POST /api/otp/verify              key?  sk    ok    404   404   key!  key!  key?  key?  key?
POST /api/code/generate           key?  sk    scope scope scope key!  key!  key?  key?  key?
POST /api/code/verify             key?  sk    ok    404   404   key!  key!  key?  key?  key?
GET /.well-known/jwks.json        ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
GET /auth/ID/.well-known/jwks.json ok   ok    ok    ok    ok    ok    ok    ok    ok    ok
GET /auth/ID/test/.well-known/jwks.json ok ok ok ok   ok    ok    ok    ok    ok    ok
POST /api/auth/register           ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
POST /api/auth/register/verify    in!   in!   in!   in!   in!   in!   in!   in!   in!   in!
POST /api/auth/login              ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
POST /api/auth/recovery           ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
POST /api/auth/logout             ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
GET /api/auth/me                  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
GET /api/auth/sessions            ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
DELETE /api/auth/sessions/SESSION ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
POST /api/auth/invitations        ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
POST /api/auth/totp               mfa!  mfa!  mfa!  mfa!  mfa!  mfa!  mfa!  mfa!  mfa!  mfa!
POST /api/auth/totp/register      ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
POST /api/auth/totp/enable        ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
POST /api/auth/totp/disable       ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
POST /api/auth/totp/verify        ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
GET /api/auth/totp/status         ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
POST /api/auth/totp/recovery-codes ses? ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
POST /api/app                     ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
GET /api/app                      ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
GET /api/app/ID                   ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
PUT /api/app/ID                   ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
DELETE /api/app/ID                ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
PUT /api/app/ID/api-key           ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
GET /api/app/ID/users             ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
GET /api/app/ID/members           ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
POST /api/app/ID/invitations      ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
DELETE /api/app/ID/invitations/INVITED ses? ses? ses? ses? ses? ses? ses? ses? ses? ses?
PUT /api/app/ID/members/MEMBER    ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
DELETE /api/app/ID/members/MEMBER ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?  ses?
POST /admin/customers             key?  sk    adm   adm   adm   key!  key!  ok    key!  key?
GET /admin/customers              key?  sk    adm   adm   adm   key!  key!  ok    key!  key?
POST /signup                      ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
POST /signup/resend               ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
POST /signup/verify               ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
GET /signup/verify?email=a&token=b ok   ok    ok    ok    ok    ok    ok    ok    ok    ok
POST /signup/api-key              tok?  tok!  tok!  tok!  tok!  tok!  tok!  tok!  tok!  tok!
GET /admin/onboarding             key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
PUT /admin/onboarding             key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
POST /admin/onboarding/test-otp   key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
POST /admin/customers/me/upgrade  key?  sk    bill  bill  bill  key!  key!  key?  key?  key?
GET /admin/customers/me           key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
PUT /admin/customers/me           key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
GET /admin/customers/me/usage     key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
GET /admin/customers/me/plan      key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
GET /admin/analytics              key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
GET /admin/analytics/realtime     key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
GET /admin/analytics/errors       key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
GET /admin/customers/ID           key?  sk    ok    ok    404   key!  key!  ok    key!  key?
PUT /admin/customers/ID           key?  sk    adm   adm   404   key!  key!  ok    key!  key?
PUT /admin/customers/ID/status    key?  sk    adm   adm   404   key!  key!  ok    key!  key?
POST /admin/customers/ID/suspend  key?  sk    adm   adm   404   key!  key!  ok    key!  key?
POST /admin/customers/ID/activate key?  sk    adm   adm   404   key!  key!  ok    key!  key?
GET /admin/customers/ID/api-keys  key?  sk    ok    ok    404   key!  key!  ok    key!  key?
POST /admin/customers/ID/api-keys key?  sk    ok    ok    404   key!  key!  ok    key!  key?
PUT /admin/customers/ID/api-keys/KEY key? sk  ok    ok    404   key!  key!  ok    key!  key?
DELETE /admin/customers/ID/api-keys/KEY key? sk ok  ok    404   key!  key!  ok    key!  key?
POST /admin/customers/ID/api-keys/KEY/rotate key? sk ok ok 404  key!  key!  ok    key!  key?
GET /admin/audit-logs             key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
GET /admin/config                 key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
PUT /admin/config                 key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
PUT /admin/config/email           key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
PUT /admin/config/rate-limits     key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
PUT /admin/config/webhooks        key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
PUT /admin/config/tokens          key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
PUT /admin/config/origins         key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
PUT /admin/config/ip-allowlist    key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
PUT /admin/config/templates       key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
POST /admin/config/email/test     key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
POST /admin/templates/preview     key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
GET /admin/config/versions        key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
POST /admin/config/versions/1/restore key? sk ok    ok    ok    key!  key!  key?  key?  key?
GET /admin/users                  key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
GET /admin/users/USER             key?  sk    ok    404   404   key!  key!  key?  key?  key?
GET /admin/users/USER/export      key?  sk    ok    404   404   key!  key!  key?  key?  key?
DELETE /admin/users/USER          key?  sk    ok    404   404   key!  key!  key?  key?  key?
GET /admin/users/USER/sessions    key?  sk    ok    404   404   key!  key!  key?  key?  key?
DELETE /admin/users/USER/sessions key?  sk    ok    404   404   key!  key!  key?  key?  key?
DELETE /admin/users/USER/sessions/SESSION key? sk ok 404  404   key!  key!  key?  key?  key?
GET /admin/messages               key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
GET /admin/messages/MESSAGE       key?  sk    ok    404   404   key!  key!  key?  key?  key?
GET /admin/suppressions           key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
POST /admin/suppressions          key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
DELETE /admin/suppressions?recipient=eve@example.org key? sk ok 404 404 key! key! key? key? key?
POST /callbacks/gateway/ID        sig!  sig!  sig!  sig!  sig!  sig!  sig!  sig!  sig!  sig!
POST /admin/domains/verify        key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
GET /admin/domains                key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
POST /admin/domains/DOMAIN/verify key?  sk    ok    ok    404   key!  key!  key?  key?  key?
GET /admin/domains/DOMAIN/status  key?  sk    ok    ok    404   key!  key!  key?  key?  key?
DELETE /admin/domains/DOMAIN      key?  sk    ok    ok    404   key!  key!  key?  key?  key?
POST /admin/webhooks/endpoints    key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
GET /admin/webhooks/endpoints     key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
GET /admin/webhooks/endpoints/ENDPOINT key? sk ok   404   404   key!  key!  key?  key?  key?
PUT /admin/webhooks/endpoints/ENDPOINT key? sk ok   404   404   key!  key!  key?  key?  key?
DELETE /admin/webhooks/endpoints/ENDPOINT key? sk ok 404  404   key!  key!  key?  key?  key?
POST /admin/webhooks/endpoints/ENDPOINT/rotate-secret key? sk ok 404 404 key! key! key? key? key?
GET /admin/webhooks/deliveries    key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
GET /admin/webhooks/deliveries/DELIVERY key? sk ok  404   404   key!  key!  key?  key?  key?
POST /admin/webhooks/DELIVERY/retry key? sk   ok    404   404   key!  key!  key?  key?  key?
POST /admin/webhooks/recover      key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
POST /admin/webhooks/test         key?  sk    ok    404   404   key!  key!  key?  key?  key?
GET /docs/events                  ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
GET /admin/providers              key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
POST /admin/providers             key?  sk    ok    ok    ok    key!  key!  key?  key?  key?
PUT /admin/providers/SENDER       key?  sk    ok    ok    404   key!  key!  key?  key?  key?
DELETE /admin/providers/SENDER    key?  sk    ok    ok    404   key!  key!  key?  key?  key?
POST /admin/providers/SENDER/test key?  sk    ok    ok    404   key!  key!  key?  key?  key?
GET /health                       ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
GET /health/ready                 ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
GET /health/live                  ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
GET /openapi.json                 ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
GET /docs/                        ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
GET /metrics                      gone  gone  gone  gone  gone  gone  gone  gone  gone  gone
";

const WORDS: [(&str, &str); 19] = [
    ("ok", "200"),
    ("ok", "201"),
    ("ok", "202"),
    ("tok!", "401 invalid_token"),
    ("ses?", "401 missing_session"),
    ("in!", "401 sign_in_refused"),
    ("mfa!", "401 invalid_mfa_token"),
    ("bill", "402 billing_not_configured"),
    ("key?", "401 missing_api_key"),
    ("key!", "401 invalid_api_key"),
    ("tok?", "401 missing_token"),
    ("ref!", "401 invalid_refresh_token"),
    ("sig!", "403 invalid_signature"),
    ("sk", "403 secret_key_required"),
    ("scope", "403 scope_required"),
    ("adm", "403 administrator_required"),
    ("404", "404 not_found"),
    ("otp0", "404 otp_not_found"),
    ("gone", "404 route_not_found"),
];

/// A world where every kind of caller exists and every request could succeed.
struct Cast {
    world: World,
    customer: Customer,
    user: SignedIn,
    asked: Asked,
    spare_key: String,
    message: String,
    provider: String,
    signup: Option<SignupMail>,
    endpoint: String,
    delivery: String,
    factor: Factor,
    credentials: Vec<Option<String>>,
}

impl Cast {
    /// `route` tells what is needed beside what all need: a signup costs a hash.
    async fn assemble_for(route: &str) -> Self {
        let mut cast = Self::assemble().await;
        if route == "POST /signup/verify" {
            cast.signup = Some(cast.world.sign_up("dee@example.org").await);
        }
        if route.contains("/admin/webhooks") {
            cast.endpoint = cast.world.endpoint(&cast.customer).await;
            cast.delivery = cast.world.delivery(&cast.customer).await;
        }
        cast.factor = Factor::for_operation(&cast.world, &cast.customer, &cast.user, route).await;
        cast.credentials[9] = Some(cast.factor.token.clone());
        cast
    }

    async fn assemble() -> Self {
        let world = World::new();
        let (customer, other) = (world.customer().await, world.customer().await);
        let publishable = world.publishable_key(&customer).await;
        let test = world.test_key(&customer).await;
        let (revoked, revoked_id) = world.key(&customer, json!({})).await;
        world.send(delete(customer.path(&format!("/api-keys/{revoked_id}"))).bearer(ADMIN)).await.ok();
        let (expired, _) = world.key(&customer, json!({"expiresAt": "2026-01-31T08:16:00Z"})).await;
        world.advance(60);
        let (_, spare_key) = world.key(&customer, json!({})).await;
        let user = world.sign_in(&customer.key, "ann@example.org").await;
        let asked = world.ask(&customer.key, "ben@example.org").await;
        world.domain(&customer, "acme.com").await;
        let suppressed = post("/admin/suppressions", json!({"email": "eve@example.org"}));
        world.send(suppressed.bearer(&customer.key)).await.ok();
        let message = world.newest_message(&customer.key).await["messageId"].as_str().unwrap().to_owned();
        let provider = world.provider(&customer).await;
        let user_token = user.token.clone();
        let credentials = [
            None,
            Some(publishable),
            Some(customer.key.clone()),
            Some(test),
            Some(other.key),
            Some(revoked),
            Some(expired),
            Some(ADMIN.to_owned()),
            Some("otp_admin_that_is_wrong".to_owned()),
            Some(user_token),
        ];
        let (endpoint, delivery) = (String::new(), String::new());
        Self {
            world,
            customer,
            user,
            asked,
            spare_key,
            message,
            provider,
            signup: None,
            endpoint,
            delivery,
            factor: Factor::default(),
            credentials: credentials.into(),
        }
    }

    fn request(&self, route: &str) -> Call {
        let (method, path) = route.split_once(' ').unwrap();
        let path = path.replace("ID", &self.customer.id).replace("KEY", &self.spare_key);
        let path = path.replace("ENDPOINT", &self.endpoint).replace("DELIVERY", &self.delivery);
        let path = path.replace("MESSAGE", &self.message);
        let path =
            path.replace("SESSION", &self.user.session).replace("USER", &self.user.user).replace("DOMAIN", "acme.com");
        let path = path.replace("DEVICE", &self.factor.device);
        let path = path.replace("SENDER", &self.provider);
        let body = match route {
            "POST /auth/request-otp" => json!({"email": "cy@example.org"}),
            "POST /auth/verify-otp" => self.asked.body(),
            "POST /auth/refresh" => json!({"refreshToken": self.user.refresh}),
            "POST /signup" => signup("dee@example.org"),
            "POST /signup/resend" => json!({"email": "dee@example.org"}),
            "POST /signup/verify" => self.signup.as_ref().unwrap().by_token(),
            "POST /signup/api-key" => json!({"name": "New"}),
            "POST /api/auth/register" => json!({"email": "dee@example.org", "password": "eleven pears in a teapot"}),
            "POST /api/auth/register/verify" => json!({"email": "dee@example.org", "code": "123456789"}),
            "POST /api/auth/login" | "POST /api/auth/recovery" => json!({"email": "dee@example.org"}),
            "POST /api/auth/totp" => json!({"mfaToken": "otp_mfa_x", "otp": "123456"}),
            _ if route.contains("/api/auth/totp/") => json!({"otp": "123456"}),
            "PUT /admin/onboarding" => json!({"skip": []}),
            "POST /admin/onboarding/test-otp" => json!({"email": "cy@example.org"}),
            "POST /admin/customers/me/upgrade" => json!({"plan": "pro"}),
            "POST /admin/customers" => json!({"name": "Other", "email": "ops@other.example"}),
            "PUT /admin/config" => json!({"config": {}}),
            "POST /admin/customers/ID/api-keys" => json!({"name": "New"}),
            "POST /admin/suppressions" => json!({"email": "fay@example.org"}),
            "POST /admin/domains/verify" => json!({"domain": "mail.acme.com"}),
            "POST /admin/webhooks/endpoints" => json!({"url": "https://b.acme.example"}),
            "POST /admin/webhooks/recover" => json!({"since": "2026-01-31T08:15:30Z"}),
            "POST /admin/webhooks/test" => json!({"endpointId": self.endpoint}),
            "POST /admin/providers" => json!({"url": "resend:re_hush"}),
            "PUT /admin/customers/ID/status" => json!({"status": "suspended"}),
            _ => self.factor.body(&self.world, route).unwrap_or_else(|| json!({})),
        };
        match method {
            "GET" => get(path),
            "DELETE" => delete(path),
            "PUT" => put(path, body),
            _ => post(path, body),
        }
    }
}

/// The route and its words, one for each caller.
fn rows() -> impl Iterator<Item = (String, Vec<&'static str>)> {
    EXPECTED.trim().lines().skip(1).map(|line| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let route = format!("{} {}", words[0], words[1]);
        (route, words.split_off(2))
    })
}

#[tokio::test]
async fn each_caller_reaches_what_it_may_and_nothing_else() {
    let callers: Vec<&str> = EXPECTED.trim().lines().next().unwrap().split_whitespace().collect();
    let mut faults = Vec::new();
    for (route, expected) in rows() {
        assert_eq!(expected.len(), callers.len(), "{route}");
        let mut assembled = None;
        for (number, caller) in callers.iter().enumerate() {
            // Whoever is turned away has changed nothing.
            let cast = match assembled.take() {
                Some(cast) => cast,
                None => Cast::assemble_for(&route).await,
            };
            let call = cast.request(&route);
            let call = match &cast.credentials[number] {
                Some(credential) => call.bearer(credential),
                None => call,
            };
            let reply = cast.world.send(call).await;
            let outcome = reply.outcome();
            let word = WORDS.iter().find(|(_, of)| *of == outcome).map_or(outcome.as_str(), |(word, _)| word);
            if word != expected[number] {
                faults.push(format!("{route} by {caller}: {word} instead of {}", expected[number]));
            }
            assembled = (!reply.status.is_success()).then_some(cast);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The table leaves out no route.
#[test]
fn every_documented_operation_has_a_row() {
    let of_table: Vec<String> = rows()
        .map(|(route, _)| {
            let route = route.split('?').next().unwrap_or_default();
            let route = route.replace("USER/sessions/SESSION", "{id}/sessions/{sessionId}").replace("USER", "{id}");
            let route =
                route.replace("/auth/ID", "/auth/{customerId}").replace("DEVICE", "{id}").replace("SESSION", "{id}");
            let route = route.replace("/versions/1/", "/versions/{version}/");
            let route = route.replace("DELIVERY/retry", "{deliveryId}/retry");
            let route = route.replace("ENDPOINT", "{id}").replace("DELIVERY", "{id}");
            let route = route.replace("/callbacks/gateway/ID", "/callbacks/{service}/{customerId}");
            let route = route.replace("MESSAGE", "{id}");
            let route = route.replace("MEMBER", "{memberId}").replace("INVITED", "{invitationId}");
            let route = route.replace("SENDER", "{id}");
            route.replace("ID", "{id}").replace("KEY", "{keyId}").replace("DOMAIN", "{domain}")
        })
        .collect();
    for (operation, _) in crate::document::documented() {
        assert!(of_table.contains(&operation), "{operation}");
    }
}

#[tokio::test]
async fn a_key_in_a_header_of_its_own_is_as_good() {
    let world = World::new();
    let customer = world.customer().await;
    world.send(get("/admin/customers/me").key(&customer.key)).await.ok();
    world.send(get("/admin/customers/me").header("authorization", format!("bearer  {}", customer.key))).await.ok();
    let neither = get("/admin/customers/me").header("authorization", "Basic YTpi");
    world.send(neither).await.problem(401, "missing_api_key");
}

#[tokio::test]
async fn a_key_beside_a_token_has_to_be_of_the_same_customer() {
    let world = World::new();
    let (customer, other) = (world.customer().await, world.customer().await);
    let test = world.test_key(&customer).await;
    let user = world.sign_in(&customer.key, "ann@example.org").await;
    world.send(get("/auth/me").bearer(&user.token).key(&customer.key)).await.ok();
    for stranger in [&other.key, &test] {
        world.send(get("/auth/me").bearer(&user.token).key(stranger)).await.problem(401, "invalid_token");
        let refresh = || post("/auth/refresh", json!({"refreshToken": user.refresh})).key(stranger);
        world.send(refresh()).await.problem(401, "invalid_refresh_token");
        let replace = post("/auth/refresh", json!({"token": user.token})).key(stranger);
        world.send(replace).await.problem(401, "invalid_token");
    }
    world.send(get("/auth/me").bearer(&user.token)).await.ok();
}

/// Unknown, revoked, expired and mistyped keys read the same.
#[tokio::test]
async fn keys_that_open_nothing_get_one_answer() {
    let cast = Cast::assemble().await;
    let key = cast.customer.key.clone();
    let mistyped = format!("{}{}", &key[..key.len() - 1], if key.ends_with('x') { "y" } else { "x" });
    let unknown = new_key(KeyType::Secret, Mode::Live, &SeededRandom::new(99)).expose().to_owned();
    let [revoked, expired] = [5, 6].map(|number| cast.credentials[number].clone().unwrap());
    let mut answers = Vec::new();
    for key in [revoked, expired, mistyped, unknown, "nonsense".to_owned()] {
        let call = get("/admin/customers/me").bearer(key).header("x-request-id", "same");
        let reply = cast.world.send(call).await;
        reply.problem(401, "invalid_api_key");
        answers.push((reply.headers, reply.body));
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
}
