//! The project's chores. Run `cargo xtask help` for the list.
#![allow(clippy::disallowed_methods)] // a tool that times its steps, not a part of the engine

mod bench;
mod fuzz;
mod postgres;
mod process;
mod setup;
mod test;
mod tree;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  setup            install the programs that the peer tests talk to: Debian packages where allowed,
                   Python and npm packages under target/peers; does nothing when all is there
  test             setup, then every check that a change must pass; stops at the first that fails
  bench [FILTER]   run the benchmarks whose name contains FILTER
  fuzz [--minutes N] [--seed N]
                   setup, then five minutes of requests that schemathesis makes up from the document of
                   the API; the same seed makes up the same requests";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        ["setup"] => setup::run().map(drop),
        ["test"] => test::run(),
        ["bench"] => bench::run(None),
        ["bench", filter] => bench::run(Some(filter)),
        ["fuzz", ref options @ ..] => fuzz::run_as(options),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask {}: {error:#}", args[0]);
            ExitCode::FAILURE
        }
    }
}
