use crate::support::{Place, word};

#[test]
fn a_customer_is_made_suspended_and_activated_beside_a_running_server() {
    let place = Place::new();
    let server = place.start();
    let made = place.json(&["customer", "create", "Acme", "--email", "ops@acme.com", "--plan", "pro", "--json"]);
    let (id, key) = (made["customerId"].as_str().unwrap(), made["apiKey"].as_str().unwrap());
    assert!(made["apiSecret"].as_str().unwrap().starts_with("whsec_"), "{made}");
    let own = || server.fetch("/admin/customers/me", &format!("X-OTP-API-Key: {key}\r\n"));
    assert_eq!(own().0, 200);

    let list = place.json(&["customer", "list", "--search", "ACME", "--json"]);
    assert_eq!(list["customers"].as_array().unwrap().len(), 1);
    assert_eq!(list["customers"][0]["plan"], "pro");
    let table = place.done(&["customer", "list"]);
    assert!(table.starts_with("CUSTOMER ") && table.lines().count() == 3 && table.contains("ops@acme.com"), "{table}");

    let said = place.done(&["customer", "suspend", id, "--reason", "unpaid"]);
    assert_eq!(said, format!("{id} was active and is suspended now.\n"));
    // The server notices within a second.
    while own().0 == 200 {}
    let (status, body) = own();
    assert_eq!(status, 403);
    assert!(body.contains("customer_suspended"), "{body}");
    place.done(&["customer", "activate", id]);
    assert_eq!(place.json(&["customer", "list", "--json"])["customers"][0]["status"], "active");
}

#[test]
fn keys_are_made_listed_rotated_and_revoked() {
    let place = Place::new();
    let id = word(&place.done(&["customer", "create", "Acme", "--email", "ops@acme.com"]), "cust_").to_owned();
    let made = place.json(&[
        "key",
        "create",
        &id,
        "--name",
        "Web",
        "--type",
        "publishable",
        "--mode",
        "test",
        "--origin",
        "http://localhost:*",
        "--json",
    ]);
    assert!(made["apiKey"].as_str().unwrap().starts_with("otp_test_pk_"), "{made}");
    let web = made["keyId"].as_str().unwrap();
    let rotated = place.json(&["key", "rotate", &id, web, "--grace", "1h", "--json"]);
    assert_eq!(rotated["oldKeyId"], web);
    let newer = rotated["keyId"].as_str().unwrap();
    assert!(place.done(&["key", "revoke", &id, newer]).starts_with(&format!("{newer} is revoked")));

    let list = place.json(&["key", "list", &id, "--json"]);
    let of = |id: &str| list["keys"].as_array().unwrap().iter().find(|key| key["keyId"] == id).unwrap().clone();
    assert_eq!(of(web)["status"], "rotating");
    assert_eq!(of(web)["allowedOrigins"][0], "http://localhost:*");
    assert_eq!(of(newer)["status"], "revoked");
    assert!(place.done(&["key", "list", &id]).lines().count() == 4);
}

#[test]
fn tokens_are_signed_with_the_algorithm_that_was_chosen() {
    let place = Place::new();
    let id = word(&place.done(&["customer", "create", "Acme", "--email", "ops@acme.com"]), "cust_").to_owned();
    let said = place.done(&["customer", "signing-key", &id, "--algorithm", "EdDSA"]);
    assert!(said.contains("EdDSA"), "{said}");
    let server = place.start();
    let (status, body) = server.fetch(&format!("/auth/{id}/.well-known/jwks.json"), "");
    assert_eq!(status, 200);
    assert!(body.contains("\"OKP\""), "{body}");
}

#[test]
fn what_cannot_be_done_is_told_with_status_1() {
    let place = Place::new();
    let nobody = "cust_1111111111111111111111";
    let finished = place.run(&["customer", "suspend", nobody]);
    assert!(finished.mistake().contains("there is no database"), "{finished:?}");
    place.done(&["migrate"]);
    for (arguments, why) in [
        (&["customer", "suspend", nobody][..], "customer not found"),
        (&["key", "list", nobody], "customer not found"),
        (&["customer", "create", "Acme", "--email", "nobody"], "email"),
        (&["customer", "create", "Acme", "--email", "ops@acme.com", "--plan", "gold"], "free"),
        (&["customer", "create", "Acme", "--email", "ops@acme.com", "--origin", "acme.com"], "https://myapp.com"),
    ] {
        let finished = place.run(arguments);
        assert_eq!(finished.status, 1, "{finished:?}");
        assert!(finished.stderr.contains(why) && finished.stderr.lines().count() == 1, "{finished:?}");
    }
}

#[test]
fn check_tells_of_each_thing_and_makes_nothing() {
    let place = Place::new();
    let said = place.done(&["check"]);
    assert_eq!(said.lines().filter(|line| line.starts_with("ok    ")).count(), 7, "{said}");
    assert!(place.entries(".").is_empty());
    place.start().stop();
    let said = place.done(&["check"]);
    assert!(said.contains("ok    store: ./otp-data/otp.db is sound"), "{said}");
    assert!(said.contains("ok    master key: it is the one that the data was written with"), "{said}");

    for (variables, line) in [
        (&[("OTP_LISTEN", "8080")][..], "FAIL  configuration: OTP_LISTEN: "),
        (&[("OTP_MASTER_KEY", "1:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=")], "FAIL  master key: OTP_MASTER_KEY: "),
        (&[("OTP_MAIL_URL", "smtp://127.0.0.1:1")], "FAIL  mail: OTP_MAIL_URL: "),
        (&[("OTP_MAIL_URL", "resend:re_a?endpoint=http://127.0.0.1:1")], "FAIL  mail: OTP_MAIL_URL: Resend: "),
        (
            &[("OTP_SMS_URL", "twilio:AC1:a?from=+14155550100&endpoint=http://127.0.0.1:1")],
            "FAIL  text messages: OTP_SMS_URL: Twilio: ",
        ),
        (&[("OTP_DNS_SERVER", "127.0.0.1:1")], "FAIL  dns: OTP_DNS_SERVER: "),
        (&[("OTP_DATABASE_URL", "sqlite:text")], "FAIL  store: OTP_DATABASE_URL: text: "),
    ] {
        place.write("text", "This is not a database.");
        let finished = place.run_with(&["check"], variables);
        assert_eq!(finished.status, 1, "{finished:?}");
        assert!(finished.stdout.contains(line), "{finished:?}");
    }
}

#[test]
fn check_finds_a_clock_that_is_behind_the_database() {
    let place = Place::new();
    place.done(&["migrate"]);
    let database = std::fs::File::options().append(true).open(place.path("otp-data/otp.db")).unwrap();
    let now = database.metadata().unwrap().modified().unwrap();
    database.set_modified(now + std::time::Duration::from_secs(86_400)).unwrap();
    let finished = place.run(&["check"]);
    assert_eq!(finished.status, 1);
    assert!(finished.stdout.contains("FAIL  clock: it says ") && finished.stdout.contains("NTP"), "{finished:?}");
}

#[test]
fn the_documents_are_printed() {
    let place = Place::new();
    let document = place.json(&["openapi"]);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{document}");
    let file = place.done(&["config"]);
    place.write("otp.toml", &file);
    let mut command = place.command(&["check"]);
    command.env_clear();
    let finished = crate::support::finish(command);
    assert_eq!(finished.status, 0, "{finished:?}");
    assert!(finished.stdout.contains("ok    configuration: otp.toml"), "{finished:?}");
}

#[test]
fn help_teaches() {
    let place = Place::new();
    let help = place.done(&["--help"]);
    for word in ["Examples:", "otp-server check", "--database-url", "customer", "restore"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    assert!(place.done(&["--version"]).starts_with("otp-server "));
    let finished = place.run(&["customer"]);
    assert_eq!(finished.status, 2);
    assert!(finished.stderr.contains("suspend"), "{finished:?}");
}
