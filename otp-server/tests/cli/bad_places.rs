use std::fs;
use std::net::TcpListener;

use crate::support::Place;

#[test]
fn a_port_in_use_is_told_before_anything_is_made() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for variable in ["OTP_LISTEN", "OTP_ADMIN_LISTEN"] {
        let finished = place.run_with(&[], &[(variable, &address)]);
        let mistake = finished.mistake();
        assert!(mistake.starts_with(&format!("{variable}: {address} is in use")), "{mistake}");
        assert!(mistake.contains("choose another port"), "{mistake}");
    }
    assert!(place.entries(".").is_empty());
    let both = place.run_with(&[], &[("OTP_LISTEN", "127.0.0.1:18080"), ("OTP_ADMIN_LISTEN", "127.0.0.1:18080")]);
    assert!(both.mistake().starts_with("OTP_ADMIN_LISTEN: 127.0.0.1:18080 is where OTP_LISTEN listens"));
}

#[test]
fn a_data_directory_that_cannot_be_made_is_told() {
    let place = Place::new();
    place.write("file", "");
    let finished = place.run_with(&[], &[("OTP_DATA_DIR", "file/data")]);
    assert!(finished.mistake().starts_with("OTP_DATA_DIR: file/data cannot be made"), "{}", finished.mistake());
    let finished = place.run_with(&[], &[("OTP_DATABASE_URL", "sqlite:missing/otp.db")]);
    let mistake = finished.mistake();
    assert!(mistake.starts_with("OTP_DATABASE_URL: missing/otp.db: "), "{mistake}");
    assert!(mistake.contains("a directory that exists"), "{mistake}");
    let finished = place.run_with(&[], &[("OTP_MAIL_URL", "file:file/mails")]);
    assert!(finished.mistake().starts_with("OTP_MAIL_URL: "), "{}", finished.mistake());
}

#[test]
fn a_file_that_is_not_our_database_is_told_and_not_touched() {
    let place = Place::new();
    fs::create_dir(place.path("otp-data")).unwrap();
    place.sql("CREATE TABLE recipe (name TEXT); PRAGMA user_version = 7");
    let foreign = fs::read(place.path("otp-data/otp.db")).unwrap();
    let finished = place.run(&[]);
    assert!(finished.mistake().contains("another program"), "{}", finished.mistake());
    assert_eq!(fs::read(place.path("otp-data/otp.db")).unwrap(), foreign);

    place.write("otp-data/otp.db", &"This is a text, not a database. ".repeat(200));
    let finished = place.run(&[]);
    let mistake = finished.mistake();
    assert!(mistake.starts_with("OTP_DATABASE_URL: ./otp-data/otp.db: "), "{mistake}");
    assert!(mistake.contains("not a database") && mistake.contains("otp-server restore FILE"), "{mistake}");
    assert!(!place.path("otp-data/master.key").exists(), "no key is made for it");
}

#[test]
fn a_newer_database_is_told_and_not_touched() {
    let place = Place::new();
    place.done(&["migrate"]);
    place.sql("PRAGMA user_version = 99");
    let finished = place.run(&[]);
    assert!(finished.mistake().contains("schema version 99"), "{}", finished.mistake());
    assert!(finished.mistake().contains("use a newer program"), "{}", finished.mistake());
}

#[test]
fn a_database_that_another_process_has_locked_is_told() {
    let place = Place::new();
    let first = place.done(&["migrate"]);
    assert_eq!(first, "The database has the newest schema.\n");
    assert_eq!(place.start().stop().status, 0);
    let other = place.database();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let finished = place.run(&[]);
    let mistake = finished.mistake();
    assert!(mistake.starts_with("OTP_DATABASE_URL: "), "{mistake}");
    assert!(mistake.contains("locked by another process") && mistake.contains("end that process"), "{mistake}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(place.start().stop().status, 0);
}
