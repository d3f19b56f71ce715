//! A receiver of events: it checks the signature over the raw body, tells repeats by their id, and answers at once.
//!
//! `cargo run -p otp-examples --example webhook_receiver -- whsec_…`
//!
//! listens on <http://127.0.0.1:3000/hooks>. `otp-server listen --forward-to http://127.0.0.1:3000/hooks` sends it a
//! customer's events and prints the secret to start it with.

use std::collections::HashSet;
use std::error::Error;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use otp_core::webhook::{ReceiverKey, Signed, verify};
use otp_core::{Clock, SystemClock};
use tokio::net::TcpListener;

struct Receiver {
    /// Two while a secret is being replaced.
    keys: Vec<ReceiverKey>,
    clock: SystemClock,
    /// A real one asks its database, in the transaction that does what the event asks for.
    seen: Mutex<HashSet<String>>,
}

impl Receiver {
    fn new(secrets: &[String]) -> Result<Arc<Self>, Box<dyn Error>> {
        let keys = secrets.iter().map(|secret| ReceiverKey::parse(secret)).collect::<Result<_, _>>()?;
        Ok(Arc::new(Self { keys, clock: SystemClock::default(), seen: Mutex::default() }))
    }
}

fn app(receiver: Arc<Receiver>) -> Router {
    Router::new().route("/hooks", post(receive)).with_state(receiver)
}

/// The signature is over the bytes as they came: a body that was parsed and written again has another one.
async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let [id, timestamp, signature] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(header);
    if let Err(why) = verify(&receiver.keys, Signed { id, timestamp, signature }, &body, receiver.clock.now()) {
        eprintln!("refused: {why}");
        return StatusCode::UNAUTHORIZED;
    }
    let is_new = receiver.seen.lock().is_ok_and(|mut seen| seen.insert(id.to_owned()));
    if is_new {
        println!("{}", String::from_utf8_lossy(&body));
    }
    StatusCode::NO_CONTENT
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secrets: Vec<String> = std::env::args().skip(1).collect();
    if secrets.is_empty() {
        return Err("name the secret of the endpoint, whsec_…".into());
    }
    let receiver = Receiver::new(&secrets)?;
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}/hooks", listener.local_addr()?);
    Ok(axum::serve(listener, app(receiver)).await?)
}

#[cfg(test)]
mod tests {
    use otp_core::destination::Reach;
    use otp_core::store::MemoryStore;
    use otp_core::webhook::{Answer, Request, Signing, SigningSecret, WebhookTransport, signed_headers};
    use otp_core::{
        Address, Caller, Delivered, KeyRing, Mode, NewEndpoint, NewTenant, OtpRequest, Service, SystemRandom,
    };
    use otp_server::outbound::Guard;
    use otp_server::webhook::Webhooks;

    use super::*;

    fn transport() -> Webhooks {
        Webhooks::guarded(Guard::anywhere()).unwrap()
    }

    async fn listen(receiver: &Arc<Receiver>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, app(Arc::clone(receiver))).into_future());
        url
    }

    async fn acme() -> (Service, Caller) {
        let service = Service::builder(MemoryStore::new(), KeyRing::generate(&SystemRandom));
        let service = service.webhooks(transport()).webhook_reach(Reach::Anywhere).build();
        let new = NewTenant { plan: Some("pro".to_owned()), ..NewTenant::named("Acme", "ops@acme.com") };
        let tenant = service.create_tenant(new).await.unwrap().id;
        let caller = service.program(tenant, Mode::Live).await.unwrap();
        (service, caller)
    }

    #[tokio::test]
    async fn it_takes_an_event_of_the_service() {
        let secret = SigningSecret::generate(Signing::Hmac, &SystemRandom).text().expose().to_owned();
        let receiver = Receiver::new(std::slice::from_ref(&secret)).unwrap();
        let (service, acme) = acme().await;
        let endpoint = NewEndpoint {
            url: listen(&receiver).await,
            description: String::new(),
            events: vec!["otp.requested".to_owned()],
            signing: Signing::Hmac,
            secret: Some(secret.into()),
            headers: Vec::new(),
            per_second: None,
            idempotency: None,
        };
        service.create_endpoint(&acme, endpoint).await.unwrap();
        let to = Address::Email("ann@example.org".parse().unwrap());
        service.request_otp(&acme, OtpRequest::to(to)).await.unwrap();
        assert_eq!(service.deliver_webhooks(10).await.unwrap(), Delivered { sent: 1, ..Delivered::default() });
        assert_eq!(receiver.seen.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn it_tells_repeats_and_refuses_what_is_forged() {
        let [secret, other] = [(); 2].map(|()| SigningSecret::generate(Signing::Hmac, &SystemRandom));
        let receiver = Receiver::new(&[secret.text().expose().to_owned()]).unwrap();
        let url = listen(&receiver).await;
        let send = async |secret: &SigningSecret, body: &[u8]| {
            let headers = signed_headers(std::slice::from_ref(secret), "evt_1", receiver.clock.now(), b"{}");
            let request = Request { url: url.clone(), headers, body: body.to_vec(), within: None };
            let Answer { status, .. } = transport().send(request).await.unwrap();
            (status, receiver.seen.lock().unwrap().len())
        };
        assert_eq!(send(&other, b"{}").await, (401, 0));
        assert_eq!(send(&secret, b"{ }").await, (401, 0));
        assert_eq!(send(&secret, b"{}").await, (204, 1));
        assert_eq!(send(&secret, b"{}").await, (204, 1));
    }
}
