//! A name server of a test's own: a temporary folder, a free port, gone when the test ends, in whatever way.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Serves until its input ends, which it does when the process that holds the other end does. Debian keeps servers off the
/// path of users.
const SCRIPT: &str = r#"
PATH="$PATH:/usr/sbin"
named -g -c named.conf 2>&1 &
cat >/dev/null
kill "$!"
wait "$!" || true
"#;

/// What is in the zone from the beginning; `LONG` and `MANY` stand for more than fits in a string and in a packet.
const ZONE: &str = r#"$TTL 1
@ SOA ns. admin. 1 1 1 1 1
@ NS ns.example.
@ TXT LONG
one TXT "first string, " "second"
two TXT "a"
two TXT "b"
many MANY
nothing A 192.0.2.1
alias CNAME two
chain CNAME alias
elsewhere CNAME proof.other.test.
astray CNAME nobody
dead CNAME x.broken.test.
bytes TXT "\255\000"
"#;

/// A running server. Dropped, it stops and its folder goes.
pub struct Named {
    pub address: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Named {
    /// Starts one and waits until it answers. It has the zones `acme.test`, `other.test` and `example.com`, and should have
    /// `broken.test`.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let zone =
            |name: &str, options: &str| format!("zone \"{name}\" {{ type primary; file \"{name}\"; {options} }};\n");
        let configuration = format!(
            "options {{ directory \"{}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
             recursion no; dnssec-validation no; pid-file none; max-udp-size 512; minimal-responses yes; }};\n\
             controls {{ }};\n{}{}{}{}",
            folder.path().display(),
            zone("acme.test", "allow-update { 127.0.0.1; };"),
            zone("other.test", ""),
            zone("example.com", ""),
            zone("broken.test", ""),
        );
        let long = format!("\"{}\" \"{}\" \"{}\"", "a".repeat(255), "b".repeat(255), "c");
        let many: String = (0..40).map(|number| format!("TXT \"{number} {}\"\n ", "x".repeat(200))).collect();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("named.conf", &configuration);
        write("acme.test", &ZONE.replace("LONG", &long).replace("MANY", many.trim_end()));
        let start = ZONE.split_once("@ TXT").unwrap().0;
        write("other.test", &format!("{start}proof TXT \"proof\"\n"));
        write("example.com", start);

        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]).current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut said = Vec::new();
        while said.last().is_none_or(|line: &String| !line.ends_with(" running")) {
            said.push(lines.next().unwrap_or_else(|| panic!("named ended: {said:#?}")));
        }
        // What it goes on to say must not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), child, _folder: folder }
    }

    /// Changes the zone `acme.test` (RFC 2136): each line is `add NAME TTL TYPE VALUE` or `delete NAME TYPE`.
    pub fn update(&self, lines: &[String]) {
        let updates: String = lines.iter().map(|line| format!("update {line}\n")).collect();
        let orders = format!("server 127.0.0.1 {}\nzone acme.test\n{updates}send\n", self.address.port());
        let mut nsupdate = Command::new("nsupdate").stdin(Stdio::piped()).spawn().unwrap();
        nsupdate.stdin.take().unwrap().write_all(orders.as_bytes()).unwrap();
        assert!(nsupdate.wait().unwrap().success(), "{orders}");
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait(); // it may have ended
    }
}

/// Free for TCP and for UDP.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = tcp.local_addr().unwrap().port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
