//! The delivery worker: every message leaves once, also when the process that queued it has died, and none too late.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::*;
use otp_core::event::{Event, EventData, EventKind};
use otp_core::message::{Message, MessageState, SendError};
use otp_core::usage::{Counter, Span};
use otp_core::*;

const ANN: &str = "ann@example.org";

fn sent(count: usize) -> Delivered {
    Delivered { sent: count, ..Delivered::default() }
}

fn temporary(retry_after: Option<Duration>) -> SendError {
    SendError::Temporary { reason: "421 try later".to_owned(), retry_after }
}

/// The only message that was ever queued, as it stands now.
fn message(world: &World) -> Message {
    let queued = &world.committed::<Message>()[0];
    world.record(queued.space.tenant, queued.id.as_bytes()).unwrap()
}

#[test]
fn a_sent_message_is_written_down_as_sent() {
    let world = World::new();
    let acme = world.live();
    world.request_to(&acme, ANN).unwrap();
    world.clock.advance(SECOND);
    assert_eq!(wait(world.service.deliver_fresh(10)).unwrap(), sent(1));
    let message = message(&world);
    let provider_id = Some(format!("provider-{}", message.id));
    assert_eq!(message.state, MessageState::Sent { at: world.now(), provider_id, segments: None });
    assert_eq!((message.tries, message.due.at, message.due.lease), (1, None, None));
    assert_eq!(world.counter(acme.space(), Counter::EmailsSent, Span::Hour), 1);
    for _ in 0..3 {
        world.clock.advance(LEASE);
        assert_eq!(world.deliver(), Delivered::default());
    }
}

#[test]
fn the_queue_holds_neither_code_nor_address() {
    let world = World::new();
    let acme = world.live();
    let request = OtpRequest {
        context: Some("Pay 12 EUR".to_owned()),
        client: from_ip("198.51.100.7"),
        ..OtpRequest::to(email(ANN))
    };
    world.ask(&acme, request);
    let code = world.inbox.code_to(ANN);
    for changes in world.store.commits.lock().unwrap().iter() {
        for record in changes.puts.iter().chain(&changes.creates) {
            let body = record.body();
            for hidden in [code.as_str(), ANN, "Pay 12 EUR", "198.51.100.7"] {
                assert!(!body.contains(hidden), "{hidden} in {body}");
            }
        }
    }
}

#[test]
fn a_message_that_is_not_taken_is_tried_again_ever_later() {
    let world = World::new();
    let acme = world.live();
    world.inbox.refuse((0..6).map(|_| temporary(None)));
    world.request_to(&acme, ANN).unwrap();
    assert_eq!(world.deliver(), Delivered { retried: 1, ..Delivered::default() });
    for (tries, backoff) in [(1, 2), (2, 4), (3, 8), (4, 16), (5, 30)] {
        let waiting = message(&world);
        assert_eq!((&waiting.state, waiting.tries), (&MessageState::Queued, tries));
        assert_eq!(waiting.last_error.as_deref(), Some("421 try later"));
        world.clock.advance(backoff * SECOND - MILLI);
        assert_eq!(world.deliver(), Delivered::default(), "too early");
        world.clock.advance(MILLI);
        assert_eq!(world.deliver(), Delivered { retried: 1, ..Delivered::default() });
    }
    world.clock.advance(30 * SECOND);
    assert_eq!(world.deliver(), sent(1));
    assert_eq!(message(&world).tries, 7);
    assert_eq!(world.count_events(acme.space(), EventKind::MessageFailed), 0);
}

#[test]
fn a_provider_is_left_alone_as_long_as_it_asks() {
    let world = World::new();
    let acme = world.live();
    world.inbox.refuse([temporary(Some(2 * MINUTE))]);
    world.request_to(&acme, ANN).unwrap();
    world.deliver();
    world.clock.advance(2 * MINUTE - MILLI);
    assert_eq!(world.deliver(), Delivered::default());
    world.clock.advance(MILLI);
    assert_eq!(world.deliver(), sent(1));
}

#[test]
fn tries_end_with_the_code() {
    let world = World::new();
    let acme = world.live();
    world.inbox.refuse((0..100).map(|_| temporary(None)));
    let answer = world.request_to(&acme, ANN).unwrap();
    let mut last = Delivered::default();
    while message(&world).state == MessageState::Queued {
        assert!(world.now() < answer.expires_at);
        last = world.deliver();
        world.clock.advance(SECOND);
    }
    assert_eq!(last, Delivered { failed: 1, ..Delivered::default() });
    assert!(answer.expires_at.since(world.now()) <= 30 * SECOND);
    assert_eq!(world.count_events(acme.space(), EventKind::MessageFailed), 1);

    // A provider that asks to be left alone for longer than the code lives has refused it.
    let world = World::new();
    let acme = world.live();
    world.inbox.refuse([temporary(Some(10 * MINUTE))]);
    world.request_to(&acme, ANN).unwrap();
    assert_eq!(world.deliver(), Delivered { failed: 1, ..Delivered::default() });
}

#[test]
fn a_message_that_will_never_be_taken_is_told_of() {
    let world = World::new();
    let acme = world.live();
    world.inbox.refuse([SendError::Permanent { reason: "550 no such user".to_owned() }]);
    world.request_to(&acme, ANN).unwrap();
    world.clock.advance(SECOND);
    assert_eq!(world.deliver(), Delivered { failed: 1, ..Delivered::default() });
    let failed = message(&world);
    assert_eq!(failed.state, MessageState::Failed { at: world.now(), reason: "550 no such user".to_owned() });
    let events = world.events(acme.space());
    let told: Vec<&Event> = events.iter().filter(|event| event.kind() == EventKind::MessageFailed).collect();
    assert_eq!(told.len(), 1);
    let reason = "550 no such user".to_owned();
    assert_eq!(
        told[0].data,
        EventData::MessageFailed {
            message_id: failed.id,
            channel: message::Channel::Email,
            reason,
            status: delivery::DeliveryStatus::Failed,
        }
    );
    for _ in 0..5 {
        world.clock.advance(MINUTE);
        assert_eq!(world.deliver(), Delivered::default());
    }
    assert_eq!(world.counter(acme.space(), Counter::EmailsSent, Span::Hour), 0);
}

#[test]
fn a_provider_that_cannot_send_at_all_loses_no_message() {
    let world = World::new();
    let acme = world.live();
    let dead = || SendError::Unusable { reason: "401: the key is dead".to_owned() };
    world.inbox.refuse(std::iter::repeat_with(dead).take(5));
    world.request_to(&acme, ANN).unwrap();
    for _ in 0..5 {
        assert_eq!(world.deliver(), Delivered { retried: 1, ..Delivered::default() });
        world.clock.advance(30 * SECOND);
    }
    assert_eq!(message(&world).last_error.as_deref(), Some("401: the key is dead"));
    assert_eq!(world.deliver(), sent(1), "somebody has set another key");
}

#[test]
fn a_message_survives_the_process_that_queued_it() {
    let world = World::new();
    let acme = world.live();
    world.request_to(&acme, ANN).unwrap();
    let World { service, store, clock, inbox, ring } = world;
    drop((service, acme));
    let service = Service::builder(store, ring).clock(clock.clone()).mailer(inbox.clone()).build();
    let deliver = || wait(service.deliver_pending(10)).unwrap();
    assert_eq!(deliver(), Delivered::default(), "the other might still be sending it");
    clock.advance(LEASE - MILLI);
    assert_eq!(deliver(), Delivered::default());
    clock.advance(MILLI);
    assert_eq!((deliver(), inbox.count()), (sent(1), 1));
    clock.advance(LEASE);
    assert_eq!(deliver(), Delivered::default());
}

#[test]
fn a_process_that_was_held_up_leaves_its_messages_to_others() {
    let world = World::new();
    let acme = world.live();
    world.request_to(&acme, ANN).unwrap();
    world.clock.advance(LEASE / 2);
    assert_eq!(world.deliver(), Delivered::default(), "half of the lease is for the sending itself");
    world.clock.advance(LEASE / 2);
    assert_eq!(wait(world.another_service().deliver_pending(10)).unwrap(), sent(1));
    assert_eq!(world.deliver(), Delivered::default());
}

#[test]
fn the_message_of_a_used_or_dead_code_is_not_sent_late() {
    let world = World::new();
    let acme = world.live();
    let reveal = OtpRequest { deliver: Deliver::Caller, ..OtpRequest::to(email(ANN)) };
    let code = world.request(&acme, reveal).unwrap().code.unwrap();
    world.request_to(&acme, ANN).unwrap();
    world.say_at(&acme, ANN, code.expose()).unwrap();
    world.clock.advance(LEASE);
    assert_eq!(world.deliver(), Delivered::default());
    assert_eq!(message(&world).state, MessageState::Expired { at: world.now() });

    let world = World::new();
    let acme = world.live();
    let answer = world.request_to(&acme, ANN).unwrap();
    world.clock.set(answer.expires_at);
    assert_eq!(world.deliver(), Delivered::default());
    assert_eq!((world.inbox.count(), message(&world).state), (0, MessageState::Expired { at: world.now() }));
}

#[test]
fn two_services_and_many_workers_send_each_message_once() {
    let world = World::new();
    let acme = world.live();
    let other = world.another_service();
    let theirs = wait(other.program(acme.space().tenant, Mode::Live)).unwrap();
    for round in 0..3 {
        for number in 0..50 {
            let request = || OtpRequest::to(email(&format!("user{round}-{number}@example.org")));
            wait(world.service.request_otp(&acme, request())).unwrap();
            wait(other.request_otp(&theirs, request())).unwrap();
        }
        // In the second round the leases have ended, in the third half of them are about to.
        world.clock.advance([Duration::ZERO, LEASE, LEASE / 2 - MILLI][round]);
        race(8, |racer| wait([&world.service, &other][racer % 2].deliver_pending(1_000)).unwrap());
        world.clock.advance(LEASE);
        race(8, |racer| wait([&world.service, &other][racer % 2].deliver_pending(1_000)).unwrap());
        let ids: BTreeSet<MessageId> = world.inbox.all().iter().map(|message| message.id).collect();
        assert_eq!((world.inbox.count(), ids.len()), (100 * (round + 1), 100 * (round + 1)), "round {round}");
    }
}

#[test]
fn a_slow_provider_makes_no_message_leave_twice() {
    let world = World::new();
    let acme = world.live();
    for number in 0..100 {
        world.request_to(&acme, &format!("user{number}@example.org")).unwrap();
    }
    // Each message takes a second, so the leases end long before the last one is reached; another process looks on.
    let others = Arc::new(Inbox::default());
    let builder = Service::builder(world.store.clone(), world.ring.clone());
    let other = builder.clock(world.clock.clone()).mailer(others.clone()).build();
    let clock = world.clock.clone();
    world.inbox.before_each(move |_| {
        clock.advance(SECOND);
        let other = other.clone();
        std::thread::spawn(move || wait(other.deliver_pending(1_000)).unwrap()).join().unwrap();
    });
    for _ in 0..5 {
        world.deliver();
        world.clock.advance(LEASE);
    }
    let both: Vec<_> = world.inbox.all().into_iter().chain(others.all()).collect();
    let ids: BTreeSet<MessageId> = both.iter().map(|message| message.id).collect();
    assert_eq!((both.len(), ids.len()), (100, 100));
}

#[test]
fn at_most_as_many_leave_as_are_asked_for() {
    let world = World::new();
    let acme = world.live();
    for number in 0..10 {
        world.request_to(&acme, &format!("user{number}@example.org")).unwrap();
    }
    for left in [7, 4, 1] {
        assert_eq!(wait(world.service.deliver_fresh(3)).unwrap(), sent(3));
        assert_eq!(world.inbox.count(), 10 - left);
    }
    assert_eq!(wait(world.service.deliver_fresh(3)).unwrap(), sent(1));
}

#[test]
fn whoever_waits_is_woken_by_every_message_and_by_nothing_else() {
    let world = World::new();
    let woken = Arc::new(AtomicUsize::new(0));
    let counted = woken.clone();
    let service = Service::builder(world.store.clone(), world.ring.clone())
        .clock(world.clock.clone())
        .mailer(world.inbox.clone())
        .on_queued(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        })
        .build();
    let id = world.tenant("enterprise").id;
    let [live, test] = [Mode::Live, Mode::Test].map(|mode| wait(service.program(id, mode)).unwrap());
    let ask = |caller: &Caller| drop(wait(service.request_otp(caller, OtpRequest::to(email(ANN)))));
    (0..3).for_each(|_| ask(&live));
    assert_eq!(woken.load(Ordering::SeqCst), 3);
    ask(&live);
    ask(&test);
    assert_eq!(woken.load(Ordering::SeqCst), 3, "neither a refusal nor test mode queues anything");
}

#[test]
fn what_could_not_be_written_down_is_sent_again_under_the_same_id() {
    let world = World::new();
    let acme = world.live();
    world.request_to(&acme, ANN).unwrap();
    world.store.fail(Fault::Unsettled);
    assert_eq!(refusal(wait(world.service.deliver_pending(10))), "store_unavailable");
    world.store.mend();
    assert_eq!(world.deliver(), Delivered::default());
    world.clock.advance(LEASE);
    assert_eq!(world.deliver(), sent(1));
    let ids: BTreeSet<MessageId> = world.inbox.all().iter().map(|message| message.id).collect();
    assert_eq!((world.inbox.count(), ids.len()), (2, 1));
}

#[test]
fn a_text_message_is_short_and_plain() {
    let world = World::new();
    let acme = world.texting();
    let asked = world.ask(&acme, OtpRequest::to(phone("+4915112345678")));
    let message = &world.inbox.all()[0];
    assert_eq!((message.to.as_str(), message.subject.as_str(), &message.html), ("+4915112345678", "", &None));
    assert!(message.text.replace(' ', "").contains(&asked.code) && message.text.len() <= 160, "{}", message.text);
    assert_eq!(world.counter(acme.space(), Counter::EmailsSent, Span::Hour), 0);
}

#[test]
fn without_a_mailer_nothing_is_said_to_be_sent() {
    let world = World::new();
    let service = Service::builder(world.store.clone(), world.ring.clone()).clock(world.clock.clone()).build();
    let acme = wait(service.program(world.tenant("free").id, Mode::Live)).unwrap();
    wait(service.request_otp(&acme, OtpRequest::to(email(ANN)))).unwrap();
    assert_eq!(wait(service.deliver_pending(10)).unwrap(), Delivered { failed: 1, ..Delivered::default() });
}
