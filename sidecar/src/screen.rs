//! What commands print: data on standard output, everything else on standard error.

use crate::failure::Failure;
use serde::Serialize;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// What stands for standard input where a file is asked for.
pub const STDIN: &str = "-";

/// Most that is read from standard input, in bytes.
pub const LARGEST_INPUT: usize = 4 * 1024 * 1024;

/// Most that is printed for somebody elsewhere, in bytes.
pub const LARGEST_OUTPUT: usize = 8 * 1024 * 1024;

/// Where a command's words go.
pub struct Screen {
    json: bool,
    out: Box<dyn Write + Send>,
    aside: Box<dyn Write + Send>,
    stdin: Option<Vec<u8>>,
}

/// What was printed for somebody elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    /// All of it.
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);

        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Printed {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes.len().saturating_add(more.len()) > LARGEST_OUTPUT {
            let most = LARGEST_OUTPUT / 1024 / 1024;
            return Err(io::Error::other(format!("it is over {most} MiB: ask for less of it")));
        }
        bytes.extend_from_slice(more);

        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    /// The terminal's.
    pub fn terminal(json: bool) -> Self {
        Self { json, out: Box::new(io::stdout()), aside: Box::new(io::stderr()), stdin: None }
    }

    /// Buffers for somebody elsewhere, who has sent what stands for standard input.
    pub fn buffered(json: bool, stdin: Vec<u8>) -> (Self, Printed, Printed) {
        let (out, aside) = (Printed::default(), Printed::default());
        let screen = Self {
            json,
            out: Box::new(out.clone()),
            aside: Box::new(aside.clone()),
            stdin: Some(stdin),
        };

        (screen, out, aside)
    }

    /// What stands on standard input; once.
    ///
    /// # Errors
    /// Reading, or more than [`LARGEST_INPUT`].
    pub fn stdin(&mut self) -> io::Result<Vec<u8>> {
        if let Some(sent) = &mut self.stdin {
            return Ok(std::mem::take(sent));
        }
        let mut bytes = Vec::new();
        let most = u64::try_from(LARGEST_INPUT).unwrap_or(u64::MAX);
        io::stdin().take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() > LARGEST_INPUT {
            return Err(io::Error::other("more than 4 MiB on standard input"));
        }

        Ok(bytes)
    }

    /// Where nobody looks.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self { json: true, out: Box::new(io::sink()), aside: Box::new(io::sink()), stdin: None }
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
    fn what_is_printed_for_somebody_elsewhere_has_an_end_and_says_so() {
        let (mut screen, out, _) = Screen::buffered(false, b"in".to_vec());
        let line = "x".repeat(1024 * 1024);
        for _ in 0..8 {
            screen.print(&line).unwrap();
        }

        let error = screen.print("x").unwrap_err().to_string();

        assert!(error.contains("8 MiB") && error.contains("less"), "{error}");
        assert_eq!(out.text().len(), LARGEST_OUTPUT);
        assert_eq!((screen.stdin().unwrap(), screen.stdin().unwrap()), (b"in".to_vec(), vec![]));
    }

    #[test]
    fn columns_are_aligned_and_cells_cannot_forge_lines() {
        let text = table(
            &["A", "B"],
            &[vec!["long one".into(), "x".into()], vec![String::new(), "y\n\u{1b}[2J".into()]],
        );

        assert_eq!(text, "A         B\nlong one  x\n-         y··[2J\n");
    }
}
