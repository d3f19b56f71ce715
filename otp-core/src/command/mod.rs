//! The use cases, one file each: what a command reads, and the pure function that decides it.
//!
//! A command is built by the service, which gathers everything that is not pure first: the time, fresh identifiers and
//! nonces, digests, sealed values. `decide` may run more than once, so it takes nothing with it from one run to the next.

mod alarms;
mod apps;
mod chained;
mod charge_step;
mod claims;
mod code_messages;
mod configure;
mod deliveries;
mod delivery;
mod domains;
mod expiry;
mod guards;
mod keys;
mod member_factor;
mod members;
mod plan_use;
mod providers;
mod quota;
mod request_otp;
mod second_factor;
mod session;
mod sign_in;
mod signup;
mod suppression;
mod team;
mod tell_once;
mod tenants;
mod time;
mod told;
mod totp;
mod usage;
mod users;
mod verify_otp;
mod webhooks;

pub(crate) use alarms::RaiseAlarms;
pub(crate) use apps::{CreateApp, ErasePage, FinishErasure, ResetKeys};
pub(crate) use chained::Chained;
pub(crate) use charge_step::{ChargeStep, Turn};
pub(crate) use claims::NoteClaims;
pub(crate) use code_messages::Fallback;
pub(crate) use configure::{Configure, NewSigningKeys, Wanted as WantedSettings};
pub(crate) use deliveries::{BeginDelivery, RecoverDeliveries, RetryDelivery, is_lost};
pub(crate) use delivery::RecordDelivery;
pub(crate) use domains::{AddDomain, BeginCheck, Checked, DOMAINS, DeleteDomain, NoteCheck};
pub(crate) use expiry::WarnOfKeys;
pub(crate) use keys::{ChangeKey, CreateKey, KEYS, KeyChange, NoteKeyUse, RotateSigningKeys};
pub(crate) use member_factor::{MemberWaits, ProveMember, ResetMemberFactor};
pub(crate) use members::{
    Addressed, ConfirmMember, EndMemberSessions, LetIn, NextOfMember, NoteMemberSession, RecoverMember, SendCode,
    Shown as ShownByMember, SignInMember, check_passwords,
};
pub(crate) use providers::{AddProvider, BeginTest, ChangeProvider, DeleteProvider, Reached, carried};
pub(crate) use quota::Quotas;
pub(crate) use request_otp::{RequestOtp, Requested};
pub(crate) use session::{Ending, Presented, RefreshSession, Refreshed, SignOut};
pub(crate) use signup::{Confirm, NetworkLimit, NewAccount, ResendSignup, SignUp, open};
pub(crate) use suppression::{Suppress, Unsuppress};
pub(crate) use team::{Appoint, Invite, Join, RevokeInvitation, SEATS};
pub(crate) use tell_once::TellOnce;
pub(crate) use tenants::{ChangeTenant, CreateTenant, NewSecrets, StatusChange, TenantChange};
pub(crate) use time::NoteTime;
pub(crate) use told::Told;
pub(crate) use totp::{
    By, ForgetDevice, Holder, NoteReveal, ProveTotp, Proven, PutRecovery, RegisterTotp, Registering, Step, Then,
};
pub(crate) use usage::{AddCounts, BeginMeasuring, FoldVisits, NoteErrors, NoteStorage};
pub(crate) use users::{EraseUser, Erasing, NoteExport};
pub(crate) use verify_otp::{Verified, VerifyOtp, Wanted};
pub(crate) use webhooks::{
    ALL_ENDPOINTS, ChangeEndpoint, CreateEndpoint, DeleteEndpoint, DisableEndpoint, EndpointChange, NoteHealth,
    RotateSecret, Shown, endpoint_in,
};

use crate::audit::{Action, Actor, Audit};
use crate::clock::Timestamp;
use crate::event::{Event, EventData, Person};
use crate::id::{AuditId, EventId, TenantId};
use crate::secret::Sealed;
use crate::store::Due;
use crate::tenant::Space;

/// Who acts and by which request, gathered once for the audit trail.
#[derive(Clone, Debug)]
pub(crate) struct Trail {
    pub id: AuditId,
    pub actor: Actor,
    pub client: Option<Sealed>,
    pub request_id: Option<String>,
    pub operation: Option<String>,
    pub at: Timestamp,
}

impl Trail {
    /// For a second line of the same commit.
    pub fn next(&self) -> Self {
        Self { id: self.id.next(), ..self.clone() }
    }

    pub fn line(&self, tenant: TenantId, action: Action, target: impl ToString, data: serde_json::Value) -> Audit {
        Audit {
            id: self.id,
            tenant,
            at: self.at,
            action,
            actor: self.actor,
            target: target.to_string(),
            client: self.client.clone(),
            request_id: self.request_id.clone(),
            data,
            operation: self.operation.clone(),
            kept_until: None,
            link: None,
        }
    }
}

/// What the events of one command have in common.
pub(crate) struct EventSource<'a> {
    pub space: Space,
    pub at: Timestamp,
    pub person: Option<&'a Person>,
}

impl EventSource<'_> {
    pub fn event(&self, id: EventId, data: EventData) -> Event {
        Event {
            id,
            space: self.space,
            at: self.at,
            person: self.person.cloned(),
            data,
            endpoints: Vec::new(),
            due: Due::default(),
        }
    }
}
