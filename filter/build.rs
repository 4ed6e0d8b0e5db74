//! Writes `contract/data/messages.json` as constants: read when the filter is built, the table costs
//! the module its own texts and no reader.

#![expect(clippy::indexing_slicing, reason = "what a JSON value does not have is null")]

use serde_json::Value;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;

const FILE: &str = "../contract/data/messages.json";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={FILE}");
    let table: Value = serde_json::from_slice(&std::fs::read(FILE)?)?;
    let mut out = String::new();
    write!(out, "Table {{ as_of: {}, source: {}, ", text(&table["as_of"]), text(&table["source"]))?;
    write!(out, "pairs: &{}, ", list(&table["pairs"], pair))?;
    write!(out, "providers: &{} }}", list(&table["providers"], row))?;
    let folder = std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?;
    std::fs::write(Path::new(&folder).join("messages.rs"), out)?;

    Ok(())
}

/// A constant for a value: a text, or `None`.
fn text(value: &Value) -> String {
    format!("{:?}", value.as_str().unwrap_or_default())
}

fn option(value: &Value) -> String {
    if value.is_null() { "None".to_owned() } else { format!("Some({})", text(value)) }
}

fn list(value: &Value, of: fn(&Value) -> String) -> String {
    let items: Vec<_> = value.as_array().into_iter().flatten().map(of).collect();

    format!("[{}]", items.join(", "))
}

fn map(value: &Value, of: fn(&Value) -> String) -> String {
    let items = value.as_object().into_iter().flatten();
    let items: Vec<_> = items.map(|(name, value)| format!("({name:?}, {})", of(value))).collect();

    format!("[{}]", items.join(", "))
}

/// `aws_eventstream` of `Framing` → `Framing::AwsEventstream`
fn variant(of: &str, value: &Value) -> String {
    let words = value.as_str().unwrap_or_default().split('_').map(|word| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| {
            format!("{}{}", first.to_ascii_uppercase(), letters.as_str())
        })
    });

    format!("{of}::{}", words.collect::<Vec<_>>().concat())
}

fn pair(pair: &Value) -> String {
    format!(
        "Pair {{ member: {}, betas: &{}, without: {} }}",
        text(&pair["member"]),
        list(&pair["betas"], text),
        variant("Without", &pair["without"])
    )
}

fn row(row: &Value) -> String {
    let texts = ["id", "name", "source", "host", "credential", "request_id"];
    let texts: Vec<_> = texts.iter().map(|name| format!("{name}: {}", text(&row[*name]))).collect();
    let (paths, body, betas) = (&row["paths"], &row["body"], &row["betas"]);
    let parts = [
        format!("params: &{}", map(&row["params"], option)),
        format!(
            "paths: Paths {{ messages: {}, stream: {}, count_tokens: {} }}",
            text(&paths["messages"]),
            text(&paths["stream"]),
            text(&paths["count_tokens"])
        ),
        format!(
            "body: Body {{ model: {}, remove: &{}, anthropic_version: {} }}",
            variant("Model", &body["model"]),
            list(&body["remove"], text),
            option(&body["anthropic_version"])
        ),
        format!("count: {}", variant("Count", &row["count"])),
        format!(
            "betas: Betas {{ place: {}, unknown: {}, accepted: &{}, aliases: &{}, rejected: &{} }}",
            variant("Place", &betas["place"]),
            variant("Unknown", &betas["unknown"]),
            list(&betas["accepted"], text),
            map(&betas["aliases"], text),
            list(&betas["rejected"], text)
        ),
        format!(
            "headers: Headers {{ set: &{}, remove: &{} }}",
            map(&row["headers"]["set"], text),
            list(&row["headers"]["remove"], text)
        ),
        format!("models: &{}", map(&row["models"], text)),
        format!("others: {}", option(&row["others"])),
        format!("largest_mb: {}", row["largest_mb"]),
        format!("framing: {}", variant("Framing", &row["framing"])),
        format!("errors: {}", variant("Errors", &row["errors"])),
        format!("withheld: &{}", list(&row["withheld"], text)),
        format!("withheld_prefix: &{}", list(&row["withheld_prefix"], text)),
    ];

    format!("Row {{ {}, {} }}", texts.join(", "), parts.join(", "))
}
