//! `GET /v1/models`: the models that this caller may use, page by page (Anthropic API, "List Models").

use contract::policy::Offered;
use serde::Serialize;

/// How many are on a page unless said.
const PAGE: usize = 20;

/// How many may be on a page.
const MOST: usize = 1000;

/// What stands for a date that nobody published.
const EPOCH: &str = "1970-01-01T00:00:00Z";

#[derive(Serialize)]
struct Page<'a> {
    data: Vec<Model<'a>>,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
    has_more: bool,
}

#[derive(Serialize)]
struct Model<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'a str,
}

/// The page that a query asks for: `limit`, `after_id`, `before_id`. What it says otherwise, and an id
/// that is not there, does not count.
pub fn page(offered: &[&Offered], query: &str) -> String {
    let asked =
        |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let at = |id: &str| offered.iter().position(|model| model.id == id);
    let limit = asked("limit").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE);
    let limit = usize::clamp(limit, 1, MOST);
    let (start, end, before) =
        match (asked("after_id").and_then(at), asked("before_id").and_then(at)) {
            (Some(after), _) => (after.saturating_add(1), offered.len(), false),
            (None, Some(before)) => (before.saturating_sub(limit), before, true),
            (None, None) => (0, offered.len(), false),
        };
    let models = offered.get(start..end).unwrap_or_default();
    let shown = models.get(..limit).unwrap_or(models);
    let has_more = if before { start > 0 } else { models.len() > shown.len() };
    let data: Vec<Model<'_>> = shown.iter().map(|offered| model(offered)).collect();
    let (first_id, last_id) = (data.first().map(|m| m.id), data.last().map(|m| m.id));

    serde_json::to_string(&Page { data, first_id, last_id, has_more }).unwrap_or_default()
}

fn model(offered: &Offered) -> Model<'_> {
    let Offered { id, display_name, created_at } = offered;

    Model {
        kind: "model",
        id,
        display_name: display_name.as_deref().unwrap_or(id),
        created_at: created_at.as_deref().unwrap_or(EPOCH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn ids(count: usize, query: &str) -> (Vec<String>, bool) {
        let models: Vec<Offered> = (0..count)
            .map(|n| Offered { id: format!("m-{n}"), display_name: None, created_at: None })
            .collect();
        let page = page(&models.iter().collect::<Vec<_>>(), query);
        let page: Value = serde_json::from_str(&page).unwrap();
        let ids = page["data"].as_array().unwrap().iter();
        (ids.map(|m| m["id"].as_str().unwrap().into()).collect(), page["has_more"] == true)
    }

    #[test]
    fn pages_are_cut_as_the_api_says() {
        let of =
            |range: std::ops::Range<usize>| range.map(|n| format!("m-{n}")).collect::<Vec<_>>();

        assert_eq!(ids(3, ""), (of(0..3), false));
        assert_eq!(ids(25, ""), (of(0..20), true));
        assert_eq!(ids(25, "limit=1000"), (of(0..25), false));
        assert_eq!(ids(25, "beta=true&limit=2&after_id=m-3"), (of(4..6), true));
        assert_eq!(ids(25, "limit=2&after_id=m-22"), (of(23..25), false));
        assert_eq!(ids(25, "limit=2&before_id=m-3"), (of(1..3), true));
        assert_eq!(ids(25, "limit=5&before_id=m-3"), (of(0..3), false));
        assert_eq!(ids(25, "limit=0"), (of(0..1), true));
        assert_eq!(ids(0, "limit=x"), (vec![], false));
        assert_eq!(ids(2, "after_id=gone"), (of(0..2), false));
    }

    #[test]
    fn a_model_looks_as_the_sdk_reads_it() {
        let model = Offered { id: "a".into(), display_name: Some("A".into()), created_at: None };

        assert_eq!(
            page(&[&model], ""),
            r#"{"data":[{"type":"model","id":"a","display_name":"A","created_at":"1970-01-01T00:00:00Z"}],"first_id":"a","last_id":"a","has_more":false}"#
        );
    }
}
