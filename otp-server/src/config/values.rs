//! What the texts of settings mean. A refusal says what to write instead, and repeats nothing that may hold a secret.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use otp_core::access::parse_network;
use otp_core::api_key::is_admin_token;
use otp_core::destination::Reach;
use otp_core::plan::InvalidPlans;
use otp_core::{KeyRing, Plans, Secret};
use tracing::level_filters::LevelFilter;
use url::Url;

use super::file;

/// Where the data is.
#[derive(Clone, Debug)]
pub enum Database {
    /// In a file.
    Sqlite(PathBuf),
    /// On a PostgreSQL server, under this URL.
    Postgres(Secret),
    /// In memory, gone with the process.
    Memory,
}

impl Database {
    /// Reads a URL; an empty one means the default file.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str, data_dir: &Path) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Database::Sqlite(data_dir.join("otp.db")));
        }
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Database::Memory),
            Some(("sqlite", path)) => sqlite(path),
            Some(("postgres" | "postgresql", _)) => Ok(Database::Postgres(Secret::from(text.to_owned()))),
            _ => Err("it must begin with `sqlite:` or `postgres:`, or be `memory:`; write `sqlite:PATH`, as in \
                      `sqlite:./otp.db`, or `postgres://USER:PASSWORD@HOST/DATABASE`"
                .to_owned()),
        }
    }
}

/// Without user and password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Sqlite(path) => write!(f, "{}", path.display()),
            Database::Postgres(url) => {
                let url = Url::parse(url.expose()).ok();
                let host = url.as_ref().and_then(Url::host_str).unwrap_or("its host");
                write!(f, "postgres://{host}{}", url.as_ref().map_or("", Url::path))
            }
            Database::Memory => f.write_str("memory:"),
        }
    }
}

fn sqlite(path: &str) -> Result<Database, String> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.ends_with('/') || path.contains('?') {
        return Err("`sqlite:` is followed by the path of a file and nothing else, as in `sqlite:./otp.db`".to_owned());
    }
    Ok(Database::Sqlite(path.into()))
}

/// An empty text means that it is not set.
pub(super) fn optional<T>(parse: fn(&str) -> Result<T, String>) -> impl Fn(&str) -> Result<Option<T>, String> {
    move |text| if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is no IP address and port; write `127.0.0.1:8080`, or `0.0.0.0:8080` for every interface")
    })
}

pub(super) fn name_server(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| format!("{text:?} is no IP address and port; write `127.0.0.1:53`, or `[::1]:53` for IPv6"))?;
    if address.port() == 0 { Err("port 0 is no port; name servers are on port 53".to_owned()) } else { Ok(address) }
}

pub(super) fn data_dir(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("it is empty; name a directory, as in `./otp-data`".to_owned()) } else { Ok(text.into()) }
}

pub(super) fn count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=1_000_000).contains(count));
    count.ok_or_else(|| format!("{text:?} is no whole number of 1 to 1000000"))
}

pub(super) fn master_key(text: &str) -> Result<KeyRing, String> {
    let ring: KeyRing = text
        .parse()
        .map_err(|error| format!("{error}; write `1:KEY`, where KEY is what `openssl rand -base64 32` prints"))?;
    let is_text = |entry: &str| {
        let key = entry.split_once(':').and_then(|(_, key)| STANDARD.decode(key.trim()).ok());
        key.is_some_and(|key| key.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' '))
    };
    if text.split(',').any(is_text) {
        return Err(
            "a key of the ring is readable text, not random; make one with `openssl rand -base64 32`".to_owned()
        );
    }
    Ok(ring)
}

/// What stands in examples and tutorials in the place of a token, in lower case.
const PLACEHOLDERS: [&str; 12] = [
    "change", "secret", "password", "passw0rd", "example", "replace", "your", "default", "token", "qwerty", "12345678",
    "abcdefgh",
];
const FEWEST_SIGNS: usize = 10;

pub(super) fn admin_token(text: &str) -> Result<Secret, String> {
    let fix = "make one with `echo otp_admin_$(openssl rand -hex 20)`";
    if !is_admin_token(text) {
        return Err(format!("it does not begin with `otp_admin_`; {fix}"));
    }
    if text.len() < 32 {
        return Err(format!("it has {} characters, at least 32 are needed; {fix}", text.len()));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("it has a space or a sign beyond ASCII; {fix}"));
    }
    let guessable = text["otp_admin_".len()..].to_ascii_lowercase();
    let mut signs: Vec<char> = guessable.chars().collect();
    signs.sort_unstable();
    signs.dedup();
    if signs.len() < FEWEST_SIGNS || PLACEHOLDERS.iter().any(|word| guessable.contains(word)) {
        return Err(format!("it can be guessed; {fix}"));
    }
    Ok(text.to_owned().into())
}

pub(super) fn public_url(text: &str) -> Result<String, String> {
    let wrong = |why: &str| format!("{why}; write it like `https://auth.example.com`");
    let url = Url::parse(text).map_err(|_| wrong("it is no absolute URL"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(wrong("it does not begin with `https://` or `http://` and a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it has a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has a `?` or `#`"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// URLs with blanks between them, in order of preference; `mailbox:` and `file:`, whose path may have blanks, stand alone.
pub(super) fn urls<T, E: fmt::Display>(text: &str, parse: impl Fn(&str) -> Result<T, E>) -> Result<Vec<T>, String> {
    let stands_alone = |url: &str| ["mailbox:", "file:"].iter().any(|scheme| url.starts_with(scheme));
    let pieces: Vec<&str> = text.split_whitespace().collect();
    let is_one = pieces.len() < 2 || stands_alone(text) && !pieces[1..].iter().any(|piece| piece.contains(':'));
    if is_one {
        return parse(text).map(|url| vec![url]).map_err(|error| error.to_string());
    }
    if pieces.iter().any(|piece| stands_alone(piece)) {
        return Err("`mailbox:` and `file:` stand alone; remove what is beside them".to_owned());
    }
    let place = |number: usize| format!("number {} of {}", number + 1, pieces.len());
    let wrong =
        |number, error| format!("{}, as blanks separate URLs: {error}; write a blank within one as %20", place(number));
    let urls = pieces.iter().enumerate();
    urls.map(|(number, piece)| parse(piece).map_err(|error| wrong(number, error))).collect()
}

pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(network).collect()
}

fn network(text: &str) -> Result<IpNet, String> {
    let net = parse_network(text)
        .map_err(|_| format!("{text:?} is no network; write networks like `10.0.0.0/8,2001:db8::/32`"))?;
    if net.prefix_len() == 0 {
        return Err(format!("{text:?} is every address, so that any client could name its own; list your proxies"));
    }
    Ok(net)
}

pub(super) fn plans(text: &str) -> Result<Plans, String> {
    if text.is_empty() {
        return Ok(Plans::builtin());
    }
    let contents = fs::read_to_string(text).map_err(|error| format!("{text:?} cannot be read: {error}"))?;
    contents.parse().map_err(|error| match error {
        InvalidPlans::Form(error) => {
            let (line, column) = error.span().map_or((1, 1), |span| file::position(&contents, span.start));
            format!("{text:?}, line {line}, column {column}: {}", error.message())
        }
        error => format!("{text:?}: {error}"),
    })
}

pub(super) fn signup(text: &str) -> Result<bool, String> {
    match text {
        "open" => Ok(true),
        "closed" => Ok(false),
        _ => Err(format!("{text:?} is neither; write `open` or `closed`")),
    }
}

pub(super) fn reach(text: &str) -> Result<Reach, String> {
    match text {
        "false" => Ok(Reach::Public),
        "true" => Ok(Reach::Anywhere),
        _ => Err(format!("{text:?} is neither; write `true` or `false`")),
    }
}

pub(super) fn audit_days(text: &str) -> Result<u32, String> {
    let days = text.parse().ok().filter(|days| (1..=3650).contains(days));
    days.ok_or_else(|| format!("{text:?} is no whole number of 1 to 3650"))
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    Automatic,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(LogFormat::Automatic),
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(format!("{text:?} is no format; use `text` or `json`")),
        }
    }
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter {
    /// Of everything that has no level of its own.
    pub level: LevelFilter,
    /// Levels of modules.
    pub modules: Vec<(String, LevelFilter)>,
}

impl LogFilter {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut filter = Self { level: LevelFilter::INFO, modules: Vec::new() };
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            match entry.split_once('=') {
                Some((module, word)) if is_module(module) => filter.modules.push((module.to_owned(), level(word)?)),
                Some((module, _)) => {
                    return Err(format!("{module:?} is no module; write `warn,otp_server::http=debug`"));
                }
                None => filter.level = level(entry)?,
            }
        }
        Ok(filter)
    }
}

fn is_module(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '_' | ':'))
}

fn level(word: &str) -> Result<LevelFilter, String> {
    match word.to_ascii_lowercase().as_str() {
        "off" => Ok(LevelFilter::OFF),
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err(format!(
            "{word:?} is no level; use off, error, warn, info, debug or trace, as in `warn,otp_server=debug`"
        )),
    }
}
