//! The two listening sockets.

use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::config::{Config, Mistake, Setting};

/// Bound, not yet accepting: who connects waits for the server to be ready.
pub(super) struct Sockets {
    pub public: TcpListener,
    pub operator: Option<TcpListener>,
    public_at: SocketAddr,
    operator_at: Option<SocketAddr>,
}

impl Sockets {
    pub async fn bind(config: &Config) -> Result<Self, Mistake> {
        let (public, public_at) = bind(Setting::Listen, config.listen).await?;
        let (operator, operator_at) = match config.admin_listen {
            Some(address) => {
                let (listener, at) = bind(Setting::AdminListen, address).await?;
                (Some(listener), Some(at))
            }
            None => (None, None),
        };
        Ok(Self { public, operator, public_at, operator_at })
    }

    /// Where the API listens, as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.public_at)
    }

    /// Where this machine reaches the API: an address that stands for every interface is none to connect to.
    pub fn local_url(&self) -> String {
        let ip = match self.public_at.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, self.public_at.port()))
    }

    /// The same of metrics and detailed health.
    pub fn operator_url(&self) -> Option<String> {
        self.operator_at.map(|at| format!("http://{at}"))
    }

    /// Whether only this machine reaches the API.
    pub fn is_local(&self) -> bool {
        self.public_at.ip().to_canonical().is_loopback()
    }

    /// Whether other machines reach the metrics.
    pub fn operator_is_open(&self) -> bool {
        self.operator_at.is_some_and(|at| !at.ip().to_canonical().is_loopback())
    }
}

async fn bind(setting: Setting, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Mistake> {
    let refuse = |error: Error| Mistake::of(setting, reason(address, &error));
    let listener = TcpListener::bind(address).await.map_err(refuse)?;
    let at = listener.local_addr().map_err(refuse)?;
    Ok((listener, at))
}

fn reason(address: SocketAddr, error: &Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!("{address} is in use by another program; stop it, or choose another port"),
        ErrorKind::AddrNotAvailable => {
            format!("{} is no address of this machine; use 127.0.0.1, 0.0.0.0 or one that is", address.ip())
        }
        ErrorKind::PermissionDenied => {
            format!("port {} needs privileges that this user has not; use a port from 1024 on", address.port())
        }
        _ => format!("cannot listen on {address}: {error}; choose another address or port"),
    }
}
