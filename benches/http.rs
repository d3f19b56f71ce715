//! Whole sign-ins over the loopback with 1, 64 and 256 keep-alive connections, every answer durable: the real server
//! by turns with a floor (see `support/floor.rs`), and below both a hyper that says hello. Each is a process of
//! its own; the load is one thread. Processor time is counted until the server stands still, mails included.
//!
//! `cargo build --profile fast -p otp-server && cargo bench --profile fast -p otp-benches --bench http`, with
//! `OTP_BENCH_QUICK=1` in a tenth of the time. `cargo xtask bench http` does both.
//!
//! `cargo bench --profile fast -p otp-benches --bench http -- --url http://HOST:PORT --key otp_test_sk_…` measures a server that
//! runs already, with a test key of a customer without quotas.

#![allow(clippy::disallowed_methods)] // measures real time, and reads its one switch

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use otp_benches::child::{Server, free_address};
use otp_benches::floor::{self, Floor};
use otp_benches::load::{self, Answers, post};
use otp_benches::race::is_quick;
use otp_benches::remote::Remote;
use otp_benches::row::{Row, rate, time};
use otp_benches::run::{Run, TURNS};
use otp_benches::world::{Codes, address};
use otp_core::{KeyRing, Mode, Secret, SystemRandom, TenantId, api_key};
use serde_json::{Value, json};

/// Connections, and the sign-ins they make together.
const LEVELS: [(usize, usize); 3] = [(1, 2_000), (64, 20_000), (256, 20_000)];
const WARM_UP: usize = 2_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("--serve-floor") => serve_floor(&arguments[2..]),
        Some("--serve-hello") => floor::serve_hello(arguments[2].parse().expect("an address")),
        Some("--url") => remote(&arguments[2..]),
        _ => measure(),
    }
}

fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let product = Product::new(folder.path());
    let server = product.start();
    let idle = server.resident();
    let customer = product.customer(&server);
    let floor = start_floor(folder.path(), &product, &customer);
    let floor = Tested { server: floor, customer: customer.clone(), name: "floor" };
    let tested = Tested { server, customer, name: "server" };
    hello();

    tested.sign_in(64, "warm", scaled(WARM_UP));
    floor.sign_in(64, "warm", scaled(WARM_UP));
    for (connections, sign_ins) in LEVELS {
        level(connections, scaled(sign_ins), &tested, &floor);
    }
    let after = tested.server.resident();
    let floor_after = floor.server.resident();
    let memory = format!("{idle:.1} MiB idle, {after:.1} MiB after");
    Row::new("http/memory", memory.clone())
        .against(format!("floor {floor_after:.1} MiB after"), "")
        .memory(memory)
        .print();
    start_again(&product, tested.server);
}

/// The same sign-ins at a server that runs already.
fn remote(arguments: &[String]) {
    let [url, flag, key, ..] = arguments else { panic!("--url http://HOST:PORT --key otp_test_sk_…") };
    assert_eq!(flag, "--key", "--url http://HOST:PORT --key otp_test_sk_…");
    let remote = Remote::new(url, key);
    for (connections, sign_ins) in LEVELS {
        remote.measure(connections, scaled(sign_ins));
    }
}

fn level(connections: usize, sign_ins: usize, tested: &Tested, floor: &Tested) {
    let mut sums: [(Run, Run); 2] = Default::default();
    for turn in 0..TURNS {
        let kind = format!("c{connections}t{turn}n");
        let base = floor.sign_in(connections, &kind, sign_ins / TURNS);
        let measured = tested.sign_in(connections, &kind, sign_ins / TURNS);
        for (sum, (measured, base)) in sums.iter_mut().zip(measured.into_iter().zip(base)) {
            sum.0.add(measured);
            sum.1.add(base);
        }
    }
    let memory = format!("{:.1} MiB", tested.server.resident());
    let plural = if connections == 1 { "connection" } else { "connections" };
    for (name, (measured, base)) in ["request", "verify"].into_iter().zip(sums) {
        let beside = format!("floor {}, CPU {}", base.words(), time(base.cpu_per_call()));
        let p99 = measured.quantile(0.99).as_secs_f64() / base.quantile(0.99).as_secs_f64();
        Row::new(format!("http/{name}, {connections} {plural}"), measured.words())
            .against(
                beside,
                format!("{}, p99 {p99:.2}x, CPU {}", measured.rate_beside(&base), measured.cpu_beside(&base)),
            )
            .cpu(measured.cpu_per_call())
            .memory(&memory)
            .print();
    }
}

/// Stops the server in the ordinary way and starts it on the database that it leaves.
fn start_again(product: &Product, server: Server) {
    server.stop();
    let starts = (0..5).map(|_| {
        let server = product.start();
        let started_in = server.started_in;
        server.stop();
        started_in
    });
    let mut starts: Vec<Duration> = starts.collect();
    starts.sort_unstable();
    Row::new("http/start to first answer", format!("{}, slowest of 5 {}", time(starts[2]), time(starts[4]))).print();
}

fn scaled(calls: usize) -> usize {
    if is_quick() { calls / 10 } else { calls }
}

/// Who calls.
#[derive(Clone)]
struct Customer {
    api_key: Secret,
    codes: Codes,
}

/// A server under load, and a customer of it.
struct Tested {
    server: Server,
    customer: Customer,
    name: &'static str,
}

impl Tested {
    /// Signs new users in: all ask for codes, then all say them.
    fn sign_in(&self, connections: usize, kind: &str, count: usize) -> [Run; 2] {
        let body = |number| json!({ "email": address(kind, number).display() }).to_string();
        let requests: Vec<_> = (0..count).map(|number| self.post("/auth/request-otp", &body(number))).collect();
        let (asked, answers) = self.run(connections, &requests);
        let said = answers.iter().enumerate().map(|(number, answer)| {
            let answer: Value = serde_json::from_slice(answer).expect("JSON");
            let challenge = answer["challengeId"].as_str().expect("a challenge").parse().expect("its id");
            let address = address(kind, number);
            let code = self.customer.codes.code(&address, challenge);
            let body = json!({ "email": address.display(), "challengeId": challenge, "otp": code.expose() });
            self.post("/auth/verify-otp", &body.to_string())
        });
        let verifications: Vec<_> = said.collect();
        [asked, self.run(connections, &verifications).0]
    }

    fn post(&self, path: &str, body: &str) -> Vec<u8> {
        post(path, self.customer.api_key.expose(), body)
    }

    fn run(&self, connections: usize, requests: &[Vec<u8>]) -> (Run, Vec<Vec<u8>>) {
        let before = self.server.settled_cpu();
        let Answers { bodies, spans, took } = load::run(self.server.address, connections, requests);
        let cpu = self.server.settled_cpu() - before;
        eprintln!("{}, {connections} connections: {}", self.name, rate(requests.len(), took));
        (Run { calls: requests.len(), took, cpu, spans, commits: 0 }, bodies)
    }
}

/// The real server, its data and its secrets.
struct Product {
    data: PathBuf,
    address: SocketAddr,
    ring: KeyRing,
    admin_token: Secret,
}

impl Product {
    fn new(folder: &Path) -> Self {
        let ring = KeyRing::generate(&SystemRandom);
        let admin_token = api_key::new_admin_token(&SystemRandom);
        Self { data: folder.join("data"), address: free_address(), ring, admin_token }
    }

    fn start(&self) -> Server {
        let mut program = Command::new(beside_this("otp-server"));
        program
            .arg("serve")
            .env("OTP_DATA_DIR", &self.data)
            .env("OTP_LISTEN", self.address.to_string())
            .env("OTP_ADMIN_LISTEN", "")
            .env("OTP_MASTER_KEY", self.ring.export().expose())
            .env("OTP_ADMIN_TOKEN", self.admin_token.expose())
            .env("OTP_MAIL_URL", "mailbox:")
            .env("OTP_LOG", "warn");
        Server::start(program, self.address, "/health")
    }

    /// A customer without quotas.
    fn customer(&self, server: &Server) -> Customer {
        let new = json!({ "name": "Acme", "email": "ops@acme.com", "plan": "enterprise" }).to_string();
        let request = post("/admin/customers", self.admin_token.expose(), &new);
        let answer = load::run(server.address, 1, &[request]).bodies.remove(0);
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        let text = |name: &str| answer[name].as_str().expect("a text").to_owned();
        let tenant: TenantId = text("customerId").parse().expect("an id");
        Customer { api_key: text("apiKey").into(), codes: Codes::of(&self.ring, tenant) }
    }
}

/// A program that was built with the same profile as this bench.
fn beside_this(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("this program's path");
    let program = this.parent().and_then(Path::parent).expect("target/PROFILE/deps").join(name);
    assert!(program.exists(), "{} is not there: build it with the profile of this bench", program.display());
    program
}

fn this(arguments: &[&str]) -> Command {
    let mut program = Command::new(std::env::current_exe().expect("this program's path"));
    program.args(arguments);
    program
}

fn hello() {
    let address = free_address();
    let server = Server::start(this(&["--serve-hello", &address.to_string()]), address, "/");
    for connections in [1, 64, 256] {
        let requests = vec![post("/", "nobody", "{}"); scaled(if connections == 1 { 10_000 } else { 60_000 })];
        let before = server.cpu();
        let Answers { spans, took, .. } = load::run(address, connections, &requests);
        let run = Run { calls: requests.len(), took, cpu: server.cpu() - before, spans, commits: 0 };
        let memory = format!("{:.1} MiB", server.resident());
        Row::new(format!("http/bare hyper, {connections} connections"), run.words())
            .cpu(run.cpu_per_call())
            .memory(memory)
            .print();
    }
}

fn start_floor(folder: &Path, product: &Product, customer: &Customer) -> Server {
    let address = free_address();
    let tenant = customer.codes.space.tenant.to_string();
    let mut program = this(&["--serve-floor", &address.to_string(), &folder.to_string_lossy(), &tenant]);
    program.env("FLOOR_RING", product.ring.export().expose()).env("FLOOR_KEY", customer.api_key.expose());
    Server::start(program, address, "/")
}

fn serve_floor(arguments: &[String]) -> ! {
    let [address, folder, tenant] = arguments else { panic!("--serve-floor ADDRESS FOLDER TENANT") };
    let secret = |name| std::env::var(name).expect("a secret in the environment");
    let ring: KeyRing = secret("FLOOR_RING").parse().expect("a key ring");
    let codes = Codes::of(&ring, tenant.parse().expect("an id"));
    debug_assert_eq!(codes.space.mode, Mode::Live);
    floor::serve(address.parse().expect("an address"), Floor::new(Path::new(folder), &secret("FLOOR_KEY"), codes))
}
