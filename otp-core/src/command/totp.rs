//! Second factors are set up, shown and taken away.

mod prove;
mod register;
mod renew;

pub(crate) use prove::{By, Holder, ProveTotp, Proven, Step, Then};
pub(crate) use register::{RegisterTotp, Registering};
pub(crate) use renew::{ForgetDevice, NoteReveal, PutRecovery};
