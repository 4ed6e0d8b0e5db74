//! `GET /v1/auth/cowork/capabilities`: which ways of signing in a helper can choose from. Answered from what the
//! gate has, so it costs no store and outlives the sidecar.

use crate::snapshot::Snapshot;
use contract::policy::Tier;
use serde::Serialize;

#[derive(Serialize)]
struct Capabilities {
    /// The strongest first.
    modes: Vec<Tier>,
}

/// What a cohort can choose from, `?cohort=NAME`: what the policy accepts, of what the sidecar offers.
pub fn modes(snapshot: &Snapshot, query: &str) -> String {
    let cohort = query.split('&').find_map(|pair| pair.strip_prefix("cohort="));
    let mut modes = snapshot.bundle.policy.tiers(cohort);
    modes.retain(|tier| snapshot.keys.offers(*tier));

    serde_json::to_string(&Capabilities { modes }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Bundle, keys};
    use contract::policy::Policy;
    use std::rc::Rc;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]TIERS}"#;
    const POLICY: &[u8] = br#"{"schema":"tollgate.policy/v1","name":"n",
        "rules":[{"id":"all","models":["*"]}],"sign_in":[
            {"id":"traders","who":{"populations":["traders"]},"tiers":["mtls"]},
            {"id":"all-of-us","tiers":["mtls","session"]}]}"#;

    fn told(tiers: &str, query: &str) -> String {
        let policy = Policy::parse(POLICY).unwrap();
        let keys = keys(KEYS.replace("TIERS", tiers).as_bytes()).unwrap();
        let snapshot = Snapshot {
            bundle: Rc::new(Bundle { version: "v".into(), policy }),
            keys: Rc::new(keys),
            board: Rc::default(),
        };

        modes(&snapshot, query)
    }

    #[test]
    fn what_the_policy_accepts_and_the_sidecar_offers_is_told_the_strongest_first() {
        let all = r#","tiers":["pat","session","mtls"]"#;

        assert_eq!(told(all, ""), r#"{"modes":["mtls","session"]}"#);
        assert_eq!(told(all, "x=1&cohort=traders"), r#"{"modes":["mtls"]}"#);
        assert_eq!(told(all, "cohort=nobody"), r#"{"modes":["mtls","session"]}"#);
        assert_eq!(told(r#","tiers":["pat","session"]"#, ""), r#"{"modes":["session"]}"#);
        assert_eq!(told("", ""), r#"{"modes":[]}"#, "one that does not say has only PATs");
    }
}
