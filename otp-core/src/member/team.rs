//! The team of a tenant: who belongs to it, what each may do, and who was asked to join.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Error, InvalidField};
use crate::id::{InvitationId, MemberId, TenantId};
use crate::notice::INSTALLATION;
use crate::secret::{Digest32, Sealed, Secret, TenantKeys, Use};
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::subject::SubjectKey;
use crate::tenant::Space;

/// Members of one team, and open invitations to it.
pub const TEAM: usize = 100;
/// How long an invitation can be accepted.
pub const INVITED_FOR: Duration = Duration::from_secs(7 * 86_400);

/// What a member is to a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May do everything, and alone can end the tenant and make owners.
    Owner,
    /// Runs the tenant with the owners.
    Admin,
    /// Builds on it.
    Developer,
    /// Pays for it.
    Billing,
    /// Looks on.
    Viewer,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Developer, Self::Billing, Self::Viewer];

    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Developer => "developer",
            Role::Billing => "billing",
            Role::Viewer => "viewer",
        }
    }

    /// The one table of what a role allows.
    pub const fn may(self, permission: Permission) -> bool {
        match permission {
            Permission::See | Permission::SeeTeam => true,
            Permission::SeeUsers => !matches!(self, Role::Billing),
            Permission::ResetKey => matches!(self, Role::Owner | Role::Admin | Role::Developer),
            Permission::Rename | Permission::ManageTeam => matches!(self, Role::Owner | Role::Admin),
            Permission::Delete => matches!(self, Role::Owner),
        }
    }

    /// Whether it may give this role, or take it from somebody: nobody but owners has a say about owners.
    pub const fn may_appoint(self, role: Role) -> bool {
        self.may(Permission::ManageTeam) && (matches!(self, Role::Owner) || !matches!(role, Role::Owner))
    }
}

impl FromStr for Role {
    type Err = InvalidField;

    fn from_str(text: &str) -> Result<Self, InvalidField> {
        let unknown = || {
            let names = Self::ALL.map(Role::as_str).join(", ");
            Error::invalid_field("unknown_role", "role", format!("use one of {names}"))
        };
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(unknown)
    }
}

/// What may be done with a tenant by a member of its team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Look at name, plan and standing.
    See,
    /// Give it another name.
    Rename,
    /// End it.
    Delete,
    /// Revoke its secret keys and take a new one.
    ResetKey,
    /// Look at its users.
    SeeUsers,
    /// Look at its team.
    SeeTeam,
    /// Invite, appoint and remove members.
    ManageTeam,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::See, Self::Rename, Self::Delete, Self::ResetKey, Self::SeeUsers, Self::SeeTeam, Self::ManageTeam];

    /// Who has it, in words.
    pub const fn holders(self) -> &'static str {
        match self {
            Permission::See | Permission::SeeTeam => "any member",
            Permission::SeeUsers => "an owner, admin, developer or viewer",
            Permission::ResetKey => "an owner, admin or developer",
            Permission::Rename | Permission::ManageTeam => "an owner or admin",
            Permission::Delete => "an owner",
        }
    }

    /// Whether the tenant has to be in good standing for it.
    pub const fn needs_active(self) -> bool {
        !matches!(self, Permission::See | Permission::SeeTeam | Permission::Delete)
    }
}

/// That a member belongs to a tenant's team, found by the tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Membership {
    /// Which tenant.
    pub tenant: TenantId,
    /// Who.
    pub member: MemberId,
    /// The member's address, under the installation's keys.
    pub subject: SubjectKey,
    /// As what.
    pub role: Role,
    /// Since when.
    pub since: Timestamp,
    /// By whose invitation; `None` for whoever made the tenant.
    pub invited_by: Option<MemberId>,
}

impl Membership {
    /// Where it stands.
    pub fn key_of(tenant: TenantId, member: MemberId) -> Key {
        Key::new::<Self>(tenant, member.as_bytes())
    }

    /// The same, found by the member. Both are made and removed in one commit.
    pub fn seat(&self) -> Seat {
        Seat { space: INSTALLATION, member: self.member, tenant: self.tenant }
    }
}

impl Stored for Membership {
    const KIND: Kind = Kind::Membership;

    fn key(&self) -> Key {
        Self::key_of(self.tenant, self.member)
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.tenant.as_bytes().into())
    }
}

/// That a member belongs to a tenant's team, found by the member.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seat {
    /// The installation's.
    pub space: Space,
    /// Who.
    pub member: MemberId,
    /// Which tenant.
    pub tenant: TenantId,
}

impl Stored for Seat {
    const KIND: Kind = Kind::Seat;

    fn key(&self) -> Key {
        let id = SmallBytes::concat(&[self.member.as_bytes(), self.tenant.as_bytes()]);
        Key::new::<Self>(self.space.tenant, id)
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.member.as_bytes().into())
    }
}

/// Somebody was asked to join a team. It is gone when it was accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invitation {
    /// Identifier, of which the token in the mail is derived.
    pub id: InvitationId,
    /// Whose team.
    pub tenant: TenantId,
    /// Whose address, under the installation's keys.
    pub subject: SubjectKey,
    /// The address, sealed under the tenant's keys.
    pub email: Sealed,
    /// As what.
    pub role: Role,
    /// By whom.
    pub invited_by: MemberId,
    /// SHA-256 of the token.
    pub digest: Digest32,
    /// When.
    pub created_at: Timestamp,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
}

impl Invitation {
    /// Where the address is sealed.
    pub const EMAIL: &'static [u8] = b"invitation.email";

    /// Where it stands.
    pub fn key_of(tenant: TenantId, id: InvitationId) -> Key {
        Key::new::<Self>(tenant, id.as_bytes())
    }
}

impl Stored for Invitation {
    const KIND: Kind = Kind::Invitation;

    fn key(&self) -> Key {
        Self::key_of(self.tenant, self.id)
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.tenant.as_bytes().into())
    }

    fn alias(&self) -> Option<SmallBytes> {
        Some((&self.digest.0).into())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// What the token of an invitation is derived from: it stands nowhere.
pub(crate) struct InvitationProof<'a> {
    pub invitation: InvitationId,
    pub kid: u8,
    pub subject: &'a SubjectKey,
}

impl InvitationProof<'_> {
    /// The token, 256 bits, under the installation's keys; `None` when the ring has lost the key.
    pub fn token(&self, keys: &TenantKeys) -> Option<Secret> {
        let parts: [&[u8]; 3] = [b"invitation", self.invitation.as_bytes(), self.subject.as_bytes()];
        Some(Secret::from(keys.digest(self.kid, Use::Passcode, &parts)?.to_base64url()))
    }
}
