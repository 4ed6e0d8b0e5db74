//! Operators elsewhere: what each role does, in whose tenants, and what is left of it in the table.

use crate::office::{Minted, admin_rows, office, post, row_of, says, token, told};
use crate::world::{Fallible, World};
use contract::audit::{Content, ContentMode, Event, Kind, Outcome, Part, Text};
use contract::claims::Method;
use serde_json::{Value, json};
use tollgate::clock;
use tollgate::operators::operator::Role;
use tollgate::operators::table::{Cell, Reach, TABLE};

/// What somebody has to say besides, so that each command is one.
const WORDS: &[(&str, &str)] = &[
    ("user add", "new@example.com --tenant acme"),
    ("user disable", "zoe@example.com"),
    ("user enable", "zoe@example.com"),
    ("pat issue", "ann@example.com"),
    ("pat revoke", "pat_000000000000"),
    ("access revoke", "user zoe@example.com --why test"),
    ("access pause", "user zoe@example.com --for 1h --why test"),
    ("access throttle", "user zoe@example.com --per-minute 5 --why test"),
    ("access restore", "user zoe@example.com"),
    ("session end", "ses_000000000000"),
    ("scim token issue", "--tenant acme"),
    ("scim token revoke", "dir_000000000000"),
    ("access drill", "--user ann@example.com"),
    ("identity check", "x.yaml"),
    ("approval show", "apr_000000000000000000000000"),
    ("approval approve", "apr_000000000000000000000000"),
    ("approval deny", "apr_000000000000000000000000"),
    ("policy sign", "x.yaml"),
    ("manifest check", "x.yaml"),
    ("manifest build", "x.yaml --out y --version 1"),
    ("manifest sign", "x"),
    ("manifest diff", "x y"),
    ("manifest show", "x"),
    ("policy check", "-"),
    ("policy test", "-"),
    ("policy explain", "--model claude-haiku-4-5"),
    ("mcp export", "--for cowork --url https://gateway.example --helper /opt/helper-headers"),
    ("mcp pins", "-"),
    ("mdm check", "-"),
    ("mdm export", "--format linux-json -"),
    ("mdm diff", "a.yaml b.yaml"),
    ("mdm egress", "-"),
    ("policy diff", "0123456789abcdef"),
    ("policy publish", "-"),
    ("policy rollback", "--previous"),
    ("manifest publish", "-"),
    ("manifest rollback", "--previous"),
    ("manifest revoke", "--kind plugin --id x"),
    ("fleet progress", "--version 1"),
    ("fleet show", "ann@example.com"),
    ("audit find", "nothing"),
    ("audit lineage", "nothing"),
    ("audit who", "--user ann@example.com --from 1h"),
    ("audit reader add", "somebody --tenant acme"),
    ("audit reader remove", "somebody"),
    ("cost report", "--from 7d"),
    ("cost reconcile", "--bill - --from 2026-11-01 --to 2026-11-02"),
    ("cost estimate", "--model claude-haiku-4-5 --body -"),
    ("keys retire", "0000"),
];

#[tokio::test]
async fn every_cell_of_the_table_is_what_the_sidecar_does() -> Fallible {
    let world = office().await?;
    for line in TABLE {
        let words = WORDS.iter().find(|(act, _)| *act == line.act).map_or("", |(_, words)| words);
        let command = format!("{} {words}", line.act);
        for (role, cell) in Role::ALL.iter().zip(line.cells) {
            if cell == Cell::Own {
                continue; // what is whose has a test of its own
            }
            let name = role.as_str();
            let (exit, _, stderr) = says(&world, name, name, command.trim()).await?;
            let denied = cell == Cell::No;
            assert_eq!(exit == 6, denied, "{name}: {command}: {stderr}");
            assert_ne!(exit, 2, "{command}: {stderr}");
            if denied {
                let row = row_of(&world, line.act).await?;
                let known = (row.text("outcome"), row.text("rule_id"), row.text("user_id"));
                let expected = ("denied", "operator_denied", format!("{name}@example.com"));
                assert_eq!((&*known.0, &*known.1, known.2), expected, "{command}");
            }
        }
    }
    let hosts = TABLE.iter().filter(|line| line.reach == Reach::Host).count();
    assert_eq!(
        hosts, 14,
        "serve, identity check, keys init, policy sign, access drill, mdm diff, and eight of manifest"
    );
    Ok(())
}

#[tokio::test]
async fn an_operator_of_a_tenant_sees_and_touches_that_one_alone() -> Fallible {
    let world = office().await?;
    let pat = told_pat(&world).await?;
    for line in [
        "user disable otto@example.com",
        "user enable otto@example.com",
        "user add x@example.com --tenant other",
        "pat issue otto@example.com",
        "scim token issue --tenant other",
        &format!("pat revoke {pat}"),
        "access revoke user otto@example.com --why x",
        "access pause user usr_otto --for 1h --why x",
        "access throttle user otto@example.com --per-minute 1 --why x",
        &format!("access revoke pat {pat} --why x"),
        "access revoke session ses_000000000000000000000000 --why x --unknown-too",
        "access restore user otto@example.com",
    ] {
        let (exit, stdout, stderr) = says(&world, "bob", "endpoint", line).await?;
        assert_eq!((exit, &*stdout), (6, ""), "{line}: {stderr}");
    }
    let nobody = says(&world, "bob", "endpoint", "user disable nobody@example.com").await?;
    let otto = says(&world, "bob", "endpoint", "user disable otto@example.com").await?;
    assert_eq!(nobody.2.replace("nobody@", "otto@"), otto.2, "who exists elsewhere is not told");

    for (role, line) in [
        ("endpoint", "user list --json"),
        ("endpoint", "pat list --json"),
        ("soc", "audit query --json"),
        ("soc", "audit query --tenant other --json"),
        ("soc", "audit export"),
        ("soc", "audit tail --json"),
        ("auditor", "access list --json"),
    ] {
        let (exit, stdout, stderr) = says(&world, "bob", role, line).await?;
        assert_eq!(exit, 0, "{line}: {stderr}");
        // What bob himself was denied is of his tenant, and names otto.
        let mark = if line.starts_with("audit") { "of-otto" } else { "otto" };
        assert!(!stdout.contains(mark) && !stdout.contains("\"other\""), "{line}: {stdout}");
        let (_, all, _) = says(&world, role, role, line).await?;
        assert_eq!(all.contains(mark), !line.contains("access"), "{line}: {all}");
    }
    for (role, line, exit) in [
        ("soc", "audit lineage trace-of-otto", 3),
        ("soc", "audit who --user otto@example.com --from 1h", 3),
        ("soc", "audit find otto@example.com", 3),
        ("finance", "cost report --from 7d --tenant other", 6),
        ("finance", "cost report --from 7d", 0),
        ("security", "keys rotate", 6),
        ("security", "policy rollback --previous", 6),
        ("auditor", "audit verify", 6),
    ] {
        assert_eq!(says(&world, "bob", role, line).await?.0, exit, "{line}");
    }
    assert_eq!(says(&world, "soc", "soc", "audit lineage trace-of-otto").await?.0, 0);
    Ok(())
}

/// Otto's token and a row of his, in the other tenant.
async fn told_pat(world: &World) -> Fallible<String> {
    let (exit, stdout, stderr) =
        says(world, "endpoint", "endpoint", "pat issue otto@example.com --json").await?;
    assert_eq!(exit, 0, "{stderr}");
    let row = Event {
        event_id: "of-otto".into(),
        occurred_at: clock::now_micros(),
        tenant_id: "other".into(),
        user_id: "otto@example.com".into(),
        trace_id: Some("trace-of-otto".into()),
        kind: Kind::Inference,
        outcome: Outcome::Allowed,
        ..Event::default()
    };
    world.store.append(&[row], None).await?;
    let issued: Value = serde_json::from_str(&stdout)?;
    Ok(issued.get("id").and_then(Value::as_str).ok_or("no id")?.to_owned())
}

#[tokio::test]
async fn platform_and_endpoint_lift_only_what_their_own_have_laid() -> Fallible {
    let world = office().await?;
    let pause = "access pause user zoe@example.com --for 1h --why looks-odd";
    let restore = "access restore user zoe@example.com";

    assert_eq!(says(&world, "platform", "platform", pause).await?.0, 0);
    assert_eq!(says(&world, "endpoint", "endpoint", restore).await?.0, 6, "platform's");
    assert_eq!(says(&world, "eve", "platform", restore).await?.0, 0, "a colleague of theirs");

    let revoke = "access revoke user zoe@example.com --why leaver";
    assert_eq!(says(&world, "security", "security", revoke).await?.0, 0);
    assert_eq!(says(&world, "platform", "platform", revoke).await?.0, 0, "said once more");
    let (exit, _, stderr) = says(&world, "platform", "platform", restore).await?;
    assert_eq!(exit, 6, "it is still security's: {stderr}");
    assert!(stderr.contains("security"), "{stderr}");
    assert_eq!(row_of(&world, "access restore").await?.text("outcome"), "denied");
    let enable = "user enable zoe@example.com";
    assert_eq!(says(&world, "endpoint", "endpoint", enable).await?.0, 6, "not by this way either");
    let disable = "user disable zoe@example.com";
    assert_eq!(says(&world, "endpoint", "endpoint", disable).await?.0, 0);
    assert_eq!(says(&world, "endpoint", "endpoint", enable).await?.0, 6, "nor by that");
    assert_eq!(says(&world, "security", "security", restore).await?.0, 0);

    assert_eq!(says(&world, "endpoint", "endpoint", disable).await?.0, 0);
    assert_eq!(says(&world, "endpoint", "endpoint", enable).await?.0, 0, "their own");
    Ok(())
}

#[tokio::test]
async fn nobody_makes_themselves_an_operator_by_way_of_somebody_else() -> Fallible {
    let world = office().await?;
    let line = "user add mallory@example.com --tenant acme --role security";

    assert_eq!(says(&world, "endpoint", "endpoint", line).await?.0, 6);
    assert_eq!(says(&world, "security", "security", line).await?.0, 0);
    Ok(())
}

#[tokio::test]
async fn what_was_said_is_for_soc_alone() -> Fallible {
    let world = office().await?;
    let text = Text { text: "the merger is called Icarus".into(), ..Text::default() };
    let mut row = Event {
        event_id: "with-content".into(),
        occurred_at: clock::now_micros(),
        tenant_id: "acme".into(),
        user_id: "ann@example.com".into(),
        kind: Kind::Inference,
        outcome: Outcome::Allowed,
        ..Event::default()
    };
    let input = vec![Part::Text { text }];
    row.payload.content = Some(Content { mode: ContentMode::Full, input, ..Content::default() });
    world.store.append(&[row], None).await?;
    let all = [
        "audit query --json",
        "audit tail --json",
        "audit export",
        "audit find with-content --json",
    ];
    for line in all {
        for role in ["soc", "finance", "auditor", "platform", "security"] {
            let (exit, stdout, _) = says(&world, role, role, line).await?;
            assert_eq!(exit, 0);
            assert!(stdout.contains("with-content"), "the row itself: {role}: {line}");
            assert_eq!(stdout.contains("Icarus"), role == "soc", "{role}: {line}");
        }
    }
    let guess = "audit query --where payload=x";
    assert_eq!(says(&world, "finance", "finance", guess).await?.0, 6, "nor by asking for it");
    let (both, _) = token(&world, "bob", &["finance", "soc"], Minted::default()).await?;
    assert!(told(&world, &both, "audit export", "").await?.1.contains("Icarus"), "who has both");
    Ok(())
}

#[tokio::test]
async fn each_act_s_row_says_who_and_what_was_before_and_after() -> Fallible {
    let world = office().await?;
    for (role, line) in [
        ("endpoint", "user add new@example.com --tenant acme"),
        ("endpoint", "user disable new@example.com"),
        ("endpoint", "user enable new@example.com"),
        ("platform", "access throttle user ann@example.com --per-minute 9 --why loops"),
        ("security", "access throttle user ann@example.com --per-minute 5 --why loops"),
        ("security", "access restore user ann@example.com"),
        ("security", "keys rotate"),
    ] {
        let (exit, _, stderr) = says(&world, role, role, line).await?;
        assert_eq!(exit, 0, "{line}: {stderr}");
    }
    let (_, issued, _) =
        says(&world, "endpoint", "endpoint", "pat issue ann@example.com --json").await?;
    let issued: Value = serde_json::from_str(&issued)?;
    let id = issued["id"].as_str().ok_or("no id")?;
    says(&world, "endpoint", "endpoint", &format!("pat revoke {id}")).await?;

    for (act, who, member, before, after) in [
        ("user add", "endpoint", "tenant_id", Value::Null, json!("acme")),
        ("user enable", "endpoint", "disabled_at", json!("some"), Value::Null),
        ("user disable", "endpoint", "disabled_at", Value::Null, json!("some")),
        ("pat issue", "endpoint", "state", Value::Null, json!("active")),
        ("pat revoke", "endpoint", "state", json!("active"), json!("revoked")),
        ("access throttle", "security", "per_minute", json!(9), json!(5)),
        ("keys rotate", "security", "kid", json!("some"), json!("some")),
    ] {
        let row = row_of(&world, act).await?;
        let payload = row.get("payload");
        assert_eq!(row.text("user_id"), format!("{who}@example.com"), "{act}");
        assert_eq!(payload["sign_in"]["tier"], "session", "{act}");
        for (name, expected) in [("before", before), ("after", after)] {
            let value = &payload[name][member];
            let same = if expected == "some" { value.is_string() } else { *value == expected };
            assert!(same, "{act}: {name}.{member} is {value}");
        }
    }
    let restored = row_of(&world, "access restore").await?;
    assert_eq!(restored.get("payload")["before"][0]["state"], "throttled");
    let all = admin_rows(&world).await?;
    let text = all.iter().map(serde_json::to_string).collect::<Result<String, _>>()?;
    let secret = issued["token"].as_str().ok_or("no token")?;
    assert!(!text.contains(secret), "printed once, and kept nowhere");
    Ok(())
}

#[tokio::test]
async fn a_policy_comes_with_the_request_and_its_versions_stand_in_the_row() -> Fallible {
    let world = office().await?;
    let payload =
        br#"{"schema":"tollgate.policy/v1","name":"next","rules":[{"id":"all","models":["*"]}]}"#;
    let (key_id, pair) = tollgate::keys::policy_key(&world.place.data.policy_key())?;
    let kind = contract::envelope::POLICY_TYPE;
    let signed = contract::envelope::seal(kind, payload, &key_id, &pair);
    let signed = serde_json::to_string(&signed)?;
    let (security, _) = token(&world, "security", &["security"], Minted::default()).await?;
    let (platform, _) = token(&world, "platform", &["platform"], Minted::default()).await?;

    assert_eq!(told(&world, &platform, "policy publish -", &signed).await?.0, 6);
    let (exit, version, stderr) = told(&world, &security, "policy publish -", &signed).await?;
    assert_eq!(exit, 0, "{stderr}");
    let row = row_of(&world, "policy publish").await?;
    let payload = row.get("payload");
    assert_eq!(payload["after"]["version"], version.trim());
    assert_eq!(payload["before"]["name"], "acme");
    assert_eq!(told(&world, &security, "policy rollback --previous", "").await?.0, 0);
    assert_eq!(row_of(&world, "policy rollback").await?.get("payload")["after"]["name"], "acme");

    let source = "schema: tollgate.policy/v1\nname: x\nrules:\n  - id: all\n    models: ['*']\n";
    assert_eq!(told(&world, &platform, "policy check -", source).await?.0, 0);
    assert_eq!(told(&world, &platform, "policy check -", "name: 1\n").await?.0, 1);
    for file in
        ["policy check /etc/passwd", "policy publish /etc/passwd", "policy diff /etc/passwd"]
    {
        let (exit, stdout, stderr) = told(&world, &security, file, "").await?;
        assert_eq!((exit, &*stdout), (1, ""), "{file}");
        assert!(!stderr.contains("root:"), "{stderr}");
    }
    Ok(())
}

#[tokio::test]
async fn only_an_operator_s_token_of_somebody_in_good_standing_operates() -> Fallible {
    let world = office().await?;
    let line = "policy patterns";
    let now = clock::now();
    for (what, like) in [
        ("a token for calls", Minted { audience: "tollgate", ..Minted::default() }),
        ("another gateway's", Minted { issuer: "https://other", ..Minted::default() }),
        ("an expired one", Minted { now: now - 400, ..Minted::default() }),
        ("a personal access token's", Minted { method: Method::Pat, ..Minted::default() }),
        ("a job's", Minted { method: Method::Service, ..Minted::default() }),
    ] {
        let (token, _) = token(&world, "bob", &["soc"], like).await?;
        let answer = post(&world, &token, line, "").await?;
        let code = answer.header("x-tollgate-refusal").to_owned();
        assert_eq!((answer.status, &*code), (401, "operator_token_invalid"), "{what}");
    }
    assert_eq!(post(&world, "x.y.z", line, "").await?.status, 401);

    let (bob, ids) = token(&world, "bob", &["soc"], Minted::default()).await?;
    assert_eq!(post(&world, &bob, line, "").await?.status, 200);
    for (stop, back) in [
        (
            format!("access revoke session {} --unknown-too --why x", ids.sid),
            format!("access restore session {}", ids.sid),
        ),
        (
            format!("access revoke token {} --unknown-too --why x", ids.jti),
            format!("access restore token {}", ids.jti),
        ),
        (
            "access pause user bob@example.com --for 1h --why x".to_owned(),
            "access restore user bob@example.com".to_owned(),
        ),
        ("user disable bob@example.com".to_owned(), "user enable bob@example.com".to_owned()),
    ] {
        let (exit, _, stderr) = says(&world, "security", "security", &stop).await?;
        assert_eq!(exit, 0, "{stop}: {stderr}");
        let answer = post(&world, &bob, line, "").await?;
        let code = answer.header("x-tollgate-refusal").to_owned();
        assert_eq!((answer.status, &*code), (403, "operator_stopped"), "{stop}");
        assert!(answer.header("x-tollgate-caller").contains("bob@example.com"), "who it was");
        assert_eq!(says(&world, "security", "security", &back).await?.0, 0, "{back}");
        assert_eq!(post(&world, &bob, line, "").await?.status, 200, "{back}");
    }
    Ok(())
}

#[tokio::test]
async fn reach_beyond_one_s_tenant_takes_a_role_that_file_and_directory_both_name() -> Fallible {
    let world = office().await?;

    // The file says security everywhere; the directory says soc.
    assert_eq!(says(&world, "security", "soc", "audit query").await?.0, 6, "no role of both");
    assert_eq!(says(&world, "security", "security", "keys show").await?.0, 0);
    // Who is not in the file operates their own tenant.
    assert_eq!(says(&world, "bob", "security", "keys show").await?.0, 6);
    assert_eq!(says(&world, "bob", "security", "user list").await?.0, 0);
    assert_eq!(says(&world, "bob", "breakglass", "policy patterns").await?.0, 6, "no role of ours");
    Ok(())
}
