//! The ways that a code can take to its recipient: what a request may ask for, and what it will cost.

use std::time::Duration;

use super::caller::place;
use super::context::TenantContext;
use super::otp::identify;
use super::{Caller, Deliver, OtpRequest, Service};
use crate::command::Fallback;
use crate::error::Error;
use crate::id::MessageId;
use crate::message::{Channel, Charge, Segments};
use crate::numbering::{Line, LineKind};
use crate::passcode::Alphabet;
use crate::secret::Secret;
use crate::subject::{Address, PhoneNumber};
use crate::template::MessageContext;
use crate::tenant::Mode;
use crate::usage::Counter;

/// How long a message waits at least, and at most, for the one before to bring the code back.
const WAITS: std::ops::RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(300);

/// A message for the case that those before did not bring the code back in time.
#[derive(Clone, Debug)]
pub struct FallbackStep {
    /// How long after the one before: 5 to 300 seconds.
    pub after: Duration,
    /// How. Each channel is used once.
    pub channel: Channel,
    /// Where to, if not to the address that is signed in: only the tenant's own servers may say that this is the same person.
    pub to: Option<Address>,
}

/// One of the ways of a request, checked.
struct Way<'a> {
    channel: Channel,
    address: &'a Address,
    /// Which field of the request says so.
    field: String,
}

impl Service {
    /// What the first message counts against, and those that may come later.
    pub(super) fn ways(
        &self,
        caller: &Caller,
        context: &TenantContext,
        request: &OtpRequest,
    ) -> Result<(Option<Charge>, Vec<Fallback>), Error> {
        check_steps(caller, context, request)?;
        let (random, now) = (self.random(), self.now());
        let is_one = request.fallback.is_empty();
        let field = if is_one { request.address.kind().as_str().to_owned() } else { "channels[0].to".to_owned() };
        let first = Way { channel: request.channel, address: &request.address, field };
        let charge = self.charge(caller, context, request, &first)?;
        let (subject, _) = identify(caller, &request.address);
        let mut after = Duration::ZERO;
        let mut fallback = Vec::with_capacity(request.fallback.len());
        for (number, step) in (1..).zip(&request.fallback) {
            after += step.after;
            let address = step.to.as_ref().unwrap_or(&request.address);
            let way = Way { channel: step.channel, address, field: format!("channels[{number}].to") };
            fallback.push(Fallback {
                after,
                channel: step.channel,
                address: context.keys.seal(random, &place(b"address", &subject), address.display().as_bytes()),
                charge: self.charge(caller, context, request, &way)?,
                message: MessageId::new(now, random),
            });
        }
        Ok((charge, fallback))
    }

    /// What a message by this way counts against. Of test keys and of codes that the caller delivers, nothing is sent.
    fn charge(
        &self,
        caller: &Caller,
        context: &TenantContext,
        request: &OtpRequest,
        way: &Way<'_>,
    ) -> Result<Option<Charge>, Error> {
        let channels = &context.tenant.settings.channels;
        check_channel(way)?;
        if !channels.is_enabled(way.channel) {
            return Err(Error::ChannelDisabled(way.channel));
        }
        let Address::Phone(number) = way.address else { return Ok(None) };
        let line = check_line(way, number)?;
        if request.deliver == Deliver::Caller {
            return Ok(None);
        }
        if !channels.reaches(way.channel, line.country) {
            return Err(Error::CountryNotEnabled(way.channel, line.country));
        }
        if caller.space().mode == Mode::Test {
            return Ok(None);
        }
        let parts = match way.channel {
            Channel::Sms => self.parts(context, request, number)?,
            Channel::Email | Channel::Whatsapp => 1,
        };
        let price = channels.price(way.channel, line.country).saturating_mul(parts.into());
        Ok(Some(Charge { prefix: Counter::prefix_digest(&context.keys, number), country: line.country, price }))
    }

    /// How many parts the text message will have: its code is as long as any other.
    fn parts(&self, context: &TenantContext, request: &OtpRequest, number: &PhoneNumber) -> Result<u32, Error> {
        let format = context.tenant.settings.passcode.format;
        let sign = if format.alphabet() == Alphabet::Digits { "0" } else { "A" };
        let audience = context.audience(&request.purpose, request.locale.as_ref());
        let message = MessageContext {
            context: request.context.clone(),
            request_ip: request.client.ip.map(|ip| ip.to_string()),
            ..context.message(&audience, Secret::from(sign.repeat(format.length())), number.canonical(), self.now())
        };
        Ok(Segments::of(&context.templates.sms(&message, &audience)?).count)
    }
}

fn check_steps(caller: &Caller, context: &TenantContext, request: &OtpRequest) -> Result<(), Error> {
    if request.deliver == Deliver::Caller && !request.fallback.is_empty() {
        return Err(Error::invalid(
            "invalid_request",
            "channels",
            "name one channel: the code is handed to the caller",
        ));
    }
    let mut after = Duration::ZERO;
    let mut known = vec![request.channel];
    for (number, step) in (1..).zip(&request.fallback) {
        if known.contains(&step.channel) {
            return Err(Error::invalid(
                "invalid_channel",
                format!("channels[{number}].channel"),
                "name each channel once",
            ));
        }
        known.push(step.channel);
        after += step.after;
        let ends = Duration::from_secs(context.tenant.settings.passcode.ttl.into());
        if !WAITS.contains(&step.after) || after >= ends {
            let field = format!("channels[{}].after", number - 1);
            let (least, most) = (WAITS.start().as_secs(), WAITS.end().as_secs());
            let message =
                format!("use {least} to {most} seconds, all together fewer than the {} a code lives", ends.as_secs());
            return Err(Error::invalid("invalid_after", field, message));
        }
        if step.to.as_ref().is_some_and(|to| to != &request.address) {
            caller.may_manage()?;
        }
    }
    Ok(())
}

fn check_channel(way: &Way<'_>) -> Result<(), Error> {
    match (way.channel, way.address) {
        (Channel::Email, Address::Email(_)) | (Channel::Sms | Channel::Whatsapp, Address::Phone(_)) => Ok(()),
        _ => {
            let field = match way.field.strip_suffix("].to") {
                Some(step) => format!("{step}].channel"),
                None => "channel".to_owned(),
            };
            Err(Error::invalid("invalid_channel", field, "use email for an address, sms or whatsapp for a number"))
        }
    }
}

fn check_line(way: &Way<'_>, number: &PhoneNumber) -> Result<Line, Error> {
    let wrong = |why: &str| Err(Error::invalid("invalid_phone", way.field.clone(), why));
    match (Line::of(number), way.channel) {
        (None, _) => wrong("no country assigns this number; look whether a digit is missing or wrong"),
        (Some(Line { kind: LineKind::Service, .. }), _) => {
            wrong("this is the number of a service (premium rate, shared cost, toll-free), which takes no codes")
        }
        (Some(Line { kind: LineKind::Landline, .. }), Channel::Sms) => {
            wrong("this is a landline, which takes no text messages; name a mobile number")
        }
        (Some(line), _) => Ok(line),
    }
}
