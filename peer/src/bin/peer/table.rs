//! Tables in Markdown, aligned for a terminal.

/// Rows under a heading; the first column is on the left, the others on the right.
pub fn markdown(heading: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let texts = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect();
    let mut rule = vec!["---:"; heading.len()];
    rule[0] = "---";
    let mut lines: Vec<Vec<String>> = vec![texts(heading), texts(&rule)];
    lines.extend(rows);
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let text = |line: &Vec<String>| {
        let cells = std::iter::zip(line, &widths).enumerate();
        let cells: Vec<String> = cells
            .map(|(column, (cell, &width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    lines.iter().map(text).collect()
}

/// A time with three significant digits.
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

    #[test]
    fn columns_are_aligned_under_a_heading_and_a_rule() {
        let rows = [("stft", 35.24), ("é", 1234.5)].map(|(name, time)| vec![name.into(), ms(time)]);
        assert_eq!(
            markdown(&["case", "time"], rows.into_iter()),
            "| case |    time |\n| ---  |    ---: |\n| stft | 35.2 ms |\n| é    | 1234 ms |\n"
        );
    }

    #[test]
    fn memory_is_in_mib_or_unknown() {
        assert_eq!(mib(Some(3 << 20)), "3 MiB");
        assert_eq!(mib(None), "unknown");
    }
}
