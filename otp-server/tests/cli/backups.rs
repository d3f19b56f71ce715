use std::fs;

use crate::support::{Place, mode, word};

fn name_of_customers(place: &Place) -> Vec<String> {
    let list = place.json(&["customer", "list", "--json"]);
    list["customers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

fn kept_in(said: &str) -> &str {
    word(said, "./otp-data/otp.db.replaced-").trim_end_matches('.')
}

#[test]
fn a_backup_of_a_running_server_is_restored() {
    let place = Place::new();
    let server = place.start();
    place.done(&["customer", "create", "Acme", "--email", "ops@acme.com"]);
    let said = place.done(&["backup", "copy.db"]);
    assert!(said.contains("does not hold the master key"), "{said}");
    assert_eq!(mode(place.path("copy.db")), 0o600);
    place.done(&["customer", "create", "Late", "--email", "ops@late.com"]);

    let finished = place.run(&["restore", "copy.db", "--force"]);
    assert_eq!(finished.status, 1, "{finished:?}");
    assert!(finished.stderr.contains("in use by another process; stop the server first"), "{finished:?}");
    server.stop();
    let finished = place.run(&["restore", "copy.db"]);
    assert_eq!(finished.status, 1, "{finished:?}");
    assert!(finished.stderr.contains("add --force"), "{finished:?}");
    assert_eq!(name_of_customers(&place), ["Late", "Acme", "Demo"]);

    let said = place.done(&["restore", "copy.db", "--force"]);
    assert_eq!(name_of_customers(&place), ["Acme", "Demo"]);
    assert_eq!(mode(place.path("otp-data/otp.db")), 0o600);
    fs::rename(place.path(kept_in(&said)), place.path("otp-data/otp.db")).unwrap();
    assert_eq!(name_of_customers(&place), ["Late", "Acme", "Demo"], "what was there is kept whole");
}

#[test]
fn a_backup_moves_to_another_machine_with_its_key() {
    let (old, new) = (Place::new(), Place::new());
    let key = word(&old.start().stop().stdout, "otp_live_sk_").to_owned();
    old.done(&["backup", "copy.db"]);
    fs::copy(old.path("copy.db"), new.path("copy.db")).unwrap();
    let finished = new.run(&["restore", "copy.db"]);
    assert!(finished.mistake().contains("the master key of copy.db is missing; put ./otp-data/master.key back"));
    assert_eq!(new.entries("otp-data"), ["otp.db.lock"]);
    fs::copy(old.path("otp-data/master.key"), new.path("otp-data/master.key")).unwrap();
    new.done(&["restore", "copy.db"]);
    let server = new.start();
    assert_eq!(server.post("/auth/request-otp", &key, r#"{"email":"ann@example.org"}"#).0, 200);
}

#[test]
fn what_is_no_backup_changes_nothing() {
    let place = Place::new();
    place.start().stop();
    place.done(&["backup", "copy.db"]);
    place.write("text", "This is not a database.");
    let mut damaged = fs::read(place.path("copy.db")).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle..].fill(0x5a);
    fs::write(place.path("damaged.db"), damaged).unwrap();
    let before = fs::read(place.path("otp-data/otp.db")).unwrap();
    for (file, why) in
        [("text", "no backup to restore"), ("damaged.db", "no backup to restore"), ("missing", "correct the path")]
    {
        let finished = place.run(&["restore", file, "--force"]);
        assert_eq!(finished.status, 1, "{finished:?}");
        assert!(finished.stderr.contains(why), "{finished:?}");
    }
    let other = [("OTP_MASTER_KEY", "1:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=")];
    let finished = place.run_with(&["restore", "copy.db", "--force"], &other);
    assert!(finished.mistake().starts_with("OTP_MASTER_KEY: "), "{finished:?}");
    assert!(before == fs::read(place.path("otp-data/otp.db")).unwrap());
    assert_eq!(place.entries("otp-data"), ["master.key", "otp.db", "otp.db.lock"]);
}

#[test]
fn what_a_crash_left_is_kept_and_does_not_reach_the_restored_database() {
    let place = Place::new();
    let server = place.start();
    place.done(&["backup", "copy.db"]);
    place.done(&["customer", "create", "Late", "--email", "ops@late.com"]);
    server.crash();
    assert!(place.path("otp-data/otp.db-wal").exists());
    let said = place.done(&["restore", "copy.db", "--force"]);
    assert_eq!(name_of_customers(&place), ["Demo"]);
    fs::rename(place.path(kept_in(&said)), place.path("otp-data/otp.db")).unwrap();
    assert_eq!(name_of_customers(&place), ["Late", "Demo"]);
}

#[test]
fn a_damaged_database_is_put_aside() {
    let place = Place::new();
    let server = place.start();
    place.done(&["backup", "copy.db"]);
    place.done(&["customer", "create", "Late", "--email", "ops@late.com"]);
    server.crash();
    place.write("otp-data/otp.db", &"This was a database. ".repeat(500));
    place.write("otp-data/otp.db-wal", &"This was its log. ".repeat(500));
    assert!(place.run(&[]).mistake().contains("otp-server restore FILE"));
    let said = place.done(&["restore", "copy.db", "--force"]);
    assert_eq!(name_of_customers(&place), ["Demo"]);
    assert!(fs::read_to_string(place.path(kept_in(&said))).unwrap().starts_with("This was a database."));
}

#[test]
fn a_backup_replaces_nothing_and_makes_no_database() {
    let place = Place::new();
    let finished = place.run(&["backup", "copy.db"]);
    assert!(finished.mistake().contains("there is no database at ./otp-data/otp.db"), "{finished:?}");
    assert!(place.entries(".").is_empty());
    place.done(&["migrate"]);
    place.write("copy.db", "mine");
    let finished = place.run(&["backup", "copy.db"]);
    assert_eq!(finished.status, 1);
    assert!(finished.stderr.contains("choose another name"), "{finished:?}");
    assert_eq!(fs::read_to_string(place.path("copy.db")).unwrap(), "mine");
    let finished = place.run_with(&["backup", "x.db"], &[("OTP_DATABASE_URL", "memory:")]);
    assert!(finished.mistake().contains("`memory:`"), "{finished:?}");
}
