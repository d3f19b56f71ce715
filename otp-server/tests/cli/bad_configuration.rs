use crate::support::{Place, finish, with_variable};

/// Stands where a secret would, and must never be printed.
const HUSH: &str = "hush";

/// A variable, what it is set to, and what the message has to say beside the variable.
const BAD: &[(&str, &str, &[&str])] = &[
    ("OTP_LISTEN", "", &["127.0.0.1:8080"]),
    ("OTP_LISTEN", "8080", &["\"8080\"", "127.0.0.1:8080"]),
    ("OTP_LISTEN", "localhost:8080", &["no IP address", "127.0.0.1:8080"]),
    ("OTP_LISTEN", "127.0.0.1:65536", &["127.0.0.1:8080"]),
    ("OTP_LISTEN", "203.0.113.7:0", &["no address of this machine", "0.0.0.0"]),
    ("OTP_ADMIN_LISTEN", "8081", &["127.0.0.1:8080"]),
    ("OTP_DATA_DIR", "", &["name a directory"]),
    (
        "OTP_DATABASE_URL",
        "postgres://otp:hush@127.0.0.1:1/otp",
        &["postgres://127.0.0.1/otp", "cannot be reached", "check"],
    ),
    ("OTP_DATABASE_URL", "postgres://otp:hush@:port/otp", &["not understood"]),
    ("OTP_DATABASE_URL", "mysql://otp:hush@db/otp", &["sqlite:PATH"]),
    ("OTP_DATABASE_URL", "otp.db", &["sqlite:PATH"]),
    ("OTP_DATABASE_URL", "sqlite:", &["sqlite:./otp.db"]),
    ("OTP_DATABASE_URL", "sqlite:otp.db?mode=ro", &["sqlite:./otp.db"]),
    ("OTP_DATABASE_URL", "memory:hush", &["memory:"]),
    ("OTP_MASTER_KEY", "hush", &["kid:base64", "openssl rand -base64 32"]),
    ("OTP_MASTER_KEY", "1:hush!", &["kid:base64", "openssl rand -base64 32"]),
    ("OTP_MASTER_KEY", "1:aHVzaA==", &["4 bytes", "32", "openssl"]),
    ("OTP_MASTER_KEY", "0:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=", &["1 to 255"]),
    ("OTP_MASTER_KEY", "256:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=", &["1 to 255"]),
    ("OTP_MASTER_KEY", "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", &["constant", "openssl"]),
    ("OTP_MASTER_KEY", "1:aHVzaC1odXNoLWh1c2gtaHVzaC1odXNoLWh1c2gtaHU=", &["readable text", "openssl"]),
    ("OTP_ADMIN_TOKEN", "hush", &["otp_admin_", "openssl rand"]),
    ("OTP_ADMIN_TOKEN", "otp_admin_hush", &["14 characters", "32"]),
    ("OTP_ADMIN_TOKEN", "otp_admin_hush hush hush hush hush hush", &["space"]),
    ("OTP_ADMIN_TOKEN", "otp_admin_hushhushhushhushhushhushhush", &["guessed", "openssl rand"]),
    ("OTP_ADMIN_TOKEN", "otp_admin_your-super-hush-key-0123456", &["guessed", "openssl rand"]),
    ("OTP_MAIL_URL", "", &["smtp://"]),
    ("OTP_MAIL_URL", "gopher:hush", &["mailbox:", "smtp://", "file:"]),
    ("OTP_MAIL_URL", "smtp://user:hush@mail.example.com?tls=none", &["tls=starttls"]),
    ("OTP_MAIL_URL", "smtp://user:hu/hush@mail.example.com", &["%2F"]),
    ("OTP_MAIL_URL", "smtp://user:hush@mail.example.com?ca=missing.pem", &["missing.pem", "cannot be read"]),
    ("OTP_MAIL_FROM", "nobody", &["Name <user@example.com>"]),
    ("OTP_DNS_SERVER", "dns.example", &["127.0.0.1:53"]),
    ("OTP_DNS_SERVER", "127.0.0.1:0", &["53"]),
    ("OTP_MAIL_URL", "resend:", &["`resend:KEY`"]),
    ("OTP_MAIL_URL", "resend:re_hush?endpoint=http://mail.example.com", &["https://", "loopback"]),
    ("OTP_MAIL_URL", "sendgrid:SG.hush?key=hush", &["endpoint="]),
    ("OTP_MAIL_URL", "ses:eu-central-1", &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]),
    ("OTP_MAIL_URL", "ses:Frankfurt", &["`ses:eu-central-1`"]),
    ("OTP_MAIL_URL", "smtp://mail.example.com?connections=0", &["1 to 100"]),
    ("OTP_MAIL_URL", "resend:re_hush gopher:hush", &["number 2 of 2", "smtp://", "%20"]),
    ("OTP_MAIL_URL", "smtp://user:hush hush@mail.example.com", &["number 1 of 2", "%20"]),
    ("OTP_MAIL_URL", "resend:re_hush mailbox:", &["stand alone"]),
    ("OTP_MAIL_URL", "file:mails resend:re_hush", &["stand alone"]),
    ("OTP_SMS_URL", "twilio:AC0123:hush?service=MG01 twilio:AC0123:hush", &["number 2 of 2", "?from="]),
    ("OTP_SMS_URL", "", &["mailbox:", "twilio:", "gateway:"]),
    ("OTP_SMS_URL", "twilio:SID:hush?from=+1", &["AC"]),
    ("OTP_SMS_URL", "twilio:AC0123:hush?from=+1", &["+14155550100"]),
    ("OTP_SMS_URL", "twilio:AC0123:hush", &["?from=", "?service=", "?whatsapp="]),
    ("OTP_SMS_URL", "twilio:AC0123:hush?whatsapp=+14155550100", &["content=HX"]),
    ("OTP_SMS_URL", "gateway:https://sms.example.com/send?secret=hush", &["whsec_", "openssl rand -base64 32"]),
    ("OTP_PUBLIC_URL", "auth.example.com", &["https://auth.example.com"]),
    ("OTP_PUBLIC_URL", "ftp://auth.example.com", &["https://"]),
    ("OTP_PUBLIC_URL", "https://otp:hush@auth.example.com", &["user name or password"]),
    ("OTP_PUBLIC_URL", "https://auth.example.com/?x=1", &["`?`"]),
    ("OTP_TRUSTED_PROXIES", "10.0.0.0/33", &["\"10.0.0.0/33\"", "10.0.0.0/8"]),
    ("OTP_TRUSTED_PROXIES", "10.0.0.1, 0.0.0.0/0", &["\"0.0.0.0/0\"", "list your proxies"]),
    ("OTP_MAX_CONNECTIONS", "0", &["1 to 1000000"]),
    ("OTP_MAX_CONNECTIONS_PER_IP", "many", &["1 to 1000000"]),
    ("OTP_PLANS", "missing.toml", &["missing.toml", "cannot be read"]),
    ("OTP_PLANS", "plans.toml", &["plans.toml", "line 3", "quota", "otp_per_month"]),
    ("OTP_SIGNUP", "shut", &["\"shut\"", "open", "closed"]),
    ("OTP_AUDIT_DAYS", "0", &["\"0\"", "1 to 3650"]),
    ("OTP_LOG", "inof", &["\"inof\"", "info"]),
    ("OTP_LOG", "otp_server=loud", &["\"loud\"", "debug"]),
    ("OTP_LOG", "a b=info", &["\"a b\"", "otp_server::http=debug"]),
    ("OTP_LOG_FORMAT", "xml", &["\"xml\"", "json"]),
    ("OTP_CONFIG", "missing.toml", &["missing.toml", "correct the path"]),
];

#[test]
fn a_bad_variable_is_one_line_that_names_it_and_the_fix() {
    let place = Place::new();
    place.write("plans.toml", "[[plan]]\nname = \"free\"\nquota = 1\n");
    for (variable, value, needles) in BAD {
        let finished = place.run_with(&[], &[(variable, value)]);
        let mistake = finished.mistake();
        assert!(mistake.starts_with(variable), "{variable}={value}: {mistake}");
        for needle in *needles {
            assert!(mistake.contains(needle), "{variable}={value} should tell {needle:?}: {mistake}");
        }
        assert!(!mistake.contains(HUSH), "{variable}={value}: {mistake}");
    }
    assert_eq!(place.entries("."), ["plans.toml"], "a start that fails leaves nothing behind");
}

#[test]
fn what_is_no_text_is_no_setting() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let command = with_variable(place.command(&[]), "OTP_MAIL_FROM", std::ffi::OsStr::from_bytes(b"\xff"));
    assert!(finish(command).mistake().starts_with("OTP_MAIL_FROM: it is not UTF-8"));
}

#[test]
fn a_mistake_in_the_file_is_told_with_its_line() {
    let place = Place::new();
    for (text, needles) in [
        ("listen = \"127.0.0.1:0\"\nlissten = \"hush\"", &["otp.toml, line 2, column 1", "`lissten`", "listen, "][..]),
        ("\nadmin_token = true", &["otp.toml, line 2, column 15", "double quotes"]),
        ("admin_token = hush", &["otp.toml, line 1, column 15"]),
        ("[server]\nlisten = \"127.0.0.1:0\"", &["otp.toml, line 1", "`server`", "listen"]),
        ("# mail\nmail_url = \"gopher:hush\"", &["OTP_MAIL_URL (mail_url in otp.toml, line 2)", "smtp://"]),
        ("max_connections = 0", &["OTP_MAX_CONNECTIONS (max_connections in otp.toml, line 1)", "1 to 1000000"]),
    ] {
        place.write("otp.toml", text);
        let finished = place.run(&[]);
        let mistake = finished.mistake();
        for needle in needles {
            assert!(mistake.contains(needle), "{text}: {mistake}");
        }
        assert!(!mistake.contains(HUSH), "{text}: {mistake}");
    }
}

#[test]
fn a_bad_flag_or_command_is_told_in_one_line() {
    let place = Place::new();
    for (arguments, needles) in [
        (&["--listen", "8080"][..], &["OTP_LISTEN (flag --listen)", "127.0.0.1:8080"][..]),
        (&["serve", "--plans", "no.toml"], &["OTP_PLANS (flag --plans)", "no.toml"]),
        (&["--config", "no.toml"], &["--config: there is no file no.toml"]),
        (&["--lisen", "x"], &["--lisen", "--listen"]),
        (&["--listen"], &["--listen", "value"]),
        (&["srve"], &["srve", "serve"]),
        (&["customer", "suspend", "acme"], &["acme", "identifier"]),
        (&["key", "create", "cust_1111111111111111111111", "--name", "x", "--type", "sercet"], &["sercet", "secret"]),
    ] {
        let finished = place.run(arguments);
        for needle in needles {
            assert!(finished.mistake().contains(needle), "{arguments:?}: {}", finished.mistake());
        }
    }
}

#[test]
fn flags_win_over_variables_and_these_over_the_file() {
    let place = Place::new();
    place.write("otp.toml", "listen = \"from the file\"\n");
    place.write("other.toml", "listen = \"from the other file\"\n");
    let told = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = place.command(arguments);
        command.env_remove("OTP_LISTEN").envs(variables.iter().copied());
        finish(command).mistake().to_owned()
    };
    let variable = ("OTP_LISTEN", "from the variable");
    let config = ("OTP_CONFIG", "other.toml");
    assert!(told(&[], &[]).contains("from the file"));
    assert!(told(&[], &[config]).contains("from the other file"));
    assert!(told(&["--config", "otp.toml"], &[config]).contains("from the file"));
    assert!(told(&[], &[variable]).contains("from the variable"));
    assert!(told(&["serve", "--listen", "from the flag"], &[variable]).contains("from the flag"));
}
