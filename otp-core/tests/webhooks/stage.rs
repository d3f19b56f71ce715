//! A tenant, its receiver, and what it does with its endpoints.

use std::sync::Arc;

use crate::common::*;
use otp_core::webhook::{Delivery, Signing};
use otp_core::*;

pub const URL: &str = "https://hooks.acme.example/otp";

pub struct Stage {
    pub world: World,
    pub receiver: Arc<Receiver>,
    pub acme: Caller,
}

impl Stage {
    pub fn new() -> Self {
        let receiver = Arc::new(Receiver::default());
        let world = World::with(|builder| builder.webhooks(receiver.clone()));
        let acme = world.unlimited();
        Self { world, receiver, acme }
    }

    pub fn endpoint(&self, events: &[&str]) -> EndpointSecret {
        self.endpoint_with(events, |_| ())
    }

    pub fn endpoint_with(&self, events: &[&str], change: impl FnOnce(&mut NewEndpoint)) -> EndpointSecret {
        let mut new = new_endpoint(events);
        change(&mut new);
        wait(self.world.service.create_endpoint(&self.acme, new)).unwrap().value
    }

    /// What can be run, now that what has to be is written down.
    pub fn claim(&self) -> Result<Vec<WebhookRun>, Error> {
        let claim = wait(self.world.service.claim_webhooks(1_000))?;
        assert!(!claim.is_more);
        let written = wait(self.world.service.write_webhooks(claim.unwritten))?;
        wait(self.world.service.settle_webhooks(claim.put_off))?;
        Ok(claim.runs.into_iter().chain(written).collect())
    }

    pub fn deliver(&self) -> Delivered {
        let mut sum = Delivered::default();
        loop {
            let round = wait(self.world.service.deliver_webhooks(100)).unwrap();
            if round == Delivered::default() {
                return sum;
            }
            sum += round;
        }
    }

    /// Something was sent to the endpoint, and answered at once.
    pub fn proven_quick(&self) {
        self.world.request_to(&self.acme, "first@example.org").unwrap();
        assert_eq!(self.deliver().sent, 1);
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        wait(self.world.service.deliveries(&self.acme, DeliveryQuery::default(), None, 200)).unwrap().items
    }

    pub fn view(&self, id: EndpointId) -> EndpointView {
        wait(self.world.service.endpoint(&self.acme, id)).unwrap()
    }

    pub fn edit(&self, id: EndpointId, edit: EditEndpoint) -> EndpointView {
        wait(self.world.service.edit_endpoint(&self.acme, id, edit)).unwrap()
    }

    pub fn enable(&self, id: EndpointId, enabled: bool) -> EndpointView {
        self.edit(id, EditEndpoint { enabled: Some(enabled), ..EditEndpoint::default() })
    }

    pub fn configure(&self, patch: serde_json::Value) -> Result<ConfigView, Error> {
        let serde_json::Value::Object(patch) = patch else { unreachable!() };
        wait(self.world.service.configure(&self.acme, patch, None))
    }

    pub fn logs_out(&self) {
        let signed_in = self.world.sign_in(&self.acme, "ann@example.org");
        let me = self.world.me(&signed_in).unwrap();
        wait(self.world.service.sign_out(&me, signed_in.session_id, &Client::default())).unwrap();
    }
}

pub fn new_endpoint(events: &[&str]) -> NewEndpoint {
    NewEndpoint {
        url: URL.to_owned(),
        description: String::new(),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        signing: Signing::Hmac,
        secret: None,
        headers: Vec::new(),
        per_second: None,
        idempotency: None,
    }
}

pub fn secret_of(created: &EndpointSecret) -> String {
    created.secret.as_ref().unwrap().expose().to_owned()
}
