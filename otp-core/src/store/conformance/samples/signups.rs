//! Signups and what comes of them.

use std::time::Duration;

use super::{NOW, bucket, digest, id, sealed, space};
use crate::id::{MemberId, SignupId, TenantId};
use crate::limit::SlidingLog;
use crate::secret::Digest32;
use crate::signup::{Signup, SignupState, SignupToken};
use crate::subject::SubjectKey;

pub(super) fn signup(tenant: TenantId, number: u64) -> Signup {
    Signup {
        id: SignupId::from_bytes(id(number)),
        space: space(tenant),
        subject: SubjectKey::from_bytes(digest(&[6, number])),
        bucket: bucket(number),
        kid: 1,
        applicant: Some(sealed(tenant, number)),
        created_at: NOW,
        expires_at: NOW + Duration::from_secs(600),
        wrong: 1,
        asked: SlidingLog::default(),
        decoy: false,
        state: SignupState::Open,
    }
}

pub(super) fn signup_token(tenant: TenantId, number: u64) -> SignupToken {
    SignupToken {
        digest: Digest32(digest(&[5, number])),
        space: space(tenant),
        tenant,
        member: MemberId::from_bytes(id(number)),
        expires_at: NOW + Duration::from_secs(600),
    }
}
