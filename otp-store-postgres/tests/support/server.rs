//! A PostgreSQL of the tests' own: a temporary folder, a free port, gone when whoever started it ends, in whatever way.
//!
//! `xtask` starts one for a whole run; a test binary that is run by itself starts its own.

#![allow(dead_code, clippy::disallowed_methods)] // each user of this file uses its part; tests are told by the environment

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// Debian puts the programs of each version in a folder of its own.
const DEBIAN: &str = "/usr/lib/postgresql";

/// How long between two looks at what it does.
const PAUSE: Duration = Duration::from_millis(10);

/// Makes a database and serves it until its input ends, which it does when the process that holds the other end does. Until
/// then each line of the input is an order.
const SCRIPT: &str = r#"
set -e
cd "$FOLDER"
"$BIN/initdb" -D data -U postgres -A trust -E UTF8 --locale=C --no-sync >log 2>&1
if [ -n "$TLS" ]; then
  curve="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
  openssl req -x509 $curve -keyout ca.key -out ca.pem -days 2 -subj /CN=tests
  openssl req $curve -keyout data/server.key -out server.csr -subj /CN=localhost
  echo "subjectAltName=DNS:localhost" >names
  openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out data/server.crt
  chmod 600 data/server.key
fi >>log 2>&1
# After a crash it otherwise sees to each of a thousand files by itself, for seconds.
quick="-c recovery_init_sync_method=syncfs"
"$BIN/postgres" -D data $quick -C recovery_init_sync_method >>log 2>&1 || quick=
start() {
  "$BIN/postgres" -D data -k "$FOLDER" -h localhost -p "$PORT" -c max_connections=300 -c ssl="${TLS:-off}" $quick >>log 2>&1 &
  server=$!
}
stop() {
  kill -QUIT "$server" || true
  wait "$server" || true
}
start
while read -r order; do "$order"; done
stop
cd /
rm -rf "$FOLDER"
"#;

/// Where the server of this process's tests is: the one that the environment names, or one of the process's own.
pub fn url() -> &'static str {
    static URL: OnceLock<(String, Option<Server>)> = OnceLock::new();
    let start = || match std::env::var("OTP_TEST_POSTGRES_URL") {
        Ok(url) => (url, None),
        Err(_) => {
            let server = Server::start().expect("a PostgreSQL can be started");
            (server.url().to_owned(), Some(server))
        }
    };
    &URL.get_or_init(start).0
}

/// A server that runs. Dropped, it stops and its folder goes.
pub struct Server {
    port: u16,
    url: String,
    folder: PathBuf,
    child: Child,
}

impl Server {
    /// Starts one and waits until it takes connections.
    pub fn start() -> io::Result<Self> {
        Self::start_with("")
    }

    /// The same, with a certificate for `localhost` of an [authority](Self::authority) of its own.
    pub fn start_with_tls() -> io::Result<Self> {
        Self::start_with("on")
    }

    fn start_with(tls: &str) -> io::Result<Self> {
        let bin = binaries()
            .ok_or_else(|| io::Error::other("there is no PostgreSQL here; Debian's `postgresql` brings it"))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let folder = std::env::temp_dir().join(format!("otp-postgres-{port}-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let mut command = as_postgres(&folder)?;
        command.args(["sh", "-c", SCRIPT]).env("BIN", bin).env("FOLDER", &folder).env("PORT", port.to_string());
        command.env("TLS", tls);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        let mut server = Self { port, url, folder, child };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Its port at `localhost`.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file with the authority of its certificate.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Where it is; the user may do everything.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops it as `pg_ctl stop -m immediate` does: connections break, and what was not in its log is gone.
    pub fn stop_immediately(&mut self) -> io::Result<()> {
        self.order("stop")?;
        while self.pid_file().is_some() {
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Starts it again after that, where it was, and waits until it takes connections.
    pub fn start_again(&mut self) -> io::Result<()> {
        self.order("start")?;
        self.wait_until_ready()
    }

    fn order(&mut self, order: &str) -> io::Result<()> {
        let mut input = self.child.stdin.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(input, "{order}")
    }

    /// What the server says of itself as long as it runs.
    fn pid_file(&self) -> Option<String> {
        fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        loop {
            if self.pid_file().is_some_and(|said| said.lines().any(|line| line.trim_end() == "ready")) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(io::Error::other(format!("PostgreSQL did not start: {status}\n{log}")));
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The folder of `initdb` and `postgres`, of the newest version there is.
pub fn binaries() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| Some((version.file_name().to_str()?.parse().ok()?, version.path().join("bin"))))
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev().map(|(_, folder)| folder));
    folders.into_iter().find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// PostgreSQL does not run as root: then it runs as the user that its package made, who owns the folder.
fn as_postgres(folder: &Path) -> io::Result<Command> {
    let id = Command::new("id").arg("-u").output()?;
    if id.stdout.trim_ascii() != b"0" {
        return Ok(Command::new("env"));
    }
    let mut chown = Command::new("chown");
    if !chown.args([OsString::from("postgres:"), folder.into()]).status()?.success() {
        return Err(io::Error::other("PostgreSQL does not run as root, and there is no user `postgres`"));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    Ok(command)
}
