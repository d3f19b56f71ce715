//! The PostgreSQL that the tests share.

#[path = "../../otp-store-postgres/tests/support/server.rs"]
mod server;

use std::env;

use anyhow::{Context, Result};

use server::Server;
pub use server::binaries;

/// Tells tests where a PostgreSQL is that they may do everything with.
pub const URL: &str = "OTP_TEST_POSTGRES_URL";

/// A server for a whole run.
pub enum Postgres {
    /// Started for it, and stopped when it is dropped.
    Ours(Server),
    /// The caller's.
    Given(String),
}

impl Postgres {
    /// Takes the server that the environment names, or starts one.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start() -> Result<Self> {
        match env::var(URL) {
            Ok(url) => Ok(Postgres::Given(url)),
            Err(_) => Ok(Postgres::Ours(Server::start().context("PostgreSQL cannot be started")?)),
        }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        match self {
            Postgres::Ours(server) => server.url(),
            Postgres::Given(url) => url,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    #[ignore = "needs PostgreSQL: run cargo xtask test"]
    fn a_server_is_gone_with_its_folder_when_it_is_dropped() {
        let server = Server::start().unwrap();
        let place = server.url().split(['@', '/']).nth(3).unwrap().to_owned();
        assert!(TcpStream::connect(&place).is_ok());
        let (_, port) = place.split_once(':').unwrap();
        let folder = env::temp_dir().join(format!("otp-postgres-{port}-{}", std::process::id()));
        assert!(folder.is_dir());
        drop(server);
        assert!(TcpStream::connect(&place).is_err());
        assert!(!folder.exists());
    }
}
