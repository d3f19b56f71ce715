//! Members as they register, sign in, and make and join teams.

use otp_core::member::Role;
use otp_core::store::{Item, Store};
use otp_core::*;

use super::{World, wait};

pub const PASSWORD: &str = "eleven pears in a teapot";

pub fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

pub trait Plays {
    fn register(&self, email: &str) -> MemberView;
    fn let_in(&self, email: &str) -> MemberCaller;
    fn code(&self, email: &str) -> String;
    fn app(&self, by: &MemberCaller) -> TenantId;
    fn join(&self, by: &MemberCaller, app: TenantId, email: &str, role: Role) -> MemberCaller;
    fn everything(&self) -> Vec<Item>;
    fn held(&self, tenant: TenantId) -> Vec<Item>;
}

impl Plays for World {
    fn register(&self, email: &str) -> MemberView {
        let new = NewMember {
            email: email.to_owned(),
            password: secret(PASSWORD),
            name: Some("Somebody Special".to_owned()),
            client: Client::default(),
        };
        wait(self.service.register_member(new)).unwrap();
        self.deliver();
        wait(self.service.confirm_member(email, &self.inbox.code_to(email), &Client::default())).unwrap()
    }

    fn code(&self, email: &str) -> String {
        wait(self.service.request_member_code(email, &Client::default())).unwrap();
        self.deliver();
        self.inbox.code_to(email)
    }

    fn let_in(&self, email: &str) -> MemberCaller {
        let proof = MemberProof::Code(self.code(email));
        let signed_in = wait(self.service.sign_in_member(email, proof, true, &Client::default())).unwrap();
        wait(self.service.member(signed_in.token.expose())).unwrap()
    }

    fn app(&self, by: &MemberCaller) -> TenantId {
        let new = NewApp { name: "Acme".to_owned(), ..NewApp::default() };
        wait(self.service.create_app(by, new)).unwrap().id
    }

    fn join(&self, by: &MemberCaller, app: TenantId, email: &str, role: Role) -> MemberCaller {
        self.register(email);
        wait(self.service.invite(by, app, email, role)).unwrap();
        self.deliver();
        let code = self.inbox.code_to(email);
        let joined = self.let_in(email);
        wait(self.service.accept_invitation(&joined, &code)).unwrap();
        joined
    }

    fn everything(&self) -> Vec<Item> {
        wait(self.store.inventory(None, usize::MAX)).unwrap()
    }
    /// What is held of a tenant, and what was counted of it.
    fn held(&self, tenant: TenantId) -> Vec<Item> {
        let theirs = |item: &Item| match item {
            Item::Record(record) => record.key().tenant == tenant,
            Item::Count(counter, _) => counter.tenant() == tenant,
        };
        self.everything().into_iter().filter(theirs).collect()
    }
}
