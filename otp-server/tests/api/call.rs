//! Requests, and answers with what all of them have in common checked.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use bytes::Bytes;
use otp_server::listen::Peer;
use serde_json::Value;

use crate::document;

/// A request in the making.
pub struct Call {
    pub method: Method,
    pub path: String,
    headers: HeaderMap,
    body: Body,
    peer: SocketAddr,
}

pub fn get(path: impl Into<String>) -> Call {
    Call::new(Method::GET, path)
}

pub fn delete(path: impl Into<String>) -> Call {
    Call::new(Method::DELETE, path)
}

pub fn post(path: impl Into<String>, body: Value) -> Call {
    Call::new(Method::POST, path).json(&body)
}

pub fn put(path: impl Into<String>, body: Value) -> Call {
    Call::new(Method::PUT, path).json(&body)
}

impl Call {
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        let peer = SocketAddr::from(([192, 0, 2, 1], 4711));
        Self { method, path: path.into(), headers: HeaderMap::new(), body: Body::empty(), peer }
    }

    pub fn json(self, body: &Value) -> Self {
        self.raw(serde_json::to_vec(body).unwrap())
    }

    /// A body that is said to be JSON.
    pub fn raw(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self.header("content-type", "application/json")
    }

    pub fn bearer(self, credential: impl AsRef<str>) -> Self {
        self.header("authorization", format!("Bearer {}", credential.as_ref()))
    }

    /// The other way to show a key.
    pub fn key(self, key: impl AsRef<str>) -> Self {
        self.header("x-otp-api-key", key.as_ref())
    }

    pub fn once(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub fn origin(self, origin: &str) -> Self {
        self.header("origin", origin)
    }

    /// In the place of what was there.
    pub fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// The address at the other end of the socket.
    pub fn from(mut self, ip: &str) -> Self {
        self.peer.set_ip(ip.parse().unwrap());
        self
    }

    pub fn request(self) -> Request<Body> {
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.path.parse().unwrap();
        *request.headers_mut() = self.headers;
        request.extensions_mut().insert(Peer(self.peer));
        request
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub method: Method,
    pub path: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn number(&self, name: &str) -> u64 {
        self.header(name).unwrap_or_else(|| panic!("{self} has no {name}")).parse().unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{self}: {error}"))
    }

    /// The body of a success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{self}");
        let body = self.json();
        assert_eq!(body["success"], true, "{self}");
        body
    }

    /// The body of an error with this status and code.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!((self.status.as_u16(), body["code"].as_str()), (status, Some(code)), "{self}");
        body
    }

    /// The code of an error, or the status of a success.
    pub fn outcome(&self) -> String {
        match self.status.is_success() {
            true => self.status.as_u16().to_string(),
            false => format!("{} {}", self.status.as_u16(), self.json()["code"].as_str().unwrap_or("-")),
        }
    }

    /// What is so of every answer.
    #[track_caller]
    pub fn check(&self) {
        let ids: Vec<_> = self.headers.get_all("x-request-id").iter().collect();
        assert!(ids.len() == 1 && !ids[0].is_empty(), "{self}");
        for (name, value) in
            [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer")]
        {
            assert_eq!(self.header(name), Some(value), "{self}");
        }
        let policy = self.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{self}");
        let may_be_kept =
            self.status.is_success() && ["jwks.json", "openapi.json"].iter().any(|end| self.path.ends_with(end));
        let kept = self.header("cache-control").expect("every answer says who may keep it");
        assert!(kept == "no-store" || (may_be_kept && kept.contains("max-age")), "{self}");
        let is_admin = self.path.starts_with("/admin");
        let cors = self.headers.keys().any(|name| name.as_str().starts_with("access-control-"));
        assert!(!(is_admin && cors), "{self}");
        assert_eq!(self.header("access-control-allow-credentials"), None, "{self}");
        let is_page = self.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        if self.status.as_u16() >= 400 && !is_page && !self.path.starts_with("/health") && self.method != Method::HEAD {
            self.check_problem();
        }
        document::check(self);
    }

    fn check_problem(&self) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self}");
        let body = self.json();
        assert_eq!(body["type"], "about:blank", "{self}");
        assert_eq!(body["title"].as_str(), self.status.canonical_reason(), "{self}");
        assert_eq!(body["status"], self.status.as_u16(), "{self}");
        assert_eq!(body["success"], false, "{self}");
        assert_eq!(body["requestId"].as_str(), self.header("x-request-id"), "{self}");
        assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{self}");
        let code = body["code"].as_str().unwrap();
        assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{self}");
        assert_eq!(
            self.header("retry-after").map(str::to_owned),
            body["retryAfter"].as_u64().map(|wait| wait.to_string()),
            "{self}"
        );
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(body["retryAfter"].as_u64().is_some_and(|wait| wait > 0), "{self}");
        }
        if self.status == StatusCode::UNAUTHORIZED {
            assert_eq!(self.header("www-authenticate"), Some("Bearer"), "{self}");
        }
        if self.status.is_server_error() {
            let text = self.text();
            assert!(!["secret", "row 17", "broke"].iter().any(|inside| text.contains(inside)), "{self}");
        }
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        let body: String = body.chars().take(2_000).collect();
        write!(f, "{} {} → {} {:?}\n{body}", self.method, self.path, self.status, self.headers)
    }
}
