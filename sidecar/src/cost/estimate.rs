//! `tollgate cost estimate`: what the gate expects a call to cost, step by step.

use crate::args::cost::EstimateArgs;
use crate::failure::Failure;
use crate::screen::{STDIN, Screen};
use contract::estimate::{self, Body, Classes, Estimate, Ratios};
use contract::model;
use contract::price::{RateCard, Unit};
use serde_json::{Value, json};

/// What is asked for.
struct Asked {
    model: String,
    body: Body,
    max_tokens: Option<u64>,
}

/// Explains an estimate, by the prices of this card.
pub fn run(args: &EstimateArgs, card: &RateCard, screen: &mut Screen) -> Result<(), Failure> {
    let asked = asked(args, screen)?;
    let classes =
        match &*args.classes {
            [] => None,
            list => Some(Classes::check(list.to_vec()).map_err(|faults| {
                Failure::Refused(format!("--class{}", faults.join("; --class")))
            })?),
        };
    let ratios = Ratios::shipped()?;
    let Asked { model, body, max_tokens } = &asked;
    let call = estimate::Call { model, body: *body, max_tokens: *max_tokens, usual: args.median };
    let told = estimate::estimate(&ratios, card, &call);
    let class = classes.as_ref().map(|classes| classes.of(told.cost_micro));
    if screen.json() {
        return screen.object(&object(&asked, &told, class, &ratios, card));
    }

    screen.table(&["STEP", "IS", "BY"], &steps(&asked, &told, class, &ratios, card))
}

/// Model, size and limit: said, or read from the body.
fn asked(args: &EstimateArgs, screen: &mut Screen) -> Result<Asked, Failure> {
    let (mut named, mut max_tokens) = (args.model.clone(), args.max_tokens);
    let body = match &args.body {
        None => Body { bytes: args.bytes.unwrap_or_default(), ..Body::default() },
        Some(path) => {
            let bytes = if path.as_os_str() == STDIN {
                screen.stdin()?
            } else {
                std::fs::read(path)
                    .map_err(|error| Failure::Refused(format!("{}: {error}", path.display())))?
            };
            // What is no JSON has a size all the same.
            let read: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            named = named.or_else(|| Some(read.get("model")?.as_str()?.to_owned()));
            max_tokens = max_tokens.or_else(|| read.get("max_tokens")?.as_u64());
            Body::read(&bytes)
        }
    };
    let Some(named) = named else {
        return Err(Failure::Refused("the body names no model: say which, by --model".into()));
    };
    let model = model::normalise(&named)
        .map_err(|error| Failure::Refused(format!("--model {named:?}: {error}")))?;

    Ok(Asked { model: model.into_owned(), body, max_tokens })
}

/// Dollars for a million tokens, from nanodollars for one.
fn price(card: &RateCard, told: &Estimate<'_>, model: &str, unit: Unit) -> Option<String> {
    let nanos = card.nanos(told.provider?, model, unit)?;

    Some(super::money::Money::from_nanos(nanos, 1_000_000).to_string())
}

fn dollars(micro: u64) -> String {
    super::money::Money::from_micro(micro).to_string()
}

fn steps(
    asked: &Asked,
    told: &Estimate<'_>,
    class: Option<&str>,
    ratios: &Ratios,
    card: &RateCard,
) -> Vec<Vec<String>> {
    let Body { bytes, images, image_bytes } = asked.body;
    let Estimate { text_bytes, bytes_per_1000_tokens, image_tokens, input, output, .. } = *told;
    let output_by = match told.output_by {
        estimate::Output::MaxTokens => "the call allows no more",
        estimate::Output::Median => "the median of the model's answers",
        estimate::Output::Unknown => "neither --max-tokens nor --median is known",
    };
    let (price_is, price_by) = match told.provider {
        Some(provider) => {
            let of = |unit| price(card, told, &asked.model, unit).unwrap_or_default();
            let is = format!("{} in, {} out", of(Unit::Input), of(Unit::Output));
            (is, format!("{provider}, dollars a million tokens, as of {}", card.as_of()))
        }
        None => ("unknown".to_owned(), "nobody's card has a price".to_owned()),
    };
    let mut steps = vec![
        ("model", asked.model.clone(), "normalised".to_owned()),
        ("bytes", bytes.to_string(), format!("{image_bytes} of them are {images} images'")),
        (
            "text tokens",
            input.saturating_sub(image_tokens).to_string(),
            format!(
                "{text_bytes} bytes at {bytes_per_1000_tokens} for 1000 tokens, as of {}",
                ratios.as_of
            ),
        ),
        ("image tokens", image_tokens.to_string(), "the most that so many count as".to_owned()),
        ("input tokens", input.to_string(), "both, as if nothing were cached".to_owned()),
        ("output tokens", output.to_string(), output_by.to_owned()),
        ("price", price_is, price_by),
        (
            "cost",
            told.cost_micro.map_or_else(|| "unknown".to_owned(), dollars),
            "dollars".to_owned(),
        ),
    ];
    steps.extend(class.map(|class| ("class", class.to_owned(), "by --class".to_owned())));

    steps.into_iter().map(|(step, is, by)| vec![step.to_owned(), is, by]).collect()
}

fn object(
    asked: &Asked,
    told: &Estimate<'_>,
    class: Option<&str>,
    ratios: &Ratios,
    card: &RateCard,
) -> Value {
    let Body { bytes, images, image_bytes } = asked.body;

    json!({
        "model": asked.model, "bytes": bytes, "images": images, "image_bytes": image_bytes,
        "text_bytes": told.text_bytes, "bytes_per_1000_tokens": told.bytes_per_1000_tokens,
        "ratios_as_of": ratios.as_of, "image_tokens": told.image_tokens, "input_tokens": told.input,
        "output_tokens": told.output, "output_by": told.output_by.as_str(),
        "max_tokens": asked.max_tokens, "provider": told.provider,
        "input_usd_per_million": price(card, told, &asked.model, Unit::Input),
        "output_usd_per_million": price(card, told, &asked.model, Unit::Output),
        "prices_as_of": card.as_of(), "cost_micro": told.cost_micro, "class": class,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::estimate::Class;

    fn said(args: &EstimateArgs, json: bool, stdin: &str) -> Result<String, Failure> {
        let (mut screen, out, _aside) = Screen::buffered(json, stdin.as_bytes().to_vec());
        run(args, &RateCard::shipped().unwrap(), &mut screen)?;
        Ok(out.text())
    }

    fn args() -> EstimateArgs {
        EstimateArgs {
            model: Some("claude-sonnet-4-5-20250929".into()),
            body: None,
            bytes: Some(33_100),
            max_tokens: Some(32_000),
            median: Some(1_000),
            classes: vec![
                Class { name: "small".into(), below: Some("0.01".into()) },
                Class { name: "large".into(), below: None },
            ],
        }
    }

    #[test]
    fn each_step_is_told_with_its_reason() {
        let text = said(&args(), false, "").unwrap();

        for line in [
            "model          claude-sonnet-4-5",
            "text tokens    10000",
            "output tokens  1000                        the median of the model's answers",
            "cost           0.045000",
            "class          large",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_body_says_its_model_and_its_limit() {
        let args = EstimateArgs {
            model: None,
            body: Some("-".into()),
            bytes: None,
            max_tokens: None,
            ..args()
        };
        let body = r#"{"model":"claude-opus-4-8","max_tokens":64,"messages":[]}"#;

        let told: Value = serde_json::from_str(&said(&args, true, body).unwrap()).unwrap();

        assert_eq!(told["model"], "claude-opus-4-8");
        assert_eq!(
            (&told["output_tokens"], &told["output_by"]),
            (&json!(64), &json!("max_tokens"))
        );
        assert_eq!((&told["input_tokens"], &told["class"]), (&json!(21), &json!("small")));
        assert!(said(&args, true, "no JSON").is_err(), "of which model?");
    }

    #[test]
    fn what_has_no_price_has_no_cost_and_a_class_of_its_own() {
        let args = EstimateArgs { model: Some("llama-99".into()), ..args() };

        let told: Value = serde_json::from_str(&said(&args, true, "").unwrap()).unwrap();

        assert_eq!((&told["cost_micro"], &told["class"]), (&Value::Null, &json!("unknown")));
        let faulty = EstimateArgs { classes: vec![args.classes[1].clone()], ..args };
        assert!(said(&faulty, true, "").unwrap_err().to_string().contains("--class"));
    }
}
