//! `cargo xtask fuzz`: schemathesis makes up requests from the document of the API and holds each answer against it.
//!
//! The server is started for it, with nothing in it, mail that goes nowhere and a name server that knows no name. A run fails
//! on a status of 500 and above, a status, content type, header or body that is not documented, an error in the server's log,
//! and a server that does not end well.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use crate::process::{self, cargo, root, succeeds};
use crate::setup;

/// As a token has to be, and worth nothing: the server is gone after the run.
const ADMIN_TOKEN: &str = "otp_admin_c2af73f35ab01dc44a5c2d8a21e0a8f5cb94e7b6";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,unsupported_method,\
                      allow_header_conformance";
const LISTENS: &str = "OTP Auth listens on ";

/// How much is tried.
pub struct Extent {
    /// How long requests are made up for. What is tried of every operation in any case may take longer.
    pub time: Duration,
    /// Whether the limits of every field are tried too, one by one.
    pub every_limit: bool,
    /// What the requests are made up from.
    pub seed: u32,
}

impl Extent {
    /// Five minutes of everything, from a new seed, unless the options say otherwise.
    fn of(options: &[&str]) -> Result<Self> {
        let (mut minutes, mut seed) = (5, SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.subsec_nanos());
        for option in options.chunks(2) {
            let number = || option.get(1).and_then(|number| number.parse::<u32>().ok());
            let number = number().with_context(|| format!("{} takes a whole number", option[0]))?;
            match option[0] {
                "--minutes" if number > 0 => minutes = number,
                "--seed" => seed = number,
                _ => bail!("--minutes N, from 1, and --seed N are all that can be said"),
            }
        }
        Ok(Self { time: Duration::from_secs(60 * u64::from(minutes)), every_limit: true, seed })
    }
}

/// Fuzzes as a command line says.
///
/// # Errors
/// As [`run`], when the command line is not understood, and when schemathesis cannot be installed.
pub fn run_as(options: &[&str]) -> Result<()> {
    let extent = Extent::of(options)?;
    run(&setup::run()?.python, &extent)
}

/// Fuzzes a server of its own.
///
/// # Errors
/// When an answer, the log or the end of the server is not as it should be.
pub fn run(python: &Path, extent: &Extent) -> Result<()> {
    process::run(cargo("build --workspace --all-features --bin otp-server"))?;
    let server = Server::start()?;
    let fuzzed = process::run(schemathesis(python, &server, extent));
    let ended = server.end();
    fuzzed.and(ended)
}

fn schemathesis(python: &Path, server: &Server, extent: &Extent) -> Command {
    let phases = if extent.every_limit { "examples,coverage,fuzzing,stateful" } else { "examples,fuzzing,stateful" };
    let mut fuzz = Command::new(python);
    fuzz.args(["-m", "schemathesis.cli", "run", "--phases", phases, "--checks", CHECKS]);
    fuzz.args(["--max-time", &extent.time.as_secs().to_string(), "--seed", &extent.seed.to_string()]);
    fuzz.args(["--continue-on-failure", "--suppress-health-check", "all", "--warnings", "off", "--workers", "1"]);
    fuzz.args(["--generation-database", "none", "--request-timeout", "60", "--no-color"]);
    fuzz.arg(format!("{}/openapi.json", server.url));
    fuzz.current_dir(&server.folder).stdin(Stdio::null());
    fuzz.env("SCHEMATHESIS_HOOKS", root().join("xtask/peers/fuzz.py"));
    fuzz.env("PYTHONDONTWRITEBYTECODE", "1");
    fuzz.env("OTP_ADMIN_TOKEN", ADMIN_TOKEN).env("OTP_FUZZ_SERVER", &server.url);
    fuzz
}

/// A running server, killed when dropped.
struct Server {
    child: Child,
    url: String,
    folder: PathBuf,
    /// Held, because a server that cannot write there would be another one.
    _said: BufReader<ChildStdout>,
}

impl Server {
    fn start() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("otp-fuzz-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut child = command(&folder)?.spawn().context("the server could not be started")?;
        let mut said = BufReader::new(child.stdout.take().context("a server without output")?);
        let mut line = String::new();
        said.read_line(&mut line)?;
        let url = line.trim().strip_prefix(LISTENS).unwrap_or_default().to_owned();
        let server = Self { child, url, folder, _said: said };
        ensure!(!server.url.is_empty(), "the server does not start: {line}{}", server.log()?);
        Ok(server)
    }

    fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.join("log"))?)
    }

    /// Stops it, and looks back at how it was.
    fn end(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended by itself with {status}: {}", self.log()?);
        }
        let mut stop = process::command("kill");
        stop.args(["-TERM", &self.child.id().to_string()]);
        ensure!(succeeds(stop), "the server could not be told to stop");
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        let log = self.log()?;
        let errors: Vec<_> = errors(&log).collect();
        ensure!(errors.is_empty(), "errors in the server's log: {}\n{}", errors.len(), errors.join("\n"));
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn command(folder: &Path) -> Result<Command> {
    // The server is built where this program was.
    let program = std::env::current_exe()?.with_file_name("otp-server");
    let mut server = Command::new(program);
    server.env_clear().current_dir(folder).stdin(Stdio::null());
    server.env("OTP_LISTEN", "127.0.0.1:0").env("OTP_ADMIN_LISTEN", "");
    server.env("OTP_ADMIN_TOKEN", ADMIN_TOKEN).env("OTP_TRUSTED_PROXIES", "127.0.0.1");
    server.env("OTP_MAIL_URL", "mailbox:").env("OTP_DNS_SERVER", name_server()?.to_string());
    server.env("OTP_LOG", "warn").env("OTP_LOG_FORMAT", "json");
    server.stdout(Stdio::piped()).stderr(File::create(folder.join("log"))?);
    Ok(server)
}

/// A name server by which no name exists, until the program ends.
fn name_server() -> Result<SocketAddr> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?;
    thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((length, asker)) = socket.recv_from(&mut packet) {
            if length < 12 {
                continue;
            }
            // A response, recursion available, NXDOMAIN, with the question and nothing else (RFC 1035 section 4.1.1).
            packet[2] |= 0x80;
            packet[3] = 0x83;
            packet[6..12].fill(0);
            let _ = socket.send_to(&packet[..question(&packet[..length])], asker);
        }
    });
    Ok(address)
}

/// Where the question of a packet ends.
fn question(packet: &[u8]) -> usize {
    let mut end = 12;
    while let Some(label) = packet.get(end).filter(|length| **length > 0) {
        end += 1 + usize::from(*label);
    }
    packet.len().min(end + 5)
}

/// The lines of a log that tell of an error, such as a panic.
fn errors(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| line.contains(r#""level":"ERROR""#) || line.contains("panicked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_panics_are_found_in_a_log() {
        let log = concat!(
            r#"{"timestamp":"2026-01-31T08:15:30Z","level":"WARN","message":"a mail was refused"}"#,
            "\n",
            r#"{"timestamp":"2026-01-31T08:15:31Z","level":"ERROR","message":"a request failed"}"#,
            "\nthread 'main' panicked at src/main.rs:1:1:\n",
        );
        let found: Vec<_> = errors(log).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("a request failed"));
    }

    #[test]
    fn the_name_server_knows_no_name() {
        let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
        asker.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        let asked = b"\x04acme\x03com\0\0\x10\0\x01";
        let extension = [0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0];
        asker.send_to(&[&head[..], asked, &extension].concat(), name_server().unwrap()).unwrap();
        let mut answer = [0; 512];
        let length = asker.recv(&mut answer).unwrap();
        assert_eq!(answer[..12], [0x12, 0x34, 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&answer[12..length], asked);
    }
}
