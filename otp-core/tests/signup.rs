//! Signing up: the mail is the only proof, it works once, and nobody learns whose address has an account.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::audit::{Action, Actor};
use otp_core::event::EventKind;
use otp_core::member::{Member, Membership, Role, Seat};
use otp_core::message::{Content, Message, MessageState, Outgoing, SendError};
use otp_core::notice::NoticeKind;
use otp_core::signup::{Signup, SignupState};
use otp_core::store::{Item, Key, Kind, Read, Store};
use otp_core::tenant::{Tenant, TenantStatus};
use otp_core::*;

const ANN: &str = "Ann@Acme.example";
const PASSWORD: &str = "eleven pears in a teapot";

fn signup(email: &str) -> NewSignup {
    NewSignup {
        email: email.to_owned(),
        company_name: "Acme".to_owned(),
        password: Secret::from(PASSWORD.to_owned()),
        client: Client::default(),
        idempotency: None,
    }
}

fn saying(email: &str, secret: SignupSecret) -> ConfirmSignup {
    ConfirmSignup { email: email.to_owned(), secret, client: Client::default(), idempotency: None }
}

/// What a mail of a signup holds.
#[derive(Clone, Debug, PartialEq)]
struct Letter {
    token: String,
    code: String,
}

impl Letter {
    fn link(&self) -> SignupSecret {
        SignupSecret::Token(self.token.clone())
    }

    fn code(&self) -> SignupSecret {
        SignupSecret::Code(self.code.clone())
    }

    fn wrong(&self, number: usize) -> SignupSecret {
        SignupSecret::Code(wrong(&self.code, number))
    }
}

/// The parts of this file's plays.
trait Plays {
    fn sign_up(&self, email: &str) -> Result<(), Error>;
    fn mail(&self) -> Outgoing;
    fn letter(&self) -> Letter;
    fn confirm(&self, secret: SignupSecret) -> Result<ConfirmedSignup, Error>;
}

impl Plays for World {
    fn sign_up(&self, email: &str) -> Result<(), Error> {
        wait(self.service.sign_up(signup(email))).map(|answer| answer.value)
    }

    fn mail(&self) -> Outgoing {
        self.deliver();
        self.inbox.all().pop().unwrap()
    }

    fn letter(&self) -> Letter {
        let mail = self.mail();
        let link = mail.text.lines().find(|line| line.contains("/signup/verify?")).unwrap();
        let html = mail.html.unwrap().replace("&#x2f;", "/").replace("&amp;", "&");
        assert!(html.contains(&format!("href=\"{link}\"")), "{html}");
        let (_, token) = link.split_once("&token=").unwrap();
        Letter { token: token.to_owned(), code: mail.code.unwrap().expose().to_owned() }
    }

    fn confirm(&self, secret: SignupSecret) -> Result<ConfirmedSignup, Error> {
        wait(self.service.confirm_signup(saying(ANN, secret))).map(|answer| answer.value)
    }
}

#[test]
fn link_or_code_opens_the_account_once() {
    for by_link in [true, false] {
        let world = World::new();
        world.sign_up(ANN).unwrap();
        let mail = world.mail();
        assert_eq!((mail.to.as_str(), mail.from_name.as_deref()), (ANN, None));
        assert!(mail.text.contains("Acme") && !mail.subject.contains(mail.code.as_ref().unwrap().expose()));
        let letter = world.letter();
        let secret = || if by_link { letter.link() } else { letter.code() };
        let confirmed = world.confirm(secret()).unwrap();
        assert_eq!((confirmed.tenant.status, confirmed.tenant.plan.as_str()), (TenantStatus::Active, "free"));
        assert_eq!((confirmed.tenant.name.as_str(), confirmed.tenant.email.as_str()), ("Acme", ANN));
        let caller = world.authenticate(&confirmed.api_key).unwrap();
        assert_eq!(caller.space(), Space { tenant: confirmed.tenant.id, mode: Mode::Live });
        for secret in [letter.link(), letter.code()] {
            assert_eq!(refusal(world.confirm(secret)), "otp_not_found");
        }
        assert_eq!(refusal(world.confirm(letter.wrong(0))), "otp_invalid");
    }
}

#[test]
fn an_account_is_one_commit_with_its_member_event_audit_and_welcome() {
    let world = World::new();
    world.sign_up(ANN).unwrap();
    let letter = world.letter();
    world.store.forget_commits();
    let confirmed = world.confirm(letter.link()).unwrap();
    let commits = world.store.commits.lock().unwrap().clone();
    assert_eq!(commits.len(), 1);
    let mut expected = [
        [Kind::Tenant, Kind::ApiKey, Kind::SigningKey, Kind::SigningKey, Kind::Event, Kind::Event].as_slice(),
        [
            Kind::Audit,
            Kind::AuditHead,
            Kind::ConfigVersion,
            Kind::Message,
            Kind::Signup,
            Kind::SignupToken,
            Kind::Member,
            Kind::Membership,
            Kind::Seat,
        ]
        .as_slice(),
    ]
    .concat();
    expected.sort();
    assert_eq!(kinds(commits[0].puts.iter().chain(&commits[0].creates)), expected);

    let tenant = confirmed.tenant.id;
    let team: Vec<Membership> = world.owned(tenant.as_bytes().into());
    assert_eq!((team.len(), team[0].role), (1, Role::Owner));
    let members: Vec<Member> = world.owned(TenantId::INSTALLATION.as_bytes().into());
    let seats: Vec<Seat> = world.owned(members[0].id.as_bytes().into());
    assert_eq!((members.len(), team[0].member, seats.len(), seats[0].tenant), (1, members[0].id, 1, tenant));
    let keys = world.ring.installation();
    assert_eq!(keys.open_text(Member::EMAIL, &members[0].email).unwrap(), ANN);
    let phc = keys.open_text(Member::PASSWORD, &members[0].password).unwrap();
    assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
    let audit = world.audit(tenant);
    assert_eq!((audit[0].action, audit[0].actor), (Action::TenantCreated, Actor::Member(members[0].id)));
    let space = Space { tenant, mode: Mode::Live };
    assert_eq!(world.count_events(space, EventKind::CustomerStatusChanged), 1);
    assert_eq!(world.count_events(space, EventKind::ApiKeyCreated), 1);

    let mail = world.mail();
    assert_eq!((mail.subject.as_str(), mail.code.is_none()), ("Welcome to OTP Auth", true));
    for text in [&mail.text, mail.html.as_ref().unwrap()] {
        assert!(text.contains(&tenant.to_string()) && !text.contains("otp_live_"), "{text}");
    }
}

#[test]
fn a_known_address_gets_the_same_answers_and_writes_and_a_mail_that_says_so() {
    let world = World::new();
    world.sign_up(ANN).unwrap();
    world.confirm(world.letter().link()).unwrap();
    world.deliver();
    world.clock.advance(2 * HOUR);
    let mut told = Vec::new();
    for email in ["ann@acme.example", "new@acme.example"] {
        world.store.forget_commits();
        let resend =
            || wait(world.service.resend_signup(email, &from_ip("192.0.2.9"), None)).map(|answer| answer.value);
        let say = |secret| wait(world.service.confirm_signup(saying(email, secret))).map(|answer| answer.value);
        let mut outcomes: Vec<_> = vec![world.sign_up(email).map_err(|error| error.to_string())];
        outcomes.extend((0..4).map(|_| resend().map_err(|error| error.to_string())));
        for number in 0..7 {
            let outcome = say(SignupSecret::Code(format!("{number:09}")));
            outcomes.push(outcome.map(drop).map_err(|error| format!("{} {error}", error.code())));
        }
        let outcome = say(SignupSecret::Token("A".repeat(43)));
        outcomes.push(outcome.map(drop).map_err(|error| format!("{} {error}", error.code())));
        let commits = world.store.commits.lock().unwrap().clone();
        let written: Vec<_> = commits
            .iter()
            .map(|changes| (kinds(changes.puts.iter().chain(&changes.creates)), changes.adds.len()))
            .collect();
        told.push((outcomes, written));
    }
    assert_eq!(told[0], told[1]);
    world.deliver();
    let mails = world.inbox.all();
    let to = |address: &str| mails.iter().filter(|mail| mail.to == address).map(|mail| mail.subject.clone()).collect();
    let [known, new]: [Vec<String>; 2] = ["ann@acme.example", "new@acme.example"].map(to);
    assert_eq!(known, ["You already have an OTP Auth account"; 4]);
    assert_eq!(new, ["Confirm your address for OTP Auth"; 4]);
}

#[test]
fn of_sixty_four_confirmations_one_opens_an_account() {
    for round in 0..10 {
        let world = World::new();
        world.sign_up(ANN).unwrap();
        let letter = world.letter();
        let outcomes = race(64, |racer| world.confirm(if racer % 2 == 0 { letter.link() } else { letter.code() }));
        assert_eq!(tally(&outcomes, "ok"), 1, "{round}");
        assert_eq!(tally(&outcomes, "otp_not_found"), 63, "{round}");
        assert_eq!(world.owned::<Tenant>(Tenant::ALL).len(), 1);
        assert_eq!(world.committed::<Member>().len(), 1);
    }
}

#[test]
fn five_wrong_codes_end_the_code_and_not_the_link() {
    let world = World::new();
    world.sign_up(ANN).unwrap();
    let letter = world.letter();
    let outcomes = race(40, |racer| world.confirm(letter.wrong(racer)));
    assert_eq!(tally(&outcomes, "otp_invalid"), 40);
    assert_eq!(refusal(world.confirm(letter.code())), "otp_attempts_exceeded");
    assert_eq!(refusal(world.confirm(SignupSecret::Token("A".repeat(43)))), "otp_invalid");
    assert!(world.confirm(letter.link()).is_ok());

    let world = World::new();
    world.sign_up(ANN).unwrap();
    let letter = world.letter();
    (0..4).for_each(|number| assert_eq!(refusal(world.confirm(letter.wrong(number))), "otp_invalid"));
    assert!(world.confirm(letter.code()).is_ok(), "the fifth guess counts");
}

#[test]
fn link_and_code_die_after_a_day() {
    let world = World::new();
    world.sign_up(ANN).unwrap();
    let letter = world.letter();
    world.clock.advance(DAY);
    for secret in [letter.link(), letter.code()] {
        assert_eq!(refusal(world.confirm(secret)), "otp_expired");
    }
    assert_eq!(refusal(world.confirm(letter.wrong(0))), "otp_invalid");
    world.clock.advance(2 * DAY);
    while wait(world.service.sweep(100)).unwrap() == 100 {}
    assert_eq!(refusal(world.confirm(letter.link())), "otp_invalid");

    let world = World::new();
    world.sign_up(ANN).unwrap();
    let letter = world.letter();
    world.clock.advance(DAY - MILLI);
    assert!(world.confirm(letter.link()).is_ok());
}

#[test]
fn the_mail_is_sent_again_as_it_was_three_times_an_hour() {
    let world = World::new();
    let resend = |email| wait(world.service.resend_signup(email, &Client::default(), None)).map(|answer| answer.value);
    world.sign_up(ANN).unwrap();
    let letter = world.letter();
    for number in 2..=4 {
        world.clock.advance(MINUTE);
        resend("ann@acme.example").unwrap();
        assert_eq!(world.letter(), letter);
        assert_eq!(world.inbox.count(), number);
    }
    let limited = resend("ann@acme.example").unwrap_err();
    assert_eq!((limited.code(), limited.retry_after()), ("rate_limit_exceeded", Some(3_480)));
    world.clock.advance(HOUR);
    (0..3).for_each(|_| resend("nobody@acme.example").unwrap());
    assert_eq!(refusal(resend("nobody@acme.example")), "rate_limit_exceeded", "whether or not there is a signup");
    world.deliver();
    assert_eq!(world.inbox.count(), 4);
    assert!(world.confirm(letter.link()).is_ok());
    resend(ANN).unwrap();
    world.deliver();
    assert_eq!(world.inbox.all().pop().unwrap().subject, "Welcome to OTP Auth");
}

#[test]
fn a_later_signup_takes_the_place_of_an_earlier_one() {
    let world = World::new();
    world.sign_up(ANN).unwrap();
    let first = world.letter();
    let second = NewSignup { company_name: "Acme Two".to_owned(), ..signup("ann@acme.example") };
    wait(world.service.sign_up(second)).unwrap();
    let letter = world.letter();
    assert_ne!(first, letter);
    for secret in [first.link(), first.code()] {
        assert_eq!(refusal(world.confirm(secret)), "otp_invalid");
    }
    assert_eq!(world.confirm(letter.code()).unwrap().tenant.name, "Acme Two");
}

#[test]
fn a_mail_that_nobody_needs_any_more_is_not_sent() {
    let world = World::new();
    world.inbox.refuse([SendError::Temporary { reason: "later".to_owned(), retry_after: Some(HOUR) }]);
    world.sign_up(ANN).unwrap();
    assert_eq!(world.deliver().retried, 1);
    world.clock.advance(MINUTE);
    world.sign_up(ANN).unwrap();
    world.clock.advance(HOUR);
    world.letter();
    assert_eq!(world.inbox.count(), 1, "the first one's link is dead");
    let messages: Vec<Message> = world.committed();
    assert_eq!(messages.len(), 2);
    let first: Message = world.record(TenantId::INSTALLATION, messages[0].id.as_bytes()).unwrap();
    assert!(matches!(first.state, MessageState::Expired { .. }), "{first:?}");
    assert!(matches!(first.content, Content::Notice { notice } if notice.kind == NoticeKind::SignupVerification));
}

#[test]
fn five_signups_an_hour_from_one_network_and_of_one_address() {
    let world = World::new();
    let by =
        |ip: &str, number: usize| NewSignup { client: from_ip(ip), ..signup(&format!("ann{number}@acme.example")) };
    let outcomes = race(20, |racer| wait(world.service.sign_up(by(&format!("2001:db8::{racer:x}"), racer))));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "rate_limit_exceeded")), (5, 15));
    assert!(wait(world.service.sign_up(by("2001:db8:0:1::1", 30))).is_ok(), "another network");
    let outcomes = race(8, |racer| {
        let new = NewSignup { client: from_ip(&format!("192.0.2.{racer}")), ..signup(ANN) };
        wait(world.service.sign_up(new))
    });
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "rate_limit_exceeded")), (5, 3));
    world.clock.advance(2 * HOUR);
    assert!(world.sign_up(ANN).is_ok());
}

#[test]
fn bad_fields_are_named() {
    let world = World::new();
    let long = "x".repeat(257);
    for (email, company, password, code, field) in [
        ("ann", "Acme", PASSWORD, "invalid_email", "email"),
        (ANN, " ", PASSWORD, "invalid_field", "companyName"),
        (ANN, "Ac\nme", PASSWORD, "invalid_field", "companyName"),
        (ANN, "Acme", "elevenpears", "invalid_password", "password"),
        (ANN, "Acme", &long, "invalid_password", "password"),
        (ANN, "Acme", "1q2w3e4r5t6y", "password_too_common", "password"),
        (ANN, "Rocket Works", "Rocketworks!1", "password_too_common", "password"),
        (ANN, "Acme", "ann@acme.example", "password_too_common", "password"),
    ] {
        let new = NewSignup {
            email: email.to_owned(),
            company_name: company.to_owned(),
            password: Secret::from(password.to_owned()),
            ..signup(ANN)
        };
        match wait(world.service.sign_up(new)).unwrap_err() {
            Error::Invalid(invalid) => assert_eq!((invalid.code, &*invalid.field), (code, field)),
            error => panic!("{password}: {error}"),
        }
    }
    let say = |secret| refusal(world.confirm(secret));
    assert_eq!(say(SignupSecret::Code("12".to_owned())), "invalid_otp_format");
    assert_eq!(say(SignupSecret::Token("nonsense".to_owned())), "invalid_token_format");
    assert!(world.store.commits.lock().unwrap().is_empty());
}

#[test]
fn the_signup_token_makes_keys_for_an_hour_and_nothing_else() {
    let world = World::new();
    world.sign_up(ANN).unwrap();
    let confirmed = world.confirm(world.letter().link()).unwrap();
    let token = confirmed.signup_token.expose();
    let caller = wait(world.service.signup_caller(token)).unwrap();
    let made = world.create_key(&caller, new_key(api_key::KeyType::Secret, Mode::Live));
    assert!(world.authenticate(&made.api_key).is_ok());
    let member: Vec<Member> = world.owned(TenantId::INSTALLATION.as_bytes().into());
    assert!(
        world
            .audit(confirmed.tenant.id)
            .iter()
            .any(|line| line.actor == Actor::Member(member[0].id) && line.action == Action::KeyCreated)
    );
    let suspend = wait(world.service.set_status(&caller, TenantStatus::Suspended, None));
    assert_eq!(refusal(suspend.map(drop)), "administrator_required");
    let reveal = OtpRequest { deliver: Deliver::Caller, ..OtpRequest::to(email("bob@example.org")) };
    assert_eq!(refusal(world.request(&caller, reveal)), "scope_required");
    assert_eq!(refusal(world.authenticate(&confirmed.signup_token)), "invalid_api_key");
    for wrong in ["", "otp_su_x", confirmed.api_key.expose()] {
        assert_eq!(refusal(wait(world.service.signup_caller(wrong))), "invalid_token");
    }
    world.clock.advance(HOUR);
    assert_eq!(refusal(wait(world.service.signup_caller(token))), "invalid_token");
}

#[test]
fn what_is_not_committed_opens_nothing_and_can_be_tried_again() {
    for fault in [Fault::Busy, Fault::Unavailable, Fault::ReadOnly, Fault::UnknownLost] {
        let world = World::new();
        world.store.fail(fault);
        assert!(world.sign_up(ANN).is_err(), "{fault:?}");
        world.store.mend();
        assert_eq!(world.deliver(), Delivered::default(), "{fault:?}");
        world.sign_up(ANN).unwrap();
        let letter = world.letter();
        world.store.fail(fault);
        assert!(world.confirm(letter.link()).is_err(), "{fault:?}");
        world.store.mend();
        assert!(world.owned::<Tenant>(Tenant::ALL).is_empty());
        assert!(world.confirm(letter.link()).is_ok(), "{fault:?}");
    }
    // The word of a commit is lost: it happened, once, and its retry under the same idempotency key gives what was lost.
    let world = World::new();
    world.sign_up(ANN).unwrap();
    let letter = world.letter();
    let once = || ConfirmSignup {
        idempotency: Some(idempotency::Idempotency::new("retry", "POST /signup/verify", b"{}")),
        ..saying(ANN, letter.link())
    };
    world.store.fail(Fault::UnknownDone);
    assert_eq!(refusal(wait(world.service.confirm_signup(once())).map(drop)), "store_unavailable");
    world.store.mend();
    let again = wait(world.service.confirm_signup(once())).unwrap();
    assert!(again.replayed && world.authenticate(&again.value.api_key).is_ok());
    assert_eq!(refusal(world.confirm(letter.link())), "otp_not_found");
    // A guess under the same idempotency key is a guess, and not an oracle.
    let guess = ConfirmSignup { secret: letter.wrong(0), ..once() };
    assert_eq!(refusal(wait(world.service.confirm_signup(guess)).map(drop)), "otp_invalid");
}

#[test]
fn closed_means_closed() {
    let world = World::new();
    world.sign_up(ANN).unwrap();
    let letter = world.letter();
    let closed =
        Service::builder(world.store.clone(), world.ring.clone()).clock(world.clock.clone()).open_signup(false);
    let closed = closed.build();
    assert_eq!(refusal(wait(closed.sign_up(signup(ANN))).map(drop)), "signup_closed");
    assert_eq!(refusal(wait(closed.resend_signup(ANN, &Client::default(), None)).map(drop)), "signup_closed");
    assert_eq!(refusal(wait(closed.confirm_signup(saying(ANN, letter.link()))).map(drop)), "signup_closed");
}

#[test]
fn nothing_secret_or_personal_is_in_any_row() {
    let world = World::new();
    world.sign_up(ANN).unwrap();
    let letter = world.letter();
    let rows = || {
        let items = wait(world.store.inventory(None, 10_000)).unwrap();
        let record = |item| if let Item::Record(record) = item { Some(record.body()) } else { None };
        items.into_iter().filter_map(record).collect::<Vec<_>>()
    };
    let before = rows();
    let confirmed = world.confirm(letter.link()).unwrap();
    world.deliver();
    let secrets = [
        ANN,
        "ann@acme.example",
        PASSWORD,
        "argon2",
        &letter.token,
        &letter.code,
        confirmed.signup_token.expose(),
        confirmed.api_key.expose(),
    ];
    for row in before.iter().chain(&rows()) {
        assert!(!secrets.iter().any(|secret| row.contains(secret)), "{row}");
    }
    let key = Key::new::<Signup>(TenantId::INSTALLATION, world.committed::<Signup>()[0].subject.as_bytes());
    let seen = wait(world.store.inner.read(vec![Read::Record(key)])).unwrap();
    let signup = seen.one::<Signup>().unwrap();
    assert!(matches!(signup.state, SignupState::Used { .. }) && signup.applicant.is_none(), "{signup:?}");
}
