//! What binds a laptop when the keys change.

use crate::bench::{Bench, NOW, Release, pin};
use contract::manifest::{Kind, SyncResult};
use std::fs;

#[test]
fn what_a_stolen_key_signed_does_not_bind_once_its_pin_is_gone() {
    const HIGHEST: u64 = (1 << 53) - 1;
    let (bench, _) = Bench::standing();
    let usual = Release::usual(6);
    bench.applied(&Release::usual(HIGHEST).change(|it| it.issued_at = NOW));
    bench.lay(&usual);
    assert_eq!(bench.run().last.code.as_deref(), Some("older"), "as long as its key is pinned");
    // The new one may have the old one's name.
    for key in [("next", 8), ("security", 9)] {
        bench.pin(&[pin(key.0, key.1)]);
        assert!(bench.run().last.code.is_some(), "nobody has signed yet");
        bench.applied(&Release { key, ..usual.clone() });
        let more = Release { key, ..Release::usual(HIGHEST) };
        bench.applied(&more.change(|it| it.issued_at = NOW));
    }
}

#[test]
fn what_a_stolen_key_took_back_beside_a_document_returns_once_its_pin_is_gone() {
    let (bench, _) = Bench::standing();
    let late =
        Release::new((1 << 53) - 1).change(|it| (it.issued_at, it.expires_at) = (NOW - 10, NOW));
    bench.lay(&late.revoking(Kind::Plugin, "acme"));
    assert_eq!(bench.run().last.removed, ["acme"]);

    bench.pin(&[pin("next", 8)]);

    bench.applied(&Release { key: ("next", 8), ..Release::usual(6) });
}

#[test]
fn a_document_of_both_keys_binds_on_when_the_old_one_s_pin_goes() {
    use contract::envelope::Envelope;

    let bench = Bench::new();
    bench.pin(&[pin("security", 7), pin("next", 8)]);
    let next = Release { key: ("next", 8), ..Release::usual(6) };
    bench.lay(&Release::usual(6));
    let mut both: Envelope = serde_json::from_slice(&Release::usual(6).envelope()).unwrap();
    let other: Envelope = serde_json::from_slice(&next.envelope()).unwrap();
    both.signatures.extend(other.signatures);
    let path = bench.inbox("1000").join("manifest.json");
    fs::write(path, serde_json::to_vec(&both).unwrap()).unwrap();
    assert_eq!(bench.run().last.result, SyncResult::Applied);

    bench.pin(&[pin("next", 8)]);

    bench.lay(&Release { key: ("next", 8), ..Release::usual(5) });
    assert_eq!(bench.run().last.code.as_deref(), Some("older"));
}
