//! A fetched policy: no bytes panic, nothing that is not signed is opened, and whatever is accepted
//! can be asked.
#![no_main]

use contract::audit::CallSource;
use contract::envelope::{self, PinnedKey};
use contract::policy::{Asked, Declared, Place, Policy, Selection, Server, Skill, Subject, Tool};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| {
    let pinned = PinnedKey {
        key_id: "k".into(),
        public_key: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".into(),
    };
    assert!(envelope::open(document, envelope::POLICY_TYPE, &[pinned]).is_err());
    let Ok(policy) = Policy::parse(document) else { return };
    let groups = ["group".to_owned()];
    let subject = Subject {
        tenant: "tenant",
        user: "ann@example.com",
        groups: &groups,
        roles: &groups,
        source: CallSource::Subagent,
        ..Subject::default()
    };
    let declared = Declared {
        tools: vec![Tool { name: "Bash".into(), kind: None, place: Place::Tool(0) }],
        servers: vec![Server {
            name: "a".into(),
            url: "https://a.example/mcp".into(),
            tools: Selection::all(),
            place: Place::Server(0),
        }],
        skills: vec![Skill { kind: "custom".into(), id: "s".into(), place: Place::Skill(0) }],
    };
    let beside = ["claude-opus-5".to_owned()];
    let asked = Asked { model: "claude-sonnet-4-5", beside: &beside, declared: &declared };
    let bare = Asked { beside: &[], declared: &Declared::default(), ..asked };
    if policy.judge(&subject, asked).is_ok() {
        assert!(policy.judge(&subject, bare).is_ok(), "less is not refused where more is allowed");
    }
    let scanned = policy.scan(&subject, document);
    assert!(scanned.found.len() <= 16);
    let _masked = policy.mask(&String::from_utf8_lossy(document));
    let _offered = policy.offers(&subject);
});
