//! Devices that a second factor is not asked for on.

use std::net::IpAddr;

use super::caller::SealedClient;
use super::totp::Factor;
use super::{Client, Me, Service};
use crate::clock::Timestamp;
use crate::command::ForgetDevice;
use crate::error::Error;
use crate::id::TrustedDeviceId;
use crate::store::Read;
use crate::totp::{MOST_TRUSTED, NewToken, TRUST_TOKEN, TrustedDevice};

/// A device that a second factor is not asked for on, as its user sees it.
#[derive(Clone, Debug)]
pub struct TrustedDeviceView {
    /// Identifier.
    pub id: TrustedDeviceId,
    /// When it was trusted.
    pub created_at: Timestamp,
    /// When its user last signed in with it.
    pub last_used_at: Option<Timestamp>,
    /// When it stops being trusted.
    pub expires_at: Timestamp,
    /// Where it was then.
    pub ip: Option<IpAddr>,
    /// Which program it was.
    pub user_agent: Option<String>,
}

impl Service {
    /// The user's trusted devices, newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn trusted_devices(&self, me: &Me) -> Result<Vec<TrustedDeviceView>, Error> {
        let wanted = Read::owned::<TrustedDevice>(me.user.subject.as_bytes().into(), MOST_TRUSTED);
        let seen = self.inner.store.read(vec![wanted]).await?;
        let trusted = seen.all::<TrustedDevice>().filter(|device| self.now() < device.ends_at());
        trusted
            .map(|device| {
                let client = SealedClient::open(&me.context.keys, &device.subject, device.client.as_ref())?;
                Ok(TrustedDeviceView {
                    id: device.id,
                    created_at: device.created_at,
                    last_used_at: device.last_used_at,
                    expires_at: device.ends_at(),
                    ip: client.ip,
                    user_agent: client.user_agent,
                })
            })
            .collect()
    }

    /// Stops trusting one of the user's devices.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn forget_device(&self, me: &Me, id: TrustedDeviceId) -> Result<(), Error> {
        self.run(ForgetDevice { holder: Factor::of(me).holder, id, now: self.now() }).await?
    }

    pub(super) fn new_trust(&self, factor: &Factor, client: &Client) -> Option<(NewToken, TrustedDevice)> {
        let (now, holder) = (self.now(), &factor.holder);
        let token = TRUST_TOKEN.write(self.random().bytes());
        let device = TrustedDevice {
            id: TrustedDeviceId::new(now, self.random()),
            space: holder.space,
            subject: holder.key,
            user: holder.user?,
            token: token.digest,
            client: client.sealed_for(&factor.context.keys, self.random(), &holder.key),
            created_at: now,
            last_used_at: None,
        };
        Some((token, device))
    }
}
