//! `check`: one line for each thing that has to be in order.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use otp_core::{Clock, SystemClock, Timestamp};

use super::Failure;
use super::output::print;
use crate::boot::{self, Database, InUse, WrittenWith, beside, configured_ring, open_database};
use crate::config::{self, Config, Mistake, Setting};
use crate::delivery::listed;
use crate::dns::Dns;
use crate::mail::{self, MailUrl};
use crate::sms::{self, SmsUrl};

/// A clock outside these two times is wrong: 2026-01-01 and 2100-01-01.
const PLAUSIBLE: std::ops::Range<i64> = 1_767_225_600_000..4_102_444_800_000;
/// Files may be this much younger than the clock, on a network drive.
const TOLERANCE: Duration = Duration::from_secs(60);

type Finding = Result<String, Mistake>;

pub(super) fn run(config: Result<Config, Mistake>) -> Result<(), Failure> {
    let config = match config {
        Ok(config) => config,
        Err(mistake) => {
            tell("configuration", &Err(mistake));
            return Err(Failure::Told);
        }
    };
    let checks = boot::runtime()?.block_on(all(&config));
    for (name, finding) in &checks {
        tell(name, finding);
    }
    if checks.iter().all(|(_, finding)| finding.is_ok()) { Ok(()) } else { Err(Failure::Told) }
}

async fn all(config: &Config) -> [(&'static str, Finding); 7] {
    let opened = open(config).await;
    [
        ("configuration", Ok(source(config))),
        ("store", store(config, &opened)),
        ("master key", master_key(config, &opened).await),
        ("mail", mail(config).await),
        ("text messages", texts(config).await),
        ("dns", dns(config).await),
        ("clock", clock(config)),
    ]
}

fn tell(name: &str, finding: &Finding) {
    match finding {
        Ok(words) => print(&format!("ok    {name}: {words}\n")),
        Err(mistake) => print(&format!("FAIL  {name}: {mistake}\n")),
    }
}

fn source(config: &Config) -> String {
    match &config.file {
        Some(path) => format!("{}, variables and flags", path.display()),
        None => "variables and flags".to_owned(),
    }
}

/// The database as far as it exists; checking makes nothing.
enum Opened {
    Absent,
    Open { database: Database, _in_use: Option<InUse> },
    Broken(Mistake),
}

async fn open(config: &Config) -> Opened {
    let in_use = match &config.database {
        config::Database::Memory => return Opened::Absent,
        config::Database::Sqlite(path) if !path.exists() => return Opened::Absent,
        config::Database::Sqlite(path) => InUse::shared(path).map(Some).map_err(|error| {
            Mistake::of(Setting::DatabaseUrl, format_args!("{}: {error}; let this user write there", path.display()))
        }),
        config::Database::Postgres(_) => Ok(None),
    };
    let opened = match in_use {
        Ok(in_use) => open_database(&config.database).await.map(|database| (database, in_use)),
        Err(mistake) => Err(mistake),
    };
    match opened {
        Ok((database, _in_use)) => Opened::Open { database, _in_use },
        Err(mistake) => Opened::Broken(mistake),
    }
}

fn store(config: &Config, opened: &Opened) -> Finding {
    match (&config.database, opened) {
        (config::Database::Memory, _) => Ok("in memory, gone when the server stops".to_owned()),
        (config::Database::Sqlite(path), Opened::Absent) => {
            Ok(format!("there is none at {} yet; the first start makes it", path.display()))
        }
        (_, Opened::Broken(mistake)) => Err(mistake.clone()),
        (config::Database::Sqlite(path), Opened::Open { database: Database::Sqlite(store), .. }) => {
            let damage = |error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                let words = format!("{}: {error}: {cause}; restore a backup", path.display());
                Mistake::of(Setting::DatabaseUrl, words)
            };
            store.quick_check().map_err(damage)?;
            Ok(format!("{} is sound", path.display()))
        }
        (place, Opened::Absent | Opened::Open { .. }) => Ok(format!("{place} answers, and has the newest schema")),
    }
}

async fn master_key(config: &Config, opened: &Opened) -> Finding {
    let ring = configured_ring(config)?;
    let mut words = if ring.is_some() { "there is one" } else { "there is none yet; the first start makes it" };
    if let Opened::Open { database, .. } = opened {
        let written_with = WrittenWith::read(database).await?;
        written_with.check(ring.as_ref(), config, &config.database)?;
        if written_with.is_known() {
            words = "it is the one that the data was written with";
        }
    }
    Ok(words.to_owned())
}

async fn mail(config: &Config) -> Finding {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let mut findings = Vec::new();
    for url in &config.mail_urls {
        findings.push(match mail::mailer(url, &config.mail_from, Arc::clone(&clock)) {
            Ok(mailer) => mailer.check().await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        });
    }
    together(Setting::MailUrl, findings)?;
    Ok(listed(&config.mail_urls))
}

/// What is wrong with the URLs of a setting, whichever it is.
fn together(setting: Setting, findings: Vec<Result<(), String>>) -> Result<(), Mistake> {
    let count = findings.len();
    let wrong = findings.into_iter().enumerate().filter_map(|(number, finding)| Some((number, finding.err()?)));
    let wrong = wrong.map(|(number, error)| match count {
        1 => error,
        _ => format!("number {} of {count}: {error}", number + 1),
    });
    let wrong: Vec<String> = wrong.collect();
    if wrong.is_empty() { Ok(()) } else { Err(Mistake::of(setting, wrong.join("; "))) }
}

async fn texts(config: &Config) -> Finding {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let has_mailbox = matches!(config.mail_urls[..], [MailUrl::Mailbox]);
    if matches!(config.sms_urls[..], [SmsUrl::Mailbox]) && !has_mailbox {
        return Ok("none can be sent; set OTP_SMS_URL if they are to be".to_owned());
    }
    let mut findings = Vec::new();
    for url in &config.sms_urls {
        findings.push(match sms::mailer(url, Arc::clone(&clock)) {
            Ok(Some(mailer)) => mailer.check().await.map_err(|error| error.to_string()),
            Ok(None) => Ok(()),
            Err(error) => Err(error.to_string()),
        });
    }
    together(Setting::SmsUrl, findings)?;
    Ok(listed(&config.sms_urls))
}

/// Only sender domains need it, so that the system's may be missing.
async fn dns(config: &Config) -> Finding {
    let answer = match Dns::of(config.dns_server) {
        Ok(dns) => dns.check().await,
        Err(error) => Err(error.to_string()),
    };
    match (config.dns_server, answer) {
        (Some(server), Ok(())) => Ok(format!("{server} answers")),
        (None, Ok(())) => Ok("the system's name servers answer".to_owned()),
        (Some(server), Err(error)) => {
            let words = format!("{server} does not answer: {error}; name one that does, or leave it empty");
            Err(Mistake::of(Setting::DnsServer, words))
        }
        (None, Err(error)) => Ok(format!("none ({error}), so that sender domains cannot be verified")),
    }
}

fn clock(config: &Config) -> Finding {
    let now = SystemClock::default().now();
    let fix = "set the clock, and keep it right with NTP";
    if !PLAUSIBLE.contains(&now.as_millis()) {
        return Err(Mistake::new(format_args!("it says {now}; {fix}")));
    }
    let config::Database::Sqlite(path) = &config.database else { return Ok(now.to_string()) };
    let written = [changed_at(path), changed_at(&beside(path, "-wal"))].into_iter().flatten().max();
    match written.filter(|written| now + TOLERANCE < *written) {
        Some(written) => {
            Err(Mistake::new(format_args!("it says {now}, but the database was written at {written}; {fix}")))
        }
        None => Ok(now.to_string()),
    }
}

fn changed_at(path: &Path) -> Option<Timestamp> {
    let since = fs::metadata(path).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(since.as_millis().try_into().ok()?))
}
