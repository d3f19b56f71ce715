//! What providers tell of messages: kept whatever the order, told once, and heeded where the recipient is not to be written to.

#![allow(clippy::unwrap_used)]

mod common;

use std::thread;

use common::*;
use otp_core::delivery::{DeliveryReport, DeliveryStatus, MessageReport, MessageStatus, Recorded};
use otp_core::event::{EventData, EventKind};
use otp_core::message::{Channel, SendError};
use otp_core::store::Kind;
use otp_core::subject::SubjectKey;
use otp_core::suppression::{Suppression, SuppressionReason};
use otp_core::usage::{Counter, Span};
use otp_core::*;

use DeliveryStatus::{Bounced, Complained, Delivered, Failed};

const ANN: &str = "ann@example.org";

fn report(message: MessageId, status: DeliveryStatus) -> DeliveryReport {
    let suppress = match status {
        Bounced => Some(SuppressionReason::HardBounce),
        Complained => Some(SuppressionReason::Complaint),
        Failed | Delivered => None,
    };
    let reason = (status != Delivered).then(|| "Resend: it says so".to_owned());
    DeliveryReport { message, status, suppress, provider: "Resend", provider_id: Some("id-1".to_owned()), reason }
}

fn tell(world: &World, tenant: TenantId, report: DeliveryReport) -> Recorded {
    wait(world.service.record_delivery(tenant, report)).unwrap()
}

/// Sends a code and gives its message.
fn sent(world: &World, caller: &Caller, to: &str) -> MessageId {
    world.request_to(caller, to).unwrap();
    world.deliver();
    world.inbox.all().last().unwrap().id
}

fn shown(world: &World, caller: &Caller, id: MessageId) -> MessageView {
    wait(world.service.message(caller, id)).unwrap()
}

fn listed(world: &World, caller: &Caller, query: MessageQuery) -> Vec<MessageId> {
    let page = wait(world.service.messages(caller, &query, None, 50)).unwrap();
    page.items.iter().map(|message| message.id).collect()
}

#[test]
fn a_word_that_comes_before_the_message_is_settled_is_not_lost() {
    let world = World::new();
    let acme = world.live();
    let (service, tenant) = (world.service.clone(), acme.space().tenant);
    world.inbox.before_each(move |message| {
        let (service, report) = (service.clone(), report(message.id, Delivered));
        let told = thread::spawn(move || wait(service.record_delivery(tenant, report)).unwrap());
        assert_eq!(told.join().unwrap(), Recorded::New);
    });
    let id = sent(&world, &acme, ANN);
    let view = shown(&world, &acme, id);
    assert_eq!((view.status, view.provider.as_deref()), (MessageStatus::Delivered, Some("Resend")));
    assert_eq!((view.sent_at, view.delivered_at), (Some(world.now()), Some(world.now())));
    assert_eq!((view.tries, view.recipient.as_str()), (1, ANN));
    assert_eq!(world.count_events(acme.space(), EventKind::MessageDelivered), 1);
}

/// What stands after each word, and how often each event was written in the end.
#[test]
fn words_out_of_order_and_repeated_come_to_the_same() {
    for (words, status, told) in [
        (vec![Delivered, Delivered], MessageStatus::Delivered, [1, 0]),
        (vec![Failed, Delivered], MessageStatus::Delivered, [1, 1]),
        (vec![Delivered, Failed], MessageStatus::Delivered, [1, 0]),
        (vec![Delivered, Bounced, Delivered], MessageStatus::Bounced, [1, 1]),
        (vec![Bounced, Delivered, Bounced], MessageStatus::Bounced, [0, 1]),
        (vec![Bounced, Complained, Bounced, Failed], MessageStatus::Complained, [0, 2]),
        (vec![Complained, Delivered], MessageStatus::Complained, [0, 1]),
    ] {
        let world = World::new();
        let acme = world.live();
        let id = sent(&world, &acme, ANN);
        assert_eq!(shown(&world, &acme, id).status, MessageStatus::Sent);
        for word in &words {
            world.clock.advance(SECOND);
            tell(&world, acme.space().tenant, report(id, *word));
        }
        assert_eq!(shown(&world, &acme, id).status, status, "{words:?}");
        let kinds = [EventKind::MessageDelivered, EventKind::MessageFailed];
        assert_eq!(kinds.map(|kind| world.count_events(acme.space(), kind)), told, "{words:?}");
    }
}

#[test]
fn a_bounce_its_event_its_count_and_the_suppression_are_one_commit() {
    let world = World::new();
    let acme = world.live();
    let id = sent(&world, &acme, ANN);
    world.store.forget_commits();
    assert_eq!(tell(&world, acme.space().tenant, report(id, Bounced)), Recorded::New);
    {
        let commits = world.store.commits.lock().unwrap();
        assert_eq!(commits.len(), 1);
        assert_eq!(kinds(&commits[0].puts), [Kind::Event, Kind::MessageReport, Kind::Suppression]);
    }
    let counted = |counter| world.counter(acme.space(), counter, Span::Hour);
    assert_eq!(counted(Counter::MessagesUndelivered(Channel::Email)), 1);
    assert_eq!(counted(Counter::MessagesDelivered(Channel::Email)), 0);
    let events = world.events(acme.space());
    let told = events.iter().find(|event| event.kind() == EventKind::MessageFailed).unwrap();
    let reason = "Resend: it says so".to_owned();
    let expected = EventData::MessageFailed { message_id: id, channel: Channel::Email, reason, status: Bounced };
    assert_eq!(told.data, expected);
    let view = shown(&world, &acme, id);
    assert_eq!((view.last_error.as_deref(), view.failed_at), (Some("Resend: it says so"), Some(world.now())));
}

#[test]
fn nothing_is_sent_or_charged_where_a_mail_bounced() {
    let world = World::new();
    let acme = world.live();
    let (tenant, space) = (acme.space().tenant, acme.space());
    let other = world.live();
    let id = sent(&world, &acme, ANN);
    tell(&world, tenant, report(id, Bounced));
    let charged = world.counter(space, Counter::OtpRequests, Span::Day);
    let refused = world.request_to(&acme, "Ann@Example.org").unwrap_err();
    assert!(matches!(refused, Error::RecipientSuppressed(Some(SuppressionReason::HardBounce))), "{refused}");
    assert_eq!(world.counter(space, Counter::OtpRequests, Span::Day), charged);
    assert_eq!(world.inbox.count(), 1);
    // It is this tenant's list, of this mode, and for what the service sends.
    world.request_to(&other, ANN).unwrap();
    world.request_to(&world.caller(tenant, Mode::Test), ANN).unwrap();
    world.request(&acme, OtpRequest { deliver: Deliver::Caller, ..OtpRequest::to(email(ANN)) }).unwrap();
    world.request_to(&acme, "ben@example.org").unwrap();

    wait(world.service.unsuppress(&acme, &email(ANN))).unwrap();
    assert_eq!(refusal(wait(world.service.unsuppress(&acme, &email(ANN)))), "not_found");
    assert_eq!(tell(&world, tenant, report(id, Bounced)), Recorded::Repeated);
    world.request_to(&acme, ANN).expect("a word that is repeated does not undo what the tenant did");
}

#[test]
fn what_may_pass_suppresses_nobody() {
    let world = World::new();
    let acme = world.live();
    let id = sent(&world, &acme, ANN);
    tell(&world, acme.space().tenant, DeliveryReport { suppress: None, ..report(id, Bounced) });
    assert_eq!(shown(&world, &acme, id).status, MessageStatus::Bounced);
    world.request_to(&acme, ANN).unwrap();
    // It was the last of several tries that settled it.
    tell(&world, acme.space().tenant, report(id, Bounced));
    assert_eq!(refusal(world.request_to(&acme, ANN)), "recipient_suppressed");
    assert_eq!(world.count_events(acme.space(), EventKind::MessageFailed), 1);
}

#[test]
fn another_tenants_messages_and_those_that_are_gone_are_unknown() {
    let world = World::new();
    let (acme, other) = (world.live(), world.live());
    let id = sent(&world, &acme, ANN);
    world.store.forget_commits();
    let unknown = MessageId::from_bytes([7; 16]);
    for (tenant, message) in [(other.space().tenant, id), (acme.space().tenant, unknown), (TenantId::INSTALLATION, id)]
    {
        assert_eq!(tell(&world, tenant, report(message, Bounced)), Recorded::Unknown);
    }
    assert!(world.store.commits.lock().unwrap().is_empty());
    assert_eq!(shown(&world, &acme, id).status, MessageStatus::Sent);
    assert_eq!(refusal(wait(world.service.message(&other, id))), "not_found");
    let test = world.caller(acme.space().tenant, Mode::Test);
    assert_eq!(refusal(wait(world.service.message(&test, id))), "not_found");
    let user = world.sign_in(&acme, ANN).user_id;
    wait(world.service.erase_user(&acme, user)).unwrap();
    assert_eq!(tell(&world, acme.space().tenant, report(id, Bounced)), Recorded::Unknown);
}

#[test]
fn a_recipient_that_a_provider_refuses_is_suppressed_with_the_message() {
    let world = World::new();
    let acme = world.texting();
    let to = || OtpRequest::to(phone("+4915112345678"));
    let refuse = |suppress| {
        world.inbox.refuse([SendError::Recipient { reason: "Twilio: 400, error 21610".to_owned(), suppress }]);
    };
    refuse(SuppressionReason::Stop);
    world.request(&acme, to()).unwrap();
    world.deliver();
    assert_eq!(refusal(world.request(&acme, to())), "recipient_suppressed");
    let failed = listed(&world, &acme, MessageQuery { status: Some(MessageStatus::Failed), ..MessageQuery::default() });
    assert_eq!(failed.len(), 1);
    assert_eq!(world.count_events(acme.space(), EventKind::MessageFailed), 1);
    // A provider does not tell of every STOP that is taken back: after a day it is asked again.
    world.clock.advance(DAY);
    world.request(&acme, to()).unwrap();
    world.deliver();

    refuse(SuppressionReason::HardBounce);
    world.request_to(&acme, ANN).unwrap();
    world.deliver();
    world.clock.advance(DAY);
    assert_eq!(refusal(world.request_to(&acme, ANN)), "recipient_suppressed");
}

/// Of several addresses that one code went to, it is the one that bounced.
#[test]
fn what_bounced_is_suppressed_and_not_what_was_asked_first() {
    let world = World::new();
    let acme = world.texting();
    let (number, mail) = (phone("+4915112345678"), email(ANN));
    let step = FallbackStep { after: MINUTE, channel: Channel::Email, to: Some(mail.clone()) };
    world.ask(&acme, OtpRequest { fallback: vec![step], ..OtpRequest::to(number.clone()) });
    world.clock.advance(MINUTE);
    world.deliver();
    let second = world.inbox.all().last().unwrap().clone();
    assert_eq!(second.to, ANN);
    assert_eq!(tell(&world, acme.space().tenant, report(second.id, Bounced)), Recorded::New);
    assert_eq!(refusal(world.request(&acme, OtpRequest::to(mail))), "recipient_suppressed");
    world.request(&acme, OtpRequest::to(number)).unwrap();
    let listed = wait(world.service.suppressions(&acme, None, 50)).unwrap().items;
    assert_eq!(listed.iter().map(|one| one.recipient.as_deref()).collect::<Vec<_>>(), [Some(ANN)]);
}

#[test]
fn stop_and_start_are_heeded_and_start_takes_back_nothing_else() {
    let world = World::new();
    let acme = world.texting();
    let tenant = acme.space().tenant;
    let number = || "+4915112345678".parse().unwrap();
    let request = || world.request(&acme, OtpRequest::to(phone("+4915112345678"))).map(drop);
    wait(world.service.opt_out(tenant, number(), "Twilio")).unwrap();
    world.clock.advance(DAY + DAY);
    assert_eq!(refusal(request()), "recipient_suppressed");
    wait(world.service.opt_in(tenant, number())).unwrap();
    request().unwrap();

    let by_hand = NewSuppression {
        recipient: phone("+4915112345678"),
        reason: SuppressionReason::Manual,
        note: Some("asked by letter".to_owned()),
    };
    wait(world.service.suppress(&acme, by_hand)).unwrap();
    for _ in 0..2 {
        wait(world.service.opt_out(tenant, number(), "Twilio")).unwrap();
        wait(world.service.opt_in(tenant, number())).unwrap();
        let kept = wait(world.service.suppression_of(&acme, &phone("+4915112345678"))).unwrap().unwrap();
        assert_eq!((kept.reason, kept.note.as_deref()), (SuppressionReason::Manual, Some("asked by letter")));
    }
    let nobody = TenantId::from_bytes([9; 16]);
    assert_eq!(refusal(wait(world.service.opt_out(nobody, number(), "Twilio"))), "not_found");
}

#[test]
fn what_a_tenant_changes_is_in_the_trail_without_the_address() {
    let world = World::new();
    let acme = world.live();
    let new = |note: &str| NewSuppression {
        recipient: email(ANN),
        reason: SuppressionReason::Manual,
        note: Some(note.to_owned()),
    };
    for note in ["a\nb".to_owned(), "x".repeat(201)] {
        assert_eq!(refusal(wait(world.service.suppress(&acme, new(&note)))), "invalid_note");
    }
    wait(world.service.suppress(&acme, new("says Ann"))).unwrap();
    wait(world.service.unsuppress(&acme, &email(ANN))).unwrap();
    let mut lines = world.audit(acme.space().tenant);
    lines.retain(|line| line.action.as_str().starts_with("suppression."));
    let told: Vec<_> = lines.iter().map(|line| (line.action.as_str(), line.data["reason"].clone())).collect();
    assert_eq!(told.len(), 2);
    for name in ["suppression.added", "suppression.removed"] {
        assert!(told.contains(&(name, "manual".into())), "{told:?}");
    }
    let keys = world.ring.tenant(acme.space().tenant);
    let subject = SubjectKey::of(&keys, Mode::Live.byte(), &email(ANN));
    let digest = serde_json::to_value(subject).unwrap();
    let text = serde_json::to_string(&lines).unwrap();
    assert!(!text.contains(ANN) && !text.contains(digest.as_str().unwrap()), "{text}");
    assert_eq!(wait(world.service.verify_audit()).unwrap().faults, []);
}

/// The address and everything else goes; that somebody wants nothing is kept under a digest.
#[test]
fn a_wish_outlives_erasure_and_a_bounce_does_not() {
    for (word, is_kept) in [(Bounced, false), (Complained, true)] {
        let world = World::new();
        let acme = world.live();
        let id = sent(&world, &acme, ANN);
        let user = world.sign_in(&acme, ANN).user_id;
        tell(&world, acme.space().tenant, report(id, word));
        let export = wait(world.service.export_user(&acme, user)).unwrap();
        let reason = if is_kept { "complaint" } else { "hard_bounce" };
        assert_eq!(export.suppression.unwrap()["reason"], reason);
        let of_message = export.messages.iter().find(|message| message["messageId"] == id.to_string()).unwrap();
        assert_eq!(of_message["delivery"]["provider"], "Resend");

        wait(world.service.erase_user(&acme, user)).unwrap();
        assert!(world.owned::<Suppression>(acme.space().owner()).iter().all(|left| left.address.is_none()));
        assert!(world.record::<MessageReport>(acme.space().tenant, id.as_bytes()).is_none());
        let page = wait(world.service.suppressions(&acme, None, 50)).unwrap();
        assert_eq!(page.items.len(), usize::from(is_kept));
        match is_kept {
            true => {
                assert_eq!(page.items[0].recipient, None);
                assert_eq!(refusal(world.request_to(&acme, ANN)), "recipient_suppressed");
                wait(world.service.unsuppress(&acme, &email(ANN))).expect("whoever knows the address finds it");
            }
            false => drop(world.request_to(&acme, ANN).unwrap()),
        }
    }
}

#[test]
fn messages_are_listed_by_time_status_channel_and_recipient() {
    let world = World::new();
    let acme = world.change(&world.texting(), |settings| settings.limits.per_recipient = 1_000_000);
    let test = world.caller(acme.space().tenant, Mode::Test);
    let began = world.now();
    let mut all = Vec::new();
    for number in 0..5 {
        world.clock.advance(MINUTE);
        all.insert(0, sent(&world, &acme, if number % 2 == 0 { ANN } else { "ben@example.org" }));
    }
    world.clock.advance(MINUTE);
    world.request(&acme, OtpRequest::to(phone("+4915112345678"))).unwrap();
    world.deliver();
    let text = world.inbox.all().last().unwrap().id;
    world.request_to(&test, ANN).unwrap();
    tell(&world, acme.space().tenant, report(all[1], Delivered));

    let query = MessageQuery::default;
    let list = |query| listed(&world, &acme, query);
    assert_eq!(list(query()), [&[text][..], &all].concat());
    assert_eq!(list(MessageQuery { channel: Some(Channel::Email), ..query() }), all);
    assert_eq!(list(MessageQuery { status: Some(MessageStatus::Delivered), ..query() }), [all[1]]);
    let to_ann = MessageQuery { recipient: Some(email("ANN@example.org")), ..query() };
    assert_eq!(list(to_ann.clone()), [all[0], all[2], all[4]]);
    assert_eq!(list(MessageQuery { status: Some(MessageStatus::Delivered), ..to_ann.clone() }), []);
    let within = MessageQuery { from: Some(began + MINUTE + MINUTE), to: Some(began + 4 * MINUTE), ..query() };
    assert_eq!(list(within.clone()), [all[2], all[3]]);
    assert_eq!(list(MessageQuery { recipient: to_ann.recipient.clone(), ..within }), [all[2]]);
    assert_eq!(listed(&world, &test, query()).len(), 1);
    assert_eq!(listed(&world, &world.live(), to_ann.clone()), []);

    for query in [MessageQuery { channel: Some(Channel::Email), ..query() }, to_ann] {
        let whole = list(query.clone());
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = wait(world.service.messages(&acme, &query, cursor.as_deref(), 2)).unwrap();
            found.extend(page.items.iter().map(|message| message.id));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, whole);
    }
}

#[test]
fn a_filter_that_fits_nothing_looks_at_a_thousand_and_goes_on_from_there() {
    let world = World::new();
    let acme = world.unlimited();
    for number in 0..1_050 {
        world.clock.advance(MILLI);
        world.request_to(&acme, &format!("user{number}@example.org")).unwrap();
    }
    let query = MessageQuery { status: Some(MessageStatus::Bounced), ..MessageQuery::default() };
    let page = wait(world.service.messages(&acme, &query, None, 50)).unwrap();
    assert_eq!(page.items.len(), 0);
    let rest = wait(world.service.messages(&acme, &query, page.next.as_deref(), 50)).unwrap();
    assert!(page.next.is_some() && rest.next.is_none() && rest.items.is_empty());
    let foreign = world.live();
    assert_eq!(
        refusal(wait(world.service.messages(&foreign, &query, page.next.as_deref(), 50)).map(drop)),
        "invalid_cursor"
    );
}

#[test]
fn the_list_of_recipients_is_given_in_pages() {
    let world = World::new();
    let acme = world.live();
    for number in 0..7 {
        let recipient = email(&format!("user{number}@example.org"));
        wait(
            world.service.suppress(&acme, NewSuppression { recipient, reason: SuppressionReason::Manual, note: None }),
        )
        .unwrap();
    }
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = wait(world.service.suppressions(&acme, cursor.as_deref(), 3)).unwrap();
        assert!(page.items.len() <= 3);
        found.extend(page.items.into_iter().map(|item| item.recipient.unwrap()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    found.sort();
    assert_eq!(found, (0..7).map(|number| format!("user{number}@example.org")).collect::<Vec<_>>());
}

#[test]
fn the_delivery_rate_is_of_what_providers_tell() {
    let world = World::new();
    let acme = world.live();
    let query = period::PeriodQuery::default();
    let rate = || wait(world.service.analytics(&acme, &query)).unwrap().whole.email_delivery_rate();
    let ids: Vec<MessageId> = (0..4).map(|number| sent(&world, &acme, &format!("user{number}@example.org"))).collect();
    assert_eq!(rate(), Some(1.0), "taken is all that is known");
    for (id, word) in ids.iter().zip([Delivered, Delivered, Bounced, Delivered]) {
        tell(&world, acme.space().tenant, report(*id, word));
    }
    assert_eq!(rate(), Some(0.75));
}
