//! Which zone a caller's calls may not leave.
//!
//! The first rule that fits pins the caller, so here, unlike anywhere else in a policy, the order of rules
//! counts. Who none fits may go wherever routes lead. No glass breaks a pin.

use super::Policy;
use super::check::Faults;
use super::who::{Subject, Who, concerns};
use crate::headers::ABSENT;
use serde::{Deserialize, Serialize};

/// Longest name of a zone: it travels in a header and stands in clusters' metadata.
const LONGEST_ZONE: usize = 32;

/// Pins a set of callers to a zone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidencyRule {
    /// Stands in the row of every call that was refused for it.
    pub id: String,
    /// Whom it is for; absent: everyone.
    #[serde(default, skip_serializing_if = "Who::is_everyone")]
    pub who: Who,
    /// Whom of these it is not for; absent: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<Who>,
    /// The zone; clusters say in their metadata which ones they serve in.
    pub zone: String,
}

/// Where a caller may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin<'a> {
    /// The policy pins nobody.
    Nobody,
    /// It pins others.
    Others,
    /// To the zone of this rule.
    To(&'a ResidencyRule),
}

impl<'a> Pin<'a> {
    /// The rule that pins, if one does.
    pub fn rule(self) -> Option<&'a ResidencyRule> {
        match self {
            Self::To(rule) => Some(rule),
            Self::Nobody | Self::Others => None,
        }
    }

    /// What the route header says; none where it need not be there.
    pub fn fact(self) -> Option<&'a str> {
        match self {
            Self::To(rule) => Some(&rule.zone),
            Self::Others => Some(ABSENT),
            Self::Nobody => None,
        }
    }
}

impl Policy {
    /// Where may they go?
    pub fn pin(&self, subject: &Subject<'_>) -> Pin<'_> {
        if self.residency.is_empty() {
            return Pin::Nobody;
        }
        let fits = |rule: &&ResidencyRule| concerns(&rule.who, rule.unless.as_ref(), subject);

        self.residency.iter().find(fits).map_or(Pin::Others, Pin::To)
    }

    /// The rules over residency, in their order.
    pub fn residency(&self) -> &[ResidencyRule] {
        &self.residency
    }
}

/// Checks a rule.
pub(super) fn check(faults: &mut Faults, index: usize, rule: &ResidencyRule) {
    let place = format!("residency[{index}]");
    faults.rule(&place, &rule.id, false);
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let zone = &rule.zone;
    if zone.is_empty() || zone.len() > LONGEST_ZONE || !zone.bytes().all(plain) {
        let problem = format!("{zone:?} must be up to {LONGEST_ZONE} of lower case, digits and -");
        faults.add(format!("{place}.zone"), problem);
    } else if zone == ABSENT {
        faults.add(format!("{place}.zone"), "\"none\" is what routes see of who is not pinned");
    }
    for (member, who) in [("who", Some(&rule.who)), ("unless", rule.unless.as_ref())] {
        let Some(who) = who else { continue };
        let chosen = [("agents", who.agents.is_empty()), ("sources", who.sources.is_empty())];
        for (name, _) in chosen.into_iter().filter(|(_, empty)| !empty) {
            faults.add(
                format!("{place}.{member}.{name}"),
                "is the client's own word: by another one it would leave its zone",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const POLICY: &str = r#"{"schema":"tollgate.policy/v1","name":"n",
        "rules":[{"id":"all","models":["*"]}],
        "residency":[
            {"id":"eu","who":{"regions":["eu"]},"unless":{"tenants":["lab"]},"zone":"eu"},
            {"id":"bank","who":{"tenants":["bank"]},"zone":"ch"}]}"#;

    #[test]
    fn the_first_rule_that_fits_pins_and_who_none_fits_is_free() {
        let policy = Policy::parse(POLICY.as_bytes()).unwrap();
        let of = |tenant, region| Subject { tenant, region, ..Subject::default() };
        let fact = |subject: Subject<'_>| policy.pin(&subject).fact().map(ToOwned::to_owned);
        let zone = |tenant, region| fact(of(tenant, region)).unwrap();

        assert_eq!(zone("bank", Some("eu")), "eu", "the order counts");
        assert_eq!(zone("bank", Some("us")), "ch");
        assert_eq!(zone("lab", Some("eu")), "none");
        assert_eq!(zone("acme", None), "none");
        let pin = policy.pin(&of("bank", None));
        assert_eq!(pin.rule().map(|rule| &*rule.id), Some("bank"));
    }

    #[test]
    fn a_policy_that_pins_nobody_has_nothing_to_say() {
        let none =
            r#"{"schema":"tollgate.policy/v1","name":"n","rules":[{"id":"a","models":["*"]}]}"#;
        let policy = Policy::parse(none.as_bytes()).unwrap();

        assert_eq!(policy.pin(&Subject::default()), Pin::Nobody);
        assert_eq!(policy.pin(&Subject::default()).fact(), None);
    }

    #[test]
    fn a_zone_that_is_no_name_and_a_pin_that_a_client_could_slip_are_faults() {
        let broken = POLICY
            .replace(r#""zone":"eu""#, r#""zone":"none""#)
            .replace(r#""zone":"ch""#, r#""zone":"CH, EU""#)
            .replace(r#"{"regions":["eu"]}"#, r#"{"regions":["eu"],"sources":["cowork"]}"#)
            .replace(r#"{"tenants":["lab"]}"#, r#"{"agents":["sorter"]}"#);

        let faults = Policy::parse(broken.as_bytes()).unwrap_err();

        let places: Vec<&str> = faults.iter().map(|fault| &*fault.place).collect();
        assert_eq!(
            places,
            [
                "residency[0].zone",
                "residency[0].who.sources",
                "residency[0].unless.agents",
                "residency[1].zone",
            ]
        );
        let long = POLICY.replace(r#""zone":"eu""#, &format!(r#""zone":"{}""#, "z".repeat(33)));
        assert_eq!(Policy::parse(long.as_bytes()).unwrap_err()[0].place, "residency[0].zone");
    }
}
