use super::*;
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn cost(model: &str, used: &Used<'_>) -> Option<u64> {
    RateCard::shipped().unwrap().cost_micro("anthropic", &[(model, *used)])
}

/// The shipped card under these negotiated lines.
fn negotiated(rates: &str) -> RateCard {
    let sheet = format!(r#"{{"as_of":"2026-11-01","source":"order form","rates":{rates}}}"#);
    RateCard::shipped().unwrap().with(serde_json::from_str(&sheet).unwrap()).unwrap()
}

fn input(card: &RateCard, provider: &str, model: &str) -> Option<u64> {
    card.nanos(provider, model, Unit::Input)
}

#[test]
fn each_kind_has_its_price() {
    let million = 1_000_000;
    let sonnet = |used| cost("claude-sonnet-4-5", &used);
    for (used, dollars_in_cents) in [
        (Used { input: million, ..Used::default() }, 300),
        (Used { output: million, ..Used::default() }, 1500),
        (Used { cache_write: million, ..Used::default() }, 375),
        (Used { cache_write: million, cache_write_1h: million, ..Used::default() }, 600),
        (Used { cache_read: million, ..Used::default() }, 30),
        (Used { web_searches: 1000, ..Used::default() }, 1000),
    ] {
        assert_eq!(sonnet(used), Some(dollars_in_cents * 10_000), "{used:?}");
    }
}

#[test]
fn a_small_call_is_not_lost_in_rounding() {
    let one = Used { cache_read: 1, ..Used::default() };
    assert_eq!(cost("claude-opus-4-8", &one), Some(1), "half a microdollar rounds up");
    assert_eq!(cost("claude-haiku-4-5", &one), Some(0), "a tenth does not");
    assert_eq!(
        cost("claude-haiku-4-5", &Used { input: 25, output: 15, ..Used::default() }),
        Some(100)
    );
}

#[test]
fn what_is_not_known_is_unknown_and_never_zero() {
    let used = Used { input: 1, ..Used::default() };
    assert_eq!(cost("gpt-5", &used), None);
    assert_eq!(
        RateCard::shipped().unwrap().cost_micro("bedrock", &[("claude-opus-4-8", used)]),
        None
    );
    assert_eq!(cost("claude-opus-4-8", &Used { tier: Some("priority"), ..used }), None);
    assert_eq!(cost("claude-opus-4-8", &Used { region: Some("mars"), ..used }), None);
    assert_eq!(cost("claude-opus-4-8", &Used { input: u64::MAX, ..used }), None, "nonsense");
    let torn = Used { cache_write: 1, cache_write_1h: 2, ..Used::default() };
    assert_eq!(cost("claude-opus-4-8", &torn), None, "a part larger than the whole");
}

#[test]
fn a_call_of_several_models_is_the_sum_at_each_one_s_price_rounded_once() {
    let card = RateCard::shipped().unwrap();
    let one = Used { input: 1, ..Used::default() };
    let read = Used { cache_read: 1, ..Used::default() };

    let both = [("claude-haiku-4-5", one), ("claude-opus-4-8", one)];
    assert_eq!(card.cost_micro("anthropic", &both), Some(6));
    let halves = [("claude-opus-4-8", read), ("claude-opus-4-8", read)];
    assert_eq!(card.cost_micro("anthropic", &halves), Some(1), "not one and one");
    let unknown = [("claude-haiku-4-5", one), ("claude-next", one)];
    assert_eq!(card.cost_micro("anthropic", &unknown), None, "half a price is none");
}

#[test]
fn a_region_has_its_factor() {
    let used = Used { input: 1_000_000, region: Some("us"), ..Used::default() };
    assert_eq!(cost("claude-opus-4-8", &used), Some(5_500_000));
}

/// github.com/BerriAI/litellm/issues/29432
#[test]
fn litellm_29432_what_is_cached_for_an_hour_is_not_billed_as_for_five_minutes() {
    let used = Used { cache_write: 6_179, cache_write_1h: 6_179, ..Used::default() };
    assert_eq!(cost("claude-opus-4-8", &used), Some(61_790), "at 10 dollars, not at 6.25");

    let both = Used { cache_write: 10_000, cache_write_1h: 6_000, ..Used::default() };
    assert_eq!(cost("claude-opus-4-8", &both), Some(60_000 + 25_000), "each part at its own");
}

/// github.com/BerriAI/litellm/issues/9812: the numbers, and what the provider's console said.
#[test]
fn litellm_9812_what_is_written_to_a_cache_is_not_billed_as_input_too() {
    let used = Used { input: 3, cache_write: 12_304, output: 550, ..Used::default() };
    assert_eq!(cost("claude-sonnet-4-5", &used), Some(54_399), "and not 91,311");
}

/// github.com/BerriAI/litellm/issues/29145
#[test]
fn litellm_29145_a_call_that_only_the_cache_served_is_not_free() {
    let used = Used { cache_read: 100_000, ..Used::default() };
    assert_eq!(cost("claude-sonnet-4-5", &used), Some(30_000));
    assert_eq!(cost("claude-none-9", &used), None, "and without a price it is unknown");
}

/// github.com/maximhq/bifrost/issues/904: its numbers, at Sonnet's prices.
#[test]
fn bifrost_904_what_is_read_from_a_cache_is_not_billed_at_the_full_price() {
    let used = Used { input: 51_232, cache_read: 1_188_096, output: 12_909, ..Used::default() };
    let dollars = 153_696 + 356_429 + 193_635; // the reads are 356,428.8
    assert_eq!(cost("claude-sonnet-4-5", &used), Some(dollars));
}

/// github.com/maximhq/bifrost/issues/3451: the provider charged 1.06376125 dollars, 1.85984625 were
/// logged.
#[test]
fn bifrost_3451_a_stream_s_cache_write_is_billed_once() {
    let used = Used { input: 6, cache_write: 159_217, output: 2_745, ..Used::default() };
    assert_eq!(cost("claude-opus-4-7", &used), Some(1_063_761));
}

#[test]
fn a_negotiated_line_stands_before_the_list() {
    let card = negotiated(
        r#"[{"provider":"anthropic","models":["claude-opus-*"],"input":"4","output":"20",
             "cache_write_5m":"5","cache_write_1h":"8","cache_read":"0.40"},
            {"provider":"bedrock","models":["us.anthropic.claude-haiku-4-5-20251001-v1:0"],
             "input":"1.10","output":"5.50","cache_write_5m":"1.375","cache_write_1h":"2.20",
             "cache_read":"0.11"}]"#,
    );

    assert_eq!(input(&card, "anthropic", "claude-opus-4-8"), Some(4_000), "even as a pattern");
    assert_eq!(input(&card, "anthropic", "claude-sonnet-4-5"), Some(3_000), "the list's");
    assert_eq!(input(&card, "bedrock", "claude-haiku-4-5"), Some(1_100), "names are normalised");
    assert_eq!(input(&card, "bedrock", "claude-opus-4-8"), None);
    assert_eq!(card.as_of(), "2026-11-01");
    let used = Used { input: 1, region: Some("us"), ..Used::default() };
    assert_eq!(
        card.cost_micro("anthropic", &[("claude-opus-4-8", used)]),
        None,
        "what is agreed says nothing of that region"
    );
}

#[test]
fn a_discount_takes_its_part_off_each_kind() {
    let card = negotiated(
        r#"[{"provider":"anthropic","models":["*"],"discount":"0.15"},
            {"provider":"anthropic","models":["claude-3-5-haiku"],"discount":"0.125"}]"#,
    );

    let sonnet = |unit| card.nanos("anthropic", "claude-sonnet-4-5", unit);
    let prices: Vec<_> = Unit::ALL.into_iter().map(sonnet).collect();
    assert_eq!(
        prices,
        [2_550, 12_750, 3_188, 5_100, 255, 10_000_000].map(Some),
        "3187.5 is rounded up; a search has a price of its own"
    );
    assert_eq!(input(&card, "anthropic", "claude-3-5-haiku"), Some(700), "one discount, not two");
    assert_eq!(input(&card, "anthropic", "claude-none-9"), None, "nothing to take it off");
    let used = Used { input: 1_000_000, region: Some("us"), ..Used::default() };
    assert_eq!(card.cost_micro("anthropic", &[("claude-opus-4-8", used)]), Some(4_675_000));
}

#[test]
fn a_name_beats_a_pattern_and_a_narrow_pattern_a_wide_one() {
    let line = |model: &str, price: u32| {
        format!(
            r#"{{"provider":"p","models":["{model}"],"input":"{price}","output":"1",
                "cache_write_5m":"1","cache_write_1h":"1","cache_read":"1"}}"#
        )
    };
    let lines = [line("*", 1), line("claude-*", 2), line("claude-x", 3), line("claude-*-y", 4)];
    let card = negotiated(&format!("[{}]", lines.join(",")));

    for (model, price) in
        [("gpt-5", 1_000), ("claude-z", 2_000), ("claude-x", 3_000), ("claude-x-y", 4_000)]
    {
        assert_eq!(input(&card, "p", model), Some(price), "{model}");
    }
    let card = negotiated(&format!("[{},{}]", line("a*", 1), line("*a", 2)));
    assert_eq!(input(&card, "p", "aba"), None, "neither is the more specific: nobody guesses");
    assert_eq!(input(&card, "p", "ab"), Some(1_000));
}

#[test]
fn a_negotiated_search_replaces_the_list_s() {
    let sheet = r#"{"as_of":"2026-11-01","source":"s","web_search":{"anthropic":"8.5"}}"#;
    let card = RateCard::shipped().unwrap().with(serde_json::from_str(sheet).unwrap()).unwrap();

    assert_eq!(card.nanos("anthropic", "any", Unit::WebSearch), Some(8_500_000));
    assert_eq!(card.nanos("bedrock", "any", Unit::WebSearch), None);
}

prop_compose! {
    /// What real calls use, and more.
    fn usage()(
        input in 0_u64..3_000_000,
        output in 0_u64..300_000,
        cache_read in 0_u64..3_000_000,
        short in 0_u64..1_000_000,
        long in 0_u64..1_000_000,
        web_searches in 0_u64..50,
    ) -> Used<'static> {
        Used {
            input, output, cache_read, web_searches,
            cache_write: short + long,
            cache_write_1h: long,
            ..Used::default()
        }
    }
}

fn added(one: &Used<'static>, other: &Used<'static>) -> Used<'static> {
    Used {
        input: one.input + other.input,
        output: one.output + other.output,
        cache_write: one.cache_write + other.cache_write,
        cache_write_1h: one.cache_write_1h + other.cache_write_1h,
        cache_read: one.cache_read + other.cache_read,
        web_searches: one.web_searches + other.web_searches,
        ..Used::default()
    }
}

proptest! {
    #[test]
    fn two_calls_cost_what_they_cost_together(one in usage(), other in usage()) {
        let both = cost("claude-opus-4-8", &added(&one, &other)).unwrap();
        let sum = cost("claude-opus-4-8", &one).unwrap() + cost("claude-opus-4-8", &other).unwrap();

        prop_assert!(sum.abs_diff(both) <= 1, "but for half a microdollar of rounding each");
    }

    #[test]
    fn more_never_costs_less(one in usage(), more in usage(), off in 1_u32..1_000) {
        let card = negotiated(&format!(
            r#"[{{"provider":"anthropic","models":["*"],"discount":"0.{off:03}"}}]"#
        ));
        let all = added(&one, &more);
        let price =
            |used: &Used<'_>| card.cost_micro("anthropic", &[("claude-haiku-4-5", *used)]).unwrap();

        prop_assert!(price(&all) >= price(&one));
        prop_assert!(price(&one) <= cost("claude-haiku-4-5", &one).unwrap(), "a discount is one");
    }

    #[test]
    fn a_price_is_the_sum_of_its_units(used in usage()) {
        let card = RateCard::shipped().unwrap();
        let of = |unit| card.nanos("anthropic", "claude-sonnet-4-5", unit).unwrap();
        let nanos = used.input * of(Unit::Input) + used.output * of(Unit::Output)
            + (used.cache_write - used.cache_write_1h) * of(Unit::CacheWrite5m)
            + used.cache_write_1h * of(Unit::CacheWrite1h) + used.cache_read * of(Unit::CacheRead)
            + used.web_searches * of(Unit::WebSearch);

        prop_assert_eq!(cost("claude-sonnet-4-5", &used), Some((nanos + 500) / 1000));
    }
}
