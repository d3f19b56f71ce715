//! Usage counters: what is counted, over which window, and the key of each count.

mod call;
mod latency;
mod range;
mod span;

use std::cmp::Ordering;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::message::Channel;
use crate::secret::TenantKeys;
use crate::store::SmallBytes;
use crate::subject::PhoneNumber;
use crate::tenant::{Mode, Space};

pub use call::{ErrorCategory, Route};
pub use latency::{Bucket, Latency};
pub use range::CounterRange;
pub use span::Span;

use span::{DAY, HOUR};

/// How long the details of calls are kept: for the last hours, and for reports.
const RECENT: Duration = Duration::from_millis(DAY as u64);
/// How long it is remembered what a prefix was sent: two days, as one that is switched off may be so until the next.
const PREFIXES: Duration = Duration::from_millis(2 * DAY as u64);
/// The longest time that a report can look back.
pub(crate) const REPORTED: Duration = Duration::from_secs(400 * 86_400);

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
    /// Users there ever were: those there are, and those that were [erased](Self::UsersErased).
    Users,
    /// Users that verified for the first time.
    NewUsers,
    /// Users that signed in, each once in a window.
    ActiveUsers,
    /// Text messages a provider took.
    SmsSent,
    /// WhatsApp messages a provider took.
    WhatsappSent,
    /// Messages of a channel that were given up.
    MessagesFailed(Channel),
    /// Codes asked for by phone: those by mail are the rest of [`OtpRequests`](Self::OtpRequests).
    PhoneRequests(Channel),
    /// Right guesses by phone: those by mail are the rest of [`SuccessfulLogins`](Self::SuccessfulLogins).
    PhoneLogins(Channel),
    /// Calls of the API.
    ApiCalls,
    /// Calls that were answered with an error.
    FailedCalls,
    /// Calls that failed by a fault of the service or of the tenant's program, and not by what an end user did.
    FaultyCalls,
    /// Microseconds that calls took.
    CallMicros,
    /// Microseconds that calls of one route took.
    RouteMicros(Route),
    /// Calls of one route by how long they took; of all routes together by [`Route::ALL`].
    ResponseTimes(Bucket, Route),
    /// Errors of one category on one route.
    Errors(ErrorCategory, Route),
    /// Users that were erased, with all that told of them.
    UsersErased,
    /// Messages of a channel that arrived, as their providers tell.
    MessagesDelivered(Channel),
    /// Messages of a channel that a provider took and could not deliver, as it tells.
    MessagesUndelivered(Channel),
    /// Messages of a channel that their recipients called unwanted.
    MessagesComplained(Channel),
    /// Changes of tenants and keys in the whole installation: servers watch it to know when to forget what they cached.
    Configuration,
    /// The latest time, in milliseconds, that a server of the installation worked at: the clock of the next one may be behind.
    LatestTime,
    /// Text and WhatsApp messages to the numbers of one prefix, by its digest.
    PrefixSends([u8; 16]),
    /// Right guesses of codes that such messages carried.
    PrefixLogins([u8; 16]),
    /// Until when, in milliseconds, no message goes to a prefix because so few of its codes come back.
    PrefixOff([u8; 16]),
    /// What text and WhatsApp messages cost, in millionths of the currency of the prices.
    Spent,
    /// Whether a day's spending has reached its cap, and that was told.
    SpendCapReached,
    /// Codes asked for by one client network, by its digest.
    RequestsFrom([u8; 16]),
    /// Wrong guesses of one client network, by its digest.
    GuessesFrom([u8; 16]),
    /// Mails that members were sent by request of one client network, by its digest.
    MemberMailsFrom([u8; 16]),
    /// Tries of one client network to sign in as a member, by its digest.
    MemberTriesFrom([u8; 16]),
    /// Invitations to a team.
    Invitations,
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
            Counter::NewUsers => 7,
            Counter::ActiveUsers => 8,
            Counter::SmsSent => 9,
            Counter::WhatsappSent => 10,
            Counter::MessagesFailed(_) => 11,
            Counter::PhoneRequests(_) => 12,
            Counter::PhoneLogins(_) => 13,
            Counter::ApiCalls => 14,
            Counter::FailedCalls => 15,
            Counter::CallMicros => 16,
            Counter::RouteMicros(_) => 17,
            Counter::ResponseTimes(..) => 18,
            Counter::Errors(..) => 19,
            Counter::UsersErased => 20,
            Counter::FaultyCalls => 21,
            Counter::PrefixSends(_) => 22,
            Counter::PrefixLogins(_) => 23,
            Counter::PrefixOff(_) => 24,
            Counter::Spent => 25,
            Counter::SpendCapReached => 26,
            Counter::Configuration => 32,
            Counter::LatestTime => 33,
            Counter::MessagesDelivered(_) => 36,
            Counter::MessagesUndelivered(_) => 37,
            Counter::MessagesComplained(_) => 38,
            Counter::MemberMailsFrom(_) => 56,
            Counter::MemberTriesFrom(_) => 57,
            Counter::Invitations => 58,
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
            7 => Counter::NewUsers,
            8 => Counter::ActiveUsers,
            9 => Counter::SmsSent,
            10 => Counter::WhatsappSent,
            11 => Counter::MessagesFailed(Channel::from_byte(*part.first()?)?),
            12 => Counter::PhoneRequests(Channel::from_byte(*part.first()?)?),
            13 => Counter::PhoneLogins(Channel::from_byte(*part.first()?)?),
            14 => Counter::ApiCalls,
            15 => Counter::FailedCalls,
            16 => Counter::CallMicros,
            17 => Counter::RouteMicros(Route::from_bytes(part)?),
            18 => {
                let (bucket, route) = part.split_first_chunk()?;
                Counter::ResponseTimes(Bucket::from_bytes(*bucket), Route::from_bytes(route)?)
            }
            19 => {
                let (category, route) = part.split_first()?;
                Counter::Errors(ErrorCategory::from_byte(*category)?, Route::from_bytes(route)?)
            }
            20 => Counter::UsersErased,
            21 => Counter::FaultyCalls,
            22 => Counter::PrefixSends(part.try_into().ok()?),
            23 => Counter::PrefixLogins(part.try_into().ok()?),
            24 => Counter::PrefixOff(part.try_into().ok()?),
            25 => Counter::Spent,
            26 => Counter::SpendCapReached,
            32 => Counter::Configuration,
            33 => Counter::LatestTime,
            36 => Counter::MessagesDelivered(Channel::from_byte(*part.first()?)?),
            37 => Counter::MessagesUndelivered(Channel::from_byte(*part.first()?)?),
            38 => Counter::MessagesComplained(Channel::from_byte(*part.first()?)?),
            56 => Counter::MemberMailsFrom(part.try_into().ok()?),
            57 => Counter::MemberTriesFrom(part.try_into().ok()?),
            58 => Counter::Invitations,
            64 => Counter::RequestsFrom(part.try_into().ok()?),
            65 => Counter::GuessesFrom(part.try_into().ok()?),
            _ => return None,
        })
    }

    /// What tells those of one code apart.
    fn part(&self) -> SmallBytes {
        match self {
            Counter::RequestsFrom(part)
            | Counter::GuessesFrom(part)
            | Counter::MemberMailsFrom(part)
            | Counter::MemberTriesFrom(part) => part.into(),
            Counter::PrefixSends(part) | Counter::PrefixLogins(part) | Counter::PrefixOff(part) => part.into(),
            Counter::MessagesFailed(channel) | Counter::PhoneRequests(channel) | Counter::PhoneLogins(channel) => {
                (&[channel.byte()]).into()
            }
            Counter::MessagesDelivered(channel)
            | Counter::MessagesUndelivered(channel)
            | Counter::MessagesComplained(channel) => (&[channel.byte()]).into(),
            Counter::RouteMicros(route) => SmallBytes::concat(&[route.as_bytes()]),
            Counter::ResponseTimes(bucket, route) => SmallBytes::concat(&[&bucket.to_bytes(), route.as_bytes()]),
            Counter::Errors(category, route) => SmallBytes::concat(&[&[category.byte()], route.as_bytes()]),
            _ => SmallBytes::EMPTY,
        }
    }

    /// The keyed digest that numbers are counted under which begin with the same seven digits.
    pub fn prefix_digest(keys: &TenantKeys, number: &PhoneNumber) -> [u8; 16] {
        let prefix: String = number.canonical().chars().skip(1).take(7).collect();
        let digest = keys.index(&[b"prefix", prefix.as_bytes()]);
        digest.0[..16].try_into().unwrap_or_default()
    }

    /// The keyed digest that a client network is counted under.
    pub fn network_digest(keys: &TenantKeys, network: IpNet) -> [u8; 16] {
        let digest = keys.index(&[b"network", network.to_string().as_bytes()]);
        digest.0[..16].try_into().unwrap_or_default()
    }
}

/// One count: whose, of what, over which window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

    /// From when on the count may be forgotten. Usage is kept; counts of client networks and of
    /// prefixes and details of calls are not.
    pub fn expires_at(&self) -> Option<Timestamp> {
        let kept_for = match self.counter {
            Counter::RequestsFrom(_)
            | Counter::GuessesFrom(_)
            | Counter::MemberMailsFrom(_)
            | Counter::MemberTriesFrom(_)
            | Counter::Invitations => Duration::from_millis(2 * HOUR as u64),
            Counter::PrefixSends(_) | Counter::PrefixLogins(_) | Counter::PrefixOff(_) => PREFIXES,
            Counter::SpendCapReached => PREFIXES,
            _ if self.span == Span::FiveMinutes => Duration::from_millis(HOUR as u64),
            Counter::RouteMicros(_) | Counter::ResponseTimes(..) => RECENT,
            Counter::Errors(..) => REPORTED,
            _ => return None,
        };
        Some(self.starts_at + kept_for)
    }

    /// The form stores keep, which sorts by tenant, mode, counter, span and time.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(60);
        bytes.extend_from_slice(self.space.tenant.as_bytes());
        bytes.extend_from_slice(&[self.space.mode.byte(), self.counter.code(), self.span.code()]);
        bytes.extend_from_slice(&self.starts_at.as_millis().to_be_bytes());
        bytes.extend_from_slice(self.counter.part().as_slice());
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
        (key.counter.part().as_slice() == part).then_some(key)
    }
}

/// As [`to_bytes`](CounterKey::to_bytes) sorts.
impl Ord for CounterKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let place =
            |key: &Self| (key.space.tenant, key.space.mode.byte(), key.counter.code(), key.span.code(), key.starts_at);
        place(self).cmp(&place(other)).then_with(|| self.counter.part().cmp(&other.counter.part()))
    }
}

impl PartialOrd for CounterKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
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

    /// With every part that has a form of its own.
    fn keys() -> Vec<CounterKey> {
        let space = Space { tenant: TenantId::from_bytes([7; 16]), mode: Mode::Test };
        let parts: [&[u8]; 5] = [&[9; 16], b"\x01", b"\x00\x21", b"\x02verify-otp", b"\x00\x21verify-otp"];
        let counters = (0..=u8::MAX).flat_map(|code| parts.map(|part| (code, Counter::from_code(code, part))));
        let counters =
            counters.filter_map(|(code, counter)| counter.inspect(|counter| assert_eq!(counter.code(), code)));
        let times = [1_769_847_330_123, 1_769_857_330_123].map(Timestamp::from_millis);
        let of_span = |counter| Span::ALL.map(|span| times.map(|at| CounterKey::at(space, counter, span, at))).concat();
        counters.flat_map(of_span).collect()
    }

    #[test]
    fn a_stored_key_is_read_back_and_nothing_else_is() {
        for key in keys() {
            let bytes = key.to_bytes();
            assert_eq!(CounterKey::from_bytes(&bytes), Some(key));
            assert_eq!(CounterKey::from_bytes(&[&bytes[..], &[0]].concat()), None);
            assert_ne!(CounterKey::from_bytes(&bytes[..bytes.len() - 1]), Some(key));
        }
    }

    #[test]
    fn keys_sort_as_their_stored_form() {
        let (mut keys, mut stored) = (keys(), keys().iter().map(CounterKey::to_bytes).collect::<Vec<_>>());
        keys.sort_unstable();
        stored.sort_unstable();
        assert_eq!(keys.iter().map(CounterKey::to_bytes).collect::<Vec<_>>(), stored);
    }
}
