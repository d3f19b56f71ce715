//! What the people who run a tenant are told by mail, and how far their onboarding has come.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::api_key::KeyType;
use otp_core::event::EventKind;
use otp_core::message::{Message, MessageState, SendError};
use otp_core::onboarding::Step;
use otp_core::store::Kind;
use otp_core::tenant::TenantStatus;
use otp_core::usage::{Counter, Span};
use otp_core::*;

const OPS: &str = "ops@acme.example";

#[test]
fn a_change_of_standing_is_mailed_to_the_contact_with_its_reason() {
    let world = World::new();
    let acme = world.live();
    let tenant = acme.space().tenant;
    let administrator = wait(world.service.administrator(tenant)).unwrap();
    let set = |status, reason: Option<&str>| {
        wait(world.service.set_status(&administrator, status, reason.map(str::to_owned))).unwrap()
    };
    set(TenantStatus::Suspended, Some("Invoice 4711 <unpaid>"));
    // The tenant may not use the service; the installation's mail leaves all the same.
    assert_eq!(world.deliver().sent, 1);
    let mail = world.inbox.all().pop().unwrap();
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), (OPS, "Acme is suspended"));
    assert_eq!((mail.tenant, mail.code.is_none(), mail.from_name), (TenantId::INSTALLATION, true, None));
    assert!(mail.text.contains("Invoice 4711 <unpaid>") && mail.text.contains(&tenant.to_string()), "{}", mail.text);
    let html = mail.html.unwrap();
    assert!(html.contains("Invoice 4711 &lt;unpaid&gt;") && !html.contains("<unpaid>"), "{html}");
    assert_eq!(world.counter(acme.space(), Counter::EmailsSent, Span::Hour), 0, "it is no mail of the tenant");

    set(TenantStatus::Suspended, None);
    assert_eq!(world.deliver(), Delivered::default(), "nothing changed");
    set(TenantStatus::Active, None);
    set(TenantStatus::Cancelled, None);
    world.deliver();
    let mut subjects: Vec<_> = world.inbox.all().into_iter().map(|mail| mail.subject).collect();
    subjects.sort();
    assert_eq!(subjects, ["Acme is active", "Acme is cancelled", "Acme is suspended"]);
    assert_eq!(world.count_events(acme.space(), EventKind::CustomerStatusChanged), 3);
}

#[test]
fn a_tenant_that_cancels_itself_is_told_too() {
    let world = World::new();
    let acme = world.live();
    let key = world.create_key(&acme, new_key(KeyType::Secret, Mode::Live)).api_key;
    let itself = world.authenticate(&key).unwrap();
    assert_eq!(
        refusal(wait(world.service.set_status(&itself, TenantStatus::Suspended, None)).map(drop)),
        "administrator_required"
    );
    assert_eq!(world.deliver(), Delivered::default());
    wait(world.service.set_status(&itself, TenantStatus::Cancelled, Some("Moving on".to_owned()))).unwrap();
    assert_eq!(refusal(world.authenticate(&key).map(drop)), "customer_cancelled");
    world.deliver();
    assert!(world.inbox.all()[0].text.contains("Moving on"));
}

#[test]
fn a_notice_is_tried_for_three_days_and_its_failure_is_no_event_of_the_tenant() {
    let world = World::new();
    let acme = world.live();
    let administrator = wait(world.service.administrator(acme.space().tenant)).unwrap();
    let suspend = || wait(world.service.set_status(&administrator, TenantStatus::Suspended, None)).unwrap();
    let later = || SendError::Temporary { reason: "later".to_owned(), retry_after: Some(DAY) };
    world.inbox.refuse([later(), later(), later(), later()]);
    suspend();
    for _ in 0..2 {
        assert_eq!(world.deliver().retried, 1);
        world.clock.advance(DAY);
    }
    assert_eq!(world.deliver().failed, 1);
    world.clock.advance(DAY);
    assert_eq!(world.deliver(), Delivered::default());
    let message = world.committed::<Message>().remove(0);
    let message: Message = world.record(message.space.tenant, message.id.as_bytes()).unwrap();
    assert!(matches!(message.state, MessageState::Failed { .. }), "{message:?}");
    assert_eq!(world.count_events(acme.space(), EventKind::MessageFailed), 0);
}

#[test]
fn a_notice_survives_the_process_that_queued_it() {
    let world = World::new();
    let acme = world.live();
    let administrator = wait(world.service.administrator(acme.space().tenant)).unwrap();
    world.store.forget_commits();
    wait(world.service.set_status(&administrator, TenantStatus::Suspended, Some("x".to_owned()))).unwrap();
    let commits = world.store.commits.lock().unwrap().clone();
    assert_eq!(commits.len(), 1, "the mail is in the commit of what it tells of");
    assert_eq!(kinds(&commits[0].puts), [Kind::Tenant, Kind::Message, Kind::Event, Kind::Audit, Kind::AuditHead]);
    let another = world.another_service();
    assert_eq!(wait(another.deliver_pending(10)).unwrap().sent, 1);
    assert_eq!(world.deliver(), Delivered::default());
}

#[test]
fn a_quota_that_is_used_up_or_nearly_is_told_once_however_many_race() {
    let world = World::with_plans("[[plan]]\nname = \"small\"\notp_per_day = 40\notp_per_month = 60\n");
    let acme = world.caller(world.tenant("small").id, Mode::Live);
    world.clock.set(at("2026-02-10T12:00:00Z"));
    let told = |kind| world.count_events(acme.space(), kind);
    let ask =
        |day: usize, racers| race(racers, |racer| world.request_to(&acme, &format!("user{day}.{racer}@example.org")));
    assert_eq!(tally(&ask(1, 31), "ok"), 31);
    assert_eq!((told(EventKind::QuotaWarning), told(EventKind::QuotaExceeded)), (0, 0));
    assert_eq!(tally(&ask(2, 64), "ok"), 9);
    assert_eq!((told(EventKind::QuotaWarning), told(EventKind::QuotaExceeded)), (1, 1));
    world.clock.advance(DAY);
    assert_eq!(tally(&ask(3, 64), "ok"), 20);
    assert_eq!((told(EventKind::QuotaWarning), told(EventKind::QuotaExceeded)), (2, 2), "of the month");
    world.deliver();
    let mails = world.inbox.all();
    let mut subjects: Vec<_> = mails.iter().filter(|mail| mail.to == OPS).map(|mail| mail.subject.as_str()).collect();
    subjects.sort_unstable();
    assert_eq!(
        subjects,
        [
            "Acme: 80 % of this month's codes are used",
            "Acme: 80 % of today's codes are used",
            "Acme: all of this month's codes are used",
            "Acme: all of today's codes are used",
        ]
    );
}

#[test]
fn onboarding_tells_what_is_there() {
    let world = World::new();
    let acme = world.live();
    let tenant = acme.space().tenant;
    let done = || {
        let view = wait(world.service.onboarding(&acme)).unwrap();
        let done = view.steps.iter().filter(|(_, done)| *done).map(|(step, _)| *step);
        (done.collect::<Vec<_>>(), view.next())
    };
    use Step::*;
    assert_eq!(done(), (vec![AccountCreated, ApiKeyGenerated], Some(EmailVerified)));
    let test = world.caller(tenant, Mode::Test);
    let answer = world.request_to(&test, "bob@example.org").unwrap();
    assert!(!done().0.contains(&FirstTestCompleted), "asked for is not verified");
    world.say(&test, answer.challenge_id, answer.code.unwrap().expose()).unwrap();
    assert_eq!(done(), (vec![AccountCreated, ApiKeyGenerated, FirstTestCompleted], Some(EmailVerified)));
    world.sign_in(&acme, OPS);
    let edit = EditTenant { webhook_url: Some(Some("https://acme.example/hooks".to_owned())), ..EditTenant::default() };
    wait(world.service.edit_tenant(&acme, edit)).unwrap();
    assert_eq!(done().1, Some(EmailTemplateConfigured));

    let skip = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        wait(world.service.skip_onboarding(&acme, &names))
    };
    let unknown = skip(&["emailTemplate"]).unwrap_err();
    assert!(matches!(&unknown, Error::Invalid(invalid) if invalid.field == "skip"), "{unknown}");
    let view = skip(&["emailTemplateConfigured", "emailTemplateConfigured"]).unwrap();
    assert_eq!((view.skipped.as_slice(), view.next()), ([EmailTemplateConfigured].as_slice(), None));
    assert!(!view.steps.contains(&(EmailTemplateConfigured, true)), "skipped is not done");
    assert_eq!(skip(&[]).unwrap().next(), Some(EmailTemplateConfigured));
    world.change(&acme, |settings| settings.branding.app_name = Some("Acme Shop".to_owned()));
    assert_eq!(done().1, None);

    // The address that was proven is not the contact any more.
    let edit = EditTenant { email: Some("new@acme.example".to_owned()), ..EditTenant::default() };
    wait(world.service.edit_tenant(&acme, edit)).unwrap();
    assert_eq!(done().1, Some(EmailVerified));
}

#[test]
fn a_plan_below_what_is_in_use_is_told_with_every_field_before_it_is_done() {
    let plans = "[[plan]]\nname = \"small\"\nusers = 1\notp_per_day = 2\notp_per_month = 2\n[[plan]]\nname = \"large\"\nfeatures = [\"webhooks\"]";
    let world = World::with_plans(plans);
    let acme = world.caller(world.tenant("large").id, Mode::Live);
    (0..3).for_each(|number| drop(world.sign_in(&acme, &format!("user{number}@example.org"))));
    let edit = EditTenant {
        webhook_url: Some(Some("https://acme.example/hooks".to_owned())),
        plan: Some("large".to_owned()),
        ..EditTenant::default()
    };
    wait(world.service.edit_tenant(&acme, edit)).unwrap();
    let small = EditTenant { plan: Some("small".to_owned()), ..EditTenant::default() };
    let Error::PlanBelowUse(above) = wait(world.service.edit_tenant(&acme, small.clone())).unwrap_err() else {
        panic!("it is refused");
    };
    let fields: Vec<_> = above.iter().map(|invalid| &*invalid.field).collect();
    assert_eq!(fields, ["users", "otpRequestsPerDay", "otpRequestsPerMonth", "webhookUrl"]);
    assert_eq!(above[0].message, "3 are in use, the plan allows 1");
    let forced = wait(world.service.edit_tenant(&acme, EditTenant { force: true, ..small })).unwrap();
    assert_eq!(forced.plan, "small");
    assert_eq!(world.service.upgrade_plan(&acme, "large").unwrap_err().code(), "billing_not_configured");
    assert_eq!(world.service.upgrade_plan(&acme, "huge").unwrap_err().code(), "unknown_plan");
}
