//! Hooks: who has a say in what is sent and in what tokens hold, while it happens.
//!
//! The program that links the library says it through [`Hooks`]. A tenant's own service is asked over HTTP where its settings
//! ([`HookSettings`](crate::tenant::HookSettings)) name a place; the program is asked first, and what the tenant's service
//! says goes before what the program says.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{MessageId, SessionId, UserId};
use crate::locale::Locale;
use crate::message::Channel;
use crate::tenant::Space;

/// The questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// Before a message leaves.
    BeforeSend,
    /// For the claims of a session that begins.
    Claims,
}

impl HookKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::BeforeSend, Self::Claims];

    /// The name in requests, after `hook.`, and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            HookKind::BeforeSend => "before_send",
            HookKind::Claims => "claims",
        }
    }
}

/// A message that is about to leave. The code is not told: whoever words the message writes `{{otp}}` where it is to stand.
#[derive(Clone, Copy, Debug)]
pub struct BeforeSend<'a> {
    /// The message; the same at every try.
    pub message: MessageId,
    /// Tenant and mode.
    pub space: Space,
    /// How it travels.
    pub channel: Channel,
    /// Address or number of the recipient.
    pub to: &'a str,
    /// What the code is for.
    pub purpose: &'a str,
    /// What the recipient reads, if the request told.
    pub locale: Option<&'a Locale>,
    /// What is being approved.
    pub context: Option<&'a str>,
}

/// What becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Sending {
    /// It leaves as it is.
    #[default]
    Send,
    /// It leaves in other words.
    Replace(Wording),
    /// It does not leave, now or later.
    Veto {
        /// Why, for the tenant to read: up to 200 characters, without code and address.
        #[serde(default)]
        reason: Option<String>,
    },
}

/// Other words: templates in the grammar of [`crate::template`], each with the code in it. What is not said stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wording {
    /// The subject of a mail, which needs no code.
    #[serde(default)]
    pub subject: Option<String>,
    /// Its HTML part.
    #[serde(default)]
    pub html: Option<String>,
    /// Its plain-text part.
    #[serde(default)]
    pub text: Option<String>,
    /// The text message.
    #[serde(default)]
    pub sms: Option<String>,
}

/// Somebody who has just shown a right code.
#[derive(Clone, Copy, Debug)]
pub struct SigningIn<'a> {
    /// Tenant and mode.
    pub space: Space,
    /// Who.
    pub user: UserId,
    /// The session that begins.
    pub session: SessionId,
    /// The address, if it is an e-mail address.
    pub email: Option<&'a str>,
    /// The address, if it is a phone number.
    pub phone: Option<&'a str>,
    /// Whether this is the first sign-in.
    pub is_new_user: bool,
}

/// There is no answer that could be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HookFailure(pub String);

/// A program's say. Each question has an answer that changes nothing, so that a program answers what it cares about.
///
/// A failure counts as a refusal: the message is tried again later, and nobody signs in. A program that would rather go on
/// answers so itself. It has five seconds, which it has to keep to itself: what it takes beyond, a message waits in a place
/// that others could have, and a request waits for its answer.
///
/// ```
/// use otp_core::hook::{BeforeSend, HookFailure, Hooks, Sending};
///
/// struct Blocked;
///
/// #[async_trait::async_trait]
/// impl Hooks for Blocked {
///     async fn before_send(&self, message: &BeforeSend<'_>) -> Result<Sending, HookFailure> {
///         let is_blocked = message.to.ends_with("@example.net");
///         Ok(if is_blocked { Sending::Veto { reason: Some("blocked".to_owned()) } } else { Sending::Send })
///     }
/// }
/// ```
#[async_trait]
pub trait Hooks: Send + Sync + 'static {
    /// Before each try to send a message with a code.
    ///
    /// # Errors
    /// [`HookFailure`]: the message waits.
    async fn before_send(&self, _message: &BeforeSend<'_>) -> Result<Sending, HookFailure> {
        Ok(Sending::Send)
    }

    /// Claims for the access tokens of a session that begins, also for those it is refreshed with. Names of the token's own are
    /// refused, and more than 4096 bytes of JSON.
    ///
    /// # Errors
    /// [`HookFailure`]: the session ends before anybody has its tokens.
    async fn claims(&self, _user: &SigningIn<'_>) -> Result<Map<String, Value>, HookFailure> {
        Ok(Map::new())
    }
}
