//! The report for people, and as JSON.

use super::money::Money;
use super::spend::{By, Query, Spend};
use crate::failure::Failure;
use crate::screen::Screen;
use contract::price::Unit;
use serde_json::{Map, Value, json};

/// Prints the groups and their total, and what these sums leave out.
///
/// # Errors
/// [`Failure::Output`].
pub fn print(query: &Query, mut spent: Vec<Spend>, screen: &mut Screen) -> Result<(), Failure> {
    spent.sort_by(|one, other| (&one.period, &one.keys).cmp(&(&other.period, &other.keys)));
    let mut total = Spend::default();
    for group in &spent {
        total.add(group);
    }
    if screen.json() {
        for group in &spent {
            screen.object(&object(query, group))?;
        }
        let mut sum = numbers(&total);
        sum.insert("total".into(), Value::Bool(true));
        return screen.object(&sum);
    }
    let (head, rows) = table(query, &spent, &total);
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    screen.table(&head, &rows)?;

    screen.print(&format!("\n{}", left_out(&total)))
}

/// What a sum does not know is said, and never counted as nothing.
fn left_out(total: &Spend) -> String {
    let Spend { calls, unpriced, incomplete, .. } = *total;

    format!(
        "Without a price: {unpriced} of {calls} calls; what they cost is not in the sums.\n\
         Incomplete: {incomplete} of {calls} calls; the provider may bill more for them.\n"
    )
}

/// As much as is known: `≥` where there is more, `unknown` where there is nothing.
fn dollars(spend: &Spend) -> String {
    match spend.cost() {
        Some(micro) if spend.unpriced == 0 => Money::from_micro(micro).to_string(),
        Some(micro) => format!("≥{}", Money::from_micro(micro)),
        None if spend.calls == 0 => Money::default().to_string(),
        None => "unknown".into(),
    }
}

fn table(query: &Query, spent: &[Spend], total: &Spend) -> (Vec<String>, Vec<Vec<String>>) {
    let mut head: Vec<String> = query.per.iter().map(|_| "FROM".into()).collect();
    head.extend(query.by.iter().map(|by| by.as_str().to_uppercase().replace('_', " ")));
    if head.is_empty() {
        head.push(String::new()); // for the word `total`
    }
    let keys = head.len();
    head.push("CALLS".into());
    head.extend(Unit::ALL.map(|unit| unit.as_str().to_uppercase().replace('_', " ")));
    head.extend(["NO PRICE", "INCOMPLETE", "USD"].map(String::from));

    let mut rows = Vec::with_capacity(spent.len().saturating_add(1));
    for spend in spent.iter().filter(|_| query.per.is_some() || !query.by.is_empty()) {
        let period = query.per.map(|_| spend.period.clone().unwrap_or_default());
        let names = spend.keys.iter().map(|key| key.clone().unwrap_or_default());
        rows.push(period.into_iter().chain(names).chain(cells(spend)).collect());
    }
    let mut last = vec!["total".to_owned()];
    last.resize(keys, " ".into()); // an empty cell would be shown as a value that is not there
    last.extend(cells(total));
    rows.push(last);
    to_the_right(&mut head, &mut rows, keys);

    (head, rows)
}

fn cells(spend: &Spend) -> Vec<String> {
    let mut cells = vec![spend.calls.to_string()];
    cells.extend(Unit::ALL.map(|unit| spend.tokens.of(unit).to_string()));
    cells.extend([spend.unpriced.to_string(), spend.incomplete.to_string(), dollars(spend)]);

    cells
}

/// Numbers stand under each other.
pub(super) fn to_the_right(head: &mut [String], rows: &mut [Vec<String>], from: usize) {
    for column in from..head.len() {
        let cells = rows.iter().filter_map(|row| row.get(column)).chain(head.get(column));
        let width = cells.map(|cell| cell.chars().count()).max().unwrap_or_default();
        let wide = rows.iter_mut().filter_map(|row| row.get_mut(column));
        for cell in wide.chain(head.get_mut(column)) {
            *cell = format!("{cell:>width$}");
        }
    }
}

fn object(query: &Query, spend: &Spend) -> Map<String, Value> {
    let mut object = Map::new();
    if query.per.is_some() {
        object.insert("from".into(), json!(spend.period));
    }
    for (by, key) in query.by.iter().zip(&spend.keys) {
        object.insert(By::as_str(*by).into(), json!(key));
    }
    object.extend(numbers(spend));

    object
}

fn numbers(spend: &Spend) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("calls".into(), json!(spend.calls));
    for unit in Unit::ALL {
        object.insert(unit.as_str().into(), json!(spend.tokens.of(unit)));
    }
    let cost = if spend.calls == 0 { Some(0) } else { spend.cost() };
    object.insert("cost_micro".into(), json!(cost));
    object.insert("cost_usd".into(), json!(cost.map(|micro| Money::from_micro(micro).to_string())));
    object.insert("no_price".into(), json!(spend.unpriced));
    object.insert("incomplete".into(), json!(spend.incomplete));

    object
}

#[cfg(test)]
mod tests;
