//! Columns under a head, two spaces apart, as wide as their widest cell.

use unicode_width::UnicodeWidthChar;

/// Rows of cells, aligned. Colour codes and wide signs count for what they show.
pub fn table(rows: &[Vec<String>], gap: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| shown(cell)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if column + 1 < row.len() {
                line.push_str(&" ".repeat(widths[column] - shown(cell) + gap));
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
