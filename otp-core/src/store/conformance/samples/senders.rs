//! Where a tenant's messages come from, and by whom they leave.

use super::{NOW, sealed};
use crate::id::{ProviderId, TenantId};
use crate::message::Channel;
use crate::provider::Provider;

pub(super) fn provider(tenant: TenantId, number: u64) -> Provider {
    Provider {
        id: ProviderId::from_bytes(u128::from(number).to_be_bytes()),
        tenant,
        label: format!("Mail \"{number}\" \u{1f511}"),
        carries: vec![Channel::Sms, Channel::Whatsapp],
        channels: vec![Channel::Sms],
        position: 1,
        url: sealed(tenant, number),
        shown: "twilio:AC0123:••••".into(),
        version: number,
        created_at: NOW,
        updated_at: NOW,
        tested_at: Some(NOW),
    }
}
