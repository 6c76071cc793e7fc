//! Tables, for a terminal or as Markdown.

use std::fmt::Write;

/// Rows of cells under a heading; the first column is on the left, the others on the right.
pub struct Table {
    rows: Vec<Vec<String>>,
    markdown: bool,
}

impl Table {
    /// An empty table.
    pub fn new(heading: &[&str], markdown: bool) -> Self {
        let heading = heading.iter().map(|&cell| cell.to_owned()).collect();
        Self {
            rows: vec![heading],
            markdown,
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If it has other columns than the heading.
    pub fn push(&mut self, row: Vec<String>) {
        assert_eq!(self.rows[0].len(), row.len(), "columns of heading and row");
        self.rows.push(row);
    }

    /// The table as text, with a newline at the end of each row.
    pub fn text(&self) -> String {
        let widths: Vec<usize> = (0..self.rows[0].len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| row[column].chars().count());
                cells.max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let cells = std::iter::zip(row, &widths).enumerate();
            let cells: Vec<String> = cells
                .map(|(column, (cell, &width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect();
            if self.markdown {
                let _ = writeln!(text, "| {} |", cells.join(" | "));
                if number == 0 {
                    let rule: Vec<&str> = (0..cells.len())
                        .map(|column| if column == 0 { "---" } else { "---:" })
                        .collect();
                    let _ = writeln!(text, "| {} |", rule.join(" | "));
                }
            } else {
                let _ = writeln!(text, "{}", cells.join("  ").trim_end());
            }
        }
        text
    }
}

/// A time with three digits that count.
pub fn ms(time: f64) -> String {
    match time {
        time if time >= 100.0 => format!("{time:.0} ms"),
        time if time >= 10.0 => format!("{time:.1} ms"),
        time => format!("{time:.2} ms"),
    }
}

/// Bytes in MiB.
pub fn mib(bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20)),
        None => "unknown".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(markdown: bool) -> String {
        let mut table = Table::new(&["case", "time"], markdown);
        table.push(vec!["stft".into(), ms(35.24)]);
        table.push(vec!["é".into(), ms(1234.5)]);
        table.text()
    }

    #[test]
    fn columns_are_aligned() {
        assert_eq!(
            table(false),
            "case     time\nstft  35.2 ms\né     1234 ms\n"
        );
    }

    #[test]
    fn markdown_has_a_rule_under_its_heading() {
        let expected =
            "| case |    time |\n| --- | ---: |\n| stft | 35.2 ms |\n| é    | 1234 ms |\n";
        assert_eq!(table(true), expected);
    }

    #[test]
    fn memory_is_in_mib_or_unknown() {
        assert_eq!(mib(Some(3 << 20)), "3 MiB");
        assert_eq!(mib(None), "unknown");
    }
}
