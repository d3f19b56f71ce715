//! A mailer of one's own: hands each mail to a program that reads it from its standard input, as `sendmail` does.
//!
//! `cargo run -p otp-examples --example custom_mailer -- /usr/sbin/sendmail -t`; without arguments `cat` shows the mail.

use std::error::Error;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use otp_core::message::{Mailer, Outgoing, Receipt, SendError};
use otp_core::store::MemoryStore;
use otp_core::{Address, KeyRing, Mode, NewTenant, OtpRequest, Service, SystemRandom};
use tokio::task::spawn_blocking;

/// The program and its arguments.
struct Program(Vec<String>);

#[async_trait::async_trait]
impl Mailer for Program {
    async fn send(&self, mail: &Outgoing) -> Result<Receipt, SendError> {
        // The same id on every retry, so whoever receives both can tell that they are one.
        let head = format!("To: {}\nSubject: {}\nMessage-ID: <{}@acme.com>\n", mail.to, mail.subject, mail.id);
        let text = format!("{head}Content-Type: text/plain; charset=utf-8\n\n{}", mail.text);
        let program = self.0.clone();
        match spawn_blocking(move || feed(&program, &text)).await.map_err(io::Error::other).flatten() {
            Ok(()) => Ok(Receipt::default()),
            // Tried again with growing pauses while the code lives. `SendError::Permanent` would give the mail up.
            Err(error) => Err(SendError::Temporary { reason: error.to_string(), retry_after: None }),
        }
    }
}

fn feed(program: &[String], text: &str) -> io::Result<()> {
    let mut running = Command::new(&program[0]).args(&program[1..]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut input) = running.stdin.take() {
        input.write_all(text.as_bytes())?;
    }
    let status = running.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("the mail program ended with {status}"))) }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let named: Vec<String> = std::env::args().skip(1).collect();
    let program = if named.is_empty() { vec!["cat".to_owned()] } else { named };
    let delivered = mail_a_code(Program(program)).await?;
    println!("\n{delivered:?}");
    Ok(())
}

async fn mail_a_code(mailer: Program) -> Result<otp_core::Delivered, Box<dyn Error>> {
    let service = Service::builder(MemoryStore::new(), KeyRing::generate(&SystemRandom)).mailer(mailer).build();
    let tenant = service.create_tenant(NewTenant::named("Acme", "ops@acme.com")).await?;
    let acme = service.program(tenant.id, Mode::Live).await?;
    let ann = Address::Email("ann@example.org".parse()?);
    service.request_otp(&acme, OtpRequest::to(ann)).await?;
    Ok(service.deliver_pending(10).await?)
}

#[tokio::test]
async fn a_mail_is_taken_or_tried_again() {
    let shell = |script: &str| Program(["sh", "-c", script].map(str::to_owned).to_vec());
    let taken = mail_a_code(shell("grep -q 'To: ann@example.org'")).await.unwrap();
    assert_eq!((taken.sent, taken.retried), (1, 0));
    let refused = mail_a_code(shell("cat > /dev/null; exit 75")).await.unwrap();
    assert_eq!((refused.sent, refused.retried), (0, 1));
}
