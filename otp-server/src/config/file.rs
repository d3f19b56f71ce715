//! The configuration file.
//!
//! An error never repeats a line of the file, as the TOML reader would: the line may hold a secret.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::layers::{Layers, Origin};
use super::{Mistake, Setting};

/// What stands in the file, which has to exist because `named_by` names it.
pub(super) fn read(path: &Path, named_by: &str) -> Result<Option<Layers>, Mistake> {
    match read_if_there(path)? {
        Some(layers) => Ok(Some(layers)),
        None => Err(Mistake::new(format_args!("{named_by}: there is no file {}; correct the path", path.display()))),
    }
}

/// As [`read`], for a file that may be missing.
pub(super) fn read_if_there(path: &Path) -> Result<Option<Layers>, Mistake> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&text, path).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Mistake::new(format_args!("OTP_CONFIG: {} cannot be read: {error}", path.display()))),
    }
}

pub(super) fn parse(text: &str, path: &Path) -> Result<Layers, Mistake> {
    let read = toml::from_str::<Contents>(text);
    let contents = read.map_err(|error| {
        let (line, column) = error.span().map_or((1, 1), |span| position(text, span.start));
        Mistake::new(format_args!("{}, line {line}, column {column}: {}", path.display(), error.message()))
    })?;
    let mut layers = Layers::default();
    for (setting, value) in contents.0 {
        let (line, _) = position(text, value.span().start);
        layers.set(setting, value.into_inner().0, Origin::File(path.to_owned(), line));
    }
    Ok(layers)
}

/// Line and column of a byte, both from 1.
pub(super) fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

struct Contents(Vec<(Setting, Spanned<Text>)>);

impl<'de> Deserialize<'de> for Contents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ContentsVisitor)
    }
}

struct ContentsVisitor;

impl<'de> Visitor<'de> for ContentsVisitor {
    type Value = Contents;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Contents, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Contents(entries))
    }
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        Setting::named(&key).ok_or_else(|| {
            let known: Vec<_> = Setting::ALL.iter().map(|setting| setting.key()).collect();
            D::Error::custom(format_args!("unknown key `{key}`; the keys are {}", known.join(", ")))
        })
    }
}

/// A value as a variable would have it: numbers as their digits, lists with commas.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in double quotes, a number or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Text, A::Error> {
        let mut texts: Vec<String> = Vec::new();
        while let Some(Text(text)) = list.next_element()? {
            texts.push(text);
        }
        Ok(Text(texts.join(",")))
    }

    // The words of the default implementations repeat the value.
    fn visit_bool<E: Error>(self, _: bool) -> Result<Text, E> {
        Err(E::custom("a text in double quotes is expected here, not true or false"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Text, E> {
        Err(E::custom("a text in double quotes or a whole number is expected here"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Text, A::Error> {
        Err(A::Error::custom("a text in double quotes is expected here, not a table; all keys stand at the top"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> String {
        parse(text, "otp.toml".as_ref()).unwrap_err().to_string()
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_repeats_no_value() {
        let unknown = mistake("listen = \"x\"\nlissten = \"hush\"\n");
        assert!(
            unknown.starts_with("otp.toml, line 2, column 1: unknown key `lissten`; the keys are listen, "),
            "{unknown}"
        );
        for (text, place) in [
            ("\nadmin_token = true", "line 2, column 15"),
            ("admin_token = 1.5", "line 1, column 15"),
            ("admin_token = hush", "line 1, column 15"),
            ("admin_token = 2026-01-31", "line 1, column 15"),
            ("admin_token = \"hush\" hush", "line 1"),
            ("admin_token = \"hush", "line 1"),
            ("[admin_token]\nhush = 1", "line 1"),
            ("admin_token = \"a\"\nadmin_token = \"hush\"", "line 2, column 1"),
        ] {
            let mistake = mistake(text);
            assert!(mistake.contains(place), "{text}: {mistake}");
            assert!(!mistake.contains("hush") && !mistake.contains("1.5"), "{text}: {mistake}");
        }
    }

    #[test]
    fn numbers_and_lists_read_like_variables() {
        let layers = parse("max_connections = 7\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]", "x".as_ref()).unwrap();
        assert_eq!(layers.read(Setting::MaxConnections, |text| Ok(text.to_owned())).unwrap(), "7");
        assert_eq!(layers.read(Setting::TrustedProxies, |text| Ok(text.to_owned())).unwrap(), "10.0.0.0/8,::1");
    }
}
