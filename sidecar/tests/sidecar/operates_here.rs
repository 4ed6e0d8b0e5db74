//! Operators on the host: the socket, the command line that uses it, and the keys.

use crate::operates::office;
use crate::world::{Fallible, Place, World};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jwt_simple::algorithms::{Ed25519PublicKey, EdDSAPublicKeyLike};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tollgate::args::Args;
use tollgate::commands;
use tollgate::operators::operator::Operator;
use tollgate::operators::table::TABLE;
use tollgate::screen::Screen;
use tollgate::settings::TokenSigner;

/// A user of every system who is neither root nor the tests'.
const DAEMON: u32 = 1;

/// The binary, where everybody may run it.
fn binary(at: &Path) -> Fallible<PathBuf> {
    let copy = at.join("tollgate");
    fs::copy(env!("CARGO_BIN_EXE_tollgate"), &copy)?;
    fs::set_permissions(&copy, Permissions::from_mode(0o755))?;
    fs::set_permissions(at, Permissions::from_mode(0o755))?;
    Ok(copy)
}

async fn run(mut command: Command) -> Fallible<Output> {
    command.env_clear();
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_at_the_socket_does_everything_but_what_is_for_the_host() -> Fallible {
    let world = office().await?;
    let socket = world.place.data.operator_socket();
    assert_eq!(fs::metadata(&socket)?.permissions().mode() & 0o777, 0o666);
    let bin = env!("CARGO_BIN_EXE_tollgate");
    let asked = |line: &str| {
        let mut command = Command::new(bin);
        command.arg("--socket").arg(&socket).args(line.split(' '));
        run(command)
    };

    let listed = asked("user list --json").await?;
    assert_eq!(listed.status.code(), Some(0), "{}", text(&listed.stderr));
    assert!(text(&listed.stdout).contains("otto@example.com"), "every tenant");
    assert_eq!(asked("keys rotate").await?.status.code(), Some(0));
    assert_eq!(asked("keys init").await?.status.code(), Some(6));
    assert_eq!(asked("audit tail --follow").await?.status.code(), Some(1));
    assert_eq!(asked("user disable nobody@example.com").await?.status.code(), Some(3));
    assert_eq!(asked("no such command").await?.status.code(), Some(2));
    world.sidecar.drain().await;
    assert!(!socket.exists(), "it goes with the sidecar");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_says_who_is_at_the_socket_and_the_file_what_they_may() -> Fallible {
    if !rustix_is_root() {
        return Ok(()); // only root can be somebody else
    }
    for (file, users, alone) in [
        ("operators: [{user: daemon, roles: [platform], tenants: [acme]}]", 0, 0),
        ("operators: []", 6, 6),
    ] {
        let mut place = Place::new()?;
        let identity = place.directory.path().join("identity.yaml");
        fs::write(&identity, format!("schema: tollgate.identity/v1\n{file}\n"))?;
        place.identity = Some(identity);
        place.socket = Some(place.directory.path().join("op.sock"));
        let bin = binary(place.directory.path())?;
        let world = World::start_in(place).await?;
        let asked = |words: &[&str]| {
            let mut command = Command::new(&bin);
            command.current_dir("/").uid(DAEMON).gid(DAEMON);
            command.arg("--socket").arg(world.place.directory.path().join("op.sock")).args(words);
            run(command)
        };

        let listed = asked(&["user", "list"]).await?;
        assert_eq!(listed.status.code(), Some(users), "{file}: {}", text(&listed.stderr));
        let pause =
            ["access", "pause", "user", "ann@example.com", "--for", "1h", "--why", "two words"];
        assert_eq!(asked(&pause).await?.status.code(), Some(alone), "{file}");
        let enable = asked(&["user", "enable", "ann@example.com"]).await?;
        assert_eq!(enable.status.code(), Some(6), "{file}");
        let rows = world.store.measures(tollgate::clock::now()).await?;
        let by: Vec<&str> = rows.iter().map(|measure| &*measure.set_by).collect();
        assert_eq!(by, if alone == 0 { vec!["daemon"] } else { vec![] });

        // Without --socket: the data directory is closed to them, and the socket in it with it.
        let mut command = Command::new(&bin);
        command.current_dir("/").uid(DAEMON).gid(DAEMON);
        command.arg("--data").arg(world.place.data.root()).args(["user", "list"]);
        let closed = run(command).await?;
        assert!(text(&closed.stderr).contains("is closed to you"), "{}", text(&closed.stderr));
    }
    Ok(())
}

fn rustix_is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_prints_a_private_key() -> Fallible {
    let world = office().await?;
    let data = &world.place.data;
    let mut secrets = Vec::new();
    let folders = [data.signing(), data.keys(), data.audit_keys()];
    for path in folders.iter().flat_map(fs::read_dir).flatten().flatten().map(|one| one.path()) {
        if path.extension().is_some_and(|kind| kind == "key") {
            let pem = fs::read_to_string(&path)?;
            let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
            let der = BASE64_STANDARD.decode(&body)?;
            // RFC 8410 §7: the seed is the last of the first 48 bytes.
            let seed = der.get(16..48).ok_or("no key")?;
            secrets.push(body);
            secrets.push(BASE64_STANDARD.encode(seed));
            secrets.push(contract::envelope::hex(seed));
        }
    }
    assert!(secrets.len() >= 9, "signing, policy and audit");
    let file = world.place.directory.path().join("p.yaml");
    fs::write(
        &file,
        "schema: tollgate.policy/v1\nname: x\nrules:\n  - {id: all, models: ['*']}\n",
    )?;
    let file = file.display().to_string();
    let mut ran = 0;
    for line in TABLE.iter().filter(|line| !matches!(line.act, "serve" | "access drill")) {
        for more in
            ["", "--json", &file, "ann@example.com", "--model m", "x --tenant y", "--from 1h"]
        {
            let words = format!("tollgate {} {more}", line.act);
            let words = words.split(' ').filter(|word| !word.is_empty());
            let Ok(args) = <Args as clap::Parser>::try_parse_from(words) else { continue };
            let (mut screen, out, aside) = Screen::buffered(args.json, Vec::new());
            let ended = commands::run(&args.command, &Operator::owner(), data, &mut screen).await;
            let told = ended.err().map(|failure| failure.to_string()).unwrap_or_default();
            let printed = out.text() + &aside.text() + &told;
            assert!(!printed.contains("PRIVATE KEY"), "{}", line.act);
            assert!(secrets.iter().all(|secret| !printed.contains(secret)), "{}", line.act);
            ran += 1;
        }
    }
    assert!(ran > 30, "{ran} commands ran");
    Ok(())
}

#[tokio::test]
async fn a_rotated_key_is_published_with_the_older_one_and_signs_a_little_later() -> Fallible {
    let world = World::start().await?;
    let (pat, _) = world.pat(600).await?;
    let kid = async || -> Fallible<String> {
        let token = world.sign_in(&pat).await?.json()?;
        let token = token["token"].as_str().ok_or("no token")?.to_owned();
        let head = jwt_simple::token::Token::decode_metadata(&token)?;
        Ok(head.key_id().ok_or("no kid")?.to_owned())
    };
    let before = kid().await?;
    let begun = Instant::now();
    tollgate::keys::add(&world.place.data)?;

    let mut published = None;
    while begun.elapsed() < Duration::from_secs(20) {
        let keys = world.gate("/gate/keys").await?.json()?;
        let both = keys["keys"].as_array().is_some_and(|keys| keys.len() == 2);
        if both && published.is_none() {
            published = Some(begun.elapsed());
            assert_eq!(kid().await?, before, "published first");
        }
        if kid().await? != before {
            assert!(published.is_some_and(|at| at < Duration::from_secs(2)), "{published:?}");
            assert!(both, "the older one verifies what it has signed");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("the new key never signed".into())
}

#[tokio::test]
async fn a_command_that_has_the_key_signs_tokens() -> Fallible {
    let mut place = Place::new()?;
    let at = place.directory.path().to_owned();
    let shell = |line: &str| {
        Command::new("sh").args(["-c", line]).current_dir(&at).status().is_ok_and(|it| it.success())
    };
    if !shell("openssl genpkey -algorithm ed25519 -out k.pem") {
        return Ok(()); // nothing on this machine signs; Debian's openssl does
    }
    assert!(shell("openssl pkey -in k.pem -pubout -outform DER -out p.der"));
    // RFC 8410 §4: 12 bytes say that it is Ed25519, 32 are the key.
    let der = fs::read(at.join("p.der"))?;
    let public_key = BASE64_STANDARD.encode(der.get(12..).ok_or("no key")?);
    let pin = at.join("hsm.pub");
    fs::write(&pin, serde_json::json!({ "key_id": "hsm", "public_key": public_key }).to_string())?;
    let command = format!(
        "f=$(mktemp {0}/in.XXXXXX); cat >$f; openssl pkeyutl -sign -rawin -inkey {0}/k.pem -in $f",
        at.display()
    );
    place.token_signer = Some(TokenSigner { command, keys: vec![pin] });
    let world = World::start_in(place).await?;
    let (pat, _) = world.pat(600).await?;

    let answer = world.sign_in(&pat).await?;

    assert_eq!(answer.status, 200, "{}", answer.body);
    let token = answer.json()?["token"].as_str().ok_or("no token")?.to_owned();
    let keys: Value = world.gate("/gate/keys").await?.json()?;
    let keys = keys["keys"].as_array().ok_or("no keys")?.clone();
    assert_eq!(keys.len(), 2, "the data directory's verifies too");
    let key = Ed25519PublicKey::from_jwk(&keys[1].to_string())?;
    let claims = key.verify_token::<contract::claims::Claims>(&token, None)?;
    assert_eq!(claims.custom.tenant_id, "acme");
    let head = jwt_simple::token::Token::decode_metadata(&token)?;
    assert_eq!(head.key_id(), keys[1]["kid"].as_str());
    Ok(())
}
