//! Several providers: the first that works takes a message, and one that does not work is left alone for a while.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::VecDeque;
use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use common::*;
use otp_core::message::*;
use otp_core::*;

/// Answers as it is told to, and takes everything else.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<usize>,
}

enum Answer {
    Is(Result<Receipt, SendError>),
    Never,
}

#[async_trait]
impl Mailer for Script {
    async fn send(&self, _: &Outgoing) -> Result<Receipt, SendError> {
        *self.asked.lock().unwrap() += 1;
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(Answer::Is(answer)) => answer,
            Some(Answer::Never) => pending().await,
            None => Ok(Receipt { provider_id: Some("id".to_owned()), ..Receipt::default() }),
        }
    }
}

impl Script {
    fn refuse(&self, errors: impl IntoIterator<Item = SendError>) {
        self.answers.lock().unwrap().extend(errors.into_iter().map(|error| Answer::Is(Err(error))));
    }

    fn hang(&self) {
        self.answers.lock().unwrap().push_back(Answer::Never);
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

struct Pair {
    clock: Arc<ManualClock>,
    first: Arc<Script>,
    second: Arc<Script>,
    both: Failover,
}

impl Pair {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let (first, second) = (Arc::new(Script::default()), Arc::new(Script::default()));
        let both = Failover::new(clock.clone()).then("first", first.clone()).then("second", second.clone());
        Self { clock, first, second, both }
    }

    fn send(&self) -> Handover {
        wait(self.both.hand_over(&mail(), self.clock.now()))
    }

    /// Who took a message.
    fn taker(&self) -> Option<String> {
        self.send().outcome.unwrap().provider
    }

    fn first_state(&self) -> CircuitState {
        self.both.providers()[0].circuit
    }

    /// Opens the first one's circuit for a second.
    fn break_first(&self) {
        self.first.refuse((0..3).map(|_| temporary(None)));
        (0..3).for_each(|_| assert_eq!(self.taker().as_deref(), Some("second")));
    }
}

fn mail() -> Outgoing {
    let id = MessageId::new(ManualClock::default().now(), &SeededRandom::new(1));
    Outgoing {
        id,
        tenant: TenantId::INSTALLATION,
        providers: Arc::new([]),
        channel: Channel::Email,
        to: "ann@example.org".to_owned(),
        from_name: None,
        from_email: None,
        reply_to: None,
        subject: "Hello".to_owned(),
        text: "Hello".to_owned(),
        html: None,
        code: None,
        expires_at: ManualClock::default().now() + 5 * MINUTE,
    }
}

fn temporary(retry_after: Option<Duration>) -> SendError {
    SendError::Temporary { reason: "503".to_owned(), retry_after }
}

fn unusable() -> SendError {
    SendError::Unusable { reason: "401".to_owned() }
}

#[test]
fn what_one_does_not_take_the_next_one_is_offered_at_once() {
    for error in [temporary(None), temporary(Some(SECOND)), unusable()] {
        let pair = Pair::new();
        pair.first.refuse([error.clone()]);
        let Handover { attempts, outcome } = pair.send();
        let receipt = outcome.unwrap();
        assert_eq!((receipt.provider.as_deref(), receipt.provider_id.as_deref()), (Some("second"), Some("id")));
        let at = pair.clock.now();
        let refused = AttemptOutcome::Refused { reason: error.reason().to_owned() };
        let expected = [
            Attempt { provider: Some("first".to_owned()), at, outcome: refused, provider_id: None },
            Attempt {
                provider: Some("second".to_owned()),
                at,
                outcome: AttemptOutcome::Taken,
                provider_id: Some("id".to_owned()),
            },
        ];
        assert_eq!(attempts, expected);
    }
}

#[test]
fn what_one_refuses_for_good_is_offered_to_no_other() {
    let pair = Pair::new();
    pair.first.refuse([SendError::Permanent { reason: "550".to_owned() }]);
    assert_eq!(pair.send().outcome, Err(SendError::Permanent { reason: "550".to_owned() }));
    assert_eq!(pair.second.asked(), 0);
    assert_eq!(pair.first_state(), CircuitState::Closed { failures: 0 }, "it answered, so it works");
}

#[test]
fn after_three_failures_it_is_not_asked_until_one_message_tries_it_again() {
    let pair = Pair::new();
    pair.break_first();
    for rest in [1, 2, 4, 8, 16, 32, 60, 60] {
        let asked = pair.first.asked();
        assert_eq!(pair.taker().as_deref(), Some("second"));
        pair.clock.advance(rest * SECOND - MILLI);
        assert_eq!(pair.taker().as_deref(), Some("second"));
        assert_eq!(pair.first.asked(), asked, "asked while it rests");
        pair.clock.advance(MILLI);
        pair.first.refuse([temporary(None)]);
        assert_eq!(pair.taker().as_deref(), Some("second"));
        assert_eq!(pair.first.asked(), asked + 1, "not tried again after {rest} s");
    }
    pair.clock.advance(60 * SECOND);
    assert_eq!(pair.taker().as_deref(), Some("first"));
    assert_eq!(pair.first_state(), CircuitState::Closed { failures: 0 });
}

#[test]
fn a_success_between_failures_begins_the_count_anew() {
    let pair = Pair::new();
    for _ in 0..3 {
        pair.first.refuse([temporary(None), temporary(None)]);
        for taker in ["second", "second", "first"] {
            assert_eq!(pair.taker().as_deref(), Some(taker));
        }
    }
}

#[test]
fn one_that_hangs_is_passed_over_after_two_seconds() {
    let pair = Pair::new();
    pair.first.hang();
    let message = mail();
    let mut hung = pin!(pair.both.hand_over(&message, pair.clock.now()));
    assert_eq!(hung.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
    pair.clock.advance(2 * SECOND);
    assert_eq!(pair.taker().as_deref(), Some("first"), "two seconds are not too long, and it works");
    pair.first.hang();
    let mut again = pin!(pair.both.hand_over(&message, pair.clock.now()));
    assert_eq!(again.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
    pair.clock.advance(2 * SECOND + MILLI);
    let asked = pair.first.asked();
    assert_eq!(pair.taker().as_deref(), Some("second"));
    assert_eq!(pair.first.asked(), asked);
    assert_eq!(pair.both.providers()[0].in_flight, 2);
    pair.clock.advance(SECOND);
    assert_eq!(pair.taker().as_deref(), Some("first"), "one message tries it");
    assert_eq!(pair.first_state(), CircuitState::Closed { failures: 0 });
}

#[test]
fn one_message_at_a_time_tries_it_again() {
    let pair = Pair::new();
    pair.break_first();
    pair.clock.advance(SECOND);
    pair.first.hang();
    let message = mail();
    {
        let mut probe = pin!(pair.both.hand_over(&message, pair.clock.now()));
        assert_eq!(probe.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
        assert!(matches!(pair.first_state(), CircuitState::HalfOpen { .. }));
        pair.clock.advance(MINUTE);
        assert_eq!(pair.taker().as_deref(), Some("second"));
        assert_eq!(pair.first.asked(), 4);
    }
    // Given up, it told nothing, and the next message may try.
    assert_eq!(pair.taker().as_deref(), Some("first"));
}

#[test]
fn it_is_left_alone_for_as_long_as_it_asks() {
    let pair = Pair::new();
    pair.first.refuse([temporary(Some(2 * MINUTE))]);
    pair.taker();
    pair.clock.advance(2 * MINUTE - MILLI);
    assert_eq!(pair.taker().as_deref(), Some("second"));
    pair.clock.advance(MILLI);
    assert_eq!(pair.taker().as_deref(), Some("first"));
    pair.first.refuse([temporary(Some(Duration::MAX))]);
    pair.taker();
    pair.clock.advance(60 * MINUTE);
    assert_eq!(pair.taker().as_deref(), Some("first"), "a wrong number put it away for good");
}

#[test]
fn when_all_rest_the_message_comes_back_with_the_time_of_the_first() {
    let pair = Pair::new();
    pair.first.refuse([temporary(Some(90 * SECOND))]);
    pair.second.refuse([temporary(Some(40 * SECOND))]);
    assert_eq!(pair.send().outcome, Err(temporary(Some(40 * SECOND))));
    pair.clock.advance(10 * SECOND);
    let Handover { attempts, outcome } = pair.send();
    assert!(attempts.is_empty());
    assert!(matches!(outcome, Err(SendError::Temporary { retry_after: Some(rest), .. }) if rest == 30 * SECOND));
    assert_eq!((pair.first.asked(), pair.second.asked()), (1, 1));
}

#[test]
fn one_that_stands_alone_is_asked_again_at_once_unless_it_hangs_or_asks_for_rest() {
    let clock = Arc::new(ManualClock::default());
    let only = Arc::new(Script::default());
    let list = Failover::new(clock.clone()).then("only", only.clone());
    only.refuse((0..10).map(|_| temporary(None)));
    for _ in 0..10 {
        assert_eq!(wait(list.send(&mail())), Err(temporary(None)));
    }
    assert_eq!(list.providers()[0].circuit, CircuitState::Closed { failures: 10 });
    only.refuse([temporary(Some(SECOND))]);
    assert_eq!(wait(list.send(&mail())), Err(temporary(Some(SECOND))));
    assert!(wait(list.send(&mail())).is_err());
    assert_eq!(only.asked(), 11);
}

/// Else one customer, whose sender the provider does not know, takes it from all the others.
#[test]
fn that_a_sender_of_its_own_is_refused_tells_nothing_of_the_provider() {
    let pair = Pair::new();
    pair.first.refuse((0..5).map(|_| unusable()));
    let own = Outgoing { from_email: Some("noreply@acme.example".to_owned()), ..mail() };
    for _ in 0..5 {
        assert_eq!(wait(pair.both.send(&own)).unwrap().provider.as_deref(), Some("second"));
    }
    assert_eq!(pair.taker().as_deref(), Some("first"));
}

#[test]
fn each_takes_the_messages_of_its_channels() {
    let texts = Arc::new(Script::default());
    let list = Failover::new(ManualClock::default()).then_for("texts", [Channel::Sms], texts.clone());
    let sms = Outgoing { channel: Channel::Sms, ..mail() };
    assert_eq!(wait(list.send(&sms)).unwrap().provider.as_deref(), Some("texts"));
    let nobody = SendError::Unusable { reason: "no provider for email is set up".to_owned() };
    assert_eq!(wait(list.send(&mail())), Err(nobody));
}
