//! `OTP_MAIL_URL`: where mail goes.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use otp_core::Secret;
use url::{Host, Url};

use super::HttpMailUrl;
use crate::outbound::is_loopback;
use crate::provider::{InvalidProviderUrl, percent_decoded};

const SMTP_PORT: u16 = 25;
const SUBMISSION_PORT: u16 = 587;
const SUBMISSIONS_PORT: u16 = 465;
/// Many servers refuse more than ten from one client.
const CONNECTIONS: usize = 10;
const MOST_CONNECTIONS: usize = 100;

/// Where mail goes. `Debug` and `Display` show no password, and no error repeats what could be a part of one.
#[derive(Clone, Debug)]
pub enum MailUrl {
    /// `mailbox:`, kept in memory and shown at `/dev/mailbox`; nothing leaves the machine.
    Mailbox,
    /// `smtp://` or `smtps://`, handed to a mail server.
    Smtp(SmtpUrl),
    /// `resend:`, `sendgrid:` or `ses:`, handed to a service over HTTP.
    Http(HttpMailUrl),
    /// `file:DIR`, one file a mail.
    File(PathBuf),
}

/// A mail server and how to talk to it:
/// `smtp://[user:password@]host[:port][?tls=required|starttls|none][&ca=FILE][&connections=COUNT]`, or `smtps://…` for `tls=required`.
#[derive(Clone, Debug)]
pub struct SmtpUrl {
    /// Name or IP address, the latter without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// When encryption begins.
    pub tls: SmtpTls,
    /// Who to log in as, if at all.
    pub login: Option<Login>,
    /// A PEM file of certificate authorities that are trusted beside the system's.
    pub ca: Option<PathBuf>,
    /// Connections at a time.
    pub connections: usize,
}

/// When the encryption of an SMTP connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// With the first byte: `tls=required`, port 465 by default.
    Implicit,
    /// Before anything is said that matters, or the server is not used: `tls=starttls`, port 587 by default.
    StartTls,
    /// Never: `tls=none`, port 25 by default.
    None,
}

/// User and password for a mail server.
#[derive(Clone, Debug)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// What is wrong with a mail URL, and how to write it instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMailUrl {
    /// There is no scheme, or one that is not known.
    #[error("it must begin with `mailbox:`, `smtp://`, `smtps://`, `resend:`, `sendgrid:`, `ses:` or `file:`")]
    Scheme,
    /// `mailbox:` is followed by something.
    #[error("`mailbox:` stands alone; remove what follows it")]
    AfterMailbox,
    /// `file:` names no folder, or a host.
    #[error("`file:` is followed by a folder, as in `file:./mails` or `file:/var/spool/otp`")]
    Folder,
    /// It cannot be taken apart.
    #[error(
        "it is not `smtp://user:password@host:port` ({0}); in user and password write % as %25, / as %2F, ? as %3F, \
         # as %23, @ as %40 and : as %3A"
    )]
    Form(url::ParseError),
    /// The slashes or the host are missing.
    #[error("it names no host; write `smtp://host`")]
    Host,
    /// Something follows the host that is no option.
    #[error(
        "only `?tls=`, `&ca=` and `&connections=` may follow host and port; in user and password write / as %2F, ? as %3F, # as %23"
    )]
    AfterHost,
    /// A part does not decode to text.
    #[error("its {0} is not percent-encoded UTF-8; write a single % as %25")]
    Encoding(&'static str),
    /// User without password, or the other way round.
    #[error("it has a user or a password but not both; write `user:password@` or leave both out")]
    HalfLogin,
    /// `tls=` is followed by an unknown word.
    #[error("`tls=` is one of `required`, `starttls` and `none`")]
    Tls,
    /// An option stands twice.
    #[error("the option `{0}` stands twice; keep one")]
    Twice(&'static str),
    /// `ca=` names no file.
    #[error("`ca=` is followed by the path of a PEM file")]
    Ca,
    /// `connections=` is followed by no number of theirs.
    #[error("`connections=` is a whole number of 1 to {MOST_CONNECTIONS}")]
    Connections,
    /// `smtps` with another kind of encryption.
    #[error("`smtps://` means `tls=required`; write `smtp://` for another `tls=`")]
    SmtpsTls,
    /// Port 465 without a word about encryption.
    #[error("servers expect TLS at once on port 465; write `smtps://`, or `tls=starttls` if this one does not")]
    Port465,
    /// A password would cross the network unencrypted.
    #[error("`tls=none` would send the password in clear to another machine; write `tls=starttls` or `tls=required`")]
    ClearPassword,
    /// A certificate authority without TLS.
    #[error("`ca=` has no use without TLS; remove it, or write `tls=starttls` or `tls=required`")]
    UselessCa,
    /// The URL of a service is wrong.
    #[error(transparent)]
    Service(#[from] InvalidProviderUrl),
}

impl FromStr for MailUrl {
    type Err = InvalidMailUrl;

    fn from_str(text: &str) -> Result<Self, InvalidMailUrl> {
        Self::parse(text, |_| None)
    }
}

impl MailUrl {
    /// Reads a URL. `variable` reads the environment, where the credentials of AWS may be.
    ///
    /// # Errors
    /// What is wrong, and how to write it instead.
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidMailUrl> {
        let (scheme, rest) = text.trim().split_once(':').ok_or(InvalidMailUrl::Scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "mailbox" if rest.is_empty() => Ok(MailUrl::Mailbox),
            "mailbox" => Err(InvalidMailUrl::AfterMailbox),
            "file" => folder(rest).map(MailUrl::File),
            "smtp" | "smtps" => SmtpUrl::parse(text.trim()).map(MailUrl::Smtp),
            "resend" => Ok(MailUrl::Http(HttpMailUrl::resend(rest)?)),
            "sendgrid" => Ok(MailUrl::Http(HttpMailUrl::sendgrid(rest)?)),
            "ses" => Ok(MailUrl::Http(HttpMailUrl::ses(rest, variable)?)),
            _ => Err(InvalidMailUrl::Scheme),
        }
    }
}

impl MailUrl {
    /// What kind of provider it names, in one word.
    pub const fn kind(&self) -> &'static str {
        match self {
            MailUrl::Mailbox => "mailbox",
            MailUrl::Smtp(_) => "smtp",
            MailUrl::Http(service) => service.kind(),
            MailUrl::File(_) => "file",
        }
    }
}

fn folder(rest: &str) -> Result<PathBuf, InvalidMailUrl> {
    let path = match rest.strip_prefix("//") {
        Some(path) if !path.starts_with('/') => return Err(InvalidMailUrl::Folder),
        Some(path) => path,
        None => rest,
    };
    if path.is_empty() { Err(InvalidMailUrl::Folder) } else { Ok(path.into()) }
}

impl SmtpUrl {
    fn parse(text: &str) -> Result<Self, InvalidMailUrl> {
        let url = Url::parse(text).map_err(InvalidMailUrl::Form)?;
        let host = match url.host_str() {
            None | Some("") => return Err(InvalidMailUrl::Host),
            Some(host) => Host::parse(host).map_err(InvalidMailUrl::Form)?,
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(InvalidMailUrl::AfterHost);
        }
        let options = Options::parse(url.query().unwrap_or_default())?;
        let login = login(&url)?;
        let tls = encryption(&url, &host, options.tls)?;
        if tls == SmtpTls::None && login.is_some() && !is_loopback(&host) {
            return Err(InvalidMailUrl::ClearPassword);
        }
        if tls == SmtpTls::None && options.ca.is_some() {
            return Err(InvalidMailUrl::UselessCa);
        }
        let port = url.port().unwrap_or(tls.default_port());
        let connections = options.connections.unwrap_or(CONNECTIONS);
        Ok(Self { host: without_brackets(host), port, tls, login, ca: options.ca, connections })
    }
}

impl SmtpTls {
    const fn default_port(self) -> u16 {
        match self {
            SmtpTls::Implicit => SUBMISSIONS_PORT,
            SmtpTls::StartTls => SUBMISSION_PORT,
            SmtpTls::None => SMTP_PORT,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            SmtpTls::Implicit => "required",
            SmtpTls::StartTls => "starttls",
            SmtpTls::None => "none",
        }
    }
}

fn encryption(url: &Url, host: &Host, asked: Option<SmtpTls>) -> Result<SmtpTls, InvalidMailUrl> {
    match (url.scheme(), asked) {
        ("smtps", None | Some(SmtpTls::Implicit)) => Ok(SmtpTls::Implicit),
        ("smtps", Some(_)) => Err(InvalidMailUrl::SmtpsTls),
        (_, Some(asked)) => Ok(asked),
        (_, None) if url.port() == Some(SUBMISSIONS_PORT) => Err(InvalidMailUrl::Port465),
        (_, None) if is_loopback(host) => Ok(SmtpTls::None),
        (_, None) => Ok(SmtpTls::StartTls),
    }
}

fn login(url: &Url) -> Result<Option<Login>, InvalidMailUrl> {
    match (url.username(), url.password().unwrap_or_default()) {
        ("", "") => Ok(None),
        ("", _) | (_, "") => Err(InvalidMailUrl::HalfLogin),
        (user, password) => {
            Ok(Some(Login { user: decoded(user, "user")?, password: decoded(password, "password")?.into() }))
        }
    }
}

#[derive(Default)]
struct Options {
    tls: Option<SmtpTls>,
    ca: Option<PathBuf>,
    connections: Option<usize>,
}

impl Options {
    fn parse(query: &str) -> Result<Self, InvalidMailUrl> {
        let mut options = Self::default();
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let repeated = match option.split_once('=') {
                Some(("tls", word)) => options.tls.replace(tls_of(word)?).map(|_| "tls"),
                Some(("ca", "")) => return Err(InvalidMailUrl::Ca),
                Some(("ca", file)) => options.ca.replace(decoded(file, "`ca=`")?.into()).map(|_| "ca"),
                Some(("connections", count)) => {
                    options.connections.replace(connections_of(count)?).map(|_| "connections")
                }
                _ => return Err(InvalidMailUrl::AfterHost),
            };
            if let Some(name) = repeated {
                return Err(InvalidMailUrl::Twice(name));
            }
        }
        Ok(options)
    }
}

fn tls_of(word: &str) -> Result<SmtpTls, InvalidMailUrl> {
    let all = [SmtpTls::Implicit, SmtpTls::StartTls, SmtpTls::None];
    all.into_iter().find(|tls| tls.as_str() == word).ok_or(InvalidMailUrl::Tls)
}

fn connections_of(count: &str) -> Result<usize, InvalidMailUrl> {
    let count = count.parse().ok().filter(|count| (1..=MOST_CONNECTIONS).contains(count));
    count.ok_or(InvalidMailUrl::Connections)
}

fn decoded(text: &str, part: &'static str) -> Result<String, InvalidMailUrl> {
    percent_decoded(text).ok_or(InvalidMailUrl::Encoding(part))
}

fn without_brackets(host: Host) -> String {
    match host {
        Host::Domain(name) => name,
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
    }
}

impl fmt::Display for MailUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MailUrl::Mailbox => f.write_str("mailbox:"),
            MailUrl::Smtp(server) => write!(f, "smtp://{server}?tls={}", server.tls.as_str()),
            MailUrl::Http(service) => service.fmt(f),
            MailUrl::File(folder) => write!(f, "file:{}", folder.display()),
        }
    }
}

/// Host and port.
impl fmt::Display for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}
