//! What a start says on standard output: where the server listens, and at the first start what is shown once.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use otp_core::Secret;

use crate::config::{self, Config};

/// What there is to say.
pub(super) struct Welcome<'a> {
    pub config: &'a Config,
    pub url: String,
    pub local_url: String,
    pub operator_url: Option<String>,
    pub admin_token: Option<&'a Secret>,
    pub demo_key: Option<&'a Secret>,
    pub fresh_key_file: Option<&'a Path>,
    pub shows_mailbox: bool,
}

impl Welcome<'_> {
    pub fn print(&self) {
        let mut out = std::io::stdout();
        // Nobody has to listen: a closed output stops no server.
        let _ = out.write_all(self.text().as_bytes()).and_then(|()| out.flush());
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ =
            self.places(&mut text).and_then(|()| self.secrets(&mut text)).and_then(|()| self.first_steps(&mut text));
        text
    }

    fn places(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "OTP Auth listens on {}", self.url)?;
        if let Some(url) = &self.operator_url {
            writeln!(out, "Metrics and health on {url}/metrics and {url}/health")?;
        }
        Ok(())
    }

    fn secrets(&self, out: &mut String) -> std::fmt::Result {
        if matches!(self.config.database, config::Database::Memory) {
            writeln!(out, "\nEverything is kept in memory and gone when the server stops.")?;
        }
        if let Some(path) = self.fresh_key_file {
            writeln!(
                out,
                "\nThe master key is in {}. Keep a copy elsewhere: nothing else opens the data.",
                path.display()
            )?;
        }
        if let Some(token) = self.admin_token {
            writeln!(
                out,
                "\nAdministrator token, shown once (OTP_ADMIN_TOKEN sets another):\n\n    {}",
                token.expose()
            )?;
        }
        Ok(())
    }

    fn first_steps(&self, out: &mut String) -> std::fmt::Result {
        let Some(key) = self.demo_key else { return Ok(()) };
        let key = key.expose();
        writeln!(out, "\nSecret key of the customer \"Demo\", shown once:\n\n    {key}")?;
        let request = r#"{"email":"ann@example.org"}"#;
        writeln!(out, "\nTo try it, ask for a code:\n\n    {}", self.curl("request-otp", key, request))?;
        if self.shows_mailbox {
            writeln!(out, "\nRead the code at {}/dev/mailbox and sign in with it:", self.local_url)?;
        } else {
            writeln!(out, "\nSign in with the code from the mail:")?;
        }
        let verify = r#"{"email":"ann@example.org","otp":"CODE"}"#;
        writeln!(out, "\n    {}", self.curl("verify-otp", key, verify))
    }

    fn curl(&self, call: &str, key: &str, body: &str) -> String {
        let url = &self.local_url;
        format!("curl {url}/auth/{call} -H 'X-OTP-API-Key: {key}' -H 'Content-Type: application/json' -d '{body}'")
    }
}
