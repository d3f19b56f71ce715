//! Which columns a kind's table needs.

use super::Kind;

/// What the records of a kind have beside tenant, id and body: the columns of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// An [owner](super::Stored::owner), and lists by it.
    pub owner: bool,
    /// An [alias](super::Stored::alias), and a look-up by it.
    pub alias: bool,
    /// A place in a queue: [due time and lease](super::Due).
    pub queue: bool,
    /// An [end](super::Stored::expires_at), and sweeping by it.
    pub expires: bool,
}

impl Kind {
    /// Which columns its table needs.
    pub const fn shape(self) -> Shape {
        const fn of(owner: bool, alias: bool, queue: bool, expires: bool) -> Shape {
            Shape { owner, alias, queue, expires }
        }
        match self {
            Kind::Tenant
            | Kind::KeyUse
            | Kind::ConfigVersion
            | Kind::Endpoint
            | Kind::Membership
            | Kind::Seat
            | Kind::Provider => of(true, false, false, false),
            Kind::User | Kind::Member => of(true, true, false, false),
            Kind::ApiKey | Kind::TrustedDevice | Kind::MemberSession | Kind::Invitation => of(true, true, false, true),
            Kind::SigningKey | Kind::Challenge | Kind::Session | Kind::Audit | Kind::Reply => {
                of(true, false, false, true)
            }
            Kind::Suppression => of(true, false, false, true),
            Kind::MessageReport => of(false, false, false, true),
            Kind::PendingSignIn | Kind::MemberSignIn => of(true, false, false, true),
            Kind::TotpDevice | Kind::MemberCode => of(false, false, false, true),
            Kind::Recipient | Kind::AuditHead | Kind::Visitors | Kind::Signup | Kind::SignupToken => {
                of(false, false, false, true)
            }
            Kind::Message => of(true, false, true, true),
            Kind::Visit => of(true, false, true, false),
            Kind::RecentErrors | Kind::StorageUse => of(false, false, false, false),
            Kind::Domain | Kind::Event | Kind::Delivery => of(true, false, true, true),
        }
    }
}
