//! The DNS, as far as it is needed.

use async_trait::async_trait;

/// What the DNS says about the TXT records of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The value of each, its strings joined (RFC 7208 section 3.3); aliases (CNAME) have been followed.
    Found(Vec<String>),
    /// There are none: the name does not exist, or has no TXT record.
    NotFound,
    /// It gave no answer: it failed, refused, or took too long. Asked again it may.
    Failed {
        /// Why, in a few words.
        reason: String,
    },
}

/// Asks the DNS.
///
/// ```
/// use otp_core::domain::{Lookup, Resolver};
///
/// struct Nothing;
///
/// #[async_trait::async_trait]
/// impl Resolver for Nothing {
///     async fn txt(&self, _name: &str) -> Lookup {
///         Lookup::NotFound
///     }
/// }
/// ```
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// The TXT records of a name, which is absolute and has no dot at its end. It answers within ten seconds, from the name
    /// servers and not from a cache: whoever has just published a record wants to see it found.
    async fn txt(&self, name: &str) -> Lookup;
}

#[async_trait]
impl<R: Resolver + ?Sized> Resolver for std::sync::Arc<R> {
    async fn txt(&self, name: &str) -> Lookup {
        (**self).txt(name).await
    }
}
