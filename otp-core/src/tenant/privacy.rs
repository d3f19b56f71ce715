//! How long what is about people is kept.

use serde::{Deserialize, Serialize};

use super::settings::within;
use crate::error::InvalidField;
use crate::event::KEPT_DAYS;

/// How long what is about people is kept, beyond what they do themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PrivacySettings {
    /// Days after which users who have not signed in and have no open session are erased; `None` keeps them.
    pub inactive_user_days: Option<u32>,
    /// Days for which messages are kept; no longer than events, by which a user's messages are found.
    pub message_days: u32,
    /// Days for which events about people are kept.
    pub event_days: u32,
}

impl Default for PrivacySettings {
    fn default() -> Self {
        Self { inactive_user_days: None, message_days: KEPT_DAYS, event_days: KEPT_DAYS }
    }
}

impl PrivacySettings {
    pub(super) fn check(&self) -> Result<(), InvalidField> {
        within("privacy.inactiveUserDays", self.inactive_user_days.unwrap_or(30), 30..=3650)?;
        within("privacy.eventDays", self.event_days, 1..=KEPT_DAYS)?;
        within("privacy.messageDays", self.message_days, 1..=self.event_days)
    }
}
