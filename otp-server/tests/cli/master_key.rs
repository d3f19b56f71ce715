use std::fs;

use crate::support::{Place, mode, word};

const OTHER: &str = "1:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
const NEWER: &str = "2:Z/8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8SNFZ4kAE=";

#[test]
fn a_key_that_others_can_read_is_refused() {
    let place = Place::new();
    place.start().stop();
    let key = place.path("otp-data/master.key");
    for (mode, text) in [(0o640, "0640"), (0o604, "0604")] {
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let finished = place.run(&[]);
        let mistake = finished.mistake();
        assert!(mistake.starts_with("OTP_MASTER_KEY: ") && mistake.contains(text), "{mistake}");
        assert!(mistake.contains("chmod 600 ./otp-data/master.key"), "{mistake}");
    }
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    assert_eq!(place.start().stop().status, 0);
    assert_eq!(mode(key), 0o400);
}

#[test]
fn a_missing_key_is_not_replaced() {
    let place = Place::new();
    place.start().stop();
    let key = place.path("otp-data/master.key");
    fs::rename(&key, place.path("copy")).unwrap();
    let finished = place.run(&[]);
    let mistake = finished.mistake();
    assert!(mistake.starts_with("OTP_MASTER_KEY: the master key of ./otp-data/otp.db is missing"), "{mistake}");
    assert!(mistake.contains("put ./otp-data/master.key back"), "{mistake}");
    assert!(!key.exists());
    fs::rename(place.path("copy"), &key).unwrap();
    assert_eq!(place.start().stop().status, 0);
}

#[test]
fn a_damaged_key_is_told() {
    let place = Place::new();
    place.start().stop();
    let whole = fs::read_to_string(place.path("otp-data/master.key")).unwrap();
    for text in ["", "x", &whole[..30]] {
        fs::write(place.path("otp-data/master.key"), text).unwrap();
        let finished = place.run(&[]);
        let mistake = finished.mistake();
        assert!(mistake.starts_with("OTP_MASTER_KEY: ./otp-data/master.key: "), "{mistake}");
        assert!(mistake.contains("put it back from its copy"), "{mistake}");
        assert!(text.is_empty() || !mistake.contains(&whole[2..30]), "{mistake}");
    }
}

#[test]
fn another_ring_is_refused_and_writes_nothing() {
    let place = Place::new();
    place.start().stop();
    let before = fs::read(place.path("otp-data/otp.db")).unwrap();
    for ring in [OTHER, NEWER] {
        let finished = place.run_with(&[], &[("OTP_MASTER_KEY", ring)]);
        let mistake = finished.mistake();
        assert!(mistake.starts_with("OTP_MASTER_KEY: this is not the master key that"), "{mistake}");
    }
    let finished = place.run_with(&["customer", "list"], &[("OTP_MASTER_KEY", OTHER)]);
    assert!(finished.mistake().starts_with("OTP_MASTER_KEY: "));
    assert!(before == fs::read(place.path("otp-data/otp.db")).unwrap(), "the file is as it was");
}

#[test]
fn a_ring_grows_and_keeps_every_key_that_wrote() {
    let place = Place::new();
    let first = place.start_with(&[("OTP_MASTER_KEY", OTHER)]).stop().stdout;
    assert_eq!(place.entries("otp-data"), ["otp.db", "otp.db.lock"], "no key file is made");
    let both = format!("{NEWER},{OTHER}");
    let server = place.start_with(&[("OTP_MASTER_KEY", &both)]);
    let (status, _) = server.post("/auth/request-otp", word(&first, "otp_live_sk_"), r#"{"email":"ann@example.org"}"#);
    assert_eq!(status, 200);
    server.stop();
    for lacking in [OTHER, NEWER] {
        assert!(place.run_with(&[], &[("OTP_MASTER_KEY", lacking)]).mistake().contains("a key of its ring is missing"));
    }
    assert_eq!(place.start_with(&[("OTP_MASTER_KEY", &both)]).stop().status, 0);
}
