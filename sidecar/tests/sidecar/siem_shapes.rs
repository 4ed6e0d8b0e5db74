//! What each vendor is sent, as its documents say: path, credential, frame, limits.

use crate::receiver::{Act, Asked, Receiver, ok};
use crate::siem::{Bench, TOKEN, id, ids, metric, seen, until};
use crate::world::Fallible;
use serde_json::{Value, json};
use tollgate::store::{Cursor, Filter};

/// The row as the table has it.
async fn stored(bench: &Bench, number: u64) -> Fallible<Value> {
    let filter = Filter { after: Some(Cursor::default()), limit: 1000, ..Filter::default() };
    let rows = bench.store.rows(&filter).await?;
    let row = rows.iter().find(|row| row.text("event_id") == id(number)).ok_or("no row")?;
    Ok(serde_json::to_value(row)?)
}

fn count(asked: &[Asked], mark: &str) -> usize {
    asked.iter().map(|asked| asked.body.matches(mark).count()).sum()
}

#[tokio::test]
async fn splunk_gets_events_with_its_metadata_and_the_row_in_each() -> Fallible {
    let success = || Act::Answer(200, "", json!({ "text": "Success", "code": 0 }).to_string());
    let siem = Receiver::start(move |_| success()).await?;
    let mut bench = Bench::sqlite().await?;
    bench.append(0..3).await?;
    let token = bench.token()?;
    let sidecar = bench
        .serve(json!([{ "name": "s", "kind": "http", "encoding": "splunk_hec", "url": siem.url(),
            "token_file": token, "index": "ai", "host": "gate-1", "channel": "c-1" }]))
        .await?;

    let asked = siem.until(|asked| count(asked, "\"event\":") == 3).await?;

    assert_eq!(asked[0].target, "/services/collector/event");
    assert_eq!(asked[0].header("authorization"), format!("Splunk {TOKEN}"));
    assert_eq!(asked[0].header("x-splunk-request-channel"), "c-1");
    let event = &asked[0].lines()[1];
    assert_eq!(event["event"], stored(&bench, 1).await?);
    assert!(asked[0].body.contains("{\"time\":1763730000.000001,"), "{}", asked[0].body);
    assert_eq!(
        (&event["source"], &event["sourcetype"], &event["index"], &event["host"]),
        (&"tollgate".into(), &"_json".into(), &"ai".into(), &"gate-1".into())
    );
    sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn elastic_gets_pairs_of_lines_and_one_id_for_a_row_however_often_it_is_sent() -> Fallible {
    // The first time one item finds no room: all are sent again, and two are there already.
    let mut tries = 0;
    let siem = Receiver::start(move |asked| {
        tries += 1;
        let rows = asked.body.lines().count() / 2;
        let items: Vec<_> = (0..rows)
            .map(|row| match (tries, row) {
                (1, 2) => json!({ "create": { "status": 429, "error": { "type": "busy" } } }),
                (1, _) | (_, 2) => json!({ "create": { "status": 201 } }),
                _ => json!({ "create": { "status": 409, "error": { "type": "there" } } }),
            })
            .collect();
        Act::Answer(200, "", json!({ "errors": true, "items": items }).to_string())
    })
    .await?;
    let mut bench = Bench::sqlite().await?;
    bench.append(0..3).await?;
    let key = bench.secret("key", "elastic:pass")?;
    let sidecar = bench
        .serve(json!([{ "name": "e", "kind": "http", "encoding": "elastic_bulk",
            "url": format!("{}/prefix", siem.url()), "index": "ai-audit", "token_file": key,
            "auth": "basic" }]))
        .await?;

    let asked = siem.until(|asked| asked.len() == 2).await?;

    let (path, query) = asked[0].target.split_once('?').ok_or("no query")?;
    assert_eq!(path, "/prefix/ai-audit/_bulk");
    assert!(query.starts_with("filter_path=items."), "{query}");
    assert_eq!(asked[0].header("content-type"), "application/x-ndjson");
    assert_eq!(asked[0].header("authorization"), "Basic ZWxhc3RpYzpwYXNz");
    assert!(asked[0].body.ends_with('\n'));
    let lines = asked[0].lines();
    let row = stored(&bench, 0).await?;
    let occurred = row["occurred_at"].as_str().ok_or("no time")?;
    assert_eq!(lines[0], json!({ "create": { "_id": format!("event-0@{occurred}") } }));
    let mut document = lines[1].clone();
    let time = document.as_object_mut().and_then(|members| members.remove("@timestamp"));
    assert_eq!(time, Some(row["occurred_at"].clone()));
    assert_eq!(document, row);
    assert_eq!(asked[1].body, asked[0].body, "all of them again, under the same ids");
    until(&sidecar, "tollgate_siem_rows_total{sink=\"e\"}", 3).await?;
    assert!(bench.dead_letters("e").is_empty());
    sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn a_row_that_elastic_cannot_map_is_a_dead_letter_and_the_others_are_there() -> Fallible {
    let siem = Receiver::start(|asked| {
        let items: Vec<_> = asked
            .lines()
            .chunks(2)
            .map(|pair| {
                let bad = json!({ "type": "document_parsing_exception", "reason": "of a kind" });
                if pair[1]["event_id"] == "event-1" {
                    json!({ "create": { "status": 400, "error": bad } })
                } else {
                    json!({ "create": { "status": 201 } })
                }
            })
            .collect();
        Act::Answer(200, "", json!({ "errors": true, "items": items }).to_string())
    })
    .await?;
    let mut bench = Bench::sqlite().await?;
    bench.append(0..4).await?;
    let sidecar = bench
        .serve(json!([{ "name": "e", "kind": "http", "encoding": "elastic_bulk",
            "url": siem.url(), "index": "ai-audit" }]))
        .await?;

    until(&sidecar, "tollgate_siem_rows_total{sink=\"e\"}", 3).await?;

    assert_eq!(metric(&sidecar, "tollgate_siem_dead_letters_total{sink=\"e\"}").await?, 1);
    let letters = bench.dead_letters("e");
    assert_eq!(letters[0]["event_id"], "event-1");
    assert!(letters[0]["why"].as_str().ok_or("no why")?.contains("document_parsing_exception"));
    assert!(letters[0]["sent"].as_str().ok_or("no row")?.contains("\"event-1\""));
    sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn datadog_gets_a_packed_list_within_its_limits() -> Fallible {
    let siem = Receiver::start(|_| Act::Answer(202, "", "{}".into())).await?;
    let mut bench = Bench::sqlite().await?;
    bench.append(0..1_200).await?;
    let token = bench.token()?;
    let sidecar = bench
        .serve(json!([{ "name": "d", "kind": "http", "encoding": "datadog", "url": siem.url(),
            "token_file": token, "tags": "env:test", "host": "gate-1",
            "batch": { "rows": 1000, "bytes": 5_000_000 } }]))
        .await?;

    let asked = siem.until(|asked| count(asked, "\"ddsource\"") >= 1_200).await?;

    assert_eq!(asked[0].target, "/api/v2/logs");
    assert_eq!(asked[0].header("dd-api-key"), TOKEN);
    assert_eq!(asked[0].header("content-encoding"), "gzip");
    let lists = asked.iter().map(|asked| serde_json::from_str::<Vec<Value>>(&asked.body));
    let lists = lists.collect::<Result<Vec<_>, _>>()?;
    assert!(lists.iter().all(|list| list.len() <= 1_000) && asked[0].body.len() < 5_000_000);
    let first = &lists[0][0];
    assert_eq!(first["audit"], stored(&bench, 0).await?);
    assert_eq!(
        (&first["ddsource"], &first["service"], &first["ddtags"], &first["hostname"]),
        (&"tollgate".into(), &"tollgate".into(), &"env:test".into(), &"gate-1".into())
    );
    assert_eq!(first["message"], "inference error 200 ann@example.com");
    sidecar.drain().await;
    Ok(())
}

#[tokio::test]
async fn sumo_logic_gets_lines_at_an_address_that_is_told_nowhere() -> Fallible {
    let siem = Receiver::start(|_| ok()).await?;
    let mut bench = Bench::sqlite().await?;
    bench.append(0..3).await?;
    let url = bench.secret("url", &format!("{}/receiver/v1/http/{TOKEN}", siem.url()))?;
    let sidecar = bench
        .serve(json!([{ "name": "s", "kind": "http", "encoding": "sumo_logic", "url_file": url,
            "category": "ai/audit", "source": "tollgate", "host": "gate-1",
            "fields": "env=test" }]))
        .await?;

    let asked = siem.until(|asked| seen(asked).len() == 3).await?;

    assert_eq!(asked[0].target, format!("/receiver/v1/http/{TOKEN}"));
    assert_eq!(asked[0].header("x-sumo-category"), "ai/audit");
    assert_eq!(asked[0].header("x-sumo-name"), "tollgate");
    assert_eq!(asked[0].header("x-sumo-host"), "gate-1");
    assert_eq!(asked[0].header("x-sumo-fields"), "env=test");
    assert_eq!(asked[0].header("content-encoding"), "gzip");
    assert_eq!(seen(&asked), ids(0..3));
    assert_eq!(asked[0].lines()[0], stored(&bench, 0).await?);
    sidecar.drain().await;
    Ok(())
}
