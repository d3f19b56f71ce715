//! What the notices say.

use super::{About, FactorChange, Notice};
use crate::clock::Timestamp;
use crate::member::{CodeUse, Role};
use crate::secret::Secret;
use crate::template::{Button, Letter, civil_time};
use crate::tenant::TenantStatus;
use crate::usage::Span;

/// What the wording needs beside the notice.
pub(crate) struct Frame<'a> {
    /// The installation's URL, without a slash at its end.
    pub url: &'a str,
    /// The link that confirms a signup.
    pub link: Option<String>,
    /// The code that the mail is sent for.
    pub code: Option<Secret>,
    /// When the notice was queued.
    pub at: Timestamp,
    /// The address of whoever caused it, where that is worth telling.
    pub ip: Option<String>,
}

/// The notice in words.
pub(crate) fn letter(notice: &Notice, frame: Frame<'_>) -> Letter {
    match notice {
        Notice::SignupVerification { company_name, expires_at, .. } => verification(company_name, *expires_at, frame),
        Notice::SignupKnown {} => known(frame),
        Notice::Welcome { about } => welcome(about, frame),
        Notice::MemberCode { of_use, expires_at, .. } => member_code(*of_use, *expires_at, frame),
        Notice::PasswordChanged { at } => password_changed(*at, &frame),
        Notice::SecondFactorChanged { change, at } => second_factor_changed(*change, *at, &frame),
        Notice::Invitation { about, role, by, expires_at, .. } => invitation(about, *role, by, *expires_at, frame),
        Notice::StatusChanged { about, to, reason, at, .. } => status(about, *to, reason.clone(), *at),
        Notice::Quota { about, span, used, limit, renewed_at } => quota(about, *span, *used, *limit, *renewed_at),
        Notice::ErrorRate { about, failed, requests } => error_rate(about, *failed, *requests, frame.at),
        Notice::Latency { about, p95_millis, limit_millis } => latency(about, *p95_millis, *limit_millis, frame.at),
        Notice::Undelivered { about, failed } => undelivered(about, *failed, frame.at),
        Notice::EndpointDisabled { about, url, is_gone } => endpoint_disabled(about, url, *is_gone, frame.at),
    }
}

fn verification(company: &str, expires_at: Timestamp, frame: Frame<'_>) -> Letter {
    let footer = requested(&frame);
    let Frame { link, code, .. } = frame;
    Letter {
        subject: "Confirm your address for OTP Auth".to_owned(),
        heading: "Confirm your address".to_owned(),
        paragraphs: vec![format!("{company} is signing up for OTP Auth with this address.")],
        button: link.map(|url| Button { label: "Confirm the address".to_owned(), url }),
        code_label: "Or enter this code where you signed up:".to_owned(),
        code,
        closing: vec![
            format!("Link and code work once, until {}.", civil_time(expires_at)),
            "If you did not sign up, ignore this message. Without a confirmation nothing happens.".to_owned(),
        ],
        footer,
        ..Letter::default()
    }
}

fn known(frame: Frame<'_>) -> Letter {
    Letter {
        subject: "You already have an OTP Auth account".to_owned(),
        heading: "You already have an account".to_owned(),
        paragraphs: vec![
            "Somebody wanted to sign up for OTP Auth with this address, which has an account. Nothing was changed.".to_owned(),
            "If it was you, go on with the API key that you have. If it is lost, ask whoever runs this installation for \
             another one."
                .to_owned(),
        ],
        closing: vec!["If it was not you, ignore this message.".to_owned()],
        footer: requested(&frame),
        ..Letter::default()
    }
}

fn welcome(about: &About, frame: Frame<'_>) -> Letter {
    Letter {
        subject: "Welcome to OTP Auth".to_owned(),
        heading: format!("{} is ready", about.name),
        paragraphs: vec![
            "Your address is confirmed and the account is open.".to_owned(),
            "The API key was shown once, when the address was confirmed. It is in no mail: keep it where your servers keep \
             their secrets, and out of browsers and apps."
                .to_owned(),
        ],
        button: Some(Button { label: "Open the API reference".to_owned(), url: format!("{}/docs", frame.url) }),
        facts: vec![("Customer".to_owned(), about.tenant.to_string()), ("API".to_owned(), frame.url.to_owned())],
        ..Letter::default()
    }
}

fn member_code(of_use: CodeUse, expires_at: Timestamp, frame: Frame<'_>) -> Letter {
    let (subject, asked) = match of_use {
        CodeUse::Register => ("Confirm your address for OTP Auth", "register for OTP Auth with this address"),
        CodeUse::SignIn => ("Your code to sign in to OTP Auth", "sign in to OTP Auth with this address"),
        CodeUse::Recover => ("Set a new password for OTP Auth", "set a new password for OTP Auth"),
    };
    Letter {
        subject: subject.to_owned(),
        heading: subject.to_owned(),
        paragraphs: vec![format!("Somebody, hopefully you, wants to {asked}.")],
        code_label: "Enter this code where you were asked for it:".to_owned(),
        footer: requested(&frame),
        code: frame.code,
        closing: vec![
            format!("The code works once, until {}.", civil_time(expires_at)),
            "If it was not you, ignore this message and tell nobody the code.".to_owned(),
        ],
        ..Letter::default()
    }
}

fn password_changed(at: Timestamp, frame: &Frame<'_>) -> Letter {
    Letter {
        subject: "Your OTP Auth password was changed".to_owned(),
        heading: "Your password was changed".to_owned(),
        paragraphs: vec![
            "Whoever was signed in with your account has been signed out.".to_owned(),
            "If it was not you, somebody reads your mail: secure your mailbox first, then set a new password."
                .to_owned(),
        ],
        facts: vec![("Changed".to_owned(), civil_time(at))],
        footer: requested(frame),
        ..Letter::default()
    }
}

fn second_factor_changed(change: FactorChange, at: Timestamp, frame: &Frame<'_>) -> Letter {
    let (what, effect) = match change {
        FactorChange::Enabled => (
            "An authenticator protects your OTP Auth account",
            "Signing in takes a code of it from now on. Keep the recovery codes where the authenticator is not.",
        ),
        FactorChange::Disabled => (
            "Your OTP Auth account has no authenticator any more",
            "Its recovery codes are worthless, and signing in takes the password or a mailed code alone.",
        ),
        FactorChange::Reset => (
            "The authenticator of your OTP Auth account was removed",
            "Whoever runs this installation did it. Its recovery codes are worthless, and whoever was signed in with your \
             account has been signed out. Sign in and set an authenticator up again.",
        ),
    };
    Letter {
        subject: what.to_owned(),
        heading: what.to_owned(),
        paragraphs: vec![
            effect.to_owned(),
            "If it was not you, set a new password and tell whoever runs this installation.".to_owned(),
        ],
        facts: vec![("Changed".to_owned(), civil_time(at))],
        footer: requested(frame),
        ..Letter::default()
    }
}

fn invitation(about: &About, role: Role, by: &str, expires_at: Timestamp, frame: Frame<'_>) -> Letter {
    let name = &about.name;
    Letter {
        subject: format!("Join {name} on OTP Auth"),
        heading: format!("Join {name}"),
        paragraphs: vec![
            format!("{by} asks you to join the team of {name} as {}.", role.as_str()),
            "Sign in with this address, or register with it first, and accept with the code below.".to_owned(),
        ],
        code_label: "The code of the invitation:".to_owned(),
        code: frame.code,
        facts: vec![("Customer".to_owned(), about.tenant.to_string()), ("API".to_owned(), frame.url.to_owned())],
        closing: vec![
            format!("It works once, until {}, and for this address only.", civil_time(expires_at)),
            "If you do not know who that is, ignore this message. Nothing happens then.".to_owned(),
        ],
        ..Letter::default()
    }
}

fn status(about: &About, to: TenantStatus, reason: Option<String>, at: Timestamp) -> Letter {
    let name = &about.name;
    let effect = match to {
        TenantStatus::Active => "API keys work, and users can sign in.",
        TenantStatus::Pending => "API keys do not work before the account is confirmed.",
        TenantStatus::Suspended => {
            "API keys and users' tokens do not work while this lasts. Nothing was deleted. To have it lifted, ask whoever \
             runs this installation."
        }
        TenantStatus::Cancelled => "API keys and users' tokens do not work any more. This is final.",
    };
    Letter {
        subject: format!("{name} is {to}"),
        heading: format!("{name} is {to}"),
        paragraphs: vec![effect.to_owned()],
        quote: reason.map(|reason| ("Reason:".to_owned(), reason)),
        facts: of_tenant(about, "Since", at),
        ..Letter::default()
    }
}

fn quota(about: &About, span: Span, used: u64, limit: u64, renewed_at: Timestamp) -> Letter {
    let (which, whose) = if span == Span::Day { ("today", "today's") } else { ("this month", "this month's") };
    let (subject, effect) = match used >= limit {
        true => (
            format!("{}: all of {whose} codes are used", about.name),
            "Until it is renewed, requests for codes are refused with `quota_exceeded`.",
        ),
        false => (
            format!("{}: {} % of {whose} codes are used", about.name, used * 100 / limit.max(1)),
            "When it is used up, requests for codes are refused with `quota_exceeded`.",
        ),
    };
    Letter {
        heading: subject.clone(),
        subject,
        paragraphs: vec![
            format!("{used} of the {limit} codes that the plan includes were asked for {which}."),
            effect.to_owned(),
        ],
        facts: of_tenant(about, "Renewed", renewed_at),
        ..Letter::default()
    }
}

fn error_rate(about: &About, failed: u64, requests: u64, at: Timestamp) -> Letter {
    let rate = failed * 100 / requests.max(1);
    Letter {
        subject: format!("{}: {rate} % of requests fail", about.name),
        heading: format!("{rate} % of requests fail"),
        paragraphs: vec![
            format!("Within five minutes {failed} of {requests} requests of {} failed.", about.name),
            "What failed, and why, is at `GET /admin/analytics/errors`.".to_owned(),
        ],
        facts: of_tenant(about, "Noticed", at),
        ..Letter::default()
    }
}

fn latency(about: &About, p95_millis: u64, limit_millis: u64, at: Timestamp) -> Letter {
    Letter {
        subject: format!("{}: answers take {p95_millis} ms", about.name),
        heading: "Answers are slow".to_owned(),
        paragraphs: vec![format!(
            "Within five minutes one in twenty requests of {} took longer than {p95_millis} ms; it should stay below \
             {limit_millis} ms.",
            about.name
        )],
        facts: of_tenant(about, "Noticed", at),
        ..Letter::default()
    }
}

fn undelivered(about: &About, failed: u64, at: Timestamp) -> Letter {
    let (messages, were) = if failed == 1 { ("message", "was") } else { ("messages", "were") };
    Letter {
        subject: format!("{}: {failed} {messages} did not arrive", about.name),
        heading: format!("{failed} {messages} did not arrive"),
        paragraphs: vec![
            format!(
                "Within a day {failed} {messages} of {} {were} given up: the provider refused to take them, or their codes \
                 expired before it did.",
                about.name
            ),
            "When that was is at `GET /admin/analytics/errors`; the events `message.failed` have what the provider said."
                .to_owned(),
        ],
        closing: vec!["The next mail about this comes in a day, if more are given up then.".to_owned()],
        facts: of_tenant(about, "Noticed", at),
        ..Letter::default()
    }
}

fn endpoint_disabled(about: &About, url: &str, is_gone: bool, at: Timestamp) -> Letter {
    let why = if is_gone { "It answered 410: gone." } else { "For five days it has taken nothing." };
    Letter {
        subject: format!("{}: events are not sent any more", about.name),
        heading: "An endpoint was switched off".to_owned(),
        paragraphs: vec![
            format!("Events of {} are not sent to {url} any more. {why}", about.name),
            "They are kept for 30 days. When the endpoint works again, enable it (`PUT /admin/webhooks/endpoints/{id}`) and \
             have them sent (`POST /admin/webhooks/recover`)."
                .to_owned(),
        ],
        facts: of_tenant(about, "Since", at),
        ..Letter::default()
    }
}

fn of_tenant(about: &About, what: &str, at: Timestamp) -> Vec<(String, String)> {
    vec![("Customer".to_owned(), about.tenant.to_string()), (what.to_owned(), civil_time(at))]
}

fn requested(frame: &Frame<'_>) -> Option<String> {
    let from = frame.ip.as_ref().map(|ip| format!(" from {ip}")).unwrap_or_default();
    Some(format!("Requested on {}{from}", civil_time(frame.at)))
}
