//! Tables in the plain style: a header, columns two spaces apart, no lines.

use comfy_table::{CellAlignment, ContentArrangement, TableStyle};

use super::format::one_line;

/// A table to print.
#[derive(Debug)]
pub struct Table {
    table: comfy_table::Table,
    width: Option<u16>,
}

impl Table {
    /// With these column titles; as wide as standard output's terminal, or as it needs.
    pub fn new<const COLUMNS: usize>(titles: [&str; COLUMNS]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(TableStyle::new()).set_header(titles);
        let width = table.width();
        Table { table, width }
    }

    /// Another width; `None` for as wide as it needs.
    #[must_use]
    pub fn width(mut self, width: Option<u16>) -> Self {
        self.width = width;
        self
    }

    /// With one more row. Texts may be foreign; they can't steer the terminal.
    pub fn row<const COLUMNS: usize>(&mut self, cells: [&str; COLUMNS]) {
        self.table.add_row(cells.map(|cell| one_line(cell).into_owned()));
    }

    /// With a column of numbers, aligned at their ends.
    #[must_use]
    pub fn right(mut self, column: usize) -> Self {
        if let Some(column) = self.table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        self
    }

    /// The lines, each ended.
    pub fn render(mut self) -> String {
        match self.width {
            Some(width) => {
                self.table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic)
            }
            None => self.table.set_content_arrangement(ContentArrangement::Disabled),
        };
        for column in self.table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let mut text = self.table.trim_fmt();
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Table {
        let mut table = Table::new(["version", "name", "state", "took"]).right(3);
        table.row(["41", "add_new_column", "applied", "12 ms"]);
        table.row(["42", "fill\x1b[2J", "running, at 57 % since 09:14:02", ""]);
        table
    }

    #[test]
    fn columns_are_aligned_without_lines_or_trailing_spaces() {
        let expected = "\
version  name            state                             took
41       add_new_column  applied                          12 ms
42       fill\\u{1b}[2J   running, at 57 % since 09:14:02
";
        assert_eq!(status().width(None).render(), expected);
    }

    #[test]
    fn a_narrow_terminal_wraps_inside_of_columns() {
        let text = status().width(Some(50)).render();
        assert!(text.lines().all(|line| line.chars().count() <= 50), "{text}");
        assert!(text.contains("add_new_column"), "{text}");
    }
}
