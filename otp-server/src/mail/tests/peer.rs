//! aiosmtpd as a mail server, and certificates for it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde::Deserialize;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::in_time;
use crate::mail::{MailUrl, SmtpUrl};

/// A running server; it ends with its standard input.
pub(super) struct Peer {
    port: u16,
    taken: mpsc::UnboundedReceiver<Taken>,
    process: Child,
    _input: ChildStdin,
}

/// A mail that the server took.
#[derive(Debug, Deserialize)]
pub(super) struct Taken {
    /// Address and port of the client, which tell connections apart.
    pub connection: String,
    pub encrypted: bool,
    pub login: Option<String>,
    pub from: String,
    pub to: Vec<String>,
    headers: Vec<(String, String)>,
    pub subject: String,
    pub sender: String,
    pub sender_addresses: Vec<String>,
    pub content_type: String,
    pub text: Option<String>,
    pub html: Option<String>,
}

impl Taken {
    /// Lower-case and sorted.
    pub(super) fn header_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let header = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        &header.unwrap_or_else(|| panic!("no {name} in {self:?}")).1
    }
}

impl Peer {
    /// Starts a server with these arguments.
    pub(super) fn start(args: &[&str]) -> Self {
        let python = std::env::var_os("OTP_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        let has_peer = Command::new(&python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
        assert!(
            has_peer.is_ok_and(|status| status.success()),
            "{} has no aiosmtpd: `pip install aiosmtpd`, or run `cargo xtask test`, which installs it",
            python.display()
        );
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/peers/smtp.py");
        let mut command = Command::new(python);
        command.arg(script).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next().expect("the server prints its port").unwrap().parse().unwrap();
        let (sender, taken) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        let input = process.stdin.take().unwrap();
        Self { port, taken, process, _input: input }
    }

    /// The URL of this server, with what goes before the host and behind the port.
    pub(super) fn url(&self, login: &str, options: &str) -> SmtpUrl {
        server(&format!("smtp://{login}localhost:{}{options}", self.port))
    }

    pub(super) async fn next(&mut self) -> Taken {
        in_time(self.taken.recv()).await.expect("the server runs")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) fn server(url: &str) -> SmtpUrl {
    match url.parse() {
        Ok(MailUrl::Smtp(server)) => server,
        other => panic!("{url} is {other:?}"),
    }
}

/// A certificate authority of the test's own, and a certificate for localhost that it signed.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    pub(crate) fn make() -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        made.openssl("ca", "/CN=Test CA", &["-addext", "keyUsage=critical,keyCertSign"]);
        let (ca, ca_key) = (made.path("ca.pem"), made.path("ca.key"));
        let signed = ["-CA", &ca, "-CAkey", &ca_key, "-addext", "basicConstraints=critical,CA:FALSE"];
        made.openssl("host", "/CN=localhost", &[&signed[..], &["-addext", "subjectAltName=DNS:localhost"]].concat());
        made
    }

    pub(crate) fn path(&self, name: &str) -> String {
        PathBuf::from(self.0.path()).join(name).into_os_string().into_string().unwrap()
    }

    /// What the server needs to know.
    pub(super) fn args(&self) -> [String; 4] {
        ["--cert".to_owned(), self.path("host.pem"), "--key".to_owned(), self.path("host.key")]
    }

    fn openssl(&self, name: &str, subject: &str, more: &[&str]) {
        let (key, certificate) = (self.path(&format!("{name}.key")), self.path(&format!("{name}.pem")));
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", subject, "-keyout", &key, "-out", &certificate])
            .args(more)
            .output()
            .expect("openssl is installed; `cargo xtask test` does it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
