//! Which events are meant.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::EventKind;

/// Which events somebody wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFilter {
    /// All: `*`.
    All,
    /// Those of one kind.
    Kind(EventKind),
}

impl EventFilter {
    /// Whether events of this kind are meant.
    pub fn admits(self, kind: EventKind) -> bool {
        self == EventFilter::All || self == EventFilter::Kind(kind)
    }
}

/// The text names no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no event; use `*` for all, or names such as {first}", first = EventKind::ALL[0].as_str())]
pub struct UnknownEvent(String);

impl FromStr for EventFilter {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        if text == "*" {
            return Ok(EventFilter::All);
        }
        let known = EventKind::ALL.iter().find(|kind| kind.as_str() == text);
        known.map(|kind| EventFilter::Kind(*kind)).ok_or_else(|| UnknownEvent(text.chars().take(64).collect()))
    }
}

impl Serialize for EventFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            EventFilter::All => "*",
            EventFilter::Kind(kind) => kind.as_str(),
        })
    }
}

impl<'de> Deserialize<'de> for EventFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::read(deserializer, str::parse)
    }
}
