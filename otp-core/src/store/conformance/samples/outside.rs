//! What has to do with the world outside: domains, endpoints, deliveries.

use super::{NOW, id, sealed, space};
use crate::domain::{Domain, DomainState, Finding};
use crate::event::{EventFilter, EventKind};
use crate::id::{DeliveryId, EndpointId, EventId, TenantId};
use crate::random::SeededRandom;
use crate::store::Due;
use crate::tenant::Mode;
use crate::webhook::{
    Attempt, Delivery, DeliveryState, Endpoint, EndpointState, Failure, Health, Own, Retiring, Trigger, WhyDisabled,
};

pub(super) fn domain(tenant: TenantId, number: u64) -> Domain {
    let name = format!("acme{number}.example").parse().unwrap();
    Domain {
        state: DomainState::Lost { verified_at: NOW, at: NOW },
        checked_at: Some(NOW),
        finding: Some(Finding::Other { values: vec!["\u{0} ' \" \\ \u{10ffff}".into()] }),
        due: Due { at: Some(NOW), lease: Some([3; 16]) },
        ..Domain::new(tenant, name, NOW, &SeededRandom::new(number))
    }
}

pub(super) fn endpoint(tenant: TenantId, number: u64) -> Endpoint {
    let own = Own {
        mode: Mode::Live,
        url: "https://acme.example/hooks".into(),
        description: "\u{0} ' \" \\ \u{10ffff}".into(),
        events: vec![EventFilter::Kind(EventKind::OtpVerified), EventFilter::All],
        secret: sealed(tenant, number),
        headers: vec![("x-acme".into(), sealed(tenant, number))],
        per_second: Some(7),
    };
    Endpoint {
        id: EndpointId::from_bytes(id(number)),
        tenant,
        own: Some(own),
        state: EndpointState::Disabled { at: NOW, why: WhyDisabled::Failing },
        health: Health { failing_since: Some(NOW), noted_at: Some(NOW) },
        retiring: Some(Retiring { secret: sealed(tenant, number), until: NOW }),
        created_at: NOW,
    }
}

pub(super) fn delivery(tenant: TenantId, number: u64) -> Delivery {
    let attempt = Attempt {
        at: NOW,
        millis: 15_000,
        status: None,
        failure: Some(Failure::Timeout),
        answer: "\u{0} ' \" \\ \u{10ffff}".into(),
        trigger: Trigger::Manual,
    };
    Delivery {
        id: DeliveryId::from_bytes(id(number)),
        space: space(tenant),
        event: EventId::from_bytes(id(number)),
        kind: EventKind::OtpVerified,
        endpoint: EndpointId::from_bytes(id(number)),
        at: NOW,
        ends_at: NOW,
        sample: false,
        state: DeliveryState::Failed { at: NOW },
        tries: 7,
        trigger: Trigger::Schedule,
        attempts: vec![attempt],
        due: Due { at: Some(NOW), lease: Some([3; 16]) },
    }
}
