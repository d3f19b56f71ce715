//! Checking an access token offline, with nothing but the service's published keys and an Ed25519 library: what a
//! backend does that trusts the service and does not want to ask it at every request.
//!
//! `cargo run -p otp-examples --example verify_jwt`
//!
//! The keys are at `/auth/{customerId}/.well-known/jwks.json` of a server, here they come from [`Service::jwks`]. A token
//! that was checked offline stays good until it ends, also when its session is signed out meanwhile; where that is too
//! long, ask `GET /auth/me`.

use std::error::Error;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey};
use otp_core::store::MemoryStore;
use otp_core::token::Algorithm;
use otp_core::{
    Address, Clock, Deliver, KeyRing, Mode, NewTenant, OtpRequest, OtpVerification, Service, Space, SystemClock,
    SystemRandom,
};
use serde_json::Value;

/// What a backend knows of whoever signs its users in.
struct Issuer<'a> {
    /// The JWK set (RFC 7517). Fetch it once, and again when a token names a key that is not in it.
    keys: &'a Value,
    /// What `iss` has to be: the server's public URL, then `/auth/` and the customer's id.
    name: &'a str,
    /// What `aud` has to be: the customer's id.
    audience: &'a str,
}

impl Issuer<'_> {
    /// The token's claims, if it is one of this issuer's access tokens and good at `now`, in seconds of Unix time.
    fn verify(&self, token: &str, now: i64) -> Result<Value, &'static str> {
        let (signed, signature) = token.rsplit_once('.').ok_or("not a JWT")?;
        let (header, payload) = signed.split_once('.').ok_or("not a JWT")?;
        let header = json(header)?;
        // The algorithm is ours to choose, never the token's.
        if header["alg"] != "EdDSA" || header["typ"] != "at+jwt" {
            return Err("not an access token signed with EdDSA");
        }
        let signature = Signature::from_slice(&decode(signature)?).map_err(|_| "a malformed signature")?;
        self.key(&header["kid"])?.verify_strict(signed.as_bytes(), &signature).map_err(|_| "a wrong signature")?;

        let claims = json(payload)?;
        if claims["iss"] != self.name || claims["aud"] != self.audience {
            return Err("made by or for somebody else");
        }
        let in_time = claims["nbf"].as_i64().is_some_and(|from| from <= now)
            && claims["exp"].as_i64().is_some_and(|end| now < end);
        if in_time { Ok(claims) } else { Err("not good at this time") }
    }

    fn key(&self, kid: &Value) -> Result<VerifyingKey, &'static str> {
        let named = |key: &&Value| key["kid"] == *kid && key["kty"] == "OKP" && key["crv"] == "Ed25519";
        let key = self.keys["keys"].as_array().and_then(|keys| keys.iter().find(named)).ok_or("an unknown key")?;
        let bytes = decode(key["x"].as_str().ok_or("a key without its value")?)?;
        let bytes = bytes.try_into().map_err(|_| "a key of another length")?;
        VerifyingKey::from_bytes(&bytes).map_err(|_| "a value that is no key")
    }
}

fn decode(segment: &str) -> Result<Vec<u8>, &'static str> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| "not base64url")
}

fn json(segment: &str) -> Result<Value, &'static str> {
    serde_json::from_slice(&decode(segment)?).map_err(|_| "not JSON")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = Service::builder(MemoryStore::new(), KeyRing::generate(&SystemRandom))
        .issuer("https://otp.example.com")
        .build();
    let tenant = service.create_tenant(NewTenant::named("Acme", "ops@acme.com")).await?.id;
    // Tokens are signed with HS256 until told otherwise, which only the service itself can check.
    service.rotate_signing_keys(&service.administrator(tenant).await?, Algorithm::EdDsa).await?;
    let [live, test] = Mode::ALL.map(|mode| Space { tenant, mode });
    let token = sign_in(&service, live).await?;

    // From here on as it would be in another program, on another machine.
    let keys = service.jwks(live).await?;
    let (name, audience) = (format!("https://otp.example.com/auth/{tenant}"), tenant.to_string());
    let issuer = Issuer { keys: &keys, name: &name, audience: &audience };
    let now = SystemClock::default().now().as_secs();
    let claims = issuer.verify(&token, now)?;
    println!("{keys:#}\n\n{token}\n\n{claims:#}");

    let too_late = issuer.verify(&token, claims["exp"].as_i64().unwrap_or(now));
    let forged = issuer.verify(&forge(&token), now);
    let elsewhere = Issuer { audience: "cust_of_somebody_else", ..issuer }.verify(&token, now);
    // Whoever holds a test key can sign in as anybody in test mode, so its tokens must be nobody's here.
    let of_test_mode = issuer.verify(&sign_in(&service, test).await?, now);
    println!("\nrefused: {too_late:?}, {forged:?}, {elsewhere:?}, {of_test_mode:?}");
    if [too_late, forged, elsewhere, of_test_mode].iter().any(Result::is_ok) {
        return Err("a bad token was accepted".into());
    }
    Ok(())
}

/// The way of a program that hands the code over itself: the answer shows it.
async fn sign_in(service: &Service, space: Space) -> Result<String, Box<dyn Error>> {
    let caller = service.program(space.tenant, space.mode).await?;
    let ann = Address::Email("ann@example.org".parse()?);
    let request = OtpRequest { deliver: Deliver::Caller, ..OtpRequest::to(ann) };
    let challenge = service.request_otp(&caller, request).await?.value;
    let code = challenge.code.ok_or("a caller that delivers is shown the code")?;
    let verification = OtpVerification::of(challenge.challenge_id, code.expose());
    Ok(service.verify_otp(&caller, verification).await?.value.token.expose().to_owned())
}

/// The token with another subject and the old signature.
fn forge(token: &str) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims = json(parts[1]).unwrap_or_default();
    claims["sub"] = "user_of_somebody_else".into();
    format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2])
}

#[test]
fn runs() {
    main().unwrap();
}
