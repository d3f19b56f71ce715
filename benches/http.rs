//! Whole sign-ins over the loopback with 1, 64 and 256 keep-alive connections, every answer durable: the real server
//! beside a floor (see `support/floor.rs`) in the same run, and below both a hyper that says hello. Each is a process of
//! its own; the load is one thread. Processor time is counted until the server stands still, mails included.
//!
//! `cargo build --profile fast -p otp-server && cargo bench --profile fast -p otp-benches --bench http`, with
//! `OTP_BENCH_QUICK=1` in a tenth of the time. `cargo xtask bench http` does both.

#![allow(clippy::disallowed_methods)] // measures real time, and reads its one switch

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use otp_benches::child::{Server, free_address};
use otp_benches::floor::{self, Floor};
use otp_benches::load::{self, Answers, post};
use otp_benches::row::{Row, per_second, percent, rate, time};
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
        let kind = format!("c{connections}n");
        let base = floor.sign_in(connections, &kind, scaled(sign_ins));
        let measured = tested.sign_in(connections, &kind, scaled(sign_ins));
        let memory = format!("{:.1} MiB", tested.server.resident());
        for (name, measured, base) in [("request", &measured[0], &base[0]), ("verify", &measured[1], &base[1])] {
            print(name, connections, measured, base, &memory);
        }
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
    if std::env::var_os("OTP_BENCH_QUICK").is_some() { calls / 10 } else { calls }
}

fn print(name: &str, connections: usize, measured: &Run, base: &Run, memory: &str) {
    let quantiles = |run: &Run| {
        let [p50, p99] = [0.5, 0.99].map(|share| time(run.answers.latencies.quantile(share)));
        format!("{}, p50 {p50}, p99 {p99}", rate(run.answers.count(), run.answers.took))
    };
    let rates = [measured, base].map(|run| per_second(run.answers.count(), run.answers.took));
    let p99 = [measured, base].map(|run| run.answers.latencies.quantile(0.99).as_secs_f64());
    let ratio = format!("{}, p99 {:.2}x", percent(rates[0], rates[1]), p99[0] / p99[1]);
    let floor = format!("floor {}, CPU {}", quantiles(base), time(base.cpu));
    let plural = if connections == 1 { "connection" } else { "connections" };
    Row::new(format!("http/{name}, {connections} {plural}"), quantiles(measured))
        .against(floor, ratio)
        .cpu(measured.cpu)
        .memory(memory)
        .print();
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

/// One run of one sort of call.
struct Run {
    answers: Answers,
    /// Of one call.
    cpu: Duration,
}

impl Tested {
    /// Signs new users in: all ask for codes, then all say them.
    fn sign_in(&self, connections: usize, kind: &str, count: usize) -> [Run; 2] {
        let body = |number| json!({ "email": address(kind, number).display() }).to_string();
        let requests: Vec<_> = (0..count).map(|number| self.post("/auth/request-otp", &body(number))).collect();
        let asked = self.run(connections, &requests);
        let said = asked.answers.bodies.iter().enumerate().map(|(number, answer)| {
            let answer: Value = serde_json::from_slice(answer).expect("JSON");
            let challenge = answer["challengeId"].as_str().expect("a challenge").parse().expect("its id");
            let address = address(kind, number);
            let code = self.customer.codes.code(&address, challenge);
            let body = json!({ "email": address.display(), "challengeId": challenge, "otp": code.expose() });
            self.post("/auth/verify-otp", &body.to_string())
        });
        let verifications: Vec<_> = said.collect();
        [asked, self.run(connections, &verifications)]
    }

    fn post(&self, path: &str, body: &str) -> Vec<u8> {
        post(path, self.customer.api_key.expose(), body)
    }

    fn run(&self, connections: usize, requests: &[Vec<u8>]) -> Run {
        let before = self.server.settled_cpu();
        let answers = load::run(self.server.address, connections, requests);
        let cpu = (self.server.settled_cpu() - before) / requests.len() as u32;
        eprintln!("{}: {connections} connections, {}", self.name, rate(answers.count(), answers.took));
        Run { answers, cpu }
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
        let answers = load::run(address, connections, &requests);
        let cpu = (server.cpu() - before) / requests.len() as u32;
        let [p50, p99] = [0.5, 0.99].map(|share| time(answers.latencies.quantile(share)));
        let measured = format!("{}, p50 {p50}, p99 {p99}", rate(answers.count(), answers.took));
        let memory = format!("{:.1} MiB", server.resident());
        Row::new(format!("http/bare hyper, {connections} connections"), measured).cpu(cpu).memory(memory).print();
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
