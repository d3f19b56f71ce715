//! Tenants take turns: what one has waiting, or a provider that does not answer it, holds up no other.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::*;
use otp_core::message::{Mailer, Outgoing, Receipt, SendError};
use otp_core::*;

/// Remembers whose messages it was handed, in order.
#[derive(Clone, Default)]
struct Order(Arc<Mutex<Vec<TenantId>>>);

#[async_trait]
impl Mailer for Order {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        self.0.lock().unwrap().push(message.tenant);
        Ok(Receipt::default())
    }
}

fn ask(world: &World, caller: &Caller, count: usize) {
    for number in 0..count {
        world.request_to(caller, &format!("user{number}@example.org")).unwrap();
    }
}

#[test]
fn tenants_take_turns() {
    let order = Order::default();
    let world = World::with(|builder| builder.mailer(order.clone()));
    let (busy, quiet) = (world.unlimited(), world.unlimited());
    ask(&world, &busy, 30);
    ask(&world, &quiet, 3);
    wait(world.service.deliver_fresh(6)).unwrap();
    let of_quiet = order.0.lock().unwrap().iter().filter(|tenant| **tenant == quiet.space().tenant).count();
    assert_eq!(of_quiet, 3, "behind thirty of another tenant");
}

#[test]
fn one_tenant_does_not_take_all_places() {
    let world = World::new();
    let (stuck, other) = (world.unlimited(), world.unlimited());
    ask(&world, &stuck, 100);
    let parcels: Vec<Parcel> = std::iter::from_fn(|| world.service.next_parcel()).collect();
    assert_eq!(parcels.len(), 64, "half of all places");
    ask(&world, &other, 100);
    let others: Vec<Parcel> = std::iter::from_fn(|| world.service.next_parcel()).collect();
    assert_eq!(others.len(), 16, "the places that each has whatever the others do");
    let state = world.service.outbox();
    assert_eq!((state.waiting, state.in_flight), (120, 80));
    drop((parcels, others));
    assert_eq!(world.service.outbox().in_flight, 0);
    assert!(world.service.next_parcel().is_some());
}

#[test]
fn a_parcel_is_sent_and_settled_by_itself() {
    let world = World::new();
    let acme = world.live();
    world.request_to(&acme, "ann@example.org").unwrap();
    let queued_at = world.now();
    assert_eq!(world.service.outbox().oldest, Some(queued_at));
    let sent = wait(world.service.send(world.service.next_parcel().unwrap()));
    assert_eq!(world.service.outbox().oldest, Some(queued_at), "nothing is written down yet");
    assert_eq!(wait(world.service.settle(vec![sent])).unwrap().sent, 1);
    assert_eq!(world.service.outbox(), OutboxState::default());
    assert_eq!(world.inbox.code_to("ann@example.org").len(), 9);
}

#[test]
fn a_message_to_be_tried_again_counts_as_unsent_until_it_is_sent_or_gone() {
    let world = World::new();
    let acme = world.live();
    world.inbox.refuse([SendError::Temporary { reason: "503".to_owned(), retry_after: None }]);
    world.request_to(&acme, "ann@example.org").unwrap();
    let queued_at = world.now();
    assert_eq!(world.deliver().retried, 1);
    assert_eq!(world.service.outbox().oldest, Some(queued_at));
    world.clock.advance(2 * SECOND);
    assert_eq!(world.deliver().sent, 1);
    assert_eq!(world.service.outbox().oldest, None);
    world.inbox.refuse([SendError::Temporary { reason: "503".to_owned(), retry_after: None }]);
    world.request_to(&acme, "ben@example.org").unwrap();
    assert_eq!(world.deliver().retried, 1);
    world.clock.advance(2 * MINUTE);
    assert_eq!(world.service.outbox().oldest, None, "another process may have sent it");
}
