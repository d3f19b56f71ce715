//! Whoever has a say is asked: the program that links the library, then the tenant's own service. Never inside a commit: a
//! store waits for nobody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Service;
use super::context::TenantContext;
use crate::clock::Timestamp;
use crate::command::EventSource;
use crate::delivery::DeliveryStatus;
use crate::error::Error;
use crate::event::EventData;
use crate::hook::{BeforeSend, HookFailure, HookKind, Sending, Wording};
use crate::id::{EventId, TenantId};
use crate::message::{Message, MessageState};
use crate::store::{Changes, Key, Read};
use crate::template::{Drafts, OwnTemplates, Part};
use crate::tenant::{HookTarget, Mode, OnFailure, Space, Tenant};
use crate::webhook::{Endpoint, Request, SigningSecret, signed_headers, simple_id};

/// Characters of a reason that a hook gives.
const LONGEST_REASON: usize = 200;

/// Why a message is not handed to the mailer.
pub(super) enum Unsent {
    /// What is stored of it cannot be read.
    Unreadable(Error),
    /// A hook does not let it leave, and says why.
    Vetoed(String),
    /// Whoever had to be asked gave no answer that can be followed.
    Waits(HookFailure),
}

impl<E: Into<Error>> From<E> for Unsent {
    fn from(error: E) -> Self {
        Unsent::Unreadable(error.into())
    }
}

/// How often the services of tenants were asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookCount {
    /// They gave an answer that was followed.
    pub answered: u64,
    /// They gave none.
    pub failed: u64,
}

#[derive(Default)]
pub(super) struct HookCounts([[AtomicU64; 2]; HookKind::ALL.len()]);

/// A question, as the tenant's service reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    #[serde(rename = "type")]
    name: String,
    id: EventId,
    timestamp: String,
    customer_id: TenantId,
    mode: Mode,
    data: &'a Value,
}

/// What it answers to the question for claims.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ToldClaims {
    pub claims: Map<String, Value>,
}

impl Service {
    /// How often the services of tenants were asked by this process.
    pub fn hook_count(&self, kind: HookKind) -> HookCount {
        let [answered, failed] = &self.inner.hook_counts.0[kind as usize];
        HookCount { answered: answered.load(Ordering::Relaxed), failed: failed.load(Ordering::Relaxed) }
    }

    /// The templates that a message is rendered with, once all who have a say were asked: the tenant's own, or other words.
    pub(super) async fn worded(
        &self,
        tenant: &TenantContext,
        message: &BeforeSend<'_>,
    ) -> Result<Option<OwnTemplates>, Unsent> {
        let mut words = None;
        if let Some(hooks) = &self.inner.hooks {
            let sending = hooks.before_send(message).await.map_err(Unsent::Waits)?;
            words = followed(&tenant.templates, sending)?;
        }
        let target = &tenant.tenant.settings.hooks.before_send;
        let Some(url) = &target.url else { return Ok(words) };
        let asked = self.ask_before_send(tenant, url, target, message).await;
        let outcome = asked
            .map_err(Unsent::Waits)
            .and_then(|sending| followed(words.as_ref().unwrap_or(&tenant.templates), sending));
        self.note_hook(
            HookKind::BeforeSend,
            message.space,
            match &outcome {
                Err(Unsent::Waits(failure)) => Some(failure),
                _ => None,
            },
        );
        match outcome {
            Err(Unsent::Waits(_)) if target.on_failure == OnFailure::Open => Ok(words),
            outcome => Ok(outcome?.or(words)),
        }
    }

    async fn ask_before_send(
        &self,
        tenant: &TenantContext,
        url: &str,
        target: &HookTarget,
        message: &BeforeSend<'_>,
    ) -> Result<Sending, HookFailure> {
        let data = json!({
            "messageId": message.message,
            "channel": message.channel,
            "to": message.to,
            "purpose": message.purpose,
            "locale": message.locale,
            "context": message.context,
        });
        self.ask(tenant, url, target, HookKind::BeforeSend, message.space, &data).await
    }

    /// What a tenant's service says.
    pub(super) async fn ask<T: DeserializeOwned + Default>(
        &self,
        tenant: &TenantContext,
        url: &str,
        target: &HookTarget,
        kind: HookKind,
        space: Space,
        data: &Value,
    ) -> Result<T, HookFailure> {
        // It was checked when it was written down, perhaps under another rule.
        self.inner.destinations.check("url", url).map_err(|error| HookFailure(error.message))?;
        let now = self.now();
        let id = EventId::new(now, self.random());
        let name = format!("hook.{}", kind.as_str());
        let Space { tenant: customer_id, mode } = space;
        let question = Question { name, id, timestamp: now.to_string(), customer_id, mode, data };
        let body = serde_json::to_vec(&question).expect("plain data");
        let secrets = self.hook_secrets(tenant, now).await;
        let secrets = secrets.map_err(|error| HookFailure(format!("it was not asked: {}", error.code())))?;
        let request = Request {
            url: url.to_owned(),
            headers: signed_headers(&secrets, &id.to_string(), now, &body),
            body,
            within: Some(Duration::from_millis(target.timeout_millis.into())),
        };
        let answer = self.inner.webhooks.send(request).await.map_err(|why| HookFailure(why.as_str().to_owned()))?;
        match answer.status {
            204 => Ok(T::default()),
            200 => serde_json::from_slice(&answer.body)
                // Not in the words of the parser, which quotes what it read.
                .map_err(|_| HookFailure("its answer is none to this question".to_owned())),
            status => Err(HookFailure(format!("it answered {status}"))),
        }
    }

    /// Those that sign the events of the configuration's endpoint, also the one before for as long as that signs.
    async fn hook_secrets(&self, context: &TenantContext, now: Timestamp) -> Result<Vec<SigningSecret>, Error> {
        let id = context.tenant.id;
        let wanted = [Key::new::<Tenant>(id, id.as_bytes()), Endpoint::key_of(id, simple_id(id))];
        let seen = self.inner.store.read(wanted.map(Read::Record).to_vec()).await?;
        let tenant = seen.one::<Tenant>().ok_or(Error::NotFound("customer"))?;
        let endpoint = seen.one::<Endpoint>().cloned().unwrap_or_else(|| Endpoint::simple(tenant));
        Ok(endpoint.secrets(tenant, &context.keys, now)?)
    }

    /// Counts an answer of a tenant's service, and tells the log of one that is none.
    pub(super) fn note_hook(&self, kind: HookKind, space: Space, failure: Option<&HookFailure>) {
        self.inner.hook_counts.0[kind as usize][usize::from(failure.is_some())].fetch_add(1, Ordering::Relaxed);
        if let Some(failure) = failure {
            tracing::warn!(tenant = %space.tenant, hook = kind.as_str(), %failure, "a hook gave no answer that can be followed");
        }
    }

    /// A message that a hook does not let leave. Nothing went wrong, so that nothing counts as an error.
    pub(super) fn vetoed(&self, message: &mut Message, also: &mut Changes, reason: String) {
        let at = self.now();
        message.last_error = Some(reason.clone());
        message.state = MessageState::Vetoed { at, reason: reason.clone() };
        also.put(self.message_failed(message, reason, at));
    }

    pub(super) fn message_failed(&self, message: &Message, reason: String, at: Timestamp) -> crate::event::Event {
        let person = message.person();
        let source = EventSource { space: message.space, at, person: Some(&person) };
        let (message_id, channel) = (message.id, message.channel);
        let data = EventData::MessageFailed { message_id, channel, reason, status: DeliveryStatus::Failed };
        source.event(EventId::new(at, self.random()), data)
    }
}

/// The templates with the words of a hook in them, if it has any.
fn followed(templates: &OwnTemplates, sending: Sending) -> Result<Option<OwnTemplates>, Unsent> {
    match sending {
        Sending::Send => Ok(None),
        Sending::Veto { reason } => Err(Unsent::Vetoed(veto(reason))),
        Sending::Replace(wording) => {
            let refuse = |error: crate::error::InvalidField| HookFailure(format!("{}: {}", error.field, error.message));
            templates.with(&drafts(wording)).map(Some).map_err(|error| Unsent::Waits(refuse(error)))
        }
    }
}

fn drafts(wording: Wording) -> Drafts {
    let Wording { subject, html, text, sms } = wording;
    let parts = [(Part::Subject, subject), (Part::Html, html), (Part::Text, text), (Part::Sms, sms)];
    let parts = parts.into_iter().filter_map(|(part, source)| Some((part, source?))).collect();
    Drafts { parts, ..Drafts::default() }
}

fn veto(reason: Option<String>) -> String {
    let shorten = |reason: String| reason.chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect::<String>();
    let reason = reason.map(shorten).filter(|reason| !reason.is_empty());
    let why = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    format!("vetoed by the before-send hook{why}")
}
