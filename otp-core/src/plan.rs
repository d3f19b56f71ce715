//! Plans: prices, quotas and features, as data.

use serde::{Deserialize, Serialize};

/// What a plan includes. `None` is "unlimited" for a quota and "by agreement" for the price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Name, as tenants carry it.
    pub name: String,
    /// Price of a month, in whole units of the operator's currency.
    pub price: Option<u32>,
    /// Codes requested in a calendar month (UTC).
    pub otp_per_month: Option<u64>,
    /// Codes requested in a calendar day (UTC).
    pub otp_per_day: Option<u64>,
    /// Users of live mode.
    pub users: Option<u64>,
    /// What else is included.
    #[serde(default)]
    pub features: Vec<Feature>,
}

/// Something a plan may include.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Events sent to the tenant's endpoints.
    Webhooks,
    /// Message templates of the tenant's own.
    CustomTemplates,
    /// Analytics reports.
    Analytics,
    /// Mail from the tenant's own domain.
    CustomDomain,
    /// Single sign-on for members.
    Sso,
}

/// The plans on offer; the first is the default.
///
/// ```
/// let plans = otp_core::Plans::builtin();
/// assert_eq!(plans.first().name, "free");
/// assert_eq!(plans.named("pro").unwrap().otp_per_day, Some(5_000));
/// ```
#[derive(Clone, Debug)]
pub struct Plans(Vec<Plan>);

/// A plan file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPlans {
    /// Not the TOML expected; the message shows the line.
    #[error("{0}")]
    Form(#[from] toml::de::Error),
    /// There is none.
    #[error("the file defines no [[plan]]")]
    Empty,
    /// A name stands twice.
    #[error("plan `{0}` is defined twice")]
    Twice(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    plan: Vec<Plan>,
}

impl Plans {
    /// The plans that come with the product: free, starter, pro, enterprise.
    ///
    /// # Panics
    /// Never: a test reads the embedded file.
    pub fn builtin() -> Self {
        include_str!("plans.toml").parse().expect("the embedded plans are valid")
    }

    /// The default plan.
    pub fn first(&self) -> &Plan {
        &self.0[0]
    }

    /// The plan of this name.
    pub fn named(&self, name: &str) -> Option<&Plan> {
        self.0.iter().find(|plan| plan.name == name)
    }

    /// The one that follows a plan in the order of the file.
    pub fn after(&self, name: &str) -> Option<&Plan> {
        self.0.iter().skip_while(|plan| plan.name != name).nth(1)
    }

    /// All names, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|plan| plan.name.as_str())
    }
}

impl std::str::FromStr for Plans {
    type Err = InvalidPlans;

    fn from_str(text: &str) -> Result<Self, InvalidPlans> {
        let plans = toml::from_str::<File>(text)?.plan;
        if plans.is_empty() {
            return Err(InvalidPlans::Empty);
        }
        let twice = |(index, plan): (usize, &Plan)| plans[..index].iter().any(|other| other.name == plan.name);
        if let Some((_, plan)) = plans.iter().enumerate().find(|entry| twice(*entry)) {
            return Err(InvalidPlans::Twice(plan.name.clone()));
        }
        Ok(Self(plans))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_file_is_refused_with_the_reason() {
        assert!(matches!("".parse::<Plans>(), Err(InvalidPlans::Empty)));
        let error = "[[plan]]\nname = 'a'\nquota = 1".parse::<Plans>().unwrap_err().to_string();
        assert!(error.contains("quota") && error.contains("line 3"), "{error}");
        let twice = "[[plan]]\nname = 'a'\n[[plan]]\nname = 'a'";
        assert!(matches!(twice.parse::<Plans>(), Err(InvalidPlans::Twice(name)) if name == "a"));
    }
}
