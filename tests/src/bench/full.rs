//! What a full policy costs: 200 rules, every pattern of the list, 200 blocked words, and 10,000
//! people who are stopped.

use super::bodies::Size;
use super::report::Report;
use super::{Pair, latency};
use crate::bench::side::Side;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use std::fs;
use std::time::Duration;

/// Entries of the standing.
const STOPPED: u32 = 10_000;

/// A published policy is in force within two seconds.
const IN_FORCE: Duration = Duration::from_secs(3);

/// Puts everything in force, and measures again what the gate adds.
pub(super) async fn full(
    pair: &mut Pair,
    sizes: &[Size],
    rounds: usize,
    report: &mut Report,
) -> Result<()> {
    stop(&pair.gate).await?;
    publish(&pair.gate, &policy())?;
    tokio::time::sleep(IN_FORCE).await;
    for size in sizes {
        tokio::task::block_in_place(|| latency(pair, *size, rounds, "full.", report))?;
    }
    report.note(format!(
        "full: {} rules, every pattern, 200 words, {STOPPED} people stopped",
        RULES.iter().map(|(_, count)| count).sum::<usize>()
    ));

    Ok(())
}

/// How many rules of each section, without those that allow what is asked.
const RULES: [(&str, usize); 5] =
    [("rules", 60), ("tools", 80), ("servers", 20), ("secrets", 20), ("blocklists", 20)];

/// A policy of that size. It allows what the bench asks for, by its last rule.
fn policy() -> Value {
    let mut policy = json!({"schema": "tollgate.policy/v1", "name": "full"});
    for (section, count) in RULES {
        policy[section] = (0..count).map(|nth| rule(section, nth)).collect();
    }
    policy["rules"][59] = json!({"id": "everyone", "models": ["claude-*"]});
    policy["secrets"][19] = json!({"id": "no-keys", "patterns": ["*"], "action": "deny"});

    policy
}

/// Every other rule is for everyone, and must be asked about each tool.
fn rule(section: &str, nth: usize) -> Value {
    let id = format!("{section}-{nth}");
    let group = format!("group-{nth}");
    let who = if nth.is_multiple_of(2) {
        json!({"sources": ["cowork"]})
    } else {
        json!({"groups": [group]})
    };
    match section {
        "rules" => {
            json!({"id": id, "who": who, "models": [format!("model-{nth}-*"), "claude-opus-*"]})
        }
        "tools" => json!({"id": id, "who": who, "tools": {
            format!("mcp__server_{nth}__*"): "ask", format!("*delete_{nth}*"): "blocked",
            format!("Tool{nth}"): "blocked"}}),
        "servers" => {
            json!({"id": id, "who": who, "url": format!("https://s{nth}.example.com/mcp")})
        }
        "secrets" => {
            json!({"id": id, "who": who, "patterns": ["anthropic_*", "aws_*", "github_*"], "action": "flag"})
        }
        _ => {
            let word =
                |k: usize| format!("Project {}{}", NAMES[(nth + k) % NAMES.len()], nth * 10 + k);
            json!({"id": id, "who": who, "words": (0..10).map(word).collect::<Vec<_>>(), "action": "deny"})
        }
    }
}

const NAMES: [&str; 12] = [
    "Bluebird", "Condor", "Dolphin", "Falcon", "Gazelle", "Heron", "Ibis", "Jaguar", "Kestrel",
    "Lynx", "Merlin", "Osprey",
];

/// Stops people who do not call.
async fn stop(side: &Side) -> Result<()> {
    let options = SqliteConnectOptions::new().filename(side.world.place.join("data/tollgate.db"));
    let pool = SqlitePool::connect_with(options.busy_timeout(Duration::from_secs(10))).await?;
    let mut write = pool.begin().await?;
    for nth in 0..STOPPED {
        sqlx::query(
            "INSERT INTO standing (kind, id, effect, told, told_until, set_at, set_by, why)
             VALUES ('user', $1, 'revoked', TRUE, 99999999999, 0, 'bench', 'bench')",
        )
        .bind(format!("person-{nth}@example.com"))
        .execute(&mut *write)
        .await?;
    }
    sqlx::query("UPDATE standing_version SET version = version + 1").execute(&mut *write).await?;
    write.commit().await?;
    pool.close().await;

    Ok(())
}

fn publish(side: &Side, policy: &Value) -> Result<()> {
    let world = &side.world;
    let (plain, signed) = (world.place.join("full.json"), world.place.join("full.signed.json"));
    fs::write(&plain, policy.to_string())?;
    let (plain, signed) = (plain.display().to_string(), signed.display().to_string());
    world.tollgate(&["policy", "sign", &plain, "--out", &signed])?;
    let told = world.tollgate(&["policy", "publish", &signed])?;
    ensure!(!told.is_empty(), "publishing said nothing");

    Ok(())
}
