//! Every status that `/openapi.json` documents is one that the routes answer with. That they answer with no other is
//! checked on every request of every test.

use axum::body::{Body, Bytes};
use axum::http::Method;
use otp_core::member::Role;
use serde_json::{Value, json};

use crate::call::{Call, Reply, delete, get, post, put};
use crate::crew::{Crew, member_id};
use crate::document::{document, documented};
use crate::factors::{Factor, is_of_factors, of_nobody};
use crate::harness::{ADMIN, Asked, Customer, SignedIn, SignupMail, World, signup, wrong};
use crate::hooks;
use crate::store::Fault;

#[tokio::test]
async fn every_documented_status_is_produced() {
    produce_a_third(0).await;
}

#[tokio::test]
async fn every_documented_status_is_produced_of_the_next_third() {
    produce_a_third(1).await;
}

#[tokio::test]
async fn every_documented_status_is_produced_of_the_last_third() {
    produce_a_third(2).await;
}

/// In parts, because all of them take minutes, and parts run side by side.
async fn produce_a_third(part: usize) {
    let all: Vec<(String, u16)> = documented().into_iter().collect();
    let mut faults = Vec::new();
    let mut kept: Option<(String, Stage)> = None;
    for (operation, status) in all[all.len() * part / 3..all.len() * (part + 1) / 3].iter().cloned() {
        let stage = match kept.take() {
            Some((of, stage)) if of == operation => stage,
            _ => Stage::of(&operation).await,
        };
        let reply = stage.produce(&operation, status).await;
        if !stage.world.produced.lock().unwrap().contains(&(operation.clone(), status)) {
            faults.push(format!("{operation} did not answer {status}: {reply}"));
        }
        // What was not even read has changed nothing.
        if matches!(status, 408 | 413 | 415) || (matches!(status, 400 | 401) && !PROVED.contains(&&*operation)) {
            kept = Some((operation, stage));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What goes wrong on any route, whether or not it is documented there: that it is, is checked on every answer.
#[tokio::test]
async fn whatever_goes_wrong_is_documented() {
    let operations: std::collections::BTreeSet<_> = documented().into_iter().map(|(operation, _)| operation).collect();
    for operation in operations {
        let stage = Stage::of(&operation).await;
        let request = || stage.request(&operation);
        let mut outcomes = vec![
            stage.send(request().without("authorization")).await,
            stage.send(request().bearer("nonsense")).await,
            stage.send(request().raw("{")).await,
            stage.send(request().raw("[]")).await,
            stage.send(request().raw(cut_off())).await,
            stage.send(request().raw(vec![b' '; 70_000])).await,
            stage.send(request().header("content-type", "text/plain")).await,
            stage.send(request().once("")).await,
            stage.send(request().header("sec-fetch-mode", "cors")).await,
            stage.send(request().header("if-match", "three")).await,
            stage.unknown(&operation).await,
        ];
        for fault in [Fault::Busy, Fault::Corrupt, Fault::Unavailable, Fault::Unknown] {
            outcomes.push(stage.broken(&operation, fault).await);
            stage.world.store.mend();
        }
        outcomes.push(stage.forbidden(&operation).await);
        let liveness = operation == "GET /health/live";
        assert!(liveness || outcomes.iter().any(|reply| !reply.status.is_success()), "{operation}");
    }
}

#[test]
fn whatever_can_be_repeated_says_by_which_header() {
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let conflict = operation["responses"]["422"]["description"].as_str().unwrap_or_default();
            let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
            let takes_key = parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key");
            assert_eq!(conflict.contains("idempotency_conflict"), takes_key, "{method} {path}");
        }
    }
}

#[test]
fn every_route_is_documented() {
    let operations: std::collections::BTreeSet<_> = documented().into_iter().map(|(operation, _)| operation).collect();
    let expected = "\
        DELETE /admin/customers/{id}/api-keys/{keyId}\n\
        DELETE /admin/domains/{domain}\n\
        DELETE /admin/providers/{id}\n\
        DELETE /admin/suppressions\n\
        DELETE /admin/users/{id}\n\
        DELETE /admin/users/{id}/sessions\n\
        DELETE /admin/users/{id}/sessions/{sessionId}\n\
        DELETE /admin/webhooks/endpoints/{id}\n\
        DELETE /api/app/{id}\n\
        DELETE /api/app/{id}/invitations/{invitationId}\n\
        DELETE /api/app/{id}/members/{memberId}\n\
        DELETE /api/auth/sessions/{id}\n\
        DELETE /auth/sessions/{id}\n\
        DELETE /auth/totp/devices/{id}\n\
        GET /.well-known/jwks.json\n\
        GET /admin/analytics\n\
        GET /admin/analytics/errors\n\
        GET /admin/analytics/realtime\n\
        GET /admin/audit-logs\n\
        GET /admin/config\n\
        GET /admin/config/versions\n\
        GET /admin/customers\n\
        GET /admin/customers/me\n\
        GET /admin/customers/me/plan\n\
        GET /admin/customers/me/usage\n\
        GET /admin/customers/{id}\n\
        GET /admin/customers/{id}/api-keys\n\
        GET /admin/domains\n\
        GET /admin/domains/{domain}/status\n\
        GET /admin/messages\n\
        GET /admin/messages/{id}\n\
        GET /admin/onboarding\n\
        GET /admin/providers\n\
        GET /admin/suppressions\n\
        GET /admin/users\n\
        GET /admin/users/{id}\n\
        GET /admin/users/{id}/export\n\
        GET /admin/users/{id}/sessions\n\
        GET /admin/webhooks/deliveries\n\
        GET /admin/webhooks/deliveries/{id}\n\
        GET /admin/webhooks/endpoints\n\
        GET /admin/webhooks/endpoints/{id}\n\
        GET /api/app\n\
        GET /api/app/{id}\n\
        GET /api/app/{id}/members\n\
        GET /api/app/{id}/users\n\
        GET /api/auth/me\n\
        GET /api/auth/sessions\n\
        GET /api/auth/totp/status\n\
        GET /api/otp/status\n\
        GET /auth/me\n\
        GET /auth/sessions\n\
        GET /auth/totp/devices\n\
        GET /auth/totp/status\n\
        GET /auth/{customerId}/.well-known/jwks.json\n\
        GET /auth/{customerId}/test/.well-known/jwks.json\n\
        GET /health\n\
        GET /health/live\n\
        GET /health/ready\n\
        GET /signup/verify\n\
        POST /admin/config/email/test\n\
        POST /admin/config/versions/{version}/restore\n\
        POST /admin/customers\n\
        POST /admin/customers/me/upgrade\n\
        POST /admin/customers/{id}/activate\n\
        POST /admin/customers/{id}/api-keys\n\
        POST /admin/customers/{id}/api-keys/{keyId}/rotate\n\
        POST /admin/customers/{id}/suspend\n\
        POST /admin/domains/verify\n\
        POST /admin/domains/{domain}/verify\n\
        POST /admin/onboarding/test-otp\n\
        POST /admin/providers\n\
        POST /admin/providers/{id}/test\n\
        POST /admin/suppressions\n\
        POST /admin/templates/preview\n\
        POST /admin/webhooks/endpoints\n\
        POST /admin/webhooks/endpoints/{id}/rotate-secret\n\
        POST /admin/webhooks/recover\n\
        POST /admin/webhooks/test\n\
        POST /admin/webhooks/{deliveryId}/retry\n\
        POST /api/app\n\
        POST /api/app/{id}/invitations\n\
        POST /api/auth/invitations\n\
        POST /api/auth/login\n\
        POST /api/auth/logout\n\
        POST /api/auth/recovery\n\
        POST /api/auth/register\n\
        POST /api/auth/register/verify\n\
        POST /api/auth/totp\n\
        POST /api/auth/totp/disable\n\
        POST /api/auth/totp/enable\n\
        POST /api/auth/totp/recovery-codes\n\
        POST /api/auth/totp/register\n\
        POST /api/auth/totp/verify\n\
        POST /api/code/generate\n\
        POST /api/code/verify\n\
        POST /api/otp/register\n\
        POST /api/otp/verify\n\
        POST /auth/logout\n\
        POST /auth/refresh\n\
        POST /auth/request-otp\n\
        POST /auth/totp/disable\n\
        POST /auth/totp/enable\n\
        POST /auth/totp/recovery-codes\n\
        POST /auth/totp/register\n\
        POST /auth/totp/verify\n\
        POST /auth/verify-otp\n\
        POST /callbacks/{service}/{customerId}\n\
        POST /signup\n\
        POST /signup/api-key\n\
        POST /signup/resend\n\
        POST /signup/verify\n\
        PUT /admin/config\n\
        PUT /admin/config/email\n\
        PUT /admin/config/ip-allowlist\n\
        PUT /admin/config/origins\n\
        PUT /admin/config/rate-limits\n\
        PUT /admin/config/templates\n\
        PUT /admin/config/tokens\n\
        PUT /admin/config/webhooks\n\
        PUT /admin/customers/me\n\
        PUT /admin/customers/{id}\n\
        PUT /admin/customers/{id}/api-keys/{keyId}\n\
        PUT /admin/customers/{id}/status\n\
        PUT /admin/onboarding\n\
        PUT /admin/providers/{id}\n\
        PUT /admin/webhooks/endpoints/{id}\n\
        PUT /api/app/{id}\n\
        PUT /api/app/{id}/api-key\n\
        PUT /api/app/{id}/members/{memberId}\n\
        PUT /api/otp/disable\n\
        PUT /api/otp/enable\n\
        PUT /api/otp/recovery";
    assert_eq!(operations.into_iter().collect::<Vec<_>>().join("\n"), expected);
}

const DOMAIN: &str = "acme.com";
const SIGNUP_PAGE: &str = "/signup/verify";
const SUPPRESSIONS: &str = "/admin/suppressions";
const CALLBACK: &str = "POST /callbacks/{service}/{customerId}";
/// An owner of the customer, and a member that has nothing.
const ANN: &str = "ann@acme.example";
const BEN: &str = "ben@acme.example";
/// Where a code is said, and asked for by the address alone.
const MEMBER_TOTP: &str = "POST /api/auth/totp";
const PROVED: [&str; 2] = ["POST /api/auth/login", "POST /api/auth/recovery"];

fn registration() -> Value {
    json!({"email": "dee@example.org", "password": "eleven pears in a teapot"})
}

/// A customer with a user, and all that the requests name.
struct Stage {
    world: World,
    customer: Customer,
    spare_key: String,
    provider: String,
    asked: Asked,
    user: SignedIn,
    message: String,
    /// For the routes of a signup only: it costs a hash.
    signup: Option<SignupMail>,
    signup_token: String,
    /// For the routes of webhooks only.
    endpoint: String,
    delivery: String,
    factor: Factor,
    /// For the routes of members only.
    crew: Option<Crew>,
    /// What a member was mailed for the operation: a code, and the id of an invitation.
    mailed: (String, String),
}

/// Whether members are let in, by their session, and nobody by a key.
fn is_of_members(operation: &str) -> bool {
    operation.contains("/api/auth") || operation.contains("/api/app")
}

impl Stage {
    async fn of(operation: &str) -> Self {
        let mut stage = Self::new().await;
        if ["POST /signup/verify", "POST /signup/api-key"].contains(&operation) {
            stage.signup = Some(stage.world.sign_up("dee@example.org").await);
        }
        if operation == "POST /signup/api-key" {
            let body = stage.signup.as_ref().unwrap().by_token();
            let opened = stage.world.send(post("/signup/verify", body)).await.ok();
            stage.signup_token = opened["signupToken"].as_str().unwrap().to_owned();
            stage.customer.id = opened["customerId"].as_str().unwrap().to_owned();
        }
        if operation.contains("/admin/webhooks") {
            stage.endpoint = stage.world.endpoint(&stage.customer).await;
            stage.delivery = stage.world.delivery(&stage.customer).await;
        }
        stage.factor = Factor::for_operation(&stage.world, &stage.customer, &stage.user, operation).await;
        if is_of_members(operation) {
            stage.prepare_members(operation).await;
        }
        stage
    }

    async fn prepare_members(&mut self, operation: &str) {
        let world = &self.world;
        let crew = world.crew(&self.customer, ANN, Role::Owner).await;
        world.loner(BEN).await;
        match operation {
            "POST /api/auth/register/verify" => {
                world.send(post("/api/auth/register", registration())).await.ok();
                self.mailed.0 = world.member_mail("dee@example.org").await;
            }
            "POST /api/auth/login" => self.mailed.0 = world.member_code(BEN).await,
            "POST /api/auth/recovery" => {
                world.send(post("/api/auth/recovery", json!({"email": BEN}))).await.ok();
                self.mailed.0 = world.member_mail(BEN).await;
            }
            "POST /api/auth/invitations" => self.mailed.0 = world.invited(&crew, BEN, "viewer").await.1,
            "DELETE /api/app/{id}/invitations/{invitationId}" => {
                self.mailed.1 = world.invited(&crew, BEN, "viewer").await.0;
            }
            "DELETE /api/app/{id}/members/{memberId}" => {
                world.seat(&crew.app, BEN, Role::Viewer).await;
            }
            _ => {}
        }
        let token = match operation {
            "POST /api/auth/totp/enable" => {
                let registered = post("/api/auth/totp/register", json!({})).bearer(&crew.token);
                self.factor.secret = world.send(registered).await.ok()["secret"].as_str().unwrap().to_owned();
                crew.token.clone()
            }
            _ if operation.starts_with(MEMBER_TOTP) && !operation.ends_with("/register") => {
                let (secret, token) = world.enrol_member(&crew.token).await;
                self.factor = Factor { secret, mfa: world.half_sign_in(ANN, true).await, ..Factor::default() };
                token
            }
            "POST /api/auth/invitations" => world.let_in(BEN).await["token"].as_str().unwrap().to_owned(),
            _ => crew.token.clone(),
        };
        self.crew = Some(Crew { token, ..crew });
    }

    async fn new() -> Self {
        let world = World::new();
        let customer = world.customer().await;
        let (_, spare_key) = world.key(&customer, json!({})).await;
        let user = world.sign_in(&customer.key, "ann@example.org").await;
        let asked = world.ask(&customer.key, "ben@example.org").await;
        world.domain(&customer, DOMAIN).await;
        let provider = world.provider(&customer).await;
        world.send(post(SUPPRESSIONS, json!({"email": "eve@example.org"})).bearer(&customer.key)).await.ok();
        let message = world.newest_message(&customer.key).await["messageId"].as_str().unwrap().to_owned();
        let (signup_token, endpoint, delivery, mailed) = Default::default();
        Self {
            world,
            customer,
            spare_key,
            asked,
            user,
            message,
            provider,
            signup: None,
            signup_token,
            endpoint,
            delivery,
            factor: Factor::default(),
            crew: None,
            mailed,
        }
    }

    /// A request for the operation that succeeds.
    fn request(&self, operation: &str) -> Call {
        let (method, template) = operation.split_once(' ').unwrap();
        let (domain, gateway) = (DOMAIN.to_owned(), "gateway".to_owned());
        let nobody = Crew::default();
        let crew = self.crew.as_ref().unwrap_or(&nobody);
        let member = if method == "DELETE" { member_id(BEN).to_string() } else { crew.id.clone() };
        let id = match template {
            _ if template.starts_with("/auth/totp") => &self.factor.device,
            _ if template.starts_with("/auth") => &self.user.session,
            _ if template.starts_with("/api/auth") => &crew.session,
            _ if template.starts_with("/admin/users") => &self.user.user,
            _ if template.starts_with("/admin/webhooks/endpoints") => &self.endpoint,
            _ if template.starts_with("/admin/webhooks") => &self.delivery,
            _ if template.starts_with("/admin/messages") => &self.message,
            _ if template.starts_with("/admin/providers") => &self.provider,
            _ => &self.customer.id,
        };
        let names = [
            ("{id}", id),
            ("{sessionId}", &self.user.session),
            ("{keyId}", &self.spare_key),
            ("{customerId}", &self.customer.id),
            ("{domain}", &domain),
            ("{deliveryId}", &self.delivery),
            ("{service}", &gateway),
            ("{memberId}", &member),
            ("{invitationId}", &self.mailed.1),
        ];
        let (of, template) = (template, template.replace("{version}", "1"));
        let path = names.into_iter().fold(template.clone(), |path, (name, value)| path.replace(name, value));
        let body = self.body(operation);
        let call = match method {
            "GET" if of == SIGNUP_PAGE => get(format!("{path}?email=dee%40example.org&token=x")),
            "GET" if of == "/api/otp/status" => get(format!("{path}?userId=eve")),
            "GET" => get(path),
            "DELETE" if of == SUPPRESSIONS => delete(format!("{path}?recipient=eve%40example.org")),
            _ if operation == CALLBACK => self.world.told(&path, body.to_string()),
            "DELETE" => delete(path),
            "PUT" => put(path, body),
            _ => post(path, body),
        };
        match of {
            "/auth/request-otp" | "/auth/verify-otp" => call.bearer(&self.customer.key),
            "/signup/api-key" => call.bearer(&self.signup_token),
            _ if is_of_members(operation) => call.bearer(&crew.token),
            "/auth/refresh" => call,
            "/api/code/generate" => call.bearer(&self.factor.seeing),
            _ if of.starts_with("/auth") => call.bearer(&self.factor.token),
            _ if is_own(of) => call.bearer(&self.customer.key),
            _ if of.starts_with("/admin") => call.bearer(ADMIN),
            _ => call,
        }
    }

    fn body(&self, operation: &str) -> Value {
        match operation {
            "POST /auth/request-otp" => json!({"email": "cy@example.org"}),
            "POST /auth/verify-otp" => self.asked.body(),
            "POST /auth/refresh" => json!({"refreshToken": self.user.refresh}),
            "POST /signup" => signup("dee@example.org"),
            "POST /signup/resend" => json!({"email": "dee@example.org"}),
            "POST /signup/verify" => self.signup.as_ref().unwrap().by_token(),
            "POST /signup/api-key" => json!({"name": "New"}),
            "POST /api/auth/register" => registration(),
            "POST /api/auth/register/verify" => json!({"email": "dee@example.org", "code": self.mailed.0}),
            "POST /api/auth/login" => json!({"email": BEN, "code": self.mailed.0}),
            "POST /api/auth/recovery" => {
                json!({"email": BEN, "code": self.mailed.0, "newPassword": "seven plums in a kettle"})
            }
            "POST /api/auth/invitations" => json!({"code": self.mailed.0}),
            "POST /api/app" | "PUT /api/app/{id}" => json!({"name": "New"}),
            "POST /api/app/{id}/invitations" => json!({"email": "cy@example.org", "role": "viewer"}),
            "PUT /api/app/{id}/members/{memberId}" => json!({"role": "owner"}),
            "PUT /admin/onboarding" => json!({"skip": ["webhookConfigured"]}),
            "POST /admin/onboarding/test-otp" => json!({"email": "cy@example.org"}),
            "POST /admin/customers/me/upgrade" => json!({"plan": "pro"}),
            "POST /admin/customers" => json!({"name": "Other", "email": "ops@other.example"}),
            "PUT /admin/config" => json!({"config": {}}),
            "POST /admin/customers/{id}/api-keys" => json!({"name": "New"}),
            "PUT /admin/customers/{id}/status" => json!({"status": "suspended"}),
            "POST /admin/domains/verify" => json!({"domain": DOMAIN}),
            "POST /admin/providers" => json!({"url": "resend:re_hush"}),
            "POST /admin/webhooks/endpoints" => json!({"url": "https://b.acme.example"}),
            "POST /admin/webhooks/recover" => json!({"since": "2026-01-31T08:15:30Z"}),
            "POST /admin/webhooks/test" => json!({"endpointId": self.endpoint}),
            "POST /admin/suppressions" => json!({"email": "fay@example.org"}),
            CALLBACK => json!({"messageId": self.message, "status": "delivered"}),
            _ => self.factor.body(&self.world, operation).unwrap_or_else(|| json!({})),
        }
    }

    async fn send(&self, call: Call) -> Reply {
        self.world.send(call).await
    }

    async fn produce(&self, operation: &str, status: u16) -> Reply {
        let request = || self.request(operation);
        match status {
            201 if operation == "POST /admin/domains/verify" => {
                self.send(request().json(&json!({"domain": "mail.acme.com"}))).await
            }
            202 if PROVED.contains(&operation) => self.send(request().json(&json!({"email": BEN}))).await,
            200 | 201 | 202 | 402 => self.send(request()).await,
            400 if operation == "GET /admin/domains/{domain}/status" => {
                let mut call = request();
                call.path.push_str("?selector=s1&selector=a%20b");
                self.send(call).await
            }
            400 if operation == "DELETE /admin/suppressions" => {
                self.send(delete(SUPPRESSIONS).bearer(&self.customer.key)).await
            }
            400 if operation == CALLBACK => self.send(self.world.told(&request().path, "{")).await,
            413 if operation == CALLBACK => self.send(request().raw(vec![b' '; 1024 * 1024 + 1])).await,
            403 if operation == CALLBACK => self.send(request().without("webhook-signature")).await,
            400 if operation == "GET /api/otp/status" => {
                self.send(get("/api/otp/status").bearer(&self.customer.key)).await
            }
            400 if operation == "GET /signup/verify" => self.unknown(operation).await,
            400 if operation.starts_with("GET") => {
                let mut call = request();
                call.path.push_str("?limit=0&startDate=x&format=x");
                self.send(call).await
            }
            400 if operation.ends_with("/restore") => self.send(request().header("if-match", "three")).await,
            400 => self.send(request().raw("{")).await,
            401 if operation == "POST /auth/refresh" => self.send(request().json(&json!({"refreshToken": "x"}))).await,
            401 if operation == "POST /signup/verify" => self.send(request().json(&self.wrong_signup(0))).await,
            401 if PROVED.contains(&operation) || operation == "POST /api/auth/register/verify" => {
                let mut body = self.body(operation);
                body["code"] = json!(wrong(&self.mailed.0, 0));
                self.send(request().json(&body)).await
            }
            401 if operation == MEMBER_TOTP => {
                self.send(request().json(&json!({"mfaToken": "otp_mfa_x", "otp": "123456"}))).await
            }
            401 => self.send(request().without("authorization")).await,
            403 => self.forbidden(operation).await,
            404 => self.unknown(operation).await,
            408 => self.send(request().raw(cut_off())).await,
            409 => self.conflict(operation).await,
            413 => self.send(request().raw(vec![b' '; 256 * 1024 + 1])).await,
            415 => self.send(request().header("content-type", "text/plain")).await,
            422 => {
                self.send(request().once("k")).await.ok();
                // The same to whoever reads it, and other bytes.
                self.send(request().raw(format!(" {}", self.body(operation))).once("k")).await
            }
            429 => self.too_many(operation).await,
            502 => hooks::sign_in_without_claims(&self.world, &self.customer, operation).await,
            500 => self.broken(operation, Fault::Corrupt).await,
            503 => self.broken(operation, Fault::Unavailable).await,
            _ => panic!("nothing produces {status}"),
        }
    }

    fn wrong_signup(&self, number: usize) -> Value {
        json!({"email": "dee@example.org", "code": format!("{number:09}")})
    }

    async fn forbidden(&self, operation: &str) -> Reply {
        if operation.starts_with("POST /signup") && operation != "POST /signup/api-key" {
            return self.world.send_to(&self.world.closed, self.request(operation)).await;
        }
        if is_of_members(operation) && !operation.starts_with("GET") {
            return self.send(self.request(operation).header("sec-fetch-site", "cross-site")).await;
        }
        self.world.set_status(&self.customer, "suspended").await;
        let call = self.request(operation);
        let by_key = operation.contains("/admin/") || (operation.contains(" /api/") && !is_of_members(operation));
        self.send(if by_key { call.bearer(&self.customer.key) } else { call }).await
    }

    async fn unknown(&self, operation: &str) -> Reply {
        let mut call = self.request(operation);
        let otp = otp_core::ChallengeId::from_bytes([7; 16]).to_string();
        let name = |path: &str, of: &str, by: String| path.replace(of, &by);
        call.path = name(&call.path, &self.customer.id, otp_core::TenantId::from_bytes([7; 16]).to_string());
        call.path = name(&call.path, &self.provider, otp_core::ProviderId::from_bytes([7; 16]).to_string());
        call.path = name(&call.path, DOMAIN, "nobody.com".to_owned());
        call.path = name(&call.path, &self.user.session, otp_core::SessionId::from_bytes([7; 16]).to_string());
        if operation.contains("/admin/webhooks") {
            let endpoint = otp_core::EndpointId::from_bytes([7; 16]).to_string();
            call.path = name(&call.path, &self.endpoint, endpoint.clone());
            call.path = name(&call.path, &self.delivery, otp_core::DeliveryId::from_bytes([7; 16]).to_string());
            let body = match operation {
                "POST /admin/webhooks/recover" => json!({"since": "2026-01-31T08:15:30Z", "endpointId": endpoint}),
                "POST /admin/webhooks/test" => json!({"endpointId": endpoint}),
                _ => self.body(operation),
            };
            return self.send(if call.method == Method::GET { call } else { call.json(&body) }).await;
        }
        if let Some(crew) = &self.crew {
            call.path = name(&call.path, &crew.session, otp_core::MemberSessionId::from_bytes([7; 16]).to_string());
        }
        call.path = name(&call.path, "/versions/1/", "/versions/99/".to_owned());
        call.path = name(&call.path, &self.message, otp_core::MessageId::from_bytes([7; 16]).to_string());
        call.path = name(&call.path, "recipient=eve", "recipient=nobody".to_owned());
        call.path = name(&call.path, "/callbacks/gateway", "/callbacks/nobody".to_owned());
        call.path = name(&call.path, &self.user.user, otp_core::UserId::from_bytes([7; 16]).to_string());
        match operation {
            _ if is_of_factors(operation) => {
                let call = of_nobody(&self.world, &self.customer, operation, call).await;
                self.send(call).await
            }
            _ if operation.starts_with(MEMBER_TOTP) => {
                let nobodys = self.world.let_in(BEN).await;
                self.send(call.json(&json!({"otp": "123456"})).bearer(nobodys["token"].as_str().unwrap())).await
            }
            "GET /signup/verify" => self.send(get(SIGNUP_PAGE)).await,
            "POST /signup/verify" => {
                self.send(self.request(operation)).await;
                self.send(call).await
            }
            "POST /api/auth/invitations" => self.send(call.json(&json!({"code": "x"}))).await,
            "POST /auth/verify-otp" => self.send(call.json(&json!({"challengeId": otp, "otp": "123456789"}))).await,
            _ => self.send(call).await,
        }
    }

    async fn conflict(&self, operation: &str) -> Reply {
        match operation {
            _ if is_of_factors(operation) => self.factor.occupy(&self.world, &self.customer, operation).await,
            "POST /admin/customers/{id}/api-keys" => {
                let made = self.send(get(self.customer.path("/api-keys")).bearer(ADMIN)).await.ok();
                for _ in made["keys"].as_array().unwrap().len()..200 {
                    self.send(self.request(operation)).await.ok();
                }
            }
            "POST /signup/api-key" => {
                for _ in 1..200 {
                    self.send(self.request(operation)).await.ok();
                }
            }
            "POST /api/auth/totp/register" => {
                let (_, token) = self.world.enrol_member(&self.crew.as_ref().unwrap().token).await;
                return self.send(self.request(operation).bearer(&token)).await;
            }
            "POST /api/auth/totp/enable" => {
                let enabled = self.send(self.request(operation)).await.ok();
                return self.send(self.request(operation).bearer(enabled["token"].as_str().unwrap())).await;
            }
            "POST /api/app" => {
                for _ in 0..20 {
                    self.send(self.request(operation)).await;
                }
            }
            "PUT /api/app/{id}/api-key" => {
                for _ in 2..200 {
                    self.world.key(&self.customer, json!({})).await;
                }
            }
            "POST /api/app/{id}/invitations" => {
                return self.send(self.request(operation).json(&json!({"email": ANN, "role": "viewer"}))).await;
            }
            "POST /api/auth/invitations" => {
                self.world.seat(&self.customer.id, BEN, Role::Viewer).await;
            }
            "PUT /api/app/{id}/members/{memberId}" => {
                return self.send(self.request(operation).json(&json!({"role": "viewer"}))).await;
            }
            "DELETE /api/app/{id}/members/{memberId}" => {
                let mut call = self.request(operation);
                call.path = call.path.replace(&member_id(BEN).to_string(), &member_id(ANN).to_string());
                return self.send(call).await;
            }
            "PUT /admin/customers/{id}" => {
                let used = put("/admin/customers/me", json!({"webhookUrl": "https://acme.example/hooks"}));
                self.send(used.bearer(&self.customer.key)).await.ok();
                return self.send(self.request(operation).json(&json!({"plan": "free"}))).await;
            }
            "POST /admin/customers/{id}/api-keys/{keyId}/rotate" => {
                self.send(self.request("DELETE /admin/customers/{id}/api-keys/{keyId}")).await.ok();
            }
            _ if operation.contains("/admin/config") => {
                return self.send(self.request(operation).header("if-match", "\"7\"")).await;
            }
            "POST /admin/domains/verify" => {
                for number in 1..100 {
                    self.world.domain(&self.customer, &format!("{number}.acme.com")).await;
                }
                return self.send(self.request(operation).json(&json!({"domain": "mail.acme.com"}))).await;
            }
            "POST /admin/webhooks/endpoints" => {
                for _ in 1..16 {
                    self.send(self.request(operation)).await.ok();
                }
            }
            "PUT /admin/webhooks/endpoints/{id}" | "DELETE /admin/webhooks/endpoints/{id}" => {
                return self.conflict_with_simple(operation).await;
            }
            "POST /admin/webhooks/{deliveryId}/retry" => {
                let test = self.send(self.request("POST /admin/webhooks/test")).await.ok();
                let mut call = self.request(operation);
                call.path = call.path.replace(&self.delivery, test["delivery"]["deliveryId"].as_str().unwrap());
                return self.send(call).await;
            }
            "POST /admin/webhooks/test" => {
                self.send(self.request("DELETE /admin/webhooks/endpoints/{id}")).await.ok();
                return self.send(self.request(operation).json(&json!({}))).await;
            }
            "POST /admin/providers" => {
                for _ in 1..8 {
                    self.world.provider(&self.customer).await;
                }
            }
            "POST /admin/domains/{domain}/verify" => self.world.advance(8 * 86_400),
            _ => self.world.set_status(&self.customer, "cancelled").await,
        }
        self.send(self.request(operation)).await
    }

    /// The endpoint that the settings say cannot be changed but there.
    async fn conflict_with_simple(&self, operation: &str) -> Reply {
        let key = &self.customer.key;
        let simple = put("/admin/config/webhooks", json!({"url": "https://simple.acme.example"}));
        self.send(simple.bearer(key)).await.ok();
        let listed = self.send(get("/admin/webhooks/endpoints").bearer(key)).await.ok();
        let simple =
            listed["endpoints"].as_array().unwrap().iter().find(|endpoint| endpoint["simple"] == true).unwrap();
        let mut call = self.request(operation);
        call.path = call.path.replace(&self.endpoint, simple["endpointId"].as_str().unwrap());
        self.send(if call.method == Method::PUT { call.json(&json!({"url": "https://c.acme.example"})) } else { call })
            .await
    }

    async fn too_many(&self, operation: &str) -> Reply {
        self.world.settings(&self.customer, |settings| settings.limits.guesses_per_recipient = 1).await;
        let call = || match operation {
            "POST /auth/verify-otp" => self.request(operation).json(&self.asked.wrong(0)),
            _ if PROVED.contains(&operation) => self.request(operation).json(&json!({"email": BEN})),
            _ => match self.factor.wrong_body(&self.world, operation) {
                Some(wrong) => self.request(operation).json(&wrong),
                None => self.request(operation),
            },
        };
        if operation == "POST /signup/verify" {
            for number in 0..100 {
                self.send(call().json(&self.wrong_signup(number))).await.problem(401, "otp_invalid");
            }
        }
        if operation == "POST /api/auth/register/verify" {
            for number in 0..100 {
                let body = json!({"email": "dee@example.org", "code": wrong(&self.mailed.0, number)});
                self.send(call().json(&body)).await;
            }
        }
        if operation == "POST /api/app/{id}/invitations" {
            for number in 0..20 {
                let body = json!({"email": format!("cy{number}@example.org"), "role": "viewer"});
                self.send(call().json(&body)).await;
            }
        }
        for _ in 0..5 {
            self.send(call()).await;
        }
        self.send(call()).await
    }

    /// What is cached is looked at again after a second, so that every route meets the store.
    async fn broken(&self, operation: &str, fault: Fault) -> Reply {
        self.world.advance(2);
        self.world.store.fail(fault);
        self.send(self.request(operation)).await
    }
}

/// Whether a route is about whoever has the key.
fn is_own(template: &str) -> bool {
    let of_all = template.starts_with("/admin/customers") && !template.starts_with("/admin/customers/me");
    template.starts_with("/admin/") && !of_all || template.starts_with("/api/")
}

/// A body that ends before it is whole.
fn cut_off() -> Body {
    let parts = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("the client is gone"))];
    Body::from_stream(futures_util::stream::iter(parts))
}

#[tokio::test]
async fn a_method_or_path_that_is_not_there_says_so() {
    let world = World::new();
    world.send(get("/nowhere")).await.problem(404, "route_not_found");
    world.send(get("/auth/me/")).await.problem(404, "route_not_found");
    let reply = world.send(delete("/admin/customers")).await;
    reply.problem(405, "method_not_allowed");
    let mut allowed: Vec<_> = reply.header("allow").unwrap().split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    world.send(Call::new(Method::from_bytes(b"BREW").unwrap(), "/auth/me")).await.problem(405, "method_not_allowed");
    assert_eq!(world.send(Call::new(Method::HEAD, "/health")).await.status, 200);
}
