//! Members at the door: the cookie or the token of a session, and what keeps the pages of other sites from acting by it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use otp_core::idempotency::Idempotency;
use otp_core::member::ABSOLUTE;
use otp_core::{Client, MemberCaller, Secret};

use super::App;
use super::asker::Asker;
use super::problem::Problem;

/// What the token of a program begins with; that of a cookie has no beginning, so that neither is taken for the other.
const PROGRAM: &str = "otp_ms_";
/// The header that a page shows beside its cookie.
const CSRF: &str = "x-csrf-token";

/// What a request shows of a session.
enum Shown {
    None,
    Cookie(Secret),
    Token(Secret),
}

/// Whose page sent a request, as far as its browser tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Own,
    Another,
    Untold,
}

/// One request's sender, where members may call.
pub struct Visitor {
    asker: Asker,
    shown: Shown,
    sender: Sender,
    csrf: Option<String>,
    changes: bool,
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let asker = Asker::from_request_parts(parts, app).await?;
        let headers = &parts.headers;
        Ok(Self {
            asker,
            shown: shown(headers, cookie_name(app)),
            sender: sender(headers, app.service.url()),
            csrf: headers.get(CSRF).and_then(|value| value.to_str().ok()).map(str::to_owned),
            changes: !parts.method.is_safe(),
        })
    }
}

fn shown(headers: &HeaderMap, cookie: &str) -> Shown {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.split_once(' '));
    let token = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    if let Some(token) = token.filter(|token| token.starts_with(PROGRAM)) {
        return Shown::Token(Secret::from(token.to_owned()));
    }
    let values = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut named = pairs.filter(|(name, _)| *name == cookie).map(|(_, value)| value);
    match (named.next(), named.next()) {
        (Some(value), None) if !value.starts_with(PROGRAM) => Shown::Cookie(Secret::from(value.to_owned())),
        // Of two cookies one was put there by somebody else, and nobody can tell which.
        _ => Shown::None,
    }
}

/// Browsers say whose page sent a request; those too old for that say its origin.
fn sender(headers: &HeaderMap, url: &str) -> Sender {
    if let Some(site) = headers.get("sec-fetch-site") {
        let is_own = [b"same-origin".as_slice(), b"none"].contains(&site.as_bytes());
        return if is_own { Sender::Own } else { Sender::Another };
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Sender::Untold };
    let own = url::Url::parse(url).map(|url| url.origin().ascii_serialization());
    let is_own = own.is_ok_and(|own| own.as_bytes() == origin.as_bytes());
    if is_own { Sender::Own } else { Sender::Another }
}

impl Visitor {
    /// The client as the socket and its headers show it.
    pub fn client(&self) -> Client {
        self.asker.client()
    }

    /// The idempotency key, if there is one, with what was asked under it.
    pub fn idempotency(&self, raw: &[u8]) -> Result<Option<Idempotency>, Problem> {
        self.asker.idempotency(raw)
    }

    /// Refuses what the page of another site sent.
    pub fn at_home(&self) -> Result<(), Problem> {
        match self.sender {
            Sender::Another if self.changes => Err(cross_site()),
            _ => Ok(()),
        }
    }

    /// The signed-in member. What a cookie lets in has to come from a page of ours if it changes anything, and to show the
    /// token that only our pages can read.
    pub async fn member(&self, app: &App) -> Result<MemberCaller, Problem> {
        self.at_home()?;
        let caller = match &self.shown {
            Shown::None => {
                let detail = "sign in (POST /api/auth/login); programs send Authorization: Bearer otp_ms_…";
                return Err(Problem::new(StatusCode::UNAUTHORIZED, "missing_session", detail));
            }
            Shown::Cookie(token) | Shown::Token(token) => app.service.member(token.expose()).await?,
        };
        if self.changes && matches!(self.shown, Shown::Cookie(_)) {
            self.check_page(&caller)?;
        }
        Ok(caller.with_client(self.client()))
    }

    fn check_page(&self, caller: &MemberCaller) -> Result<(), Problem> {
        if self.sender != Sender::Own {
            return Err(cross_site());
        }
        if self.csrf.as_deref().is_some_and(|token| caller.is_shown(token)) {
            return Ok(());
        }
        let detail = "send the csrfToken of the session as X-CSRF-Token; GET /api/auth/me tells it";
        Err(Problem::new(StatusCode::FORBIDDEN, "csrf_token_required", detail))
    }

    /// Ends the session whose cookie came with the request: whoever signs in gets another one.
    pub async fn leave_behind(&self, app: &App) -> Result<(), Problem> {
        let Shown::Cookie(token) = &self.shown else { return Ok(()) };
        match app.service.member(token.expose()).await {
            Ok(before) => {
                app.service.sign_out_member(&before.with_client(self.client()), false).await?;
                Ok(())
            }
            Err(otp_core::Error::InvalidSession) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn cross_site() -> Problem {
    let detail =
        "this has to come from a page of this server, and the browser has to say so (Sec-Fetch-Site or Origin)";
    Problem::new(StatusCode::FORBIDDEN, "cross_site_request", detail)
}

fn is_secure(app: &App) -> bool {
    app.service.url().starts_with("https:")
}

/// The prefix makes browsers refuse one that a neighbouring host or plain HTTP has set; it takes HTTPS.
fn cookie_name(app: &App) -> &'static str {
    if is_secure(app) { "__Host-otp_session" } else { "otp_session" }
}

/// Gives the browser the session's cookie.
pub fn set_cookie(app: &App, response: &mut Response, token: &str) {
    put_cookie(app, response, token, ABSOLUTE.as_secs());
}

/// Takes it back.
pub fn remove_cookie(app: &App, response: &mut Response) {
    put_cookie(app, response, "", 0);
}

fn put_cookie(app: &App, response: &mut Response, token: &str, seconds: u64) {
    let secure = if is_secure(app) { "; Secure" } else { "" };
    let cookie = format!("{}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}", cookie_name(app));
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_browser_says_whose_page_it_was() {
        let of = |pairs: &[_]| sender(&headers(pairs), "https://otp.example/auth");
        assert_eq!(of(&[]), Sender::Untold);
        for own in [
            [("sec-fetch-site", "same-origin"), ("origin", "https://otp.example")],
            [("sec-fetch-site", "none"), ("x-other", "1")],
            [("origin", "https://otp.example"), ("x-other", "1")],
        ] {
            assert_eq!(of(&own), Sender::Own, "{own:?}");
        }
        for another in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", ""),
            ("origin", "null"),
            ("origin", "http://otp.example"),
            ("origin", "https://otp.example:8443"),
            ("origin", "https://otp.example.evil.com"),
            ("origin", "https://evil.com"),
        ] {
            assert_eq!(of(&[another]), Sender::Another, "{another:?}");
        }
    }

    #[test]
    fn one_cookie_is_one_and_a_token_is_none() {
        let of = |pairs: &[_]| match shown(&headers(pairs), "__Host-otp_session") {
            Shown::None => None,
            Shown::Cookie(token) => Some(("cookie", token.expose().to_owned())),
            Shown::Token(token) => Some(("token", token.expose().to_owned())),
        };
        let found = |kind, token: &str| Some((kind, token.to_owned()));
        assert_eq!(of(&[("cookie", "a=b; __Host-otp_session=x; c=d")]), found("cookie", "x"));
        assert_eq!(of(&[("cookie", "a=b"), ("cookie", "__Host-otp_session=x")]), found("cookie", "x"));
        assert_eq!(of(&[("cookie", "__Host-otp_session=x; __Host-otp_session=y")]), None);
        assert_eq!(of(&[("cookie", "otp_session=x")]), None);
        assert_eq!(of(&[("cookie", "__Host-otp_session=otp_ms_x")]), None);
        assert_eq!(of(&[("authorization", "Bearer x")]), None);
        assert_eq!(
            of(&[("authorization", "bearer otp_ms_x"), ("cookie", "__Host-otp_session=x")]),
            found("token", "otp_ms_x")
        );
    }
}
