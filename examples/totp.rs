//! A second factor in a program of one's own: an authenticator is set up, a sign-in waits for it, and its code ends the
//! sign-in.
//!
//! `cargo run -p otp-examples --example totp`
//!
//! Sign-ins that need a second factor fail with [`Error::SecondFactorRequired`], so a program that does not know of them
//! lets nobody in by half.

use std::sync::Arc;
use std::time::Duration;

use otp_core::store::MemoryStore;
use otp_core::totp::{Digits, HashAlgorithm, OtpSecret, Period, hotp};
use otp_core::{
    Address, Caller, Client, Clock, Deliver, Error, KeyRing, ManualClock, Mode, NewTenant, OtpRequest, OtpVerification,
    SecondFactorProof, Secret, Service, SignedIn, SystemRandom, Timestamp,
};

#[tokio::main]
async fn main() -> Result<(), Error> {
    run().await
}

async fn run() -> Result<(), Error> {
    // A clock that is told the time, so that the app below can be waited for without waiting.
    let clock = Arc::new(ManualClock::default());
    let keys = KeyRing::generate(&SystemRandom);
    let service = Service::builder(MemoryStore::new(), keys).clock(clock.clone()).build();
    let tenant = service.create_tenant(NewTenant::named("Acme", "ops@acme.com")).await?;
    let acme = service.program(tenant.id, Mode::Live).await?;

    let me = service.me(sign_in(&service, &acme).await?.token.expose()).await?;
    let enrolment = service.register_totp(&me).await?;
    println!("to be scanned: {} bytes of PNG", enrolment.qr.to_png().len());
    let app: OtpSecret = enrolment.secret.expose().parse().expect("a secret of ours");
    let codes = service.enable_totp(&me, &shown(&app, clock.now()), &Client::default()).await?;
    println!("{} recovery codes, to be shown once", codes.len());

    clock.advance(Duration::from_secs(60));
    let Err(Error::SecondFactorRequired(required)) = sign_in(&service, &acme).await else {
        panic!("the mail's code alone must not sign in")
    };
    let proof = SecondFactorProof::Otp(Secret::from(shown(&app, clock.now())));
    let token = required.mfa_token.expose();
    let done = service.complete_sign_in(&acme, token, &proof, false, &Client::default()).await?;
    println!("{} is signed in with two factors", done.signed_in.user_id);
    Ok(())
}

/// A sign-in whose code the program hands over by itself.
async fn sign_in(service: &Service, acme: &Caller) -> Result<SignedIn, Error> {
    let address = Address::Email("ann@example.org".parse().expect("an address"));
    let request = OtpRequest { deliver: Deliver::Caller, ..OtpRequest::to(address) };
    let challenge = service.request_otp(acme, request).await?.value;
    let code = challenge.code.expect("the caller delivers it");
    let verification = OtpVerification::of(challenge.challenge_id, code.expose());
    Ok(service.verify_otp(acme, verification).await?.value)
}

/// What the app shows: it computes the same from the same secret.
fn shown(app: &OtpSecret, at: Timestamp) -> String {
    Digits::SIX.of(hotp(HashAlgorithm::Sha1, app.as_bytes(), Period::USUAL.step_at(at)))
}

#[tokio::test]
async fn it_runs() {
    run().await.unwrap();
}
