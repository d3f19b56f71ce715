//! The server's binary: everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    otp_server::cli::run(std::env::args_os())
}
