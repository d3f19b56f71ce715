//! Tenants: created, found, changed, suspended and ended, each at once.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::audit::{Action, Actor};
use otp_core::event::{EventData, EventKind};
use otp_core::plan::Feature;
use otp_core::tenant::TenantStatus;
use otp_core::token::Algorithm;
use otp_core::*;

const ANN: &str = "ann@example.org";

fn set(world: &World, tenant: TenantId, status: TenantStatus) -> Result<(TenantStatus, TenantView), Error> {
    let administrator = wait(world.service.administrator(tenant)).unwrap();
    wait(world.service.set_status(&administrator, status, Some("asked for".to_owned())))
}

#[test]
fn a_tenant_comes_with_a_key_and_a_trail() {
    let world = World::new();
    let new = NewTenant {
        company_name: Some("Acme Ltd".to_owned()),
        plan: Some("pro".to_owned()),
        webhook_url: Some("https://acme.example/hooks".to_owned()),
        allowed_origins: vec!["https://*.acme.example".to_owned()],
        by_administrator: true,
        client: Client { request_id: Some("req-1".to_owned()), ..from_ip("198.51.100.7") },
        ..NewTenant::named(" Acme ", "Ops@Acme.example")
    };
    let created = wait(world.service.create_tenant(new)).unwrap();
    assert!(created.api_key.expose().starts_with("otp_live_sk_"));
    assert!(created.webhook_secret.expose().starts_with("whsec_") && created.webhook_secret.expose().len() == 50);
    let view = wait(world.service.tenant(created.id)).unwrap();
    assert_eq!((view.name.as_str(), view.email.as_str(), view.plan.as_str()), ("Acme", "Ops@Acme.example", "pro"));
    assert_eq!((view.company_name.as_deref(), view.status), (Some("Acme Ltd"), TenantStatus::Active));
    assert!(view.features.contains(&Feature::Sso) && view.created_at == world.now());
    assert_eq!(world.authenticate(&created.api_key).unwrap().space().tenant, created.id);
    let trail = world.audit(created.id);
    assert_eq!((trail.len(), trail[0].action, trail[0].actor), (1, Action::TenantCreated, Actor::Administrator));
    assert_eq!(trail[0].request_id.as_deref(), Some("req-1"));
    // Neither the address nor a secret stands in what was written.
    for changes in world.store.commits.lock().unwrap().iter() {
        for record in changes.puts.iter().chain(&changes.creates) {
            let body = record.body();
            assert!(!body.contains("acme.example\"") || !body.to_lowercase().contains("ops@"), "{body}");
            assert!(
                !body.contains(&created.api_key.expose()[12..])
                    && !body.contains(&created.webhook_secret.expose()[6..])
            );
        }
    }
}

#[test]
fn what_is_no_tenant_is_refused() {
    let world = World::new();
    let named = || NewTenant::named("Acme", "ops@acme.example");
    let long = "x".repeat(201);
    for (new, code) in [
        (NewTenant { name: " ".to_owned(), ..named() }, "invalid_field"),
        (NewTenant { name: long, ..named() }, "invalid_field"),
        (NewTenant { name: "two\nlines".to_owned(), ..named() }, "invalid_field"),
        (NewTenant { email: "nobody".to_owned(), ..named() }, "invalid_email"),
        (NewTenant { plan: Some("huge".to_owned()), ..named() }, "unknown_plan"),
        (NewTenant { webhook_url: Some("acme.example".to_owned()), ..named() }, "invalid_webhook_url"),
        (NewTenant { webhook_url: Some("ftp://acme.example/".to_owned()), ..named() }, "invalid_webhook_url"),
        (NewTenant { webhook_url: Some("https://me:pw@acme.example/".to_owned()), ..named() }, "invalid_webhook_url"),
        (NewTenant { allowed_origins: vec!["https://acme.example/".to_owned()], ..named() }, "invalid_origin"),
        (NewTenant { allowed_origins: vec!["http://localhost:*".to_owned()], ..named() }, "invalid_origin"),
    ] {
        assert_eq!(refusal(wait(world.service.create_tenant(new))), code);
    }
    assert!(world.store.commits.lock().unwrap().is_empty());
}

#[test]
fn a_suspended_tenant_is_stopped_at_once_and_comes_back() {
    let world = World::new();
    let tenant = world.tenant("enterprise");
    let program = world.caller(tenant.id, Mode::Live);
    let asked = world.ask_for(&program, ANN);
    let signed_in = world.sign_in(&program, "bob@example.org");
    let me = world.me(&signed_in).unwrap();
    world.clock.advance(SECOND);

    let (old, view) = set(&world, tenant.id, TenantStatus::Suspended).unwrap();
    assert_eq!(
        (old, view.status, view.status_changed_at),
        (TenantStatus::Active, TenantStatus::Suspended, world.now())
    );
    assert_eq!(refusal(world.authenticate(&tenant.api_key)), "customer_suspended");
    assert_eq!(refusal(wait(world.service.program(tenant.id, Mode::Test))), "customer_suspended");
    // A program that got its caller before is stopped too.
    assert_eq!(refusal(world.request_to(&program, ANN)), "customer_suspended");
    assert_eq!(refusal(world.say(&program, asked.id, &asked.code)), "customer_suspended");
    assert_eq!(refusal(world.me(&signed_in)), "customer_suspended");
    assert_eq!(refusal(world.refresh(&signed_in.refresh_token)), "customer_suspended");
    assert_eq!(world.count_events(program.space(), EventKind::OtpFailed), 0);
    assert!(world.request_to(&world.live(), ANN).is_ok(), "others are not concerned");

    set(&world, tenant.id, TenantStatus::Active).unwrap();
    assert!(world.authenticate(&tenant.api_key).is_ok());
    assert!(world.say(&program, asked.id, &asked.code).is_ok());
    assert!(world.me(&signed_in).is_ok() && world.refresh(&signed_in.refresh_token).is_ok());
    wait(world.service.sign_out(&me, signed_in.session_id, &Client::default())).unwrap();
}

#[test]
fn another_server_learns_of_a_suspension_within_a_second() {
    let world = World::new();
    let tenant = world.tenant("enterprise");
    let other = world.another_service();
    let program = wait(other.program(tenant.id, Mode::Live)).unwrap();
    let ask =
        |number: usize| wait(other.request_otp(&program, OtpRequest::to(email(&format!("user{number}@example.org")))));
    assert!(ask(0).is_ok());
    set(&world, tenant.id, TenantStatus::Suspended).unwrap();
    world.clock.advance(SECOND);
    assert_eq!(refusal(ask(1)), "customer_suspended");
}

#[test]
fn standings_follow_one_another_in_order() {
    use TenantStatus::{Active, Cancelled, Pending, Suspended};
    for (path, last, allowed) in [
        (vec![], Suspended, true),
        (vec![Suspended], Active, true),
        (vec![Suspended], Cancelled, true),
        (vec![], Cancelled, true),
        (vec![], Pending, false),
        (vec![Suspended], Pending, false),
        (vec![Cancelled], Active, false),
        (vec![Cancelled], Suspended, false),
        (vec![Cancelled], Pending, false),
    ] {
        let world = World::new();
        let id = world.tenant("free").id;
        path.iter().for_each(|status| drop(set(&world, id, *status).unwrap()));
        let before = wait(world.service.tenant(id)).unwrap().status;
        let outcome = set(&world, id, last);
        assert_eq!(outcome.is_ok(), allowed, "{path:?} then {last}");
        let after = wait(world.service.tenant(id)).unwrap().status;
        assert_eq!(after, if allowed { last } else { before });
    }
}

#[test]
fn a_change_of_standing_is_told_and_noted_once() {
    let world = World::new();
    let id = world.tenant("free").id;
    for status in [TenantStatus::Suspended, TenantStatus::Suspended, TenantStatus::Active, TenantStatus::Cancelled] {
        set(&world, id, status).unwrap();
        world.clock.advance(SECOND);
    }
    assert_eq!(refusal(wait(world.service.program(id, Mode::Live))), "customer_cancelled");
    let space = Space { tenant: id, mode: Mode::Live };
    let mut told: Vec<_> = world.events(space).into_iter().map(|event| event.data).collect();
    told.reverse();
    let changed = |old_status, new_status| {
        let reason = Some("asked for".to_owned());
        EventData::CustomerStatusChanged { old_status, new_status, reason }
    };
    let [active, suspended] = [TenantStatus::Active, TenantStatus::Suspended];
    let expected = [(active, suspended), (suspended, active), (active, TenantStatus::Cancelled)];
    assert_eq!(told, expected.map(|(old, new)| changed(old, new)));
    let noted = world.audit(id).into_iter().filter(|line| line.action == Action::StatusChanged).collect::<Vec<_>>();
    assert!(noted.len() == 3 && noted.iter().all(|line| line.actor == Actor::Administrator));
}

#[test]
fn a_caller_that_is_kept_acts_on_what_was_changed_since() {
    let world = World::new();
    let kept = world.caller(world.tenant("enterprise").id, Mode::Live);
    world.change(&kept, |settings| {
        settings.passcode.format = "digits:6".parse().unwrap();
        settings.limits.per_recipient = 1;
        settings.tokens.access_ttl = 600;
    });
    wait(world.service.rotate_signing_keys(&kept, Algorithm::EdDsa)).unwrap();
    let asked = world.ask_for(&kept, ANN);
    assert_eq!((asked.code.len(), asked.answer.limit.limit), (6, 1));
    let signed_in = world.say(&kept, asked.id, &asked.code).unwrap();
    assert_eq!(parts_of(&signed_in.token).0["alg"], "EdDSA");
    assert!(signed_in.expires_at <= world.now() + 600 * SECOND);
}

#[test]
fn what_is_not_named_in_a_change_stays() {
    let world = World::new();
    let acme = world.live();
    let edit = |edit: EditTenant| wait(world.service.edit_tenant(&acme, edit));
    let url = || Some(Some("https://acme.example/hooks".to_owned()));
    edit(EditTenant { name: Some("Acme 2".to_owned()), webhook_url: url(), ..EditTenant::default() }).unwrap();
    edit(EditTenant { email: Some("new@acme.example".to_owned()), ..EditTenant::default() }).unwrap();
    let view = edit(EditTenant { company_name: Some(Some("Acme Ltd".to_owned())), ..EditTenant::default() }).unwrap();
    assert_eq!((view.name.as_str(), view.email.as_str()), ("Acme 2", "new@acme.example"));
    assert_eq!(view.webhook_url.as_deref(), Some("https://acme.example/hooks"));
    let view = edit(EditTenant { webhook_url: Some(None), company_name: Some(None), ..EditTenant::default() }).unwrap();
    assert!(view.webhook_url.is_none() && view.company_name.is_none());
    let commits = world.store.commits.lock().unwrap().len();
    assert_eq!(refusal(edit(EditTenant { email: Some("x".to_owned()), ..EditTenant::default() })), "invalid_email");
    assert_eq!(world.store.commits.lock().unwrap().len(), commits);
    let lines = world.audit(acme.space().tenant);
    assert_eq!(lines.iter().filter(|line| line.action == Action::TenantChanged).count(), 4);
    assert!(!format!("{lines:?}").contains("new@acme.example"));
}

#[test]
fn changes_at_the_same_time_lose_nothing() {
    let world = World::new();
    let acme = world.live();
    let outcomes = race(32, |racer| {
        let edit = match racer % 2 {
            0 => EditTenant { name: Some(format!("Acme {racer}")), ..EditTenant::default() },
            _ => EditTenant { company_name: Some(Some(format!("Ltd {racer}"))), ..EditTenant::default() },
        };
        wait(world.service.edit_tenant(&acme, edit))
    });
    assert_eq!(tally(&outcomes, "ok"), 32);
    let view = wait(world.service.tenant(acme.space().tenant)).unwrap();
    assert!(view.name.starts_with("Acme ") && view.company_name.unwrap().starts_with("Ltd "));
}

#[test]
fn tenants_are_listed_newest_first_page_by_page() {
    let world = World::new();
    let ids: Vec<TenantId> = (0..7)
        .map(|number| {
            world.clock.advance(SECOND);
            let new = NewTenant::named(&format!("Tenant {number}"), &format!("ops{number}@acme.example"));
            wait(world.service.create_tenant(new)).unwrap().id
        })
        .collect();
    let mut listed = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = wait(world.service.tenants(None, cursor.as_deref(), 3)).unwrap();
        assert!(page.items.len() <= 3);
        listed.extend(page.items.into_iter().map(|view| view.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert!(listed.iter().eq(ids.iter().rev()), "{listed:?}");
    let found = |search: &str| {
        let page = wait(world.service.tenants(Some(search), None, 50)).unwrap();
        page.items.into_iter().map(|view| view.id).collect::<Vec<_>>()
    };
    assert_eq!(found("TENANT 3"), [ids[3]]);
    assert_eq!(found("ops5@"), [ids[5]]);
    assert_eq!(found(&ids[2].to_string()), [ids[2]]);
    assert_eq!(found("nothing like it"), []);
    assert_eq!(refusal(wait(world.service.tenants(None, Some("user_1"), 3))), "invalid_cursor");
}
