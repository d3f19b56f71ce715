//! The ways a tenant's messages may travel, where to, and for how much.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::settings::invalid;
use crate::error::{Error, InvalidField};
use crate::message::Channel;
use crate::numbering::{self, Country};
use crate::subject::canonical_domain;

/// A thousand US dollars, and what a day's cap can be at most: a million of them.
const DEAREST: u64 = 1_000_000_000;
const HIGHEST_CAP: u64 = 1_000_000_000_000;

/// The ways messages travel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Channels {
    /// E-mail.
    pub email: ChannelSettings,
    /// Text messages.
    pub sms: PaidChannel,
    /// WhatsApp.
    pub whatsapp: PaidChannel,
    /// The web host where codes are entered: the last line of a text message names it, and browsers fill the code in there
    /// and nowhere else (WICG, origin-bound one-time codes).
    pub host: Option<String>,
    /// What text and WhatsApp messages may cost in a calendar day (UTC), in millionths of the currency of the prices.
    pub daily_spend_cap: u64,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            email: ChannelSettings::default(),
            sms: PaidChannel::default(),
            whatsapp: PaidChannel::default(),
            host: None,
            daily_spend_cap: 50_000_000,
        }
    }
}

/// One way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChannelSettings {
    /// Whether codes may be asked for by it.
    pub enabled: bool,
}

impl Default for ChannelSettings {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// One way whose messages are paid for one by one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PaidChannel {
    /// Whether codes may be asked for by it.
    pub enabled: bool,
    /// The countries whose numbers it goes to: no others.
    pub countries: BTreeSet<Country>,
    /// What a message costs by country, in millionths of a currency; [`numbering::price`] where a country is not named.
    pub prices: BTreeMap<Country, u64>,
}

impl Default for PaidChannel {
    fn default() -> Self {
        Self { enabled: true, countries: BTreeSet::new(), prices: BTreeMap::new() }
    }
}

impl Channels {
    /// Whether codes may be asked for by it.
    pub fn is_enabled(&self, channel: Channel) -> bool {
        self.paid(channel).map_or(self.email.enabled, |paid| paid.enabled)
    }

    /// Whether it goes to numbers of a country.
    pub fn reaches(&self, channel: Channel, country: Country) -> bool {
        self.paid(channel).is_none_or(|paid| paid.countries.contains(&country))
    }

    /// What a message costs, or a part of a text message.
    pub fn price(&self, channel: Channel, country: Country) -> u64 {
        let own = self.paid(channel).and_then(|paid| paid.prices.get(&country)).copied();
        own.unwrap_or_else(|| numbering::price(channel, country))
    }

    fn paid(&self, channel: Channel) -> Option<&PaidChannel> {
        match channel {
            Channel::Email => None,
            Channel::Sms => Some(&self.sms),
            Channel::Whatsapp => Some(&self.whatsapp),
        }
    }

    pub(super) fn check(&self) -> Result<(), InvalidField> {
        let is_host = |host: &str| canonical_domain(host).is_ok_and(|canonical| canonical == host);
        if !self.host.as_deref().is_none_or(is_host) {
            return Err(Error::invalid_field(
                "invalid_host",
                "channels.host",
                "write the host alone and in lower case, such as login.acme.com",
            ));
        }
        for (field, paid) in [("channels.sms.prices", &self.sms), ("channels.whatsapp.prices", &self.whatsapp)] {
            if paid.prices.values().any(|price| *price > DEAREST) {
                return Err(invalid(field, format!("use 0 to {DEAREST} millionths")));
            }
        }
        if self.daily_spend_cap > HIGHEST_CAP {
            return Err(invalid("channels.dailySpendCap", format!("use 0 to {HIGHEST_CAP} millionths")));
        }
        Ok(())
    }
}
