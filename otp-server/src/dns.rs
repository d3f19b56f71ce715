//! The DNS, asked through hickory.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::RData;
use otp_core::domain::{Lookup, Resolver};
use tokio::sync::Semaphore;

/// For one question to one server.
const TIMEOUT: Duration = Duration::from_secs(2);
/// After the first try.
const RETRIES: usize = 1;
/// For an answer, whatever happens: the system may name many servers, and an answer may have to be fetched again by TCP.
const DEADLINE: Duration = Duration::from_secs(8);
/// Questions at a time; further ones wait, within their deadline.
const AT_A_TIME: usize = 32;
/// As above, for the addresses of hosts that tenants name: those with slow name servers are not to hold up the others.
const HOSTS_AT_A_TIME: usize = 256;
/// Reserved (RFC 2606) and in the DNS.
const ALWAYS_THERE: &str = "example.com";

/// Asks name servers, without a cache and without the names of the hosts file and the local network.
#[derive(Clone)]
pub struct Dns {
    resolver: TokioResolver,
    room: Arc<Semaphore>,
    room_for_hosts: Arc<Semaphore>,
}

impl Dns {
    /// Asks this server, or else those that the system names.
    ///
    /// # Errors
    /// When the system names none.
    pub fn of(server: Option<SocketAddr>) -> Result<Self, NetError> {
        let mut builder = match server {
            Some(server) => {
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![at(server)]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
            None => TokioResolver::builder_tokio()?,
        };
        let options = builder.options_mut();
        options.timeout = TIMEOUT;
        options.attempts = RETRIES;
        // Whoever has just published a record asks again at once.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let [room, room_for_hosts] = [AT_A_TIME, HOSTS_AT_A_TIME].map(|places| Arc::new(Semaphore::new(places)));
        Ok(Self { resolver: builder.build()?, room, room_for_hosts })
    }

    /// Whether it answers at all.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn check(&self) -> Result<(), String> {
        match self.txt(ALWAYS_THERE).await {
            Lookup::Found(_) | Lookup::NotFound => Ok(()),
            Lookup::Failed { reason } => Err(reason),
        }
    }

    /// The addresses of a host; none if it has none.
    ///
    /// # Errors
    /// Why the DNS gave no answer, in words.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let ask = async {
            let _room = self.room_for_hosts.acquire().await;
            self.resolver.lookup_ip(format!("{}.", host.trim_end_matches('.'))).await
        };
        match tokio::time::timeout(DEADLINE, ask).await {
            Ok(Ok(found)) => Ok(found.iter().collect()),
            Ok(Err(error)) if error.is_no_records_found() => Ok(Vec::new()),
            Ok(Err(error)) => Err(reason(&error)),
            Err(_) => Err(reason(&NetError::Timeout)),
        }
    }

    async fn ask(&self, name: &str) -> Result<Vec<String>, NetError> {
        let _room = self.room.acquire().await;
        // The dot at the end keeps the domains that the system would try behind it out.
        let answer = self.resolver.txt_lookup(format!("{name}.")).await?;
        let values = answer.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None, // the aliases on the way
        });
        Ok(values.collect())
    }
}

fn at(server: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    NameServerConfig::new(server.ip(), true, connections.into())
}

#[async_trait]
impl Resolver for Dns {
    async fn txt(&self, name: &str) -> Lookup {
        match tokio::time::timeout(DEADLINE, self.ask(name)).await {
            Ok(Ok(values)) if values.is_empty() => Lookup::NotFound,
            Ok(Ok(values)) => Lookup::Found(values),
            Ok(Err(error)) if error.is_no_records_found() => Lookup::NotFound,
            Ok(Err(error)) => {
                tracing::debug!(name, %error, "the DNS gave no answer");
                Lookup::Failed { reason: reason(&error) }
            }
            Err(_) => Lookup::Failed { reason: reason(&NetError::Timeout) },
        }
    }
}

/// In words for the tenant, who need not know which servers were asked.
fn reason(error: &NetError) -> String {
    match error {
        NetError::Dns(DnsError::ResponseCode(code)) => format!("the name server answered: {code}"),
        NetError::Timeout => "no name server answered in time".to_owned(),
        _ => "no name server could be asked".to_owned(),
    }
}
