use std::time::Duration;

use super::*;
use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::random::SeededRandom;
use crate::secret::{KeyRing, TenantKeys};
use crate::subject::SubjectKey;
use crate::tenant::{Mode, Space};

const KEY: &[u8; 64] = b"1234567890123456789012345678901234567890123456789012345678901234";

/// RFC 4226, appendix D: the intermediate values of each count, and the codes.
#[test]
fn hotp_of_rfc_4226() {
    let truncated = [
        0x4c93cf18, 0x41397eea, 0x82fef30, 0x66ef7655, 0x61c5938a, 0x33c083d4, 0x7256c032, 0x4e5b397, 0x2823443f,
        0x2679dc69,
    ];
    let codes = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
    for (counter, (truncated, code)) in truncated.into_iter().zip(codes).enumerate() {
        let made = hotp(HashAlgorithm::Sha1, &KEY[..20], counter as u64);
        assert_eq!((made, Digits::SIX.of(made).as_str()), (truncated, code), "count {counter}");
    }
}

/// RFC 6238, appendix B. Each hash has a seed of its own length, as erratum 2866 says.
#[test]
fn totp_of_rfc_6238() {
    let times = [59, 1_111_111_109, 1_111_111_111, 1_234_567_890, 2_000_000_000, 20_000_000_000];
    let codes = [
        (HashAlgorithm::Sha1, 20, ["94287082", "07081804", "14050471", "89005924", "69279037", "65353130"]),
        (HashAlgorithm::Sha256, 32, ["46119246", "68084774", "67062674", "91819424", "90698825", "77737706"]),
        (HashAlgorithm::Sha512, 64, ["90693936", "25091201", "99943326", "93441116", "38618901", "47863826"]),
    ];
    for (algorithm, length, codes) in codes {
        for (seconds, code) in times.into_iter().zip(codes) {
            let step = Period::USUAL.step_at(Timestamp::from_millis(seconds * 1000));
            assert_eq!(Digits::EIGHT.of(hotp(algorithm, &KEY[..length], step)), code, "{algorithm} at {seconds}");
        }
    }
}

#[test]
fn bounds_are_kept() {
    assert!([5, 9].iter().all(|digits| Digits::try_from(*digits).is_err()));
    assert!([14, 121].iter().all(|period| Period::try_from(*period).is_err()));
    assert!([15, 120].iter().all(|period| Period::try_from(*period).is_ok()));
    for text in ["12345", "123456789", "12345a", "", "١٢٣٤٥٦"] {
        assert!(text.parse::<TypedOtp>().is_err(), "{text}");
    }
    assert!("123 456".parse::<TypedOtp>().unwrap().is(Digits::SIX, 123_456));
    assert_eq!(format!("{:?}", "123456".parse::<TypedOtp>()), "Ok([redacted])");
}

#[test]
fn secrets_are_read_as_people_copy_them() {
    let secret = OtpSecret::generate(&SeededRandom::new(1));
    assert_eq!(secret.as_bytes().len(), 20);
    let text = secret.to_base32().expose().to_owned();
    assert_eq!(text.len(), 32);
    let copied = format!("{} {}====", text[..4].to_lowercase(), &text[4..]);
    assert_eq!(copied.parse::<OtpSecret>().unwrap().as_bytes(), secret.as_bytes());
    assert!("JBSWY3DPEHPK3PXP".parse::<OtpSecret>().is_err(), "80 bits");
    assert!("JBSWY3DPEHPK3PXPJBSWY3DPE0".parse::<OtpSecret>().is_err(), "no base32");
    assert_eq!(format!("{secret:?}"), "[redacted]");
}

#[test]
fn names_in_uris_break_nothing() {
    let secret: OtpSecret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".parse().unwrap();
    let base = KeyUri {
        issuer: "",
        account: "",
        secret: &secret,
        algorithm: HashAlgorithm::Sha256,
        digits: Digits::EIGHT,
        moving: Moving::Hotp { next: 7 },
    };
    let of = |issuer, account| KeyUri { issuer, account, ..base }.to_uri().expose().to_owned();
    let rest = "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let end = "&algorithm=SHA256&digits=8&counter=7";
    assert_eq!(of("", "ann"), format!("otpauth://hotp/ann{rest}{end}"));
    let odd = of("A&B: 50%+\n", "a:b/c?d#ü@x");
    assert_eq!(
        odd,
        format!("otpauth://hotp/A%26B%2050%25%2B:a%20b%2Fc%3Fd%23%C3%BC%40x{rest}&issuer=A%26B%2050%25%2B{end}")
    );
    let long = "\u{1f680}".repeat(500);
    assert!(QrPicture::of(&of(&long, &long)).is_some(), "the longest names fit");
}

#[test]
fn recovery_codes_are_read_as_people_type_them() {
    let code = RecoveryCode::generate(&SeededRandom::new(1)).expose().expose().to_owned();
    assert_eq!((code.len(), code.find('-')), (11, Some(5)));
    let typed = code.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
    assert_eq!(typed.parse::<RecoveryCode>().unwrap().expose().expose(), code);
    assert!(["ABCDE-FGHJ", "ABCDE-FGHJU", ""].iter().all(|text| text.parse::<RecoveryCode>().is_err()));
}

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn device(moving: Moving) -> (TenantKeys, TotpDevice) {
    let (tenant, random) = (TenantId::from_bytes([1; 16]), SeededRandom::new(1));
    let keys = KeyRing::generate(&random).tenant(tenant);
    let holder = SubjectKey::from_bytes([2; 32]);
    let device = TotpDevice {
        space: Space { tenant, mode: Mode::Live },
        holder,
        algorithm: HashAlgorithm::Sha1,
        digits: Digits::SIX,
        moving,
        secret: keys.seal(&random, &TotpDevice::place(&holder), &KEY[..20]),
        state: DeviceState::Enabled { at: START },
        wrong_guesses: Vec::new(),
        recovery: None,
        created_at: START,
    };
    (keys, device)
}

fn code(counter: u64) -> Shown {
    Shown::Code(Digits::SIX.of(hotp(HashAlgorithm::Sha1, &KEY[..20], counter)).parse().unwrap())
}

#[test]
fn one_step_to_either_side_is_taken_and_none_twice() {
    let step = Period::USUAL.step_at(START);
    for (shown, taken) in [(step - 2, false), (step - 1, true), (step, true), (step + 1, true), (step + 2, false)] {
        let (keys, mut device) = device(Moving::usual());
        let expected = if taken { Verdict::Right(Method::Totp) } else { Verdict::Wrong };
        assert_eq!(device.judge(&keys, &code(shown), START), Ok(expected));
        assert_eq!(device.judge(&keys, &code(shown), START), Ok(Verdict::Wrong));
    }
    let (keys, mut device) = device(Moving::usual());
    assert_eq!(device.judge(&keys, &code(step + 1), START), Ok(Verdict::Right(Method::Totp)));
    assert_eq!(device.judge(&keys, &code(step), START), Ok(Verdict::Wrong), "one before the last that was taken");
}

#[test]
fn a_counter_is_followed_and_found_again() {
    let (keys, mut device) = device(Moving::Hotp { next: 5 });
    let right = Ok(Verdict::Right(Method::Totp));
    assert_eq!(device.judge(&keys, &code(4), START), Ok(Verdict::Wrong));
    assert_eq!(device.judge(&keys, &code(15), START), right);
    assert_eq!(device.moving, Moving::Hotp { next: 16 });
    assert_eq!(device.judge(&keys, &code(27), START), Ok(Verdict::Wrong), "beyond the look-ahead");
    let two = |first, second| match (code(first), code(second)) {
        (Shown::Code(first), Shown::Code(second)) => Shown::Two(first, second),
        _ => unreachable!(),
    };
    assert_eq!(device.judge(&keys, &two(900, 902), START), Ok(Verdict::Wrong));
    assert_eq!(device.judge(&keys, &two(900, 901), START), right);
    assert_eq!(device.moving, Moving::Hotp { next: 902 });
}

#[test]
fn five_wrong_guesses_are_looked_at_within_five_minutes() {
    let (keys, mut device) = device(Moving::usual());
    let step = Period::USUAL.step_at(START);
    for left in (0..5).rev() {
        assert_eq!(device.judge(&keys, &code(step + 9), START), Ok(Verdict::Wrong));
        assert_eq!(device.remaining(START), left);
    }
    let until = START + GUESS_WINDOW;
    assert_eq!(device.judge(&keys, &code(step), START), Ok(Verdict::Full { until }));
    assert_eq!(device.judge(&keys, &code(step), until - Duration::from_millis(1)), Ok(Verdict::Full { until }));
    assert_eq!(device.judge(&keys, &code(step + 10), until), Ok(Verdict::Right(Method::Totp)));
}
