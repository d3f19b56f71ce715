//! What a report tells of a window.

use crate::message::Channel;
use crate::usage::Counter;

/// How far the codes of one channel came. What providers tell of delivery is not among it: not all of them tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Funnel {
    /// Codes asked for.
    pub requested: u64,
    /// Messages a provider took.
    pub sent: u64,
    /// Right guesses.
    pub verified: u64,
}

/// Counts of one window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Codes asked for.
    pub otp_requests: u64,
    /// Guesses judged.
    pub otp_verifications: u64,
    /// Right guesses.
    pub successful_logins: u64,
    /// Wrong guesses.
    pub failed_attempts: u64,
    /// Mails a provider took.
    pub emails_sent: u64,
    /// Mails given up.
    pub emails_failed: u64,
    /// Mails that arrived, of providers that tell.
    pub emails_delivered: u64,
    /// Mails that a provider took and could not deliver, of providers that tell.
    pub emails_undelivered: u64,
    /// Users that verified for the first time.
    pub new_users: u64,
    /// Users that signed in, each counted once; `None` where that is not known, because the window is no whole days in UTC.
    pub unique_users: Option<u64>,
    /// Users that signed in, each once in every hour: of an hour, the same as `unique_users`.
    pub hourly_users: u64,
    /// Calls of the API.
    pub api_calls: u64,
    /// Microseconds that they took.
    pub call_micros: u64,
    phones: [Funnel; 2],
}

impl Metrics {
    /// What has to be read, of whichever part.
    pub(crate) const COUNTERS: [Counter; 16] = [
        Counter::OtpRequests,
        Counter::OtpVerifications,
        Counter::SuccessfulLogins,
        Counter::FailedAttempts,
        Counter::EmailsSent,
        Counter::MessagesFailed(Channel::Email),
        Counter::NewUsers,
        Counter::ActiveUsers,
        Counter::SmsSent,
        Counter::WhatsappSent,
        Counter::PhoneRequests(Channel::Sms),
        Counter::PhoneLogins(Channel::Sms),
        Counter::ApiCalls,
        Counter::CallMicros,
        Counter::MessagesDelivered(Channel::Email),
        Counter::MessagesUndelivered(Channel::Email),
    ];

    /// Takes a count of an hour of the window.
    pub(crate) fn add(&mut self, counter: Counter, count: u64) {
        let sum = match counter {
            Counter::OtpRequests => &mut self.otp_requests,
            Counter::OtpVerifications => &mut self.otp_verifications,
            Counter::SuccessfulLogins => &mut self.successful_logins,
            Counter::FailedAttempts => &mut self.failed_attempts,
            Counter::EmailsSent => &mut self.emails_sent,
            Counter::MessagesFailed(Channel::Email) => &mut self.emails_failed,
            Counter::NewUsers => &mut self.new_users,
            Counter::ActiveUsers => &mut self.hourly_users,
            Counter::SmsSent => &mut self.phones[0].sent,
            Counter::WhatsappSent => &mut self.phones[1].sent,
            Counter::PhoneRequests(Channel::Sms) => &mut self.phones[0].requested,
            Counter::PhoneRequests(Channel::Whatsapp) => &mut self.phones[1].requested,
            Counter::PhoneLogins(Channel::Sms) => &mut self.phones[0].verified,
            Counter::PhoneLogins(Channel::Whatsapp) => &mut self.phones[1].verified,
            Counter::ApiCalls => &mut self.api_calls,
            Counter::CallMicros => &mut self.call_micros,
            Counter::MessagesDelivered(Channel::Email) => &mut self.emails_delivered,
            Counter::MessagesUndelivered(Channel::Email) => &mut self.emails_undelivered,
            _ => return,
        };
        *sum += count;
    }

    /// Right guesses among those judged, 0 to 1; `None` if none was.
    pub fn success_rate(&self) -> Option<f64> {
        share(self.successful_logins, self.otp_verifications)
    }

    /// Mails that arrived among those whose fate is known, 0 to 1; `None` if there were none. Where no provider tells what
    /// arrives, a mail that a provider took counts as one that arrived.
    pub fn email_delivery_rate(&self) -> Option<f64> {
        let told = self.emails_delivered + self.emails_undelivered;
        match told {
            0 => share(self.emails_sent, self.emails_sent + self.emails_failed),
            _ => share(self.emails_delivered, told + self.emails_failed),
        }
    }

    /// Milliseconds that a call took; `None` if there was none.
    pub fn average_response_time(&self) -> Option<f64> {
        average_millis(self.call_micros, self.api_calls)
    }

    /// How far the codes of a channel came. Of mail it is what no phone has.
    pub fn funnel(&self, channel: Channel) -> Funnel {
        let [sms, whatsapp] = self.phones;
        match channel {
            Channel::Sms => sms,
            Channel::Whatsapp => whatsapp,
            Channel::Email => Funnel {
                requested: self.otp_requests.saturating_sub(sms.requested + whatsapp.requested),
                sent: self.emails_sent,
                verified: self.successful_logins.saturating_sub(sms.verified + whatsapp.verified),
            },
        }
    }
}

/// To four decimals.
pub(crate) fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| (part as f64 / of as f64 * 10_000.0).round() / 10_000.0)
}

/// To three decimals.
pub(crate) fn average_millis(micros: u64, calls: u64) -> Option<f64> {
    (calls > 0).then(|| (micros as f64 / calls as f64).round() / 1_000.0)
}
