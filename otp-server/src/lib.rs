//! OTP Auth as a self-hosted server: HTTP, mail, text messages, configuration and the command line around [`otp_core`].
//!
//! Another program can mount the HTTP API in a server of its own: see [`http::routes`].

pub mod boot;
pub mod callbacks;
pub mod cli;
pub mod config;
pub mod delivery;
pub mod dns;
pub mod http;
pub mod listen;
mod logging;
pub mod mail;
pub mod outbound;
pub mod password_pool;
pub mod provider;
pub mod simulate;
pub mod sms;
pub mod webhook;
pub mod worker;

#[cfg(test)]
#[path = "../tests/support/capture.rs"]
mod capture;
