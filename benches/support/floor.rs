//! The floor: the least that a server must do which signs users in durably. Hyper without a framework; of each call the
//! key look-up, the cryptography and the rows that the engine would write, through one writer with group commit. No
//! limits, no checks, nothing parsed that is not needed, no mail rendered; the rows' text is copied from a template.
//!
//! And below it, a hyper that says hello.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use otp_core::api_key::PresentedKey;
use otp_core::secret::{Digest32, Use};
use otp_core::store::{Due, Kind, SmallBytes};
use otp_core::subject::{BucketKey, SubjectKey};
use otp_core::token::{Algorithm, Claims, SigningKey, TokenType, mint};
use otp_core::{Address, ChallengeId, Clock, EventId, MessageId, Random, SessionId, SystemClock, SystemRandom, UserId};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::capture::{Capture, Rows};
use crate::raw;
use crate::world::{Codes, World, address, now};

const WAITING: usize = 1_024;
const BATCH: usize = 256;

/// What the floor knows: who may call, and what rows look like.
pub struct Floor {
    tenants: HashMap<Digest32, Codes>,
    signing: SigningKey,
    clock: SystemClock,
    request: Rows,
    sent: Rows,
    verify: Rows,
    writer: SyncSender<Job>,
}

struct Job {
    rows: Rows,
    reply: Option<oneshot::Sender<()>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    email: &'a str,
    challenge_id: Option<ChallengeId>,
    otp: Option<&'a str>,
}

impl Floor {
    /// A floor with a fresh file in `folder`, for the tenant of these codes and whoever shows `api_key`.
    pub fn new(folder: &Path, api_key: &str, codes: Codes) -> Arc<Self> {
        let (writer, jobs) = sync_channel(WAITING);
        let path = folder.join("floor.db");
        std::thread::spawn(move || write(&path, &jobs));
        let [request, sent, verify] = templates();
        let signing = SigningKey::generate(Algorithm::Hs256, &SystemRandom);
        let tenants = HashMap::from([(Digest32::of(api_key.as_bytes()), codes)]);
        Arc::new(Self { tenants, signing, clock: SystemClock::default(), request, sent, verify, writer })
    }

    async fn answer(&self, request: Request<Incoming>) -> String {
        if request.method() == hyper::Method::GET {
            return "{}".to_owned();
        }
        let key = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = key.and_then(|value| value.strip_prefix("Bearer ")).and_then(|key| PresentedKey::parse(key).ok());
        let codes = &self.tenants[&key.expect("a key").digest];
        let body = request.into_body().collect().await.expect("a body").to_bytes();
        let body: Body<'_> = serde_json::from_slice(&body).expect("JSON");
        let address = Address::Email(body.email.parse().expect("an address"));
        match body.challenge_id {
            None => self.request(codes, &address).await,
            Some(challenge) => self.verify(codes, &address, challenge, body.otp.unwrap_or_default()).await,
        }
    }

    async fn request(&self, codes: &Codes, address: &Address) -> String {
        let mode = codes.space.mode.byte();
        let subject = SubjectKey::of(&codes.keys, mode, address);
        let bucket = BucketKey::of(&codes.keys, mode, address);
        let sealed = codes.keys.seal(&SystemRandom, subject.as_bytes(), address.display().as_bytes());
        let (challenge, at) = (ChallengeId::new(&SystemRandom), self.clock.now());
        let message = MessageId::new(at, &SystemRandom);
        let mut rows = self.request.clone();
        for put in &mut rows.puts {
            match put.key.kind {
                Kind::Recipient => put.key.id = bucket.as_bytes().into(),
                Kind::Challenge => {
                    (put.key.id, put.owner) = (challenge.as_bytes().into(), Some(subject.as_bytes().into()))
                }
                Kind::Message => put.key.id = message.as_bytes().into(),
                _ => put.key.id = EventId::new(at, &SystemRandom).as_bytes().into(),
            }
        }
        self.commit(rows).await;
        std::hint::black_box((sealed, codes.code_of(&subject, challenge)));
        self.note_sent(message);
        format!(
            "{{\"success\":true,\"message\":\"Code sent\",\"challengeId\":\"{challenge}\",\"expiresIn\":600,\
             \"expiresAt\":\"{at}\",\"resendAt\":\"{at}\",\"remaining\":2,\"channel\":\"email\"}}"
        )
    }

    /// What a mail worker writes once the mail has left; nobody waits for it.
    fn note_sent(&self, message: MessageId) {
        let mut rows = self.sent.clone();
        rows.puts.iter_mut().for_each(|put| put.key.id = message.as_bytes().into());
        let _ = self.writer.try_send(Job { rows, reply: None });
    }

    async fn verify(&self, codes: &Codes, address: &Address, challenge: ChallengeId, said: &str) -> String {
        let mode = codes.space.mode.byte();
        let subject = SubjectKey::of(&codes.keys, mode, address);
        let bucket = BucketKey::of(&codes.keys, mode, address);
        assert_eq!(codes.code_of(&subject, challenge).expose(), said, "a wrong code");
        let at = self.clock.now();
        let (user, session) = (UserId::new(at, &SystemRandom), SessionId::new(at, &SystemRandom));
        let secret: [u8; 32] = (&SystemRandom as &dyn Random).bytes();
        let refresh = codes.keys.digest(1, Use::Refresh, &[&secret]).expect("the key is of the ring");
        std::hint::black_box((bucket, Digest32::of(&refresh.0)));
        let sealed = codes.keys.seal(&SystemRandom, subject.as_bytes(), address.display().as_bytes());
        let mut rows = self.verify.clone();
        let owner = |bytes: &[u8; 16]| Some(SmallBytes::from(bytes));
        for put in &mut rows.puts {
            match put.key.kind {
                Kind::Challenge => {
                    (put.key.id, put.owner) = (challenge.as_bytes().into(), Some(subject.as_bytes().into()))
                }
                Kind::User => (put.key.id, put.alias) = (user.as_bytes().into(), Some(subject.as_bytes().into())),
                Kind::Session => (put.key.id, put.owner) = (session.as_bytes().into(), owner(user.as_bytes())),
                _ => put.key.id = EventId::new(at, &SystemRandom).as_bytes().into(),
            }
        }
        self.commit(rows).await;
        std::hint::black_box(sealed);
        let token = mint(&self.signing, TokenType::Access, &self.claims(codes, user, session, address));
        format!(
            "{{\"success\":true,\"token\":\"{token}\",\"tokenType\":\"Bearer\",\"expiresAt\":\"{at}\",\
             \"refreshToken\":\"{}\",\"refreshExpiresAt\":\"{at}\",\"userId\":\"{user}\",\"email\":\"{}\",\
             \"isNewUser\":true,\"sessionId\":\"{session}\"}}",
            refresh.to_base64url(),
            address.display()
        )
    }

    fn claims(&self, codes: &Codes, user: UserId, session: SessionId, address: &Address) -> Claims {
        let at = self.clock.now().as_secs();
        Claims {
            iss: "http://127.0.0.1:8080/auth/cust_1111111111111111111111".to_owned(),
            sub: user.to_string(),
            aud: codes.space.tenant,
            sid: Some(session),
            jti: session.to_string(),
            iat: at,
            nbf: at,
            exp: at + 25_200,
            email: Some(address.display().to_owned()),
            phone: None,
            amr: vec!["otp".to_owned()],
            auth_time: None,
            acr: None,
            purpose: None,
            context_hash: None,
            custom: serde_json::Map::new(),
        }
    }

    async fn commit(&self, rows: Rows) {
        let (reply, done) = oneshot::channel();
        assert!(self.writer.try_send(Job { rows, reply: Some(reply) }).is_ok(), "room in the queue");
        done.await.expect("a commit");
    }
}

/// The rows of one request, of its mail being sent, and of one verification.
fn templates() -> [Rows; 3] {
    let capture = Arc::new(Capture::default());
    let world = now(World::on(Arc::clone(&capture)));
    capture.written();
    let of_one = |rows: Vec<Rows>| rows.into_iter().next().expect("a command");
    let challenge = now(world.request(address("template", 0)));
    let request = of_one(capture.written());
    let message = request.puts.iter().find(|put| put.key.kind == Kind::Message).expect("a message").clone();
    let sent = otp_core::usage::CounterKey::at(
        world.codes.space,
        otp_core::usage::Counter::EmailsSent,
        otp_core::usage::Span::Hour,
        world.service.now(),
    );
    let sent = Rows {
        puts: vec![crate::capture::Put { is_new: false, due: Due::default(), ..message }],
        adds: vec![(sent, 1)],
    };
    now(world.verify(world.verification(address("template", 0), challenge)));
    [request, sent, of_one(capture.written())]
}

fn write(path: &Path, jobs: &Receiver<Job>) {
    let connection = raw::open(path);
    let mut writer = raw::Writer::new(&connection);
    while let Ok(first) = jobs.recv() {
        let batch: Vec<Job> = std::iter::once(first).chain(jobs.try_iter().take(BATCH - 1)).collect();
        writer.commit(batch.iter().map(|job| &job.rows)).expect("a commit");
        for job in batch {
            job.reply.map(|reply| reply.send(()));
        }
    }
}

/// Serves the floor until the process ends.
pub fn serve(address: SocketAddr, floor: Arc<Floor>) -> ! {
    let answer = move |request: Request<Incoming>| {
        let floor = Arc::clone(&floor);
        async move { floor.answer(request).await }
    };
    listen(address, answer)
}

/// Serves a hello until the process ends.
pub fn serve_hello(address: SocketAddr) -> ! {
    listen(address, |request: Request<Incoming>| async move {
        let _ = request.into_body().collect().await;
        "{\"hello\":\"world\"}".to_owned()
    })
}

fn listen<F, A>(address: SocketAddr, answer: F) -> !
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = String> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.expect("a free address");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("a socket option");
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answer = answer(request);
                async move { Ok::<_, Infallible>(json(answer.await)) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            let connection = http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    })
}

fn json(text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
