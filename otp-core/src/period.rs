//! The period of a report: days of a calendar, cut into hours, days or months.

use jiff::civil::{Date, Time};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{ToSpan, Unit};

use crate::clock::Timestamp;
use crate::error::Error;
use crate::usage::Span;

/// The most days of a period.
const DAYS: i32 = 400;
/// The most days of a period that is cut into hours.
const DAYS_OF_HOURS: i32 = 31;
/// The days of a period whose start is left out.
const USUAL: i64 = 30;

/// What a report is asked for, as the wire writes it.
#[derive(Clone, Debug, Default)]
pub struct PeriodQuery {
    /// The first day, `YYYY-MM-DD`; 29 days before the last if left out.
    pub start_date: Option<String>,
    /// The last day, `YYYY-MM-DD`; today if left out.
    pub end_date: Option<String>,
    /// `hour`, `day` or `month`; days if left out.
    pub granularity: Option<String>,
    /// The IANA name of the zone whose days are meant; UTC if left out.
    pub timezone: Option<String>,
}

/// Part of a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// What it is called: a month, a day, or the time at which an hour begins.
    pub label: String,
    /// Where it begins.
    pub from: Timestamp,
    /// Where the next begins.
    pub until: Timestamp,
}

/// Days from one to another, both included. They begin at full hours of UTC, so that counts of hours add up to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// The first day.
    pub start: String,
    /// The last day.
    pub end: String,
    /// Its parts, without gaps, the earliest first.
    pub windows: Vec<Window>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Granularity {
    Hour,
    Day,
    Month,
}

impl Period {
    /// Reads what is asked for.
    ///
    /// # Errors
    /// [`Error::Invalid`]: `invalid_period`, `invalid_granularity`, `invalid_timezone`.
    pub fn parse(query: &PeriodQuery, now: Timestamp) -> Result<Self, Error> {
        Self::parse_from(query, now, USUAL)
    }

    /// As [`parse`](Self::parse), with so many days if the first is left out.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_from(query: &PeriodQuery, now: Timestamp, usual: i64) -> Result<Self, Error> {
        let zone = zone(query.timezone.as_deref())?;
        let granularity = granularity(query.granularity.as_deref())?;
        let end = match &query.end_date {
            Some(text) => date("endDate", text)?,
            None => now.civil().to_zoned(zone.clone()).date(),
        };
        let start = match &query.start_date {
            Some(text) => date("startDate", text)?,
            None => end.checked_sub((usual - 1).days()).unwrap_or(end),
        };
        check_length(start, end, granularity)?;
        let from = |date: Date| begin(date, &zone);
        let days = start.series(1.day()).take_while(|day| *day <= end);
        let days = days.map(|day| Ok(Window { label: day.to_string(), from: from(day)?, until: from(after(day)?)? }));
        let days = days.collect::<Result<Vec<_>, Error>>()?;
        let windows = match granularity {
            Granularity::Day => days,
            Granularity::Hour => days.iter().flat_map(hours).collect(),
            Granularity::Month => months(days),
        };
        Ok(Self { start: start.to_string(), end: end.to_string(), windows })
    }

    /// Where it begins.
    pub fn from(&self) -> Timestamp {
        self.windows.first().map(|window| window.from).unwrap_or_default()
    }

    /// Where what follows begins.
    pub fn until(&self) -> Timestamp {
        self.windows.last().map(|window| window.until).unwrap_or_default()
    }

    /// The window that holds a time.
    pub fn window_of(&self, at: Timestamp) -> Option<usize> {
        let behind = self.windows.partition_point(|window| window.from <= at);
        behind.checked_sub(1).filter(|index| at < self.windows[*index].until)
    }
}

impl Window {
    /// Whether it consists of whole days in UTC.
    pub fn is_of_days(&self) -> bool {
        [self.from, self.until].into_iter().all(|border| Span::Day.start(border) == border)
    }
}

fn zone(name: Option<&str>) -> Result<TimeZone, Error> {
    let Some(name) = name else { return Ok(TimeZone::UTC) };
    let found = TimeZoneDatabase::bundled().get(name).ok().filter(|zone| !zone.is_unknown());
    let unknown = "use the IANA name of a time zone, such as Europe/Berlin";
    found.ok_or_else(|| Error::invalid("invalid_timezone", "timezone", unknown))
}

fn granularity(name: Option<&str>) -> Result<Granularity, Error> {
    match name {
        None | Some("day") => Ok(Granularity::Day),
        Some("hour") => Ok(Granularity::Hour),
        Some("month") => Ok(Granularity::Month),
        Some(_) => Err(Error::invalid("invalid_granularity", "granularity", "use hour, day or month")),
    }
}

/// In this form and no other that the calendar reads.
fn date(field: &'static str, text: &str) -> Result<Date, Error> {
    let date = text.parse::<Date>().ok().filter(|date| date.to_string() == text && date.year() >= 1970);
    date.ok_or_else(|| invalid(field, "use a date as in 2026-01-31"))
}

fn invalid(field: &'static str, message: impl ToString) -> Error {
    Error::invalid("invalid_period", field, message)
}

fn check_length(start: Date, end: Date, granularity: Granularity) -> Result<(), Error> {
    if end < start {
        return Err(invalid("endDate", "use a date that is not before startDate"));
    }
    let days = start.until((Unit::Day, end)).map(|span| span.get_days() + 1).unwrap_or(i32::MAX);
    match granularity {
        Granularity::Hour if days > DAYS_OF_HOURS => {
            Err(invalid("startDate", format!("ask for at most {DAYS_OF_HOURS} days by the hour")))
        }
        _ if days > DAYS => Err(invalid("startDate", format!("ask for at most {DAYS} days"))),
        _ => Ok(()),
    }
}

fn after(day: Date) -> Result<Date, Error> {
    day.tomorrow().map_err(|_| invalid("endDate", "use an earlier date"))
}

fn begin(day: Date, zone: &TimeZone) -> Result<Timestamp, Error> {
    let begins = day.to_datetime(Time::midnight()).to_zoned(zone.clone());
    let begins = begins.map_err(|_| invalid("endDate", "use an earlier date"))?.timestamp().as_millisecond();
    let begins = Timestamp::from_millis(begins);
    if Span::Hour.start(begins) == begins {
        return Ok(begins);
    }
    let why =
        "the days of this zone begin within an hour of UTC, and counts are kept by the hour; use a zone of whole hours";
    Err(Error::invalid("invalid_timezone", "timezone", why))
}

fn hours(day: &Window) -> Vec<Window> {
    let (mut hours, mut from) = (Vec::with_capacity(25), day.from);
    while from < day.until {
        let until = Span::Hour.end(from);
        hours.push(Window { label: from.to_string(), from, until });
        from = until;
    }
    hours
}

fn months(days: Vec<Window>) -> Vec<Window> {
    let mut months: Vec<Window> = Vec::new();
    for day in days {
        let label = day.label[..7].to_owned();
        match months.last_mut().filter(|month| month.label == label) {
            Some(month) => month.until = day.until,
            None => months.push(Window { label, ..day }),
        }
    }
    months
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn parse(start: &str, end: &str, granularity: &str, timezone: &str) -> Result<Period, &'static str> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let query = PeriodQuery {
            start_date: given(start),
            end_date: given(end),
            granularity: given(granularity),
            timezone: given(timezone),
        };
        Period::parse(&query, at("2026-01-31T23:30:00Z")).map_err(|error| error.code())
    }

    #[test]
    fn a_period_is_cut_without_gaps() {
        for (start, end, granularity, timezone, windows, from, until) in [
            ("2026-01-01", "2026-01-31", "day", "", 31, "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("2026-01-31", "2026-01-31", "hour", "", 24, "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("2025-12-15", "2026-02-02", "month", "", 3, "2025-12-15T00:00:00Z", "2026-02-03T00:00:00Z"),
            ("2026-03-29", "2026-03-29", "hour", "Europe/Berlin", 23, "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ("2026-10-25", "2026-10-25", "hour", "Europe/Berlin", 25, "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            ("2025-01-01", "2026-02-04", "day", "", 400, "2025-01-01T00:00:00Z", "2026-02-05T00:00:00Z"),
            ("", "", "", "", 30, "2026-01-02T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("", "", "", "Asia/Tokyo", 30, "2026-01-02T15:00:00Z", "2026-02-01T15:00:00Z"),
        ] {
            let period = parse(start, end, granularity, timezone).unwrap();
            assert_eq!((period.from(), period.until()), (at(from), at(until)), "{period:?}");
            assert_eq!(period.windows.len(), windows);
            assert!(period.windows.windows(2).all(|two| two[0].until == two[1].from), "{period:?}");
            assert!(period.windows.iter().all(|window| period.window_of(window.from).is_some()));
            assert_eq!(period.window_of(period.until()), None);
        }
        let labels = |period: Period| period.windows.into_iter().map(|window| window.label).collect::<Vec<_>>();
        assert_eq!(labels(parse("2025-12-31", "2026-01-01", "month", "").unwrap()), ["2025-12", "2026-01"]);
        assert_eq!(labels(parse("2026-01-31", "2026-01-31", "hour", "").unwrap())[1], "2026-01-31T01:00:00.000Z");
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for (start, end, granularity, timezone, code) in [
            ("2026-02-01", "2026-01-31", "day", "", "invalid_period"),
            ("2025-01-01", "2026-02-05", "day", "", "invalid_period"),
            ("2026-01-01", "2026-02-01", "hour", "", "invalid_period"),
            ("2026-02-30", "2026-03-01", "day", "", "invalid_period"),
            ("20260101", "2026-01-31", "day", "", "invalid_period"),
            ("2026-01-01T00:00:00", "2026-01-31", "day", "", "invalid_period"),
            ("1969-12-31", "1970-01-01", "day", "", "invalid_period"),
            ("9999-12-31", "9999-12-31", "day", "", "invalid_period"),
            ("2026-01-01", "2026-01-31", "week", "", "invalid_granularity"),
            ("2026-01-01", "2026-01-31", "day", "Mars/Olympus", "invalid_timezone"),
            ("2026-01-01", "2026-01-31", "day", "Etc/Unknown", "invalid_timezone"),
            ("2026-01-01", "2026-01-31", "day", "Asia/Kolkata", "invalid_timezone"),
        ] {
            assert_eq!(parse(start, end, granularity, timezone), Err(code), "{start} {end} {granularity} {timezone}");
        }
    }
}
