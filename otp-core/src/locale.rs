//! The language that somebody reads, as a tag of BCP 47 (RFC 5646): `de`, `de-CH`, `zh-Hant-TW`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Characters of the longest tag.
const LONGEST: usize = 35;

/// A well-formed language tag in its usual spelling: `DE-ch` is `de-CH`. Nothing is known of what the language is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locale(String);

/// A text is no language tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a language tag such as de or pt-BR (BCP 47), of up to {LONGEST} characters")]
pub struct InvalidLocale;

impl Locale {
    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag, then what is left of it subtag by subtag (RFC 4647 section 3.4): `zh-Hant-TW`, `zh-Hant`, `zh`.
    pub fn fallbacks(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self.0.as_str()), |tag| {
            let (shorter, _) = tag.rsplit_once('-')?;
            // What begins an extension is nothing without it.
            Some(shorter.rsplit_once('-').filter(|(_, last)| last.len() == 1).map_or(shorter, |(before, _)| before))
        })
    }
}

impl FromStr for Locale {
    type Err = InvalidLocale;

    fn from_str(text: &str) -> Result<Self, InvalidLocale> {
        if text.len() > LONGEST || !is_well_formed(text) {
            return Err(InvalidLocale);
        }
        let mut in_extension = false;
        let spelled = text.split('-').enumerate().map(|(place, subtag)| {
            in_extension |= subtag.len() == 1;
            match subtag.len() {
                2 if place > 0 && !in_extension => subtag.to_ascii_uppercase(),
                4 if place > 0 && !in_extension && subtag.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                    format!("{}{}", subtag[..1].to_ascii_uppercase(), subtag[1..].to_ascii_lowercase())
                }
                _ => subtag.to_ascii_lowercase(),
            }
        });
        Ok(Self(spelled.collect::<Vec<_>>().join("-")))
    }
}

/// The `langtag` of RFC 5646 section 2.1; tags that are private as a whole and those of before RFC 4646 are refused.
fn is_well_formed(text: &str) -> bool {
    let alphabetic = |subtag: &str| subtag.bytes().all(|byte| byte.is_ascii_alphabetic());
    let subtags: Vec<&str> = text.split('-').collect();
    let is_plain =
        |subtag: &&str| (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let [language, rest @ ..] = subtags.as_slice() else { return false };
    if !subtags.iter().all(is_plain) || language.len() < 2 || !alphabetic(language) {
        return false;
    }
    let mut rest = rest.iter().copied().peekable();
    for _ in 0..if language.len() <= 3 { 3 } else { 0 } {
        rest.next_if(|subtag| subtag.len() == 3 && alphabetic(subtag));
    }
    rest.next_if(|subtag| subtag.len() == 4 && alphabetic(subtag));
    rest.next_if(|subtag| match subtag.len() {
        2 => alphabetic(subtag),
        3 => subtag.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    });
    let is_variant =
        |subtag: &&str| subtag.len() >= 5 || subtag.len() == 4 && subtag.starts_with(|c: char| c.is_ascii_digit());
    while rest.next_if(is_variant).is_some() {}
    while let Some(singleton) = rest.next_if(|subtag| subtag.len() == 1) {
        let is_private = singleton.eq_ignore_ascii_case("x");
        let mut held = 0;
        while rest.next_if(|subtag| is_private || subtag.len() >= 2).is_some() {
            held += 1;
        }
        if held == 0 {
            return false;
        }
    }
    rest.next().is_none()
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Locale {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Locale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::read(deserializer, str::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_in_any_case_and_has_one_spelling() {
        for (text, spelled) in [
            ("de", "de"),
            ("DE-ch", "de-CH"),
            ("ZH-hANT-tw", "zh-Hant-TW"),
            ("es-419", "es-419"),
            ("zh-yue-HK", "zh-yue-HK"),
            ("sl-rozaj-biske-1994", "sl-rozaj-biske-1994"),
            ("de-1996", "de-1996"),
            ("EN-us-U-CA-gregory", "en-US-u-ca-gregory"),
            ("pt-BR-X-Twain-A", "pt-BR-x-twain-a"),
            ("und", "und"),
        ] {
            assert_eq!(text.parse::<Locale>().map(|locale| locale.to_string()), Ok(spelled.to_owned()));
        }
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        let long = format!("de-{}", "a".repeat(9));
        let longer = ["de"; 12].join("-variant");
        for text in [
            "",
            "-",
            "d",
            "de-",
            "-de",
            "de--CH",
            "de_CH",
            "d1",
            "x-private",
            "i-klingon",
            "de-CH-AT",
            "de-u",
            "de-x",
            "en-u-a-b",
            "de CH",
            "dé",
            "de\r\nBcc",
            "de-CH\0",
            "123",
            "*",
            "de;q=1",
            &long,
            &longer,
        ] {
            assert_eq!(text.parse::<Locale>(), Err(InvalidLocale), "{text:?}");
        }
    }

    #[test]
    fn a_tag_falls_back_to_its_beginnings() {
        for (tag, expected) in [
            ("de", vec!["de"]),
            ("zh-Hant-TW", vec!["zh-Hant-TW", "zh-Hant", "zh"]),
            ("en-US-u-ca-gregory", vec!["en-US-u-ca-gregory", "en-US-u-ca", "en-US", "en"]),
        ] {
            assert_eq!(tag.parse::<Locale>().unwrap().fallbacks().collect::<Vec<_>>(), expected);
        }
    }
}
