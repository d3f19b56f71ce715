//! One-time-password authentication for many tenants, as a library: no runtime, no HTTP, no SQL, no environment.
//!
//! [`Service`] is what a program calls. It gathers time, identifiers and digests, hands a [`store::Command`] to a
//! [`store::Store`], and turns the outcome into an answer. Every rule is a pure function in `command/`: *what was read*
//! becomes *an outcome and the changes to write*, so a store knows no rule and a rule knows no store.
//!
//! ```
//! use otp_core::message::{Mailer, Outgoing, Receipt, SendError};
//! use otp_core::{Address, KeyRing, Mode, NewTenant, OtpRequest, OtpVerification, Service, SystemRandom};
//! use otp_core::store::MemoryStore;
//! # use std::sync::{Arc, Mutex};
//! # #[derive(Default)] struct Inbox(Mutex<Vec<Outgoing>>);
//! # #[async_trait::async_trait] impl Mailer for Inbox {
//! #     async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
//! #         self.0.lock().unwrap().push(message.clone());
//! #         Ok(Receipt::default())
//! #     }
//! # }
//! # futures_executor::block_on(async {
//! # let inbox = Arc::new(Inbox::default());
//! let keys = KeyRing::generate(&SystemRandom);
//! let service = Service::builder(MemoryStore::new(), keys).mailer(inbox.clone()).build();
//!
//! let tenant = service.create_tenant(NewTenant::named("Acme", "ops@acme.com")).await?;
//! let acme = service.program(tenant.id, Mode::Live).await?;
//!
//! let request = OtpRequest::to(Address::Email("ann@example.org".parse()?));
//! let challenge = service.request_otp(&acme, request).await?.value.challenge_id;
//! service.deliver_pending(10).await?;
//!
//! let code = inbox.0.lock().unwrap()[0].code.clone().expect("a code").expose().to_owned();
//! let signed_in = service.verify_otp(&acme, OtpVerification::of(challenge, &code)).await?;
//! println!("{}", signed_in.value.token.expose());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! The folders, top-down: `service/` the API; `command/` one file a use case; `store/` the contract, its reference store
//! and its conformance suite; beside them one file for each thing of the domain.

#![deny(missing_docs)]

pub mod access;
pub mod alarm;
pub mod api_key;
pub mod audit;
pub mod call;
pub mod challenge;
pub mod clock;
mod command;
pub mod configuration;
pub mod delivery;
pub mod destination;
pub mod domain;
pub mod error;
pub mod event;
pub mod hook;
pub mod id;
pub mod idempotency;
mod ledger;
pub mod limit;
pub mod locale;
pub mod member;
pub mod message;
pub mod metrics;
pub mod notice;
pub mod numbering;
pub mod onboarding;
pub mod passcode;
pub mod password;
pub mod period;
pub mod plan;
pub mod provider;
pub mod random;
pub mod secret;
pub mod service;
pub mod session;
pub mod signing;
pub mod signup;
pub mod sketch;
pub mod store;
pub mod subject;
pub mod suppression;
pub mod template;
pub mod tenant;
mod text;
pub mod token;
pub mod totp;
pub mod usage;
pub mod user;
pub mod visit;
pub mod webhook;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use error::Error;
pub use id::*;
pub use plan::Plans;
pub use random::{Random, SeededRandom, SystemRandom};
pub use secret::{KeyRing, Secret};
pub use service::*;
pub use subject::Address;
pub use tenant::{Mode, Space};
