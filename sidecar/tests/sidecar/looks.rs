//! Looking at the table: the commands of the SOC, the SQL that the handbook prints, and readers who
//! see their tenant and nothing else.

use crate::starts::tollgate;
use crate::world::{Fallible, Place};
use contract::audit::{Event, Outcome, ToolUse};
use serde_json::Value;
use tollgate::clock;
use tollgate::settings::Postgres;
use tollgate::store::Store;

fn on_postgres() -> Fallible<Place> {
    let mut place = Place::new()?;
    let url = cluster::shared()?.database()?;
    place.data = place.data.with_postgres(Some(Postgres { url, read_url: None }));
    Ok(place)
}

/// A conversation of Jane's with a tool in it, and a refused call of Bob's of another tenant.
fn events() -> Vec<Event<'static>> {
    let now = clock::now_micros() - 60_000_000;
    let jane = |id: &'static str, at: u64| Event {
        event_id: id.into(),
        occurred_at: now + at,
        tenant_id: "org_acme".into(),
        user_id: "jane@example.com".into(),
        session_id: Some("s1".into()),
        trace_id: Some("s1".into()),
        model: Some("claude-opus-5".into()),
        provider: Some("anthropic".into()),
        tokens_in: Some(100),
        tokens_out: Some(10),
        cost_micro: Some(750),
        status: Some(200),
        outcome: Outcome::Allowed,
        complete: true,
        ..Event::default()
    };
    let mut first = jane("e1", 1);
    first.payload.tool_uses =
        vec![ToolUse { id: "t1".into(), name: "Bash".into(), ..ToolUse::default() }];
    let mut second = jane("e2", 2);
    second.payload.answers = vec!["t1".into()];
    second.payload.department = Some("engineering".into());
    let bob = Event {
        event_id: "e3".into(),
        tenant_id: "org_other".into(),
        user_id: "bob@example.org".into(),
        session_id: Some("s2".into()),
        trace_id: Some("s2".into()),
        outcome: Outcome::Denied,
        cost_micro: None,
        ..jane("e3", 3)
    };
    vec![first, second, bob]
}

async fn filled(place: &Place) -> Fallible {
    let store = Store::create(&place.data).await?;
    store.append(&events(), None).await?;
    store.close().await;
    Ok(())
}

fn said(place: &Place, args: &[&str]) -> Fallible<String> {
    let out = tollgate(place, args)?;
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    Ok(String::from_utf8(out.stdout)?)
}

async fn the_commands_answer(place: Place) -> Fallible {
    filled(&place).await?;

    let tree = said(&place, &["audit", "lineage", "s1"])?;
    assert!(
        tree.contains("→ Bash  e1")
            && tree.starts_with("trace s1 of jane@example.com\n└─ ")
            && tree.contains("   └─ "),
        "{tree}"
    );
    assert!(tree.contains("2 steps, 200/20 tokens, $0.001500\n"), "{tree}");
    let who = said(&place, &["audit", "who", "--user", "Jane@example.com", "--from", "1h"])?;
    assert_eq!(who.lines().count(), 2, "one line: {who}");
    for part in ["Bash×1", "claude-opus-5", "$0.001500", "s1"] {
        assert!(who.contains(part), "{part}: {who}");
    }
    let export = said(&place, &["audit", "export"])?;
    let ids: Vec<Value> =
        export.lines().map(serde_json::from_str::<Value>).collect::<Result<_, _>>()?;
    assert_eq!(ids.iter().map(|row| &row["event_id"]).collect::<Vec<_>>(), ["e1", "e2", "e3"]);
    assert_eq!(said(&place, &["audit", "export", "--complete", "false"])?, "");
    let found = said(&place, &["audit", "query", "--parent", "e1", "--json"])?;
    assert!(found.contains("\"event_id\":\"e2\"") && found.lines().count() == 1, "{found}");
    let counted =
        said(&place, &["audit", "export", "--where", "tokens_in=100", "--where", "status=200"])?;
    assert_eq!(counted.lines().count(), 3, "any column can be asked for: {counted}");
    let wrong = tollgate(&place, &["audit", "export", "--where", "tokens=100"])?;
    assert_eq!(wrong.status.code(), Some(2));
    let whole = said(&place, &["audit", "verify"])?;
    assert!(whole.contains("3 rows in 1 blocks") && whole.contains(": whole"), "{whole}");
    assert_eq!(tollgate(&place, &["audit", "lineage", "nobody's"])?.status.code(), Some(3));
    Ok(())
}

#[tokio::test]
async fn the_commands_answer_from_a_file() -> Fallible {
    the_commands_answer(Place::new()?).await
}

#[tokio::test]
async fn the_commands_answer_from_postgres() -> Fallible {
    the_commands_answer(on_postgres()?).await
}

#[tokio::test]
async fn an_edit_of_the_table_ends_verify_with_a_code_of_its_own() -> Fallible {
    let place = on_postgres()?;
    filled(&place).await?;
    let url = place.data.postgres().ok_or("no database")?.url.clone();
    let database =
        url.split('/').nth(3).and_then(|rest| rest.split('?').next()).ok_or("no name")?;
    cluster::shared()?.sql(
        database,
        "ALTER TABLE audit_events DISABLE TRIGGER USER;
         UPDATE audit_events SET cost_micro = 1 WHERE event_id = 'e2'",
    )?;

    let out = tollgate(&place, &["audit", "verify", "--json"])?;

    assert_eq!(out.status.code(), Some(4));
    let report: Value = serde_json::from_slice(&out.stdout)?;
    assert_eq!(report["whole"], false);
    assert_eq!(report["findings"][0]["what"], "row_edited");
    assert_eq!(report["findings"][0]["event_id"], "e2");
    Ok(())
}

/// The three queries of the weekly look and the groupings of finance, as the handbook prints them.
const HANDBOOK: [(&str, &str); 6] = [
    (
        "SELECT outcome, count(*) AS row_count
FROM audit_events
WHERE tenant_id = 'org_acme'
AND occurred_at >= now() - interval '7 days'
GROUP BY outcome;",
        "allowed|2",
    ),
    (
        "SELECT user_id, count(*) AS calls_24h
FROM audit_events
WHERE occurred_at >= now() - interval '1 day'
GROUP BY user_id
ORDER BY calls_24h DESC
LIMIT 20;",
        "jane@example.com|2\nbob@example.org|1",
    ),
    (
        "SELECT provider, round(sum(cost_micro) / 1e6, 2) AS cost_usd
FROM audit_events
WHERE occurred_at >= now() - interval '7 days'
GROUP BY provider
ORDER BY cost_usd DESC;",
        "anthropic|0.00",
    ),
    (
        "SELECT user_id, SUM(cost_micro) FROM audit_events WHERE cost_micro > 0 GROUP BY user_id",
        "jane@example.com|1500",
    ),
    (
        "SELECT tenant_id, provider, SUM(cost_micro) FROM audit_events WHERE cost_micro > 0 GROUP BY (tenant_id, provider)",
        "org_acme|anthropic|1500",
    ),
    (
        "SELECT SUM(cost_micro) FROM audit_events WHERE tenant_id = 'org_acme' GROUP BY (tenant_id, payload ->> 'department') ORDER BY payload ->> 'department'",
        "750\n750",
    ),
];

#[tokio::test]
async fn the_sql_of_the_handbook_runs_unchanged_and_a_reader_sees_its_tenant_alone() -> Fallible {
    let place = on_postgres()?;
    filled(&place).await?;
    let url = place.data.postgres().ok_or("no database")?.url.clone();
    let database =
        url.split('/').nth(3).and_then(|rest| rest.split('?').next()).ok_or("no name")?;
    let cluster = cluster::shared()?;
    for (sql, expected) in HANDBOOK {
        assert_eq!(cluster.sql(database, sql)?.trim(), expected, "{sql}");
    }
    let role = format!("soc_{database}");

    said(&place, &["audit", "reader", "add", &role, "--tenant", "org_acme"])?;
    cluster.sql(database, &format!("ALTER ROLE {role} LOGIN"))?;

    let asked = |sql: &str| cluster.sql_as(database, &role, sql);
    for table in ["audit_events", "audit_lineage"] {
        let tenants = asked(&format!("SELECT DISTINCT tenant_id FROM {table}"))?;
        assert_eq!(tenants.trim(), "org_acme", "{table}: of B it sees nothing");
        let of_b = format!("SELECT count(*) FROM {table} WHERE user_id = 'bob@example.org'");
        assert_eq!(asked(&of_b)?.trim(), "0");
    }
    for sql in [
        "INSERT INTO audit_readers VALUES (current_user, '*')",
        "SELECT * FROM users",
        "SELECT * FROM audit_links",
        "DELETE FROM audit_events",
        "UPDATE audit_events SET tenant_id = 'org_acme'",
    ] {
        assert!(asked(sql).is_err(), "{sql}");
    }
    let parts = cluster.sql(
        database,
        "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'audit_events'::regclass",
    )?;
    for part in parts.lines() {
        assert!(asked(&format!("SELECT * FROM {part}")).is_err(), "no way round by a part");
    }
    let own = "SELECT count(*) FROM audit_events WHERE kind = 'admin'";
    assert_eq!(cluster.sql(database, own)?.trim(), "1", "the act has its row");
    said(&place, &["audit", "reader", "remove", &role])?;
    assert!(asked("SELECT * FROM audit_events").is_err());
    assert_eq!(tollgate(&place, &["audit", "reader", "remove", &role])?.status.code(), Some(3));
    Ok(())
}
