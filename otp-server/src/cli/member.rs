//! `member …`

use clap::{Args, Subcommand};
use otp_core::Service;

use super::output::print;
use super::{Failure, with_service};
use crate::config::Config;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Take away the authenticator of a member who lost it and the recovery codes, and end the member's sessions
    #[command(after_help = "Make sure who asks: afterwards the password or a mailed code is enough.\n\n\
                            Example:\n  otp-server member reset-totp ann@acme.com")]
    ResetTotp(ResetTotp),
}

#[derive(Args)]
pub(super) struct ResetTotp {
    /// The member's address
    email: String,
}

pub(super) fn run(config: &Config, command: Command) -> Result<(), Failure> {
    with_service(config, false, async |service| match command {
        Command::ResetTotp(reset) => reset.run(service).await,
    })
}

impl ResetTotp {
    async fn run(self, service: &Service) -> Result<(), Failure> {
        let member = service.reset_member_totp(&self.email).await?;
        print(&format!(
            "{} ({}) signs in without an authenticator from now on, and is told by mail.\n",
            member.email, member.id
        ));
        Ok(())
    }
}
