//! Whether a tenant's users need more than a code to sign in.

use serde::{Deserialize, Serialize};

/// What signs a tenant's users in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecondFactorPolicy {
    /// A code alone. Devices serve for the step-up only.
    Off,
    /// A code, and the second factor of those who have set one up.
    #[default]
    Optional,
    /// A code and a second factor; whoever has none sets it up when signing in.
    Required,
}
