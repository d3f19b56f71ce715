use crate::support::{Place, mode, word};

#[test]
fn the_first_start_prints_what_is_needed_to_sign_in() {
    let place = Place::new();
    let mut server = place.start();
    server.read_until("verify-otp");
    let said = server.said.clone();
    let (key, address) = (word(&said, "otp_live_sk_"), server.address.clone());
    assert_eq!(word(&said, "otp_admin_").len(), 48);
    assert!(said.contains(&format!("http://{address}/dev/mailbox")), "{said}");
    let curls: Vec<_> = said.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect();
    assert!(curls[0].starts_with(&format!("curl http://{address}/auth/request-otp ")), "{said}");
    assert!(curls.iter().all(|curl| curl.contains(key)), "{said}");

    let (status, body) = server.post("/auth/request-otp", key, r#"{"email":"ann@example.org"}"#);
    assert_eq!(status, 200, "{body}");
    let code = loop {
        let (_, mails) = server.fetch("/dev/mailbox/messages", "");
        let digits = |text: &&str| text.len() == 9 && text.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(code) = mails.split('"').find(digits) {
            break code.to_owned();
        }
    };
    let body = format!(r#"{{"email":"ann@example.org","otp":"{code}"}}"#);
    let (status, body) = server.post("/auth/verify-otp", key, &body);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"token\""), "{body}");

    let authorization = format!("Authorization: Bearer {}\r\n", word(&said, "otp_admin_"));
    let (status, body) = server.fetch("/admin/customers", &authorization);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"Demo\""), "{body}");
    let finished = server.stop();
    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
}

#[test]
fn the_second_start_prints_only_where_it_listens() {
    let place = Place::new();
    let first = place.start().stop().stdout;
    let (key, token) = (word(&first, "otp_live_sk_"), word(&first, "otp_admin_"));
    let server = place.start();
    let (status, _) = server.post("/auth/request-otp", key, r#"{"email":"ann@example.org"}"#);
    assert_eq!(status, 200, "the key of the first start works on");
    let (status, _) = server.fetch("/admin/customers", &format!("Authorization: Bearer {token}\r\n"));
    assert_eq!(status, 200, "so does the token");
    let address = server.address.clone();
    let finished = server.stop();
    assert_eq!(finished.stdout, format!("OTP Auth listens on http://{address}\n"));
    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
}

#[test]
fn what_is_made_is_for_the_owner_only() {
    let place = Place::new();
    place.start().stop();
    assert_eq!(mode(place.path("otp-data")), 0o700);
    assert_eq!(place.entries("otp-data"), ["master.key", "otp.db", "otp.db.lock"]);
    for file in place.entries("otp-data") {
        assert_eq!(mode(place.path("otp-data").join(&file)), 0o600, "{file}");
    }
}

#[test]
fn in_memory_nothing_is_left_behind_and_every_start_is_the_first() {
    let place = Place::new();
    let memory = [("OTP_DATABASE_URL", "memory:")];
    let first = place.start_with(&memory).stop().stdout;
    let second = place.start_with(&memory).stop().stdout;
    assert!(first.contains("gone when the server stops"), "{first}");
    assert_ne!(word(&first, "otp_live_sk_"), word(&second, "otp_live_sk_"));
    assert_ne!(word(&first, "otp_admin_"), word(&second, "otp_admin_"));
    assert!(place.entries(".").is_empty());
}

#[test]
fn a_token_that_is_set_is_used_and_not_printed() {
    let place = Place::new();
    let token = "otp_admin_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b";
    let server = place.start_with(&[("OTP_ADMIN_TOKEN", token)]);
    let (status, body) = server.fetch("/admin/customers", &format!("Authorization: Bearer {token}\r\n"));
    assert_eq!(status, 200, "{body}");
    assert!(!server.stop().stdout.contains("otp_admin_"));
    let made = place.start().stop().stdout;
    let server = place.start();
    let (status, _) = server.fetch("/admin/customers", &format!("Authorization: Bearer {token}\r\n"));
    assert_eq!(status, 401, "a token that is not set any more opens nothing");
    let made = format!("Authorization: Bearer {}\r\n", word(&made, "otp_admin_"));
    assert_eq!(server.fetch("/admin/customers", &made).0, 200);
}

#[test]
fn the_mailbox_is_shown_only_where_it_is_safe_and_filled() {
    let place = Place::new();
    let server = place.start();
    assert_eq!(server.fetch("/dev/mailbox", "").0, 200);
    server.stop();
    let server = place.start_with(&[("OTP_MAIL_URL", "file:mails")]);
    assert_eq!(server.fetch("/dev/mailbox", "").0, 404);
    server.stop();
    let mut server = place.start_with(&[("OTP_LISTEN", "0.0.0.0:0")]);
    server.address = server.address.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(server.fetch("/dev/mailbox", "").0, 404);
    let warned = server.stop().stderr;
    assert!(warned.contains("set OTP_MAIL_URL") && warned.contains("OTP_PUBLIC_URL is not set"), "{warned}");
}

#[test]
fn metrics_are_on_their_own_listener() {
    let place = Place::new();
    let mut server = place.start_with(&[("OTP_ADMIN_LISTEN", "127.0.0.1:0")]);
    let line = server.read_until("Metrics");
    let operator = word(&line, "http://").trim_start_matches("http://").split('/').next().unwrap().to_owned();
    assert_eq!(server.fetch("/metrics", "").0, 404);
    server.address = operator;
    let (status, body) = server.fetch("/metrics", "");
    assert_eq!(status, 200);
    assert!(body.contains("# EOF"), "{body}");
}
