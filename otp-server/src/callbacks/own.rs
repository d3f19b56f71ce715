//! By what the services are known that customers have set up for themselves.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use otp_core::ProviderId;
use otp_core::provider::OwnProvider;
use quick_cache::sync::Cache;

use super::CallbackVerifier;
use crate::delivery::{OwnUrl, REACH, Way, way};

/// Providers whose verifiers are kept: one of Amazon SES has a certificate that it need not get again.
const PROVIDERS: usize = 1_000;

/// The verifiers of customers' own providers.
pub(super) struct OwnVerifiers {
    public_url: Option<String>,
    way: LazyLock<Way, Box<dyn FnOnce() -> Way + Send>>,
    /// By provider and version, so that after a change none is used as it was. `None` where nothing says by what the service
    /// would be known.
    known: Cache<(ProviderId, u64), Option<Arc<CallbackVerifier>>>,
}

impl OwnVerifiers {
    pub(super) fn new(public_url: Option<String>, dns_server: Option<SocketAddr>) -> Self {
        let way: Box<dyn FnOnce() -> Way + Send> = Box::new(way(dns_server));
        Self { public_url, way: LazyLock::new(way), known: Cache::new(PROVIDERS) }
    }

    /// Of these providers, those that may tell of messages.
    pub(super) fn of(&self, providers: &[OwnProvider]) -> Vec<Arc<CallbackVerifier>> {
        providers.iter().filter_map(|provider| self.verifier(provider)).collect()
    }

    fn verifier(&self, provider: &OwnProvider) -> Option<Arc<CallbackVerifier>> {
        let key = (provider.id, provider.version);
        if let Some(known) = self.known.get(&key) {
            return known;
        }
        let made = self.make(provider).map(Arc::new);
        self.known.insert(key, made.clone());
        made
    }

    fn make(&self, provider: &OwnProvider) -> Option<CallbackVerifier> {
        let url = OwnUrl::parse(provider.url.expose(), REACH).ok()?;
        match url.reached_at(self.public_url.as_deref()) {
            // Those of the installation are asked in any case.
            OwnUrl::Installation | OwnUrl::Smtp(_) => None,
            OwnUrl::Mail(service) => {
                let (_, outbound) = self.way.as_ref().ok()?;
                CallbackVerifier::of_mail(&service, outbound)
            }
            OwnUrl::Texts(service) => CallbackVerifier::of_sms(&service),
        }
    }
}
