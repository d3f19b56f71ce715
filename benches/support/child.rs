//! Servers as processes of their own, so that their processor time and memory can be told from the load's.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The kernel counts processor time in these; 100 a second on every Linux.
const TICK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that answers.
pub struct Server {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From its start to its first answer.
    pub started_in: Duration,
}

/// An address on the loopback that nobody listens on.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

impl Server {
    /// Starts a program that will listen at `address`, and waits until it answers `path` with 200.
    pub fn start(mut program: Command, address: SocketAddr, path: &str) -> Self {
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let started = Instant::now();
        let process = program.spawn().unwrap_or_else(|error| panic!("cannot start {program:?}: {error}"));
        let mut server = Self { process, address, started_in: Duration::ZERO };
        while !answers(address, path) {
            let ended = server.process.try_wait().expect("a child's status");
            assert!(ended.is_none(), "{program:?} ended: {ended:?}");
            assert!(started.elapsed() < PATIENCE, "{program:?} does not answer");
            sleep(Duration::from_micros(500));
        }
        server.started_in = started.elapsed();
        server
    }

    /// User and system time so far.
    pub fn cpu(&self) -> Duration {
        cpu_of(&self.file("stat"))
    }

    /// As [`cpu`](Self::cpu), once what is still done behind the last answers is done.
    pub fn settled_cpu(&self) -> Duration {
        let mut before = self.cpu();
        for _ in 0..50 {
            sleep(Duration::from_millis(200));
            let now = self.cpu();
            if now - before <= TICK {
                return now;
            }
            before = now;
        }
        before
    }

    /// Resident memory in MiB.
    pub fn resident(&self) -> f64 {
        let status = fs::read_to_string(self.file("status")).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) {
        let id = self.process.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        assert!(asked.is_ok_and(|status| status.success()), "cannot signal process {id}");
        self.process.wait().expect("a child's status");
    }

    fn file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.process.id())
    }
}

/// User and system time of this process so far.
pub fn own_cpu() -> Duration {
    cpu_of("/proc/self/stat")
}

fn cpu_of(file: &str) -> Duration {
    let stat = fs::read_to_string(file).expect("a running process");
    // Behind the name, which may hold anything: state is field 3, utime 14, stime 15.
    let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
    let ticks: u32 = fields[11..13].iter().map(|field| field.parse::<u32>().expect("a number")).sum();
    TICK * ticks
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn answers(address: SocketAddr, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
