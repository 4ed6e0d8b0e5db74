//! `tollgate policy`: what its authors meet, and the starting set.

use crate::starts::tollgate;
use crate::world::{Fallible, Place, World, ask};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};
use tollgate::policy::compile;
use tollgate::run::Sidecar;
use tollgate::settings::Postgres;

const STARTING_SET: [&str; 3] = ["small-team", "regulated-bank", "agency"];

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies").join(format!("{name}.yaml"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(output: &Output) -> Fallible<Vec<Value>> {
    let all = text(&output.stdout).lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok(all)
}

fn run(place: &Place, arguments: &[&str]) -> Fallible<String> {
    let output = tollgate(place, arguments)?;
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    Ok(text(&output.stdout).trim().to_owned())
}

fn written(place: &Place, name: &str, policy: &str) -> Fallible<String> {
    let file = place.directory.path().join(name);
    fs::write(&file, policy)?;
    Ok(file.display().to_string())
}

fn named(name: &str) -> String {
    format!("schema: tollgate.policy/v1\nname: {name}\nrules:\n  - {{ id: all, models: ['*'] }}\n")
}

/// Signed by this installation's own key; gives the signed file and the version.
fn signed(place: &Place, name: &str) -> Fallible<(String, String)> {
    let plain = written(place, &format!("{name}.yaml"), &named(name))?;
    let out = plain.replace(".yaml", ".signed.json");
    let version = run(place, &["policy", "sign", &plain, "--out", &out])?;
    Ok((out, version))
}

#[test]
fn the_starting_set_has_no_fault_no_warning_and_a_case_for_every_rule() -> Fallible {
    let place = Place::new()?;
    for name in STARTING_SET {
        let file = shipped(name).display().to_string();
        let checked = tollgate(&place, &["policy", "check", &file, "--json"])?;
        let report = lines(&checked)?.remove(0);
        let none = Value::Array(Vec::new());
        assert_eq!((&report["faults"], &report["warnings"]), (&none, &none), "{name}");

        let tested = tollgate(&place, &["policy", "test", &file, "--json"])?;
        assert!(tested.status.success(), "{name}: {}", text(&tested.stdout));
        let sum = lines(&tested)?.pop().unwrap();
        assert!(sum["cases"].as_u64() >= Some(12), "{name}: {sum}");
        assert_eq!(sum["rules_without_a_case"], Value::Array(vec![]), "{name}");
    }
    Ok(())
}

#[test]
fn the_bank_stores_every_call_before_it_leaves() {
    let bank = compile::file(&shipped("regulated-bank")).unwrap().document;

    let allowing = bank.rules.iter().filter(|rule| rule.effect == contract::policy::Effect::Allow);
    for rule in allowing {
        assert_eq!(rule.audit, Some(contract::policy::Audit::Before), "{}", rule.id);
    }
}

#[test]
fn check_tells_every_fault_with_file_line_and_column() -> Fallible {
    let place = Place::new()?;
    let bad = named("n").replace("models", "model") + "extra: 1\n";
    let bad = written(&place, "bad.yaml", &bad)?;
    let good = written(&place, "good.yaml", &named("n"))?;

    let checked = tollgate(&place, &["policy", "check", &bad, &good])?;
    let told = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(1));
    assert!(told.contains(&format!("{bad}:4:5: rules[0].models: is missing")), "{told}");
    assert!(
        told.contains(&format!(
            "{bad}:4:16: rules[0].model: is no member here: did you mean models?"
        )),
        "{told}"
    );
    assert!(told.contains(&format!("{bad}:5:1: extra: is no member here")), "{told}");
    assert!(text(&checked.stdout).contains(&good), "the good one is told too");

    let checked = tollgate(&place, &["policy", "check", &bad, "--json"])?;
    let report = lines(&checked)?.remove(0);
    assert_eq!(
        (report["version"].clone(), report["faults"].as_array().map(Vec::len)),
        (Value::Null, Some(3))
    );
    assert_eq!(
        (&report["faults"][1]["line"], &report["faults"][1]["column"]),
        (&4.into(), &16.into())
    );

    let signed = tollgate(&place, &["policy", "sign", &bad])?;
    assert_eq!((signed.status.code(), signed.stdout.len()), (Some(1), 0), "nothing is signed");
    Ok(())
}

#[test]
fn a_case_that_fails_says_what_was_expected_and_what_came() -> Fallible {
    let place = Place::new()?;
    let policy = written(&place, "p.yaml", &named("n"))?;
    let cases = "schema: tollgate.policy-cases/v1\ncases:
  - { name: right, asks: { model: m }, expects: { verdict: allowed, rule: all } }
  - { name: wrong, asks: { model: m }, expects: { verdict: denied, rule: none, audit: before } }\n";
    written(&place, "p.test.yaml", cases)?;

    let tested = tollgate(&place, &["policy", "test", &policy])?;

    let told = text(&tested.stdout);
    assert_eq!(tested.status.code(), Some(1), "{told}");
    assert!(told.starts_with("ok      right\nFAILED  wrong"), "{told}");
    for words in [
        "p.test.yaml:4:5",
        "verdict: expected denied, got allowed",
        "rule: expected none, got all",
        "audit: expected before, got after",
    ] {
        assert!(told.contains(words), "{told}");
    }

    let odd = written(
        &place,
        "odd.yaml",
        &cases.replace("asks: { model: m }", "asks: { modle: m }, who: nobody"),
    )?;
    let tested = tollgate(&place, &["policy", "test", &policy, "--cases", &odd])?;
    let told = text(&tested.stderr);
    assert_eq!(tested.status.code(), Some(1));
    assert!(
        told.contains("odd.yaml:3:28: cases[0].asks.modle: is no member here: did you mean model?"),
        "{told}"
    );
    assert!(told.contains("nobody of `people` is \"nobody\""), "{told}");
    Ok(())
}

#[test]
fn explain_knows_whoever_the_store_knows() -> Fallible {
    let place = Place::new()?;
    let policy = "schema: tollgate.policy/v1\nname: n\nrules:
  - { id: staff, who: { groups: [staff] }, models: ['*'], audit: before }\n";
    let policy = written(&place, "p.yaml", policy)?;
    run(&place, &["user", "add", "ann@example.com", "--tenant", "acme", "--group", "staff"])?;
    let explain = |user: &str| -> Fallible<Value> {
        let arguments = ["policy", "explain", &policy, "--user", user, "--model", "m", "--json"];
        Ok(serde_json::from_str(&run(&place, &arguments)?)?)
    };

    let (ann, bob) = (explain("Ann@Example.com")?, explain("bob@example.com")?);

    assert_eq!(
        (&ann["verdict"], &ann["rule"], &ann["audit"]),
        (&"allowed".into(), &"staff".into(), &"before".into())
    );
    assert_eq!((&bob["verdict"], &bob["why"]), (&"denied".into(), &"model_not_allowed".into()));
    assert_eq!(bob["rules"][0]["words"], "who.groups does not fit");
    let in_force = run(&place, &["policy", "explain", "--model", "m"])?;
    assert!(in_force.starts_with("allowed by all\n"), "the policy in force: {in_force}");
    Ok(())
}

#[test]
fn a_policy_is_published_looked_up_compared_and_rolled_back() -> Fallible {
    let place = Place::new()?;
    let ((one, first), (two, second)) = (signed(&place, "one")?, signed(&place, "two")?);

    assert_eq!(run(&place, &["policy", "publish", &one])?, first);
    assert_eq!(
        run(&place, &["policy", "publish", &two, "--ticket", "SEC-1", "--why", "stricter"])?,
        second
    );
    assert_eq!(run(&place, &["policy", "publish", &two])?, second, "once more is nothing new");

    let history = lines(&tollgate(&place, &["policy", "history", "--json"])?)?;
    let member =
        |name: &str| -> Vec<Value> { history.iter().map(|one| one[name].clone()).collect() };
    assert_eq!(member("version"), [second.as_str(), &first]);
    assert_eq!(member("in_force"), [true, false]);
    assert_eq!(
        (&history[0]["ticket"], &history[0]["changes"]),
        (&"SEC-1".into(), &"+0 -0 ~1".into())
    );

    let differ = tollgate(&place, &["policy", "diff", &first, &second])?;
    assert_eq!(differ.status.code(), Some(1));
    assert_eq!(text(&differ.stdout), "~ name \"one\" -> \"two\"\n");
    assert_eq!(
        tollgate(&place, &["policy", "diff", &two])?.status.code(),
        Some(0),
        "it is in force"
    );
    assert_eq!(
        tollgate(&place, &["policy", "rollback", "0000000000000000"])?.status.code(),
        Some(3)
    );

    assert_eq!(run(&place, &["policy", "rollback", "--previous", "--why", "too strict"])?, first);
    assert!(run(&place, &["policy", "show"])?.contains("name     one"));
    let rows = run(&place, &["audit", "query", "--where", "kind=admin", "--json"])?;
    for words in [
        format!("policy publish {first} -> {second} (two, policy-"),
        " ticket SEC-1: stricter".into(),
        format!("policy rollback {second} -> {first} (one, policy-"),
    ] {
        assert!(rows.contains(&words), "{words}: {rows}");
    }
    Ok(())
}

#[test]
fn a_signer_elsewhere_signs_what_is_published_and_a_second_signature_is_added() -> Fallible {
    let (place, other) = (Place::new()?, Place::new()?);
    let plain = written(&place, "p.yaml", &named("p"))?;
    let at = |file: &str| place.directory.path().join(file).display().to_string();
    // The test's own signer: tollgate itself signs the same policy, and its signature is printed.
    let signer = format!(
        "cat >'{0}' && test \"$(head -c 7 '{0}')\" = 'DSSEv1 ' && '{1}' --data '{2}' policy sign '{plain}' | sed -n 's/.*\"sig\": \"\\(.*\\)\".*/\\1/p'",
        at("bytes"),
        env!("CARGO_BIN_EXE_tollgate"),
        place.data.root().display()
    );
    let out = at("signed.json");

    let version = run(&place, &["policy", "sign", &plain, "--signer", &signer, "--out", &out])?;
    assert_eq!(run(&place, &["policy", "publish", &out])?, version);

    let wrong = at("wrong.json");
    let foreign = other.data.policy_pin().display().to_string();
    let arguments =
        ["policy", "sign", &plain, "--signer", &signer, "--public-key", &foreign, "--out", &wrong];
    let refused = tollgate(&place, &arguments)?;
    assert!(text(&refused.stderr).contains("does not verify"), "{}", text(&refused.stderr));
    assert!(!Path::new(&wrong).exists(), "nothing is written");

    // The other installation pins another key: it takes the policy once its own signature is there.
    assert_eq!(tollgate(&other, &["policy", "publish", &out])?.status.code(), Some(1));
    let (both, key) = (at("both.json"), other.data.policy_key().display().to_string());
    run(&place, &["policy", "sign", &out, "--add", "--key", &key, "--out", &both])?;
    for installation in [&place, &other] {
        assert_eq!(
            run(installation, &["policy", "publish", &both])?,
            version,
            "one of two is enough"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // commands run beside the sidecar
async fn a_running_sidecar_follows_and_hears_of_a_bad_file() -> Fallible {
    let world = World::start().await?;
    let (next, version) = signed(&world.place, "next")?;
    let before = world.gate("/gate/policy").await?.header("etag").to_owned();
    run(&world.place, &["policy", "publish", &next])?;
    let published = Instant::now();
    while world.gate("/gate/policy").await?.header("etag") == before {
        assert!(published.elapsed() < Duration::from_secs(10), "not followed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let good = world.gate("/gate/policy").await?.body;

    fs::write(world.place.data.policy(), named("unsigned"))?;
    let put = Instant::now();
    while world.metric("tollgate_policy_refused_total").await? == 0 {
        assert!(put.elapsed() < Duration::from_secs(10), "not heard of");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It is counted first, and then written down.
    let mut denied = String::new();
    while !denied.contains("policy_refused") {
        assert!(put.elapsed() < Duration::from_secs(20), "not written down");
        tokio::time::sleep(Duration::from_millis(50)).await; // the sidecar runs in this thread
        denied = run(&world.place, &["audit", "query", "--outcome", "denied", "--json"])?;
    }

    assert_eq!(world.gate("/gate/policy").await?.body, good);
    assert!(denied.contains("policy.dsse.json"), "{denied}");
    assert!(run(&world.place, &["policy", "show", "--json"])?.contains(&version));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // commands run beside the sidecar
async fn all_sidecars_of_a_database_serve_what_was_published_at_one_of_them() -> Fallible {
    let (mut one, mut other) = (Place::new()?, Place::new()?);
    let url = cluster::shared()?.database()?;
    let postgres = Some(Postgres { url, read_url: None });
    one.data = one.data.with_postgres(postgres.clone());
    other.data = other.data.with_postgres(postgres);
    fs::copy(one.data.policy_pin(), other.data.policy_pin())?;
    fs::remove_file(other.data.policy())?;
    let (first, _) = signed(&one, "first")?;
    run(&one, &["policy", "publish", &first])?;
    // The second host has no policy of its own: it takes what the database has.
    let (here, there) =
        (Sidecar::start(one.settings()).await?, Sidecar::start(other.settings()).await?);
    let served = async |sidecar: &Sidecar| -> Fallible<String> {
        Ok(ask(sidecar.addresses().gate, "GET", "/gate/policy", &[], "").await?.body)
    };
    let before = served(&here).await?;
    assert_eq!(served(&there).await?, before);

    let (next, version) = signed(&one, "next")?;
    run(&one, &["policy", "publish", &next])?;

    let published = Instant::now();
    while served(&here).await? == before || served(&there).await? == before {
        assert!(published.elapsed() < Duration::from_secs(2), "not followed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(served(&here).await?, served(&there).await?);
    assert_eq!(run(&other, &["policy", "diff", &version, &next])?, "", "and the history is one");
    here.drain().await;
    there.drain().await;
    Ok(())
}
