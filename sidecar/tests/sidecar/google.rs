//! Access tokens for a Google service account: asked for in time, kept while they live, told nobody but Envoy.

use crate::receiver::{Act, Asked, Receiver};
use crate::starts::{SERVE, text};
use crate::world::{Fallible, Place, World, ask};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use jwt_simple::algorithms::{RS256KeyPair, RS256PublicKey, RSAPublicKeyLike};
use jwt_simple::claims::NoCustomClaims;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const EMAIL: &str = "gateway@project.iam.gserviceaccount.com";
const FAILURES: &str = "tollgate_provider_token_refresh_failures_total{secret=\"vertex\"}";
const EXPIRES: &str = "tollgate_provider_token_expires_in_seconds{secret=\"vertex\"}";

/// A service account's key. By `openssl`: the libraries here make RSA keys too slowly, unoptimised.
struct Pair {
    pem: String,
    public: RS256PublicKey,
}

impl Pair {
    fn new() -> Fallible<Self> {
        let arguments =
            ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-quiet"];
        let made = Command::new("openssl").args(arguments).output()?;
        let pem = String::from_utf8(made.stdout)?;
        let public = RS256KeyPair::from_pem(&pem)?.public_key();
        Ok(Self { pem, public })
    }

    fn file(&self, id: &str, token_uri: &str) -> Value {
        json!({
            "type": "service_account", "project_id": "project", "private_key_id": id,
            "private_key": self.pem, "client_email": EMAIL, "token_uri": token_uri,
        })
    }
}

/// By a rename, as an operator does it.
fn put(path: &Path, file: &Value) -> Fallible {
    let beside = path.with_extension("new");
    fs::write(&beside, file.to_string())?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600))?;
    Ok(fs::rename(beside, path)?)
}

fn paths(place: &Place) -> (PathBuf, PathBuf) {
    let folder = place.directory.path();
    (folder.join("account.json"), folder.join("vertex.yaml"))
}

/// A place whose sidecar keeps this account's token fresh.
fn place(file: &Value) -> Fallible<Place> {
    let mut place = Place::new()?;
    let (credentials, secret) = paths(&place);
    put(&credentials, file)?;
    place.google.credentials.push(credentials);
    place.google.secrets.push(secret);
    Ok(place)
}

/// A token server whose tokens are numbered and live so many seconds; after `good` of them it fails.
async fn server(life: u64, good: usize) -> Fallible<Receiver> {
    let given = AtomicUsize::new(0);
    Receiver::start(move |_asked| {
        let nth = given.fetch_add(1, Ordering::Relaxed);
        let token = json!({
            "access_token": format!("ya29.canary-{nth}"), "expires_in": life, "token_type": "Bearer",
        });
        if nth < good {
            Act::Answer(200, "", token.to_string())
        } else {
            let told = json!({"error": "invalid_grant", "error_description": "Invalid JWT Signature."});
            Act::Answer(400, "", told.to_string())
        }
    })
    .await
}

/// The token that Envoy would read.
fn token(secret: &Path) -> Fallible<String> {
    let text = fs::read_to_string(secret)?;
    let line = text.lines().find(|line| !line.starts_with('#')).ok_or("no line")?;
    let value: Value = serde_json::from_str(line)?;
    let at = |place: &str| value.pointer(place).and_then(Value::as_str).unwrap_or_default();
    assert_eq!(at("/resources/0/name"), "vertex");
    let kind = at("/resources/0/@type");
    assert!(kind.ends_with("tls.v3.Secret"), "{kind}");
    Ok(at("/resources/0/generic_secret/secret/inline_string").to_owned())
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> Fallible<bool>) -> Fallible {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds().await? {
        if Instant::now() > end {
            return Err(format!("not within 30 s: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Header and claims of an assertion, after its signature was verified.
fn asserted(asked: &Asked, public: &RS256PublicKey) -> Fallible<(Value, Value)> {
    let form: BTreeMap<_, _> = form_urlencoded::parse(asked.body.as_bytes()).into_owned().collect();
    let grant = form.get("grant_type").map(String::as_str);
    assert_eq!(grant, Some("urn:ietf:params:oauth:grant-type:jwt-bearer"));
    assert_eq!(asked.header("content-type"), "application/x-www-form-urlencoded");
    let assertion = form.get("assertion").ok_or("no assertion")?;
    public.verify_token::<NoCustomClaims>(assertion, None)?;
    let mut parts = assertion.split('.').map(|part| BASE64.decode(part));
    let mut part = || -> Fallible<Value> {
        Ok(serde_json::from_slice(&parts.next().ok_or("a part is missing")??)?)
    };
    Ok((part()?, part()?))
}

#[tokio::test]
async fn a_token_is_got_by_an_assertion_and_replaced_by_a_rename_before_it_expires() -> Fallible {
    let (pair, google) = (Pair::new()?, server(4, 99).await?);
    let uri = format!("{}/token", google.url());
    let world = World::start_in(place(&pair.file("kid-1", &uri))?).await?;
    let (_, secret) = paths(&world.place);

    until("a first token", async || Ok(token(&secret)? == "Bearer ya29.canary-0")).await?;
    let (first, inode) = (Instant::now(), fs::metadata(&secret)?.ino());
    assert_eq!(fs::metadata(&secret)?.permissions().mode() & 0o777, 0o600);
    assert!((2..=4).contains(&world.metric(EXPIRES).await?));
    let held = fs::File::open(&secret)?;
    until("a second", async || Ok(token(&secret)? == "Bearer ya29.canary-1")).await?;

    assert!(first.elapsed() < Duration::from_secs(4), "before the first expired");
    assert!(first.elapsed() > Duration::from_secs(2), "and not all the time");
    assert_ne!(fs::metadata(&secret)?.ino(), inode, "another file");
    assert!(std::io::read_to_string(held)?.contains("canary-0"), "who reads gets one whole file");
    assert_eq!(fs::metadata(&secret)?.permissions().mode() & 0o777, 0o600);
    assert_eq!(world.metric(FAILURES).await?, 0);
    let (header, claims) = asserted(&google.asked()[0], &pair.public)?;
    assert_eq!(google.asked()[0].target, "/token");
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "kid-1" }));
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(EMAIL), &json!(uri)));
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-platform");
    let life = claims["exp"].as_u64().zip(claims["iat"].as_u64()).map(|(end, start)| end - start);
    assert_eq!(life, Some(3600));
    world.sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn while_no_token_is_given_the_last_one_stays_and_the_metrics_warn() -> Fallible {
    let (pair, google) = (Pair::new()?, server(6, 1).await?);
    let world = World::start_in(place(&pair.file("kid-1", &google.url()))?).await?;
    let (_, secret) = paths(&world.place);

    until("a failure", async || Ok(world.metric(FAILURES).await? > 0)).await?;

    assert!(world.metric(EXPIRES).await? > 0, "told while the token lives");
    until("the end", async || Ok(world.metric(EXPIRES).await? == 0)).await?;
    assert!(world.metric(FAILURES).await? > 1, "tried again");
    assert_eq!(token(&secret)?, "Bearer ya29.canary-0", "left where it is");
    let ready = ask(world.at.operators, "GET", "/readyz", &[], "").await?;
    assert_eq!(ready.status, 200, "people sign in, rows are stored");
    world.sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn without_a_token_server_envoy_has_a_file_without_a_token_and_a_live_one_is_kept() -> Fallible
{
    let pair = Pair::new()?;
    for (before, after) in [(None, ""), (Some("Bearer live"), "Bearer live")] {
        let place = place(&pair.file("kid-1", "http://127.0.0.1:1/token"))?;
        let (_, secret) = paths(&place);
        if let Some(before) = before {
            let value = json!({ "resources": [{
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
                "name": "vertex", "generic_secret": {"secret": {"inline_string": before}},
            }]});
            fs::write(&secret, value.to_string())?;
        }
        let world = World::start_in(place).await?;

        until("a failure", async || Ok(world.metric(FAILURES).await? > 0)).await?;

        assert_eq!(token(&secret)?, after);
        world.sidecar.drain().await;
    }
    Ok(())
}

#[tokio::test]
async fn another_key_is_used_at_once_and_a_broken_one_is_not() -> Fallible {
    let (old, new) = (Pair::new()?, Pair::new()?);
    let google = server(3600, 99).await?;
    let world = World::start_in(place(&old.file("kid-1", &google.url()))?).await?;
    let (credentials, secret) = paths(&world.place);
    google.until(|asked| asked.len() == 1).await?;

    put(&credentials, &new.file("kid-2", &google.url()))?;
    let asked = google.until(|asked| asked.len() == 2).await?;

    let (header, _) = asserted(&asked[1], &new.public)?;
    assert_eq!(header["kid"], "kid-2");
    until("its token", async || Ok(token(&secret)? == "Bearer ya29.canary-1")).await?;
    put(&credentials, &json!({ "type": "service_account" }))?;
    until("a failure", async || Ok(world.metric(FAILURES).await? == 1)).await?;
    assert_eq!(token(&secret)?, "Bearer ya29.canary-1");
    assert_eq!(google.asked().len(), 2, "nothing was asked with half a key");
    world.sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn a_key_file_that_is_none_is_told_with_its_member_and_never_its_key() -> Fallible {
    let pair = Pair::new()?;
    let good = pair.file("kid-1", "https://oauth2.googleapis.com/token");
    let cases = [
        ("type", json!("authorized_user"), "type must be service_account"),
        ("client_email", Value::Null, "client_email must be a text"),
        ("private_key_id", json!(""), "private_key_id must be a text"),
        ("private_key", json!("-----BEGIN canary"), "private_key is no private key in PEM"),
        ("private_key", json!(pair.pem.replace('M', "canary")), "private_key is no"),
        ("token_uri", json!("http://canary.example/"), "token_uri must be https"),
    ];
    for (member, value, why) in cases {
        let mut file = good.clone();
        file[member] = value;

        let refused = World::start_in(place(&file)?).await.err().ok_or(why)?.to_string();

        assert!(refused.contains("account.json: ") && refused.contains(why), "{refused}");
        assert!(!refused.contains("canary") && !refused.contains("PRIVATE"), "{refused}");
    }
    let mut missing = good.clone();
    missing.as_object_mut().ok_or("an object")?.remove("private_key");
    let refused = World::start_in(place(&missing)?).await.err().ok_or("refused")?.to_string();
    assert!(refused.contains("account.json: private_key is missing"), "{refused}");
    let open = place(&good)?;
    fs::set_permissions(paths(&open).0, fs::Permissions::from_mode(0o644))?;
    let refused = World::start_in(open).await.err().ok_or("refused")?.to_string();
    assert!(refused.contains("chmod 600"), "{refused}");
    let text = place(&good)?;
    fs::write(paths(&text).0, "{\"private_key\": canary}")?;
    let refused = World::start_in(text).await.err().ok_or("refused")?.to_string();
    assert!(refused.contains("is no JSON: line 1, column") && !refused.contains("canary"));
    Ok(())
}

#[tokio::test]
async fn pairs_that_are_none_are_told() -> Fallible {
    let good = Pair::new()?.file("kid-1", "https://oauth2.googleapis.com/token");
    let mut more = place(&good)?;
    more.google.credentials.push("b.json".into());
    let mut twice = place(&good)?;
    twice.google.credentials.push(paths(&twice).0);
    twice.google.secrets.push(paths(&twice).1);
    let mut named = place(&good)?;
    named.google.secrets = vec![named.directory.path().join("ver tex.yaml")];
    let mut away = place(&good)?;
    away.google.secrets = vec![away.directory.path().join("nowhere/vertex.yaml")];
    for (place, why) in [
        (more, "2 times and --google-secret 1 times"),
        (twice, "was given twice"),
        (named, "the file's name is the secret's"),
        (away, "cannot write"),
    ] {
        let refused = World::start_in(place).await.err().ok_or(why)?.to_string();
        assert!(refused.contains(why), "{refused}");
    }
    Ok(())
}

#[tokio::test]
async fn the_log_tells_of_tokens_and_holds_none() -> Fallible {
    let (pair, google) = (Pair::new()?, server(3, 1).await?);
    let place = place(&pair.file("kid-1", &google.url()))?;
    let (credentials, secret) = paths(&place);
    let log = place.directory.path().join("log");
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(SERVE)
        .arg("--google-credentials")
        .arg(&credentials)
        .arg("--google-secret")
        .arg(&secret)
        .arg("--spool")
        .arg(place.spool())
        .env_clear()
        .env("TOLLGATE_DATA", place.data.root())
        .env("RUST_LOG", "trace")
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log)?)
        .spawn()?;
    let read = || -> Fallible<String> { Ok(text(&fs::read(&log)?)) };
    let told = until("both are told", async || {
        let log = read()?;
        Ok(log.contains("was refreshed") && log.contains("there is none that lives"))
    })
    .await;
    child.kill()?;
    child.wait()?;
    told?;

    let log = read()?;
    assert!(log.contains("400 Bad Request: invalid_grant: Invalid JWT Signature."), "{log}");
    let body = pair.pem.lines().nth(1).ok_or("a line of the key")?;
    for asked in google.asked() {
        let form: BTreeMap<_, _> =
            form_urlencoded::parse(asked.body.as_bytes()).into_owned().collect();
        assert!(!log.contains(&form["assertion"]));
    }
    assert!(!log.contains("canary") && !log.contains(body) && !log.contains("PRIVATE KEY"));
    Ok(())
}
