//! Lines by the width that characters take on a terminal: a Chinese one takes
//! two columns.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Style, Stylize as _};
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Columns between two fields, at least.
const GAP: usize = 2;

/// Where there is room, fields start at multiples of this: they stand below each
/// other, and do not jump with every digit.
const FIELD: usize = 19;

/// A figure with its name.
pub struct Field {
    label: &'static str,
    value: String,
    style: Style,
}

impl Field {
    pub fn new(label: &'static str, value: String) -> Self {
        let style = Style::new().bold();
        Self {
            label,
            value,
            style,
        }
    }

    pub fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }

    fn width(&self) -> usize {
        self.label.width() + 1 + self.value.width()
    }
}

/// Fields in as many lines as they need.
pub fn flow(fields: &[Field], width: u16) -> Vec<Line<'static>> {
    let width = usize::from(width);
    let mut lines = Vec::new();
    let mut line = Line::default();
    for field in fields {
        let used = line.width();
        let starts = [(used + GAP).next_multiple_of(FIELD), used + GAP];
        let fits = |start: &usize| start + field.width() <= width;
        let start = match starts.into_iter().find(fits) {
            _ if used == 0 => 0,
            Some(start) => start,
            None => {
                lines.push(std::mem::take(&mut line));
                0
            }
        };
        line.push_span(Span::raw(" ".repeat(start.saturating_sub(used))));
        line.push_span(Span::raw(format!("{} ", field.label)).dim());
        line.push_span(Span::styled(field.value.clone(), field.style));
    }
    lines.push(line);
    lines
}

/// One text to the left, one to the right; the right one only if both fit.
pub fn apart(left: &str, right: &str, width: u16) -> Line<'static> {
    let width = usize::from(width);
    let used = left.width() + right.width();
    if right.is_empty() || used + GAP > width {
        return Line::from(cut(left, width));
    }
    let between = " ".repeat(width - used);
    let spans = [left, &between, right].map(|text| Span::raw(text.to_owned()));
    Line::from(spans.to_vec())
}

/// A title, with a rule to the end of the line.
pub fn rule(title: &str, width: u16) -> Line<'static> {
    let title = cut(title, usize::from(width));
    let left = usize::from(width).saturating_sub(title.width() + 1);
    let rule = format!(" {}", "─".repeat(left));
    Line::from(vec![Span::raw(title).bold().cyan(), Span::raw(rule).dim()])
}

/// As much of a text as so many columns hold; `…` stands for the rest.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let Some(most) = width.checked_sub(1) else {
        return String::new();
    };
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > most {
            break;
        }
        kept.push(c);
    }
    kept + "…"
}

/// A text in exactly so many columns.
pub fn padded(text: &str, width: usize) -> String {
    let mut text = cut(text, width);
    let left = width.saturating_sub(text.width());
    text.extend(std::iter::repeat_n(' ', left));
    text
}

/// Puts a line at the top of what is left, if anything is.
pub fn put(buffer: &mut Buffer, rest: &mut Rect, line: &Line<'_>) {
    if rest.height == 0 || rest.width == 0 {
        return;
    }
    buffer.set_line(rest.x, rest.y, line, rest.width);
    rest.y += 1;
    rest.height -= 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_and_padded_by_columns() {
        for (text, width, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("宁波舟山港", 10, "宁波舟山港"),
            ("宁波舟山港", 9, "宁波舟山…"),
            // Half a character is none.
            ("宁波舟山港", 8, "宁波舟… "),
            ("宁波", 1, "…"),
            ("宁波", 0, ""),
            ("宁", 4, "宁  "),
        ] {
            let found = padded(text, width);
            assert_eq!((&*found, found.width()), (expected, width));
        }
    }

    #[test]
    fn fields_flow_into_as_many_lines_as_they_need() {
        let fields = [("one", "1"), ("two", "22"), ("three", "333")];
        let fields = fields.map(|(label, value)| Field::new(label, value.into()));
        let shown = |width| -> Vec<String> {
            let lines = flow(&fields, width);
            lines.iter().map(ToString::to_string).collect()
        };
        let grid = "one 1              two 22             three 333";
        assert_eq!(shown(80), [grid]);
        assert_eq!(shown(47), [grid]);
        assert_eq!(shown(46), ["one 1              two 22  three 333"]);
        assert_eq!(shown(35), ["one 1              two 22", "three 333"]);
        assert_eq!(shown(24), ["one 1  two 22  three 333"]);
        assert_eq!(shown(23), ["one 1  two 22", "three 333"]);
        assert_eq!(shown(1), ["one 1", "two 22", "three 333"]);
    }
}
