//! Signing in within one process: a store in memory, and a mailer that prints. No server, no file, no network.
//!
//! `cargo run -p otp-examples --example quickstart`

use std::error::Error;
use std::sync::mpsc::{Sender, channel};

use otp_core::message::{Mailer, Outgoing, Receipt, SendError};
use otp_core::store::MemoryStore;
use otp_core::{Address, KeyRing, Mode, NewTenant, OtpRequest, OtpVerification, Service, SystemRandom};

/// Prints each mail, and hands it on to whoever plays the user.
struct Printer(Sender<Outgoing>);

#[async_trait::async_trait]
impl Mailer for Printer {
    async fn send(&self, mail: &Outgoing) -> Result<Receipt, SendError> {
        println!("To: {}\nSubject: {}\n\n{}", mail.to, mail.subject, mail.text);
        let _ = self.0.send(mail.clone()); // fails when nobody reads any more
        Ok(Receipt::default())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (outbox, inbox) = channel();
    let keys = KeyRing::generate(&SystemRandom);
    let service = Service::builder(MemoryStore::new(), keys).mailer(Printer(outbox)).build();

    // A tenant is whoever wants its users signed in: this program, or one of its customers.
    let tenant = service.create_tenant(NewTenant::named("Acme", "ops@acme.com")).await?;
    let acme = service.program(tenant.id, Mode::Live).await?;

    let ann = Address::Email("ann@example.org".parse()?);
    let challenge = service.request_otp(&acme, OtpRequest::to(ann)).await?.value;
    service.deliver_pending(10).await?;

    let code = inbox.recv()?.code.ok_or("the mail carries a code")?;
    let verification = OtpVerification::of(challenge.challenge_id, code.expose());
    let signed_in = service.verify_otp(&acme, verification).await?.value;
    println!("{} is signed in, until {}:\n{}", signed_in.user_id, signed_in.expires_at, signed_in.token.expose());

    let me = service.me(signed_in.token.expose()).await?;
    println!("The token opens what belongs to {}.", me.email.unwrap_or_default());
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
