//! What is known of a message before it leaves: what it will cost, and whether it is still its turn.

use serde::{Deserialize, Serialize};

use crate::numbering::Country;

/// What a text or WhatsApp message counts against when it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The first digits of the number, as their keyed digest.
    pub prefix: [u8; 16],
    /// Whose number it is.
    pub country: Country,
    /// What it costs, all parts together, in millionths of the currency of the tenant's prices.
    pub price: u64,
}

/// A message that is sent only if the one before did not bring the code back in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// How often the code had been asked for: whoever asks again begins with the first step.
    pub round: u32,
    /// What it counts against, until it does; of a mail, nothing.
    pub charge: Option<Charge>,
}
