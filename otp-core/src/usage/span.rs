//! The windows that counts cover.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The span a count covers. Windows begin in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Span {
    /// A clock hour.
    Hour,
    /// A calendar day.
    Day,
    /// A calendar month.
    Month,
    /// All of time.
    Ever,
    /// Five minutes, for whoever has to know soon that something is wrong.
    FiveMinutes,
}

const FIVE_MINUTES: i64 = 300_000;
pub(super) const HOUR: i64 = 3_600_000;
pub(super) const DAY: i64 = 24 * HOUR;

impl Span {
    /// Where the window that holds `at` begins.
    pub fn start(self, at: Timestamp) -> Timestamp {
        let millis = at.as_millis();
        Timestamp::from_millis(match self {
            Span::FiveMinutes => millis - millis.rem_euclid(FIVE_MINUTES),
            Span::Hour => millis - millis.rem_euclid(HOUR),
            Span::Day => millis - millis.rem_euclid(DAY),
            Span::Month => millis - millis.rem_euclid(DAY) - i64::from(day_of_month(at) - 1) * DAY,
            Span::Ever => 0,
        })
    }

    /// Where the window after the one that holds `at` begins.
    pub fn end(self, at: Timestamp) -> Timestamp {
        let start = self.start(at).as_millis();
        match self {
            Span::FiveMinutes => Timestamp::from_millis(start + FIVE_MINUTES),
            Span::Hour => Timestamp::from_millis(start + HOUR),
            Span::Day => Timestamp::from_millis(start + DAY),
            Span::Month => Span::Month.start(Timestamp::from_millis(start + 31 * DAY + HOUR)),
            Span::Ever => Timestamp::from_millis(i64::MAX),
        }
    }

    /// All of them, in the order of their codes.
    pub const ALL: [Span; 5] = [Span::Hour, Span::Day, Span::Month, Span::Ever, Span::FiveMinutes];

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.code() == code)
    }

    pub(super) const fn code(self) -> u8 {
        match self {
            Span::Hour => 1,
            Span::Day => 2,
            Span::Month => 3,
            Span::Ever => 4,
            Span::FiveMinutes => 5,
        }
    }
}

fn day_of_month(at: Timestamp) -> i8 {
    jiff::tz::Offset::UTC.to_datetime(at.civil()).day()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_calendar_windows() {
        let at = |text: &str| Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        for (span, inside, start, end) in [
            (Span::FiveMinutes, "2026-02-28T23:59:59.999Z", "2026-02-28T23:55:00Z", "2026-03-01T00:00:00Z"),
            (Span::Hour, "2026-02-28T23:59:59.999Z", "2026-02-28T23:00:00Z", "2026-03-01T00:00:00Z"),
            (Span::Day, "2026-02-28T23:59:59.999Z", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"),
            (Span::Month, "2026-02-28T23:59:59.999Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            (Span::Month, "2026-12-31T12:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            (Span::Month, "2028-02-29T00:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        ] {
            assert_eq!((span.start(at(inside)), span.end(at(inside))), (at(start), at(end)), "{span:?} {inside}");
        }
    }
}
