use super::*;
use crate::claims::{Confirmation, Method};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const NOW: u64 = 1_800_000_000;

fn claims() -> Claims {
    Claims {
        tenant_id: "acme".into(),
        sid: "s1".into(),
        client_id: "helper".into(),
        policy_version: "p1".into(),
        amr: Method::Pat,
        credential_id: "pat_1".into(),
        email: None,
        name: None,
        department: None,
        cost_centre: None,
        groups: vec![],
        roles: vec![],
        populations: vec![],
        region: None,
        cnf: Some(Confirmation { x5t_s256: "print".into() }),
    }
}

fn ann() -> Marks {
    Marks::new("ann@example.com", "usr_1", "jti_1", &claims())
}

fn entry(kind: Kind, id: &str, effect: Effect, until: Option<u64>) -> Entry {
    Entry { kind, id: id.into(), effect, until }
}

fn board(version: u64, entries: Vec<Entry>) -> Board {
    Board::read(Standing { version, entries }.encode()).unwrap()
}

/// Those of many that have nothing to do with Ann.
fn others(count: usize) -> Vec<Entry> {
    (0..count)
        .map(|n| entry(Kind::User, &format!("user{n}@example.com"), Effect::Revoked, None))
        .collect()
}

#[test]
fn whatever_a_token_can_be_listed_by_stops_it_and_nothing_else_does() {
    for (kind, id) in [
        (Kind::User, "ann@example.com"),
        (Kind::User, "usr_1"),
        (Kind::Session, "s1"),
        (Kind::Token, "jti_1"),
        (Kind::Credential, "pat_1"),
        (Kind::Cert, "print"),
    ] {
        let mut entries = others(300);
        entries.push(entry(kind, id, Effect::Revoked, None));
        assert_eq!(board(1, entries).stops(&ann(), NOW), Some(Stop::Revoked), "{kind:?} {id}");
        let mixed = if kind == Kind::Token { Kind::Session } else { Kind::Token };
        let elsewhere = board(1, vec![entry(mixed, id, Effect::Revoked, None)]);
        assert_eq!(elsewhere.stops(&ann(), NOW), None, "kinds do not mix: {id}");
    }
    assert_eq!(board(1, others(300)).stops(&ann(), NOW), None);
    assert_eq!(Board::default().stops(&ann(), NOW), None);
}

#[test]
fn a_pause_ends_by_itself_and_a_revocation_counts_more() {
    let pause = entry(Kind::User, "usr_1", Effect::Paused, Some(NOW + 60));
    let paused = board(1, vec![pause.clone()]);

    let until = u32::try_from(NOW + 60).unwrap();
    assert_eq!(paused.stops(&ann(), NOW + 59), Some(Stop::Paused(until)));
    assert_eq!(paused.stops(&ann(), NOW + 60), None, "over");
    let both = board(1, vec![pause, entry(Kind::Session, "s1", Effect::Revoked, None)]);
    assert_eq!(both.stops(&ann(), NOW), Some(Stop::Revoked));
    let ended = board(1, vec![entry(Kind::Session, "s1", Effect::Revoked, Some(NOW))]);
    assert_eq!(ended.stops(&ann(), NOW), None, "a revocation may have an end too");
}

#[test]
fn a_throttle_stops_nobody_and_says_how_many_calls_there_may_be() {
    let of = |per_minute| Effect::Throttled { per_minute };
    let board = board(
        1,
        vec![
            entry(Kind::User, "ann@example.com", of(10), Some(NOW + 1)),
            entry(Kind::User, "ann@example.com", Effect::Paused, Some(NOW - 1)),
            entry(Kind::Credential, "pat_1", of(3), None),
        ],
    );

    let found = |now| {
        let mut found: Vec<u32> = board.throttles(&ann(), now).map(|(_, most)| most).collect();
        found.sort_unstable();
        found
    };
    assert_eq!((found(NOW), board.stops(&ann(), NOW)), (vec![3, 10], None));
    assert_eq!(found(NOW + 1), [3], "that of the user is over");
}

#[test]
fn a_version_that_fell_takes_nothing_away() {
    let revoked = |id: &str| entry(Kind::User, id, Effect::Revoked, None);
    let (old, fallen) = (board(7, vec![revoked("ann")]), board(3, vec![revoked("bob")]));

    let once = fallen.clone().after(&old);
    let again = fallen.after(&once);

    assert_eq!(once, board(7, vec![revoked("bob"), revoked("ann")]));
    assert_eq!(again, once, "however often it is told");
    assert_eq!(Board::read(once.bytes().to_vec()), Ok(once.clone()), "it can be shared");
    let restored = board(8, vec![]);
    assert_eq!(restored.clone().after(&once), restored, "a later version may");
}

#[test]
fn what_is_not_whole_or_not_in_order_is_no_standing() {
    let good = Standing { version: 1, entries: others(3) }.encode();
    let swapped = {
        let (head, records) = good.split_at(HEAD);
        let (records, _) = records.as_chunks::<{ Record::LENGTH }>();
        let mut records = records.to_vec();
        records.swap(0, 2);
        [head, records.as_flattened()].concat()
    };
    let twice = [good.as_slice(), &good[good.len() - Record::LENGTH..]].concat();
    let mut odd = good.clone();
    odd[HEAD + 23] = 9;

    assert_eq!(Board::read(good.clone()).map(|board| board.len()), Ok(3));
    assert_eq!(Board::read(good[..good.len() - 1].to_vec()), Err(StandingError::Record(2)));
    assert!(matches!(Board::read(swapped), Err(StandingError::Order(_))));
    assert_eq!(Board::read(twice), Err(StandingError::Order(3)));
    assert_eq!(Board::read(odd), Err(StandingError::Record(0)));
    for none in [&b""[..], b"TGS1", br#"{"version":1,"revoked":[]}"#] {
        assert_eq!(Board::read(none.to_vec()), Err(StandingError::Form));
    }
}

proptest! {
    #[test]
    fn everybody_who_is_listed_is_found_and_nobody_else(
        listed in prop::collection::btree_set("[a-d]{1,4}", 0..60), asked in "[a-d]{1,4}",
    ) {
        let entries = listed.iter().map(|id| entry(Kind::User, id, Effect::Revoked, None));
        let board = board(1, entries.collect());
        let marks = Marks::new(&asked, "", "", &claims());

        prop_assert_eq!(board.stops(&marks, NOW).is_some(), listed.contains(&asked));
    }

    #[test]
    fn no_bytes_are_too_odd_to_be_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let framed = [MAGIC.as_slice(), &bytes].concat();
        for bytes in [bytes, framed] {
            if let Ok(board) = Board::read(bytes) {
                board.stops(&ann(), NOW);
            }
        }
    }
}
