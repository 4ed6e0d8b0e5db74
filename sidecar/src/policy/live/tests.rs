use super::*;
use crate::args::ChangeArgs;
use crate::policy::publish;
use crate::store::{Cursor, Filter};
use contract::envelope::{self, POLICY_TYPE, seal};
use std::fs;

const GOOD: &[u8] =
    br#"{"schema":"tollgate.policy/v1","name":"acme","rules":[{"id":"all","models":["*"]}]}"#;

struct Bench {
    place: tempfile::TempDir,
    data: Data,
    store: Store,
    counters: Arc<Counters>,
}

impl Bench {
    async fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let data = Data::new(place.path());
        keys::init(&data).unwrap();
        let store = Store::create(&data).await.unwrap();
        Self { place, data, store, counters: Arc::default() }
    }

    /// A signed file, not yet in force.
    fn signed(&self, name: &str) -> std::path::PathBuf {
        self.signed_by(&self.data, name)
    }

    fn signed_by(&self, who: &Data, name: &str) -> std::path::PathBuf {
        let (key_id, pair) = keys::policy_key(&who.policy_key()).unwrap();
        let payload = String::from_utf8_lossy(GOOD).replace("acme", name);
        let envelope = seal(POLICY_TYPE, payload.as_bytes(), &key_id, &pair);
        let file = self.place.path().join(format!("{name}.json"));
        fs::write(&file, serde_json::to_vec(&envelope).unwrap()).unwrap();
        file
    }

    /// As `tollgate policy publish` would on another host.
    async fn publish_in_store(&self, name: &str, way: Way) {
        let published = crate::policy::signed(&self.data, &self.signed(name)).unwrap();
        let change = ChangeArgs::default();
        history::publish(&self.store, &published, way, &change, &Operator::owner()).await.unwrap();
    }

    async fn start(&self) -> Result<Follower, PolicyError> {
        Follower::start(&self.data, &self.store, &self.counters).await
    }

    /// `outcome what` of every act.
    async fn acts(&self) -> Vec<String> {
        let filter = Filter { after: Some(Cursor::default()), limit: 99, ..Filter::default() };
        let rows = self.store.rows(&filter).await.unwrap();
        rows.iter()
            .map(|row| {
                let payload: serde_json::Value =
                    serde_json::from_str(&row.text("payload")).unwrap();
                let what = payload["target"].as_str().unwrap().to_owned();
                format!("{} {what}", row.text("outcome"))
            })
            .collect()
    }
}

fn name(follower: &Follower) -> String {
    follower.now().borrow().name.clone()
}

#[tokio::test]
async fn a_file_that_was_there_first_is_recorded_once() {
    let bench = Bench::new().await;
    publish(&bench.data, &bench.signed("acme")).unwrap();

    let mut follower = bench.start().await.unwrap();
    for _ in 0..3 {
        follower.look().await.unwrap();
    }

    let all = bench.store.policies(9).await.unwrap();
    assert_eq!((all.len(), all[0].way, &*all[0].name), (1, Way::File, "acme"));
    assert_eq!(bench.acts().await.len(), 0, "it was in force before");
}

#[tokio::test]
async fn what_is_published_anywhere_is_in_force_here_and_kept_for_the_next_start() {
    let bench = Bench::new().await;
    publish(&bench.data, &bench.signed("acme")).unwrap();
    let mut follower = bench.start().await.unwrap();
    follower.look().await.unwrap();

    bench.publish_in_store("next", Way::Publish).await;
    follower.look().await.unwrap();

    assert_eq!(name(&follower), "next");
    assert_eq!(Published::current(&bench.data).unwrap().name, "next");
    follower.look().await.unwrap();
    // As the command does it on this host: the store first, then the file.
    bench.publish_in_store("last", Way::Publish).await;
    publish(&bench.data, &bench.signed("last")).unwrap();
    follower.look().await.unwrap();
    assert_eq!(name(&follower), "last");
    publish(&bench.data, &bench.signed("next")).unwrap();
    bench.publish_in_store("next", Way::Rollback).await;
    follower.look().await.unwrap();
    assert_eq!(Published::current(&bench.data).unwrap().name, "next");
    assert_eq!(bench.store.policy_number().await.unwrap(), 4, "its own copy is no news to it");
}

#[tokio::test]
async fn a_sidecar_that_was_away_starts_with_what_the_store_has_and_not_with_its_file() {
    let bench = Bench::new().await;
    bench.publish_in_store("next", Way::Publish).await;
    publish(&bench.data, &bench.signed("acme")).unwrap();

    assert_eq!(name(&bench.start().await.unwrap()), "next");
    assert_eq!(Published::current(&bench.data).unwrap().name, "next");
    fs::remove_file(bench.data.policy()).unwrap();
    assert_eq!(name(&bench.start().await.unwrap()), "next", "a new host needs no file");
}

#[tokio::test]
async fn a_file_put_there_is_published_for_all_and_one_of_earlier_is_not() {
    let bench = Bench::new().await;
    publish(&bench.data, &bench.signed("acme")).unwrap();
    let mut follower = bench.start().await.unwrap();
    follower.look().await.unwrap();

    publish(&bench.data, &bench.signed("next")).unwrap();
    follower.look().await.unwrap();
    assert_eq!((name(&follower), bench.store.policy_number().await.unwrap()), ("next".into(), 2));
    assert!(bench.acts().await.concat().contains("allowed policy file "), "and has its row");

    publish(&bench.data, &bench.signed("acme")).unwrap();
    follower.look().await.unwrap();
    assert_eq!((name(&follower), bench.store.policy_number().await.unwrap()), ("next".into(), 2));
    assert_eq!(Published::current(&bench.data).unwrap().name, "next");
}

#[tokio::test]
async fn while_the_store_is_away_a_file_changes_the_policy_and_is_recorded_later() {
    let bench = Bench::new().await;
    publish(&bench.data, &bench.signed("acme")).unwrap();
    let mut follower = bench.start().await.unwrap();
    follower.look().await.unwrap();
    let good = follower.store.clone();
    let away = Store::create(&bench.data).await.unwrap();
    away.close().await;

    follower.store = away;
    publish(&bench.data, &bench.signed("next")).unwrap();
    assert!(follower.look().await.is_err());
    assert_eq!((name(&follower), good.policy_number().await.unwrap()), ("next".into(), 1));

    follower.store = good;
    follower.look().await.unwrap();
    assert_eq!(bench.store.policy_in_force().await.unwrap().unwrap().name, "next");
}

#[tokio::test]
async fn what_cannot_be_believed_changes_nothing_and_is_heard_of() {
    let bench = Bench::new().await;
    publish(&bench.data, &bench.signed("acme")).unwrap();
    let mut follower = bench.start().await.unwrap();
    follower.look().await.unwrap();
    let other = Bench::new().await;
    let refused = || bench.counters.policy_refused.get();

    // By a key that is not pinned; without a signature; with faults.
    fs::copy(bench.signed_by(&other.data, "foreign"), bench.data.policy()).unwrap();
    follower.look().await.unwrap();
    fs::write(bench.data.policy(), GOOD).unwrap();
    follower.look().await.unwrap();
    let (key_id, pair) = keys::policy_key(&bench.data.policy_key()).unwrap();
    let faulty = seal(POLICY_TYPE, br#"{"schema":"x","name":"n","rules":[]}"#, &key_id, &pair);
    fs::write(bench.data.policy(), serde_json::to_vec(&faulty).unwrap()).unwrap();
    follower.look().await.unwrap();

    assert_eq!((name(&follower), refused()), ("acme".into(), 3));
    let acts = bench.acts().await;
    assert_eq!(acts.len(), 3, "{acts:?}");
    assert!(acts.iter().all(|act| act.starts_with("denied policy refused: ")), "{acts:?}");
    // And the next start takes the store's.
    assert_eq!(name(&bench.start().await.unwrap()), "acme");
    assert_eq!(refused(), 4, "that the file was no good is heard of again");
}

#[tokio::test]
async fn a_stored_policy_by_a_key_that_is_pinned_later_is_in_force_from_then_on() {
    let bench = Bench::new().await;
    publish(&bench.data, &bench.signed("acme")).unwrap();
    let mut follower = bench.start().await.unwrap();
    follower.look().await.unwrap();
    let other = Bench::new().await;
    let file = other.signed("new-key");
    let published = crate::policy::signed(&other.data, &file).unwrap();
    history::publish(
        &bench.store,
        &published,
        Way::Publish,
        &ChangeArgs::default(),
        &Operator::owner(),
    )
    .await
    .unwrap();

    follower.look().await.unwrap();
    assert_eq!((name(&follower), bench.counters.policy_refused.get()), ("acme".into(), 1));
    fs::copy(other.data.policy_pin(), bench.data.keys().join("new.pub")).unwrap();
    follower.look().await.unwrap();

    assert_eq!(name(&follower), "new-key");
    // Two keys live: the old one still signs.
    bench.publish_in_store("old-key", Way::Publish).await;
    follower.look().await.unwrap();
    assert_eq!(name(&follower), "old-key");
    // A pin that is gone takes nothing away that is in force, and lets nothing new in.
    fs::remove_file(bench.data.keys().join("new.pub")).unwrap();
    follower.look().await.unwrap();
    assert_eq!(name(&follower), "old-key");
}

#[tokio::test]
async fn an_earlier_policy_comes_back_if_todays_keys_still_vouch_for_it() {
    let bench = Bench::new().await;
    for name in ["one", "two"] {
        bench.publish_in_store(name, Way::Publish).await;
    }
    let previous = history::previous(&bench.store).await.unwrap();
    assert_eq!(previous.name, "one");
    let again = history::again(&bench.data, previous.clone()).unwrap();
    let change =
        ChangeArgs { ticket: Some("SEC-9".into()), why: Some("two was too strict".into()) };

    history::publish(&bench.store, &again, Way::Rollback, &change, &Operator::owner())
        .await
        .unwrap();

    let now = bench.store.policy_in_force().await.unwrap().unwrap();
    assert_eq!((&*now.name, now.way, now.number), ("one", Way::Rollback, 3));
    let acts = bench.acts().await;
    let (one, two) = (envelope::version(&again.payload), "-> ");
    assert!(acts[2].contains(&format!("{two}{one}")) && acts[2].contains("ticket SEC-9: two was"));
    assert_eq!(history::find(&bench.store, one.get(..6).unwrap()).await.unwrap().version, one);
    assert!(history::find(&bench.store, "00").await.is_err());

    fs::remove_file(bench.data.policy_pin()).unwrap();
    assert!(history::again(&bench.data, previous).is_err(), "nobody vouches for it any more");
}
