//! The gateway is the attacker's: its host, its database, its name, tokens of its people. The signing key is not. No file lands.

use crate::{catalogue, person};
use base64::{Engine, prelude::BASE64_STANDARD};
use contract::envelope::{POLICY_TYPE, seal};
use contract::manifest::MANIFEST_TYPE;
use e2e::fleet::evil::{Evil, Reply};
use e2e::fleet::{Folder, Machine, payload, told};
use e2e::suite::alone;
use e2e::world::World;
use e2e::world::setup::Setup;
use ed25519_compact::{KeyPair, Seed};
use serde_json::{Value, json};
use std::fs;
use std::process::Output;

const MANIFEST: &str = "/v1/cowork/manifest";

/// A laptop that has version 2 from a good gateway, and from then on asks an evil one.
struct Case {
    machine: Machine,
    evil: Evil,
    folder: Folder,
    /// What was signed: folders of versions 1 and 2.
    signed: [String; 2],
}

impl Case {
    async fn new(world: &World, name: &str) -> Self {
        let folder = Folder::new(&world.place.join(format!("{name}-catalogue"))).unwrap();
        let signed = [
            folder.sign(world, &catalogue(false), 1).unwrap(),
            folder.sign(world, &catalogue(true), 2).unwrap(),
        ];
        // A person of finance signs in at the evil one, which hands out a token that it has stolen.
        let evil = Evil::start(&world.token()).await.unwrap();
        let machine = Machine::install(world, name, &["--audience", "finance"])
            .unwrap()
            .moved(&evil.url())
            .person(&world.pat)
            .unwrap();
        let case = Self { machine, evil, folder, signed };
        case.serves(&case.document(1, "finance"));
        case.archives();
        let (fetched, applied) = case.machine.sync().unwrap();
        assert!(fetched.status.success() && applied.status.success(), "{}", told(&applied));
        assert_eq!(case.machine.names(), ["ledger", "shared", "tax"]);

        case
    }

    /// The envelope of an audience in a version, by its place in `signed`.
    fn document(&self, version: usize, audience: &str) -> Value {
        let path = format!("{}/signed/documents/{audience}.json", self.signed[version]);

        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    fn archives(&self) {
        for signed in &self.signed {
            for entry in fs::read_dir(format!("{signed}/archives")).unwrap().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let bytes = fs::read(entry.path()).unwrap();
                let bare = name.trim_end_matches(".zip");
                self.evil.says(&format!("/v1/cowork/plugins/{bare}"), Reply::of(bytes.clone()));
                self.evil.says(&format!("/v1/cowork/plugins/{name}"), Reply::of(bytes));
            }
        }
    }

    fn serves(&self, envelope: &Value) {
        self.evil.says(MANIFEST, Reply::of(envelope.to_string()));
    }

    /// Both halves run; what stands there stays as it was. What was said of it.
    fn nothing_lands(&self, what: &str) -> String {
        let before = self.machine.plugins();
        let version = self.machine.last().unwrap()["standing"]["version"].clone();
        let (fetched, applied): (Output, Output) = self.machine.sync().unwrap();
        assert_eq!(self.machine.plugins(), before, "{what}");
        assert_eq!(self.machine.last().unwrap()["standing"]["version"], version, "{what}");

        told(&fetched) + &told(&applied)
    }
}

fn stranger() -> KeyPair {
    KeyPair::from_seed(Seed::new([9; 32]))
}

fn key_id(envelope: &Value) -> String {
    envelope["signatures"][0]["keyid"].as_str().unwrap().to_owned()
}

/// A document that gives everybody a plugin more.
fn poisoned(envelope: &Value) -> Vec<u8> {
    let mut document: Value = serde_json::from_slice(&payload(envelope).unwrap()).unwrap();
    document["version"] = json!(3);
    document["plugins"][0]["name"] = json!("evil");

    contract::canonical::write(document.to_string().as_bytes()).unwrap()
}

#[test]
fn a_gateway_in_wrong_hands_lands_no_file() {
    alone(Setup::named("supplies-attacks"), async |world| {
        let case = Case::new(world, "victim").await;
        let good = case.document(1, "finance");
        let bytes = poisoned(&good);
        let encoded = BASE64_STANDARD.encode(&bytes);
        let foreign = |id: &str, kind: &str| json!(seal(kind, &bytes, id, &stranger()));
        let mut swapped = good.clone();
        swapped["payload"] = json!(encoded);
        let mut bare = swapped.clone();
        bare["signatures"] = json!([]);

        for (what, envelope) in [
            ("a document without a signature", bare),
            ("a document under the signature of another", swapped),
            ("a document by a key of the attacker's", foreign("attacker", MANIFEST_TYPE)),
            ("a document by a key under our key's name", foreign(&key_id(&good), MANIFEST_TYPE)),
            ("a policy in place of a manifest", foreign(&key_id(&good), POLICY_TYPE)),
            ("an older document", case.document(0, "finance")),
            ("a document of others", case.document(1, "security")),
            ("no document", json!({ "plugins": [] })),
        ] {
            case.serves(&envelope);
            let said = case.nothing_lands(what);
            assert!(!said.contains("panicked"), "{what}: {said}");
        }

        for (what, reply) in [
            ("an answer that leads elsewhere", Reply::redirect("https://attacker.example/")),
            ("half an answer", Reply::cut(good.to_string(), 1_000_000)),
            ("an answer without end", Reply::cut(vec![b' '; 6_000_000], 600_000_000)),
            ("silence: nothing is ever new", Reply::unchanged()),
        ] {
            case.evil.says(MANIFEST, reply);
            case.nothing_lands(what);
        }

        // Whoever serves it: what is signed, newer and theirs lands.
        let third = case.folder.sign(world, &catalogue(false), 3).unwrap();
        let path = format!("{third}/signed/documents/finance.json");
        case.serves(&serde_json::from_slice(&fs::read(path).unwrap()).unwrap());
        let (fetched, applied) = case.machine.sync().unwrap();
        assert!(applied.status.success(), "{}{}", told(&fetched), told(&applied));
        assert_eq!(case.machine.names(), ["ledger", "shared"]);
    });
}

#[test]
fn a_plugin_that_is_not_the_signed_one_does_not_land_and_stops_all_of_its_document() {
    alone(Setup::named("supplies-swaps"), async |world| {
        let case = Case::new(world, "victim").await;
        let third = case.folder.sign(world, &catalogue(false).plugin_edition("ledger"), 3).unwrap();
        let path = format!("{third}/signed/documents/finance.json");
        let envelope: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let document: Value = serde_json::from_slice(&payload(&envelope).unwrap()).unwrap();
        let ledger =
            document["plugins"].as_array().unwrap().iter().find(|it| it["name"] == "ledger");
        let sha256 = ledger.unwrap()["archive"]["sha256"].as_str().unwrap();
        let archive = fs::read(format!("{third}/archives/{sha256}.zip")).unwrap();
        case.serves(&envelope);
        let says = |reply: Reply| {
            case.evil.says(&format!("/v1/cowork/plugins/{sha256}"), reply.clone());
            case.evil.says(&format!("/v1/cowork/plugins/{sha256}.zip"), reply);
        };
        let mut flipped = archive.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        let longer = [archive.clone(), b"PK".to_vec()].concat();

        for (what, reply) in [
            ("one bit", Reply::of(flipped)),
            ("bytes more", Reply::of(longer)),
            ("another archive", Reply::of(b"PK\x05\x06".repeat(9))),
            ("half of it", Reply::cut(archive[..middle].to_vec(), archive.len())),
            ("nothing", Reply::of("")),
            ("elsewhere", Reply::redirect("https://attacker.example/")),
        ] {
            says(reply);
            case.nothing_lands(what);
        }

        says(Reply::of(archive));
        let (fetched, applied) = case.machine.sync().unwrap();
        assert!(applied.status.success(), "{}{}", told(&fetched), told(&applied));
        assert_eq!(case.machine.last().unwrap()["standing"]["version"], 3, "the signed one lands");
    });
}

#[test]
fn a_laptop_asks_a_gateway_for_nothing_that_could_carry_plugins_unsigned() {
    alone(Setup::named("supplies-asks"), async |world| {
        let case = Case::new(world, "victim").await;
        let plugin =
            json!({ "name": "evil", "source": { "source": "archive", "url": "/evil.zip" } });
        let marketplace = json!({ "name": "acme", "plugins": [plugin] }).to_string();
        for path in ["/v1/cowork/marketplace.json", "/user/bootstrap", "/managed/settings"] {
            case.evil.says(path, Reply::of(marketplace.clone()));
        }
        case.evil.says("/v1/cowork/pubkey", Reply::of(json!({ "pubkey": "AAAA" }).to_string()));

        case.nothing_lands("whatever else a gateway offers");

        for path in case.evil.asked() {
            let ours = path == MANIFEST
                || path == "/v1/cowork/sync-report"
                || path.starts_with("/v1/cowork/plugins/");
            assert!(ours, "the helper asked for {path}");
        }
    });
}

#[test]
fn a_stolen_token_reads_what_its_person_has_and_changes_nothing() {
    alone(Setup::named("supplies-stolen"), async |world| {
        let folder = Folder::new(&world.place.join("catalogue")).unwrap();
        folder.publish(world, &catalogue(true), 1).unwrap();
        drop(person(world, "finance"));
        let token = world.token_with(|_, claims| claims["department"] = "security".into());
        let asks = async |method: &str, path: &str, body: &str| {
            let length = body.len();
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
                 content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            e2e::client::raw::send(world.ports.plain, request.as_bytes()).await.unwrap()
        };
        tokio::time::sleep(crate::SETTLES).await;
        let answer = asks("GET", MANIFEST, "").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let document = payload(&serde_json::from_str(&answer.body()).unwrap()).unwrap();
        let document: Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(document["audience"], "security");

        // What its audience does not have is not there.
        let path = world.place.join("catalogue/out-1/documents/finance.json");
        let finance: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        for plugin in finance["plugins"].as_array().unwrap() {
            let sha256 = plugin["archive"]["sha256"].as_str().unwrap();
            let mine = document["plugins"].as_array().unwrap();
            let entitled = mine.iter().any(|it| it["archive"]["sha256"] == sha256);
            let answer = asks("GET", &format!("/v1/cowork/plugins/{sha256}"), "").await;
            assert_eq!(answer.status, if entitled { 200 } else { 404 }, "{}", plugin["name"]);
        }
        for method in ["PUT", "POST", "DELETE", "PATCH"] {
            assert_ne!(asks(method, MANIFEST, "{}").await.status / 100, 2, "{method}");
        }
        let operates = json!({ "command": ["manifest", "publish", "-"] }).to_string();
        assert_eq!(asks("POST", "/v1/operator", &operates).await.status / 100, 4);
    });
}
