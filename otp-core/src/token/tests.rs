//! Forged tokens, round trips, and the vectors of the standards.

use serde_json::{Map, Value, json};

use super::*;

use crate::id::SessionId;
use crate::random::{Random, SeededRandom};

const ISSUER: &str = "https://otp.example.org";
const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const NOW: Timestamp = Timestamp::from_millis(1_769_847_330_123);
const SECONDS: i64 = 1_769_847_330;
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256];

fn key(algorithm: Algorithm, seed: u64) -> SigningKey {
    SigningKey::generate(algorithm, &SeededRandom::new(seed))
}

fn claims() -> Claims {
    Claims {
        iss: ISSUER.to_owned(),
        sub: "user_1".to_owned(),
        aud: TENANT,
        sid: Some(SessionId::from_bytes([3; 16])),
        jti: "id".to_owned(),
        iat: SECONDS,
        nbf: SECONDS,
        exp: SECONDS + 60,
        email: Some("ann@example.org".to_owned()),
        phone: None,
        amr: vec!["otp".to_owned()],
        auth_time: None,
        acr: None,
        purpose: None,
        context_hash: None,
        custom: Map::from_iter([("role".to_owned(), json!("clerk"))]),
    }
}

fn check(keys: &[SigningKey], token: &str) -> Result<Claims, InvalidToken> {
    verify(keys, TokenType::Access, ISSUER, TENANT, NOW, token)
}

/// A token with any header and payload, well signed: a forger who could do that would be stopped by nothing else.
fn signed(key: &SigningKey, header: &[u8], payload: &[u8]) -> String {
    signed_text(key, &format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(payload)))
}

fn signed_text(key: &SigningKey, text: &str) -> String {
    format!("{text}.{}", BASE64URL.encode(key.sign(text.as_bytes())))
}

fn header(key: &SigningKey) -> Value {
    json!({ "alg": key.algorithm(), "typ": "at+jwt", "kid": key.kid() })
}

fn with(mut object: Value, name: &str, value: Value) -> String {
    object[name] = value;
    object.to_string()
}

fn without(mut object: Value, name: &str) -> String {
    object.as_object_mut().unwrap().remove(name);
    object.to_string()
}

/// `{"a":1}` with one more member behind the others, be the name new or not.
fn appended(object: Value, member: &str) -> String {
    let text = object.to_string();
    format!("{},{member}}}", text.strip_suffix('}').unwrap())
}

type Vector = (String, String, InvalidToken);

fn forged_headers(key: &SigningKey) -> Vec<Vector> {
    use InvalidToken::{Malformed, Signature, Type, UnknownKey};
    let mut vectors = Vec::new();
    let mut add = |header: String, expected| {
        vectors.push((
            header.clone(),
            signed(key, header.as_bytes(), json!(claims()).to_string().as_bytes()),
            expected,
        ));
    };
    for alg in ["none", "None", "NONE", "nOnE", "", "HS512", "RS256", "PS256", "ES384", "Ed25519", "hs256", "eddsa"] {
        add(with(header(key), "alg", json!(alg)), Signature);
    }
    for other in ALGORITHMS.into_iter().filter(|other| *other != key.algorithm()) {
        add(with(header(key), "alg", json!(other)), Signature);
    }
    for wrong in [Value::Null, json!(1), json!(true), json!([key.algorithm()]), json!({})] {
        add(with(header(key), "alg", wrong.clone()), Malformed);
        add(with(header(key), "typ", wrong.clone()), Malformed);
        add(with(header(key), "kid", wrong), Malformed);
    }
    for kid in ["", "unknown", "../../dev/null", "' OR 1=1 --", "\u{0}", &key.kid()[1..], &format!("{}=", key.kid())] {
        add(with(header(key), "kid", json!(kid)), UnknownKey);
    }
    for typ in ["", "JWT", "proof+jwt", "AT+JWT", "application/at+jwt", "at+jwt "] {
        add(with(header(key), "typ", json!(typ)), Type);
    }
    for name in ["alg", "typ", "kid"] {
        add(without(header(key), name), Malformed);
    }
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), Value::Null] {
        add(with(header(key), "crit", crit), Malformed);
    }
    add(appended(header(key), &format!("\"kid\":\"{}\"", key.kid())), Malformed);
    add(appended(header(key), "\"alg\":\"none\""), Malformed);
    add(appended(header(key), "\"x\":1,\"x\":1"), Malformed);
    for text in ["", "null", "[]", "\"at+jwt\"", "{}{}", "{", "{\"alg\":\"HS256\"} x"] {
        add(text.to_owned(), Malformed);
    }
    vectors
}

fn forged_claims(key: &SigningKey) -> Vec<Vector> {
    use InvalidToken::{Audience, Expired, Issuer, Malformed, NotYetValid};
    let good = || json!(claims());
    let mut vectors = Vec::new();
    let mut add = |payload: String, expected| {
        vectors.push((payload.clone(), signed(key, header(key).to_string().as_bytes(), payload.as_bytes()), expected));
    };
    for name in ["iat", "nbf", "exp"] {
        for wrong in [
            "\"9e9\"",
            "\"9999999999\"",
            "9e9",
            "9999999999.0",
            "1e999",
            "18446744073709551616",
            "null",
            "[9999999999]",
            "{}",
            "true",
        ] {
            add(
                appended(serde_json::from_str(&without(good(), name)).unwrap(), &format!("\"{name}\":{wrong}")),
                Malformed,
            );
        }
    }
    for name in ["iss", "sub", "aud", "jti", "iat", "nbf", "exp", "amr"] {
        add(without(good(), name), Malformed);
        add(with(good(), name, Value::Null), Malformed);
    }
    for name in ["iss", "sub", "aud", "sid", "jti", "email", "phone", "purpose", "context_hash"] {
        add(with(good(), name, json!(1)), Malformed);
        add(with(good(), name, json!([good()["iss"]])), Malformed);
    }
    for (name, again) in
        [("exp", json!(SECONDS + 60)), ("aud", json!(TENANT)), ("iss", json!(ISSUER)), ("role", json!("clerk"))]
    {
        add(appended(good(), &format!("\"{name}\":{again}")), Malformed);
    }
    for exp in [SECONDS, SECONDS - 1, 0, -1, i64::MIN] {
        add(with(good(), "exp", json!(exp)), Expired);
    }
    for nbf in [SECONDS + 1, i64::MAX] {
        add(with(good(), "nbf", json!(nbf)), NotYetValid);
    }
    for iss in [
        "",
        "https://otp.example.org/",
        "https://OTP.example.org",
        "https://otp.example.org.evil.test",
        " https://otp.example.org",
    ] {
        add(with(good(), "iss", json!(iss)), Issuer);
    }
    add(with(good(), "aud", json!(TenantId::from_bytes([2; 16]))), Audience);
    for aud in ["", "cust_", "user_1111111111111111111111", "*"] {
        add(with(good(), "aud", json!(aud)), Malformed);
    }
    add(with(good(), "aud", json!([TENANT])), Malformed);
    add(with(good(), "sid", json!(TENANT)), Malformed);
    add(with(good(), "amr", json!("otp")), Malformed);
    for text in ["", "null", "[]", "{}", "{", "1", "\"x\"", &format!("{}x", good()), &format!("{0}{0}", good())] {
        add(text.to_owned(), Malformed);
    }
    vectors
}

fn forged_forms(key: &SigningKey) -> Vec<Vector> {
    use InvalidToken::Malformed;
    let good = mint(key, TokenType::Access, &claims());
    let [header, payload, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let payloads =
        ["i", "id"].map(|jti| BASE64URL.encode(json!(Claims { jti: jti.to_owned(), ..claims() }).to_string()));
    let odd = payloads.iter().find(|payload| payload.len() % 4 != 0).unwrap();
    let forms = [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        header.to_owned(),
        format!("{header}.{payload}"),
        format!("{payload}.{signature}"),
        format!("{header}..{payload}.{signature}"),
        format!(".{good}"),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!("{header}.{good}"),
        format!("{good}.{payload}.{signature}"),
        signed_text(key, &format!("{header}=.{payload}")),
        signed_text(key, &format!("{header}.{payload}=")),
        signed_text(key, &format!("{header}.{payload}\n")),
        signed_text(key, &format!("{header}.{payload}A")),
        signed_text(key, &format!("{header}.+/{}", &payload[2..])),
        signed_text(key, &non_canonical(&format!("{header}.{odd}"))),
        format!("{header}.{payload}.{signature}="),
        format!("{header}.{payload}.{signature}=="),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{good}\0"),
        format!("Bearer {good}"),
        format!("{header} .{payload}.{signature}"),
        format!("{header}.{payload}.+{}", &signature[1..]),
        format!("{header}.{payload}./{}", &signature[1..]),
        format!("{header}.{payload}.é{}", &signature[2..]),
        non_canonical(&good),
        good.replace('.', "\u{ff0e}"),
        format!("{header}.{payload}.{}", "A".repeat(MAX_TOKEN_BYTES)),
    ];
    forms.into_iter().map(|token| (token.clone(), token, Malformed)).collect()
}

/// The same bytes in another spelling: the unused low bits of the last character are set.
fn non_canonical(token: &str) -> String {
    let (rest, last) = token.split_at(token.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let index = alphabet.find(last).unwrap();
    assert_eq!(index % 4, 0, "the last character has bits to spare");
    format!("{rest}{}", &alphabet[index + 1..index + 2])
}

fn forged_signatures(key: &SigningKey) -> Vec<Vector> {
    use InvalidToken::{Malformed, Signature, UnknownKey};
    let good = mint(key, TokenType::Access, &claims());
    let (text, own) = good.rsplit_once('.').unwrap();
    let other = self::key(key.algorithm(), 77);
    let mut vectors = vec![
        ("other key".to_owned(), mint(&other, TokenType::Access, &claims()), UnknownKey),
        (
            "own kid, other key".to_owned(),
            signed(&other, header(key).to_string().as_bytes(), json!(claims()).to_string().as_bytes()),
            Signature,
        ),
        (
            "payload of another token".to_owned(),
            {
                let richer = Claims { sub: "user_2".to_owned(), ..claims() };
                let payload = BASE64URL.encode(serde_json::to_vec(&richer).unwrap());
                format!("{}.{payload}.{own}", text.split_once('.').unwrap().0)
            },
            Signature,
        ),
    ];
    let bytes = BASE64URL.decode(own).unwrap();
    let spoilt = [
        vec![],
        vec![0],
        vec![0; 32],
        vec![0; 64],
        vec![255; 64],
        bytes[1..].to_vec(),
        [&bytes[..], &[0]].concat(),
        [&bytes[..], &bytes].concat(),
    ];
    for signature in spoilt {
        vectors.push((format!("{signature:?}"), format!("{text}.{}", BASE64URL.encode(signature)), Signature));
    }
    for name in ["jwk", "jku", "x5u", "x5c"] {
        let brought = match name {
            "jwk" => other.jwk().unwrap_or(json!({ "kty": "oct", "k": BASE64URL.encode(other.to_bytes()) })),
            "x5c" => json!(["MIIB"]),
            _ => json!("https://evil.test/jwks.json"),
        };
        let header = with(header(key), name, brought);
        vectors.push((
            header.clone(),
            signed(&other, header.as_bytes(), json!(claims()).to_string().as_bytes()),
            Signature,
        ));
    }
    let unsigned = with(header(key), "alg", json!("none"));
    let unsigned = format!("{}.{}.", BASE64URL.encode(unsigned), text.split_once('.').unwrap().1);
    vectors.push(("none without signature".to_owned(), unsigned, Signature));
    vectors.push(("no signature at all".to_owned(), format!("{text}."), Signature));
    vectors.push(("one character is no byte".to_owned(), format!("{text}.A"), Malformed));
    vectors
}

#[test]
fn every_forged_token_is_refused_for_its_own_reason() {
    for algorithm in ALGORITHMS {
        let key = key(algorithm, 1);
        let keys = [self::key(Algorithm::EdDsa, 5), key.clone(), self::key(Algorithm::Hs256, 6)];
        let control = signed(&key, header(&key).to_string().as_bytes(), json!(claims()).to_string().as_bytes());
        assert_eq!(check(&keys, &control), Ok(claims()), "the forge itself makes good tokens");
        let vectors = [forged_headers(&key), forged_claims(&key), forged_forms(&key), forged_signatures(&key)].concat();
        assert!(vectors.len() >= 180, "{} vectors", vectors.len());
        for (what, token, expected) in vectors {
            assert_eq!(check(&keys, &token), Err(expected), "{algorithm}: {what}");
        }
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    use hmac::{Hmac, KeyInit, Mac};
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let key = key(algorithm, 1);
        let jwk = key.jwk().unwrap();
        let x = BASE64URL.decode(jwk["x"].as_str().unwrap()).unwrap();
        let y = jwk["y"].as_str().map(|y| BASE64URL.decode(y).unwrap()).unwrap_or_default();
        let secrets = [x.clone(), [&[4], &x[..], &y].concat(), jwk.to_string().into_bytes(), key.kid().into(), vec![]];
        for (secret, alg) in secrets.iter().flat_map(|secret| [(secret, "HS256"), (secret, algorithm.as_str())]) {
            let header = BASE64URL.encode(with(header(&key), "alg", json!(alg)));
            let text = format!("{header}.{}", BASE64URL.encode(json!(claims()).to_string()));
            let mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap().chain_update(&text).finalize().into_bytes();
            let token = format!("{text}.{}", BASE64URL.encode(mac));
            assert_eq!(check(std::slice::from_ref(&key), &token), Err(InvalidToken::Signature));
        }
    }
}

#[test]
fn no_flipped_bit_and_no_cut_is_accepted() {
    for algorithm in ALGORITHMS {
        let keys = [key(algorithm, 1)];
        let token = mint(&keys[0], TokenType::Access, &claims());
        for index in 0..token.len() {
            assert!(check(&keys, &token[..index]).is_err());
            for bit in 0..7 {
                let mut bytes = token.clone().into_bytes();
                bytes[index] ^= 1 << bit;
                let flipped = String::from_utf8(bytes).unwrap();
                assert!(check(&keys, &flipped).is_err(), "{algorithm}: bit {bit} of character {index}");
            }
        }
        assert_eq!(check(&keys, &token), Ok(claims()));
    }
}

#[test]
fn what_was_minted_is_read_again_with_its_own_type_only() {
    for (algorithm, typ) in ALGORITHMS.into_iter().flat_map(|algorithm| TokenType::ALL.map(|typ| (algorithm, typ))) {
        let keys = [key(algorithm, 1)];
        let proof = Claims { sid: None, purpose: Some("login".into()), context_hash: Some("h".into()), ..claims() };
        for claims in [claims(), proof, Claims { phone: Some("+4930123456".into()), email: None, ..claims() }] {
            let token = mint(&keys[0], typ, &claims);
            assert_eq!(peek_audience(&token), Some(TENANT));
            for asked in TokenType::ALL {
                let expected = if asked == typ { Ok(claims.clone()) } else { Err(InvalidToken::Type) };
                assert_eq!(verify(&keys, asked, ISSUER, TENANT, NOW, &token), expected);
            }
        }
    }
}

#[test]
fn a_token_is_good_from_nbf_until_just_before_exp() {
    let keys = [key(Algorithm::Hs256, 1)];
    let token = mint(&keys[0], TokenType::Access, &claims());
    let at = |millis| verify(&keys, TokenType::Access, ISSUER, TENANT, Timestamp::from_millis(millis), &token).err();
    assert_eq!(at(SECONDS * 1000 - 1), Some(InvalidToken::NotYetValid));
    assert_eq!(at(SECONDS * 1000), None);
    assert_eq!(at((SECONDS + 60) * 1000 - 1), None);
    assert_eq!(at((SECONDS + 60) * 1000), Some(InvalidToken::Expired));
}

#[test]
fn custom_claims_never_override_registered_ones() {
    let keys = [key(Algorithm::EdDsa, 1)];
    let custom = Map::from_iter(Claims::RESERVED.map(|name| (name.to_owned(), json!("forged"))));
    let token = mint(&keys[0], TokenType::Access, &Claims { phone: None, custom, ..claims() });
    assert_eq!(check(&keys, &token), Ok(Claims { custom: Map::new(), ..claims() }));
}

#[test]
fn every_claim_that_is_written_has_a_reserved_name() {
    let full = Claims {
        phone: Some(String::new()),
        auth_time: Some(0),
        acr: Some(String::new()),
        purpose: Some(String::new()),
        context_hash: Some(String::new()),
        custom: Map::new(),
        ..claims()
    };
    let mut names: Vec<_> = json!(full).as_object().unwrap().keys().cloned().collect();
    let mut reserved = Claims::RESERVED.to_vec();
    names.sort();
    reserved.sort();
    assert_eq!(names, reserved);
}

#[test]
fn the_audience_is_readable_without_a_key_but_only_in_the_right_form() {
    let key = key(Algorithm::Hs256, 1);
    let token = |payload: &str| signed(&key, b"{}", payload.as_bytes());
    assert_eq!(peek_audience(&token(&json!({ "aud": TENANT }).to_string())), Some(TENANT));
    for payload in [
        "",
        "{}",
        "[]",
        "{\"aud\":null}",
        "{\"aud\":\"cust_\"}",
        &format!("{{\"aud\":\"{TENANT}\",\"aud\":\"{TENANT}\"}}"),
    ] {
        assert_eq!(peek_audience(&token(payload)), None, "{payload}");
    }
    for text in ["", "a", "a.b", "a.b.c.d", &"a".repeat(MAX_TOKEN_BYTES + 1)] {
        assert_eq!(peek_audience(text), None, "{text}");
    }
}

#[test]
fn keys_survive_storage_and_show_no_secret() {
    for algorithm in ALGORITHMS {
        let key = key(algorithm, 1);
        let bytes = key.to_bytes();
        let again = SigningKey::from_bytes(algorithm, &bytes).unwrap();
        assert_eq!((again.kid(), again.algorithm(), again.jwk()), (key.kid(), algorithm, key.jwk()));
        assert_eq!(check(&[again], &mint(&key, TokenType::Access, &claims())), Ok(claims()));
        let shown = format!("{key:?} {:?} {}", key.jwk(), key.kid());
        assert!(!shown.contains(&BASE64URL.encode(&bytes)) && !shown.contains(&format!("{:?}", &bytes[..])), "{shown}");
        for wrong in [0, 31, 33, 64] {
            assert_eq!(SigningKey::from_bytes(algorithm, &vec![1; wrong]).err(), Some(InvalidSigningKey));
        }
        assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        assert_eq!(json!(algorithm), json!(algorithm.as_str()));
    }
    assert_eq!("none".parse::<Algorithm>(), Err(UnknownAlgorithm));
    assert_eq!(SigningKey::from_bytes(Algorithm::Es256, &[0; 32]).err(), Some(InvalidSigningKey));
    assert_eq!(SigningKey::from_bytes(Algorithm::Es256, &[255; 32]).err(), Some(InvalidSigningKey));
}

#[test]
fn generation_draws_again_when_the_bytes_are_no_key() {
    /// All ones, which is beyond the order of P-256, and then a seeded sequence.
    struct Unlucky(std::sync::atomic::AtomicBool, SeededRandom);
    impl Random for Unlucky {
        fn fill(&self, buffer: &mut [u8]) {
            match self.0.swap(true, std::sync::atomic::Ordering::SeqCst) {
                false => buffer.fill(255),
                true => self.1.fill(buffer),
            }
        }
    }
    let key = SigningKey::generate(Algorithm::Es256, &Unlucky(false.into(), SeededRandom::new(1)));
    assert_ne!(key.to_bytes()[..], [255; 32]);
}

fn from_base64(algorithm: Algorithm, text: &str) -> SigningKey {
    SigningKey::from_bytes(algorithm, &BASE64URL.decode(text).unwrap()).unwrap()
}

fn is_signed_by(key: &SigningKey, token: &str) -> bool {
    let (text, signature) = token.rsplit_once('.').unwrap();
    key.verify(text.as_bytes(), &BASE64URL.decode(signature).unwrap())
}

#[test]
fn rfc_8037_a() {
    let key = from_base64(Algorithm::EdDsa, "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    let kid = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": "sig", "alg": "EdDSA" });
    assert_eq!(key.jwk(), Some(jwk));
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
                 hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(is_signed_by(&key, token));
    assert_eq!(signed(&key, b"{\"alg\":\"EdDSA\"}", b"Example of Ed25519 signing"), token);
}

const RFC_7515_PAYLOAD: &[u8] = b"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";

#[test]
fn rfc_7515_a_3() {
    let key = from_base64(Algorithm::Es256, "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    let y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    let kid = "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U";
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "use": "sig", "alg": "ES256" });
    assert_eq!(key.jwk(), Some(jwk));
    let text = format!("eyJhbGciOiJFUzI1NiJ9.{}", BASE64URL.encode(RFC_7515_PAYLOAD));
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert!(is_signed_by(&key, &format!("{text}.{signature}")));
    assert!(!is_signed_by(&key, &format!("{text}x.{signature}")));
}

/// Deterministic signatures: the vector of RFC 6979 A.2.5 for P-256 with SHA-256 and the message `sample`.
#[test]
fn rfc_6979_a_2_5() {
    let key = from_base64(Algorithm::Es256, "ya-p2EW6dRZrXCFXZ7HWk05Qw9s26JsSe4piKxIPZyE");
    let wanted = "79SLKqy2qP0RQN2c1F6B1p0sh3tWqvmRw00OqE6vNxb3yxyULWV8QdQ2x6G24p9l8-kA27mv9AZNxKsvhDrNqA";
    assert_eq!(BASE64URL.encode(key.sign(b"sample")), wanted);
}

/// The text of RFC 7515 A.1 under a 32-byte key; MAC and kid were computed with another implementation.
#[test]
fn hs256_agrees_with_another_implementation() {
    let key = SigningKey::from_bytes(Algorithm::Hs256, &std::array::from_fn::<u8, 32, _>(|index| index as u8)).unwrap();
    let token = signed(&key, b"{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}", RFC_7515_PAYLOAD);
    assert_eq!(token.rsplit_once('.').unwrap().1, "AQnwLpAsKqfH1hkSjkBaT1DvhTxjlogHlHDUo5em-X0");
    assert_eq!(key.kid(), "kzAHpTFMlTTzfym8fM346Q");
    assert_eq!(key.jwk(), None);
}
