//! The comparison for people, and as JSON.

use super::{Compared, Gap};
use crate::cost::bill::Key;
use crate::cost::money::Money;
use crate::cost::report::to_the_right;
use crate::failure::Failure;
use crate::screen::Screen;
use contract::price::Unit;
use serde_json::{Value, json};

/// The kind of an amount.
const AMOUNT: &str = "usd";

/// One line: counts as numbers, amounts as text.
struct Shown {
    key: Key,
    kind: &'static str,
    ours: Value,
    theirs: Value,
    difference: Value,
}

impl Compared {
    /// Prints the lines, their totals, and what may be the reason of a difference.
    ///
    /// # Errors
    /// [`Failure::Differs`] if they are further apart than allowed, [`Failure::Output`].
    pub fn print(&self, tolerance_micro: u64, screen: &mut Screen) -> Result<(), Failure> {
        let (lines, totals) = (self.lines(), self.totals());
        if screen.json() {
            self.print_json(&lines, &totals, tolerance_micro, screen)?;
        } else {
            self.print_table(&lines, &totals, screen)?;
        }
        if self.agrees(tolerance_micro) {
            return Ok(());
        }
        let counted = self.counted_apart().map_or_else(|| "an unknown sum".into(), dollars);

        Err(Failure::Differs(format!(
            "the bill and the rows differ: in quantities worth {counted}, in amounts by {}; {} are \
             allowed",
            dollars(self.charged_apart()),
            dollars(Money::from_micro(tolerance_micro)),
        )))
    }

    fn lines(&self) -> Vec<Shown> {
        let counted = self.counted.iter().flatten().map(|line| Shown {
            key: line.key.clone(),
            kind: line.unit.as_str(),
            ours: line.ours.into(),
            theirs: line.theirs.into(),
            difference: apart(u128::from(line.ours), u128::from(line.theirs)),
        });
        let charged = self.charged.iter().flatten();
        let charged = charged.map(|line| amounts(line.key.clone(), line.ours, line.theirs));
        let mut lines: Vec<Shown> = counted.chain(charged).collect();
        lines.sort_by(|one, other| one.key.cmp(&other.key)); // stable: kinds keep their order

        lines
    }

    fn totals(&self) -> Vec<Shown> {
        let mut totals = Vec::new();
        if let Some(counted) = &self.counted {
            for unit in Unit::ALL {
                let of_it = || counted.iter().filter(|line| line.unit == unit);
                let ours: u128 = of_it().map(|line| u128::from(line.ours)).sum();
                let theirs: u128 = of_it().map(|line| u128::from(line.theirs)).sum();
                totals.push(Shown {
                    key: Key::default(),
                    kind: unit.as_str(),
                    ours: clipped(ours).into(),
                    theirs: clipped(theirs).into(),
                    difference: apart(ours, theirs),
                });
            }
        }
        if let Some(charged) = &self.charged {
            let ours = charged.iter().map(|line| line.ours).sum();
            let theirs = charged.iter().map(|line| line.theirs).sum();
            totals.push(amounts(Key::default(), ours, theirs));
        }

        totals
    }

    fn print_table(
        &self,
        lines: &[Shown],
        totals: &[Shown],
        screen: &mut Screen,
    ) -> Result<(), Failure> {
        let mut head =
            ["DAY", "PROVIDER", "MODEL", "KIND", "OURS", "THEIRS", "DIFFERENCE"].map(String::from);
        let mut rows: Vec<Vec<String>> = lines.iter().map(Shown::cells).collect();
        rows.extend(totals.iter().map(|total| {
            let mut cells = total.cells();
            // An empty cell would be shown as a value that is not there.
            for (cell, word) in cells.iter_mut().zip(["total", " ", " "]) {
                word.clone_into(cell);
            }
            cells
        }));
        to_the_right(&mut head, &mut rows, 4);
        screen.table(&head.each_ref().map(String::as_str), &rows)?;
        if !self.gaps.is_empty() {
            screen.print("\nCalls that may be why they differ:\n")?;
            let head = ["DAY", "PROVIDER", "MODEL", "USAGE UNKNOWN", "INCOMPLETE", "NO PRICE"];
            let rows: Vec<Vec<String>> = self.gaps.iter().map(gap_cells).collect();
            screen.table(&head, &rows)?;
        }
        for words in self.notes() {
            screen.say(&words);
        }

        Ok(())
    }

    fn print_json(
        &self,
        lines: &[Shown],
        totals: &[Shown],
        tolerance_micro: u64,
        screen: &mut Screen,
    ) -> Result<(), Failure> {
        for line in lines {
            let Key { day, provider, model } = &line.key;
            screen.object(&json!({
                "day": day, "provider": provider, "model": model, "kind": line.kind,
                "ours": line.ours, "theirs": line.theirs, "difference": line.difference,
            }))?;
        }
        for Gap { key: Key { day, provider, model }, unmetered, incomplete, unpriced } in &self.gaps
        {
            screen.object(&json!({
                "gap": true, "day": day, "provider": provider, "model": model,
                "usage_unknown": unmetered, "incomplete": incomplete, "no_price": unpriced,
            }))?;
        }
        for total in totals {
            screen.object(&json!({
                "total": true, "kind": total.kind, "ours": total.ours, "theirs": total.theirs,
                "difference": total.difference,
            }))?;
        }

        screen.object(&json!({
            "agrees": self.agrees(tolerance_micro), "tolerance_micro": tolerance_micro,
            "quantities_apart_usd": self.counted_apart().map(|apart| apart.to_string()),
            "amounts_apart_usd": self.charged_apart().to_string(),
            "providers_not_billed": self.others, "lines_of_other_days": self.outside,
            "tokens_of_other_tiers": self.other_tiers,
        }))
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.others.is_empty() {
            let names: Vec<&str> = self.others.iter().map(String::as_str).collect();
            notes.push(format!("Not on this bill and not compared: {}.", names.join(", ")));
        }
        if self.outside > 0 {
            notes.push(format!(
                "Of other days, and not compared: {} lines of the bill.",
                self.outside
            ));
        }
        if self.other_tiers > 0 {
            notes.push(format!(
                "On the bill at another tier than standard (batches, priority): {} tokens.",
                self.other_tiers
            ));
        }

        notes
    }
}

impl Shown {
    fn cells(&self) -> Vec<String> {
        let Key { day, provider, model } = self.key.clone();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);

        vec![
            day,
            provider,
            if model.is_empty() { "(all)".into() } else { model },
            self.kind.into(),
            text(&self.ours),
            text(&self.theirs),
            text(&self.difference),
        ]
    }
}

fn amounts(key: Key, ours: Money, theirs: Money) -> Shown {
    let [ours, theirs, difference] =
        [ours, theirs, ours - theirs].map(|money| Value::String(money.to_string()));

    Shown { key, kind: AMOUNT, ours, theirs, difference }
}

/// Ours less theirs.
fn apart(ours: u128, theirs: u128) -> Value {
    let size = i64::try_from(ours.abs_diff(theirs)).unwrap_or(i64::MAX);

    Value::from(if ours < theirs { size.saturating_neg() } else { size })
}

fn clipped(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn gap_cells(gap: &Gap) -> Vec<String> {
    let Key { day, provider, model } = gap.key.clone();
    let counts = [gap.unmetered, gap.incomplete, gap.unpriced].map(|count| count.to_string());

    [day, provider, model].into_iter().chain(counts).collect()
}

fn dollars(money: Money) -> String {
    format!("{money} dollars")
}
