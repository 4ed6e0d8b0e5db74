//! The figures, beside what they should be.

use crate::world::processes::repository;
use anyhow::Result;
use serde_json::json;
use std::fs;

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Nothing was promised.
    None,
}

/// The names and targets of design.md §8, as far as there is something to measure.
const TARGETS: [(&str, &str, Target); 45] = [
    ("gate.1k.rps_ratio", "", Target::AtLeast(0.65)),
    ("gate.75k.rps_ratio", "", Target::AtLeast(0.70)),
    ("gate.1m.rps_ratio", "", Target::None),
    ("gate.1k.added_p50", "ms", Target::AtMost(0.10)),
    ("gate.1k.added_p99", "ms", Target::AtMost(0.5)),
    ("gate.75k.added_p50", "ms", Target::None),
    ("gate.1m.added_p50", "ms", Target::None),
    ("gate.1k.full.added_p50", "ms", Target::None),
    ("gate.75k.full.added_p50", "ms", Target::AtMost(0.3)),
    ("gate.1m.full.added_p50", "ms", Target::AtMost(3.0)),
    ("stream.first_token_added", "ms", Target::AtMost(0.1)),
    ("lane.rps_ratio", "", Target::AtLeast(0.55)),
    ("lane.75k.rps_ratio", "", Target::None),
    ("lane.openai.rps_ratio", "", Target::AtLeast(0.4)),
    ("lane.openai.75k.rps_ratio", "", Target::None),
    ("lane.first_token_added", "ms", Target::None),
    ("mcp.rps_ratio", "", Target::AtLeast(0.5)),
    ("mcp.list.rps_ratio", "", Target::None),
    ("mcp.added_p50", "ms", Target::None),
    ("mcp.list.added_p50", "ms", Target::None),
    ("filter.mb", "MB", Target::AtMost(1.5)),
    ("vm.mb", "MB", Target::AtMost(16.0)),
    ("vm.after_20m.mb", "MB", Target::AtMost(64.0)),
    ("sidecar.mb", "MB", Target::AtMost(60.0)),
    ("capabilities.p99_ms", "ms", Target::AtMost(5.0)),
    ("helper.cached_ms", "ms", Target::AtMost(10.0)),
    ("audit.sqlite.rows_s", "rows/s", Target::AtLeast(30_000.0)),
    ("audit.sqlite.insert_ratio", "", Target::None),
    ("audit.postgres.rows_s", "rows/s", Target::AtLeast(20_000.0)),
    ("audit.postgres.copy_ratio", "", Target::AtLeast(0.4)),
    ("audit.row_delay_p99", "ms", Target::None),
    ("audit.before.added_p50", "ms", Target::AtMost(1.5)),
    ("audit.gb_per_1000_devs_month", "GB", Target::None),
    ("audit.gb_per_1000_devs_month.capped", "GB", Target::None),
    ("revoke.median_s", "s", Target::AtMost(1.2)),
    ("revoke.worst_s", "s", Target::AtMost(2.0)),
    ("standing.10k.added_us", "µs", Target::None),
    ("fleet.polls_s", "/s", Target::AtLeast(3_000.0)),
    ("fleet.document_p99_ms", "ms", Target::AtMost(2_000.0)),
    ("fleet.plugin_p99_ms", "ms", Target::None),
    ("fleet.all_s", "s", Target::None),
    ("fleet.failed", "", Target::AtMost(0.0)),
    ("fleet.sidecar_peak.mb", "MB", Target::AtMost(200.0)),
    ("audit.lost", "rows", Target::AtMost(0.0)),
    ("audit.doubled", "rows", Target::AtMost(0.0)),
];

/// What was measured.
#[derive(Debug, Default)]
pub struct Report {
    figures: Vec<(&'static str, f64)>,
    notes: Vec<String>,
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.get(middle) {
        Some(upper) if values.len().is_multiple_of(2) => {
            values.get(middle - 1).map_or(*upper, |lower| f64::midpoint(*lower, *upper))
        }
        Some(middle) => *middle,
        None => f64::NAN,
    }
}

impl Report {
    /// Enters a figure.
    pub fn figure(&mut self, name: &str, value: f64) {
        if let Some((name, ..)) = TARGETS.iter().find(|(known, ..)| *known == name) {
            self.figures.push((name, value));
        }
    }

    /// Enters what explains the figures.
    pub fn note(&mut self, note: String) {
        eprintln!("  {note}");
        self.notes.push(note);
    }

    /// The table, for people.
    pub fn print(&self) {
        println!("\n{:<36} {:>10} {:<6} {:>12}", "figure", "value", "unit", "target");
        for (name, unit, target) in TARGETS {
            let Some((_, value)) = self.figures.iter().find(|(known, _)| *known == name) else {
                continue;
            };
            let (target, met) = match target {
                Target::AtLeast(least) => (format!(">= {least}"), *value >= least),
                Target::AtMost(most) => (format!("<= {most}"), *value <= most),
                Target::None => ("-".to_owned(), true),
            };
            let verdict = if met { "" } else { "missed" };
            println!("{name:<36} {value:>10.3} {unit:<6} {target:>12}  {verdict}");
        }
        println!();
        for note in &self.notes {
            println!("{note}");
        }
    }

    /// `target/bench.json`, for programs.
    pub fn write(&self) -> Result<()> {
        let figures: Vec<_> = TARGETS
            .iter()
            .filter_map(|(name, unit, _)| {
                let (_, value) = self.figures.iter().find(|(known, _)| known == name)?;
                let value = (value * 10_000.0).round() / 10_000.0;
                Some(json!({ "name": name, "value": value, "unit": unit }))
            })
            .collect();
        let path = repository().join("target/bench.json");
        fs::write(&path, format!("{:#}\n", json!(figures)))?;
        println!("\nwritten: {}", path.display());

        Ok(())
    }
}
