//! `customer …`

use clap::{Args, Subcommand};
use otp_core::tenant::TenantStatus;
use otp_core::token::Algorithm;
use otp_core::{NewTenant, Service, TenantId, TenantView};
use serde_json::json;

use super::output::{print, print_json, print_table};
use super::{Failure, with_service};
use crate::config::Config;

const PAGE: usize = 200;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a customer; prints a key, which is shown once
    #[command(after_help = "Example:\n  otp-server customer create Acme --email ops@acme.com --plan starter")]
    Create(Create),
    /// List customers, newest first
    #[command(after_help = "Example:\n  otp-server customer list --search acme --json")]
    List(List),
    /// Stop a customer: its keys answer 403 from now on
    Suspend(Change),
    /// Let a customer go on
    Activate(Change),
    /// Give a customer a new key to sign its tokens with; tokens of the old one stay valid until they expire
    #[command(after_help = "Example:\n  otp-server customer signing-key cust_… --algorithm EdDSA")]
    SigningKey(SigningKey),
}

#[derive(Args)]
pub(super) struct Create {
    /// Its name, as messages show it
    name: String,
    /// Its contact address
    #[arg(long)]
    email: String,
    /// Its plan; the first of the plan file if left out
    #[arg(long)]
    plan: Option<String>,
    /// A web origin that may call, such as https://app.acme.com; can be repeated
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct List {
    /// Only those whose name, address or id contains this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Change {
    /// The customer, cust_…
    customer: TenantId,
    /// Why, for the records
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Args)]
pub(super) struct SigningKey {
    /// The customer, cust_…
    customer: TenantId,
    /// HS256 (a secret shared with whoever checks tokens), EdDSA or ES256 (public keys at /.well-known/jwks.json)
    #[arg(long)]
    algorithm: Algorithm,
}

pub(super) fn run(config: &Config, command: Command) -> Result<(), Failure> {
    let may_begin = matches!(command, Command::Create(_));
    with_service(config, may_begin, async |service| match command {
        Command::Create(create) => create.run(service).await,
        Command::List(list) => list.run(service).await,
        Command::Suspend(change) => change.run(service, TenantStatus::Suspended).await,
        Command::Activate(change) => change.run(service, TenantStatus::Active).await,
        Command::SigningKey(change) => change.run(service).await,
    })
}

impl Create {
    async fn run(self, service: &Service) -> Result<(), Failure> {
        let new = NewTenant {
            plan: self.plan,
            allowed_origins: self.origins,
            by_administrator: true,
            ..NewTenant::named(&self.name, &self.email)
        };
        let created = service.create_tenant(new).await?;
        let (key, secret) = (created.api_key.expose(), created.webhook_secret.expose());
        if self.json {
            print_json(&json!({
                "customerId": created.id.to_string(),
                "apiKey": key,
                "keyId": created.key_id.to_string(),
                "apiSecret": secret,
                "createdAt": created.created_at.to_string(),
            }));
            return Ok(());
        }
        print(&format!(
            "Customer        {}\nSecret key      {key}\nWebhook secret  {secret}\n\nKey and secret are shown once.\n",
            created.id
        ));
        Ok(())
    }
}

impl List {
    async fn run(self, service: &Service) -> Result<(), Failure> {
        let mut customers: Vec<TenantView> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = service.tenants(self.search.as_deref(), cursor.as_deref(), PAGE).await?;
            customers.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        if self.json {
            let list: Vec<_> = customers.iter().map(as_json).collect();
            print_json(&json!({ "customers": list }));
            return Ok(());
        }
        let row = |customer: &TenantView| {
            let TenantView { id, status, plan, created_at, name, email, .. } = customer;
            vec![id.to_string(), status.to_string(), plan.clone(), created_at.to_string(), name.clone(), email.clone()]
        };
        let rows: Vec<_> = customers.iter().map(row).collect();
        print_table(&["CUSTOMER", "STATUS", "PLAN", "CREATED", "NAME", "EMAIL"], &rows);
        Ok(())
    }
}

fn as_json(customer: &TenantView) -> serde_json::Value {
    json!({
        "customerId": customer.id.to_string(),
        "name": customer.name,
        "email": customer.email,
        "companyName": customer.company_name,
        "plan": customer.plan,
        "status": customer.status,
        "features": customer.features,
        "createdAt": customer.created_at.to_string(),
    })
}

impl Change {
    async fn run(self, service: &Service, status: TenantStatus) -> Result<(), Failure> {
        let administrator = service.administrator(self.customer).await?;
        let (before, after) = service.set_status(&administrator, status, self.reason).await?;
        print(&format!("{} was {before} and is {} now.\n", self.customer, after.status));
        Ok(())
    }
}

impl SigningKey {
    async fn run(self, service: &Service) -> Result<(), Failure> {
        let administrator = service.administrator(self.customer).await?;
        service.rotate_signing_keys(&administrator, self.algorithm).await?;
        print(&format!("Tokens of {} are signed with a new {} key from now on.\n", self.customer, self.algorithm));
        Ok(())
    }
}
