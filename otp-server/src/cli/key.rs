//! `key …`

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use otp_core::api_key::{KeyScope, KeyType};
use otp_core::{CreatedKey, KeyId, KeyView, Mode, NewApiKey, Service, TenantId, Timestamp};
use serde_json::json;

use super::output::{print, print_json, print_table};
use super::{Failure, with_service};
use crate::config::Config;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a key, which is shown once
    #[command(after_help = "\
Examples:
  otp-server key create cust_… --name Backend
  otp-server key create cust_… --name Website --type publishable --origin https://app.acme.com
  otp-server key create cust_… --name Tests --mode test")]
    Create(Create),
    /// List a customer's keys, newest first
    List(List),
    /// Put a new key in the place of an old one, which works on for a while
    #[command(after_help = "Example:\n  otp-server key rotate cust_… key_… --grace 24h")]
    Rotate(Rotate),
    /// Revoke a key, at once and for ever
    Revoke(Revoke),
}

#[derive(Args)]
pub(super) struct Create {
    /// The customer, cust_…
    customer: TenantId,
    /// What the key is called
    #[arg(long)]
    name: String,
    /// secret keys are for servers, publishable ones for browsers and apps
    #[arg(long = "type", value_name = "TYPE", default_value = "secret", value_parser = key_type())]
    key_type: KeyType,
    /// live sends messages, test shows codes in its answers
    #[arg(long, default_value = "live", value_parser = mode())]
    mode: Mode,
    /// A web origin that may use it, such as https://app.acme.com; can be repeated
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,
    /// An address or network that may use it, such as 203.0.113.0/24; can be repeated
    #[arg(long = "ip", value_name = "NETWORK")]
    ips: Vec<String>,
    /// Let it ask for codes to deliver them itself
    #[arg(long)]
    reveal_codes: bool,
    /// When it ends by itself, such as 2027-01-31T08:15:30Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct List {
    /// The customer, cust_…
    customer: TenantId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Rotate {
    /// The customer, cust_…
    customer: TenantId,
    /// The key, key_…
    key: KeyId,
    /// How long the old key works on, up to 30d: a number with s, m, h or d
    #[arg(long, default_value = "7d", value_parser = span)]
    grace: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Revoke {
    /// The customer, cust_…
    customer: TenantId,
    /// The key, key_…
    key: KeyId,
}

fn key_type() -> impl TypedValueParser<Value = KeyType> {
    let types = [KeyType::Secret, KeyType::Publishable];
    PossibleValuesParser::new(types.map(KeyType::as_str))
        .map(move |word| types.into_iter().find(|known| known.as_str() == word).unwrap_or(KeyType::Secret))
}

fn mode() -> impl TypedValueParser<Value = Mode> {
    let modes = [Mode::Live, Mode::Test];
    PossibleValuesParser::new(modes.map(Mode::as_str))
        .map(move |word| modes.into_iter().find(|known| known.as_str() == word).unwrap_or(Mode::Live))
}

fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number with s, m, h or d, such as 24h".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

pub(super) fn run(config: &Config, command: Command) -> Result<(), Failure> {
    with_service(config, false, async |service| match command {
        Command::Create(create) => create.run(service).await,
        Command::List(list) => list.run(service).await,
        Command::Rotate(rotate) => rotate.run(service).await,
        Command::Revoke(revoke) => revoke.run(service).await,
    })
}

impl Create {
    async fn run(self, service: &Service) -> Result<(), Failure> {
        let administrator = service.administrator(self.customer).await?;
        let new = NewApiKey {
            name: self.name,
            key_type: self.key_type,
            mode: self.mode,
            allowed_origins: self.origins,
            allowed_ips: self.ips,
            scopes: if self.reveal_codes { vec![KeyScope::OtpReveal] } else { Vec::new() },
            expires_at: self.expires_at,
            idempotency: None,
        };
        let created = service.create_key(&administrator, new).await?.value;
        if self.json {
            print_json(&json!({
                "apiKey": created.api_key.expose(),
                "keyId": created.key.id.to_string(),
                "name": created.key.name,
            }));
            return Ok(());
        }
        print(&format!("{}\nThe key is shown once.\n", lines(&created)));
        Ok(())
    }
}

fn lines(created: &CreatedKey) -> String {
    format!("Key     {}\nKey id  {}\n", created.api_key.expose(), created.key.id)
}

impl List {
    async fn run(self, service: &Service) -> Result<(), Failure> {
        let administrator = service.administrator(self.customer).await?;
        let keys = service.keys(&administrator).await?;
        if self.json {
            let list: Vec<_> = keys.iter().map(as_json).collect();
            print_json(&json!({ "keys": list }));
            return Ok(());
        }
        let row = |view: &KeyView| {
            let key = &view.key;
            let used = view.last_used_at.map_or("never".to_owned(), |at| at.to_string());
            let last4 = format!("…{}", key.last4);
            let words = [key.key_type.as_str(), key.mode.as_str(), view.status].map(str::to_owned);
            [vec![key.id.to_string()], words.to_vec(), vec![last4, used, key.name.clone()]].concat()
        };
        let rows: Vec<_> = keys.iter().map(row).collect();
        print_table(&["KEY", "TYPE", "MODE", "STATUS", "ENDS IN", "LAST USED", "NAME"], &rows);
        Ok(())
    }
}

fn as_json(view: &KeyView) -> serde_json::Value {
    let key = &view.key;
    json!({
        "keyId": key.id.to_string(),
        "name": key.name,
        "type": key.key_type,
        "mode": key.mode,
        "last4": key.last4,
        "status": view.status,
        "allowedOrigins": key.allowed_origins,
        "allowedIps": key.allowed_ips,
        "createdAt": key.created_at.to_string(),
        "lastUsed": view.last_used_at.map(|at| at.to_string()),
        "lastUsedIp": view.last_used_ip.map(|network| network.to_string()),
        "expiresAt": key.ends_at().map(|at| at.to_string()),
    })
}

impl Rotate {
    async fn run(self, service: &Service) -> Result<(), Failure> {
        let administrator = service.administrator(self.customer).await?;
        let rotated = service.rotate_key(&administrator, self.key, self.grace, None).await?.value;
        if self.json {
            print_json(&json!({
                "apiKey": rotated.created.api_key.expose(),
                "keyId": rotated.created.key.id.to_string(),
                "oldKeyId": rotated.old.to_string(),
                "oldKeyExpiresAt": rotated.old_expires_at.to_string(),
            }));
            return Ok(());
        }
        let (old, until) = (rotated.old, rotated.old_expires_at);
        print(&format!("{}\nThe key is shown once. {old} works until {until}.\n", lines(&rotated.created)));
        Ok(())
    }
}

impl Revoke {
    async fn run(self, service: &Service) -> Result<(), Failure> {
        let administrator = service.administrator(self.customer).await?;
        service.revoke_key(&administrator, self.key).await?;
        print(&format!("{} is revoked; a running server refuses it within a second.\n", self.key));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_a_number_and_a_unit() {
        assert_eq!(span("0"), Ok(Duration::ZERO));
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("24h"), span("1d"));
        for wrong in ["", "7", "d", "-1d", "1w", "1.5h", "7ä", "99999999999999999999d", "999999999999999999d"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
