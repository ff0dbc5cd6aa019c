//! Columns under a head, two spaces apart, as wide as their widest cell.

use unicode_width::UnicodeWidthChar;

/// Rows of cells, aligned. Colour codes and wide signs count for what they show.
pub fn table(rows: &[Vec<String>], gap: usize) -> String {
    let mut widths: Vec<usize> = Vec::new();
    let mut cells: Vec<Vec<usize>> = Vec::with_capacity(rows.len());
    for row in rows {
        let row: Vec<usize> = row.iter().map(|cell| shown(cell)).collect();
        widths.resize(widths.len().max(row.len()), 0);
        widths.iter_mut().zip(&row).for_each(|(width, cell)| *width = (*width).max(*cell));
        cells.push(row);
    }
    let mut text = String::new();
    for (row, cells) in rows.iter().zip(&cells) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if column + 1 < row.len() {
                line.push_str(&" ".repeat(widths[column] - cells[column] + gap));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Cells that a terminal shows of `text`.
pub fn shown(text: &str) -> usize {
    let (mut count, mut code) = (0, false);
    for c in text.chars() {
        match (code, c) {
            (false, '\u{1b}') => code = true,
            (true, 'm') => code = false,
            (false, _) => count += c.width().unwrap_or(0),
            (true, _) => {}
        }
    }
    count
}

/// A line of at most `columns` cells; colour codes stay whole.
pub fn cut(line: &str, columns: usize) -> String {
    if shown(line) <= columns {
        return line.to_owned();
    }
    let (mut text, mut count, mut code, mut colored) = (String::new(), 0, false, false);
    for c in line.chars() {
        match (code, c) {
            (false, '\u{1b}') => (code, colored) = (true, true),
            (true, 'm') => code = false,
            (true, _) => {}
            (false, _) if count + c.width().unwrap_or(0) >= columns => break,
            (false, _) => count += c.width().unwrap_or(0),
        }
        text.push(c);
    }
    text.push('…');
    if colored {
        text.push_str("\u{1b}[0m");
    }
    text
}

/// A table whose lines fit into `columns`, where there is such a limit.
pub fn fitted(text: String, columns: Option<usize>) -> String {
    let Some(columns) = columns.filter(|columns| text.lines().any(|line| shown(line) > *columns)) else { return text };
    text.lines().map(|line| cut(line, columns) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_to_the_terminal_and_colours_end() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcd", 4), "abcd");
        assert_eq!(cut("\u{1b}[32mabcdef\u{1b}[0m", 4), "\u{1b}[32mabc…\u{1b}[0m");
    }

    #[test]
    fn wide_signs_count_twice() {
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 6), "日本語");
    }

    #[test]
    fn only_what_is_too_wide_is_cut() {
        assert_eq!(fitted("abc\nabcdef\n".to_owned(), Some(4)), "abc\nabc…\n");
        assert_eq!(fitted("abcdef\n".to_owned(), None), "abcdef\n");
    }
}
