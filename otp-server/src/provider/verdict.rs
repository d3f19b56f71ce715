//! What the answer of a service means for a message that it did not take.

use std::time::Duration;

use http::StatusCode;
use otp_core::Timestamp;
use otp_core::message::SendError;
use otp_core::suppression::SuppressionReason;

use crate::outbound::Answer;

/// What becomes of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The service may take it later.
    Later,
    /// The service takes none as things are; another may.
    Elsewhere,
    /// Nobody will ever take it.
    Never,
    /// Nobody is to send anything there any more.
    Nowhere(SuppressionReason),
}

/// Why a service did not take a message, in words that repeat nothing of the message: services quote addresses, so of an
/// answer only the status is kept, and a name or number that is known to be one of the service's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) verdict: Verdict,
    /// What the service calls it.
    pub(crate) name: Option<String>,
}

impl Refusal {
    pub(crate) fn named(verdict: Verdict, name: impl ToString) -> Self {
        Self { verdict, name: Some(name.to_string()) }
    }

    /// By the status alone, for an answer that says no more.
    pub(crate) fn by_status(status: StatusCode) -> Self {
        let verdict = match status.as_u16() {
            // The service said yes, but not as it does; whether it has the message is not known.
            200..=299 | 408 | 425 | 429 | 500..=599 => Verdict::Later,
            400 | 413 | 422 => Verdict::Never,
            _ => Verdict::Elsewhere,
        };
        let name = status.is_success().then(|| "an answer that is none of its own".to_owned());
        let name = name.or_else(|| status.is_redirection().then(|| "a redirect, which is not followed".to_owned()));
        Self { verdict, name }
    }

    pub(super) fn of(self, service: &'static str, answer: &Answer, now: Timestamp) -> SendError {
        let status = answer.status.as_u16();
        let reason = match self.name {
            Some(name) => format!("{service}: {status}, {name}"),
            None => format!("{service}: {status}"),
        };
        match self.verdict {
            Verdict::Later => SendError::Temporary { reason, retry_after: retry_after(answer, now) },
            Verdict::Elsewhere => SendError::Unusable { reason },
            Verdict::Never => SendError::Permanent { reason },
            Verdict::Nowhere(suppress) => SendError::Recipient { reason, suppress },
        }
    }
}

/// How long the service asked to be left alone. `ratelimit-reset` is in seconds, `x-ratelimit-reset` a Unix time.
fn retry_after(answer: &Answer, now: Timestamp) -> Option<Duration> {
    if let Some(asked) = answer.retry_after(now) {
        return Some(asked);
    }
    if answer.status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let until = || {
        let reset = i64::try_from(answer.number("x-ratelimit-reset")?).ok()?.checked_mul(1000)?;
        u64::try_from(reset.checked_sub(now.as_millis())?).ok().map(Duration::from_millis)
    };
    answer.number("ratelimit-reset").map(Duration::from_secs).or_else(until)
}
