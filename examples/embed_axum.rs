//! The HTTP API inside an axum server of one's own, beside its own routes, one of which wants a signed-in user.
//!
//! `cargo run -p otp-examples --example embed_axum`, then paste what it prints.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::map_request;
use axum::routing::get;
use otp_core::message::{Mailer, Outgoing, Receipt, SendError};
use otp_core::secret::Digest32;
use otp_core::store::MemoryStore;
use otp_core::{Error as OtpError, KeyRing, NewTenant, Service, SystemRandom, api_key};
use otp_server::callbacks::Callbacks;
use otp_server::http::{App, AppOptions, routes};
use otp_server::listen::Peer;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;

struct Printer;

#[async_trait::async_trait]
impl Mailer for Printer {
    async fn send(&self, mail: &Outgoing) -> Result<Receipt, SendError> {
        println!("To: {}\n\n{}", mail.to, mail.text);
        Ok(Receipt::default())
    }
}

/// The engine, and a task that sends its mail: at once when some is queued, and every second what is to be tried again.
fn engine() -> Service {
    let queued = Arc::new(Notify::new());
    let wake = Arc::clone(&queued);
    let service = Service::builder(MemoryStore::new(), KeyRing::generate(&SystemRandom))
        .mailer(Printer)
        .on_queued(move || wake.notify_one())
        .build();
    let sender = service.clone();
    tokio::spawn(async move {
        loop {
            let _ = timeout(Duration::from_secs(1), queued.notified()).await;
            if let Err(error) = sender.deliver_pending(100).await {
                eprintln!("mail waits: {error}");
            }
        }
    });
    service
}

/// `/` and `/hello` are this program's, all other routes are those of the API.
fn app(service: Service) -> Router {
    // What opens the API's routes for administrators. Keep one instead of making a new one at every start.
    let admin_token = api_key::new_admin_token(&SystemRandom);
    let admin_token = Digest32::of(admin_token.expose().as_bytes());
    let api = routes(App::new(AppOptions {
        service: service.clone(),
        admin_token,
        trusted_proxies: Vec::new(),
        callbacks: Callbacks::default(),
    }));
    let own = Router::new().route("/", get(async || "An application\n")).route("/hello", get(hello));
    own.with_state(service).merge(api.layer(map_request(note_peer)))
}

/// The API reads the client's address from [`Peer`], which the server's own accept loop notes. Under another loop it has to
/// be noted by somebody else: without it, limits by address do not apply and keys with an address list are refused.
async fn note_peer(ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request) -> Request {
    request.extensions_mut().insert(Peer(peer));
    request
}

async fn hello(State(service): State<Service>, headers: HeaderMap) -> Result<String, StatusCode> {
    let credentials = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = credentials.and_then(|value| value.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)?;
    match service.me(token).await {
        Ok(me) => Ok(format!("Hello, {}\n", me.email.as_deref().unwrap_or("whoever you are"))),
        Err(OtpError::Store(_)) => Err(StatusCode::SERVICE_UNAVAILABLE),
        Err(_) => Err(StatusCode::UNAUTHORIZED),
    }
}

async fn serve(listener: TcpListener, service: Service) -> std::io::Result<()> {
    axum::serve(listener, app(service).into_make_service_with_connect_info::<SocketAddr>()).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = engine();
    let key = service.create_tenant(NewTenant::named("Acme", "ops@acme.com")).await?.api_key;
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let at = listener.local_addr()?;
    let post = format!("curl -H 'Authorization: Bearer {}' -H 'Content-Type: application/json'", key.expose());
    println!("{post} http://{at}/auth/request-otp -d '{{\"email\":\"ann@example.org\"}}'");
    println!("{post} http://{at}/auth/verify-otp -d '{{\"email\":\"ann@example.org\",\"otp\":\"CODE\"}}'");
    println!("curl -H 'Authorization: Bearer TOKEN' http://{at}/hello");
    Ok(serve(listener, service).await?)
}

#[cfg(test)]
mod tests {
    use otp_core::api_key::KeyType;
    use otp_core::{Mode, NewApiKey};
    use serde_json::Value;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn call(at: SocketAddr, credential: &str, request: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let head =
            format!("{request} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nAuthorization: Bearer {credential}\r\n");
        let body = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn body(answer: &str) -> Value {
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    async fn test_key_from_loopback(service: &Service) -> String {
        let tenant = service.create_tenant(NewTenant::named("Acme", "ops@acme.com")).await.unwrap().id;
        let new = NewApiKey {
            name: "test".to_owned(),
            key_type: KeyType::Secret,
            mode: Mode::Test,
            allowed_origins: Vec::new(),
            allowed_ips: vec!["127.0.0.1".to_owned()],
            scopes: Vec::new(),
            expires_at: None,
            idempotency: None,
        };
        let administrator = service.administrator(tenant).await.unwrap();
        service.create_key(&administrator, new).await.unwrap().value.api_key.expose().to_owned()
    }

    #[tokio::test]
    async fn a_token_from_the_api_opens_the_programs_own_route() {
        let service = engine();
        let key = test_key_from_loopback(&service).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, service));

        let ann = r#"{"email":"ann@example.org"}"#;
        let asked = body(&call(at, &key, "POST /auth/request-otp", ann).await);
        let said = format!(r#"{{"challengeId":{},"otp":{}}}"#, asked["challengeId"], asked["testCode"]);
        let signed_in = body(&call(at, &key, "POST /auth/verify-otp", &said).await);
        let token = signed_in["token"].as_str().unwrap();
        assert!(call(at, token, "GET /hello", "").await.ends_with("\r\n\r\nHello, ann@example.org\n"));
        assert!(call(at, "nonsense", "GET /hello", "").await.starts_with("HTTP/1.1 401"));
        assert!(call(at, &key, "GET /", "").await.ends_with("An application\n"));
    }
}
