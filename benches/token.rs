//! What an access token costs to make and to check, by algorithm. Beside it, the bare signature over as many bytes.
//!
//! `cargo bench --profile fast -p otp-benches --bench token`

use std::hint::black_box;

use ed25519_dalek::Signer as _;
use hmac::{Hmac, KeyInit, Mac};
use otp_benches::harness::Harness;
use otp_core::token::{Algorithm, Claims, SigningKey, TokenType, mint, verify};
use otp_core::{Clock, Random, SystemClock, SystemRandom, TenantId, Timestamp};
use p256::ecdsa::signature::Verifier as _;
use sha2::Sha256;

const ISSUER: &str = "https://otp.example.com/auth/cust_1111111111111111111111";

fn main() {
    let mut harness = Harness::default();
    let now = SystemClock::default().now();
    let claims = claims(now);
    let length = mint(&SigningKey::generate(Algorithm::Hs256, &SystemRandom), TokenType::Access, &claims).len() - 44;
    bare(&mut harness, &vec![b'a'; length]);
    let mut group = harness.criterion.benchmark_group("token");
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256] {
        let key = SigningKey::generate(algorithm, &SystemRandom);
        let token = mint(&key, TokenType::Access, &claims);
        group.bench_function(format!("mint_{algorithm}"), |bencher| {
            bencher.iter(|| mint(&key, TokenType::Access, black_box(&claims)))
        });
        let keys = [key];
        group.bench_function(format!("verify_{algorithm}"), |bencher| {
            bencher.iter(|| verify(&keys, TokenType::Access, ISSUER, claims.aud, now, black_box(&token)).expect("good"))
        });
    }
    group.finish();
    for act in ["mint", "verify"] {
        for algorithm in [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256] {
            harness.row(
                &format!("token/{act}_{algorithm}"),
                &format!("token/bare_{act}_{algorithm}"),
                "signature alone",
                None,
            );
        }
    }
    harness.criterion.final_summary();
}

fn claims(now: Timestamp) -> Claims {
    Claims {
        iss: ISSUER.to_owned(),
        sub: "user_1111111111111111111111".to_owned(),
        aud: TenantId::from_bytes([1; 16]),
        sid: None,
        jti: "sess_1111111111111111111111.1".to_owned(),
        iat: now.as_secs(),
        nbf: now.as_secs(),
        exp: now.as_secs() + 25_200,
        email: Some("ann@example.org".to_owned()),
        phone: None,
        amr: vec!["otp".to_owned()],
        auth_time: None,
        acr: None,
        purpose: None,
        context_hash: None,
        custom: serde_json::Map::new(),
    }
}

fn bare(harness: &mut Harness, message: &[u8]) {
    let mut group = harness.criterion.benchmark_group("token");
    let secret: [u8; 32] = (&SystemRandom as &dyn Random).bytes();

    let mac = Hmac::<Sha256>::new_from_slice(&secret).expect("any length");
    let sign = || mac.clone().chain_update(black_box(message)).finalize().into_bytes();
    let tag = sign();
    group.bench_function("bare_mint_HS256", |bencher| bencher.iter(sign));
    group.bench_function("bare_verify_HS256", |bencher| {
        bencher.iter(|| mac.clone().chain_update(black_box(message)).verify_slice(&tag).is_ok())
    });

    let key = ed25519_dalek::SigningKey::from_bytes(&secret);
    let (public, signature) = (key.verifying_key(), key.sign(message));
    group.bench_function("bare_mint_EdDSA", |bencher| bencher.iter(|| key.sign(black_box(message))));
    group.bench_function("bare_verify_EdDSA", |bencher| {
        bencher.iter(|| public.verify_strict(black_box(message), &signature).is_ok())
    });

    let key = p256::ecdsa::SigningKey::from_slice(&secret).expect("nearly any 32 bytes");
    let (public, signature): (_, p256::ecdsa::Signature) = (*key.verifying_key(), key.sign(message));
    group.bench_function("bare_mint_ES256", |bencher| {
        bencher.iter(|| p256::ecdsa::signature::Signer::<p256::ecdsa::Signature>::sign(&key, black_box(message)))
    });
    group.bench_function("bare_verify_ES256", |bencher| {
        bencher.iter(|| public.verify(black_box(message), &signature).is_ok())
    });
    group.finish();
}
