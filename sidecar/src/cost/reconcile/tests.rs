use super::*;
use crate::cost::bill::{self, Format};
use crate::cost::spend::{By, Per, Query};
use crate::cost::sql::tests::{at, call, spent};
use contract::audit::{Event, FineUsage, Outcome};
use contract::price::Used;
use serde_json::{Value, json};
use std::fs;

/// The provider's prices, written down a second time: nanodollars for input, output, five minutes,
/// an hour, read.
const PRICES: [(&str, [u64; 5]); 2] = [
    ("claude-haiku-4-5", [1_000, 5_000, 1_250, 2_000, 100]),
    ("claude-opus-4-8", [5_000, 25_000, 6_250, 10_000, 500]),
];

/// Calls of three days, of every kind, with odd numbers.
fn calls() -> Vec<Event<'static>> {
    let card = RateCard::shipped().unwrap();
    let mut seed = 7_u64;
    let mut next = |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % most
    };
    (0..300)
        .map(|index| {
            let (model, _) = PRICES[index % 2];
            let [input, output, write, hour, read, searches] =
                [next(9_000), next(3_000), next(20_000), next(5_000), next(90_000), next(3)];
            let used = Used {
                input,
                output,
                cache_write: write + hour,
                cache_write_1h: hour,
                cache_read: read,
                web_searches: searches,
                ..Used::default()
            };
            let mut event = Event {
                model: Some(model.into()),
                tokens_in: Some(input),
                tokens_out: Some(output),
                tokens_cache_write: Some(write + hour),
                tokens_cache_read: Some(read),
                cost_micro: card.cost_micro("anthropic", &[(model, used)]),
                ..call(&format!("2026-11-{}T10:00:00.{index:06}Z", 16 + index % 3))
            };
            event.payload.usage = Some(FineUsage {
                cache_write_1h: Some(hour),
                web_searches: Some(searches),
                ..FineUsage::default()
            });
            event
        })
        .collect()
}

/// The two reports that the provider makes of these calls, as it makes them.
fn reports(events: &[Event<'static>]) -> String {
    let mut buckets: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut amounts: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        let day = format!("2026-11-{}T00:00:00Z", 16 + index % 3);
        let model = event.model.as_deref().unwrap();
        let fine = event.payload.usage.unwrap();
        let counts = [
            event.tokens_in.unwrap(),
            event.tokens_out.unwrap(),
            event.tokens_cache_write.unwrap() - fine.cache_write_1h.unwrap(),
            fine.cache_write_1h.unwrap(),
            event.tokens_cache_read.unwrap(),
        ];
        let searches = fine.web_searches.unwrap();
        let (_, prices) = PRICES.iter().find(|(name, _)| *name == model).unwrap();
        let nanos: u64 = counts.iter().zip(prices).map(|(count, price)| count * price).sum();
        let cents = format!("{}.{:07}", nanos / 10_000_000, nanos % 10_000_000);
        buckets.entry(day.clone()).or_default().push(json!({
            "model": format!("{model}-20251001"), "service_tier": "standard",
            "uncached_input_tokens": counts[0], "output_tokens": counts[1],
            "cache_creation": {"ephemeral_5m_input_tokens": counts[2],
                "ephemeral_1h_input_tokens": counts[3]},
            "cache_read_input_tokens": counts[4],
            "server_tool_use": {"web_search_requests": searches},
        }));
        let lines = amounts.entry(day).or_default();
        lines.push(json!({"currency": "USD", "amount": cents, "cost_type": "tokens",
            "model": format!("{model}-20251001")}));
        lines.push(json!({"currency": "USD", "amount": searches.to_string(), // one cent each
            "cost_type": "web_search", "model": null}));
    }
    let page = |of: BTreeMap<String, Vec<Value>>| {
        let data: Vec<Value> = of
            .into_iter()
            .map(|(day, results)| json!({"starting_at": day, "ending_at": day, "results": results}))
            .collect();
        json!({"data": data, "has_more": false, "next_page": null}).to_string()
    };
    format!("{}\n{}\n", page(buckets), page(amounts))
}

/// Rows beside a bill, through the database and the file.
async fn compared(rows: &[Event<'static>], bill: &str, format: Format) -> Compared {
    let query = Query {
        by: vec![By::Provider, By::Model],
        per: Some(Per::Day),
        from: at("2026-11-16"),
        to: at("2026-11-19"),
        tenant: None,
    };
    let spent = spent(rows, &query).await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("bill");
    fs::write(&file, bill).unwrap();
    let bill = bill::read(&file, Some(format)).unwrap().within("2026-11-16", "2026-11-19");
    compare(&spent, bill, &RateCard::shipped().unwrap())
}

async fn reported(rows: &[Event<'static>], billed: &[Event<'static>]) -> Compared {
    compared(rows, &reports(billed), Format::Anthropic).await
}

/// Where quantities differ.
fn different(compared: &Compared) -> Vec<(&str, &str, Unit, i128)> {
    let lines = compared.counted.iter().flatten().filter(|line| line.ours != line.theirs);
    lines
        .map(|line| {
            let apart = i128::from(line.ours) - i128::from(line.theirs);
            (line.key.day.as_str(), line.key.model.as_str(), line.unit, apart)
        })
        .collect()
}

#[tokio::test]
async fn a_bill_of_the_same_calls_differs_by_nothing() {
    let calls = calls();

    let found = reported(&calls, &calls).await;

    assert_eq!(found.counted.as_ref().map(Vec::len), Some(3 * 2 * 6), "days, models, kinds");
    assert_eq!(different(&found), []);
    assert_eq!(found.charged.as_ref().map(Vec::len), Some(3), "days with searches as a whole");
    assert_eq!(found.charged_apart(), Money::default());
    assert!(found.agrees(0) && found.gaps.is_empty());
}

#[tokio::test]
async fn one_row_that_is_altered_is_found() {
    let billed = calls();
    let mut rows = billed.clone();
    rows[4].tokens_out = rows[4].tokens_out.map(|tokens| tokens - 1);

    let found = reported(&rows, &billed).await;

    assert_eq!(different(&found), [("2026-11-17", "claude-haiku-4-5", Unit::Output, -1)]);
    assert_eq!(found.counted_apart(), Some(Money::from_micro(5)), "a token at 5 dollars a million");
    assert!(!found.agrees(4) && found.agrees(5));
}

#[tokio::test]
async fn one_row_with_another_price_is_found() {
    let billed = calls();
    let mut rows = billed.clone();
    rows[4].cost_micro = rows[4].cost_micro.map(|cost| cost + 1_000);

    let found = reported(&rows, &billed).await;

    assert_eq!(different(&found), []);
    let apart = found.charged_apart();
    assert!(apart > Money::from_micro(900) && apart <= Money::from_micro(1_000), "{apart}");
    assert!(!found.agrees(0) && found.agrees(1_000));
}

#[tokio::test]
async fn an_hour_taken_for_five_minutes_is_found_and_differences_do_not_cancel() {
    let billed = calls();
    let mut rows = billed.clone();
    let usage = rows[0].payload.usage.as_mut().unwrap();
    usage.cache_write_1h = usage.cache_write_1h.map(|tokens| tokens - 100);

    let found = reported(&rows, &billed).await;

    let day = "2026-11-16";
    assert_eq!(
        different(&found),
        [
            (day, "claude-haiku-4-5", Unit::CacheWrite5m, 100),
            (day, "claude-haiku-4-5", Unit::CacheWrite1h, -100),
        ]
    );
    assert_eq!(found.counted_apart(), Some(Money::from_micro(125 + 200)));
}

#[tokio::test]
async fn a_call_that_left_no_usage_is_named_as_a_reason() {
    let billed = calls();
    let mut rows = billed.clone();
    rows[4] = Event {
        tokens_in: None,
        tokens_out: None,
        tokens_cache_write: None,
        tokens_cache_read: None,
        cost_micro: None,
        complete: false,
        outcome: Outcome::Error,
        payload: contract::audit::Payload::default(),
        ..rows[4].clone()
    };

    let found = reported(&rows, &billed).await;

    assert!(!found.agrees(0));
    let [gap] = found.gaps.as_slice() else { panic!("one gap: {:?}", found.gaps) };
    assert_eq!((gap.key.day.as_str(), gap.key.model.as_str()), ("2026-11-17", "claude-haiku-4-5"));
    assert_eq!((gap.unmetered, gap.incomplete, gap.unpriced), (1, 1, 1));
}

#[tokio::test]
async fn a_table_is_compared_like_a_report() {
    let rows = [
        call("2026-11-16T10:00:00Z"),
        Event { provider: Some("bedrock".into()), ..call("2026-11-16T11:00:00Z") },
    ];
    let bill = "day,provider,model,kind,quantity,cost_usd\n\
        2026-11-16,anthropic,claude-sonnet-4-5,input,10,0.00003\n\
        2026-11-16,anthropic,claude-sonnet-4-5,output,20,0.0003\n\
        2026-11-20,anthropic,claude-sonnet-4-5,output,99,9\n";

    let found = compared(&rows, bill, Format::Csv).await;

    assert!(found.agrees(0), "{found:?}");
    assert_eq!(found.others.iter().collect::<Vec<_>>(), ["bedrock"], "not on this bill");
    assert_eq!(found.outside, 2, "a quantity and an amount");
}

#[tokio::test]
async fn a_difference_without_a_price_is_never_within_a_tolerance() {
    let rows = [Event { provider: Some("own".into()), ..call("2026-11-16T10:00:00Z") }];
    let bill = "day,provider,model,kind,quantity\n2026-11-16,own,claude-sonnet-4-5,input,11\n\
        2026-11-16,own,claude-sonnet-4-5,output,20\n";

    let found = compared(&rows, bill, Format::Csv).await;

    assert_eq!(found.counted_apart(), None);
    assert!(!found.agrees(u64::MAX));
}
