//! Mail: where it goes ([`MailUrl`]), who it comes from ([`MailFrom`]), and the mailers behind that.
//!
//! [`mailer`] builds the one that a URL names: an SMTP server ([`SmtpMailer`]), a service that takes mail over HTTP
//! ([`HttpMailer`]), files ([`FileMailer`]), or the built-in [`Mailbox`] with its page at `/dev/mailbox`.

mod file;
mod from;
mod http;
mod letter;
mod mailbox;
mod mime;
mod smtp;
mod url;

#[cfg(test)]
pub(crate) mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use otp_core::Clock;
use otp_core::message::Mailer;

use crate::outbound::Outbound;
use crate::provider::{HttpMailer, ProviderFault};

pub use file::FileMailer;
pub use from::{InvalidMailFrom, MailFrom};
pub(crate) use http::mailer as http_mailer;
pub use http::{AwsCredentials, HttpMailUrl, MailService, Ses};
pub use mailbox::{Mail, Mailbox, routes};
pub use smtp::{ServerFault, SmtpMailer};
pub use url::{InvalidMailUrl, Login, MailUrl, SmtpTls, SmtpUrl};

/// A mailer that a [`MailUrl`] named.
#[derive(Clone)]
pub enum Built {
    /// The built-in mailbox, whose [`routes`] are to be served.
    Mailbox(Arc<Mailbox>),
    /// A mail server.
    Smtp(Arc<SmtpMailer>),
    /// A service that takes mail over HTTP.
    Http(Arc<HttpMailer>),
    /// Files.
    File(Arc<FileMailer>),
}

/// A mailer cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum MailSetupError {
    /// The file of `ca=` cannot be read.
    #[error("`ca=` names {path}, which cannot be read: {source}")]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file of `ca=` holds no certificate.
    #[error("`ca=` names {path}, which holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)")]
    CaForm {
        /// Which file.
        path: PathBuf,
    },
    /// There is nothing to check the server's certificate against.
    #[error(
        "TLS to the mail server cannot be set up: {0}; install ca-certificates, or name a certificate with `ca=FILE`"
    )]
    Tls(lettre::transport::smtp::Error),
    /// There is nothing to check a service's certificate against.
    #[error("TLS cannot be set up: {0}; install ca-certificates")]
    Trust(#[from] rustls::Error),
    /// The folder of `file:` cannot be written to.
    #[error("mails cannot be written to {path}: {source}")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A mailer does not work now.
#[derive(Debug, thiserror::Error)]
pub enum MailCheckError {
    /// The mail server cannot be used.
    #[error(transparent)]
    Server(ServerFault),
    /// The service cannot be used.
    #[error(transparent)]
    Service(ProviderFault),
    /// The folder cannot be written to.
    #[error(transparent)]
    Folder(MailSetupError),
}

/// The mailer that `url` names. Nothing is connected yet; see [`Built::check`].
///
/// # Errors
/// When a file or folder that the URL names cannot be used, or the system has no certificates to trust.
pub fn mailer(url: &MailUrl, from: &MailFrom, clock: Arc<dyn Clock>) -> Result<Built, MailSetupError> {
    Ok(match url {
        MailUrl::Mailbox => Built::Mailbox(Arc::new(Mailbox::new(from.clone(), clock))),
        MailUrl::Smtp(server) => Built::Smtp(Arc::new(SmtpMailer::new(server, from.clone(), clock)?)),
        MailUrl::Http(service) => Built::Http(Arc::new(http::mailer(service, from.clone(), Outbound::new()?, clock))),
        MailUrl::File(folder) => Built::File(Arc::new(FileMailer::new(folder.clone(), from.clone(), clock)?)),
    })
}

impl Built {
    /// What sends.
    pub fn mailer(&self) -> Arc<dyn Mailer> {
        match self {
            Built::Mailbox(mailbox) => Arc::clone(mailbox) as Arc<dyn Mailer>,
            Built::Smtp(mailer) => Arc::clone(mailer) as Arc<dyn Mailer>,
            Built::Http(mailer) => Arc::clone(mailer) as Arc<dyn Mailer>,
            Built::File(mailer) => Arc::clone(mailer) as Arc<dyn Mailer>,
        }
    }

    /// The built-in mailbox, if that is where mail goes.
    pub fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        match self {
            Built::Mailbox(mailbox) => Some(mailbox),
            Built::Smtp(_) | Built::Http(_) | Built::File(_) => None,
        }
    }

    /// Tries all that can be tried without sending a mail: the server is connected to and logged in at, the service is asked
    /// about the account, a file is written.
    ///
    /// # Errors
    /// What is wrong, and where it can be told what to do about it.
    pub async fn check(&self) -> Result<(), MailCheckError> {
        match self {
            Built::Mailbox(_) => Ok(()),
            Built::Smtp(mailer) => mailer.check().await.map_err(MailCheckError::Server),
            Built::Http(mailer) => mailer.check().await.map_err(MailCheckError::Service),
            Built::File(mailer) => mailer.check().await.map_err(MailCheckError::Folder),
        }
    }
}
