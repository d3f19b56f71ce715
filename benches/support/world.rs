//! A service with one tenant, whose codes are known without reading mail.

use futures_util::FutureExt;
use otp_core::passcode::{Derivation, PasscodeFormat};
use otp_core::secret::TenantKeys;
use otp_core::store::{MemoryStore, Store};
use otp_core::subject::SubjectKey;
use otp_core::{
    Address, Approach, Caller, ChallengeId, KeyRing, Mode, NewTenant, OtpRequest, OtpVerification, Secret, Service,
    SignedIn, Space, SystemRandom, TenantId,
};

/// A service on a store, and a tenant of it without quotas.
pub struct World {
    /// The engine.
    pub service: Service,
    /// The tenant's own program.
    pub caller: Caller,
    /// A live secret key of the tenant.
    pub api_key: Secret,
    /// What derives the tenant's codes.
    pub codes: Codes,
}

/// Derives codes, as the engine does.
#[derive(Clone)]
pub struct Codes {
    /// The tenant, in live mode.
    pub space: Space,
    /// Its sub-keys.
    pub keys: TenantKeys,
}

impl World {
    /// A world on an empty store.
    pub async fn on(store: impl Store) -> Self {
        let ring = KeyRing::generate(&SystemRandom);
        let service = Service::builder(store, ring.clone()).build();
        let new = NewTenant { plan: Some("enterprise".to_owned()), ..NewTenant::named("Acme", "ops@acme.com") };
        let created = service.create_tenant(new).await.expect("a tenant");
        let caller = service.program(created.id, Mode::Live).await.expect("the tenant is active");
        Self { service, caller, api_key: created.api_key, codes: Codes::of(&ring, created.id) }
    }

    /// A world in memory.
    pub fn in_memory() -> Self {
        now(Self::on(MemoryStore::new()))
    }

    /// Asks for a code as whoever shows the key.
    pub async fn request(&self, address: Address) -> ChallengeId {
        let caller = self.authenticate().await;
        let answer = self.service.request_otp(&caller, OtpRequest::to(address)).await.expect("a code is sent");
        answer.value.challenge_id
    }

    /// Says a code as whoever shows the key.
    pub async fn verify(&self, verification: OtpVerification) -> SignedIn {
        let caller = self.authenticate().await;
        self.service.verify_otp(&caller, verification).await.expect("the code is right").value
    }

    async fn authenticate(&self) -> Caller {
        self.service.authenticate(self.api_key.expose(), &Approach::default()).await.expect("the key is good")
    }

    /// The right code of a challenge, with the address that the caller knows.
    pub fn verification(&self, address: Address, challenge: ChallengeId) -> OtpVerification {
        let code = self.codes.code(&address, challenge);
        OtpVerification { address: Some(address), ..OtpVerification::of(challenge, code.expose()) }
    }
}

impl Codes {
    /// Of a tenant under a ring with one key.
    pub fn of(ring: &KeyRing, tenant: TenantId) -> Self {
        Self { space: Space { tenant, mode: Mode::Live }, keys: ring.tenant(tenant) }
    }

    /// The code of a challenge to sign in.
    pub fn code(&self, address: &Address, challenge: ChallengeId) -> Secret {
        let subject = SubjectKey::of(&self.keys, self.space.mode.byte(), address);
        self.code_of(&subject, challenge)
    }

    /// As [`code`](Self::code), where the address is digested already.
    pub fn code_of(&self, subject: &SubjectKey, challenge: ChallengeId) -> Secret {
        let derivation = Derivation {
            space: self.space,
            challenge,
            kid: self.keys.newest(),
            purpose: "login",
            subject,
            context: None,
            format: PasscodeFormat::default(),
        };
        derivation.code(&self.keys).expect("the key is of the ring")
    }
}

/// An address like no other of this kind and number.
pub fn address(kind: &str, number: usize) -> Address {
    Address::Email(format!("{kind}{number}@example.org").parse().expect("an address"))
}

/// What a future comes to that never waits, as those on [`MemoryStore`].
pub fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("memory never waits")
}
