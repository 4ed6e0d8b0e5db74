use super::*;
use serde_json::Value;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// How far off the median of the estimates of input may be, in hundredths.
const BOUND: u64 = 25;

const BODIES: [(&str, &str); 8] = [
    ("agent", include_str!("../../data/estimate/agent.json")),
    ("code", include_str!("../../data/estimate/code.json")),
    ("german", include_str!("../../data/estimate/german.json")),
    ("image", include_str!("../../data/estimate/image.json")),
    ("json", include_str!("../../data/estimate/json.json")),
    ("logs", include_str!("../../data/estimate/logs.json")),
    ("prose", include_str!("../../data/estimate/prose.json")),
    ("tools", include_str!("../../data/estimate/tools.json")),
];

fn of(call: &Call<'_>) -> Estimate<'static> {
    let rates = Box::leak(Box::new(RateCard::shipped().unwrap()));
    estimate(&Ratios::shipped().unwrap(), rates, call)
}

/// The errors of the estimates for a model, hundredths, against counts by its tokenizer.
fn errors(model: &str, tokenizer: &str) -> Vec<(u64, String)> {
    let counts: Value =
        serde_json::from_str(include_str!("../../data/estimate/counts.json")).unwrap();
    let mut errors = Vec::new();
    for counted in counts["bodies"].as_array().unwrap() {
        let name = counted["name"].as_str().unwrap();
        let bytes = counted["bytes"].as_u64().unwrap();
        let body = BODIES.iter().find(|(file, _)| *file == name).map_or_else(
            || Body { bytes, ..Body::default() },
            |(_, text)| Body::read(text.as_bytes()),
        );
        assert_eq!((body.bytes, Some(body.images)), (bytes, counted["images"].as_u64()), "{name}");
        let told = of(&Call { model, body, ..Call::default() });
        let (input, exact) = (told.input - told.image_tokens, counted[tokenizer].as_u64().unwrap());
        errors.push((input.abs_diff(exact) * 100 / exact, format!("{name}: {input} for {exact}")));
    }
    errors.sort();

    errors
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure is what the test is read for")]
fn input_is_told_from_the_size_within_the_bound() {
    for (model, tokenizer) in [("claude-sonnet-4-5", "3"), ("claude-opus-4-8", "4.7")] {
        let errors = errors(model, tokenizer);
        let (median, _) = errors[errors.len() / 2];
        println!("{model}: median error {median} %, {errors:?}");
        assert!(median <= BOUND, "{model}: {median} %, {errors:?}");
    }
}

#[test]
fn the_ratios_are_the_medians_of_what_was_counted() {
    let counts: Value =
        serde_json::from_str(include_str!("../../data/estimate/counts.json")).unwrap();
    for (model, tokenizer) in [("claude-haiku-4-5", "3"), ("claude-sonnet-5", "4.7")] {
        let bodies = counts["bodies"].as_array().unwrap().iter();
        let mut ratios: Vec<u64> = bodies
            .filter(|body| body["images"] == 0)
            .map(|body| body["bytes"].as_u64().unwrap() * 1_000 / body[tokenizer].as_u64().unwrap())
            .collect();
        ratios.sort_unstable();
        let (median, shipped) = (ratios[ratios.len() / 2], Ratios::shipped().unwrap());
        let ratio = shipped.of(model).unwrap().bytes_per_1000_tokens;
        assert!(ratio.abs_diff(median) < 10, "{model}: {ratio}, and the median is {median}");
    }
}

#[test]
fn output_is_what_is_usual_and_never_more_than_is_allowed() {
    let output = |max_tokens, usual| {
        let told = of(&Call { model: "claude-sonnet-4-5", max_tokens, usual, ..Call::default() });
        (told.output, told.output_by)
    };

    assert_eq!(output(Some(32_000), Some(400)), (400, Output::Median));
    assert_eq!(output(Some(64), Some(400)), (64, Output::MaxTokens));
    assert_eq!(output(Some(32_000), None), (32_000, Output::MaxTokens));
    assert_eq!(output(None, Some(400)), (400, Output::Median));
    assert_eq!(output(None, None), (0, Output::Unknown));
}

#[test]
fn the_price_is_the_card_s_and_none_is_not_zero() {
    let body = Body { bytes: 33_100, ..Body::default() };
    let call = |model| Call { model, body, max_tokens: Some(1_000), usual: None };

    let sonnet = of(&call("claude-sonnet-4-5"));
    assert_eq!((sonnet.input, sonnet.provider), (10_000, Some("anthropic")));
    assert_eq!(sonnet.cost_micro, Some(45_000), "10,000 at 3 and 1,000 at 15 dollars a million");
    let stranger = of(&call("llama-99"));
    assert_eq!((stranger.provider, stranger.cost_micro), (None, None));
    let image = of(&Call { body: Body { images: 2, ..body }, ..call("claude-opus-4-8") });
    assert_eq!(image.image_tokens, 9_568);
}

#[test]
fn who_is_not_anthropic_s_has_the_price_of_who_offers_it() {
    let card = r#"{"as_of":"2026-11-21","source":"s","rates":[{"provider":"other","models":["m-*"],
        "input":"1","output":"2","cache_write_5m":"1","cache_write_1h":"1","cache_read":"1"}]}"#;
    let (rates, ratios) = (RateCard::parse(card.as_bytes()).unwrap(), Ratios::shipped().unwrap());

    let call = Call { model: "m-1", max_tokens: Some(500), ..Call::default() };
    let told = estimate(&ratios, &rates, &call);
    assert_eq!((told.provider, told.cost_micro), (Some("other"), Some(1_000)));
}
