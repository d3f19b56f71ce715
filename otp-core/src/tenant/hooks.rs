//! Where a tenant's own service is asked while something happens.

use serde::{Deserialize, Serialize};

use super::settings::within;
use crate::error::InvalidField;

/// The questions a tenant's own service can be asked. Requests are signed as events are, with `webhookConfig.secret`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HookSettings {
    /// Before a message leaves: it may veto it, or word it itself.
    pub before_send: HookTarget,
    /// When somebody signs in: claims for the tokens of the session.
    pub claims: HookTarget,
}

/// Where one question is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HookTarget {
    /// Where; nowhere, if not set.
    pub url: Option<String>,
    /// What counts without an answer.
    pub on_failure: OnFailure,
    /// Milliseconds that an answer may take.
    pub timeout_millis: u32,
}

/// What counts when there is no answer, or none that can be followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It goes on as if nobody had been asked.
    #[default]
    Open,
    /// It does not go on: the message waits, nobody signs in.
    Closed,
}

impl Default for HookTarget {
    fn default() -> Self {
        Self { url: None, on_failure: OnFailure::default(), timeout_millis: 1_000 }
    }
}

impl HookSettings {
    /// The questions by the names that the wire has for them.
    pub fn targets(&self) -> [(&'static str, &HookTarget); 2] {
        [("hooks.beforeSend.url", &self.before_send), ("hooks.claims.url", &self.claims)]
    }

    pub(super) fn check(&self) -> Result<(), InvalidField> {
        within("hooks.beforeSend.timeoutMillis", self.before_send.timeout_millis, 50..=5_000)?;
        within("hooks.claims.timeoutMillis", self.claims.timeout_millis, 50..=5_000)
    }
}
