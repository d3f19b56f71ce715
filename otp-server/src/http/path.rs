//! The names in a request's path.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// What a path names. Where it is not even UTF-8 the names read as empty, which is the name of nothing: so it is
/// answered like any other unknown name, after the same checks.
pub struct Named<T>(pub T);

impl<T: DeserializeOwned + Default + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let names = Path::from_request_parts(parts, state).await;
        Ok(Self(names.map_or_else(|_| T::default(), |Path(names)| names)))
    }
}
