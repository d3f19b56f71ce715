//! What a code costs: derived, and compared with what somebody typed, and what it costs to seal and open the address it goes
//! to. Beside them, the one HMAC that a code is made of.
//!
//! `cargo bench --profile fast -p otp-benches --bench passcode`

use std::hint::black_box;

use otp_benches::harness::Harness;
use otp_benches::world::{World, address};
use otp_core::passcode::{Derivation, PasscodeFormat, TypedCode};
use otp_core::secret::Use;
use otp_core::subject::SubjectKey;
use otp_core::{ChallengeId, SystemRandom};

fn main() {
    let mut harness = Harness::default();
    let codes = World::in_memory().codes;
    let subject = SubjectKey::of(&codes.keys, codes.space.mode.byte(), &address("ann", 1));
    let challenge = ChallengeId::from_bytes([7; 16]);
    let of = |format: PasscodeFormat| Derivation {
        space: codes.space,
        challenge,
        kid: codes.keys.newest(),
        purpose: "login",
        subject: &subject,
        context: None,
        format,
    };
    let digits = of(PasscodeFormat::default());
    let letters = of("letters:12".parse().expect("a format"));
    let typed: TypedCode = digits.code(&codes.keys).expect("a code").expose().parse().expect("a code");
    let parts: [&[u8]; 7] = [
        codes.space.tenant.as_bytes(),
        &[codes.space.mode.byte()],
        challenge.as_bytes(),
        b"login",
        subject.as_bytes(),
        &[],
        &[0],
    ];

    let mut group = harness.criterion.benchmark_group("passcode");
    group.bench_function("hmac", |b| b.iter(|| codes.keys.digest(1, Use::Passcode, black_box(&parts))));
    group.bench_function("digits_9", |b| b.iter(|| black_box(&digits).code(&codes.keys)));
    group.bench_function("letters_12", |b| b.iter(|| black_box(&letters).code(&codes.keys)));
    group.bench_function("accepts", |b| b.iter(|| black_box(&digits).accepts(&codes.keys, &typed)));
    let sealed = codes.keys.seal(&SystemRandom, subject.as_bytes(), b"ann@example.org");
    group.bench_function("seal", |b| {
        b.iter(|| codes.keys.seal(&SystemRandom, subject.as_bytes(), black_box(b"ann@example.org")))
    });
    group.bench_function("open", |b| b.iter(|| codes.keys.open(subject.as_bytes(), black_box(&sealed))));
    group.finish();

    for name in ["digits_9", "letters_12", "accepts", "seal", "open"].map(|name| format!("passcode/{name}")) {
        harness.row(&name, "passcode/hmac", "HMAC-SHA256", None);
    }
    harness.criterion.final_summary();
}
