//! Calls as the tenant's analytics count them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use otp_core::Space;
use otp_core::call::Call;
use otp_core::usage::{ErrorCategory, Route};

use super::App;
use super::problem::ProblemCode;

/// Whose call a request turns out to be. In its extensions, from where the handler's [`Asker`](super::asker::Asker) takes it.
#[derive(Clone, Default)]
pub struct CallOf(Arc<OnceLock<Space>>);

impl CallOf {
    /// The request showed a credential of this space.
    pub fn tell(&self, space: Space) {
        let _ = self.0.set(space); // of two credentials the first counts
    }

    /// Counts the call, if it was anybody's.
    pub fn note(&self, app: &App, method: &Method, path: Option<&str>, response: &Response, took: Duration) {
        let Some(space) = self.0.get() else { return };
        let code = response.extensions().get::<ProblemCode>().map(|code| code.0);
        let error = code.map(|code| (category(response.status(), code), code));
        app.service.note_call(*space, Call { route: route(method, path.unwrap_or_default()), took, error });
    }
}

fn category(status: StatusCode, code: &str) -> ErrorCategory {
    match (status.as_u16(), code) {
        (_, "quota_exceeded" | "plan_limit") => ErrorCategory::Quota,
        (_, "delivery_unavailable") => ErrorCategory::EmailDelivery,
        (429, _) => ErrorCategory::RateLimit,
        (401 | 403, _) => ErrorCategory::Authentication,
        (500.., _) => ErrorCategory::Internal,
        _ => ErrorCategory::Validation,
    }
}

/// The operation's id in lower case with hyphens: `request-otp`.
fn route(method: &Method, path: &str) -> Route {
    ROUTES.get(&(method.clone(), path.to_owned())).copied().unwrap_or(Route::named("other"))
}

static ROUTES: LazyLock<HashMap<(Method, String), Route>> = LazyLock::new(|| {
    let mut routes = HashMap::new();
    for (path, item) in &super::openapi().paths.paths {
        let operations = [
            (Method::GET, &item.get),
            (Method::POST, &item.post),
            (Method::PUT, &item.put),
            (Method::DELETE, &item.delete),
        ];
        for (method, operation) in operations {
            if let Some(id) = operation.as_ref().and_then(|operation| operation.operation_id.as_deref()) {
                routes.insert((method, path.clone()), Route::named(&hyphenated(id)));
            }
        }
    }
    routes
});

fn hyphenated(id: &str) -> String {
    let letter = |letter: char| match letter.is_ascii_uppercase() {
        true => format!("-{}", letter.to_ascii_lowercase()),
        false => letter.to_string(),
    };
    id.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        assert_eq!(route(&Method::POST, "/auth/request-otp").as_str(), "request-otp");
        let names: std::collections::BTreeSet<&str> = ROUTES.values().map(Route::as_str).collect();
        assert_eq!(names.len(), ROUTES.len());
    }

    #[test]
    fn each_error_is_of_the_kind_that_its_owner_would_look_for() {
        for (status, code, expected) in [
            (400, "invalid_email", ErrorCategory::Validation),
            (404, "not_found", ErrorCategory::Validation),
            (401, "otp_invalid", ErrorCategory::Authentication),
            (403, "ip_not_allowed", ErrorCategory::Authentication),
            (403, "plan_limit", ErrorCategory::Quota),
            (429, "quota_exceeded", ErrorCategory::Quota),
            (429, "cooldown", ErrorCategory::RateLimit),
            (503, "delivery_unavailable", ErrorCategory::EmailDelivery),
            (503, "busy", ErrorCategory::Internal),
            (500, "internal_error", ErrorCategory::Internal),
        ] {
            assert_eq!(category(StatusCode::from_u16(status).unwrap(), code), expected, "{status} {code}");
        }
    }
}
