//! Samples as text.

/// Labels with their values, from `{` on; more follow after a comma.
pub fn label(text: &mut String, name: &str, value: &str) {
    text.push(if text.is_empty() { '{' } else { ',' });
    text.push_str(name);
    text.push_str("=\"");
    for c in value.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '"' | '\\' => text.extend(['\\', c]),
            c => text.push(c),
        }
    }
    text.push('"');
}

/// A value of which `scale` make one of the exported unit, exactly, and the line's end.
pub fn value(text: &mut String, value: i64, scale: u16) {
    let mut digits = itoa::Buffer::new();
    if scale == 1000 {
        if value < 0 {
            text.push('-');
        }
        let rest = value.unsigned_abs() % 1000;
        text.push_str(digits.format(value.unsigned_abs() / 1000));
        text.push('.');
        text.extend(
            [rest / 100, rest / 10 % 10, rest % 10].map(|digit| (b'0' + digit as u8) as char),
        );
    } else {
        text.push_str(digits.format(value));
    }
    text.push('\n');
}
