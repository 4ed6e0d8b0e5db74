//! A fetched policy: no bytes panic, and nothing that is not signed is opened.
#![no_main]

use contract::envelope::{self, PinnedKey};
use contract::policy::Policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| {
    let pinned = PinnedKey {
        key_id: "k".into(),
        public_key: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".into(),
    };
    assert!(envelope::open(document, envelope::POLICY_TYPE, &[pinned]).is_err());
    if let Ok(policy) = Policy::parse(document) {
        let _rule = policy.allows("tenant", &["group".into()], "claude-sonnet-4-5");
    }
});
