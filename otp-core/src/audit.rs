//! The audit trail: who changed what of a tenant, in the same commit as the change.
//!
//! Lines are [chained](chain): each carries a keyed digest of itself and of the line before, so that a line that was changed,
//! taken out or put in is noticed by whoever has the key ring and not only the database.

pub mod chain;
mod verify;

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{AuditId, KeyId, MemberId, TenantId};
use crate::secret::Sealed;
use crate::store::{Key, Kind, SmallBytes, Stored};

pub use chain::{AuditHead, Link};
pub use verify::{AuditFault, AuditReport, Verifier};

/// For how long lines are kept where nothing else was set.
pub(crate) const USUALLY_KEPT_FOR: Duration = Duration::from_secs(90 * 86_400);

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Whoever runs the installation.
    Administrator,
    /// A tenant, by one of its keys.
    Key(KeyId),
    /// Somebody who runs the tenant.
    Member(MemberId),
    /// The program that links the library.
    Program,
    /// The service, by a rule that the tenant has set.
    Service,
}

macro_rules! actions {
    ($($(#[$about:meta])* $action:ident = $name:literal;)*) => {
        /// What was done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Action {
            $($(#[$about])* #[serde(rename = $name)] $action,)*
        }

        impl Action {
            /// All of them.
            pub const ALL: &'static [Action] = &[$(Action::$action,)*];

            /// The name the wire uses.
            pub const fn as_str(self) -> &'static str {
                match self { $(Action::$action => $name,)* }
            }
        }
    };
}

actions! {
    /// A tenant was created.
    TenantCreated = "customer.created";
    /// A tenant's name, address or plan were changed.
    TenantChanged = "customer.changed";
    /// A tenant's settings were changed.
    ConfigurationChanged = "config.changed";
    /// A tenant's standing was changed.
    StatusChanged = "customer.status_changed";
    /// A key was made.
    KeyCreated = "api_key.created";
    /// A key's name, origins or networks were changed.
    KeyChanged = "api_key.changed";
    /// A key was replaced.
    KeyRotated = "api_key.rotated";
    /// A key was revoked.
    KeyRevoked = "api_key.revoked";
    /// The tokens' signing key was replaced.
    SigningKeyRotated = "signing_key.rotated";
    /// All that is held about a user was handed to the tenant.
    UserExported = "user.exported";
    /// A user was erased.
    UserErased = "user.erased";
    /// A user's session was ended by the tenant.
    SessionRevoked = "session.revoked";
    /// A sender domain was added.
    DomainAdded = "domain.added";
    /// The record of a sender domain was found, for the first time or again.
    DomainVerified = "domain.verified";
    /// The record of a verified sender domain is gone.
    DomainLost = "domain.lost";
    /// A sender domain was deleted.
    DomainDeleted = "domain.deleted";
    /// An endpoint for events was made.
    EndpointCreated = "webhook_endpoint.created";
    /// An endpoint was changed.
    EndpointChanged = "webhook_endpoint.changed";
    /// An endpoint was deleted.
    EndpointDeleted = "webhook_endpoint.deleted";
    /// An endpoint was given another secret.
    EndpointRotated = "webhook_endpoint.secret_rotated";
    /// The service gave an endpoint up.
    EndpointDisabled = "webhook_endpoint.disabled";
    /// The tenant put an authenticator in use.
    TotpEnabled = "totp.enabled";
    /// The tenant took an authenticator away.
    TotpDisabled = "totp.disabled";
    /// The tenant gave a new secret to somebody whose authenticator was lost.
    TotpRecovered = "totp.recovered";
    /// A provider for the tenant's messages was added.
    ProviderAdded = "provider.added";
    /// A provider was changed.
    ProviderChanged = "provider.changed";
    /// A provider was deleted.
    ProviderDeleted = "provider.deleted";
    /// A code was handed to the caller instead of being sent.
    OtpRevealed = "otp.revealed";
    /// A recipient was put on the list of those that nothing is sent to.
    SuppressionAdded = "suppression.added";
    /// A recipient was taken off that list.
    SuppressionRemoved = "suppression.removed";
    /// An account of a member was made.
    MemberRegistered = "member.registered";
    /// A member signed in.
    MemberSignedIn = "member.signed_in";
    /// A member ended sessions.
    MemberSignedOut = "member.signed_out";
    /// A member set a new password.
    PasswordChanged = "member.password_changed";
    /// A member's password or code was right, and the second factor is to follow.
    SecondFactorAwaited = "member.second_factor_awaited";
    /// A member showed a second factor that was wrong.
    SecondFactorFailed = "member.second_factor_failed";
    /// A signed-in member showed the second factor again.
    MemberSteppedUp = "member.stepped_up";
    /// A member was given the secret of an authenticator.
    MemberTotpRegistered = "member.totp_registered";
    /// A member put an authenticator in use.
    MemberTotpEnabled = "member.totp_enabled";
    /// A member took its authenticator away.
    MemberTotpDisabled = "member.totp_disabled";
    /// A member was given new recovery codes.
    RecoveryCodesRenewed = "member.recovery_codes_renewed";
    /// The operator took a member's authenticator away.
    MemberTotpReset = "member.totp_reset";
    /// Somebody was asked to join a team.
    MemberInvited = "member.invited";
    /// An invitation was taken back.
    InvitationRevoked = "invitation.revoked";
    /// Somebody joined a team.
    MemberJoined = "member.joined";
    /// A member was given another role.
    RoleChanged = "member.role_changed";
    /// A member left a team, or was removed from it.
    MemberRemoved = "member.removed";
    /// All that was held of a tenant was erased.
    TenantErased = "customer.erased";
}

/// The text names nothing that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing has this name in the trail; use one such as config.changed")]
pub struct UnknownAction;

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        Self::ALL.iter().find(|action| action.as_str() == text).copied().ok_or(UnknownAction)
    }
}

/// One line of the trail.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Audit {
    /// Identifier, sorted by time.
    pub id: AuditId,
    /// Whose trail.
    pub tenant: TenantId,
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub action: Action,
    /// By whom.
    pub actor: Actor,
    /// To what: an identifier.
    pub target: String,
    /// Client address and user agent of the actor, sealed.
    pub client: Option<Sealed>,
    /// The request it was done by.
    pub request_id: Option<String>,
    /// What else there is to say; nothing secret.
    pub data: serde_json::Value,
    /// The call it was done by, as `PUT /admin/config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// When it may go; lines of schema version 1 stay for 90 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<Timestamp>,
    /// Its place in the chain; lines of schema version 1 have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Box<Link>>,
}

impl Audit {
    /// Where `client` is sealed.
    pub const CLIENT: &'static [u8] = b"audit.client";
}

impl Stored for Audit {
    const KIND: Kind = Kind::Audit;

    fn key(&self) -> Key {
        Key::new::<Self>(self.tenant, self.id.as_bytes())
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.tenant.as_bytes().into())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.kept_until.unwrap_or(self.at + USUALLY_KEPT_FOR))
    }
}
