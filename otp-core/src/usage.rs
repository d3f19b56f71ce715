//! Usage counters: what is counted, over which window, and the key of each count.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::secret::TenantKeys;
use crate::tenant::{Mode, Space};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Counter {
    /// Codes asked for: the quota.
    OtpRequests,
    /// Guesses judged.
    OtpVerifications,
    /// Right guesses.
    SuccessfulLogins,
    /// Wrong guesses.
    FailedAttempts,
    /// Mails a provider took.
    EmailsSent,
    /// Users there are.
    Users,
    /// Changes of tenants and keys in the whole installation: servers watch it to know when to forget what they cached.
    Configuration,
    /// The latest time, in milliseconds, that a server of the installation worked at: the clock of the next one may be behind.
    LatestTime,
    /// Codes asked for by one client network, by its digest.
    RequestsFrom([u8; 16]),
    /// Wrong guesses of one client network, by its digest.
    GuessesFrom([u8; 16]),
}

impl Counter {
    const fn code(self) -> u8 {
        match self {
            Counter::OtpRequests => 1,
            Counter::OtpVerifications => 2,
            Counter::SuccessfulLogins => 3,
            Counter::FailedAttempts => 4,
            Counter::EmailsSent => 5,
            Counter::Users => 6,
            Counter::Configuration => 32,
            Counter::LatestTime => 33,
            Counter::RequestsFrom(_) => 64,
            Counter::GuessesFrom(_) => 65,
        }
    }

    fn from_code(code: u8, part: &[u8]) -> Option<Self> {
        Some(match code {
            1 => Counter::OtpRequests,
            2 => Counter::OtpVerifications,
            3 => Counter::SuccessfulLogins,
            4 => Counter::FailedAttempts,
            5 => Counter::EmailsSent,
            6 => Counter::Users,
            32 => Counter::Configuration,
            33 => Counter::LatestTime,
            64 => Counter::RequestsFrom(part.try_into().ok()?),
            65 => Counter::GuessesFrom(part.try_into().ok()?),
            _ => return None,
        })
    }

    fn part(&self) -> &[u8] {
        match self {
            Counter::RequestsFrom(part) | Counter::GuessesFrom(part) => part,
            _ => &[],
        }
    }

    /// The keyed digest that a client network is counted under.
    pub fn network_digest(keys: &TenantKeys, network: IpNet) -> [u8; 16] {
        let digest = keys.index(&[b"network", network.to_string().as_bytes()]);
        digest.0[..16].try_into().unwrap_or_default()
    }
}

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
}

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

impl Span {
    /// Where the window that holds `at` begins.
    pub fn start(self, at: Timestamp) -> Timestamp {
        let millis = at.as_millis();
        Timestamp::from_millis(match self {
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
            Span::Hour => Timestamp::from_millis(start + HOUR),
            Span::Day => Timestamp::from_millis(start + DAY),
            Span::Month => Span::Month.start(Timestamp::from_millis(start + 31 * DAY + HOUR)),
            Span::Ever => Timestamp::from_millis(i64::MAX),
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Span::Hour, Span::Day, Span::Month, Span::Ever].into_iter().find(|span| span.code() == code)
    }

    const fn code(self) -> u8 {
        match self {
            Span::Hour => 1,
            Span::Day => 2,
            Span::Month => 3,
            Span::Ever => 4,
        }
    }
}

fn day_of_month(at: Timestamp) -> i8 {
    jiff::tz::Offset::UTC.to_datetime(at.civil()).day()
}

/// One count: whose, of what, over which window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CounterKey {
    /// Tenant and mode.
    pub space: Space,
    /// What.
    pub counter: Counter,
    /// Over which span.
    pub span: Span,
    /// Where the window begins.
    pub starts_at: Timestamp,
}

impl CounterKey {
    /// The count of the window that holds `at`.
    pub fn at(space: Space, counter: Counter, span: Span, at: Timestamp) -> Self {
        Self { space, counter, span, starts_at: span.start(at) }
    }

    /// How often tenants and keys of the installation have changed.
    pub const CONFIGURATION: Self = Self::of_installation(Counter::Configuration);

    /// The latest time that a server of the installation worked at.
    pub const LATEST_TIME: Self = Self::of_installation(Counter::LatestTime);

    const fn of_installation(counter: Counter) -> Self {
        let space = Space { tenant: TenantId::from_bytes([0; 16]), mode: Mode::Live };
        Self { space, counter, span: Span::Ever, starts_at: Timestamp::from_millis(0) }
    }

    /// The count of the window before.
    pub fn before(self) -> Self {
        Self::at(self.space, self.counter, self.span, Timestamp::from_millis(self.starts_at.as_millis() - 1))
    }

    /// Whose count it is.
    pub fn tenant(&self) -> TenantId {
        self.space.tenant
    }

    /// From when on the count may be forgotten. Usage is kept; counts of client networks are not.
    pub fn expires_at(&self) -> Option<Timestamp> {
        let fleeting = matches!(self.counter, Counter::RequestsFrom(_) | Counter::GuessesFrom(_));
        fleeting.then(|| Timestamp::from_millis(self.starts_at.as_millis() + 2 * HOUR))
    }

    /// The form stores keep, which sorts by tenant, mode, counter, span and time.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(44);
        bytes.extend_from_slice(self.space.tenant.as_bytes());
        bytes.extend_from_slice(&[self.space.mode.byte(), self.counter.code(), self.span.code()]);
        bytes.extend_from_slice(&self.starts_at.as_millis().to_be_bytes());
        bytes.extend_from_slice(self.counter.part());
        bytes
    }

    /// The key that [`to_bytes`](Self::to_bytes) made these of; `None` if they are of none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tenant, rest) = bytes.split_first_chunk::<16>()?;
        let ([mode, counter, span], rest) = rest.split_first_chunk::<3>()?;
        let (starts_at, part) = rest.split_first_chunk::<8>()?;
        let mode = Mode::ALL.into_iter().find(|known| known.byte() == *mode)?;
        let key = Self {
            space: Space { tenant: TenantId::from_bytes(*tenant), mode },
            counter: Counter::from_code(*counter, part)?,
            span: Span::from_code(*span)?,
            starts_at: Timestamp::from_millis(i64::from_be_bytes(*starts_at)),
        };
        (key.counter.part() == part).then_some(key)
    }
}

/// Mode of a space, for counting and limits: test data is counted but never against a plan.
impl Space {
    /// Whether the plan's quotas apply here.
    pub fn is_billed(&self) -> bool {
        self.mode == Mode::Live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_key_is_read_back_and_nothing_else_is() {
        let space = Space { tenant: TenantId::from_bytes([7; 16]), mode: Mode::Test };
        let at = Timestamp::from_millis(1_769_847_330_123);
        for code in 0..=u8::MAX {
            let Some(counter) = Counter::from_code(code, &[9; 16]) else { continue };
            assert_eq!(counter.code(), code);
            for span in [Span::Hour, Span::Day, Span::Month, Span::Ever] {
                let key = CounterKey::at(space, counter, span, at);
                let bytes = key.to_bytes();
                assert_eq!(CounterKey::from_bytes(&bytes), Some(key));
                assert_eq!(CounterKey::from_bytes(&bytes[..bytes.len() - 1]), None);
                assert_eq!(CounterKey::from_bytes(&[&bytes[..], &[0]].concat()), None);
            }
        }
    }

    #[test]
    fn windows_are_calendar_windows() {
        let at = |text: &str| Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        for (span, inside, start, end) in [
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
