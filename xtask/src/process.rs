//! Programs that xtask starts, all in the root of the repository.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository")
}

/// A command that runs in the root of the repository.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Cargo with these arguments, which are split at spaces.
pub fn cargo(args: &str) -> Command {
    let mut cargo = command("cargo");
    cargo.args(args.split_whitespace());
    cargo
}

/// Runs the command with its output shown.
///
/// # Errors
/// When it cannot be started or ends with anything but success.
pub fn run(mut command: Command) -> Result<()> {
    let line = shown(&command);
    let status = command.status().with_context(|| format!("`{line}` could not be started"))?;
    ensure!(status.success(), "`{line}` ended with {status}");
    Ok(())
}

/// Runs a command that is expected to fail at times, and says whether it succeeded; its output is dropped.
pub fn succeeds(mut command: Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs a test runner with its output shown, and adds up the passed tests that its summaries name.
///
/// # Errors
/// As [`run`].
pub fn run_tests(runner: Command) -> Result<u64> {
    run_counting(runner, &mut io::stdout().lock())
}

fn run_counting(mut command: Command, show: &mut dyn Write) -> Result<u64> {
    let line = shown(&command);
    let (output, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut runner = command.spawn().with_context(|| format!("`{line}` could not be started"))?;
    drop(command); // it holds the writing ends, and the output ends when they are closed
    let passed = count_passed(output, show)?;
    let status = runner.wait()?;
    ensure!(status.success(), "`{line}` ended with {status}");
    Ok(passed)
}

fn count_passed(output: impl Read, show: &mut dyn Write) -> Result<u64> {
    let mut passed = 0;
    for line in BufReader::new(output).split(b'\n') {
        let mut line = line?;
        passed += passed_in(&String::from_utf8_lossy(&line)).unwrap_or(0);
        line.push(b'\n');
        show.write_all(&line)?;
        show.flush()?;
    }
    Ok(passed)
}

/// The number of passed tests, if the line is a summary of cargo test or cargo-nextest.
fn passed_in(line: &str) -> Option<u64> {
    let line = line.trim_start();
    if !line.starts_with("test result: ") && !line.starts_with("Summary [") {
        return None;
    }
    let (before, _) = line.split_once(" passed")?;
    before.rsplit(' ').next()?.parse().ok()
}

fn shown(command: &Command) -> String {
    let parts = std::iter::once(command.get_program()).chain(command.get_args());
    parts.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_read_from_summaries_only() {
        let nextest = "     Summary [   0.613s] 49 tests run: 48 passed (2 slow), 1 failed, 3 skipped";
        assert_eq!(passed_in(nextest), Some(48));
        assert_eq!(passed_in("test result: ok. 7 passed; 0 failed; 0 ignored"), Some(7));
        assert_eq!(passed_in("a test prints that 9 passed"), None);
    }

    #[test]
    fn a_runner_that_fails_is_an_error_however_much_it_passed() {
        let mut runner = command("sh");
        runner.args(["-c", "echo 'test result: FAILED. 7 passed; 1 failed'; exit 101"]);
        let error = run_counting(runner, &mut io::sink()).unwrap_err();
        assert!(error.to_string().contains("101"), "{error}");
    }

    #[test]
    fn both_streams_of_a_runner_are_counted() {
        let mut runner = command("sh");
        runner
            .args(["-c", "echo 'test result: ok. 2 passed; 0 failed'; echo 'Summary [1s] 3 tests run: 3 passed' >&2"]);
        let mut shown = Vec::new();
        assert_eq!(run_counting(runner, &mut shown).unwrap(), 5);
        assert_eq!(shown.split(|byte| *byte == b'\n').count(), 3, "{}", String::from_utf8_lossy(&shown));
    }
}
