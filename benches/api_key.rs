//! What an API key costs: made, checked for typing mistakes, and recognised by a service that has seen it before. Beside
//! it, the one SHA-256 that it is looked up by.
//!
//! `cargo bench --profile fast -p otp-benches --bench api_key`

use std::hint::black_box;

use otp_benches::harness::Harness;
use otp_benches::world::{World, now};
use otp_core::api_key::{KeyType, PresentedKey, new_key};
use otp_core::secret::Digest32;
use otp_core::{Approach, Mode, SystemRandom};

fn main() {
    let mut harness = Harness::default();
    let world = World::in_memory();
    let key = world.api_key.expose();
    let mistyped = key.replacen("sk_", "sk_x", 1);
    let approach = Approach::default();

    let mut group = harness.criterion.benchmark_group("api_key");
    group.bench_function("sha256", |bencher| bencher.iter(|| Digest32::of(black_box(key.as_bytes()))));
    group.bench_function("new", |bencher| bencher.iter(|| new_key(KeyType::Secret, Mode::Live, &SystemRandom)));
    group.bench_function("parse", |bencher| bencher.iter(|| PresentedKey::parse(black_box(key))));
    group.bench_function("parse_mistyped", |bencher| bencher.iter(|| PresentedKey::parse(black_box(&mistyped))));
    group.bench_function("authenticate", |bencher| {
        bencher.iter(|| now(world.service.authenticate(black_box(key), &approach)).expect("the key is good"))
    });
    group.finish();

    harness.row_alone("api_key/new");
    for name in ["api_key/parse", "api_key/parse_mistyped", "api_key/authenticate"] {
        harness.row(name, "api_key/sha256", "SHA-256", None);
    }
    harness.criterion.final_summary();
}
