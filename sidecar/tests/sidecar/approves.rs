//! An agent asks, a person decides on the page, and exactly that call passes the gate, once.

#![expect(clippy::indexing_slicing, reason = "what helps the tests may fail as loudly as they do")]

use crate::browser::{Browser, place, query};
use crate::office::{admin_rows, row_of};
use crate::provider::Fake;
use crate::receiver::{Receiver, ok};
use crate::starts::tollgate;
use crate::world::{Answer, Fallible, Place, World, ask};
use contract::audit::{Event, Kind, Outcome};
use contract::envelope::hex;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tollgate::clock;
use tollgate::settings::Postgres;

pub(crate) const EVENT: &str = "6d3fa2bc-0000-4000-8000-000000000001";
pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(crate) const SECRET: &str = "a-secret-of-two-who-know-each-other";
pub(crate) const HERE: [(&str, &str); 2] = [("origin", "null"), ("sec-fetch-site", "same-origin")];

/// A policy in which the group `approvers` approves.
pub(crate) fn policy(wait: u32, valid: u32) -> String {
    json!({
        "schema": "tollgate.policy/v1", "name": "acme", "rules": [{ "id": "all", "models": ["*"] }],
        "approvals": {
            "approvers": { "groups": ["approvers"], "tiers": ["session"] },
            "wait_seconds": wait, "valid_seconds": valid,
        },
    })
    .to_string()
}

/// A file with a secret.
pub(crate) fn secret(place: &Place, name: &str, text: &str) -> Fallible<String> {
    let path = place.directory.path().join(name);
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(path.display().to_string())
}

/// A place where people approve, with these webhooks.
pub(crate) fn with_webhooks(mut place: Place, webhooks: &str) -> Fallible<Place> {
    let path = place.directory.path().join("approvals.yaml");
    fs::write(&path, format!("schema: tollgate.approvals/v1\nwebhooks:\n{webhooks}"))?;
    place.approvals = Some(path);
    Ok(place)
}

/// A place where people approve.
pub(crate) fn desk(provider: &Fake, wait: u32, valid: u32) -> Fallible<Place> {
    let place = place(&provider.section("acme", ""))?;
    place.publish(policy(wait, valid).as_bytes())?;
    Ok(place)
}

/// Who signs in at the provider next.
pub(crate) fn person(provider: &Fake, name: &str, groups: &[&str]) {
    provider.set().person = json!({
        "sub": format!("s-{name}"), "email": format!("{name}@example.com"), "email_verified": true,
        "groups": groups,
    });
}

impl World {
    /// A token of Ann's, and its session.
    pub(crate) async fn agent(&self) -> Fallible<(String, String)> {
        let (pat, _) = self.pat(3600).await?;
        let told = self.sign_in(&pat).await?.json()?;
        let session = told["headers"]["x-session-id"].as_str().ok_or("no session")?.to_owned();
        Ok((told["token"].as_str().ok_or("no token")?.to_owned(), session))
    }

    /// One message to the MCP server, as the gate sends it on.
    pub(crate) async fn mcp(
        &self,
        token: &str,
        more: &[(&str, &str)],
        body: &Value,
    ) -> Fallible<Answer> {
        let bearer = format!("Bearer {token}");
        let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let mut headers = vec![
            ("authorization", &*bearer),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("x-request-id", EVENT),
            ("traceparent", &*traceparent),
        ];
        headers.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        headers.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        ask(self.at.public, "POST", "/mcp/approvals", &headers, &body.to_string()).await
    }

    /// Calls a tool; its result.
    pub(crate) async fn tool(&self, token: &str, name: &str, arguments: &Value) -> Fallible<Value> {
        let body = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": name, "arguments": arguments },
        });
        let answer = self.mcp(token, &[], &body).await?;
        assert_eq!(answer.status, 200, "{}", answer.body);
        Ok(last(&answer)?["result"].clone())
    }

    /// Does the gate let this call through?
    pub(crate) async fn gate_asks(&self, session: &str, arguments: &str) -> Fallible<Answer> {
        let user = "ann@example.com";
        let digest = contract::approval::digest(
            "acme",
            user,
            session,
            "tickets",
            "close",
            arguments.as_bytes(),
        )?;
        let body = json!({
            "digest": hex(&digest), "tenant_id": "acme", "user_id": user, "server": "tickets",
            "tool": "close", "event_id": "call-1",
        });
        ask(self.at.gate, "POST", "/gate/approval", &[], &body.to_string()).await
    }
}

/// The response, whether it came as JSON or as the last event of a stream.
pub(crate) fn last(answer: &Answer) -> Fallible<Value> {
    if answer.header("content-type").starts_with("application/json") {
        return answer.json();
    }
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let mut data = answer.body.lines().filter_map(|line| line.strip_prefix("data: "));
    let last = data.next_back().ok_or_else(|| format!("no event: {}", answer.body))?;
    Ok(serde_json::from_str(last)?)
}

pub(crate) fn wish() -> Value {
    json!({
        "server": "tickets", "tool": "close", "reason": "The <b>customer</b> asked for it.",
        "arguments": { "id": 7, "comment": "</pre><script>alert(1)</script>" },
    })
}

/// The arguments of [`wish`], written otherwise.
pub(crate) const ARGUMENTS: &str =
    r#"{ "comment": "<\/pre><script>alert(1)</script>", "id": 7.0 }"#;

/// The id of a request, once the store has it.
pub(crate) async fn asked(world: &World) -> Fallible<String> {
    for _ in 0..100 {
        if let Some(approval) = world.store.approvals(None, None, 1).await?.into_iter().next() {
            return Ok(approval.id);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Err("nobody has asked".into())
}

impl Browser {
    /// To a page, by way of the provider.
    pub(crate) async fn visit(&self, provider: &Fake, id: &str) -> Fallible<Answer> {
        let path = format!("/approvals/{id}");
        let sent = self.get(&path).await?;
        assert_eq!(sent.status, 303, "{}", sent.body);
        let back = provider.sign_in(sent.header("location"))?;
        let back = self.get(&format!("/oauth/callback?{}", query(&back))).await?;
        if back.status != 303 {
            return Ok(back);
        }
        assert_eq!(back.header("location"), path);
        self.get(&path).await
    }
}

/// What the page's form must send.
pub(crate) fn token_of(page: &Answer) -> Fallible<String> {
    let from = page.body.split_once("name=\"form\" value=\"").ok_or_else(|| page.body.clone())?;
    Ok(from.1.split('"').next().unwrap_or_default().to_owned())
}

/// Bob hears of it in the channel, opens the page and approves.
async fn bob_approves(
    world: &World,
    provider: &Fake,
    channel: &Receiver,
    session: &str,
) -> Fallible<String> {
    let browser = Browser::new(world);
    let told = channel.until(|asked| !asked.is_empty()).await?;
    let told: Value = serde_json::from_str(&told[0].body)?;
    assert_eq!(told["event"], "asked");
    let url = told["approval"]["url"].as_str().ok_or("no link")?.to_owned();
    let id = url.rsplit('/').next().unwrap_or_default().to_owned();
    assert_eq!(url, format!("http://127.0.0.1:8080/approvals/{id}"));
    assert_eq!(world.gate_asks(session, ARGUMENTS).await?.status, 404, "nobody decided");
    let page = browser.visit(provider, &id).await?;
    assert_eq!(page.status, 200, "{}", page.body);
    for part in [
        "ann@example.com",
        "tickets",
        "close",
        "The &lt;b&gt;customer&lt;/b&gt; asked for it.",
        "&quot;id&quot;: 7",
        "&lt;/pre&gt;&lt;script&gt;alert(1)",
        TRACE,
        "You are bob@example.com",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    assert!(!page.body.contains("<script"), "{}", page.body);
    let form = token_of(&page)?;
    let fields = [("form", &*form), ("choice", "approve"), ("note", "only this one")];
    let done = browser.post(&format!("/approvals/{id}"), &fields, &HERE).await?;
    assert_eq!(done.status, 200, "{}", done.body);
    assert!(done.body.contains("Approved by bob@example.com"), "{}", done.body);
    assert!(browser.cookies.borrow().is_empty(), "nothing is left in the browser");
    Ok(id)
}

/// The decision's row.
async fn the_row_tells_it(world: &World) -> Fallible {
    let row = row_of(world, "approval approve").await?;
    assert_eq!(row.text("user_id"), "bob@example.com");
    assert_eq!((row.text("parent_event_id"), row.text("trace_id")), (EVENT.into(), TRACE.into()));
    let payload = row.get("payload");
    assert_eq!((&payload["mcp_server"], &payload["tool"]), (&json!("tickets"), &json!("close")));
    assert_eq!(
        (&payload["before"]["state"], &payload["after"]["state"]),
        (&json!("open"), &json!("approved"))
    );
    assert_eq!(payload["after"]["digest"].as_str().map(str::len), Some(64));
    assert_eq!(
        (&payload["sign_in"]["tier"], &payload["sign_in"]["provider"]),
        (&json!("session"), &json!("acme"))
    );
    assert!(!payload.to_string().contains("alert(1)"), "the arguments are in no row: {payload}");
    Ok(())
}

#[tokio::test]
async fn a_person_approves_on_the_page_and_exactly_that_call_passes_once() -> Fallible {
    let provider = Fake::start().await?;
    let channel = Receiver::start(|_| ok()).await?;
    let desk = desk(&provider, 20, 600)?;
    let key = secret(&desk, "key", SECRET)?;
    let webhook =
        format!("- {{name: bus, shape: json, url: '{}/in', secret_file: {key}}}\n", channel.url());
    let world = World::start_in(with_webhooks(desk, &webhook)?).await?;
    let (token, session) = world.agent().await?;
    person(&provider, "bob", &["approvers"]);

    let decides = bob_approves(&world, &provider, &channel, &session);
    let wish = wish();
    let (result, id) = tokio::join!(world.tool(&token, "request_approval", &wish), decides);
    let (result, id) = (result?, id?);

    let told = &result["structuredContent"];
    assert_eq!((&told["decision"], &told["approval_id"]), (&json!("approved"), &json!(id)));
    assert_eq!((&told["by"], &told["note"]), (&json!("bob@example.com"), &json!("only this one")));
    let text = result["content"][0]["text"].as_str().unwrap_or_default();
    assert!(text.contains("Now call close of tickets") && text.contains("once"), "{text}");

    assert_eq!(world.gate_asks(&session, r#"{"id":8}"#).await?.status, 404, "another call");
    assert_eq!(world.gate_asks("ses_other", ARGUMENTS).await?.status, 404, "another session");
    let through = world.gate_asks(&session, ARGUMENTS).await?;
    assert_eq!((through.status, through.header("x-tollgate-approval")), (204, &*id));
    assert_eq!(world.gate_asks(&session, ARGUMENTS).await?.status, 404, "once");

    the_row_tells_it(&world).await?;
    let told = channel.until(|asked| asked.len() == 2).await?;
    let then: Value = serde_json::from_str(&told[1].body)?;
    assert_eq!(
        (&then["event"], &then["decision"]["by"]),
        (&json!("decided"), &json!("bob@example.com"))
    );
    assert!(!told[0].body.contains("alert(1)"), "no arguments in the channel: {}", told[0].body);
    assert_eq!(world.metric("tollgate_approvals_total{act=\"used\"}").await?, 1);
    assert_eq!(world.metric("tollgate_approval_messages_total{result=\"told\"}").await?, 2);
    Ok(())
}

/// "A human was consulted before this action", as docs/approvals.md prints it.
fn consulted() -> Fallible<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/approvals.md");
    let text = fs::read_to_string(path)?;
    let sql = text.split("```sql\n").nth(1).and_then(|rest| rest.split("```").next());
    Ok(sql.ok_or("no SQL")?.replace(":action", "'call-1'"))
}

async fn the_query_tells_who_was_consulted(mut desk: Place, url: Option<String>) -> Fallible {
    let postgres = url.clone().map(|url| Postgres { url, read_url: None });
    desk.data = desk.data.with_postgres(postgres);
    desk.publish(policy(1, 600).as_bytes())?;
    let world = World::start_in(desk).await?;
    let (token, session) = world.agent().await?;
    world.tool(&token, "request_approval", &wish()).await?;
    let id = asked(&world).await?;
    let done = tollgate(&world.place, &["approval", "approve", &id, "--note", "fine"])?;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(world.gate_asks(&session, ARGUMENTS).await?.status, 204);
    let exchange = |id: &'static str, tool: &'static str| {
        let mut event = Event {
            event_id: id.into(),
            occurred_at: clock::now_micros(),
            tenant_id: "acme".into(),
            user_id: "ann@example.com".into(),
            trace_id: Some(TRACE.into()),
            kind: Kind::Mcp,
            outcome: Outcome::Allowed,
            complete: true,
            ..Event::default()
        };
        event.payload.tool = Some(tool.into());
        event
    };
    let rows = [exchange(EVENT, "request_approval"), exchange("call-1", "close")];
    world.store.append(&rows, None).await?;
    let decision = row_of(&world, "approval approve").await?;
    assert_eq!(
        admin_rows(&world).await?.iter().filter(|row| row.text("parent_event_id") == EVENT).count(),
        1
    );

    let sql = consulted()?;
    let found = if let Some(url) = url {
        let name = url.split('/').nth(3).and_then(|rest| rest.split('?').next());
        cluster::shared()?.sql(name.ok_or("no name")?, &sql)?
    } else {
        let url = format!("sqlite://{}", world.place.data.database().display());
        let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await?;
        let rows: Vec<(String, String, String, String)> =
            sqlx::query_as(&sql).fetch_all(&mut connection).await?;
        let line = |(a, b, c, d): (String, String, String, String)| [a, b, c, d].join("|");
        rows.into_iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let expected = [decision.text("user_id"), "approved".into(), "tickets".into(), "close".into()];
    assert_eq!(found.trim(), expected.join("|"), "one line: {sql}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_query_tells_on_a_file_who_was_consulted_before_a_call() -> Fallible {
    the_query_tells_who_was_consulted(Place::new()?, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_query_tells_on_postgres_who_was_consulted_before_a_call() -> Fallible {
    let url = cluster::shared()?.database()?;
    the_query_tells_who_was_consulted(Place::new()?, Some(url)).await
}
