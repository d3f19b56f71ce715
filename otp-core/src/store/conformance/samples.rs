//! Records to test with. Those with the same number are the same; ids sort as their numbers do.

mod delivery;
mod factors;
mod members;
mod outside;
mod senders;
mod signups;

use std::time::Duration;

use crate::alarm::AlarmKind;
use crate::api_key::{ApiKey, KeyState, KeyType, KeyUse};
use crate::audit::{Action, Actor, Audit, AuditHead};
use crate::call::{CallError, RecentErrors, StorageUse};
use crate::challenge::{Challenge, ChallengeState};
use crate::clock::Timestamp;
use crate::configuration::ConfigVersion;
use crate::id::{AuditId, ChallengeId, KeyId, MessageId, SessionId, SigningKeyId, TenantId, UserId};
use crate::idempotency::StoredReply;
use crate::limit::{Recipient, SlidingLog};
use crate::message::{Channel, CodeOf, Content, Message, MessageState};
use crate::notice::{NoticeKind, SealedNotice};
use crate::passcode::PasscodeFormat;
use crate::random::SeededRandom;
use crate::secret::{Digest32, KeyRing, Sealed};
use crate::session::{Session, SessionState};
use crate::signing::StoredSigningKey;
use crate::sketch::Sketch;
use crate::store::{Due, Kind, Record};
use crate::subject::{BucketKey, SubjectKey};
use crate::tenant::{Change, Mode, Space, Tenant, TenantStatus};
use crate::token::Algorithm;
use crate::totp::{Method, SecondFactorUse};
use crate::usage::ErrorCategory;
use crate::visit::{Visit, Visitors};

/// When the cases begin.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn id(number: u64) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

fn digest(parts: &[u64]) -> [u8; 32] {
    Digest32::of(&parts.iter().flat_map(|part| part.to_be_bytes()).collect::<Vec<u8>>()).0
}

fn number_of(tenant: TenantId) -> u64 {
    u128::from_be_bytes(*tenant.as_bytes()) as u64
}

pub(super) fn tenant(number: u64) -> TenantId {
    TenantId::from_bytes(id(number))
}

pub(super) fn bucket(number: u64) -> BucketKey {
    BucketKey::from_bytes(digest(&[1, number]))
}

fn space(tenant: TenantId) -> Space {
    Space { tenant, mode: Mode::Live }
}

fn sealed(tenant: TenantId, number: u64) -> Sealed {
    let random = SeededRandom::new(number);
    KeyRing::generate(&random).tenant(tenant).seal(&random, b"sample", &id(number))
}

/// A register: a record with a number in it.
pub(super) fn register(number: u64, value: i64) -> KeyUse {
    let last_used_at = Timestamp::from_millis(value);
    let last_used_ip = Some("203.0.113.0/24".parse().unwrap());
    KeyUse { key: KeyId::from_bytes(id(number)), tenant: tenant(1), last_used_at, last_used_ip, calls: 0 }
}

/// A user with an alias of its own choice.
pub(super) fn user(tenant: TenantId, number: u64, alias: u64) -> User {
    User {
        id: UserId::from_bytes(id(number)),
        space: space(tenant),
        subject: subject(tenant, alias),
        bucket: bucket(number),
        channel: Channel::Email,
        address: sealed(tenant, number),
        created_at: NOW,
        last_login_at: NOW,
        consent: number.is_multiple_of(2).then(|| Consent { version: "2026-01".into(), at: NOW }),
    }
}

use crate::user::Consent;
pub(super) use crate::user::User;

pub(super) fn subject(tenant: TenantId, number: u64) -> SubjectKey {
    SubjectKey::from_bytes(digest(&[2, number_of(tenant), number]))
}

/// A session of the tenant's user `owner`.
pub(super) fn session(tenant: TenantId, number: u64, owner: u64) -> Session {
    Session {
        id: SessionId::from_bytes(id(number)),
        space: space(tenant),
        user: UserId::from_bytes(id(number_of(tenant) << 32 | owner)),
        subject: subject(tenant, owner),
        bucket: bucket(owner),
        channel: Channel::Email,
        address: sealed(tenant, number),
        client: Some(sealed(tenant, number)),
        created_at: NOW,
        refreshed_at: NOW,
        idle_at: NOW + Duration::from_secs(60),
        expires_at: NOW + Duration::from_secs(600),
        refresh: Digest32(digest(&[number])),
        generation: 1,
        valid_from: 1,
        state: SessionState::Open,
        second_factor: number.is_multiple_of(2).then_some(SecondFactorUse { at: NOW, by: Method::Totp }),
        claims: (!number.is_multiple_of(2)).then(|| sealed(tenant, number)),
    }
}

/// A message that stands so in its queue.
pub(super) fn message(tenant: TenantId, number: u64, due: Due) -> Message {
    Message {
        id: MessageId::from_bytes(id(number)),
        space: space(tenant),
        content: content(tenant, number),
        subject: subject(tenant, number),
        channel: Channel::Sms,
        address: sealed(tenant, number),
        client: None,
        pointless_at: NOW + Duration::from_secs(600),
        created_at: NOW,
        tries: 0,
        last_error: None,
        attempts: Vec::new(),
        days: 30,
        state: MessageState::Queued,
        due,
    }
}

/// A code, or a notice where the number is a multiple of four.
fn content(tenant: TenantId, number: u64) -> Content {
    if number.is_multiple_of(4) {
        return Content::Notice { notice: SealedNotice { kind: NoticeKind::Welcome, values: sealed(tenant, number) } };
    }
    Content::Passcode(CodeOf {
        challenge: ChallengeId::from_bytes(id(number)),
        purpose: "login".into(),
        locale: "de-CH".parse().ok(),
        context: None,
        context_text: None,
        kid: 1,
        format: PasscodeFormat::default(),
        step: None,
    })
}

/// A recipient that was last sent a code at this time; it expires an hour later.
pub(super) fn recipient(tenant: TenantId, number: u64, sent_at: Timestamp) -> Recipient {
    let mut sends = SlidingLog::default();
    sends.push(sent_at);
    Recipient { sends, ..Recipient::new(space(tenant), bucket(number)) }
}

/// A record of any kind.
pub(super) fn sample(kind: Kind, tenant: TenantId, number: u64) -> Record {
    match kind {
        Kind::Tenant => sample_tenant(tenant, number).into(),
        Kind::ApiKey => api_key(tenant, number).into(),
        Kind::KeyUse => KeyUse { tenant, ..register(number, 7) }.into(),
        Kind::SigningKey => signing_key(tenant, number).into(),
        Kind::Recipient => recipient(tenant, number, NOW).into(),
        Kind::Challenge => challenge(tenant, number).into(),
        Kind::User => user(tenant, number, number).into(),
        Kind::Session => session(tenant, number, number).into(),
        Kind::Message => message(tenant, number, Due { at: Some(NOW), lease: Some([3; 16]) }).into(),
        Kind::Event => delivery::event(tenant, number).into(),
        Kind::Audit => audit(tenant, number).into(),
        Kind::Reply => reply(tenant, number).into(),
        Kind::AuditHead => audit_head(tenant, number).into(),
        Kind::ConfigVersion => config_version(tenant, number).into(),
        Kind::Visit => visit(tenant, number).into(),
        Kind::Visitors => visitors(tenant, number).into(),
        Kind::RecentErrors => recent_errors(tenant, number).into(),
        Kind::StorageUse => StorageUse { tenant, measured: vec![(NOW, number)] }.into(),
        Kind::Signup => signups::signup(tenant, number).into(),
        Kind::SignupToken => signups::signup_token(tenant, number).into(),
        Kind::Domain => outside::domain(tenant, number).into(),
        Kind::Provider => senders::provider(tenant, number).into(),
        Kind::Endpoint => outside::endpoint(tenant, number).into(),
        Kind::Delivery => outside::delivery(tenant, number).into(),
        Kind::MessageReport => delivery::message_report(tenant, number).into(),
        Kind::Suppression => delivery::suppression(tenant, number).into(),
        Kind::TotpDevice => factors::totp_device(tenant, number).into(),
        Kind::TrustedDevice => factors::trusted_device(tenant, number).into(),
        Kind::PendingSignIn => factors::pending_sign_in(tenant, number).into(),
        Kind::Member => members::member(tenant, number).into(),
        Kind::MemberCode => members::member_code(tenant, number).into(),
        Kind::MemberSession => members::member_session(tenant, number).into(),
        Kind::MemberSignIn => members::member_sign_in(tenant, number).into(),
        Kind::Membership => members::membership(tenant, number).into(),
        Kind::Seat => members::seat(tenant, number).into(),
        Kind::Invitation => members::invitation(tenant, number).into(),
    }
}

fn sample_tenant(id: TenantId, number: u64) -> Tenant {
    Tenant {
        id,
        name: format!("Tenant \"{number}\" \u{0}\u{1f511}"),
        email: sealed(id, number),
        company_name: None,
        plan: "free".into(),
        status: TenantStatus::Active,
        status_changed_at: NOW,
        status_reason: None,
        created_at: NOW,
        webhook_secret: sealed(id, number),
        settings: Box::default(),
        config_version: 1,
        skipped_steps: Vec::new(),
        erase_at: None,
    }
}

fn api_key(tenant: TenantId, number: u64) -> ApiKey {
    ApiKey {
        id: KeyId::from_bytes(id(number)),
        tenant,
        name: format!("Key {number}"),
        key_type: KeyType::Secret,
        mode: Mode::Live,
        digest: Digest32(digest(&[3, number_of(tenant), number])),
        last4: "wxyz".into(),
        allowed_origins: Vec::new(),
        allowed_ips: vec!["10.0.0.0/8".parse().unwrap()],
        scopes: Vec::new(),
        created_at: NOW,
        expires_at: number.is_multiple_of(2).then_some(NOW + Duration::from_secs(600)),
        state: KeyState::Active,
        end_is_known: true,
    }
}

fn signing_key(tenant: TenantId, number: u64) -> StoredSigningKey {
    StoredSigningKey {
        id: SigningKeyId::from_bytes(id(number)),
        space: space(tenant),
        algorithm: Algorithm::Hs256,
        material: sealed(tenant, number),
        created_at: NOW,
        retired_at: number.is_multiple_of(2).then_some(NOW),
    }
}

fn challenge(tenant: TenantId, number: u64) -> Challenge {
    Challenge {
        id: ChallengeId::from_bytes(id(number)),
        space: space(tenant),
        subject: subject(tenant, number),
        bucket: bucket(number),
        purpose: "login".into(),
        context: Some(Digest32(digest(&[number]))),
        channel: Channel::Email,
        kid: 1,
        format: PasscodeFormat::default(),
        attempts: 5,
        created_at: NOW,
        expires_at: NOW + Duration::from_secs(600),
        sends: 1,
        sent_at: NOW,
        wrong_bound: 1,
        wrong_unbound: 2,
        decoy: false,
        prefixes: vec![[7; 16]],
        state: ChallengeState::Live { address: sealed(tenant, number) },
    }
}

fn audit(tenant: TenantId, number: u64) -> Audit {
    Audit {
        id: AuditId::from_bytes(id(number)),
        tenant,
        at: NOW,
        action: Action::TenantCreated,
        actor: Actor::Administrator,
        target: format!("target {number}"),
        client: None,
        request_id: None,
        data: serde_json::Value::Null,
        operation: None,
        kept_until: None,
        link: None,
    }
}

fn audit_head(tenant: TenantId, number: u64) -> AuditHead {
    let chain = serde_json::from_value(serde_json::to_value(Digest32(digest(&[number]))).unwrap_or_default());
    let chain = chain.expect("a digest is the name of a chain");
    AuditHead { tenant, chain, number, digest: Digest32(digest(&[5, number])), at: NOW, until: NOW }
}

fn config_version(tenant: TenantId, version: u64) -> ConfigVersion {
    let change = Change { field: "passcode.ttl".into(), old: 600.into(), new: 60.into() };
    let (settings, changes) = (Box::default(), vec![change]);
    ConfigVersion { tenant, version, at: NOW, actor: Actor::Program, settings, changes }
}

fn reply(tenant: TenantId, number: u64) -> StoredReply {
    StoredReply {
        name: Digest32(digest(&[4, number])),
        tenant,
        fingerprint: Digest32(digest(&[number])),
        outcome: sealed(tenant, number),
        created_at: NOW,
        subject: (!number.is_multiple_of(2)).then(|| subject(tenant, number)),
    }
}

fn visit(tenant: TenantId, number: u64) -> Visit {
    Visit { space: space(tenant), day: NOW, digest: number, due: Due { at: Some(NOW), lease: None } }
}

fn visitors(tenant: TenantId, number: u64) -> Visitors {
    let mut people = Sketch::default();
    people.insert(number);
    Visitors { space: space(tenant), day: NOW + Duration::from_secs(number * 86_400), people }
}

fn recent_errors(tenant: TenantId, number: u64) -> RecentErrors {
    let [code, route] = ["otp_invalid", "verify-otp"].map(str::to_owned);
    let at = NOW + Duration::from_secs(number);
    let errors = vec![CallError { at, category: ErrorCategory::Authentication, code, route }];
    RecentErrors { space: space(tenant), errors, alarms: [(AlarmKind::Latency, at)].into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_record_has_what_its_kind_has_no_column_for() {
        for (kind, number) in Kind::ALL.iter().flat_map(|kind| (1..=4).map(move |number| (kind, number))) {
            let (shape, record) = (kind.shape(), sample(*kind, TenantId::from_bytes([1; 16]), number));
            assert!(record.owner().is_none() || shape.owner, "{kind:?}");
            assert!(record.alias().is_none() || shape.alias, "{kind:?}");
            assert!(record.due().at.is_none() || shape.queue, "{kind:?}");
            assert!(record.expires_at().is_none() || shape.expires, "{kind:?}");
        }
    }
}
