//! What the guards of text messages are worth: the real engine, in memory and with a clock of its own, between people who
//! sign in and a ring that has codes sent to numbers it is paid for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use otp_core::error::Error;
use otp_core::limit::Guard;
use otp_core::message::{Channel, Mailer, Outgoing, Receipt, SendError};
use otp_core::numbering::{Country, price};
use otp_core::store::MemoryStore;
use otp_core::tenant::Settings;
use otp_core::{
    Address, Caller, Clock, EditTenant, KeyRing, ManualClock, Mode, NewTenant, OtpRequest, OtpVerification, Random,
    SeededRandom, Service,
};

/// How long a person takes to read a code and to type it.
const READING: Duration = Duration::from_secs(20);
/// Of a hundred people so many say their code.
const SAID: u64 = 90;

/// What is simulated.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Pumping {
    /// Numbers of the ring, each of which asks for a code once
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub numbers: u64,
    /// Blocks of numbers with the same first seven digits that the ring has
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub prefixes: u64,
    /// People who sign in meanwhile
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    pub users: u64,
    /// Hours that all of it takes
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=720))]
    pub hours: u64,
    /// Another one makes other numbers at other times
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// What came of one side's requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Codes asked for.
    pub asked: u64,
    /// Messages that left.
    pub sent: u64,
    /// Codes said.
    pub said: u64,
    /// Requests that a guard refused, by the guard.
    pub refused: [u64; 3],
    /// What the messages cost, in millionths of a US dollar.
    pub cost: u64,
    /// What they would have cost without guards.
    pub unguarded: u64,
}

/// The guards, in the order of [`Tally::refused`].
pub const GUARDS: [Guard; 3] = [Guard::PrefixVelocity, Guard::PrefixConversion, Guard::DailySpend];

/// What came of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The ring.
    pub ring: Tally,
    /// The people.
    pub users: Tally,
}

#[derive(Default)]
struct Phones(Mutex<HashMap<String, String>>);

#[async_trait]
impl Mailer for Phones {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        let code = message.code.as_ref().map(|code| code.expose().to_owned()).unwrap_or_default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(message.to.clone(), code);
        Ok(Receipt::default())
    }
}

impl Phones {
    fn take(&self, number: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(number)
    }
}

/// Somebody asks for a code.
struct Ask {
    after: Duration,
    number: String,
    is_ring: bool,
    says_it: bool,
}

impl Pumping {
    /// Lets it happen.
    ///
    /// # Errors
    /// [`Error`], as the engine has it; a refusal by a limit or a guard is none.
    pub async fn run(self) -> Result<Outcome, Error> {
        let (clock, phones) = (Arc::new(ManualClock::default()), Arc::new(Phones::default()));
        let random = SeededRandom::new(self.seed);
        let service = Service::builder(MemoryStore::new(), KeyRing::generate(&random))
            .clock(clock.clone())
            .random(SeededRandom::new(self.seed.wrapping_add(1)))
            .mailer(phones.clone())
            .build();
        let caller = tenant(&service).await?;
        let started = clock.now();
        let mut outcome = Outcome::default();
        for ask in self.asks(&random) {
            clock.set(started + ask.after);
            let tally = if ask.is_ring { &mut outcome.ring } else { &mut outcome.users };
            act(&service, &caller, &clock, &phones, &ask, tally).await?;
        }
        Ok(outcome)
    }

    /// All that is asked, in the order of time.
    fn asks(&self, random: &SeededRandom) -> Vec<Ask> {
        let span = self.hours * 3_600_000;
        let at = || Duration::from_millis(below(random, span));
        // The ring's numbers have four digits after the seven that a block shares.
        let ring = (0..self.numbers).map(|number| {
            let (block, within) = (number % self.prefixes, number / self.prefixes % 10_000);
            Ask { after: at(), number: format!("+371{}{within:04}", 2_000 + block), is_ring: true, says_it: false }
        });
        let mut asks: Vec<Ask> = ring.collect();
        asks.extend((0..self.users).map(|_| {
            let number = format!("+49151{}{:07}", 1 + below(random, 7), below(random, 10_000_000));
            Ask { after: at(), number, is_ring: false, says_it: below(random, 100) < SAID }
        }));
        asks.sort_by_key(|ask| ask.after);
        asks
    }
}

async fn tenant(service: &Service) -> Result<Caller, Error> {
    let plan = Some("enterprise".to_owned());
    let tenant = service.create_tenant(NewTenant { plan, ..NewTenant::named("Simulated", "ops@example.com") }).await?;
    let caller = service.program(tenant.id, Mode::Live).await?;
    let mut settings = Settings::default();
    settings.channels.sms.countries = ["DE", "LV"].iter().filter_map(|country| country.parse().ok()).collect();
    service.edit_tenant(&caller, EditTenant { settings: Some(settings), ..EditTenant::default() }).await?;
    service.program(tenant.id, Mode::Live).await
}

async fn act(
    service: &Service,
    caller: &Caller,
    clock: &ManualClock,
    phones: &Phones,
    ask: &Ask,
    tally: &mut Tally,
) -> Result<(), Error> {
    let number = ask.number.parse().map_err(|error| Error::invalid("invalid_phone", "phone", error))?;
    let country: Option<Country> = if ask.is_ring { "LV" } else { "DE" }.parse().ok();
    let price = country.map_or(0, |country| price(Channel::Sms, country));
    tally.asked += 1;
    tally.unguarded += price;
    let challenge = match service.request_otp(caller, OtpRequest::to(Address::Phone(number))).await {
        Ok(answer) => answer.value.challenge_id,
        Err(Error::ChannelGuard(guarded)) => {
            let met = GUARDS.iter().position(|guard| *guard == guarded.guard);
            tally.refused[met.unwrap_or_default()] += 1;
            return Ok(());
        }
        Err(Error::RateLimited(_) | Error::Cooldown(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    service.deliver_fresh(1).await?;
    let Some(code) = phones.take(&ask.number) else { return Ok(()) };
    tally.sent += 1;
    tally.cost += price;
    if ask.says_it {
        clock.advance(READING);
        service.verify_otp(caller, OtpVerification::of(challenge, &code)).await?;
        tally.said += 1;
    }
    Ok(())
}

fn below(random: &SeededRandom, bound: u64) -> u64 {
    let random: &dyn Random = random;
    u64::from_be_bytes(random.bytes()) % bound.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: Pumping = Pumping { numbers: 10_000, prefixes: 1, users: 200, hours: 24, seed: 1 };

    async fn outcome(pumping: Pumping) -> Outcome {
        let Outcome { ring, users } = pumping.run().await.expect("the engine works");
        assert_eq!((ring.asked, users.asked), (pumping.numbers, pumping.users));
        assert_eq!(ring.sent + ring.refused.iter().sum::<u64>(), ring.asked, "{ring:?}");
        Outcome { ring, users }
    }

    #[tokio::test]
    async fn of_a_ring_of_ten_thousand_numbers_at_most_sixty_messages_leave() {
        let Outcome { ring, users } = outcome(RING).await;
        assert!((10..=60).contains(&ring.sent), "{ring:?}");
        assert!(ring.cost * 100 < ring.unguarded, "{ring:?}");
        assert_eq!(users.sent, users.asked, "{users:?}");
        assert!(users.said > users.sent * 8 / 10, "{users:?}");
    }

    #[tokio::test]
    async fn what_many_blocks_cost_in_a_day_is_capped() {
        let Outcome { ring, .. } = outcome(Pumping { numbers: 3_000, prefixes: 50, users: 0, hours: 20, ..RING }).await;
        assert!(ring.cost <= 2 * 50_000_000 && ring.refused[2] > 0, "{ring:?}");
    }
}
