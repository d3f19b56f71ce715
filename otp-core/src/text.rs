//! Texts that stand for something else, as they are read out of JSON.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Reads what a text stands for, without a copy of the text where it can be had in its place.
pub(crate) fn read<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text(read))
}

struct Text<F>(F);

impl<T, E: fmt::Display, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<G: Error>(self, text: &str) -> Result<T, G> {
        (self.0)(text).map_err(G::custom)
    }
}
