//! What the DNS says about mail from a domain: SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 7489), as facts.

use std::fmt;
use std::str::FromStr;

use futures_util::future::{join_all, join3};

use super::{DomainName, Lookup, Resolver};

/// Something that may be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    /// It is.
    Found(T),
    /// It is not.
    Missing,
    /// The DNS gave no answer.
    Unknown {
        /// Why.
        reason: String,
    },
}

impl<T> Fact<T> {
    /// The first of the values found that reads as what is looked for.
    fn first(lookup: &Lookup, read: impl Fn(&str) -> Option<T>) -> Self {
        match lookup {
            Lookup::Found(values) => values.iter().find_map(|value| read(value)).map_or(Fact::Missing, Fact::Found),
            Lookup::NotFound => Fact::Missing,
            Lookup::Failed { reason } => Fact::Unknown { reason: reason.clone() },
        }
    }
}

/// A DMARC policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dmarc {
    /// `none`, `quarantine` or `reject`: what holds for the domain asked about.
    pub policy: String,
    /// The record.
    pub record: String,
}

/// What is published about mail from a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailReport {
    /// The SPF record.
    pub spf: Fact<String>,
    /// The DMARC policy; of the registered domain above, if the domain has none of its own.
    pub dmarc: Fact<Dmarc>,
    /// The DKIM key of each selector asked about: its record.
    pub dkim: Vec<(Selector, Fact<String>)>,
}

impl MailReport {
    /// Asks about everything at once.
    pub(crate) async fn of(name: &DomainName, selectors: Vec<Selector>, dns: &dyn Resolver) -> Self {
        let keys = join_all(selectors.into_iter().map(|selector| async move {
            let lookup = dns.txt(&format!("{selector}._domainkey.{name}")).await;
            (selector, Fact::first(&lookup, dkim))
        }));
        let spf = async { Fact::first(&dns.txt(name.as_str()).await, spf) };
        let (spf, dmarc, dkim) = join3(spf, dmarc_of(name, dns), keys).await;
        Self { spf, dmarc, dkim }
    }
}

async fn dmarc_of(name: &DomainName, dns: &dyn Resolver) -> Fact<Dmarc> {
    let own = Fact::first(&dns.txt(&format!("_dmarc.{name}")).await, |record| dmarc(record, &["p"]));
    if own != Fact::Missing || name.registered() == name.as_str() {
        return own;
    }
    Fact::first(&dns.txt(&format!("_dmarc.{}", name.registered())).await, |record| dmarc(record, &["sp", "p"]))
}

fn spf(record: &str) -> Option<String> {
    let version = record.split(' ').next().unwrap_or_default();
    version.eq_ignore_ascii_case("v=spf1").then(|| record.to_owned())
}

/// A record whose key is empty says that the key was revoked.
fn dkim(record: &str) -> Option<String> {
    let is_version = tag(record, "v").is_none_or(|version| version == "DKIM1");
    let has_key = tag(record, "p").is_some_and(|key| !key.is_empty());
    (is_version && has_key).then(|| record.to_owned())
}

/// The policy is in the first of the tags that is there.
fn dmarc(record: &str, tags: &[&str]) -> Option<Dmarc> {
    if !record.trim_start().starts_with("v=DMARC1") {
        return None;
    }
    let policy = tags.iter().find_map(|name| tag(record, name))?.to_ascii_lowercase();
    Some(Dmarc { policy, record: record.to_owned() })
}

fn tag<'a>(record: &'a str, name: &str) -> Option<&'a str> {
    let pairs = record.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(tag, value)| (tag.trim(), value.trim())).find(|(tag, _)| *tag == name).map(|(_, value)| value)
}

/// Names one of a domain's DKIM keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(String);

/// The text names no DKIM key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a selector is made of letters, digits, hyphens and single dots, such as s1 or google")]
pub struct InvalidSelector;

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_sign);
        let is_selector = text.len() <= 63 && text.split('.').all(is_label);
        if is_selector { Ok(Self(text.to_ascii_lowercase())) } else { Err(InvalidSelector) }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
