//! The routes on a memory store, and the steps that many tests begin with.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use http_body_util::BodyExt;
use otp_core::event::{Event, EventKind};
use otp_core::message::{Mailer, Outgoing, Receipt, SendError};
use otp_core::secret::Digest32;
use otp_core::store::{Add, Changes, FromRecord, Item, Key, Read, Reads, Scope, Store, Stored};
use otp_core::tenant::{Settings, Tenant};
use otp_core::usage::CounterKey;
use otp_core::webhook::{ReceiverKey, SigningSecret};
use otp_core::*;
use otp_server::callbacks::{CallbackVerifier, Callbacks};
use otp_server::http::{App, AppOptions, operator_routes, routes};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::call::{Call, Reply, post};
use crate::document;
use crate::factors::{Shared, Sparing};
use crate::store::TestStore;
use crate::zone::Zone;

pub const ADMIN: &str = "otp_admin_of_the_tests";
/// What the gateway of the tests signs with.
pub const GATEWAY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub const ISSUER: &str = "https://otp.example";

/// A mailer that keeps what it is handed.
#[derive(Default)]
pub struct Inbox(Mutex<Vec<Outgoing>>);

impl Inbox {
    /// The code of the newest message to this address.
    pub fn code_to(&self, to: &str) -> String {
        let sent = self.0.lock().unwrap();
        let mut newest =
            sent.iter().rev().filter(|message| message.to == to).filter_map(|message| message.code.as_ref());
        newest.next().unwrap_or_else(|| panic!("no code was sent to {to}")).expose().to_owned()
    }

    /// The newest message to this address.
    pub fn to(&self, to: &str) -> Outgoing {
        let sent = self.0.lock().unwrap();
        sent.iter().rev().find(|message| message.to == to).unwrap_or_else(|| panic!("nothing was sent to {to}")).clone()
    }

    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub fn all(&self) -> Vec<Outgoing> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Mailer for Inbox {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        self.0.lock().unwrap().push(message.clone());
        Ok(Receipt::default())
    }
}

/// The routes, with everything around them.
pub struct World {
    pub app: Arc<App>,
    pub router: Router,
    /// The same, where signing up is closed.
    pub closed: Router,
    pub service: Service,
    pub store: Arc<TestStore>,
    pub clock: Arc<ManualClock>,
    pub inbox: Arc<Inbox>,
    pub zone: Arc<Zone>,
    pub hasher: Arc<Sparing>,
    /// Every documented operation that answered, with the status.
    pub produced: Mutex<BTreeSet<(String, u16)>>,
}

/// A customer with its first key.
#[derive(Clone, Debug)]
pub struct Customer {
    pub id: String,
    pub key: String,
    pub key_id: String,
}

impl Customer {
    pub fn tenant(&self) -> TenantId {
        self.id.parse().unwrap()
    }

    pub fn path(&self, rest: &str) -> String {
        format!("/admin/customers/{}{rest}", self.id)
    }

    pub fn space(&self, mode: Mode) -> Space {
        Space { tenant: self.tenant(), mode }
    }
}

/// A code that was asked for and received.
#[derive(Clone, Debug)]
pub struct Asked {
    pub challenge: String,
    pub code: String,
}

impl Asked {
    /// What is said to sign in.
    pub fn body(&self) -> Value {
        json!({"challengeId": self.challenge, "otp": self.code})
    }

    /// A guess of the same form that is wrong; another one for every number up to 998.
    pub fn wrong(&self, number: usize) -> Value {
        json!({"challengeId": self.challenge, "otp": wrong(&self.code, number)})
    }
}

pub fn wrong(code: &str, number: usize) -> String {
    let (kept, changed) = code.split_at(code.len() - 3);
    let changed: usize = changed.parse().unwrap();
    format!("{kept}{:03}", (changed + 1 + number % 999) % 1_000)
}

/// What signs up.
pub fn signup(email: &str) -> Value {
    json!({"email": email, "companyName": "Acme", "password": "eleven pears in a teapot"})
}

/// What the mail of a signup holds.
#[derive(Clone, Debug)]
pub struct SignupMail {
    pub email: String,
    /// Path and query.
    pub link: String,
    pub token: String,
    pub code: String,
}

impl SignupMail {
    pub fn by_token(&self) -> Value {
        json!({"email": self.email, "token": self.token})
    }

    pub fn by_code(&self) -> Value {
        json!({"email": self.email, "code": self.code})
    }
}

/// A user's tokens.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub user: String,
    pub token: String,
    pub refresh: String,
    pub session: String,
}

impl SignedIn {
    pub fn of(body: &Value) -> Self {
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let (token, refresh) = (text("token"), text("refreshToken"));
        Self { user: text("userId"), token, refresh, session: text("sessionId") }
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(&[], Plans::builtin())
    }

    pub fn with_plans(plans: &str) -> Self {
        Self::with(&[], plans.parse().unwrap())
    }

    /// Where these networks are trusted proxies.
    pub fn behind(proxies: &[&str]) -> Self {
        Self::with(proxies, Plans::builtin())
    }

    fn with(proxies: &[&str], plans: Plans) -> Self {
        let store = Arc::new(TestStore::default());
        let (clock, inbox) = (Arc::new(ManualClock::default()), Arc::new(Inbox::default()));
        let zone = Arc::new(Zone::default());
        let hasher = Arc::new(Sparing::default());
        let service = |seed| {
            Service::builder(store.clone(), KeyRing::generate(&SeededRandom::new(1)))
                .clock(clock.clone())
                .mailer(inbox.clone())
                .resolver(zone.clone())
                .password_hasher(Shared(hasher.clone()))
                .random(SeededRandom::new(seed))
                .plans(plans.clone())
                .issuer(ISSUER)
        };
        let app = |service| {
            App::new(AppOptions {
                service,
                admin_token: Digest32::of(ADMIN.as_bytes()),
                trusted_proxies: proxies.iter().map(|net| net.parse().unwrap()).collect(),
                callbacks: Callbacks::new(vec![CallbackVerifier::Gateway(ReceiverKey::parse(GATEWAY).unwrap())]),
            })
        };
        let closed = routes(app(service(3).open_signup(false).build()));
        let service = service(2).build();
        let app = app(service.clone());
        let router = routes(app.clone());
        Self { app, router, closed, service, store, clock, inbox, zone, hasher, produced: Mutex::default() }
    }

    /// Sends a request to the routes and checks what is so of every answer.
    pub async fn send(&self, call: Call) -> Reply {
        self.send_to(&self.router, call).await
    }

    /// As [`send`](Self::send), to one of the routers.
    pub async fn send_to(&self, router: &Router, call: Call) -> Reply {
        let reply = ask(router.clone(), call).await;
        reply.check();
        if let Some(operation) = document::operation(&reply.method, &reply.path) {
            self.produced.lock().unwrap().insert((operation, reply.status.as_u16()));
        }
        reply
    }

    /// Sends a request to the operator's routes.
    pub async fn send_to_operator(&self, call: Call) -> Reply {
        ask(operator_routes(self.app.clone()), call).await
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A customer without quotas.
    pub async fn customer(&self) -> Customer {
        self.customer_on("enterprise").await
    }

    pub async fn customer_on(&self, plan: &str) -> Customer {
        let body = json!({"name": "Acme", "email": "ops@acme.example", "plan": plan});
        let created = self.send(post("/admin/customers", body).bearer(ADMIN)).await.ok();
        let text = |name: &str| created[name].as_str().unwrap().to_owned();
        Customer { id: text("customerId"), key: text("apiKey"), key_id: text("keyId") }
    }

    /// A further key: itself and its id.
    pub async fn key(&self, customer: &Customer, mut body: Value) -> (String, String) {
        body.as_object_mut().unwrap().entry("name").or_insert(json!("Shop"));
        let created = self.send(post(customer.path("/api-keys"), body).bearer(ADMIN)).await.ok();
        (created["apiKey"].as_str().unwrap().to_owned(), created["keyId"].as_str().unwrap().to_owned())
    }

    /// Adds a domain and gives what is said of it.
    pub async fn domain(&self, customer: &Customer, name: &str) -> Value {
        self.send(post("/admin/domains/verify", json!({"domain": name})).bearer(&customer.key)).await.ok()
    }

    /// Makes an endpoint that hears of everything and gives its id.
    pub async fn endpoint(&self, customer: &Customer) -> String {
        let body = json!({"url": "https://hooks.acme.example/otp"});
        let created = self.send(post("/admin/webhooks/endpoints", body).bearer(&customer.key)).await.ok();
        created["endpoint"]["endpointId"].as_str().unwrap().to_owned()
    }

    /// Has something happen, and gives the id of its delivery to the only endpoint.
    pub async fn delivery(&self, customer: &Customer) -> String {
        self.ask(&customer.key, "flo@example.org").await;
        self.service.deliver_webhooks(100).await.unwrap(); // there is nothing to send requests with, so it waits
        let list = crate::call::get("/admin/webhooks/deliveries").bearer(&customer.key);
        self.send(list).await.ok()["deliveries"][0]["deliveryId"].as_str().unwrap().to_owned()
    }

    /// Adds a provider and gives its id.
    pub async fn provider(&self, customer: &Customer) -> String {
        let call = post("/admin/providers", json!({"url": "resend:re_hush"})).bearer(&customer.key);
        self.send(call).await.ok()["id"].as_str().unwrap().to_owned()
    }

    pub async fn test_key(&self, customer: &Customer) -> String {
        self.key(customer, json!({"mode": "test"})).await.0
    }

    pub async fn publishable_key(&self, customer: &Customer) -> String {
        self.key(customer, json!({"type": "publishable"})).await.0
    }

    /// Signs up and reads the mail.
    pub async fn sign_up(&self, email: &str) -> SignupMail {
        self.send(post("/signup", signup(email))).await.ok();
        self.signup_mail(email).await
    }

    pub async fn signup_mail(&self, email: &str) -> SignupMail {
        self.service.deliver_pending(100).await.unwrap();
        let mail = self.inbox.to(email);
        let link = mail.text.lines().find_map(|line| line.strip_prefix(ISSUER)).unwrap().to_owned();
        let token = link.split_once("&token=").unwrap().1.to_owned();
        SignupMail { email: email.to_owned(), link, token, code: mail.code.unwrap().expose().to_owned() }
    }

    /// What the installation's gateway tells, signed now.
    pub fn told(&self, path: &str, body: impl Into<Vec<u8>>) -> Call {
        self.told_by(GATEWAY, path, body)
    }

    /// What a gateway with this secret tells, signed now.
    pub fn told_by(&self, secret: &str, path: &str, body: impl Into<Vec<u8>>) -> Call {
        let (body, now) = (body.into(), self.clock.now());
        let signature = SigningSecret::parse(secret).unwrap().sign("id-1", now, &body);
        let call = Call::new(axum::http::Method::POST, path).raw(body).header("webhook-id", "id-1");
        call.header("webhook-timestamp", now.as_secs().to_string()).header("webhook-signature", signature)
    }

    /// The newest message of a customer's list.
    pub async fn newest_message(&self, key: &str) -> Value {
        self.send(crate::call::get("/admin/messages?limit=1").bearer(key)).await.ok()["messages"][0].clone()
    }

    /// Asks for a code and receives it, with a key of either mode.
    pub async fn ask(&self, key: &str, email: &str) -> Asked {
        let reply = self.send(post("/auth/request-otp", json!({"email": email})).bearer(key)).await.ok();
        let code = match reply["testCode"].as_str() {
            Some(code) => code.to_owned(),
            None => {
                self.service.deliver_pending(100).await.unwrap();
                self.inbox.code_to(email)
            }
        };
        Asked { challenge: reply["challengeId"].as_str().unwrap().to_owned(), code }
    }

    pub async fn verify(&self, key: &str, body: Value) -> Reply {
        self.send(post("/auth/verify-otp", body).bearer(key)).await
    }

    pub async fn sign_in(&self, key: &str, email: &str) -> SignedIn {
        let asked = self.ask(key, email).await;
        SignedIn::of(&self.verify(key, asked.body()).await.ok())
    }

    pub async fn me(&self, token: &str) -> Reply {
        self.send(crate::call::get("/auth/me").bearer(token)).await
    }

    /// Changes the settings that have no route.
    pub async fn settings(&self, customer: &Customer, change: impl FnOnce(&mut Settings)) {
        let caller = self.service.administrator(customer.tenant()).await.unwrap();
        let tenant = customer.tenant();
        let mut settings = *self.record::<Tenant>(tenant, tenant.as_bytes()).await.settings;
        change(&mut settings);
        let edit = EditTenant { settings: Some(settings), ..EditTenant::default() };
        self.service.edit_tenant(&caller, edit).await.unwrap();
    }

    pub async fn set_status(&self, customer: &Customer, status: &str) {
        let call = crate::call::put(customer.path("/status"), json!({"status": status})).bearer(ADMIN);
        self.send(call).await.ok();
    }

    /// Writes a record past all rules.
    pub async fn write(&self, tenant: TenantId, record: impl Into<store::Record>) {
        let record = record.into();
        let changes =
            Changes { puts: vec![record], adds: vec![Add::one(CounterKey::CONFIGURATION)], ..Changes::none() };
        let reads = Reads { scope: Scope::Tenant(tenant), wanted: Vec::new() };
        self.store.inner.transact(reads, Box::new(move |_| changes.clone())).await.unwrap();
        // What was cached is looked at again after a second.
        self.advance(2);
    }

    pub async fn record<T: Stored + Clone + 'static>(&self, tenant: TenantId, id: &[u8; 16]) -> T {
        let read = Read::Record(Key::new::<T>(tenant, id));
        self.store.inner.read(vec![read]).await.unwrap().one::<T>().cloned().unwrap()
    }

    pub async fn events(&self, space: Space, kind: EventKind) -> usize {
        let items = self.store.inner.inventory(None, usize::MAX).await.unwrap();
        let is_meant = |item: &Item| match item {
            Item::Record(record) => Event::of(record).is_some_and(|event| event.space == space && event.kind() == kind),
            Item::Count(..) => false,
        };
        items.iter().filter(|item| is_meant(item)).count()
    }
}

async fn ask(router: Router, call: Call) -> Reply {
    let (method, path) = (call.method.clone(), call.path.clone());
    let response = router.oneshot(call.request()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Reply { method, path, status: head.status, headers: head.headers, body }
}
