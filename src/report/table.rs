//! Tables: columns as wide as they must be, the last one unbounded.

use super::paint::Tone;
use crate::text;

/// A cell: its text, and the tone in which it is printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell in a tone; nothing is written as a hyphen.
    pub fn new(text: impl Into<String>, tone: Tone) -> Self {
        // A cell may say what anybody wrote: a line stays a line.
        let text = text::one_line(&text.into());
        if text.is_empty() { Self { text: "-".into(), tone: Tone::Dim } } else { Self { text, tone } }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Aligns rows under a header.
pub fn render(header: &[&str], rows: &[Vec<Cell>]) -> String {
    let head: Vec<Cell> = header.iter().map(|title| Cell::new(*title, Tone::Strong)).collect();
    let width = |column: usize| rows.iter().chain([&head]).filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max();
    let widths: Vec<usize> = (0..header.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<Cell>| {
        let last = row.len().saturating_sub(1);
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            let pad = if column == last { 0 } else { width.saturating_sub(cell.text.chars().count()) };
            format!("{}{}", cell.tone.paint(&cell.text), " ".repeat(pad))
        });
        cells.collect::<Vec<_>>().join("  ") + "\n"
    };
    [&head].into_iter().chain(rows).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::cases::plain;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_do_not_trail() {
        let rows = vec![vec!["long-name".into(), "x\ny".into()], vec![Cell::new("é", Tone::Bad), "".into()]];
        assert_eq!(plain(&render(&["NAME", "MESSAGE"], &rows)), "NAME       MESSAGE\nlong-name  x y\né          -\n");
    }
}
