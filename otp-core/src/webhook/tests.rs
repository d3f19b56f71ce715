use std::time::Duration;

use super::*;
use crate::clock::Timestamp;
use crate::event::EventKind;
use crate::id::{DeliveryId, EndpointId, EventId, TenantId};
use crate::random::SeededRandom;
use crate::store::Due;
use crate::tenant::{Mode, Space};

const NOW: Timestamp = Timestamp::from_millis(1_614_265_330_000);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY: &[u8] = br#"{"test": 2432232314}"#;

fn secret(signing: Signing) -> SigningSecret {
    SigningSecret::generate(signing, &SeededRandom::new(7))
}

fn key_of(secret: &SigningSecret) -> ReceiverKey {
    ReceiverKey::parse(&secret.public_key().unwrap_or_else(|| secret.text().expose().to_owned())).unwrap()
}

fn checked(key: &ReceiverKey, id: &str, timestamp: &str, signature: &str, body: &[u8]) -> Result<(), InvalidSignature> {
    verify(std::slice::from_ref(key), Signed { id, timestamp, signature }, body, NOW)
}

#[test]
fn the_signature_is_that_of_the_specification() {
    let secret = SigningSecret::parse(SECRET).unwrap();
    assert_eq!(secret.sign(ID, NOW, BODY), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert!(!format!("{secret:?}").contains("MfKQ"));
}

#[test]
fn a_secret_has_24_to_64_bytes_and_a_private_key_32() {
    use base64::Engine;
    let of = |prefix: &str, length: usize| {
        let base64 = base64::engine::general_purpose::STANDARD.encode(vec![7; length]);
        SigningSecret::parse(&format!("{prefix}{base64}"))
    };
    let shared = |length| of("whsec_", length).is_ok();
    assert!(!shared(23) && shared(24) && shared(64) && !shared(65));
    assert!(of("whsk_", 31).is_err() && of("whsk_", 32).is_ok() && of("whsk_", 33).is_err());
    for text in [
        "",
        "whsec_",
        "hush",
        "whsec_hush!",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ] {
        assert_eq!(SigningSecret::parse(text).unwrap_err(), InvalidSigningSecret, "{text}");
    }
}

#[test]
fn one_flipped_bit_of_id_time_signature_or_body_is_noticed() {
    for signing in [Signing::Hmac, Signing::Ed25519] {
        let secret = secret(signing);
        let (key, time) = (key_of(&secret), NOW.as_secs().to_string());
        let signature = secret.sign(ID, NOW, BODY);
        assert_eq!(checked(&key, ID, &time, &signature, BODY), Ok(()));
        for position in 0..BODY.len() * 8 {
            let mut body = BODY.to_vec();
            body[position / 8] ^= 1 << (position % 8);
            assert!(checked(&key, ID, &time, &signature, &body).is_err());
        }
        for (number, of) in [ID, &time, &signature].into_iter().enumerate() {
            for position in 0..of.len() * 8 {
                let mut flipped = of.as_bytes().to_vec();
                flipped[position / 8] ^= 1 << (position % 8);
                let Ok(flipped) = String::from_utf8(flipped) else { continue };
                let mut parts = [ID, &time, &signature];
                parts[number] = &flipped;
                let [id, time, signature] = parts;
                assert!(checked(&key, id, time, signature, BODY).is_err(), "{flipped} for {of}");
            }
        }
    }
}

#[test]
fn any_of_several_signatures_and_keys_will_do_and_versions_do_not_mix() {
    let (old, new, public) = (SigningSecret::parse(SECRET).unwrap(), secret(Signing::Hmac), secret(Signing::Ed25519));
    let time = NOW.as_secs().to_string();
    let both = format!("{} {}", new.sign(ID, NOW, BODY), old.sign(ID, NOW, BODY));
    for known in [&old, &new] {
        assert_eq!(checked(&key_of(known), ID, &time, &both, BODY), Ok(()));
    }
    assert_eq!(checked(&key_of(&public), ID, &time, &both, BODY), Err(InvalidSignature::Wrong));
    let mixed = old.sign(ID, NOW, BODY).replacen("v1,", "v1a,", 1);
    assert_eq!(checked(&key_of(&old), ID, &time, &mixed, BODY), Err(InvalidSignature::Wrong));
    for signature in ["", " ", "v1", "v1,", "v2,AAAA", "v1,%%"] {
        assert_eq!(checked(&key_of(&old), ID, &time, signature, BODY), Err(InvalidSignature::Wrong), "{signature}");
    }
}

#[test]
fn a_request_is_good_for_five_minutes_either_way() {
    let (secret, minutes) = (SigningSecret::parse(SECRET).unwrap(), Duration::from_secs(300));
    let second = Duration::from_secs(1);
    for (at, outcome) in [
        (NOW + minutes, Ok(())),
        (NOW - minutes, Ok(())),
        (NOW + minutes + second, Err(InvalidSignature::Time)),
        (NOW - minutes - second, Err(InvalidSignature::Time)),
    ] {
        let (time, signature) = (at.as_secs().to_string(), secret.sign(ID, at, BODY));
        assert_eq!(checked(&key_of(&secret), ID, &time, &signature, BODY), outcome);
    }
    assert_eq!(checked(&key_of(&secret), ID, "soon", "v1,AAAA", BODY), Err(InvalidSignature::Time));
}

fn departure(number: u8, endpoint: u8) -> Departure {
    let delivery = Delivery {
        id: DeliveryId::from_bytes([number; 16]),
        space: Space { tenant: TenantId::from_bytes([1; 16]), mode: Mode::Live },
        event: EventId::from_bytes([number; 16]),
        kind: EventKind::OtpVerified,
        endpoint: EndpointId::from_bytes([endpoint; 16]),
        at: NOW,
        ends_at: NOW + Duration::from_secs(30 * 86_400),
        sample: false,
        state: DeliveryState::Pending,
        tries: 0,
        trigger: Trigger::Schedule,
        attempts: Vec::new(),
        due: Due { at: Some(NOW + Duration::from_secs(60)), lease: Some([7; 16]) },
    };
    Departure { delivery, is_first: false, event: None, read_at: NOW }
}

fn begins(
    lanes: &Lanes,
    number: u8,
    endpoint: u8,
    rate: Option<u32>,
    now: Timestamp,
) -> Result<Turn, Option<Duration>> {
    match lanes.enter(departure(number, endpoint), rate, now) {
        Entered::Begins(turn) => Ok(turn),
        Entered::Waits => Err(None),
        Entered::Later(_, at) => Err(Some(at.since(now))),
    }
}

#[test]
fn an_endpoint_that_hangs_holds_four_places_and_nobody_else_up() {
    let lanes = Lanes::default();
    let mut turns: Vec<Turn> = (0..4).map(|number| begins(&lanes, number, 1, None, NOW).ok().unwrap()).collect();
    for _ in 0..2_048 {
        assert_eq!(begins(&lanes, 4, 1, None, NOW).err(), Some(None), "it waits in memory");
    }
    let later = begins(&lanes, 5, 1, None, NOW).err().flatten().unwrap();
    assert!(Duration::from_secs(1) <= later && later <= Duration::from_secs(60), "{later:?}");
    assert_eq!(
        [0, 2].map(|seconds| lanes.moving(NOW + Duration::from_secs(seconds))),
        [2_048, 0],
        "nobody waits for them"
    );
    assert_eq!(lanes.active(EndpointId::from_bytes([1; 16])), 4);
    assert!(begins(&lanes, 1, 2, None, NOW).is_ok());

    let sent: Vec<Departure> = std::iter::from_fn(|| turns[0].next()).collect();
    assert_eq!(sent.len(), 2_049, "its own, and all that wait");
    assert_eq!(lanes.active(EndpointId::from_bytes([1; 16])), 3);
    drop(turns);
    assert_eq!(lanes.active(EndpointId::from_bytes([1; 16])), 0);
}

/// What waits in memory is what can be sent soon.
#[test]
fn the_faster_an_endpoint_is_the_more_wait_for_it_in_memory() {
    let waiting = |took: u64| {
        let lanes = Lanes::default();
        let turns: Vec<Turn> = (0..4).map(|number| begins(&lanes, number, 1, None, NOW).ok().unwrap()).collect();
        turns[0].took(Duration::from_millis(took), NOW);
        (0..20_000).take_while(|_| begins(&lanes, 9, 1, None, NOW).err() == Some(None)).count()
    };
    assert_eq!([0, 1, 10, 100, 15_000].map(waiting), [4_096, 4_096, 2_001, 201, 2]);
}

/// One that was fast and hangs now is known to before its requests have timed out: what waits for it is not looked at every
/// second.
#[test]
fn what_waits_for_an_endpoint_that_stalls_waits_longer_the_longer_it_does() {
    let lanes = Lanes::default();
    let turns: Vec<Turn> = (0..4).map(|number| begins(&lanes, number, 1, None, NOW).ok().unwrap()).collect();
    turns[0].took(Duration::from_millis(1), NOW);
    let enter = |seconds: u64| begins(&lanes, 9, 1, None, NOW + Duration::from_secs(seconds)).err().unwrap();
    assert_eq!([1, 10, 10].map(enter), [None; 3]);
    let (step, soonest) = (Duration::from_millis(2_500), Duration::from_secs(1));
    assert_eq!(enter(10), Some(soonest + 3 * step + step), "a second, those in memory, and its own");
    assert_eq!(enter(10), Some(soonest + 3 * step + 2 * step));
    turns[1].took(Duration::from_secs(10), NOW + Duration::from_secs(10));
    assert_eq!(enter(10), None, "one has left: there is room again");
    drop(turns);
}

/// The first request may be slower than those after it.
#[test]
fn what_waits_for_one_that_moves_does_not_wait_for_all_before_it() {
    let lanes = Lanes::default();
    let turns: Vec<Turn> = (0..4).map(|number| begins(&lanes, number, 1, None, NOW).ok().unwrap()).collect();
    turns[0].took(Duration::from_secs(20), NOW);
    let waits = [(); 3].map(|()| begins(&lanes, 9, 1, None, NOW).err().unwrap());
    assert_eq!(waits, [None, None, Some(Duration::from_secs(6))]);
    drop(turns);
}

/// Many that hang do not fill the memory, and what was held for one of them is free again at its end.
#[test]
fn all_together_wait_within_bounds() {
    let lanes = Lanes::default();
    let four = |endpoint: u8| (0..4).map(move |number| (number, endpoint));
    let turns = (0..64).flat_map(four).map(|(number, endpoint)| begins(&lanes, number, endpoint, None, NOW));
    let mut turns: Vec<Turn> = turns.map(|turn| turn.ok().unwrap()).collect();
    let fill =
        |endpoint: u8| (0..4_000).take_while(|_| begins(&lanes, 2, endpoint, None, NOW).err() == Some(None)).count();
    assert_eq!((0..64).map(fill).sum::<usize>(), 32_768);
    assert_eq!(fill(63), 0);
    assert_eq!(std::iter::from_fn(|| turns[0].next()).count(), 2_049);
    assert_eq!(fill(63), 2_048);
}

#[test]
fn no_more_leave_in_a_second_than_an_endpoint_wants() {
    let lanes = Lanes::default();
    let (mut sent, mut now) = (0, NOW);
    for _ in 0..1_000 {
        sent += usize::from(begins(&lanes, 1, 1, Some(5), now).is_ok());
        now = now + Duration::from_millis(10);
    }
    assert!((50..=56).contains(&sent), "{sent} in ten seconds at five a second, and what a moment may be ahead");
}

#[test]
fn headers_that_would_make_it_another_request_are_refused() {
    let check = |name: &str, value: &str| check_headers(vec![(name.to_owned(), value.to_owned())]);
    assert_eq!(check("X-Acme", "7").unwrap(), [("x-acme".to_owned(), "7".to_owned())]);
    assert!(check("Authorization", "Basic YTpi").is_ok());
    for name in ["Host", "content-length", "Transfer-Encoding", "webhook-id", "X-OTP-Event", "connection", "te", ""] {
        assert!(check(name, "7").is_err(), "{name}");
    }
    for (name, value) in [("x a", "7"), ("x-ü", "7"), ("x", "a\r\nhost: b"), ("x", ""), ("x", "ü"), ("x", " a")] {
        assert!(check(name, value).is_err(), "{name}: {value}");
    }
    assert!(check_headers(vec![("a".into(), "1".into()), ("A".into(), "2".into())]).is_err());
    assert!(check_headers((0..17).map(|number| (format!("x{number}"), "1".into())).collect()).is_err());
}

#[test]
fn every_sample_is_as_its_schema_says_and_holds_no_secret() {
    for kind in EventKind::ALL {
        let (schema, sample) = (kind.schema(), kind.sample_payload());
        let properties = schema["properties"]["data"]["properties"].as_object().unwrap();
        let told = sample.as_object().unwrap();
        let names: Vec<&String> = properties.keys().collect();
        assert_eq!(told.keys().collect::<Vec<_>>(), names, "{}", kind.as_str());
        for (name, value) in told {
            let property = &properties[name];
            let allowed = match &property["type"] {
                serde_json::Value::Array(types) => types.clone(),
                one => vec![one.clone()],
            };
            let found = match value {
                serde_json::Value::Null => "null",
                serde_json::Value::Bool(_) => "boolean",
                serde_json::Value::Number(number) if number.is_f64() => "number",
                serde_json::Value::Number(_) => "integer",
                serde_json::Value::String(_) => "string",
                serde_json::Value::Array(_) => "array",
                _ => "object",
            };
            assert!(allowed.iter().any(|allowed| allowed == found), "{}: {name} is {found}", kind.as_str());
            if let (Some(values), false) = (property.get("enum"), value.is_null()) {
                assert!(values.as_array().unwrap().contains(value), "{}: {name} is {value}", kind.as_str());
            }
            if property["format"] == "date-time" && !value.is_null() {
                value.as_str().unwrap().parse::<Timestamp>().unwrap();
            }
            assert!(!property["description"].as_str().unwrap().is_empty());
            let name = name.to_lowercase();
            for secret in ["code", "token", "secret", "password", "sealed", "apikey", "digest"] {
                assert!(!name.contains(secret), "{}: {name}", kind.as_str());
            }
        }
        let text = sample.to_string();
        for secret in ["otp_live_", "otp_test_", "whsec_", "whsk_", "eyJ"] {
            assert!(!text.contains(secret), "{}: {text}", kind.as_str());
        }
        assert_eq!(kind.sample().kind(), *kind);
    }
}
