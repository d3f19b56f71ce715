//! A server on loopback that answers as it is told to and keeps what it was asked.

#![allow(dead_code)] // not every test that includes this file has use for all of it

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// What it does about a request.
pub enum Reply {
    /// Answers with this status, these header lines, and this body.
    Answer(u16, &'static str, String),
    /// Sends these bytes and closes the connection.
    Raw(Vec<u8>),
    /// Says nothing, and keeps the connection open.
    Silence,
    /// Sends the head of an answer, and then a byte ten times a second.
    Drip,
}

impl Reply {
    pub fn json(status: u16, body: &str) -> Self {
        Reply::Answer(status, "Content-Type: application/json\r\n", body.to_owned())
    }
}

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Captured {
    pub fn header(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    pub fn find(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The server; its threads end with the process.
pub struct Capture {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    requests: Receiver<Captured>,
}

impl Capture {
    pub fn start(reply: impl Fn(&Captured) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = channel();
        let reply = Arc::new(reply);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (reply, sender) = (Arc::clone(&reply), sender.clone());
                std::thread::spawn(move || converse(stream, &*reply, &sender));
            }
        });
        Self { url, requests }
    }

    pub fn next(&self) -> Captured {
        self.requests.recv_timeout(Duration::from_secs(30)).expect("a request comes in time")
    }

    /// Whether nothing more has been asked.
    pub fn is_quiet(&self) -> bool {
        self.requests.try_recv().is_err()
    }
}

fn converse(mut stream: TcpStream, reply: &(impl Fn(&Captured) -> Reply + ?Sized), sender: &Sender<Captured>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        let reply = reply(&request);
        let _ = sender.send(request); // the test may have seen enough
        let is_open = match reply {
            Reply::Answer(status, headers, body) => {
                let length = body.len();
                let answer = format!("HTTP/1.1 {status} x\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).is_ok()
            }
            Reply::Raw(bytes) => {
                let _ = stream.write_all(&bytes);
                false
            }
            Reply::Silence => true,
            Reply::Drip => drip(&mut stream),
        };
        if !is_open {
            return;
        }
    }
}

fn drip(stream: &mut TcpStream) -> bool {
    let mut open = stream.write_all(b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n").is_ok();
    while open {
        std::thread::sleep(Duration::from_millis(100)); // the fault itself, not a wait
        open = stream.write_all(b"1\r\n \r\n").is_ok();
    }
    false
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Captured> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Captured { method, target, headers, body })
}
