//! Authenticators and scanners by others: they make the same codes, and read the pictures.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use otp_core::SeededRandom;
use otp_core::totp::{Digits, HashAlgorithm, KeyUri, Moving, OtpSecret, Period, QrPicture, hotp};
use serde_json::{Value, json};

use crate::call::{post, put};
use crate::factors::NAME;
use crate::harness::World;

fn setting(name: &str) -> OsString {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name} is set by `cargo xtask test`"))
}

fn script(name: &str) -> String {
    format!("{}/tests/api/peers/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What a program prints that is told this.
fn answer(program: &mut Command, input: &[u8]) -> String {
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// One of every kind, with names that are awkward in a URI.
struct Sample {
    secret: OtpSecret,
    algorithm: HashAlgorithm,
    digits: Digits,
    moving: Moving,
}

const ISSUER: &str = "Müller & Söhne 100%+";
const ACCOUNT: &str = "ann+work@example.org";
/// Times, and counters.
const AT: [u64; 4] = [59, 1_111_111_109, 1_800_000_000, 20_000_000_000];

impl Sample {
    fn all() -> Vec<Self> {
        let random = SeededRandom::new(1);
        let mut all = Vec::new();
        for algorithm in [HashAlgorithm::Sha1, HashAlgorithm::Sha256, HashAlgorithm::Sha512] {
            for digits in 6..=8 {
                for period in [None, Some(15), Some(30), Some(120)] {
                    let moving = match period {
                        Some(period) => Moving::Totp { period: Period::try_from(period).unwrap(), accepted: None },
                        None => Moving::Hotp { next: 0 },
                    };
                    let digits = Digits::try_from(digits).unwrap();
                    all.push(Self { secret: OtpSecret::generate(&random), algorithm, digits, moving });
                }
            }
        }
        all
    }

    fn uri(&self) -> String {
        let Self { secret, algorithm, digits, moving } = self;
        let (algorithm, digits, moving) = (*algorithm, *digits, *moving);
        let uri = KeyUri { issuer: ISSUER, account: ACCOUNT, secret, algorithm, digits, moving };
        uri.to_uri().expose().to_owned()
    }

    fn codes(&self) -> Vec<String> {
        let counter = |at: u64| match self.moving {
            Moving::Totp { period, .. } => at / u64::from(period.seconds()),
            Moving::Hotp { .. } => at,
        };
        AT.iter().map(|at| self.digits.of(hotp(self.algorithm, self.secret.as_bytes(), counter(*at)))).collect()
    }
}

fn asked() -> Vec<u8> {
    let asked = |sample: &Sample| json!({"uri": sample.uri(), "at": AT, "issuer": ISSUER, "account": ACCOUNT});
    serde_json::to_vec(&Sample::all().iter().map(asked).collect::<Vec<Value>>()).unwrap()
}

fn ours() -> Value {
    json!(Sample::all().iter().map(Sample::codes).collect::<Vec<_>>())
}

#[test]
#[ignore = "needs pyotp: run `cargo xtask test`"]
fn pyotp_makes_the_same_codes_of_our_uris() {
    let theirs = answer(Command::new(setting("OTP_TEST_PYTHON")).arg(script("totp.py")), &asked());
    assert_eq!(serde_json::from_str::<Value>(&theirs).unwrap(), ours());
}

#[test]
#[ignore = "needs otpauth: run `cargo xtask test`"]
fn otpauth_makes_the_same_codes_of_our_uris() {
    let entry = Path::new(&setting("OTP_TEST_NODE_MODULES")).join("otpauth/dist/otpauth.node.mjs");
    let theirs = answer(Command::new("node").arg(script("totp.mjs")).arg(entry), &asked());
    assert_eq!(serde_json::from_str::<Value>(&theirs).unwrap(), ours());
}

#[test]
#[ignore = "needs oathtool: run `cargo xtask test`"]
fn oathtool_makes_the_same_codes() {
    for sample in Sample::all() {
        let digits = format!("--digits={}", sample.digits.count());
        for (at, code) in AT.iter().zip(sample.codes()) {
            let mut oathtool = Command::new("oathtool");
            match sample.moving {
                // It knows HOTP with SHA-1 only.
                Moving::Hotp { .. } if sample.algorithm != HashAlgorithm::Sha1 => continue,
                Moving::Hotp { .. } => oathtool.args(["--hotp".to_owned(), format!("--counter={at}")]),
                Moving::Totp { period, .. } => oathtool.args([
                    format!("--totp={}", sample.algorithm.as_str().to_lowercase()),
                    format!("--time-step-size={}s", period.seconds()),
                    format!("--now=@{at}"),
                ]),
            };
            let made = answer(oathtool.args([digits.as_str(), "--base32", sample.secret.to_base32().expose()]), b"");
            assert_eq!(made.trim(), code, "{} at {at}", sample.uri());
        }
    }
}

fn scanned(picture: &Path) -> String {
    answer(Command::new("zbarimg").args(["-q", "--raw"]).arg(picture), b"").trim_end().to_owned()
}

#[test]
#[ignore = "needs zbarimg, rsvg-convert, jsqr and pngjs: run `cargo xtask test`"]
fn scanners_read_the_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let [png, svg, drawn] = ["a.png", "a.svg", "b.png"].map(|name| folder.path().join(name));
    let short = Sample::all().remove(0).uri();
    let long = KeyUri {
        issuer: &"I".repeat(120),
        account: &"@".repeat(500),
        secret: &"A".repeat(204).parse().unwrap(),
        algorithm: HashAlgorithm::Sha512,
        digits: Digits::EIGHT,
        moving: Moving::usual(),
    };
    for uri in [short, long.to_uri().expose().to_owned()] {
        let picture = QrPicture::of(&uri).unwrap();
        std::fs::write(&png, picture.to_png()).unwrap();
        assert_eq!(scanned(&png), uri);
        let modules = setting("OTP_TEST_NODE_MODULES");
        assert_eq!(answer(Command::new("node").arg(script("qr.mjs")).arg(modules).arg(&png), b""), uri);
        std::fs::write(&svg, picture.to_svg()).unwrap();
        let mut convert = Command::new("rsvg-convert");
        answer(convert.args(["-b", "white", "-w", "900", "-o"]).arg(&drawn).arg(&svg), b"");
        assert_eq!(scanned(&drawn), uri);
    }
}

/// From the picture to the accepted code, with nothing of ours between.
#[tokio::test]
#[ignore = "needs zbarimg and pyotp: run `cargo xtask test`"]
async fn what_an_app_makes_of_the_scanned_picture_is_accepted() {
    let world = World::new();
    let customer = world.customer().await;
    let body = json!({"userId": NAME, "issuer": "Acme", "accountName": "Eve", "algorithm": "SHA256", "digits": 8});
    let call = post("/api/otp/register", body).bearer(&customer.key).header("accept", "image/png");
    let picture = world.send(call).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.png");
    std::fs::write(&file, &picture.body).unwrap();
    let uri = scanned(&file);
    let asked = json!([{"uri": uri, "at": [world.clock_seconds()], "issuer": "Acme", "account": "Eve"}]);
    let mut pyotp = Command::new(setting("OTP_TEST_PYTHON"));
    let codes = answer(pyotp.arg(script("totp.py")), asked.to_string().as_bytes());
    let codes: Value = serde_json::from_str(&codes).unwrap();
    let enable = put("/api/otp/enable", json!({"userId": NAME, "otp": codes[0][0]}));
    world.send(enable.bearer(&customer.key)).await.ok();
}
