//! Configuration: the built-in defaults, then `otp.toml`, then `OTP_…` variables, then flags; the later wins.
//!
//! This file is the only place that reads the environment. A [`Mistake`] is what an operator has to put right: one line
//! that names the variable, where its value came from and the fix, and never shows a secret.

mod file;
mod layers;
mod setting;
mod values;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use otp_core::destination::Reach;
use otp_core::{KeyRing, Plans, Secret};

use crate::mail::{MailFrom, MailUrl};
use crate::sms::SmsUrl;

pub use layers::Flags;
pub use setting::Setting;
pub use values::{Database, LogFilter, LogFormat};

use layers::{Layers, Origin};

/// The commented default file, as `otp-server config` prints it.
pub const DEFAULT_FILE: &str = include_str!("otp.default.toml");

/// Read from the working directory if no other file is named.
const FILE: &str = "otp.toml";
const FILE_VARIABLE: &str = "OTP_CONFIG";

/// What an operator has to put right before the program can do its work, on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake(String);

impl Mistake {
    /// The mistake in words: what is wrong, and what to do. Line breaks and other control characters become spaces.
    pub fn new(words: impl fmt::Display) -> Self {
        let words = words.to_string();
        let pieces = words.split(char::is_control).map(str::trim).filter(|piece| !piece.is_empty());
        Self(pieces.collect::<Vec<_>>().join(" "))
    }

    /// The mistake is in what a variable is set to.
    pub fn of(setting: Setting, words: impl fmt::Display) -> Self {
        Self::new(format_args!("{}: {words}", setting.variable()))
    }
}

/// What is behind an error, in brackets; nothing if nothing is.
pub fn cause(error: &dyn std::error::Error) -> String {
    error.source().map(|cause| format!(" ({cause})")).unwrap_or_default()
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mistake {}

/// How the server is set up, checked.
pub struct Config {
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where metrics and detailed health are served; `None` for nowhere.
    pub admin_listen: Option<SocketAddr>,
    /// Where keys and the default database are.
    pub data_dir: PathBuf,
    /// Where the data is.
    pub database: Database,
    /// The master key ring, unless it is in the data directory.
    pub master_key: Option<KeyRing>,
    /// The platform administrator's token, unless it is made at the first start.
    pub admin_token: Option<Secret>,
    /// Where mail goes, in order of preference; there is one at least.
    pub mail_urls: Vec<MailUrl>,
    /// Who mail comes from.
    pub mail_from: MailFrom,
    /// Where text messages go, in order of preference; there is one at least.
    pub sms_urls: Vec<SmsUrl>,
    /// The URL that clients know the server by, without a slash at its end; `None` for `http://` and where it listens.
    pub public_url: Option<String>,
    /// Proxies whose word about the client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Connections at a time.
    pub max_connections: usize,
    /// The same from one client network.
    pub max_connections_per_ip: usize,
    /// The name server to ask; `None` for the system's.
    pub dns_server: Option<SocketAddr>,
    /// Where customers may have events sent.
    pub webhook_reach: Reach,
    /// The plans on offer.
    pub plans: Plans,
    /// Whether anybody may sign up.
    pub signup_is_open: bool,
    /// Days for which the audit trail is kept.
    pub audit_days: u32,
    /// What is logged.
    pub log: LogFilter,
    /// How it is written.
    pub log_format: LogFormat,
}

impl Config {
    /// The configuration of this process: `config` names its file, `flags` are from the command line.
    ///
    /// # Errors
    /// The first [`Mistake`].
    pub fn load(config: Option<&Path>, flags: Flags) -> Result<Self, Mistake> {
        let (file, contents) = match named_file(config)? {
            Some((path, named_by)) => (Some(path.clone()), file::read(&path, named_by)?),
            None => (None, file::read_if_there(Path::new(FILE))?),
        };
        let file = file.or_else(|| contents.as_ref().map(|_| FILE.into()));
        let layers =
            Layers::defaults().under(contents.unwrap_or_default()).under(environment()?).under(Layers::of_flags(flags));
        Self::checked(&layers, file)
    }

    fn checked(layers: &Layers, file: Option<PathBuf>) -> Result<Self, Mistake> {
        let data_dir = layers.read(Setting::DataDir, values::data_dir)?;
        let public_url = layers.read(Setting::PublicUrl, values::optional(values::public_url))?;
        let sms_urls = layers.read(Setting::SmsUrl, |text| values::urls(text, str::parse::<SmsUrl>))?;
        let config = Self {
            file,
            listen: layers.read(Setting::Listen, values::address)?,
            admin_listen: layers.read(Setting::AdminListen, values::optional(values::address))?,
            database: layers.read(Setting::DatabaseUrl, |text| Database::parse(text, &data_dir))?,
            master_key: layers.read(Setting::MasterKey, values::optional(values::master_key))?,
            admin_token: layers.read(Setting::AdminToken, values::optional(values::admin_token))?,
            mail_urls: layers
                .read(Setting::MailUrl, |text| values::urls(text, |text| MailUrl::parse(text, variable)))?,
            mail_from: layers
                .read(Setting::MailFrom, |text| text.parse::<MailFrom>().map_err(|error| error.to_string()))?,
            sms_urls: sms_urls.into_iter().map(|url| url.reached_at(public_url.as_deref())).collect(),
            public_url,
            trusted_proxies: layers.read(Setting::TrustedProxies, values::networks)?,
            max_connections: layers.read(Setting::MaxConnections, values::count)?,
            max_connections_per_ip: layers.read(Setting::MaxConnectionsPerIp, values::count)?,
            dns_server: layers.read(Setting::DnsServer, values::optional(values::name_server))?,
            webhook_reach: layers.read(Setting::WebhookAllowPrivate, values::reach)?,
            plans: layers.read(Setting::Plans, values::plans)?,
            signup_is_open: layers.read(Setting::Signup, values::signup)?,
            audit_days: layers.read(Setting::AuditDays, values::audit_days)?,
            log: layers.read(Setting::Log, LogFilter::parse)?,
            log_format: layers.read(Setting::LogFormat, LogFormat::parse)?,
            data_dir,
        };
        if config.admin_listen == Some(config.listen) && config.listen.port() != 0 {
            let words =
                format!("{} is where OTP_LISTEN listens; give it another port, or leave it empty", config.listen);
            return Err(Mistake::of(Setting::AdminListen, words));
        }
        Ok(config)
    }
}

/// The file that the flag or the variable names, and which of them.
fn named_file(flag: Option<&Path>) -> Result<Option<(PathBuf, &'static str)>, Mistake> {
    if let Some(path) = flag {
        return Ok(Some((path.to_owned(), "--config")));
    }
    let path = std::env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty());
    Ok(path.map(|path| (path.into(), FILE_VARIABLE)))
}

/// A variable that is not the program's own; one that is not UTF-8 is as good as none.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok()
}

fn environment() -> Result<Layers, Mistake> {
    let mut layer = Layers::default();
    for setting in Setting::ALL {
        if let Some(value) = std::env::var_os(setting.variable()) {
            let text = |value: OsString| {
                value.into_string().map_err(|_| Mistake::of(*setting, "it is not UTF-8; set it again"))
            };
            layer.set(*setting, text(value)?, Origin::Environment);
        }
    }
    Ok(layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_names_every_setting_and_is_valid() {
        let layers = Layers::defaults();
        for setting in Setting::ALL {
            assert!(layers.has(*setting), "{} is missing in otp.default.toml", setting.key());
        }
        let config = Config::checked(&layers, None).unwrap_or_else(|mistake| panic!("{mistake}"));
        assert_eq!(config.listen, "127.0.0.1:8080".parse().unwrap());
        assert!(matches!(config.database, Database::Sqlite(path) if path == Path::new("./otp-data/otp.db")));
    }

    #[test]
    fn a_mistake_is_one_line() {
        assert_eq!(Mistake::new("a\n  b\r\n\tc\u{1b}").to_string(), "a b c");
    }
}
