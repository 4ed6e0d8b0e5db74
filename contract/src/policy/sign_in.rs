//! Which ways of signing in are accepted from whom.
//!
//! Asked when a token is minted, and again at every call: a token from before the policy changed is
//! refused as well.

use super::Policy;
use super::check::Faults;
use super::judge::{Denial, Why};
use super::who::{Subject, Who, concerns};
use crate::claims::Method;
use serde::{Deserialize, Serialize};

/// A way of signing in.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// A personal access token: pilots.
    Pat,
    /// The organization's own sign-in.
    #[default]
    Session,
    /// A device certificate.
    Mtls,
    /// A job's own identity; nobody sits at a keyboard.
    Service,
}

impl Tier {
    /// Those that a person's helper can choose from, the strongest first.
    pub const LADDER: [Self; 3] = [Self::Mtls, Self::Session, Self::Pat];

    /// The word for it in policies and in `capabilities`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pat => "pat",
            Self::Session => "session",
            Self::Mtls => "mtls",
            Self::Service => "service",
        }
    }
}

impl From<Method> for Tier {
    fn from(method: Method) -> Self {
        match method {
            Method::Pat => Self::Pat,
            Method::Sso => Self::Session,
            Method::Mtls => Self::Mtls,
            Method::Service => Self::Service,
        }
    }
}

/// What is accepted from a cohort. Of several rules for somebody all must accept; from whom no rule
/// speaks of, every tier is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInRule {
    /// Names the cohort: what its helpers ask `capabilities` for.
    pub id: String,
    /// Whom it is for.
    #[serde(default, skip_serializing_if = "Who::is_everyone")]
    pub who: Who,
    /// Whom of these it is not for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<Who>,
    /// What is accepted.
    pub tiers: Vec<Tier>,
    /// Must calls come over the certificate that their token is bound to (RFC 8705 §3)?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bound: bool,
    /// What the person is told who comes another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
}

impl Policy {
    /// Is their way of signing in accepted from them?
    ///
    /// # Errors
    /// A [`Denial`] by the first rule that does not accept it.
    pub fn accepts(&self, subject: &Subject<'_>) -> Result<(), Denial<'_>> {
        for rule in &self.sign_in {
            if !concerns(&rule.who, rule.unless.as_ref(), subject) {
                continue;
            }
            let why = if !rule.tiers.contains(&subject.tier) {
                Why::Tier
            } else if rule.bound && !subject.over_certificate {
                Why::Unbound
            } else {
                continue;
            };
            return Err(Denial {
                why,
                rule_id: Some(&rule.id),
                say: rule.say.as_deref(),
                place: subject.tier.as_str().to_owned(),
            });
        }

        Ok(())
    }

    /// Does any rule want calls to come over their certificate? Then it has to be asked for.
    pub fn wants_certificates(&self) -> bool {
        self.sign_in.iter().any(|rule| rule.bound)
    }

    /// What a helper of this cohort can choose from, the strongest first. A cohort that is not known, or
    /// none, hears what is accepted from everybody.
    pub fn tiers(&self, cohort: Option<&str>) -> Vec<Tier> {
        let named = self.sign_in.iter().find(|rule| Some(&*rule.id) == cohort);
        let everybody =
            self.sign_in.iter().filter(|rule| rule.who.is_everyone() && rule.unless.is_none());
        let rules: Vec<&SignInRule> = named.into_iter().chain(everybody).collect();

        Tier::LADDER
            .into_iter()
            .filter(|tier| rules.iter().all(|rule| rule.tiers.contains(tier)))
            .collect()
    }
}

/// Checks a rule.
pub(super) fn check(faults: &mut Faults, index: usize, rule: &SignInRule) {
    let place = format!("sign_in[{index}]");
    faults.rule(&place, &rule.id, false);
    faults.words(&place, &[], rule.say.as_deref());
    faults.not_empty(&place, "tiers", &rule.tiers, "nobody of them could sign in");
    if !rule.who.tiers.is_empty() || rule.unless.as_ref().is_some_and(|who| !who.tiers.is_empty()) {
        faults.add(format!("{place}.who"), "names tiers: which are accepted stands in `tiers`");
    }
    if rule.bound && rule.tiers.iter().any(|tier| *tier != Tier::Mtls) {
        faults.add(
            format!("{place}.bound"),
            "needs `tiers: [mtls]`: no other token has a certificate",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const POLICY: &str = r#"{"schema":"tollgate.policy/v1","name":"n",
        "rules":[{"id":"all","models":["*"]}],
        "sign_in":[
            {"id":"everyone","tiers":["mtls","session","service"]},
            {"id":"traders","who":{"populations":["traders"]},"tiers":["mtls"],"bound":true,
             "say":"Use your bank laptop."}]}"#;

    fn policy() -> Policy {
        Policy::parse(POLICY.as_bytes()).unwrap()
    }

    #[test]
    fn every_rule_for_somebody_has_to_accept_their_tier() {
        let (policy, traders) = (policy(), ["traders".to_owned()]);
        let anyone = |tier| Subject { tier, ..Subject::default() };
        let trader = |tier, over_certificate| Subject {
            tier,
            over_certificate,
            populations: &traders,
            ..Subject::default()
        };
        let why = |subject| policy.accepts(&subject).map_err(|denial| (denial.why, denial.rule_id));

        assert_eq!(why(anyone(Tier::Pat)), Err((Why::Tier, Some("everyone"))));
        assert_eq!(why(anyone(Tier::Session)), Ok(()));
        assert_eq!(why(trader(Tier::Session, false)), Err((Why::Tier, Some("traders"))));
        assert_eq!(why(trader(Tier::Mtls, false)), Err((Why::Unbound, Some("traders"))));
        assert_eq!(why(trader(Tier::Mtls, true)), Ok(()));
    }

    #[test]
    fn a_cohort_hears_its_own_tiers_and_a_stranger_those_of_everybody() {
        let policy = policy();

        assert_eq!(policy.tiers(Some("traders")), [Tier::Mtls]);
        assert_eq!(policy.tiers(None), [Tier::Mtls, Tier::Session]);
        assert_eq!(policy.tiers(Some("nobody")), [Tier::Mtls, Tier::Session]);
        let silent = POLICY.replace("sign_in", "x");
        assert!(Policy::parse(silent.as_bytes()).is_err());
        let none =
            r#"{"schema":"tollgate.policy/v1","name":"n","rules":[{"id":"a","models":["*"]}]}"#;
        assert_eq!(Policy::parse(none.as_bytes()).unwrap().tiers(None), Tier::LADDER);
    }

    #[test]
    fn a_rule_that_shuts_everybody_out_or_says_nothing_is_a_fault() {
        let broken = POLICY
            .replace(r#""tiers":["mtls"],"bound""#, r#""tiers":["mtls","pat"],"bound""#)
            .replace(
                r#""tiers":["mtls","session","service"]"#,
                r#""who":{"tiers":["pat"]},"tiers":[]"#,
            );

        let faults = Policy::parse(broken.as_bytes()).unwrap_err();

        let places: Vec<&str> = faults.iter().map(|fault| &*fault.place).collect();
        assert_eq!(places, ["sign_in[0].tiers", "sign_in[0].who", "sign_in[1].bound"]);
    }
}
