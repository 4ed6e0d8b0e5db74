//! The published vectors. Another program has made them, and reads them too: `tests/data/manifest.py`.

use super::*;
use serde::Deserialize;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Deserialize)]
struct Vectors {
    key: SigningKey,
    pins: Vec<PinnedKey>,
    documents: Vec<Signed>,
    directories: Vec<Directory>,
    opening: Vec<Opening>,
    following: Vec<Following>,
    paths: Words,
    names: Words,
}

#[derive(Deserialize)]
struct SigningKey {
    seed: String,
    key_id: String,
    public_key: String,
}

#[derive(Deserialize)]
struct Signed {
    name: String,
    document: Document,
    canonical: String,
    sha256: String,
    covered: String,
    signature: String,
    envelope: String,
}

#[derive(Deserialize)]
struct Directory {
    name: String,
    files: Vec<File>,
    canonical: String,
    #[serde(rename = "directory_sha256")]
    digest: String,
}

#[derive(Deserialize)]
struct Opening {
    name: String,
    envelope: String,
    pins: Vec<PinnedKey>,
    result: String,
}

#[derive(Deserialize)]
struct Following {
    name: String,
    envelope: String,
    known: Option<Known>,
    audience: Option<String>,
    now: u64,
    result: String,
}

#[derive(Deserialize)]
struct Words {
    good: Vec<String>,
    bad: Vec<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../data/manifest-vectors.json")).unwrap()
}

fn pair(key: &SigningKey) -> KeyPair {
    let digit = |at: usize| u8::from_str_radix(key.seed.get(at..at + 2).unwrap(), 16).unwrap();
    let seed: [u8; 32] = std::array::from_fn(|index| digit(2 * index));
    KeyPair::from_seed(Seed::new(seed))
}

#[test]
fn a_document_has_the_published_bytes_digest_and_signature() {
    let vectors = vectors();
    let key = pair(&vectors.key);
    assert_eq!(BASE64_STANDARD.encode(key.pk.as_ref()), vectors.key.public_key);
    for Signed { name, document, canonical, sha256: digest, covered, signature, envelope } in
        vectors.documents
    {
        let payload = document.canonical().unwrap();
        assert_eq!(String::from_utf8(payload.clone()).unwrap(), canonical, "{name}");
        assert_eq!(sha256(&payload), digest, "{name}");
        assert_eq!(
            BASE64_STANDARD.encode(envelope::covered(MANIFEST_TYPE, &payload)),
            covered,
            "{name}"
        );
        let sealed = seal(MANIFEST_TYPE, &payload, &vectors.key.key_id, &key);
        assert_eq!(sealed.signatures[0].sig, signature, "{name}");
        let read: Value = serde_json::from_str(&envelope).unwrap();
        assert_eq!(serde_json::to_value(&sealed).unwrap(), read, "{name}");
        let manifest = open(envelope.as_bytes(), &vectors.pins).unwrap();
        assert_eq!((manifest.document(), manifest.sha256()), (&document, &*digest), "{name}");
    }
}

#[test]
fn a_directory_has_the_published_digest() {
    for Directory { name, files, canonical, digest } in vectors().directories {
        let text = serde_json::to_vec(&files).unwrap();
        assert_eq!(canonical::write(&text).unwrap(), canonical.as_bytes(), "{name}");
        assert_eq!(Plugin::directory_digest(&files).unwrap(), digest, "{name}");
    }
}

#[test]
fn what_is_opened_is_opened_as_published() {
    for Opening { name, envelope, pins, result } in vectors().opening {
        let got = match open(envelope.as_bytes(), &pins) {
            Ok(_) => "ok",
            Err(error) => error.code(),
        };
        assert_eq!(got, result, "{name}");
    }
}

#[test]
fn what_follows_follows_as_published() {
    let vectors = vectors();
    for Following { name, envelope, known, audience, now, result } in vectors.following {
        let manifest = open(envelope.as_bytes(), &vectors.pins).unwrap();
        let got = match manifest.follows(known.as_ref(), audience.as_deref(), now) {
            Ok(Freshness::New) => "new",
            Ok(Freshness::Same) => "same",
            Ok(Freshness::Stale) => "stale",
            Err(rejected) => rejected.code(),
        };
        assert_eq!(got, result, "{name}");
    }
}

#[test]
fn names_and_paths_are_good_or_bad_as_published() {
    let Vectors { paths, names, .. } = vectors();
    for path in paths.good {
        assert_eq!(path_fault(&path), None, "{path:?}");
    }
    for path in paths.bad {
        assert!(path_fault(&path).is_some(), "{path:?}");
    }
    for name in names.good {
        assert_eq!(name_fault(&name), None, "{name:?}");
    }
    for name in names.bad {
        assert!(name_fault(&name).is_some(), "{name:?}");
    }
}
