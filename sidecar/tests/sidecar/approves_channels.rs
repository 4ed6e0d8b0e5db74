//! What channels are told, in Slack's and Teams' own shapes, and what becomes of a message that is not taken.

use crate::approves::{SECRET, asked, desk, secret, wish, with_webhooks};
use crate::provider::Fake;
use crate::receiver::{Act, Asked, Receiver, ok, status};
use crate::starts::tollgate;
use crate::world::{Fallible, World};
use serde_json::{Value, json};
use std::fs;
use tollgate::approvals::post::signature;
use tollgate::operators::operator::Operator;
use tollgate::siem::secret::Secret;

const TEAMS: &str = include_str!("goldens/approval_teams.json");
const SLACK: &str = include_str!("goldens/approval_slack.json");
const SLACK_DECIDED: &str = include_str!("goldens/approval_slack_decided.json");

/// A message with what differs from run to run taken out.
fn settled(asked: &Asked, id: &str) -> Fallible<Value> {
    let owner = Operator::owner();
    let decided = format!("Decided by\\n{}", owner.name());
    let mut text = asked.body.replace(id, "ID").replace(&decided, "Decided by\\nOWNER");
    // 2026-11-22 06:00:00 or so.
    while let Some(at) = text.find("UTC").or_else(|| text.find("Z\"")) {
        let from = text.get(..at).and_then(|before| before.rfind("20")).ok_or("no year")?;
        let end = if text.get(at..).is_some_and(|rest| rest.starts_with("UTC")) { 3 } else { 1 };
        text.replace_range(from..at + end, "TIME");
    }
    Ok(serde_json::from_str(&text)?)
}

async fn told(shape: &str, decided: bool) -> Fallible<(Value, String)> {
    let provider = Fake::start().await?;
    let channel = Receiver::start(|_| ok()).await?;
    let desk = desk(&provider, 1, 600)?;
    let url = secret(&desk, "url", &format!("{}/services/T0/hunter2", channel.url()))?;
    let webhook =
        format!("- {{name: ops, shape: {shape}, url_file: {url}, for: {{servers: [tick*]}}}}\n");
    let world = World::start_in(with_webhooks(desk, &webhook)?).await?;
    let (token, _) = world.agent().await?;
    let mut wish = wish();
    let reason = json!("<!channel> [look](https://evil.example) \u{202e}now");
    wish.as_object_mut().ok_or("no object")?.insert("reason".into(), reason);
    world.tool(&token, "request_approval", &wish).await?;
    let id = asked(&world).await?;
    let mut count = 1;
    channel.until(|asked| asked.len() == count).await?;
    if decided {
        let done = tollgate(&world.place, &["approval", "approve", &id, "--note", "*fine*"])?;
        assert!(done.status.success());
        count = 2;
    }
    let all = channel.until(|asked| asked.len() == count).await?;
    let last = all.last().ok_or("nothing")?;
    assert_eq!(last.target, "/services/T0/hunter2");
    Ok((settled(last, &id)?, id))
}

fn is_golden(name: &str, told: &Value, golden: &str) -> Fallible {
    if std::env::var_os("TOLLGATE_GOLDENS").is_some() {
        let path = format!("{}/tests/sidecar/goldens/{name}.json", env!("CARGO_MANIFEST_DIR"));
        fs::write(path, serde_json::to_string_pretty(told)? + "\n")?;
        return Ok(());
    }
    assert_eq!(*told, serde_json::from_str::<Value>(golden)?, "{name}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_is_told_in_blocks_in_which_the_agent_s_words_are_plain_text() -> Fallible {
    let (told, _) = told("slack", false).await?;

    is_golden("approval_slack", &told, SLACK)
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_is_told_who_decided() -> Fallible {
    let (told, _) = told("slack", true).await?;

    is_golden("approval_slack_decided", &told, SLACK_DECIDED)
}

#[tokio::test(flavor = "multi_thread")]
async fn teams_is_told_by_a_card_in_which_the_agent_s_words_are_plain_text() -> Fallible {
    let (told, _) = told("teams", false).await?;

    is_golden("approval_teams", &told, TEAMS)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_tried_again_signed_anew_and_what_failed_is_seen() -> Fallible {
    let provider = Fake::start().await?;
    let mut tries = 0;
    let channel = Receiver::start(move |_| -> Act {
        tries += 1;
        if tries == 1 { status(500) } else { ok() }
    })
    .await?;
    let desk = desk(&provider, 1, 600)?;
    let key = secret(&desk, "key", SECRET)?;
    let gone = secret(&desk, "gone", "http://127.0.0.1:9/services/hunter2")?;
    let webhooks = format!(
        "- {{name: bus, shape: json, url: '{}/in', secret_file: {key}}}\n\
         - {{name: gone, shape: slack, url_file: {gone}}}\n\
         - {{name: mail, shape: json, url: '{}/mail', for: {{servers: [mail]}}}}\n",
        channel.url(),
        channel.url()
    );
    let world = World::start_in(with_webhooks(desk, &webhooks)?).await?;
    let (token, _) = world.agent().await?;
    world.tool(&token, "request_approval", &wish()).await?;
    let id = asked(&world).await?;

    let all = channel.until(|asked| asked.len() == 2).await?;

    let secret = Secret::read(key.as_ref())?;
    for asked in &all {
        assert_eq!(asked.target, "/in", "mail is for other requests");
        let told = asked.header("x-tollgate-signature").to_owned();
        let at = told.split(['=', ',']).nth(1).ok_or("no time")?.parse()?;
        assert_eq!(told, signature(&secret, asked.body.as_bytes(), at));
    }
    for _ in 0..100 {
        let out = tollgate(&world.place, &["approval", "show", &id, "--json"])?;
        let text = String::from_utf8(out.stdout)?;
        let shown: Value = serde_json::from_str(&text)?;
        let told = shown["told"].as_array().ok_or("no channels")?;
        if told.len() == 2 && told[0]["told_at"].is_string() && told[1]["problem"].is_string() {
            assert_eq!((&told[0]["webhook"], &told[0]["attempts"]), (&json!("bus"), &json!(2)));
            assert!(!text.contains("hunter2"), "{text}");
            assert!(
                world.metric("tollgate_approval_messages_total{result=\"failed\"}").await? >= 2
            );
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err("what failed is not shown".into())
}

#[tokio::test]
async fn webhooks_without_a_page_to_lead_to_keep_the_sidecar_from_starting() -> Fallible {
    let place = crate::world::Place::new()?;
    let place = with_webhooks(place, "- {name: bus, shape: json, url: 'http://127.0.0.1:9/'}\n")?;
    let Err(error) = tollgate::run::Sidecar::start(place.settings()).await else {
        return Err("it started".into());
    };
    assert!(format!("{error:#}").contains("public_url"), "{error:#}");
    Ok(())
}
