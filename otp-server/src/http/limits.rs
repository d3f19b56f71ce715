//! The headers that tell how much of a limit is left. `Reset` is a Unix time in seconds.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use otp_core::limit::Allowance;

/// The rate limit.
pub fn limit(headers: &mut HeaderMap, allowance: &Allowance) {
    set(headers, ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"], allowance);
}

/// The plan's quota; shown to secret keys only, because it tells of the tenant's business.
pub fn quota(headers: &mut HeaderMap, allowance: &Allowance) {
    set(headers, ["x-quota-limit", "x-quota-remaining", "x-quota-reset"], allowance);
}

fn set(headers: &mut HeaderMap, names: [&'static str; 3], allowance: &Allowance) {
    let reset = (allowance.reset_at.as_millis() + 999).div_euclid(1000);
    let values = [allowance.limit, allowance.remaining, u64::try_from(reset).unwrap_or(0)];
    for (name, value) in names.into_iter().zip(values) {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
}
