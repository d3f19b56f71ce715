//! Second factors.

use super::{NOW, bucket, digest, id, sealed, space, subject};
use crate::id::{ChallengeId, TenantId, TrustedDeviceId, UserId};
use crate::secret::Digest32;
use crate::totp::{DeviceState, Digits, HashAlgorithm, Moving, PendingSignIn, RecoverySet, TotpDevice, TrustedDevice};

pub(super) fn totp_device(tenant: TenantId, number: u64) -> TotpDevice {
    let is_even = number.is_multiple_of(2);
    TotpDevice {
        space: space(tenant),
        // Sorts by its number, as ids of other kinds do.
        holder: crate::subject::SubjectKey::from_bytes({
            let mut bytes = [0; 32];
            bytes[24..].copy_from_slice(&number.to_be_bytes());
            bytes
        }),
        algorithm: if is_even { HashAlgorithm::Sha1 } else { HashAlgorithm::Sha512 },
        digits: if is_even { Digits::SIX } else { Digits::EIGHT },
        moving: if is_even { Moving::usual() } else { Moving::Hotp { next: number } },
        secret: sealed(tenant, number),
        state: if is_even { DeviceState::Enabled { at: NOW } } else { DeviceState::Pending { until: NOW } },
        wrong_guesses: vec![NOW],
        recovery: is_even.then(|| RecoverySet::sample(sealed(tenant, number), NOW)),
        created_at: NOW,
    }
}

pub(super) fn trusted_device(tenant: TenantId, number: u64) -> TrustedDevice {
    TrustedDevice {
        id: TrustedDeviceId::from_bytes(id(number)),
        space: space(tenant),
        subject: subject(tenant, number),
        user: UserId::from_bytes(id(number)),
        token: Digest32(digest(&[u128::from_be_bytes(*tenant.as_bytes()) as u64, number])),
        client: Some(sealed(tenant, number)),
        created_at: NOW,
        last_used_at: number.is_multiple_of(2).then_some(NOW),
    }
}

pub(super) fn pending_sign_in(tenant: TenantId, number: u64) -> PendingSignIn {
    let mut token = [0; 32];
    token[24..].copy_from_slice(&number.to_be_bytes());
    PendingSignIn {
        token: Digest32(token),
        space: space(tenant),
        subject: subject(tenant, number),
        bucket: bucket(number),
        user: UserId::from_bytes(id(number)),
        challenge: ChallengeId::from_bytes(id(number)),
        is_new: number.is_multiple_of(2),
        enrol: number.is_multiple_of(3),
        created_at: NOW,
    }
}
