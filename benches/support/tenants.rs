//! A service with many tenants, whose users sign in turn by turn.

use std::sync::Arc;

use otp_core::store::Store;
use otp_core::{Caller, ChallengeId, KeyRing, Mode, NewTenant, OtpRequest, OtpVerification, Service, SystemRandom};

use crate::world::{Codes, address};

/// A service on a store, and tenants of it without quotas.
pub struct Tenants {
    service: Service,
    callers: Vec<(Caller, Codes)>,
}

impl Tenants {
    /// So many tenants on a store, which several services may share if they have the same ring.
    pub async fn on(store: Arc<dyn Store>, ring: KeyRing, count: usize) -> Self {
        let service = Service::builder(store, ring.clone()).build();
        let mut callers = Vec::new();
        for number in 0..count {
            let named = NewTenant::named(&format!("Tenant {number}"), "ops@acme.com");
            let new = NewTenant { plan: Some("enterprise".to_owned()), ..named };
            let created = service.create_tenant(new).await.expect("a tenant");
            let caller = service.program(created.id, Mode::Live).await.expect("the tenant is active");
            callers.push((caller, Codes::of(&ring, created.id)));
        }
        Self { service, callers }
    }

    /// As [`on`](Self::on), with a ring of its own.
    pub async fn alone(store: Arc<dyn Store>, count: usize) -> Self {
        Self::on(store, KeyRing::generate(&SystemRandom), count).await
    }

    fn tenant(&self, number: usize) -> &(Caller, Codes) {
        &self.callers[number % self.callers.len()]
    }

    /// A user asks for a code.
    pub async fn request(&self, number: usize) -> ChallengeId {
        let request = OtpRequest::to(address("user", number));
        let answer = self.service.request_otp(&self.tenant(number).0, request).await;
        answer.expect("a code is sent").value.challenge_id
    }

    /// The user says it.
    pub async fn verify(&self, number: usize, challenge: ChallengeId) {
        let (caller, codes) = self.tenant(number);
        let address = address("user", number);
        let code = codes.code(&address, challenge);
        let said = OtpVerification { address: Some(address), ..OtpVerification::of(challenge, code.expose()) };
        drop(self.service.verify_otp(caller, said).await.expect("the code is right"));
    }
}
