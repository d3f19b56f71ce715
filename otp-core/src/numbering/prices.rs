//! What a message costs, roughly: for the cap on a day's spending, and for no bill.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::Country;
use crate::message::Channel;

static PRICES: LazyLock<Prices> =
    LazyLock::new(|| toml::from_str(include_str!("prices.toml")).expect("the embedded prices are valid"));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prices {
    sms: List,
    whatsapp: List,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    default: u64,
    countries: BTreeMap<Country, u64>,
}

/// The usual price of a message, or of a part of a text message, in millionths of a US dollar. Mail costs nothing.
///
/// # Panics
/// Never: a test reads the embedded file.
pub fn price(channel: Channel, country: Country) -> u64 {
    let list = match channel {
        Channel::Email => return 0,
        Channel::Sms => &PRICES.sms,
        Channel::Whatsapp => &PRICES.whatsapp,
    };
    list.countries.get(&country).copied().unwrap_or(list.default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_has_a_price() {
        for channel in [Channel::Sms, Channel::Whatsapp] {
            assert!(Country::all().all(|country| (1_000..1_000_000).contains(&price(channel, country))));
        }
        let [us, de, none] = ["US", "DE", "TO"].map(|country| price(Channel::Sms, country.parse().unwrap()));
        assert!(us < de && de < none);
    }
}
