//! A DNS that says what it is told to.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use otp_core::domain::{Lookup, Resolver};

#[derive(Default)]
pub struct Zone(Mutex<HashMap<String, Lookup>>);

impl Zone {
    pub fn publish(&self, name: &str, value: &str) {
        self.say(name, Lookup::Found(vec![value.to_owned()]));
    }

    pub fn fail(&self, name: &str) {
        self.say(name, Lookup::Failed { reason: "the name server answered: Server Failure".to_owned() });
    }

    pub fn say(&self, name: &str, lookup: Lookup) {
        self.0.lock().unwrap().insert(name.to_owned(), lookup);
    }
}

#[async_trait]
impl Resolver for Zone {
    async fn txt(&self, name: &str) -> Lookup {
        self.0.lock().unwrap().get(name).cloned().unwrap_or(Lookup::NotFound)
    }
}
