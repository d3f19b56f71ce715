//! What a code of an authenticator costs to check, and its picture to draw. Beside it, the crate totp-rs at the same codes.
//!
//! `cargo bench --profile fast -p otp-benches --bench totp`

use std::hint::black_box;

use otp_benches::harness::Harness;
use otp_core::Timestamp;
use otp_core::totp::{Digits, HashAlgorithm, KeyUri, Moving, OtpSecret, Period, QrPicture, Totp, TypedOtp};

const SECRET: [u8; 20] = *b"12345678901234567890";
const NOW: u64 = 1_800_000_015;

fn main() {
    let mut harness = Harness::default();
    let totp = Totp { algorithm: HashAlgorithm::Sha1, digits: Digits::SIX, period: Period::USUAL, secret: &SECRET };
    let now = Timestamp::from_millis(NOW as i64 * 1000);
    let theirs = totp_rs::Builder::new()
        .with_algorithm(totp_rs::Algorithm::SHA1)
        .with_digits(6)
        .with_skew(1)
        .with_step_duration(30)
        .with_secret(totp_rs::Secret::new_stack(SECRET))
        .build()
        .expect("a secret of 160 bits");
    let right = totp.code_at(now);
    let wrong = format!("{:06}", (right.parse::<u32>().expect("digits") + 1) % 1_000_000);
    assert_eq!(theirs.generate(NOW).to_string(), right, "the same code");
    let ours = |code: &str| totp.step_of(&code.parse::<TypedOtp>().expect("six digits"), None, now);
    assert_eq!(ours(&right), theirs.check(&right, NOW), "the same step");
    assert_eq!((ours(&wrong), theirs.check(&wrong, NOW)), (None, None), "wrong to both");

    let mut group = harness.criterion.benchmark_group("totp");
    for (name, code) in [("right", &right), ("wrong", &wrong)] {
        group.bench_function(format!("theirs_{name}"), |b| b.iter(|| theirs.check(black_box(code), NOW)));
        group.bench_function(format!("verify_{name}"), |b| b.iter(|| ours(black_box(code))));
    }
    let secret: OtpSecret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".parse().expect("base32");
    let uri = KeyUri {
        issuer: "Acme Rockets",
        account: "ann.example@mailbox.example.org",
        secret: &secret,
        algorithm: HashAlgorithm::Sha1,
        digits: Digits::SIX,
        moving: Moving::usual(),
    };
    let uri = uri.to_uri();
    group.bench_function("qr_png", |b| b.iter(|| QrPicture::of(black_box(uri.expose())).map(|qr| qr.to_png())));
    group.finish();

    for name in ["right", "wrong"] {
        harness.row(&format!("totp/verify_{name}"), &format!("totp/theirs_{name}"), "totp-rs", None);
    }
    harness.row_alone("totp/qr_png");
    harness.criterion.final_summary();
}
