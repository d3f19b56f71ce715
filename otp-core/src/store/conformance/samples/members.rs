//! Members and their teams.

use std::time::Duration;

use super::{NOW, bucket, digest, id, sealed, space, subject};
use crate::id::{ChallengeId, InvitationId, MemberId, MemberSessionId, TenantId};
use crate::limit::SlidingLog;
use crate::member::{CodeUse, Invitation, Member, MemberCode, MemberSession, MemberSignIn, Membership, Role, Seat};
use crate::secret::Digest32;
use crate::subject::SubjectKey;
use crate::totp::{Method, SecondFactorUse};

pub(super) fn member(tenant: TenantId, number: u64) -> Member {
    Member {
        id: MemberId::from_bytes(id(number)),
        space: space(tenant),
        subject: subject(tenant, number),
        bucket: bucket(number),
        email: sealed(tenant, number),
        password: sealed(tenant, number),
        name: Some(sealed(tenant, number)),
        created_at: NOW,
    }
}

pub(super) fn member_code(tenant: TenantId, number: u64) -> MemberCode {
    MemberCode {
        id: ChallengeId::from_bytes(id(number)),
        of_use: CodeUse::SignIn,
        space: space(tenant),
        subject: SubjectKey::from_bytes(digest(&[7, number])),
        bucket: bucket(number),
        kid: 1,
        registrant: Some(sealed(tenant, number)),
        created_at: NOW,
        expires_at: NOW + Duration::from_secs(600),
        wrong: 1,
        asked: SlidingLog::default(),
        decoy: false,
        is_spent: false,
    }
}

pub(super) fn member_session(tenant: TenantId, number: u64) -> MemberSession {
    MemberSession {
        id: MemberSessionId::from_bytes(id(number)),
        space: space(tenant),
        member: MemberId::from_bytes(id(number)),
        bucket: bucket(number),
        digest: digest_of(tenant, 8, number),
        client: Some(sealed(tenant, number)),
        created_at: NOW,
        seen_at: NOW,
        second_factor: Some(SecondFactorUse { at: NOW, by: Method::Totp }),
    }
}

pub(super) fn member_sign_in(tenant: TenantId, number: u64) -> MemberSignIn {
    MemberSignIn {
        token: Digest32(digest(&[10, number])),
        space: space(tenant),
        member: MemberId::from_bytes(id(number)),
        bucket: bucket(number),
        for_program: true,
        created_at: NOW,
    }
}

pub(super) fn membership(tenant: TenantId, number: u64) -> Membership {
    Membership {
        tenant,
        member: MemberId::from_bytes(id(number)),
        subject: subject(tenant, number),
        role: Role::Owner,
        since: NOW,
        invited_by: Some(MemberId::from_bytes(id(number))),
    }
}

pub(super) fn seat(tenant: TenantId, number: u64) -> Seat {
    Seat { space: space(tenant), member: MemberId::from_bytes(id(number)), tenant: TenantId::from_bytes(id(number)) }
}

pub(super) fn invitation(tenant: TenantId, number: u64) -> Invitation {
    Invitation {
        id: InvitationId::from_bytes(id(number)),
        tenant,
        subject: subject(tenant, number),
        email: sealed(tenant, number),
        role: Role::Viewer,
        invited_by: MemberId::from_bytes(id(number)),
        digest: digest_of(tenant, 9, number),
        created_at: NOW,
        expires_at: NOW + Duration::from_secs(600),
    }
}

/// Of one tenant alone: it is an alias.
fn digest_of(tenant: TenantId, kind: u64, number: u64) -> Digest32 {
    Digest32::of(&[tenant.as_bytes().as_slice(), &digest(&[kind, number])].concat())
}
