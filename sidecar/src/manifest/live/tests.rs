use super::*;
use contract::envelope::{Envelope, seal};
use contract::manifest::{
    Audience, Document, INDEX_SCHEMA, INDEX_TYPE, MANIFEST_TYPE, OnExpiry, SCHEMA,
};
use contract::policy::Who;
use ed25519_compact::{KeyPair, Seed};
use proptest::prelude::*;
use proptest::sample::subsequence;

const GROUPS: [&str; 4] = ["a", "b", "c", "d"];

fn pair() -> KeyPair {
    KeyPair::from_seed(Seed::new([7; 32]))
}

fn pins() -> Vec<PinnedKey> {
    use base64::{Engine, prelude::BASE64_STANDARD};

    let public_key = BASE64_STANDARD.encode(pair().pk.as_ref());
    vec![PinnedKey { key_id: "k".into(), public_key }]
}

fn wire(envelope: &Envelope) -> Vec<u8> {
    serde_json::to_vec(envelope).unwrap()
}

fn document(audience: &str) -> Document {
    Document {
        schema: SCHEMA.into(),
        catalogue: "acme".into(),
        audience: audience.into(),
        version: 3,
        issued_at: 1_763_730_000,
        expires_at: 1_763_830_000,
        on_expiry: OnExpiry::Keep,
        plugins: vec![],
        skills: vec![],
        agents: vec![],
        managed_mcp_servers: vec![],
        revocations: vec![],
    }
}

/// A publication as the store has it: an audience for each list of groups, and who is not of it.
fn stored(audiences: &[(Vec<String>, Vec<String>)]) -> (ManifestVersion, Vec<ManifestDocument>) {
    let (mut named, mut documents) = (Vec::new(), Vec::new());
    let who = |groups: &[String]| Who { groups: groups.to_vec(), ..Who::default() };
    for (number, (groups, unless)) in audiences.iter().enumerate() {
        let name = format!("audience{number}");
        let payload = document(&name).canonical().unwrap();
        named.push(Audience {
            name: name.clone(),
            who: who(groups),
            unless: (!unless.is_empty()).then(|| who(unless)),
            document_sha256: sha256(&payload),
            marketplace_sha256: None,
        });
        documents.push(ManifestDocument {
            audience: name,
            sha256: sha256(&payload),
            envelope: wire(&seal(MANIFEST_TYPE, &payload, "k", &pair())),
            marketplace: None,
        });
    }
    let index = Index {
        schema: INDEX_SCHEMA.into(),
        catalogue: "acme".into(),
        version: 3,
        issued_at: 1_763_730_000,
        expires_at: 1_763_830_000,
        audiences: named,
    };
    let payload = index.canonical().unwrap();
    let envelope = wire(&seal(INDEX_TYPE, &payload, "k", &pair()));
    (ManifestVersion { number: 1, envelope, ..ManifestVersion::default() }, documents)
}

fn groups() -> impl Strategy<Value = Vec<String>> {
    subsequence(GROUPS.map(ToOwned::to_owned).to_vec(), 0..=GROUPS.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whoever_asks_has_what_the_first_audience_that_fits_has(
        audiences in proptest::collection::vec((groups(), groups()), 1..6),
        mine in groups(),
    ) {
        let (version, documents) = stored(&audiences);
        let shown = Shown::open(&version, documents, &pins()).unwrap();
        let subject = Subject { groups: &mine, ..Subject::default() };

        let shelf = shown.shelf(&subject).map(|shelf| shelf.audience.clone());

        // Said again in other words: of these groups or open to all, and of none of those.
        let has = |list: &Vec<String>| list.iter().any(|group| mine.contains(group));
        let expected = audiences
            .iter()
            .position(|(of, unless)| (of.is_empty() || has(of)) && !has(unless))
            .map(|number| format!("audience{number}"));
        prop_assert_eq!(shelf, expected);
    }
}

#[test]
fn a_publication_whose_parts_do_not_fit_together_is_not_served() {
    let all = [(vec![], vec![]), (vec!["a".to_owned()], vec![])];
    let (version, documents) = stored(&all);
    let open = |documents: Vec<ManifestDocument>, pins: &[PinnedKey]| {
        Shown::open(&version, documents, pins).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(open(documents.clone(), &pins()), Ok(()));

    assert!(open(documents.clone(), &[]).unwrap_err().contains("pinned"));
    assert!(open(documents[..1].to_vec(), &pins()).unwrap_err().contains("not there"));
    let mut swapped = documents.clone();
    let other = swapped[1].envelope.clone();
    swapped[0].envelope = other;
    assert!(open(swapped, &pins()).unwrap_err().contains("the index names"));
    let mut market = documents.clone();
    market[0].marketplace = Some(b"{}".to_vec());
    assert!(open(market, &pins()).unwrap_err().contains("marketplace"));
    let mut forged = documents;
    let text = String::from_utf8(forged[0].envelope.clone()).unwrap();
    forged[0].envelope = text.replace("\"sig\":\"", "\"sig\":\"AA").into_bytes();
    assert!(open(forged, &pins()).is_err());
}
