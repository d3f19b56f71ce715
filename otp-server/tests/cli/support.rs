//! A directory to start the binary in, and what came of it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use tempfile::TempDir;

/// A working directory with nothing in it.
pub struct Place(TempDir);

/// What a command did.
#[derive(Debug)]
pub struct Finished {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn entries(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The binary with these arguments, any free port, and no variable of the test's own environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_otp-server"));
        command.args(arguments).current_dir(self.0.path()).env_clear().env("OTP_LISTEN", "127.0.0.1:0");
        command.env("OTP_ADMIN_LISTEN", "").env("OTP_LOG", "warn").stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with(arguments, &[])
    }

    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        finish(command)
    }

    /// A command that has to end with status 0; gives what it printed.
    pub fn done(&self, arguments: &[&str]) -> String {
        let finished = self.run(arguments);
        assert_eq!(finished.status, 0, "{arguments:?}: {finished:?}");
        finished.stdout
    }

    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.done(arguments)).unwrap()
    }

    pub fn start(&self) -> Server {
        self.start_with(&[])
    }

    pub fn start_with(&self, variables: &[(&str, &str)]) -> Server {
        let mut command = self.command(&[]);
        command.envs(variables.iter().copied());
        Server::start(command)
    }

    /// As an operator would see the database, apart from any server.
    pub fn sql(&self, statement: &str) {
        self.database().execute_batch(statement).unwrap();
    }

    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path("otp-data/otp.db")).unwrap()
    }
}

/// Runs a command that should end by itself; one that serves instead is stopped, and fails the test.
pub fn finish(mut command: Command) -> Finished {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = drain(child.stderr.take().unwrap());
    let mut stdout = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    while lines.read_line(&mut stdout).unwrap() > 0 {
        if stdout.contains(READY) {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    let status = status.code().unwrap_or_else(|| panic!("{command:?} went on: {stdout}"));
    Finished { status, stdout, stderr: stderr.join().unwrap() }
}

const READY: &str = "listens on http://";

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
    /// What it has printed so far.
    pub said: String,
    /// `127.0.0.1:PORT`.
    pub address: String,
}

impl Server {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = Some(drain(child.stderr.take().unwrap()));
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, lines, stderr, said: String::new(), address: String::new() };
        let line = server.read_until(READY);
        server.address = line.split_once("http://").unwrap().1.trim().to_owned();
        server
    }

    /// Reads what it prints up to a line that contains `text`, and gives that line.
    pub fn read_until(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                let stderr = self.stderr.take().unwrap().join().unwrap();
                panic!("the server ended before it said {text:?}: {}{stderr}", self.said);
            }
            self.said.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Ends it as a crash would.
    pub fn crash(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Finished {
        self.lines.read_to_string(&mut self.said).unwrap();
        let status = self.child.wait().unwrap().code().unwrap();
        Finished { status, stdout: self.said.clone(), stderr: self.stderr.take().unwrap().join().unwrap() }
    }

    pub fn stop(self) -> Finished {
        self.signal("TERM");
        self.ended()
    }

    pub fn connect(&self) -> std::io::Result<TcpStream> {
        TcpStream::connect(&self.address)
    }

    pub fn post(&self, path: &str, key: &str, body: &str) -> (u16, String) {
        self.call(&format!("POST {path}"), &format!("X-OTP-API-Key: {key}\r\nContent-Type: application/json\r\n"), body)
    }

    pub fn put(&self, path: &str, key: &str, body: &str) -> (u16, String) {
        self.call(&format!("PUT {path}"), &format!("X-OTP-API-Key: {key}\r\nContent-Type: application/json\r\n"), body)
    }

    pub fn post_as(&self, path: &str, bearer: &str, body: &str) -> (u16, String) {
        let headers = format!("Authorization: Bearer {bearer}\r\nContent-Type: application/json\r\n");
        self.call(&format!("POST {path}"), &headers, body)
    }

    pub fn fetch(&self, path: &str, headers: &str) -> (u16, String) {
        self.call(&format!("GET {path}"), headers, "")
    }

    pub fn delete(&self, path: &str, headers: &str) -> (u16, String) {
        self.call(&format!("DELETE {path}"), headers, "")
    }

    fn call(&self, line: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = self.connect().unwrap();
        let (host, length) = (&self.address, body.len());
        let head = format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        answer(stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

/// Status and body of what a server answers before it closes the connection.
pub fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn drain(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        from.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// The first word of `text` that begins with `prefix`.
pub fn word<'a>(text: &'a str, prefix: &str) -> &'a str {
    let is_end = |sign: char| sign.is_whitespace() || matches!(sign, '\'' | '"');
    text.split(is_end).find(|word| word.starts_with(prefix)).unwrap_or_else(|| panic!("no {prefix}… in {text}"))
}

pub fn mode(path: impl AsRef<Path>) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

impl Finished {
    /// The one line for which a start failed.
    pub fn mistake(&self) -> &str {
        assert_eq!(self.status, 2, "{self:?}");
        assert_eq!(self.stdout, "");
        let line = self.stderr.strip_prefix("otp-server: ").unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(line.find('\n'), Some(line.len() - 1), "more than one line: {self:?}");
        line.trim_end()
    }
}

/// A variable's value that need not be text.
pub fn with_variable(mut command: Command, name: &str, value: impl AsRef<OsStr>) -> Command {
    command.env(name, value);
    command
}
