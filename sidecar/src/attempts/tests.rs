use super::*;
use axum::http::HeaderValue;

fn from(address: &str, account: Option<&str>) -> Attempt {
    let value = HeaderValue::from_str(address).unwrap();
    let asked = std::iter::once((SOURCE_ADDRESS.parse().unwrap(), value)).collect();

    Attempt::of(&asked, account)
}

fn attempts() -> Attempts {
    Attempts::new(&identity::Attempts { free: 3, longest: 20 })
}

fn waits(attempts: &Attempts, attempt: &Attempt, now: u64) -> u64 {
    attempts.look(attempt, now).map_or_else(|wait| wait.seconds, |()| 0)
}

#[test]
fn the_free_failures_cost_nothing_and_each_beyond_them_twice_as_much() {
    let (attempts, ann) = (attempts(), from("192.0.2.1", Some("pat_1")));
    let mut now = 1_000;
    let mut seen = Vec::new();
    for _ in 0..10 {
        attempts.failed(&ann, now);
        let wait = waits(&attempts, &ann, now);
        seen.push(wait);
        now += wait;
    }

    assert_eq!(seen, [0, 0, 0, 1, 2, 4, 8, 16, 20, 20], "up to the longest");
    assert_eq!(waits(&attempts, &ann, now + 21), 0, "and a wait ends");
    attempts.failed(&ann, now + 21 + WINDOW);
    assert_eq!(waits(&attempts, &ann, now + 21 + WINDOW), 0, "a quiet minute is a new beginning");
}

#[test]
fn who_guesses_at_an_account_does_not_lock_its_owner_out() {
    let attempts = attempts();
    let (owner, other) = (from("192.0.2.1", Some("pat_1")), from("198.51.100.1", Some("pat_1")));
    for _ in 0..4 {
        attempts.failed(&other, 1_000);
    }

    assert!(waits(&attempts, &other, 1_000) > 0);
    assert_eq!(waits(&attempts, &owner, 1_000), 0);
}

#[test]
fn a_swarm_that_guesses_at_one_account_waits_and_its_owner_at_their_own_address_does_not() {
    let attempts = attempts();
    let owner = from("192.0.2.1", Some("pat_1"));
    attempts.succeeded(&owner, 900);
    for nth in 0..301 {
        let one = from(&format!("198.51.{}.{}", nth / 200, nth % 200), Some("pat_1"));
        assert_eq!(waits(&attempts, &one, 1_000), 0, "{nth}");
        attempts.failed(&one, 1_000);
    }

    assert!(waits(&attempts, &from("203.0.113.9", Some("pat_1")), 1_000) > 0);
    assert_eq!(waits(&attempts, &owner, 1_000), 0);
    assert!(waits(&attempts, &from("203.0.113.9", Some("pat_2")), 1_000) == 0);
}

#[test]
fn one_address_that_tries_many_accounts_waits_whichever_it_tries_next() {
    let attempts = attempts();
    for nth in 0..16 {
        attempts.failed(&from("192.0.2.1", Some(&format!("pat_{nth}"))), 1_000);
    }

    assert!(waits(&attempts, &from("192.0.2.1", Some("pat_new")), 1_000) > 0);
    assert!(waits(&attempts, &from("192.0.2.1", None), 1_000) > 0);
    assert_eq!(waits(&attempts, &from("192.0.2.2", Some("pat_new")), 1_000), 0);
}

#[test]
fn a_success_clears_what_stood_against_the_account_there() {
    let (attempts, ann) = (attempts(), from("192.0.2.1", Some("pat_1")));
    for _ in 0..3 {
        attempts.failed(&ann, 1_000);
    }
    attempts.succeeded(&ann, 1_000);
    attempts.failed(&ann, 1_001);

    assert_eq!(waits(&attempts, &ann, 1_001), 0);
}

#[test]
fn the_first_who_waits_is_told_so_and_the_next_are_not() {
    let (attempts, ann) = (attempts(), from("192.0.2.1", Some("pat_1")));
    for _ in 0..9 {
        attempts.failed(&ann, 1_000);
    }

    assert!(attempts.look(&ann, 1_000).unwrap_err().first);
    assert!(!attempts.look(&ann, 1_001).unwrap_err().first);
}

#[test]
fn an_address_of_ipv6_is_its_customer_s_network() {
    let one = from("2001:db8:1:2:aaaa::1", None);

    assert_eq!(one, from("2001:db8:1:2:bbbb::9", None));
    assert_ne!(one, from("2001:db8:1:3:aaaa::1", None));
    assert_eq!(from("::ffff:192.0.2.1", None), from("192.0.2.1", None));
    assert_eq!(from("rubbish", None).address, None);
}

#[test]
fn what_is_remembered_is_bounded() {
    let attempts = attempts();
    for nth in 0..70_000_u32 {
        attempts.failed(&from(&std::net::Ipv4Addr::from(nth).to_string(), Some("pat_1")), 1_000);
    }

    assert_eq!(attempts.counts.lock().unwrap().len(), PLACES.get());
}
