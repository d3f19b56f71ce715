//! Authenticators: what the tests of all routes need of them.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use otp_core::password::{Busy, Password, PasswordHash, PasswordHasher};
use otp_core::totp::{Digits, HashAlgorithm, OtpSecret, Period, hotp};
use otp_core::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::call::{Call, delete, post, put};
use crate::harness::{Customer, SignedIn, World};

/// Whom the customer's own authenticator is for.
pub const NAME: &str = "eve";
const BROUGHT: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// Hashes where it is called, unless it was told that there is no room: ten recovery codes take most of a second.
#[derive(Default)]
pub struct Sparing(AtomicBool);

impl Sparing {
    pub fn rest(&self, rests: bool) {
        self.0.store(rests, Ordering::SeqCst);
    }
}

/// A hasher that others hold too.
pub struct Shared(pub std::sync::Arc<Sparing>);

#[async_trait]
impl PasswordHasher for Shared {
    async fn hash(&self, password: &Password, salt: [u8; 16]) -> Result<PasswordHash, Busy> {
        if self.0.0.load(Ordering::SeqCst) { Err(Busy) } else { Ok(password.hash(salt)) }
    }
}

/// The code that an app shows at this time.
pub fn code(secret: &str, at: Timestamp) -> String {
    let secret: OtpSecret = secret.parse().unwrap();
    Digits::SIX.of(hotp(HashAlgorithm::Sha1, secret.as_bytes(), Period::USUAL.step_at(at)))
}

impl World {
    /// The code that an app shows in so many seconds.
    pub fn code(&self, secret: &str, seconds: i64) -> String {
        code(secret, Timestamp::from_millis(self.clock.now().as_millis() + seconds * 1000))
    }

    pub fn clock_seconds(&self) -> i64 {
        self.clock.now().as_millis().div_euclid(1000)
    }

    /// Makes a secret for a signed-in user.
    pub async fn register_totp(&self, token: &str) -> String {
        let enrolment = self.send(post("/auth/totp/register", json!({})).bearer(token)).await.ok();
        enrolment["secret"].as_str().unwrap().to_owned()
    }

    /// Puts an authenticator in use, without recovery codes, and gives its secret.
    pub async fn enrol(&self, token: &str) -> String {
        let secret = self.register_totp(token).await;
        self.hasher.rest(true);
        let body = json!({"otp": self.code(&secret, 0)});
        self.send(post("/auth/totp/enable", body).bearer(token)).await.ok();
        self.hasher.rest(false);
        secret
    }
}

/// What a request about second factors needs before it.
#[derive(Default)]
pub struct Factor {
    pub secret: String,
    /// A trusted device.
    pub device: String,
    /// The user's token after that.
    pub token: String,
    /// A key that may see codes.
    pub seeing: String,
    /// What a member's sign-in goes on with.
    pub mfa: String,
}

impl Factor {
    pub async fn for_operation(world: &World, customer: &Customer, user: &SignedIn, operation: &str) -> Self {
        let mut factor = Self { token: user.token.clone(), ..Self::default() };
        let (_, path) = operation.split_once(' ').unwrap();
        match path {
            "/auth/totp/enable" => factor.secret = world.register_totp(&user.token).await,
            "/auth/totp/disable" | "/auth/totp/verify" | "/auth/totp/recovery-codes" => {
                factor.secret = world.enrol(&user.token).await;
            }
            _ if path.starts_with("/auth/totp/devices/") => factor.trust(world, user).await,
            "/api/otp/enable" => register_named(world, customer).await,
            "/api/otp/disable" | "/api/otp/recovery" | "/api/otp/verify" | "/api/code/verify" => {
                enable_named(world, customer).await;
            }
            "/api/code/generate" => {
                enable_named(world, customer).await;
                factor.seeing = world.key(customer, json!({"scopes": ["otp:reveal"]})).await.0;
            }
            _ => {}
        }
        factor
    }

    async fn trust(&mut self, world: &World, user: &SignedIn) {
        self.secret = world.enrol(&user.token).await;
        let body = json!({"otp": world.code(&self.secret, 30), "trustDevice": true});
        let signed_in = world.send(post("/auth/totp/verify", body).bearer(&user.token)).await.ok();
        self.token = signed_in["token"].as_str().unwrap().to_owned();
        let listed = world.send(crate::call::get("/auth/totp/devices").bearer(&self.token)).await.ok();
        self.device = listed["devices"][0]["deviceId"].as_str().unwrap().to_owned();
    }

    /// The body of a request that succeeds, if the operation is one of second factors that takes one.
    pub fn body(&self, world: &World, operation: &str) -> Option<Value> {
        Some(match operation {
            "POST /auth/totp/enable" => json!({"otp": world.code(&self.secret, 0)}),
            "POST /auth/totp/disable" | "POST /auth/totp/verify" | "POST /auth/totp/recovery-codes" => {
                json!({"otp": world.code(&self.secret, 30)})
            }
            "POST /api/auth/totp" => json!({"mfaToken": self.mfa, "otp": world.code(&self.secret, 30)}),
            "POST /api/auth/totp/enable" => json!({"otp": world.code(&self.secret, 0)}),
            "POST /api/auth/totp/disable" | "POST /api/auth/totp/verify" => {
                json!({"otp": world.code(&self.secret, 30)})
            }
            "POST /api/otp/register" => json!({"userId": NAME, "secret": BROUGHT}),
            "PUT /api/otp/enable" => json!({"userId": NAME, "otp": world.code(BROUGHT, 0)}),
            "POST /api/otp/verify" | "POST /api/code/verify" => {
                json!({"userId": NAME, "otp": world.code(BROUGHT, 30)})
            }
            "PUT /api/otp/disable" | "PUT /api/otp/recovery" | "POST /api/code/generate" => json!({"userId": NAME}),
            _ => return None,
        })
    }

    /// The same with a code that is wrong.
    pub fn wrong_body(&self, world: &World, operation: &str) -> Option<Value> {
        let mut body = self.body(world, operation)?;
        let secret = if operation.contains("/api/") { BROUGHT } else { &self.secret };
        body["otp"] = json!(world.code(secret, 3600));
        Some(body)
    }

    /// Brings about that an authenticator is in use already.
    pub async fn occupy(&self, world: &World, customer: &Customer, operation: &str) {
        match operation {
            "POST /auth/totp/register" => drop(world.enrol(&self.token).await),
            "POST /auth/totp/enable" => {
                let body = self.body(world, operation).unwrap();
                world.send(post("/auth/totp/enable", body).bearer(&self.token)).await.ok();
            }
            _ => enable_named(world, customer).await,
        }
    }
}

async fn register_named(world: &World, customer: &Customer) {
    let body = json!({"userId": NAME, "secret": BROUGHT});
    world.send(post("/api/otp/register", body).bearer(&customer.key)).await.ok();
}

async fn enable_named(world: &World, customer: &Customer) {
    register_named(world, customer).await;
    world.hasher.rest(true);
    let body = json!({"userId": NAME, "otp": world.code(BROUGHT, 0)});
    world.send(put("/api/otp/enable", body).bearer(&customer.key)).await.ok();
    world.hasher.rest(false);
}

/// Whether an operation is about second factors.
pub fn is_of_factors(operation: &str) -> bool {
    [" /auth/totp/", " /api/otp/", " /api/code/"].iter().any(|path| operation.contains(path))
}

/// The same request about somebody who has no authenticator, or is no user.
pub async fn of_nobody(world: &World, customer: &Customer, operation: &str, call: Call) -> Call {
    let stranger = otp_core::UserId::from_bytes([7; 16]).to_string();
    let body = json!({"userId": stranger, "otp": "123456"});
    match operation {
        _ if operation.contains("/auth/totp/devices/") => {
            let device = otp_core::TrustedDeviceId::from_bytes([7; 16]).to_string();
            let call = delete(format!("/auth/totp/devices/{device}"));
            call.bearer(&world.sign_in(&customer.key, "fay@example.org").await.token)
        }
        "GET /api/otp/status" => crate::call::get(format!("/api/otp/status?userId={stranger}")).bearer(&customer.key),
        _ if operation.contains("/api/") => call.json(&body),
        _ => call.json(&json!({"otp": "123456"})).bearer(&world.sign_in(&customer.key, "fay@example.org").await.token),
    }
}
