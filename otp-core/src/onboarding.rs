//! Onboarding: what a tenant does first, told from what is there and not from what was ticked off.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, InvalidField};

macro_rules! steps {
    ($($(#[$about:meta])* $step:ident = $name:literal;)*) => {
        /// A step of the onboarding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Step {
            $($(#[$about])* #[serde(rename = $name)] $step,)*
        }

        impl Step {
            /// All of them, in the order in which they are best taken.
            pub const ALL: &'static [Step] = &[$(Step::$step,)*];

            /// The name the wire uses.
            pub const fn as_str(self) -> &'static str {
                match self { $(Step::$step => $name,)* }
            }
        }
    };
}

steps! {
    /// The tenant exists.
    AccountCreated = "accountCreated";
    /// Somebody has shown to read the contact's mail: by the link or code of the signup, or by a code of the tenant's own.
    EmailVerified = "emailVerified";
    /// There is an API key that works.
    ApiKeyGenerated = "apiKeyGenerated";
    /// A code was verified.
    FirstTestCompleted = "firstTestCompleted";
    /// There is a place where events are to be sent.
    WebhookConfigured = "webhookConfigured";
    /// Messages look as the tenant wants them to.
    EmailTemplateConfigured = "emailTemplateConfigured";
}

impl FromStr for Step {
    type Err = InvalidField;

    fn from_str(text: &str) -> Result<Self, InvalidField> {
        let unknown = || {
            let names: Vec<_> = Step::ALL.iter().map(|step| step.as_str()).collect();
            Error::invalid_field("unknown_step", "skip", format!("name steps of {}", names.join(", ")))
        };
        Step::ALL.iter().copied().find(|step| step.as_str() == text).ok_or_else(unknown)
    }
}
