//! What commands print: data on standard output, everything else on standard error.

use crate::failure::Failure;
use serde::Serialize;
use std::io::{self, Write};

/// Where a command's words go.
pub struct Screen {
    json: bool,
    out: Box<dyn Write>,
    aside: Box<dyn Write>,
}

impl Screen {
    /// The terminal's.
    pub fn terminal(json: bool) -> Self {
        Self { json, out: Box::new(io::stdout()), aside: Box::new(io::stderr()) }
    }

    /// Where nobody looks.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self { json: true, out: Box::new(io::sink()), aside: Box::new(io::sink()) }
    }

    /// Was JSON asked for?
    pub fn json(&self) -> bool {
        self.json
    }

    /// Something for the person, beside the data. Who closed standard error wants none.
    pub fn say(&mut self, words: &str) {
        if writeln!(self.aside, "{words}").is_err() {
            self.aside = Box::new(io::sink());
        }
    }

    /// Data as it is.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()?;

        Ok(())
    }

    /// One JSON object on one line.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub fn object(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        let mut line = serde_json::to_string(object)?;
        line.push('\n');

        self.print(&line)
    }

    /// One value: plain for people and scripts, an object where JSON was asked for.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub fn value(&mut self, plain: &str, object: &impl Serialize) -> Result<(), Failure> {
        if self.json { self.object(object) } else { self.print(&format!("{plain}\n")) }
    }

    /// A table in aligned columns.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
        self.print(&table(head, rows))
    }
}

/// Columns as wide as their widest cell, two spaces apart. Control characters, which could move
/// the cursor or forge a line, are shown as `·`.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        std::iter::once(head.iter().map(|&cell| cell.to_owned()).collect())
            .chain(rows.iter().cloned())
            .map(|row: Vec<String>| row.iter().map(|cell| shown(cell)).collect())
            .collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        })
        .collect();

    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            let gap = width.saturating_sub(cell.chars().count()).saturating_add(2);
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', gap));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }

    text
}

/// A cell as it can do no harm.
pub fn shown(cell: &str) -> String {
    if cell.is_empty() {
        return "-".into();
    }

    cell.chars().map(|sign| if sign.is_control() { '·' } else { sign }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_cells_cannot_forge_lines() {
        let text = table(
            &["A", "B"],
            &[vec!["long one".into(), "x".into()], vec![String::new(), "y\n\u{1b}[2J".into()]],
        );

        assert_eq!(text, "A         B\nlong one  x\n-         y··[2J\n");
    }
}
