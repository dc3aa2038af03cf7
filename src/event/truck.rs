//! Plates of trucks and trailers (GA 36).

use compact_str::CompactString;

/// The most characters of a plate, as it is sent.
pub const PLATE_CHARS_MAX: usize = 32;

/// The most characters of a reference of a driver.
pub const DRIVER_CHARS_MAX: usize = 64;

const PROVINCES: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼";

/// Whether the text, as it is, has the shape of a Chinese plate (GA 36):
/// ordinary, trailer, cross-border, or new-energy with 8 characters. Those of
/// police, military and embassies are left out.
pub fn is_plate(text: &str) -> bool {
    let mut chars = text.chars();
    if !chars.next().is_some_and(|c| PROVINCES.contains(c)) {
        return false;
    }
    let mut rest = ['\0'; 7];
    let mut length = 0;
    for c in chars {
        let Some(place) = rest.get_mut(length) else {
            return false;
        };
        *place = c;
        length += 1;
    }
    rest[0].is_ascii_uppercase()
        && match length {
            6 => is_ordinary(&rest[1..6]),
            7 => is_new_energy(&rest[1..7]),
            _ => false,
        }
}

/// Four letters or digits and one more, or a character of special use.
fn is_ordinary(serial: &[char]) -> bool {
    serial[..4].iter().all(|&c| is_serial(c))
        && (is_serial(serial[4]) || "挂学警港澳".contains(serial[4]))
}

/// Large vehicles have the letter of their energy last, small ones first.
fn is_new_energy(serial: &[char]) -> bool {
    let energy = |c: char| matches!(c, 'A'..='H' | 'J' | 'K');
    let digits = |part: &[char]| part.iter().all(char::is_ascii_digit);
    digits(&serial[..5]) && energy(serial[5])
        || energy(serial[0]) && is_serial(serial[1]) && digits(&serial[2..])
}

/// Digits and capitals without I and O.
fn is_serial(c: char) -> bool {
    matches!(c, '0'..='9' | 'A'..='H' | 'J'..='N' | 'P'..='Z')
}

/// The plate by which trucks are told apart: without spaces and middle dots,
/// Latin letters in upper case. Any text is taken, whatever its shape.
pub fn normalise_plate(text: &str) -> CompactString {
    let dropped = |c: &char| c.is_whitespace() || matches!(c, '·' | '•' | '‧' | '・' | '･');
    text.chars()
        .filter(|c| !dropped(c))
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plate_is_told_apart_without_spaces_dots_and_case() {
        for text in [
            "浙B12345",
            "浙b12345",
            "浙B·12345",
            " 浙B 123\u{3000}45",
            "浙B•12345",
        ] {
            assert_eq!(normalise_plate(text), "浙B12345", "{text}");
        }
        assert_eq!(normalise_plate(" · "), "");
    }

    #[test]
    fn odd_lengths_are_no_plates() {
        for bad in ["", "浙", "浙B", "浙B123456789", "浙B123挂4", "挂B12345"] {
            assert!(!is_plate(bad), "{bad}");
        }
    }
}
