//! Members for the tests: put where they are past the hash that registering costs, and signed in by the codes they are mailed.

use otp_core::member::{Member, Membership, Role};
use otp_core::secret::TenantKeys;
use otp_core::subject::{BucketKey, SubjectKey};
use otp_core::*;
use serde_json::{Value, json};

use crate::call::{Call, Reply, post};
use crate::harness::{Customer, World};

/// What a request says, or not, that another site made.
pub const FOREIGN: [Option<(&str, &str)>; 7] = [
    None,
    Some(("sec-fetch-site", "cross-site")),
    Some(("sec-fetch-site", "same-site")),
    Some(("origin", "https://evil.example")),
    Some(("origin", "https://otp.example.evil.example")),
    Some(("origin", "http://otp.example")),
    Some(("origin", "null")),
];
/// What one says that a page of this one made, or the person at the browser.
pub const OWN: [(&str, &str); 3] =
    [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none"), ("origin", "https://otp.example")];

pub const COOKIE: &str = "__Host-otp_session";
const INSTALLATION: Space = Space { tenant: TenantId::INSTALLATION, mode: Mode::Live };

/// A member of a customer's team, signed in as a program.
#[derive(Clone, Debug, Default)]
pub struct Crew {
    pub id: String,
    pub token: String,
    pub session: String,
    pub app: String,
}

/// A browser with a session.
#[derive(Clone, Debug)]
pub struct Browser {
    pub cookie: String,
    pub csrf: String,
}

impl Browser {
    /// What a page of ours would send.
    pub fn page(&self, call: Call) -> Call {
        self.bare(call).header("sec-fetch-site", "same-origin").header("x-csrf-token", &self.csrf)
    }

    /// With the cookie and nothing else.
    pub fn bare(&self, call: Call) -> Call {
        call.header("cookie", format!("{COOKIE}={}", self.cookie))
    }
}

/// The cookie that an answer sets.
pub fn cookie_of(reply: &Reply) -> Option<String> {
    let cookie = reply.header("set-cookie")?.strip_prefix(&format!("{COOKIE}="))?;
    Some(cookie.split(';').next().unwrap().to_owned())
}

fn keys() -> TenantKeys {
    KeyRing::generate(&SeededRandom::new(1)).installation()
}

pub fn member_id(email: &str) -> MemberId {
    let digest = secret::Digest32::of(email.as_bytes());
    MemberId::from_bytes(digest.0[..16].try_into().unwrap())
}

impl World {
    /// A member that has no app, and no password that anybody knows.
    pub async fn loner(&self, email: &str) -> MemberId {
        let (keys, random, id) = (keys(), SeededRandom::new(7), member_id(email));
        let address = Address::Email(email.parse().unwrap());
        let member = Member {
            id,
            space: INSTALLATION,
            subject: SubjectKey::of(&keys, Mode::Live.byte(), &address),
            bucket: BucketKey::of(&keys, Mode::Live.byte(), &address),
            email: keys.seal(&random, Member::EMAIL, email.as_bytes()),
            password: keys.seal(&random, Member::PASSWORD, b"none"),
            name: None,
            created_at: self.service.now(),
        };
        self.write(TenantId::INSTALLATION, member).await;
        id
    }

    /// Puts a member on a team, or gives it another role, past all rules.
    pub async fn seat(&self, app: &str, email: &str, role: Role) -> MemberId {
        let address = Address::Email(email.parse().unwrap());
        let membership = Membership {
            tenant: app.parse().unwrap(),
            member: member_id(email),
            subject: SubjectKey::of(&keys(), Mode::Live.byte(), &address),
            role,
            since: self.service.now(),
            invited_by: None,
        };
        self.write(TenantId::INSTALLATION, membership.seat()).await;
        self.write(membership.tenant, membership).await;
        member_id(email)
    }

    /// A member of a customer's team, signed in as a program.
    pub async fn crew(&self, customer: &Customer, email: &str, role: Role) -> Crew {
        self.loner(email).await;
        self.seat(&customer.id, email, role).await;
        let signed_in = self.let_in(email).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Crew {
            id: text(&signed_in["member"]["memberId"]),
            token: text(&signed_in["token"]),
            session: text(&signed_in["sessionId"]),
            app: customer.id.clone(),
        }
    }

    /// A code to sign in with.
    pub async fn member_code(&self, email: &str) -> String {
        // Sessions sort by the time at which they began.
        self.advance(1);
        self.send(post("/api/auth/login", json!({"email": email}))).await.ok();
        self.member_mail(email).await
    }

    /// The code of the newest mail.
    pub async fn member_mail(&self, email: &str) -> String {
        self.service.deliver_pending(100).await.unwrap();
        self.inbox.code_to(email)
    }

    pub async fn let_in(&self, email: &str) -> Value {
        let code = self.member_code(email).await;
        self.send(post("/api/auth/login", json!({"email": email, "code": code, "token": true}))).await.ok()
    }

    /// Signs in as a page would.
    pub async fn browser(&self, email: &str) -> Browser {
        let code = self.member_code(email).await;
        let reply = self.send(post("/api/auth/login", json!({"email": email, "code": code}))).await;
        Browser { cookie: cookie_of(&reply).unwrap(), csrf: reply.ok()["csrfToken"].as_str().unwrap().to_owned() }
    }

    /// Puts an authenticator of a signed-in member in use, without recovery codes: its secret, and the token of the session
    /// that goes on.
    pub async fn enrol_member(&self, token: &str) -> (String, String) {
        let registered = self.send(post("/api/auth/totp/register", json!({})).bearer(token)).await.ok();
        let secret = registered["secret"].as_str().unwrap().to_owned();
        self.hasher.rest(true);
        let body = json!({"otp": self.code(&secret, 0)});
        let enabled = self.send(post("/api/auth/totp/enable", body).bearer(token)).await.ok();
        self.hasher.rest(false);
        (secret, enabled["token"].as_str().unwrap().to_owned())
    }

    /// What a sign-in goes on with, of a member with an authenticator.
    pub async fn half_sign_in(&self, email: &str, for_program: bool) -> String {
        let code = self.member_code(email).await;
        let body = json!({"email": email, "code": code, "token": for_program});
        let reply = self.send(post("/api/auth/login", body)).await;
        assert_eq!((cookie_of(&reply), &reply.ok()["mfaRequired"]), (None, &json!(true)), "{reply}");
        reply.ok()["mfaToken"].as_str().unwrap().to_owned()
    }

    /// Invites somebody and reads the mail.
    pub async fn invited(&self, by: &Crew, email: &str, role: &str) -> (String, String) {
        let call = post(format!("/api/app/{}/invitations", by.app), json!({"email": email, "role": role}));
        let invited = self.send(call.bearer(&by.token)).await.ok();
        (invited["invitationId"].as_str().unwrap().to_owned(), self.member_mail(email).await)
    }
}
