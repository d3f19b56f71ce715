//! The world's numbering plans: whose a phone number is, and whether it takes messages.

mod prices;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::subject::PhoneNumber;

pub use prices::price;

/// Sorted, so that it is searched as it is.
const PLAN: &str = include_str!("numbering/plan.txt");

static COUNTRIES: LazyLock<BTreeSet<Country>> =
    LazyLock::new(|| PLAN.lines().filter_map(Rule::parse).map(|rule| rule.line.country).collect());

/// A country or territory that has numbers of its own, by its two letters (ISO 3166-1 alpha-2; XK is Kosovo).
///
/// ```
/// use otp_core::numbering::Country;
///
/// assert_eq!("de".parse::<Country>().unwrap().as_str(), "DE");
/// assert!("UK".parse::<Country>().is_err(), "the United Kingdom is GB");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

/// The text names no country.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no country; use two letters (ISO 3166-1 alpha-2) such as DE")]
pub struct UnknownCountry(String);

/// What a phone number is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// A mobile phone, one of a range that has mobile phones among others, or one on the internet.
    Mobile,
    /// A fixed line.
    Landline,
    /// A service: premium rate, shared cost, toll-free, a personal or company number, a pager, a voice mailbox.
    Service,
}

/// A number that can be assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whose number it is.
    pub country: Country,
    /// What it is for.
    pub kind: LineKind,
}

impl Line {
    /// What a number is; `None` if no country assigns it, be it too short, too long or of an unused range, or if it is of no
    /// country, as those of satellite phones are.
    ///
    /// ```
    /// use otp_core::numbering::{Line, LineKind};
    ///
    /// let line = Line::of(&"+49 1511 2345678".parse().unwrap()).unwrap();
    /// assert_eq!((line.country.as_str(), line.kind), ("DE", LineKind::Mobile));
    /// assert!(Line::of(&"+49 999 9999999999".parse().unwrap()).is_none());
    /// ```
    pub fn of(number: &PhoneNumber) -> Option<Self> {
        let digits = number.canonical().strip_prefix('+')?;
        let fits = |rule: &Rule<'_>, following: char| {
            rule.following.contains(following)
                && rule.lengths.chars().any(|c| c.to_digit(16) == Some(digits.len() as u32))
        };
        // The rules of a longer prefix are of lengths that those of a shorter one leave open.
        (1..digits.len()).rev().find_map(|length| {
            let following = digits[length..].chars().next()?;
            rules_at(&digits[..length]).find(|rule| fits(rule, following)).map(|rule| rule.line)
        })
    }
}

impl Country {
    /// One to show how an event looks.
    pub(crate) const SAMPLE: Self = Self(*b"DE");

    /// Its two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// All of them, in the order of their letters.
    pub fn all() -> impl Iterator<Item = Country> {
        COUNTRIES.iter().copied()
    }
}

impl FromStr for Country {
    type Err = UnknownCountry;

    fn from_str(text: &str) -> Result<Self, UnknownCountry> {
        let country = <[u8; 2]>::try_from(text.to_ascii_uppercase().as_bytes()).map(Country);
        let known = country.ok().filter(|country| COUNTRIES.contains(country));
        known.ok_or_else(|| UnknownCountry(text.chars().take(16).collect()))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::read(deserializer, str::parse)
    }
}

/// A line of the plan: what numbers are that begin with the stem and one of the digits that follow.
struct Rule<'a> {
    stem: &'a str,
    following: &'a str,
    line: Line,
    /// How many digits such numbers have, in hexadecimal.
    lengths: &'a str,
}

impl<'a> Rule<'a> {
    /// `None` for a comment.
    fn parse(text: &'a str) -> Option<Self> {
        let mut words = text.split(' ');
        let (stem, following, what) = (words.next()?, words.next()?, words.next()?);
        let (country, rest) = what.as_bytes().split_first_chunk::<2>()?;
        let kind = match rest.first()? {
            b'm' => LineKind::Mobile,
            b'l' => LineKind::Landline,
            b'p' => LineKind::Service,
            _ => return None,
        };
        let is_rule = stem.bytes().all(|byte| byte.is_ascii_digit());
        is_rule.then(|| Self { stem, following, line: Line { country: Country(*country), kind }, lengths: &what[3..] })
    }
}

fn rules_at(stem: &str) -> impl Iterator<Item = Rule<'static>> {
    let (mut low, mut high) = (0, PLAN.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = PLAN[..middle].rfind('\n').map_or(0, |newline| newline + 1);
        let line = PLAN[start..].lines().next().unwrap_or_default();
        match line.split(' ').next().unwrap_or_default().cmp(stem) {
            Ordering::Less => low = start + line.len() + 1,
            Ordering::Equal | Ordering::Greater => high = start,
        }
    }
    let stem = stem.to_owned();
    PLAN[low.min(PLAN.len())..].lines().map_while(Rule::parse).take_while(move |rule| rule.stem == stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: &str) -> Option<(String, LineKind)> {
        let line = Line::of(&number.parse().unwrap())?;
        Some((line.country.to_string(), line.kind))
    }

    #[test]
    fn a_number_is_of_its_country_and_class() {
        use LineKind::{Landline, Mobile, Service};
        for (number, country, kind) in [
            ("+4915112345678", "DE", Mobile),
            ("+49301234567", "DE", Landline),
            ("+499001234567", "DE", Service),
            ("+491801234567", "DE", Service),
            ("+12025550123", "US", Mobile),
            ("+14165550123", "CA", Mobile),
            ("+18765550123", "JM", Mobile),
            ("+19005550123", "US", Service),
            ("+18005550123", "US", Service),
            ("+447400123456", "GB", Mobile),
            ("+447781123456", "GG", Mobile),
            ("+442079460000", "GB", Landline),
            ("+449098790000", "GB", Service),
            ("+79161234567", "RU", Mobile),
            ("+77011234567", "KZ", Mobile),
            ("+48512345678", "PL", Mobile),
            ("+48123456789", "PL", Landline),
            ("+919876543210", "IN", Mobile),
            ("+393123456789", "IT", Mobile),
            ("+38349123456", "XK", Mobile),
            ("+5511961234567", "BR", Mobile),
            ("+35844123456", "FI", Mobile),
            ("+6591234567", "SG", Mobile),
        ] {
            assert_eq!(line(number), Some((country.to_owned(), kind)), "{number}");
        }
    }

    #[test]
    fn what_no_country_assigns_is_nothing() {
        for number in
            ["+4915112", "+1202555012", "+120255501234", "+10005550123", "+21000000000", "+8812345678", "+99999999999"]
        {
            let number: Result<PhoneNumber, _> = number.parse();
            assert_eq!(number.ok().and_then(|number| Line::of(&number)), None);
        }
    }

    #[test]
    fn every_line_of_the_plan_is_a_rule_in_its_place() {
        let lines: Vec<&str> = PLAN.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.is_sorted());
        for line in &lines {
            let rule = Rule::parse(line).unwrap_or_else(|| panic!("{line}"));
            assert!(
                rules_at(rule.stem).any(|found| found.following == rule.following && found.line == rule.line),
                "{line}"
            );
        }
        assert!(Country::all().count() > 230);
    }
}
