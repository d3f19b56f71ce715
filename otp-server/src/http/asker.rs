//! Who asks: credential, address and headers of a request, and what they entitle to.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use ipnet::IpNet;
use otp_core::api_key::{KeyType, is_admin_token};
use otp_core::idempotency::Idempotency;
use otp_core::secret::{Digest32, Secret};
use otp_core::{Approach, Caller, Client, Me, TenantId};

use super::App;
use super::calls::CallOf;
use super::layers::RequestId;
use super::problem::Problem;
use crate::listen::Peer;

/// What a request shows to be let in.
enum Credential {
    None,
    Key(Secret),
    Administrator(Secret),
    Token(Secret),
}

/// One request's sender.
pub struct Asker {
    credential: Credential,
    /// A key beside an access token.
    key: Option<Secret>,
    ip: Option<IpAddr>,
    user_agent: Option<String>,
    origin: Option<String>,
    from_browser: bool,
    request_id: Option<String>,
    idempotency_key: Option<HeaderValue>,
    operation: String,
    call: CallOf,
}

impl FromRequestParts<Arc<App>> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let headers = &parts.headers;
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let peer = parts.extensions.get::<Peer>().map(|Peer(address)| *address);
        let (credential, key) = credentials(headers);
        Ok(Self {
            credential,
            key,
            ip: client_ip(peer, headers, &app.trusted_proxies),
            user_agent: text("user-agent"),
            // One that is no text is an origin all the same, and matches none that is allowed.
            origin: headers.get(header::ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()).into_owned()),
            from_browser: BROWSER_HEADERS.iter().any(|name| headers.contains_key(*name)),
            request_id: parts.extensions.get::<RequestId>().map(|RequestId(id)| id.clone()),
            idempotency_key: headers.get("idempotency-key").cloned(),
            operation: format!("{} {}", parts.method, parts.uri.path()),
            call: parts.extensions.get::<CallOf>().cloned().unwrap_or_default(),
        })
    }
}

/// What browsers send and pages cannot leave out.
const BROWSER_HEADERS: [&str; 5] = ["origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-user"];

fn credentials(headers: &HeaderMap) -> (Credential, Option<Secret>) {
    let secret = |text: &str| Secret::from(text.to_owned());
    let key = headers.get("x-otp-api-key").and_then(|value| value.to_str().ok()).map(secret);
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let credential = match (bearer, &key) {
        (Some(token), _) if is_admin_token(token) => Credential::Administrator(secret(token)),
        (Some(token), _) if token.bytes().filter(|byte| *byte == b'.').count() == 2 => Credential::Token(secret(token)),
        (Some(token), None) => Credential::Key(secret(token)),
        (_, Some(key)) => Credential::Key(key.clone()),
        (None, None) => Credential::None,
    };
    (credential, key)
}

/// The right-most address that is no trusted proxy. Headers of anybody else are ignored: whoever may set them freely
/// would choose the address that limits count.
fn client_ip(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = peer?.ip().to_canonical();
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|net| net.contains(ip));
    if !is_trusted(&peer) {
        return Some(peer);
    }
    let mut hops = forwarded_for(headers);
    while let Some(hop) = hops.pop() {
        match hop {
            // A trusted proxy forwards what it cannot read: the last known address is as far as can be believed.
            None => return Some(peer),
            Some(ip) if is_trusted(&ip) => continue,
            Some(ip) => return Some(ip),
        }
    }
    Some(peer)
}

/// The hops that the proxies tell of, nearest last; `None` for one that is no address.
fn forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let values = |name| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let simple: Vec<_> =
        values("x-forwarded-for").flat_map(|value| value.split(',')).map(|hop| parse_hop(hop.trim())).collect();
    if !simple.is_empty() {
        return simple;
    }
    let elements = values("forwarded").flat_map(|value| value.split(','));
    let node = |element: &str| {
        let pair = element.split(';').filter_map(|pair| pair.trim().split_once('='));
        let mut nodes = pair.filter(|(name, _)| name.eq_ignore_ascii_case("for"));
        nodes.next().and_then(|(_, node)| parse_hop(node.trim_matches('"')))
    };
    elements.map(node).collect()
}

/// An address, with or without port, IPv6 with or without brackets (RFC 7239 section 6).
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let ip = hop.parse::<IpAddr>().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()));
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    ip.or_else(bracketed).map(|ip| ip.to_canonical())
}

impl Asker {
    /// The client as the socket and its headers show it.
    pub fn client(&self) -> Client {
        Client {
            ip: self.ip,
            user_agent: self.user_agent.clone(),
            request_id: self.request_id.clone(),
            operation: Some(self.operation.clone()),
        }
    }

    /// Whether a browser sent it.
    pub fn is_browser(&self) -> bool {
        self.from_browser
    }

    /// The idempotency key, if there is one, with what was asked under it.
    pub fn idempotency(&self, raw: &[u8]) -> Result<Option<Idempotency>, Problem> {
        let Some(given) = &self.idempotency_key else { return Ok(None) };
        let is_printable = |key: &&str| key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let key = given.to_str().ok().filter(|key| (1..=255).contains(&key.len())).filter(is_printable);
        let Some(key) = key else {
            let detail = "use 1 to 255 printable ASCII characters";
            return Err(Problem::field("invalid_idempotency_key", "Idempotency-Key", detail));
        };
        Ok(Some(Idempotency::new(key, &self.operation, raw)))
    }

    /// The tenant behind a key of either type.
    pub async fn key(&self, app: &App) -> Result<Caller, Problem> {
        match &self.credential {
            Credential::Key(key) => self.authenticate(app, key).await,
            Credential::Token(_) if self.key.is_some() => self.key_beside_token(app).await?.ok_or_else(missing_key),
            _ => Err(missing_key()),
        }
    }

    /// The key shown beside an access token, if one is.
    pub async fn key_beside_token(&self, app: &App) -> Result<Option<Caller>, Problem> {
        match (&self.key, &self.credential) {
            (Some(key), _) | (None, Credential::Key(key)) => self.authenticate(app, key).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn authenticate(&self, app: &App, key: &Secret) -> Result<Caller, Problem> {
        let approach = Approach { origin: self.origin.as_deref(), ip: self.ip, from_browser: self.from_browser };
        let caller = app.service.authenticate(key.expose(), &approach).await?;
        self.call.tell(caller.space());
        Ok(caller.with_client(self.client()))
    }

    /// The tenant behind a secret key, on a route that browsers must not call.
    pub async fn secret_key(&self, app: &App) -> Result<Caller, Problem> {
        let caller = self.key(app).await?;
        if caller.key_type() != Some(KeyType::Secret) {
            return Err(otp_core::Error::SecretKeyRequired.into());
        }
        if self.from_browser {
            let detail = "a secret key must not be in a browser; call this from your server and rotate the key";
            return Err(Problem::new(StatusCode::FORBIDDEN, "secret_key_in_browser", detail));
        }
        Ok(caller)
    }

    /// Whoever has just signed up, by the token that was the answer.
    pub async fn signup(&self, app: &App) -> Result<Caller, Problem> {
        match &self.credential {
            Credential::None => {
                let detail = "send the signupToken as Authorization: Bearer TOKEN";
                Err(Problem::new(StatusCode::UNAUTHORIZED, "missing_token", detail))
            }
            Credential::Key(token) => Ok(app.service.signup_caller(token.expose()).await?.with_client(self.client())),
            Credential::Administrator(_) | Credential::Token(_) => Err(otp_core::Error::InvalidToken.into()),
        }
    }

    /// The platform administrator. Of anybody else the key is checked first, so that it gets the answer that it gets on
    /// the other routes under `/admin`.
    pub async fn administrator(&self, app: &App) -> Result<(), Problem> {
        let Credential::Administrator(token) = &self.credential else {
            self.secret_key(app).await?;
            return Err(otp_core::Error::AdministratorRequired.into());
        };
        match app.admin_token.matches(&Digest32::of(token.expose().as_bytes())) {
            true => Ok(()),
            false => Err(otp_core::Error::InvalidApiKey.into()),
        }
    }

    /// Whether the request shows an administrator's token, right or wrong.
    pub fn claims_administrator(&self) -> bool {
        matches!(self.credential, Credential::Administrator(_))
    }

    /// The administrator acting on a tenant, or the tenant itself. Another tenant's id reads like an unknown one.
    pub async fn of_tenant(&self, app: &App, id: &str) -> Result<Caller, Problem> {
        if self.claims_administrator() {
            self.administrator(app).await?;
            let id: TenantId = id.parse().map_err(|_| Problem::not_found("customer"))?;
            return Ok(app.service.administrator(id).await?.with_client(self.client()));
        }
        let caller = self.secret_key(app).await?;
        if id.parse() != Ok(caller.space().tenant) {
            return Err(Problem::not_found("customer"));
        }
        Ok(caller)
    }

    /// The signed-in user.
    pub async fn user(&self, app: &App) -> Result<Me, Problem> {
        let Credential::Token(token) = &self.credential else {
            return Err(missing_token());
        };
        let me = app.service.me(token.expose()).await?;
        self.call.tell(me.space());
        if let Some(caller) = self.key_beside_token(app).await?
            && !me.is_of(&caller)
        {
            return Err(otp_core::Error::InvalidToken.into());
        }
        Ok(me)
    }
}

/// Whose second factor a request is about.
pub enum Claimant {
    /// That of a signed-in user.
    User(Box<Me>),
    /// That of somebody whose sign-in waits for it; who it is, the `mfaToken` in the body tells.
    SigningIn(Box<Caller>),
}

impl Asker {
    /// Whoever shows an access token, or a key and in the body what a sign-in goes on with.
    pub async fn claimant(&self, app: &App) -> Result<Claimant, Problem> {
        match &self.credential {
            Credential::Key(key) => Ok(Claimant::SigningIn(Box::new(self.authenticate(app, key).await?))),
            _ => Ok(Claimant::User(Box::new(self.user(app).await?))),
        }
    }
}

/// There is neither an access token nor an `mfaToken`.
pub fn missing_token() -> Problem {
    let detail = "send the access token as Authorization: Bearer TOKEN";
    Problem::new(StatusCode::UNAUTHORIZED, "missing_token", detail)
}

fn missing_key() -> Problem {
    let detail = "send an API key as X-OTP-API-Key: KEY or Authorization: Bearer KEY";
    Problem::new(StatusCode::UNAUTHORIZED, "missing_api_key", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip_seen(peer: &str, forwarded: &[(&'static str, &str)], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in forwarded {
            headers.append(*name, value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        client_ip(format!("{peer}:1").parse().ok(), &headers, &trusted).unwrap().to_string()
    }

    #[test]
    fn forwarding_headers_are_believed_from_trusted_proxies_only_and_from_the_right() {
        let xff = |value| [("x-forwarded-for", value)];
        assert_eq!(ip_seen("9.9.9.9", &xff("1.1.1.1"), &[]), "9.9.9.9");
        assert_eq!(ip_seen("9.9.9.9", &xff("1.1.1.1"), &["10.0.0.0/8"]), "9.9.9.9");
        assert_eq!(ip_seen("10.0.0.1", &xff("1.1.1.1"), &["10.0.0.0/8"]), "1.1.1.1");
        assert_eq!(ip_seen("10.0.0.1", &xff("6.6.6.6, 1.1.1.1"), &["10.0.0.0/8"]), "1.1.1.1");
        assert_eq!(ip_seen("10.0.0.1", &xff("6.6.6.6, 1.1.1.1, 10.0.0.2"), &["10.0.0.0/8"]), "1.1.1.1");
        assert_eq!(ip_seen("10.0.0.1", &xff("1.1.1.1, nonsense"), &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(ip_seen("10.0.0.1", &[], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(ip_seen("[::ffff:10.0.0.1]", &xff("::ffff:1.1.1.1"), &["10.0.0.0/8"]), "1.1.1.1");
        let two = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.1.1.1:4711")];
        assert_eq!(ip_seen("10.0.0.1", &two, &["10.0.0.0/8"]), "1.1.1.1");
        let rfc7239 = [("forwarded", "for=6.6.6.6, For=\"[2001:db8::1]:80\";proto=https")];
        assert_eq!(ip_seen("10.0.0.1", &rfc7239, &["10.0.0.0/8"]), "2001:db8::1");
    }
}
