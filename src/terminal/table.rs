//! Tables in the plain style: a header, columns two spaces apart, no lines.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, TableStyle, Width};
use console::measure_text_width;

use super::format::one_line;

/// The width of a terminal that doesn't know its own: a serial line, or a container's.
const USUAL: u16 = 80;
/// The room between two columns.
const GAP: usize = 2;

/// A table to print.
#[derive(Debug)]
pub struct Table {
    titles: Vec<String>,
    rows: Vec<Vec<String>>,
    right: Option<usize>,
    spare: &'static [usize],
    width: Option<u16>,
}

impl Table {
    /// With these column titles; as wide as standard output's terminal, or as it needs.
    pub fn new<const COLUMNS: usize>(titles: [&str; COLUMNS]) -> Self {
        let titles = titles.map(str::to_owned).to_vec();
        let width = comfy_table::Table::new().width();
        Table { titles, rows: Vec::new(), right: None, spare: &[], width }
    }

    /// Another width; `None` for as wide as it needs.
    #[must_use]
    pub fn width(mut self, width: Option<u16>) -> Self {
        self.width = width;
        self
    }

    /// With one more row. Texts may be foreign; they can't steer the terminal.
    pub fn row<const COLUMNS: usize>(&mut self, cells: [&str; COLUMNS]) {
        self.rows.push(cells.map(|cell| one_line(cell).into_owned()).to_vec());
    }

    /// With a column of numbers, aligned at their ends.
    #[must_use]
    pub fn right(mut self, column: usize) -> Self {
        self.right = Some(column);
        self
    }

    /// With columns that are shown whole or, on a narrow terminal, not at all, the first of them
    /// first.
    #[must_use]
    pub fn spare(mut self, columns: &'static [usize]) -> Self {
        self.spare = columns;
        self
    }

    /// The lines, each ended. Where the terminal is too narrow, cells break at their spaces, but for
    /// those of spare columns, which are left out where that isn't enough. Words break only where
    /// nothing else helps.
    pub fn render(self) -> String {
        let width = self.width.map(|width| if width == 0 { USUAL } else { width });
        let columns: Vec<_> = (0..self.titles.len()).collect();
        let Some(width) =
            width.filter(|width| self.needs(&columns, Self::whole) > usize::from(*width))
        else {
            return self.arranged(&columns, None);
        };
        let mut left = columns;
        let mut spare = self.spare.iter();
        while self.needs(&left, Self::least) > usize::from(width)
            && let Some(column) = spare.next()
        {
            left.retain(|one| one != column);
        }
        let mut text = self.arranged(&left, Some(width));
        let gone = self.titles.iter().enumerate().filter(|(column, _)| !left.contains(column));
        let gone: Vec<_> = gone.map(|(_, title)| title.as_str()).collect();
        if !gone.is_empty() {
            text.push_str(&format!("\n(too narrow here for: {})\n", gone.join(", ")));
        }
        text
    }

    /// The width of these columns, each of which is as wide as `of` says.
    fn needs(&self, columns: &[usize], of: fn(&Self, usize) -> usize) -> usize {
        let widths = columns.iter().map(|column| of(self, *column));
        widths.sum::<usize>() + GAP * columns.len().saturating_sub(1)
    }

    /// The width of a column with whole cells.
    fn whole(&self, column: usize) -> usize {
        self.widest(column, measure_text_width)
    }

    /// The least width of a column.
    fn least(&self, column: usize) -> usize {
        if self.spare.contains(&column) {
            return self.whole(column);
        }
        let word = |cell: &str| cell.split(' ').map(measure_text_width).max().unwrap_or_default();
        self.widest(column, word)
    }

    fn widest(&self, column: usize, measure: fn(&str) -> usize) -> usize {
        let cells = self.rows.iter().chain([&self.titles]).map(|row| measure(&row[column]));
        cells.max().unwrap_or_default()
    }

    fn arranged(&self, columns: &[usize], width: Option<u16>) -> String {
        let pick = |row: &Vec<String>| -> Vec<String> {
            columns.iter().map(|column| row[*column].clone()).collect()
        };
        let mut table = comfy_table::Table::new();
        table.load_style(TableStyle::new()).set_header(pick(&self.titles));
        table.add_rows(self.rows.iter().map(pick));
        table.set_content_arrangement(match width {
            Some(_) => ContentArrangement::Dynamic,
            None => ContentArrangement::Disabled,
        });
        if let Some(width) = width {
            table.set_width(width);
        }
        let fits = width.is_some_and(|w| self.needs(columns, Self::least) <= usize::from(w));
        for (at, column) in table.column_iter_mut().zip(columns) {
            let gap = if at.index + 1 < columns.len() { GAP } else { 0 };
            at.set_padding((0, gap as u16));
            if self.right == Some(*column) {
                at.set_cell_alignment(CellAlignment::Right);
            }
            if fits {
                // All columns together are within the width, which is a `u16`.
                let least = (self.least(*column) + gap) as u16;
                at.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
            }
        }
        let mut text = table.trim_fmt();
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

    #[test]
    fn a_terminal_without_a_width_is_taken_for_a_usual_one() {
        assert_eq!(status().width(Some(0)).render(), status().width(Some(80)).render());
        assert_eq!(status().width(Some(0)).render(), status().width(None).render());
    }

    #[test]
    fn words_stay_whole_and_spare_columns_go_first() {
        let titles = ["version", "name", "phase", "state", "when (UTC)", "took"];
        for width in (40..=90).chain([25]) {
            let mut table = Table::new(titles).right(5).spare(&[2, 5, 4]).width(Some(width));
            for (version, name, state) in [
                ("1", "make", "applied"),
                ("2", "require_new_column", "running  57 %, up to 6812000"),
            ] {
                table.row([version, name, "contract", state, "2026-11-20 09:14", "4 min 10 s"]);
            }
            let text = table.render();
            let rows = text.lines().filter(|line| !line.starts_with('('));
            assert!(rows.clone().all(|line| line.chars().count() <= width.into()), "{text}");
            if width >= 40 {
                for word in ["require_new_column", "running", "6812000", "version"] {
                    assert!(text.split_whitespace().any(|found| found.starts_with(word)), "{text}");
                }
            }
            assert_eq!(text.contains("too narrow here for: phase"), width < 76, "{text}");
            assert_eq!(text.contains("contract"), width >= 76, "{text}");
        }
    }
}
