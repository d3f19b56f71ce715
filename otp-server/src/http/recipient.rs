//! Whom a code is for, and the ways it takes there.

use std::time::Duration;

use otp_core::message::Channel;
use otp_core::{Address, FallbackStep, OtpRequest};
use serde::Deserialize;
use utoipa::ToSchema;

use super::problem::Problem;

/// Steps that a request may name.
const STEPS: std::ops::RangeInclusive<usize> = 1..=4;
/// Seconds that a step waits for the code unless it says so itself.
const USUAL_WAIT: u32 = 30;

/// A channel.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code)] // for the document: names are read by `channel`, which says what is wrong with another
pub enum ChannelName {
    Email,
    Sms,
    Whatsapp,
}

/// One message of several, each sent when those before did not bring the code back.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepBody {
    /// How. Each channel may be named once.
    #[schema(value_type = ChannelName)]
    channel: String,
    /// An e-mail address or a phone number. The first step's is the one that is signed in; later steps go there too unless they
    /// name another, which takes a secret key.
    #[schema(example = "+4915112345678")]
    to: Option<String>,
    /// Seconds to wait for the code before the next step, 5 to 300.
    #[schema(default = 30, example = 20)]
    after: Option<u32>,
}

/// A request for a code to whom these fields name.
pub fn request(named: Option<Address>, by: Option<&str>, steps: Option<&[StepBody]>) -> Result<OtpRequest, Problem> {
    let Some(steps) = steps else {
        let base = OtpRequest::to(named.ok_or_else(missing)?);
        let channel = by.map(|by| channel(by, "channel".to_owned())).transpose()?.unwrap_or(base.channel);
        return Ok(OtpRequest { channel, ..base });
    };
    if by.is_some() {
        return Err(Problem::field("invalid_request", "channel", "name either channel or channels"));
    }
    if !STEPS.contains(&steps.len()) {
        return Err(Problem::field("invalid_request", "channels", "name 1 to 4 steps"));
    }
    let mut read = Vec::with_capacity(steps.len());
    for (number, step) in steps.iter().enumerate() {
        read.push(step.read(number)?);
    }
    let (first, to) = read.remove(0);
    let address = match (named, to) {
        (Some(_), Some(_)) => {
            let why = "leave it out: email or phone beside channels is the first step's";
            return Err(Problem::field("invalid_request", "channels[0].to", why));
        }
        (named, to) => named.or(to).ok_or_else(missing)?,
    };
    let waits = steps.iter().map(|step| Duration::from_secs(step.after.unwrap_or(USUAL_WAIT).into()));
    let later = waits.zip(read).map(|(after, (channel, to))| FallbackStep { after, channel, to });
    Ok(OtpRequest { channel: first, fallback: later.collect(), ..OtpRequest::to(address) })
}

impl StepBody {
    fn read(&self, number: usize) -> Result<(Channel, Option<Address>), Problem> {
        let channel = channel(&self.channel, format!("channels[{number}].channel"))?;
        let field = format!("channels[{number}].to");
        let to = self.to.as_deref().map(|to| match channel {
            Channel::Email => email(to, field),
            Channel::Sms | Channel::Whatsapp => phone(to, field),
        });
        Ok((channel, to.transpose()?))
    }
}

/// The address a body names, if it names one.
pub fn address(by_email: Option<&str>, by_phone: Option<&str>) -> Result<Option<Address>, Problem> {
    match (by_email, by_phone) {
        (Some(_), Some(_)) => Err(Problem::field("invalid_request", "phone", "name either email or phone")),
        (Some(text), None) => email(text, "email".to_owned()).map(Some),
        (None, Some(text)) => phone(text, "phone".to_owned()).map(Some),
        (None, None) => Ok(None),
    }
}

fn email(text: &str, field: String) -> Result<Address, Problem> {
    text.parse().map(Address::Email).map_err(|error| Problem::field("invalid_email", field, format!("{error}")))
}

fn phone(text: &str, field: String) -> Result<Address, Problem> {
    text.parse().map(Address::Phone).map_err(|error| Problem::field("invalid_phone", field, format!("{error}")))
}

fn channel(text: &str, field: String) -> Result<Channel, Problem> {
    let known = Channel::ALL.into_iter().find(|channel| channel.as_str() == text);
    known.ok_or_else(|| Problem::field("invalid_channel", field, "use email, sms or whatsapp"))
}

fn missing() -> Problem {
    Problem::field("missing_field", "email", "name the e-mail address, or a phone number as phone")
}
