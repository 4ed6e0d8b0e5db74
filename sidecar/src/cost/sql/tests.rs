use super::*;
use crate::cost::spend::Spend;
use crate::settings::{Data, Postgres};
use crate::store::Store;
use contract::audit::{Event, FineUsage, Kind, Outcome, Payload};

/// What both databases answer, once these rows are stored in each.
pub(in crate::cost) async fn spent(events: &[Event<'static>], query: &Query) -> Vec<Spend> {
    let url = cluster::shared().unwrap().database().unwrap();
    let embedded = answered(None, events, query).await;
    let postgres = answered(Some(Postgres { url, read_url: None }), events, query).await;
    assert_eq!(embedded, postgres, "both databases say the same");
    embedded
}

async fn answered(
    postgres: Option<Postgres>,
    events: &[Event<'static>],
    query: &Query,
) -> Vec<Spend> {
    let place = tempfile::tempdir().unwrap();
    let data = Data::new(place.path()).with_postgres(postgres);
    let store = Store::create(&data).await.unwrap();
    let named = |(index, event): (usize, &Event<'static>)| Event {
        event_id: format!("e{index}").into(),
        ..event.clone()
    };
    let events: Vec<_> = events.iter().enumerate().map(named).collect();
    store.append(&events, None).await.unwrap();
    let mut spent = store.spend(query).await.unwrap();
    store.close().await;
    spent.sort_by(|one, other| (&one.period, &one.keys).cmp(&(&other.period, &other.keys)));
    spent
}

pub(in crate::cost) fn at(time: &str) -> u64 {
    clock::day_or_point(time).unwrap()
}

/// A served call of Ann's.
pub(in crate::cost) fn call(time: &str) -> Event<'static> {
    Event {
        occurred_at: at(time),
        tenant_id: "acme".into(),
        user_id: "ann@example.com".into(),
        model: Some("claude-sonnet-4-5".into()),
        provider: Some("anthropic".into()),
        tokens_in: Some(10),
        tokens_out: Some(20),
        cost_micro: Some(330),
        outcome: Outcome::Allowed,
        complete: true,
        ..Event::default()
    }
}

fn year(by: &[By], per: Option<Per>) -> Query {
    Query { by: by.to_vec(), per, from: at("2026-01-01"), to: at("2027-01-01"), tenant: None }
}

#[tokio::test]
async fn rows_are_summed_by_what_is_asked_for() {
    let payload = Payload {
        cost_centre: Some("cc-7".into()),
        usage: Some(FineUsage {
            cache_write_1h: Some(4),
            web_searches: Some(2),
            ..FineUsage::default()
        }),
        ..Payload::default()
    };
    let cached = Event {
        tokens_cache_write: Some(10),
        tokens_cache_read: Some(7),
        agent_id: Some("scout".into()),
        payload,
        ..call("2026-11-16T08:00:00Z")
    };
    let bob = Event { user_id: "bob@example.com".into(), ..call("2026-11-16T09:00:00Z") };
    let events = [call("2026-11-16T07:00:00Z"), cached, bob];

    let found = spent(&events, &year(&[By::User, By::CostCentre, By::Agent], None)).await;

    let keys: Vec<Vec<&str>> = found
        .iter()
        .map(|group| group.keys.iter().map(|key| key.as_deref().unwrap_or("none")).collect())
        .collect();
    assert_eq!(
        keys,
        [
            ["ann@example.com", "none", "none"],
            ["ann@example.com", "cc-7", "scout"],
            ["bob@example.com", "none", "none"],
        ]
    );
    let group = &found[1];
    assert_eq!((group.calls, group.cost_micro, group.period.as_deref()), (1, 330, None));
    let tokens = group.tokens;
    assert_eq!((tokens.input, tokens.output, tokens.cache_read), (10, 20, 7));
    assert_eq!((tokens.cache_write_5m, tokens.cache_write_1h), (6, 4), "the rest is five minutes'");
    assert_eq!((tokens.web_searches, tokens.all()), (2, 47), "searches are no tokens");
}

#[tokio::test]
async fn days_weeks_and_months_begin_in_utc_and_weeks_on_monday() {
    let events = [
        call("2026-01-01T00:00:00Z"), // a Thursday
        call("2026-01-04T23:59:59Z"), // a Sunday
        call("2026-01-05T00:00:00Z"), // a Monday
        call("2026-02-28T23:30:00-01:00"),
    ];
    for (per, first_days) in [
        (Per::Day, vec!["2026-01-01", "2026-01-04", "2026-01-05", "2026-03-01"]),
        (Per::Week, vec!["2025-12-29", "2026-01-05", "2026-02-23"]),
        (Per::Month, vec!["2026-01-01", "2026-03-01"]),
    ] {
        let found = spent(&events, &year(&[], Some(per))).await;
        let periods: Vec<_> = found.iter().map(|group| group.period.as_deref().unwrap()).collect();
        assert_eq!(periods, first_days, "{per:?}");
    }
}

#[tokio::test]
async fn what_may_be_billed_counts_and_what_was_refused_does_not() {
    let time = "2026-11-16T08:00:00Z";
    let nothing = Event { tokens_in: None, tokens_out: None, cost_micro: None, ..call(time) };
    let events = [
        call(time),
        Event { outcome: Outcome::Denied, ..nothing.clone() },
        Event { kind: Kind::Count, cost_micro: Some(0), ..call(time) },
        Event { kind: Kind::Admin, ..nothing.clone() },
        Event { outcome: Outcome::Error, ..nothing.clone() }, // the provider refused
        Event { outcome: Outcome::Error, complete: false, ..nothing.clone() }, // never answered
        Event { outcome: Outcome::Error, complete: false, ..call(time) }, // broke off
        Event { cost_micro: None, ..call(time) },             // no price
    ];

    let found = spent(&events, &year(&[], None)).await;

    assert_eq!(found.len(), 1);
    let group = &found[0];
    assert_eq!((group.calls, group.cost_micro), (4, 660));
    assert_eq!((group.unpriced, group.incomplete, group.unmetered), (2, 2, 1));
    assert_eq!(group.cost(), Some(660), "the least it can be");
    let apart = spent(&events, &year(&[By::Priced], None)).await;
    assert_eq!((apart[0].keys[0].as_deref(), apart[0].cost()), (Some(UNPRICED), None));
}

#[tokio::test]
async fn a_period_begins_with_its_first_moment_and_ends_before_its_last() {
    let other = Event { tenant_id: "agency".into(), ..call("2026-11-16T08:00:00Z") };
    let events = [call("2026-11-16T00:00:00Z"), call("2026-11-17T00:00:00Z"), other];
    let day = Query { from: at("2026-11-16"), to: at("2026-11-17"), ..year(&[], None) };

    let all = spent(&events, &day).await;
    let acme = spent(&events, &Query { tenant: Some("acme".into()), ..day.clone() }).await;
    let nobody = spent(&events, &Query { tenant: Some("' OR 1".into()), ..day }).await;

    assert_eq!((all[0].calls, acme[0].calls, nobody.len()), (2, 1, 0));
}

#[test]
fn postgres_is_asked_the_same_in_its_own_words() {
    let query = Query {
        tenant: Some("acme".into()),
        ..year(&[By::CostCentre, By::Model], Some(Per::Week))
    };

    let asked = statement(&query, Dialect::Postgres);

    assert!(asked.text.starts_with(
        "SELECT to_char(date_trunc('week', occurred_at AT TIME ZONE 'UTC'), 'YYYY-MM-DD'), \
         payload ->> 'cost_centre', model, CAST(COALESCE(COUNT(*), 0) AS BIGINT), "
    ));
    assert!(asked.text.ends_with(
        "FROM audit_events WHERE occurred_at >= CAST(CAST($1 AS TEXT) AS TIMESTAMPTZ) \
         AND occurred_at < CAST(CAST($2 AS TEXT) AS TIMESTAMPTZ) AND kind = 'inference' \
         AND (outcome = 'allowed' OR (outcome = 'error' AND (CAST(complete AS INTEGER) = 0 \
         OR tokens_in IS NOT NULL OR tokens_out IS NOT NULL))) \
         AND tenant_id = CAST($3 AS TEXT) GROUP BY 1, 2, 3"
    ));
    assert!(!asked.text.contains("json_extract") && !asked.text.contains('?'));
    assert_eq!(asked.parameters[2], "acme");
    assert_eq!((asked.parameters.len(), asked.keys), (3, 2));
    assert_eq!(asked.parameters[0], "2026-01-01T00:00:00.000000Z");
}
