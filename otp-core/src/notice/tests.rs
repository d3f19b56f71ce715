//! Every notice in words.

use super::*;
use crate::secret::Secret;
use crate::template::render_letter;

fn about(name: &str) -> About {
    About { tenant: TenantId::from_bytes([7; 16]), name: name.to_owned() }
}

fn all(name: &str) -> Vec<Notice> {
    let at = Timestamp::from_millis(1_800_000_000_000);
    let status = |to, reason: Option<&str>| Notice::StatusChanged {
        about: about(name),
        from: TenantStatus::Active,
        to,
        reason: reason.map(str::to_owned),
        at,
    };
    let quota = |span, used| Notice::Quota { about: about(name), span, used, limit: 1_000, renewed_at: at };
    let code = |of_use| Notice::MemberCode { code: ChallengeId::from_bytes([3; 16]), kid: 1, of_use, expires_at: at };
    vec![
        Notice::SignupVerification {
            signup: SignupId::from_bytes([1; 16]),
            kid: 1,
            company_name: name.to_owned(),
            expires_at: at,
        },
        Notice::SignupKnown {},
        Notice::Welcome { about: about(name) },
        code(CodeUse::Register),
        code(CodeUse::SignIn),
        code(CodeUse::Recover),
        Notice::PasswordChanged { at },
        Notice::SecondFactorChanged { change: FactorChange::Enabled, at },
        Notice::SecondFactorChanged { change: FactorChange::Disabled, at },
        Notice::SecondFactorChanged { change: FactorChange::Reset, at },
        Notice::Invitation {
            about: about(name),
            invitation: InvitationId::from_bytes([2; 16]),
            kid: 1,
            role: Role::Developer,
            by: "ann@acme.example".to_owned(),
            expires_at: at,
        },
        status(TenantStatus::Pending, None),
        status(TenantStatus::Active, Some(name)),
        status(TenantStatus::Suspended, Some(name)),
        status(TenantStatus::Cancelled, None),
        quota(Span::Day, 800),
        quota(Span::Month, 1_000),
        Notice::ErrorRate { about: about(name), failed: 7, requests: 100 },
        Notice::Latency { about: about(name), p95_millis: 812, limit_millis: 500 },
        Notice::Undelivered { about: about(name), failed: 1 },
        Notice::Undelivered { about: about(name), failed: 12 },
        Notice::EndpointDisabled { about: about(name), url: "https://acme.example/?a=b&c".to_owned(), is_gone: true },
        Notice::EndpointDisabled { about: about(name), url: "https://acme.example".to_owned(), is_gone: false },
    ]
}

fn frame(url: &str) -> Frame<'_> {
    let link = format!("{url}/signup/verify?email=a%40b.example&token=abc");
    Frame {
        url,
        link: Some(link),
        code: Some(Secret::from("123456789".to_owned())),
        at: Timestamp::from_millis(1_769_847_330_123),
        ip: Some("203.0.113.7".to_owned()),
    }
}

#[test]
fn every_notice_is_read_back_as_it_was_written() {
    for notice in all("Acme") {
        let written = serde_json::to_string(&notice).unwrap();
        assert_eq!(serde_json::from_str::<Notice>(&written).unwrap(), notice, "{written}");
        let kind = serde_json::to_value(notice.kind()).unwrap();
        assert!(written.contains(kind.as_str().unwrap()), "the two names are one: {written}");
    }
}

#[test]
fn every_notice_renders_and_nothing_in_it_becomes_markup_or_a_header() {
    for name in ["Acme", "A\r\nBcc: x@evil.test\u{2028}<script>\"'&{{ code }}"] {
        for notice in all(name) {
            let mail = render_letter(&letter(&notice, frame("https://otp.example"))).unwrap();
            assert!(!mail.subject.chars().any(char::is_control) && !mail.subject.is_empty(), "{}", mail.subject);
            assert!(!mail.html.contains("<script") && !mail.html.contains("&amp;amp;"), "{}", mail.html);
            assert!(!mail.text.lines().any(|line| line.starts_with("Bcc:")), "{}", mail.text);
            let parts = [&mail.html, &mail.text].map(|part| part.contains("123 456 789"));
            use NoticeKind::{Invitation, MemberCode, SignupVerification};
            let has_code = [SignupVerification, MemberCode, Invitation].contains(&notice.kind());
            assert_eq!(parts, [has_code; 2], "{}", mail.text);
            assert!(!mail.subject.contains("123"), "{}", mail.subject);
            assert!(!mail.text.contains("\n\n\n") && !mail.text.starts_with('\n'), "{}", mail.text);
        }
    }
}

#[test]
fn the_mail_of_a_signup_reads_well() {
    let mail = render_letter(&letter(&all("Acme")[0], frame("https://otp.example"))).unwrap();
    assert_eq!(
        mail.text,
        "Confirm your address

Acme is signing up for OTP Auth with this address.

Confirm the address:
https://otp.example/signup/verify?email=a%40b.example&token=abc

Or enter this code where you signed up:

    123 456 789

Link and code work once, until 15 January 2027, 08:00 UTC.

If you did not sign up, ignore this message. Without a confirmation nothing happens.

Requested on 31 January 2026, 08:15 UTC from 203.0.113.7

OTP Auth"
    );
}
