//! Webhooks: tenants hear of their events over HTTP, signed, at least once.
//!
//! An event that an endpoint wants to hear of is written in the commit of what it tells of, and waits there as in an outbox.
//! One commit takes it out and writes a [`Delivery`] for each endpoint, so that none is lost and none is made twice. Workers
//! claim what is due and send it until the receiver has taken it, or until there is no use in trying. Signatures are those of Standard Webhooks 1.0.0; [`verify`] checks them.

mod body;
mod delivery;
mod endpoint;
mod lanes;
mod signing;
mod subscribers;
#[cfg(test)]
mod tests;
mod transport;
mod verify;

pub use delivery::{Attempt, Delivery, DeliveryState, Trigger};
pub use endpoint::{Endpoint, EndpointState, Health, Own, Retiring, WhyDisabled};
pub use signing::{InvalidSigningSecret, Signing, SigningSecret, signed_headers};
pub use transport::{Answer, Failure, NoTransport, Request, WebhookTransport};
pub use verify::{InvalidSignature, ReceiverKey, Signed, TOLERANCE, verify};

pub(crate) use body::{Body, fields};
pub(crate) use delivery::Judged;
pub(crate) use endpoint::{
    Destinations, LONGEST_DESCRIPTION, OVERLAP, check_events, check_headers, check_rate, simple_id,
};
pub(crate) use lanes::{Departure, Entered, Lanes, Turn};
pub(crate) use subscribers::{Subscriber, Subscribers};
