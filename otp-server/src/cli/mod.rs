//! The command line.

mod audit;
mod check;
mod copy;
mod customer;
mod data;
mod key;
mod ledger;
mod listen;
mod member;
mod output;
mod simulate;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use otp_core::Service;

use crate::boot::{self, Installation};
use crate::config::{self, Config, Flags, Mistake};
use crate::{http, logging};

const EXAMPLES: &str = "\
Examples:
  otp-server
      Serves http://127.0.0.1:8080 from ./otp-data. The first start makes its keys and prints a curl line to try.
  OTP_MAIL_URL='smtp://user:password@mail.example.com' otp-server --public-url https://auth.example.com
      Sends mail through a server, and names the URL that clients use.
  otp-server config > otp.toml
      Writes the configuration with all defaults, to be changed.
  otp-server check
      Tells whether configuration, database, master key, mail and clock are in order.
  otp-server customer create Acme --email ops@acme.com
      Makes a customer and prints its key, also while the server runs.

Settings are taken from the defaults, then otp.toml, then OTP_… variables, then flags; the later wins.";

/// One-time-password authentication, self-hosted.
#[derive(Parser)]
#[command(name = "otp-server", version, after_help = EXAMPLES, max_term_width = 120)]
struct Cli {
    /// The configuration file; otp.toml in the working directory, if there is one [also: OTP_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C (what is done without a command)
    Serve,
    /// Make the database if there is none, and bring it to the newest schema
    Migrate,
    /// Create, list, suspend and activate customers
    #[command(subcommand)]
    Customer(customer::Command),
    /// Create, list, rotate and revoke API keys
    #[command(subcommand)]
    Key(key::Command),
    /// Print a customer's events as they happen, and send them to a receiver on this machine
    Listen(listen::Listen),
    /// Help members who cannot sign in any more
    #[command(subcommand)]
    Member(member::Command),
    /// Copy the database to a new file, also while the server runs
    Backup(data::Backup),
    /// Copy a whole installation to another database, and compare the two
    Copy(copy::Copy),
    /// Put a backup in the place of the database, while no server runs
    Restore(data::Restore),
    /// Tell whether the audit trail of every customer stands as it was written; exit 1 if not
    VerifyAudit,
    /// Tell whether configuration, database, master key, mail and clock are in order
    Check,
    /// Recompute what was counted of usage from the records, and print every difference
    #[command(after_help = "Exit status: 0 without a difference, 1 with one. A server may run meanwhile.")]
    VerifyLedger,
    /// Try the guards of paid channels on the engine itself, in memory
    #[command(subcommand)]
    Simulate(simulate::Command),
    /// Print the OpenAPI 3.1 document
    Openapi,
    /// Print the configuration file with all defaults, explained
    Config,
}

/// Why a command did not do what it was told.
enum Failure {
    /// Something to put right first: exit 2.
    Mistake(Mistake),
    /// Exit 1, in words.
    Refused(String),
    /// Exit 1; what is wrong has been printed.
    Told,
}

impl From<Mistake> for Failure {
    fn from(mistake: Mistake) -> Self {
        Failure::Mistake(mistake)
    }
}

impl From<otp_core::Error> for Failure {
    fn from(error: otp_core::Error) -> Self {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure::Refused(format!("{error}{cause}"))
    }
}

/// Does what the arguments say; gives the exit status of the process: 0 done, 1 not done, 2 something is set up wrongly.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Mistake(mistake)) => complain(&mistake.to_string(), 2),
        Err(Failure::Refused(words)) => complain(&Mistake::new(words).to_string(), 1),
        Err(Failure::Told) => ExitCode::from(1),
    }
}

fn complain(line: &str, status: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "otp-server: {line}"); // nobody may be there to read it
    ExitCode::from(status)
}

fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            output::print(&error.render().to_string());
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = write!(std::io::stderr(), "{}", error.render());
            ExitCode::from(2)
        }
        _ => {
            let words = error.render().to_string();
            let said = words.split("\n\n").filter(|part| !part.starts_with("Usage:"));
            let line: Vec<_> =
                said.map(|part| part.trim().trim_start_matches("error: ").trim_end_matches('.')).collect();
            complain(&Mistake::new(line.join("; ")).to_string(), 2)
        }
    }
}

fn execute(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Some(Command::Openapi) => return openapi(),
        Some(Command::Config) => {
            output::print(config::DEFAULT_FILE);
            return Ok(());
        }
        Some(Command::Simulate(command)) => return simulate::run(command),
        Some(Command::Check) => return check::run(Config::load(cli.config.as_deref(), cli.flags)),
        _ => {}
    }
    let config = Config::load(cli.config.as_deref(), cli.flags)?;
    logging::start(&config.log, config.log_format);
    match cli.command {
        Some(Command::Migrate) => data::migrate(&config),
        Some(Command::Customer(command)) => customer::run(&config, command),
        Some(Command::Key(command)) => key::run(&config, command),
        Some(Command::Listen(listen)) => listen::run(&config, listen),
        Some(Command::Member(command)) => member::run(&config, command),
        Some(Command::Backup(backup)) => backup.run(&config),
        Some(Command::Restore(restore)) => restore.run(&config),
        Some(Command::Copy(copy)) => copy.run(&config),
        Some(Command::VerifyAudit) => audit::verify(&config),
        Some(Command::VerifyLedger) => ledger::verify(&config),
        _ => Ok(boot::serve(&config)?),
    }
}

fn openapi() -> Result<(), Failure> {
    let document = http::openapi().to_pretty_json();
    let document = document.map_err(|error| Failure::Refused(format!("the document cannot be written: {error}")))?;
    output::print(&format!("{document}\n"));
    Ok(())
}

/// On standard error, where it does not mix with what a script reads.
fn tell_of_key(installation: &Installation) {
    if let Some(path) = &installation.fresh_key_file {
        let words =
            format!("The master key is in {}. Keep a copy elsewhere: nothing else opens the data.", path.display());
        let _ = writeln!(std::io::stderr(), "{words}"); // nobody may be there to read it
    }
}

/// Runs work on the service of the installation, and closes that. Without `may_begin` the database has to be there.
fn with_service(
    config: &Config,
    may_begin: bool,
    work: impl AsyncFnOnce(&Service) -> Result<(), Failure>,
) -> Result<(), Failure> {
    boot::runtime()?.block_on(async {
        let opened = if may_begin { Installation::open(config).await } else { Installation::existing(config).await };
        let installation = opened?;
        tell_of_key(&installation);
        work_on(config, installation, work).await
    })
}

async fn work_on(
    config: &Config,
    installation: Installation,
    work: impl AsyncFnOnce(&Service) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let issuer = config.public_url.clone().unwrap_or_else(|| format!("http://{}", config.listen));
    let service = installation.service(config, &issuer).build();
    let outcome = work(&service).await;
    drop(service);
    installation.close().await;
    outcome
}
