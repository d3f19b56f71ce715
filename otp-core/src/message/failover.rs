//! Several providers for the same messages, in order of preference.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::circuit::{CallId, Circuit, CircuitState, Sign};
use super::{Channel, Handover, Mailer, Outgoing, Receipt, SendError};
use crate::clock::{Clock, Timestamp};

/// How long after the first try another provider is tried. Later, the message is tried again from the start: its lease would
/// end while the other one has it.
const MOVES_ON_WITHIN: Duration = Duration::from_secs(15);

/// A list of providers, of which the first that works takes a message.
///
/// One that cannot be reached, fails, is rate limited or unusable is passed over at once; what one refuses for good is
/// offered to no other. After three failures in a row, or when a call hangs for two seconds with no success since, a provider
/// is passed over without being asked, and one message tries it again after one second, then two, up to a minute. One that
/// says how long it wants to be left alone is left alone for that long, an hour at most. When all of them rest, the
/// message comes back as temporary, with the time at which the first of them is tried again.
///
/// ```
/// use otp_core::SystemClock;
/// use otp_core::message::{Failover, Mailer};
///
/// # fn of(first: impl Mailer, second: impl Mailer) {
/// let mailer = Failover::new(SystemClock::default()).then("first", first).then("second", second);
/// assert_eq!(mailer.providers()[0].name, "first");
/// # }
/// ```
pub struct Failover {
    providers: Vec<Provider>,
    clock: Arc<dyn Clock>,
}

/// How a provider of a [`Failover`] stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderState {
    /// Its name.
    pub name: String,
    /// Whether it is handed messages.
    pub circuit: CircuitState,
    /// Messages on their way to it.
    pub in_flight: usize,
}

struct Provider {
    name: String,
    channels: Vec<Channel>,
    mailer: Box<dyn Mailer>,
    circuit: Mutex<Circuit>,
}

impl Failover {
    /// An empty list, which takes no message.
    pub fn new(clock: impl Clock) -> Self {
        Self { providers: Vec::new(), clock: Arc::new(clock) }
    }

    /// Puts a provider at the end of the list. Names are shown to whoever looks at what became of a message.
    pub fn then(self, name: impl Into<String>, mailer: impl Mailer) -> Self {
        self.then_for(name, Channel::ALL, mailer)
    }

    /// Puts a provider at the end of the list that takes messages of these channels only.
    pub fn then_for(mut self, name: impl Into<String>, channels: impl Into<Vec<Channel>>, mailer: impl Mailer) -> Self {
        let (name, channels) = (name.into(), channels.into());
        self.providers.push(Provider { name, channels, mailer: Box::new(mailer), circuit: Mutex::default() });
        self
    }

    /// How each of them stands, in order of preference.
    pub fn providers(&self) -> Vec<ProviderState> {
        let state = |provider: &Provider| {
            let circuit = provider.circuit();
            let (name, in_flight) = (provider.name.clone(), circuit.in_flight());
            ProviderState { name, circuit: circuit.state, in_flight }
        };
        self.providers.iter().map(state).collect()
    }

    fn serving(&self, channel: Channel) -> impl Iterator<Item = &Provider> {
        self.providers.iter().filter(move |provider| provider.channels.contains(&channel))
    }

    /// What comes back of a message that nobody took.
    fn untaken(&self, channel: Channel, last: Option<SendError>) -> SendError {
        let now = self.clock.now();
        let rests: Option<Vec<Timestamp>> =
            self.serving(channel).map(|provider| provider.circuit().rests_until(now)).collect();
        let retry_after = rests.and_then(|rests| rests.into_iter().min()).map(|until| until.since(now));
        match last {
            Some(SendError::Temporary { reason, .. }) => SendError::Temporary { reason, retry_after },
            Some(error) => error,
            None if self.serving(channel).next().is_none() => {
                SendError::Unusable { reason: format!("no provider for {} is set up", channel.as_str()) }
            }
            None => SendError::Temporary { reason: "every provider rests after it failed".to_owned(), retry_after },
        }
    }
}

#[async_trait]
impl Mailer for Failover {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        self.hand_over(message, self.clock.now()).await.outcome
    }

    async fn hand_over(&self, message: &Outgoing, _now: Timestamp) -> Handover {
        let alone = self.serving(message.channel).nth(1).is_none();
        let (mut attempts, mut last) = (Vec::new(), None);
        let moves_on_until = self.clock.now() + MOVES_ON_WITHIN;
        for provider in self.serving(message.channel) {
            let began = self.clock.now();
            if last.is_some() && moves_on_until < began {
                break;
            }
            let admitted = provider.circuit().admit(began);
            let Ok(id) = admitted else { continue };
            let call = Call { provider, id, alone, clock: &*self.clock };
            let tried = provider.mailer.hand_over(message, began).await;
            call.end(Sign::of(&tried.outcome, message.from_email.is_some()));
            attempts.extend(tried.attempts.into_iter().map(|mut attempt| {
                attempt.provider.get_or_insert_with(|| provider.name.clone());
                attempt
            }));
            match tried.outcome {
                Ok(mut receipt) => {
                    receipt.provider.get_or_insert_with(|| provider.name.clone());
                    return Handover { attempts, outcome: Ok(receipt) };
                }
                Err(error @ (SendError::Permanent { .. } | SendError::Recipient { .. })) => {
                    return Handover { attempts, outcome: Err(error) };
                }
                Err(error) => last = Some(error),
            }
        }
        Handover { attempts, outcome: Err(self.untaken(message.channel, last)) }
    }
}

impl Provider {
    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call of a provider; dropped without an end, it was given up and tells nothing.
struct Call<'a> {
    provider: &'a Provider,
    id: CallId,
    alone: bool,
    clock: &'a dyn Clock,
}

impl Call<'_> {
    fn end(&self, sign: Sign) {
        self.provider.circuit().end(self.id, sign, self.alone, self.clock.now());
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.end(Sign::Nothing);
    }
}
