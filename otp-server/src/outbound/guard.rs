//! Where a host is, and whether a connection there may be made.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::vec;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use otp_core::destination::{NotPublic, Reach};
use tower::Service;
use url::Host;

use crate::dns::Dns;

/// Looks hosts up, and gives no address that is out of reach.
#[derive(Clone)]
pub struct Guard {
    reach: Reach,
    /// Shared: a client is cloned for every request.
    dns: Option<Arc<Dns>>,
}

/// Why no connection to a host is tried.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// It is not on the public net, or not only there.
    #[error(transparent)]
    NotPublic(#[from] NotPublic),
    /// It has no address.
    #[error("the host has no address")]
    NoAddress,
    /// The DNS says nothing of it.
    #[error("{0}")]
    Dns(String),
    /// The system says nothing of it.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl Guard {
    /// For hosts that tenants name: they are asked for from the name servers, and stand neither in the hosts file of this
    /// machine nor in its own domains.
    pub fn public(dns: Dns) -> Self {
        Self { reach: Reach::Public, dns: Some(Arc::new(dns)) }
    }

    /// For hosts that the operator names, and for those of tenants where the operator lets them name any.
    pub fn anywhere() -> Self {
        Self { reach: Reach::Anywhere, dns: None }
    }

    /// The addresses of a host, all of which are within reach. They are to be connected to as they are: looked up again, the
    /// name may point elsewhere.
    ///
    /// # Errors
    /// When one of them is out of reach, and when there are none.
    pub async fn find(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Unreachable> {
        let addresses: Vec<SocketAddr> = match &self.dns {
            None => tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await?.collect(),
            Some(dns) => match Host::parse(host).map_err(|_| Unreachable::NoAddress)? {
                Host::Ipv4(address) => vec![(address, port).into()],
                Host::Ipv6(address) => vec![(address, port).into()],
                Host::Domain(name) => {
                    self.reach.admit(&Host::Domain(&name))?;
                    let found = dns.addresses(&name).await.map_err(Unreachable::Dns)?;
                    found.into_iter().map(|address| (address, port).into()).collect()
                }
            },
        };
        if addresses.is_empty() {
            return Err(Unreachable::NoAddress);
        }
        // One that is not public among others that are: whoever put it there means no good, or made a mistake.
        if !addresses.iter().all(|address| self.reach.admits(address.ip())) {
            return Err(NotPublic.into());
        }
        Ok(addresses)
    }
}

impl Service<Name> for Guard {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Unreachable;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Unreachable>> + Send>>;

    fn poll_ready(&mut self, _context: &mut task::Context<'_>) -> Poll<Result<(), Unreachable>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let guard = self.clone();
        // The port is that of the URL, which the connector knows.
        Box::pin(async move { Ok(guard.find(name.as_str(), 0).await?.into_iter()) })
    }
}

/// Connects to what the guard lets through. An address that stands in the URL itself never comes to a resolver, so it is
/// judged here.
#[derive(Clone)]
pub(super) struct Guarded {
    guard: Guard,
    tcp: HttpConnector<Guard>,
}

impl Guarded {
    pub(super) fn new(guard: Guard, tcp: impl FnOnce(Guard) -> HttpConnector<Guard>) -> Self {
        Self { tcp: tcp(guard.clone()), guard }
    }

    fn admit(&self, uri: &Uri) -> Result<(), Unreachable> {
        let host = Host::parse(uri.host().unwrap_or_default()).map_err(|_| Unreachable::NoAddress)?;
        Ok(self.guard.reach.admit(&host)?)
    }
}

impl Service<Uri> for Guarded {
    type Response = <HttpConnector<Guard> as Service<Uri>>::Response;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let admitted = self.admit(&uri);
        let connecting = self.tcp.call(uri);
        Box::pin(async move {
            admitted?;
            Ok(connecting.await?)
        })
    }
}
