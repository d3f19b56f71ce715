//! What a call of the engine costs without a disk: an API key is shown and a code asked for or said, JWT included, on the
//! store in memory. Beside it, a bare loop with the same look-up, keyed digests, one counter and the token.
//!
//! `cargo bench --profile fast -p otp-benches --bench memory_store`

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use otp_benches::child::own_cpu;
use otp_benches::harness::Harness;
use otp_benches::world::{Codes, World, address, now};
use otp_core::secret::Digest32;
use otp_core::subject::{BucketKey, SubjectKey};
use otp_core::token::{Algorithm, Claims, SigningKey, TokenType, mint};
use otp_core::{Address, ChallengeId, SystemRandom, TenantId};

/// Calls to one store, so that memory stays within bounds however long is measured.
const CALLS: u64 = 5_000;
/// So many times that, for processor time, which is counted in steps of 10 ms.
const PARTS: u32 = 20;

fn main() {
    let mut harness = Harness::default();
    let mut group = harness.criterion.benchmark_group("memory_store");
    group.bench_function("request", |bencher| bencher.iter_custom(|calls| in_parts(calls, requests)));
    group.bench_function("verify", |bencher| bencher.iter_custom(|calls| in_parts(calls, verifications)));
    group.bench_function("bare_request", |bencher| bencher.iter_custom(|calls| in_parts(calls, bare_requests)));
    group.bench_function("bare_verify", |bencher| bencher.iter_custom(|calls| in_parts(calls, bare_verifications)));
    group.finish();
    harness.row("memory_store/request", "memory_store/bare_request", "bare loop", Some(cpu_per_call(requests)));
    harness.row("memory_store/verify", "memory_store/bare_verify", "bare loop", Some(cpu_per_call(verifications)));
    harness.criterion.final_summary();
}

fn in_parts(calls: u64, run: impl Fn(usize) -> Span) -> Duration {
    (0..calls).step_by(CALLS as usize).map(|done| run((calls - done).min(CALLS) as usize).wall).sum()
}

/// User and system time of a call, which tells more than the clock does where others use the machine too.
fn cpu_per_call(run: impl Fn(usize) -> Span) -> Duration {
    let parts = (0..PARTS).map(|_| run(CALLS as usize).cpu);
    parts.sum::<Duration>() / (PARTS * CALLS as u32)
}

/// How long calls took.
struct Span {
    wall: Duration,
    cpu: Duration,
}

fn timed(act: impl FnOnce()) -> Span {
    let (started, cpu) = (Instant::now(), own_cpu());
    act();
    Span { wall: started.elapsed(), cpu: own_cpu() - cpu }
}

fn addresses(count: usize) -> Vec<Address> {
    (0..count).map(|number| address("user", number)).collect()
}

fn requests(count: usize) -> Span {
    let (world, addresses) = (World::in_memory(), addresses(count));
    timed(|| {
        for address in addresses {
            black_box(now(world.request(address)));
        }
    })
}

fn verifications(count: usize) -> Span {
    let world = World::in_memory();
    let asked = addresses(count).into_iter().map(|address| {
        let challenge = now(world.request(address.clone()));
        world.verification(address, challenge)
    });
    let verifications: Vec<_> = asked.collect();
    timed(|| {
        for verification in verifications {
            black_box(now(world.verify(verification)));
        }
    })
}

struct Bare {
    key: String,
    codes: Codes,
    tenants: HashMap<Digest32, Codes>,
    counts: HashMap<TenantId, u64>,
    signing: SigningKey,
}

impl Bare {
    fn new() -> Self {
        let world = World::in_memory();
        let key = world.api_key.expose().to_owned();
        let tenants = HashMap::from([(Digest32::of(key.as_bytes()), world.codes.clone())]);
        let signing = SigningKey::generate(Algorithm::Hs256, &SystemRandom);
        Self { key, codes: world.codes, tenants, counts: HashMap::new(), signing }
    }

    fn request(&mut self, address: &Address) -> ChallengeId {
        let codes = &self.tenants[&Digest32::of(black_box(self.key.as_bytes()))];
        let mode = codes.space.mode.byte();
        black_box((SubjectKey::of(&codes.keys, mode, address), BucketKey::of(&codes.keys, mode, address)));
        *self.counts.entry(codes.space.tenant).or_default() += 1;
        ChallengeId::new(&SystemRandom)
    }

    fn verify(&mut self, address: &Address, challenge: ChallengeId, code: &str) -> String {
        let codes = &self.tenants[&Digest32::of(black_box(self.key.as_bytes()))];
        let mode = codes.space.mode.byte();
        let subject = SubjectKey::of(&codes.keys, mode, address);
        black_box(BucketKey::of(&codes.keys, mode, address));
        assert_eq!(codes.code_of(&subject, challenge).expose(), code);
        *self.counts.entry(codes.space.tenant).or_default() += 1;
        let claims = Claims {
            iss: "http://127.0.0.1:8080/auth/cust_1111111111111111111111".to_owned(),
            sub: "user_1111111111111111111111".to_owned(),
            aud: codes.space.tenant,
            sid: None,
            jti: challenge.to_string(),
            iat: 1_769_847_330,
            nbf: 1_769_847_330,
            exp: 1_769_872_530,
            email: Some(address.canonical().to_owned()),
            phone: None,
            amr: vec!["otp".to_owned()],
            auth_time: None,
            acr: None,
            purpose: None,
            context_hash: None,
            custom: serde_json::Map::new(),
        };
        mint(&self.signing, TokenType::Access, &claims)
    }
}

fn bare_requests(count: usize) -> Span {
    let (mut bare, addresses) = (Bare::new(), addresses(count));
    timed(|| {
        for address in addresses {
            black_box(bare.request(&address));
        }
    })
}

fn bare_verifications(count: usize) -> Span {
    let mut bare = Bare::new();
    let challenge = ChallengeId::from_bytes([7; 16]);
    let with_code = |address: Address| (bare.codes.code(&address, challenge), address);
    let said: Vec<_> = addresses(count).into_iter().map(with_code).collect();
    timed(|| {
        for (code, address) in &said {
            black_box(bare.verify(address, challenge, code.expose()));
        }
    })
}
