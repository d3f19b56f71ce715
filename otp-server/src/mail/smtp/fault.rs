//! Why a mail server did not take a mail, in words that repeat nothing of the mail.
//!
//! Servers quote addresses in their answers, so of an answer only the status is kept, such as `550 5.1.1`.

use std::error::Error as _;
use std::fmt;
use std::io;

use lettre::transport::smtp::Error;
use otp_core::destination::NotPublic;
use otp_core::message::SendError;
use otp_core::suppression::SuppressionReason;

use crate::outbound::Unreachable;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Connect,
    StartTls,
    Login,
    Send,
}

#[derive(Debug)]
pub(super) enum Cause {
    /// The server said no: its status code, and the enhanced one if it sent that.
    Refused {
        status: u16,
        enhanced: Option<String>,
    },
    Tls(rustls::Error),
    Io(io::Error),
    /// No answer in time.
    Silent,
    NoStartTls,
    /// A tenant named a host that the server connects to for no tenant.
    NotPublic(NotPublic),
    /// lettre declined to go on, because the server lacks something.
    Lacking,
    /// Anything else: what the server sent is not SMTP, or its name has no address.
    Other,
}

#[derive(Debug)]
pub(super) struct Fault {
    pub(super) step: Step,
    pub(super) cause: Cause,
}

impl Fault {
    pub(super) fn of(step: Step, error: Error) -> Self {
        Self { step, cause: Cause::of(&error) }
    }

    /// Whether the server closed the connection, which lettre takes for an answer cut short, or says that it does (RFC 5321,
    /// 3.8: 421).
    pub(super) fn is_end_of_connection(&self) -> bool {
        matches!(self.cause, Cause::Io(_) | Cause::Other | Cause::Refused { status: 421, .. })
    }
}

impl Cause {
    fn of(error: &Error) -> Self {
        if let Some(status) = error.status() {
            return Cause::Refused { status: status.into(), enhanced: enhanced_status(error) };
        }
        if error.is_client() {
            return Cause::Lacking;
        }
        let mut source = error.source();
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return Cause::of_io(error);
            }
            source = error.source();
        }
        Cause::Other
    }

    pub(super) fn of_io(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => Cause::Tls(tls.clone()),
            None if error.kind() == io::ErrorKind::TimedOut => Cause::Silent,
            // The text is the system's own; the copy is made because the original cannot be had.
            None => Cause::Io(io::Error::new(error.kind(), error.to_string())),
        }
    }
}

/// The first word of the answer, if it is a status of RFC 3463.
fn enhanced_status(error: &Error) -> Option<String> {
    let answer = error.source()?.to_string();
    let word = answer.split_whitespace().next()?;
    let parts: Vec<_> = word.split('.').collect();
    let is_number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    (parts.len() == 3 && matches!(parts[0], "4" | "5") && parts.iter().all(is_number)).then(|| word.to_owned())
}

/// Statuses of RFC 3463 and RFC 7505 by which a server says that nobody has this address, or that its domain takes no mail.
const NO_MAILBOX: [(u16, &str); 2] = [(550, "5.1.1"), (556, "5.1.10")];
impl From<Unreachable> for Cause {
    fn from(error: Unreachable) -> Self {
        match error {
            Unreachable::NotPublic(error) => Cause::NotPublic(error),
            Unreachable::NoAddress | Unreachable::System(_) => Cause::Other,
            Unreachable::Dns(words) => Cause::Io(io::Error::other(words)),
        }
    }
}

impl From<Fault> for SendError {
    fn from(fault: Fault) -> Self {
        let reason = fault.to_string();
        match (fault.step, fault.cause) {
            (Step::Send, Cause::Refused { status, enhanced: Some(enhanced) })
                if NO_MAILBOX.contains(&(status, enhanced.as_str())) =>
            {
                SendError::Recipient { reason, suppress: SuppressionReason::HardBounce }
            }
            (Step::Send, Cause::Refused { status: 500.., .. } | Cause::Lacking) => SendError::Permanent { reason },
            // Before the mail is named it is the credentials that are wrong, or this client is not wanted.
            (_, Cause::Refused { status: 500.., .. } | Cause::NotPublic(_)) => SendError::Unusable { reason },
            _ => SendError::Temporary { reason, retry_after: None },
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Step::Send, Cause::Refused { .. }) = (self.step, &self.cause) {
            return self.cause.fmt(f);
        }
        if let (Step::Send, Cause::Lacking) = (self.step, &self.cause) {
            return f.write_str("the mail server takes ASCII addresses only");
        }
        let step = match self.step {
            Step::Connect => "connecting to the mail server",
            Step::StartTls => "STARTTLS with the mail server",
            Step::Login => "logging in at the mail server",
            Step::Send => "handing over the mail",
        };
        write!(f, "{step}: {}", self.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Refused { status, enhanced: Some(enhanced) } => write!(f, "{status} {enhanced}"),
            Cause::Refused { status, enhanced: None } => write!(f, "{status}"),
            Cause::Tls(error) => error.fmt(f),
            Cause::Io(error) => error.fmt(f),
            Cause::Silent => f.write_str("no answer in time"),
            Cause::NotPublic(error) => error.fmt(f),
            Cause::NoStartTls => f.write_str("the server does not offer it"),
            Cause::Lacking => f.write_str("the server offers neither PLAIN nor LOGIN"),
            Cause::Other => f.write_str("the server has no address, or does not speak SMTP"),
        }
    }
}

/// What is wrong with a mail server, and what to do about it.
#[derive(Debug)]
pub struct ServerFault {
    server: String,
    fault: Fault,
}

impl ServerFault {
    pub(super) fn new(server: String, fault: Fault) -> Self {
        Self { server, fault }
    }

    fn advice(&self) -> Option<&'static str> {
        use rustls::Error::{InvalidCertificate, InvalidMessage};
        Some(match (self.fault.step, &self.fault.cause) {
            (_, Cause::Tls(InvalidCertificate(_))) => {
                "use the name that its certificate bears, or name the authority that signed it with `ca=FILE`"
            }
            (Step::Connect, Cause::Tls(InvalidMessage(_))) => "it does not begin with TLS; try `tls=starttls`",
            (Step::StartTls, Cause::NoStartTls) => {
                "write `tls=required` if the port begins with TLS, or `tls=none` for a server that needs no encryption"
            }
            (Step::Connect, Cause::Silent) => {
                "check that a firewall lets it through, and write `tls=required` if the port begins with TLS"
            }
            (Step::Connect, Cause::Io(_)) => "check host and port",
            (Step::Login, Cause::Refused { .. }) => "check user and password",
            _ => return None,
        })
    }
}

impl fmt::Display for ServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.server, self.fault)?;
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ServerFault {}
