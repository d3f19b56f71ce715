//! Providers of a tenant's own: who may set them up, that their URLs are sealed, and whose messages they are handed.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::audit::{Action, Audit};
use otp_core::message::Channel;
use otp_core::provider::Provider;
use otp_core::store::Store;
use otp_core::*;

const ANN: &str = "ann@example.org";

fn url(secret: &str) -> ProviderUrl {
    ProviderUrl {
        url: format!("resend:{secret}").into(),
        shown: "resend:••••".to_owned(),
        kind: "resend".to_owned(),
        carries: vec![Channel::Email],
    }
}

fn new(secret: &str) -> EditProvider {
    EditProvider { url: Some(url(secret)), ..EditProvider::default() }
}

fn add(world: &World, caller: &Caller, new: EditProvider) -> Result<ProviderView, Error> {
    wait(world.service.add_provider(caller, new, None)).map(|answer| answer.value)
}

/// The URLs that the mailer was handed with the next message.
fn handed(world: &World, caller: &Caller) -> Vec<String> {
    world.request_to(caller, ANN).unwrap();
    world.deliver();
    world.clock.advance(MINUTE);
    let sent = world.inbox.all().pop().unwrap();
    sent.providers.iter().map(|provider| provider.url.expose().to_owned()).collect()
}

#[test]
fn a_tenants_messages_are_handed_over_with_its_providers_and_nobody_elses() {
    let world = World::new();
    let (acme, other) = (world.unlimited(), world.unlimited());
    assert!(handed(&world, &acme).is_empty());
    let second = add(&world, &acme, new("second")).unwrap();
    let first = add(&world, &acme, EditProvider { position: Some(0), ..new("first") }).unwrap();
    wait(world.service.edit_provider(&acme, second.id, EditProvider { position: Some(1), ..EditProvider::default() }))
        .unwrap();
    assert_eq!(handed(&world, &acme), ["resend:first", "resend:second"]);
    assert!(handed(&world, &other).is_empty());
    wait(world.service.edit_provider(&acme, first.id, new("third"))).unwrap();
    assert_eq!(handed(&world, &acme), ["resend:third", "resend:second"]);
    wait(world.service.delete_provider(&acme, first.id)).unwrap();
    assert_eq!(handed(&world, &acme), ["resend:second"]);
    wait(world.service.delete_provider(&acme, second.id)).unwrap();
    assert!(handed(&world, &acme).is_empty());
}

#[test]
fn the_url_is_sealed_and_the_trail_tells_who_changed_it() {
    let world = World::new();
    let acme = world.live();
    let added = add(&world, &acme, new("re_hush")).unwrap();
    wait(world.service.edit_provider(&acme, added.id, new("re_hush2"))).unwrap();
    wait(world.service.delete_provider(&acme, added.id)).unwrap();
    let mut kinds = Vec::new();
    for changes in world.store.commits.lock().unwrap().iter() {
        for record in changes.puts.iter().chain(&changes.creates) {
            assert!(!record.body().contains("re_hush"), "{}", record.body());
            kinds.push(record.key().kind);
        }
    }
    assert!(kinds.contains(&store::Kind::Provider));
    let actions: Vec<Action> = world.committed::<Audit>().into_iter().map(|line| line.action).collect();
    let expected = [Action::ProviderAdded, Action::ProviderChanged, Action::ProviderDeleted];
    assert!(actions.ends_with(&expected), "{actions:?}");
}

/// It is sealed for its row: whoever can write to the database cannot hand one provider the credentials of another.
#[test]
fn a_url_opens_in_its_own_row_alone() {
    let world = World::new();
    let (acme, other) = (world.unlimited(), world.unlimited());
    let [first, second] = ["first", "second"].map(|secret| add(&world, &acme, new(secret)).unwrap());
    let foreign = add(&world, &other, new("foreign")).unwrap();
    let row = |caller: &Caller, id: ProviderId| {
        let tenant = caller.space().tenant;
        world.record::<Provider>(tenant, id.as_bytes()).unwrap()
    };
    for url in [row(&acme, second.id).url, row(&other, foreign.id).url] {
        let forged = Provider { url, version: 2, ..row(&acme, first.id) };
        let changes = store::Changes { puts: vec![forged.into()], ..store::Changes::none() };
        let reads = store::Reads { scope: store::Scope::Tenant(acme.space().tenant), wanted: Vec::new() };
        wait(world.store.inner.transact(reads, Box::new(move |_| changes.clone()))).unwrap();
        assert_eq!(refusal(wait(world.service.test_provider(&acme, first.id))), "internal_error");
        world.clock.advance(11 * SECOND);
    }
}

#[test]
fn another_tenants_providers_are_not_there() {
    let world = World::new();
    let (acme, other) = (world.live(), world.live());
    let added = add(&world, &acme, new("re_hush")).unwrap();
    assert!(wait(world.service.providers(&other)).unwrap().is_empty());
    let edited = wait(world.service.edit_provider(&other, added.id, new("re_mine")));
    assert!(matches!(edited, Err(Error::NotFound("provider"))), "{edited:?}");
    let deleted = wait(world.service.delete_provider(&other, added.id));
    assert!(matches!(deleted, Err(Error::NotFound("provider"))), "{deleted:?}");
    let tested = wait(world.service.test_provider(&other, added.id));
    assert!(matches!(tested, Err(Error::NotFound("provider"))), "{tested:?}");
}

#[test]
fn what_a_provider_is_told_to_carry_it_has_to_be_able_to() {
    let world = World::new();
    let acme = world.live();
    for channels in [vec![], vec![Channel::Sms], vec![Channel::Email, Channel::Whatsapp]] {
        let refused = add(&world, &acme, EditProvider { channels: Some(channels), ..new("re_hush") });
        assert_eq!(refused.unwrap_err().code(), "invalid_channels");
    }
    for label in ["", " ", "a\nb", &"x".repeat(61)] {
        let refused = add(&world, &acme, EditProvider { label: Some(label.to_owned()), ..new("re_hush") });
        assert_eq!(refused.unwrap_err().code(), "invalid_label");
    }
    let texts = ProviderUrl { carries: vec![Channel::Sms, Channel::Whatsapp], ..url("x") };
    let new = EditProvider { channels: Some(vec![Channel::Sms]), url: Some(texts), ..EditProvider::default() };
    let added = add(&world, &acme, new).unwrap();
    assert_eq!((added.channels.as_slice(), added.label.as_str(), added.version), (&[Channel::Sms][..], "resend", 1));
    // Of another kind, it carries what that can.
    let edited = wait(world.service.edit_provider(&acme, added.id, self::new("re_hush"))).unwrap();
    assert_eq!((edited.channels.as_slice(), edited.version), (&[Channel::Email][..], 2));
}

#[test]
fn there_are_eight_at_most_and_each_is_asked_every_ten_seconds() {
    let world = World::new();
    let acme = world.live();
    let added: Vec<ProviderView> = (0..8).map(|number| add(&world, &acme, new(&number.to_string())).unwrap()).collect();
    assert_eq!(add(&world, &acme, new("ninth")).unwrap_err().code(), "conflict");
    let order: Vec<u32> = wait(world.service.providers(&acme)).unwrap().iter().map(|view| view.position).collect();
    assert_eq!(order, [0, 1, 2, 3, 4, 5, 6, 7]);
    let test = || wait(world.service.test_provider(&acme, added[0].id));
    assert!(test().unwrap().is_err(), "the mailer of this test knows none");
    assert_eq!(test().unwrap_err().code(), "rate_limit_exceeded");
    world.clock.advance(10 * SECOND);
    assert!(test().is_ok());
}
