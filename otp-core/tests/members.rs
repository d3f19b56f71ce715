//! Members: one account an address, let in by what only they have; teams that never lose their last owner; tenants that leave
//! nothing behind.

#![allow(clippy::unwrap_used)]

mod common;

use common::members::{PASSWORD, Plays, secret};
use common::*;
use otp_core::audit::{Action, Actor, Audit};
use otp_core::member::{Invitation, Member, MemberSession, Membership, Role, Seat};
use otp_core::store::Item;
use otp_core::tenant::Tenant;
use otp_core::*;

const ANN: &str = "Ann@Acme.example";

#[test]
fn what_is_kept_of_a_member_is_sealed_or_digested() {
    let world = World::new();
    let view = world.register(ANN);
    assert_eq!((view.email.as_str(), view.name.as_deref()), (ANN, Some("Somebody Special")));
    let code = world.code(ANN);
    let signed_in =
        wait(world.service.sign_in_member(ANN, MemberProof::Code(code.clone()), false, &from_ip("203.0.113.9")))
            .unwrap();
    let caller = wait(world.service.member(signed_in.token.expose())).unwrap();
    let app = world.app(&caller);
    wait(world.service.invite(&caller, app, "ben@mailbox.example", Role::Viewer)).unwrap();
    world.deliver();
    let invitation = world.inbox.code_to("ben@mailbox.example");
    let kept: Vec<String> = world
        .everything()
        .iter()
        .filter_map(|item| match item {
            Item::Record(record) => Some(record.body()),
            Item::Count(..) => None,
        })
        .collect();
    for text in [
        ANN,
        "ann@acme",
        PASSWORD,
        "argon2id",
        "Somebody Special",
        "203.0.113.9",
        "ben@mailbox",
        &code,
        &invitation,
        signed_in.token.expose(),
        signed_in.csrf_token.expose(),
    ] {
        assert!(!kept.iter().any(|body| body.contains(text)), "{text}");
    }
    assert!(kept.iter().any(|body| body.contains("\"developer\"") || body.contains("\"owner\"")));
}

#[test]
fn sign_ins_are_in_the_installations_trail_and_deeds_in_the_tenants() {
    let world = World::new();
    world.register(ANN);
    let ann = world.let_in(ANN);
    let app = world.app(&ann);
    wait(world.service.reset_app_key(&ann, app)).unwrap();
    wait(world.service.sign_out_member(&ann, false)).unwrap();
    let of = |lines: Vec<Audit>| lines.into_iter().map(|line| (line.action, line.actor)).collect::<Vec<_>>();
    let by_ann = |action| (action, Actor::Member(ann.id()));
    let installation =
        of(world.committed::<Audit>().into_iter().filter(|line| line.tenant == TenantId::INSTALLATION).collect());
    for action in [Action::MemberRegistered, Action::MemberSignedIn, Action::MemberSignedOut] {
        assert!(installation.contains(&by_ann(action)), "{installation:?}");
    }
    let tenant = of(world.audit(app));
    for action in [Action::TenantCreated, Action::KeyRevoked, Action::KeyCreated] {
        assert!(tenant.contains(&by_ann(action)), "{tenant:?}");
    }
}

#[test]
fn a_code_lets_one_of_many_in_and_a_sixth_guess_nobody() {
    let world = World::new();
    world.register(ANN);
    let code = world.code(ANN);
    let try_code = |code: &str| {
        let proof = MemberProof::Code(code.to_owned());
        wait(world.service.sign_in_member(ANN, proof, false, &Client::default()))
    };
    let outcomes = race(16, |_| try_code(&code));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "sign_in_refused")), (1, 15));
    let code = world.code(ANN);
    for number in 0..5 {
        assert_eq!(refusal(try_code(&wrong(&code, number))), "sign_in_refused");
    }
    assert_eq!(refusal(try_code(&code)), "sign_in_refused");
    let code = world.code(ANN);
    world.clock.advance(10 * MINUTE);
    assert_eq!(refusal(try_code(&code)), "sign_in_refused");
}

#[test]
fn racing_wrong_passwords_are_compared_five_times() {
    let world = World::new();
    world.register(ANN);
    let outcomes = race(12, |number| {
        let proof = MemberProof::Password(secret(&format!("wrong {number}")));
        wait(world.service.sign_in_member(ANN, proof, false, &Client::default()))
    });
    assert_eq!((tally(&outcomes, "sign_in_refused"), tally(&outcomes, "rate_limit_exceeded")), (5, 7));
}

#[test]
fn a_twenty_first_session_ends_the_oldest() {
    let world = World::new();
    world.register(ANN);
    let sign_in = || {
        world.clock.advance(MINUTE / 6);
        let proof = MemberProof::Password(secret(PASSWORD));
        wait(world.service.sign_in_member(ANN, proof, false, &Client::default())).unwrap().token
    };
    let tokens: Vec<Secret> = (0..21).map(|_| sign_in()).collect();
    let open = |token: &Secret| wait(world.service.member(token.expose())).is_ok();
    assert_eq!(tokens.iter().map(open).collect::<Vec<_>>(), [vec![false], vec![true; 20]].concat());
    assert_eq!(
        world
            .owned::<MemberSession>(wait(world.service.member(tokens[20].expose())).unwrap().id().as_bytes().into())
            .len(),
        20
    );
}

#[test]
fn two_owners_who_leave_at_once_leave_one() {
    let world = World::new();
    world.register(ANN);
    let ann = world.let_in(ANN);
    let app = world.app(&ann);
    let ben = world.join(&ann, app, "ben@acme.example", Role::Owner);
    let both = [&ann, &ben];
    let outcomes = race(2, |number| wait(world.service.remove_from_team(both[number], app, both[number].id())));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "conflict")), (1, 1));
    let team: Vec<Membership> = world.owned(app.as_bytes().into());
    assert_eq!((team.len(), team[0].role), (1, Role::Owner));
    let seats = |of: &MemberCaller| world.owned::<Seat>(of.id().as_bytes().into()).len();
    assert_eq!(seats(&ann) + seats(&ben), 1, "the seat went with the membership");
}

#[test]
fn an_invitation_works_once_and_not_after_whoever_gave_it_is_gone_from_the_door() {
    let world = World::new();
    world.register(ANN);
    let ann = world.let_in(ANN);
    let app = world.app(&ann);
    world.register("ben@acme.example");
    let ben = world.let_in("ben@acme.example");
    wait(world.service.invite(&ann, app, "ben@acme.example", Role::Developer)).unwrap();
    world.deliver();
    let code = world.inbox.code_to("ben@acme.example");
    let outcomes = race(8, |_| wait(world.service.accept_invitation(&ben, &code)));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "not_found")), (1, 7));
    assert!(world.owned::<Invitation>(app.as_bytes().into()).is_empty());
    // The role is read when it counts: a deed that was begun by somebody who is removed meanwhile fails.
    wait(world.service.appoint(&ann, app, ben.id(), Role::Admin)).unwrap();
    wait(world.service.remove_from_team(&ann, app, ben.id())).unwrap();
    assert_eq!(refusal(wait(world.service.invite(&ben, app, "cy@acme.example", Role::Viewer))), "not_found");
}

#[test]
fn a_member_makes_twenty_apps() {
    let world = World::new();
    world.register(ANN);
    let ann = world.let_in(ANN);
    let outcomes =
        race(24, |_| wait(world.service.create_app(&ann, NewApp { name: "Acme".to_owned(), ..NewApp::default() })));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "conflict")), (20, 4));
    assert_eq!(wait(world.service.apps(&ann)).unwrap().len(), 20);
}

#[test]
fn nothing_is_left_of_a_tenant_that_was_erased_and_nothing_of_others_goes() {
    let world = World::new();
    world.register(ANN);
    let ann = world.let_in(ANN);
    let (app, kept) = (world.app(&ann), world.app(&ann));
    let ben = world.join(&ann, app, "ben@acme.example", Role::Viewer);
    for tenant in [app, kept] {
        let caller = world.caller(tenant, Mode::Live);
        world.sign_in(&caller, "user@example.org");
        world.request_to(&caller, "other@example.org").unwrap();
    }
    let held = |tenant: TenantId| world.held(tenant).len();
    wait(world.service.delete_app(&ann, app)).unwrap();
    let before = held(kept);
    world.clock.advance(30 * DAY - MILLI);
    assert_eq!(wait(world.service.erase_tenants()).unwrap(), 0);
    assert!(held(app) > 10, "{}", held(app));
    world.clock.advance(MILLI);
    assert_eq!(wait(world.service.erase_tenants()).unwrap(), 1);
    assert_eq!((held(app), held(kept)), (0, before));
    assert_eq!(world.record::<Tenant>(app, app.as_bytes()).map(|tenant| tenant.id), None);
    let seats = |of: MemberId| world.owned::<Seat>(of.as_bytes().into()).len();
    assert_eq!((seats(ann.id()), seats(ben.id())), (1, 0));
    assert_eq!(world.owned::<Member>(TenantId::INSTALLATION.as_bytes().into()).len(), 2);
    let told = |line: &Audit| line.action == Action::TenantErased && line.target == app.to_string();
    assert!(world.committed::<Audit>().iter().any(told));
    assert_eq!(wait(world.service.erase_tenants()).unwrap(), 0);
}

#[test]
fn an_erasure_that_is_broken_off_anywhere_is_finished_by_the_next_run() {
    let world = World::new();
    world.register(ANN);
    let ann = world.let_in(ANN);
    let (app, kept) = (world.app(&ann), world.app(&ann));
    for tenant in [app, kept] {
        let caller = world.caller(tenant, Mode::Live);
        (0..40).for_each(|number| drop(world.sign_in(&caller, &format!("user{number}@example.org"))));
    }
    wait(world.service.delete_app(&ann, app)).unwrap();
    let before = world.held(kept).len();
    world.clock.advance(30 * DAY);
    let all = world.held(app);
    assert!(all.iter().filter(|item| matches!(item, Item::Count(..))).count() > 5);
    // The store fails after one commit, after two, after three.
    let (mut left, mut broken_off) = (all.len(), 0);
    for commits in 1.. {
        world.store.fail_after(commits);
        let run = wait(world.service.erase_tenants());
        world.store.mend();
        if run.is_ok() {
            break;
        }
        broken_off += 1;
        assert!(world.record::<Tenant>(app, app.as_bytes()).is_some(), "the tenant goes last");
        let now = world.held(app).len();
        assert!(now <= left, "nothing comes back");
        left = now;
    }
    assert!(broken_off > 1, "{broken_off}");
    assert_eq!((world.held(app).len(), world.held(kept).len()), (0, before));
    assert!(world.record::<Tenant>(app, app.as_bytes()).is_none());
    let told = |line: &&Audit| line.action == Action::TenantErased;
    assert_eq!(world.committed::<Audit>().iter().filter(told).count(), 1, "and that is told once");
    assert_eq!(wait(world.service.erase_tenants()).unwrap(), 0);
}
