//! Second factors are set up, shown and taken away.

mod guess;
mod prove;
mod register;
mod renew;

pub(crate) use guess::{Guess, Guessed, Step};
pub(crate) use prove::{By, Holder, ProveTotp, Proven, Then};
pub(crate) use register::{RegisterTotp, Registering};
pub(crate) use renew::{ForgetDevice, NoteReveal, PutRecovery};
