//! Container numbers and size and type codes (ISO 6346).

use compact_str::CompactString;

/// The container number without spaces and hyphens, in upper case. None if it
/// cannot be one: 4 letters and 7 digits.
pub fn normalise_number(text: &str) -> Option<CompactString> {
    let mut number = [0; 11];
    let kept = text.bytes().filter(|b| !matches!(b, b' ' | b'-'));
    for (place, byte) in kept.enumerate() {
        *number.get_mut(place)? = byte.to_ascii_uppercase();
    }
    let number = std::str::from_utf8(&number).ok()?;
    has_form(number).then(|| number.into())
}

/// Whether the text, as it is, is a container number: form, check digit and
/// category are right.
pub fn is_number(text: &str) -> bool {
    has_form(text) && has_check_digit(text) && has_category(text)
}

fn has_form(number: &str) -> bool {
    let bytes = number.as_bytes();
    bytes.len() == 11
        && bytes[..4].iter().all(u8::is_ascii_uppercase)
        && bytes[4..].iter().all(u8::is_ascii_digit)
}

/// Whether the last digit of a normalised number is its check digit: letters
/// count A = 10 and on, without 11, 22 and 33; Σ value·2^i mod 11, with 10 as 0
/// (ISO 6346, annex A).
pub fn has_check_digit(number: &str) -> bool {
    let bytes = number.as_bytes();
    let Some((&last, body)) = bytes.split_last() else {
        return false;
    };
    let sum: u32 = body
        .iter()
        .take(10)
        .enumerate()
        .map(|(i, &b)| value(b) << i)
        .sum();
    sum % 11 % 10 == value(last)
}

/// The value of a digit or capital in the check sum.
fn value(byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'Z' => {
            let place = u32::from(byte - b'A') + 10;
            // One more after each multiple of 11 that is left out.
            place + (place - 1) / 10
        }
        _ => 0,
    }
}

/// Whether the fourth letter of a normalised number is an equipment category of
/// ISO 6346: U a container, J its detachable equipment, Z a chassis.
pub fn has_category(number: &str) -> bool {
    matches!(number.as_bytes().get(3), Some(b'U' | b'J' | b'Z'))
}

/// TEU in thousandths, from the first character of a four-character code in
/// upper case; none for anything else, never a guess. The other three are not
/// looked at: what they say does not change the length, so `40HC` and `4510`
/// count 2,000. A 45-foot container counts 2,250, or 2,000 by a setting.
pub fn teu_milli(code: &str, forty_five_ft_milli: u32) -> Option<u32> {
    if code.chars().count() != 4 {
        return None;
    }
    Some(match code.as_bytes()[0] {
        b'1' => 500,
        b'2' => 1000,
        b'3' => 1500,
        b'4' => 2000,
        b'B' => 1200,
        b'C' => 1225,
        b'G' => 2050,
        b'H' => 2150,
        b'L' => forty_five_ft_milli,
        b'M' => 2400,
        b'N' => 2450,
        _ => return None,
    })
}

/// Whether the text, as it is, is a size and type code of ISO 6346: a length, a
/// height and width, and a type (a letter and a digit) or a group of types. Not
/// so are the numeric codes of 1984 (`4510`) and trade shorthand (`40HC`), even
/// where [`teu_milli`] knows their length.
pub fn is_size_type(code: &str) -> bool {
    let &[length, height, kind, detail] = code.as_bytes() else {
        return false;
    };
    let length = matches!(
        length,
        b'1'..=b'4' | b'B' | b'C' | b'G' | b'H' | b'L' | b'M' | b'N'
    );
    let height = matches!(
        height,
        b'0' | b'2' | b'4' | b'5' | b'6' | b'8' | b'9' | b'C'..=b'F'
    );
    length && height && is_type(kind, detail)
}

/// A type is its letter and a digit; a group is two letters, for those who do
/// not know the type.
fn is_type(kind: u8, detail: u8) -> bool {
    const GROUPS: [&[u8; 2]; 23] = [
        b"GP", b"VH", b"BU", b"BK", b"SN", b"RE", b"RT", b"RS", b"HR", b"HI", b"UT", b"PL", b"PF",
        b"PC", b"PS", b"PT", b"TN", b"TD", b"TG", b"KL", b"NH", b"NN", b"AS",
    ];
    let letter = matches!(
        kind,
        b'A' | b'B' | b'G' | b'H' | b'K' | b'N' | b'P' | b'R'..=b'V'
    );
    letter && detail.is_ascii_digit() || GROUPS.contains(&&[kind, detail])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_and_hyphens_are_dropped_and_lower_case_is_folded() {
        for text in ["CSQU3054383", "csqu 305438-3", " CSQU-305438 3 "] {
            assert_eq!(
                normalise_number(text).as_deref(),
                Some("CSQU3054383"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_a_container_number_is_none() {
        for bad in [
            "",
            "CSQ3054383",
            "CSQU305438",
            "CSQU30543833",
            "CSQU3054Z83",
            "MSКU0000000",
            "CSQU_3054383",
        ] {
            assert_eq!(normalise_number(bad), None, "{bad}");
        }
    }

    #[test]
    fn category_is_u_j_or_z() {
        assert!(
            ["U", "J", "Z"]
                .iter()
                .all(|c| has_category(&format!("CSQ{c}3054383")))
        );
        assert!(!has_category("CSQA3054383") && !has_category(""));
    }

    #[test]
    fn letters_skip_the_multiples_of_eleven() {
        let values: Vec<u32> = (b'A'..=b'Z').map(value).collect();
        let expected: Vec<u32> = (10..=38).filter(|n| n % 11 != 0).collect();
        assert_eq!(values, expected);
    }

    #[test]
    fn teu_follow_from_the_first_of_four_characters() {
        let table = [
            ('1', 500),
            ('2', 1000),
            ('3', 1500),
            ('4', 2000),
            ('B', 1200),
            ('C', 1225),
            ('G', 2050),
            ('H', 2150),
            ('L', 2250),
            ('M', 2400),
            ('N', 2450),
        ];
        for first in (0..=127).map(char::from) {
            let expected = table.iter().find(|(c, _)| *c == first).map(|&(_, teu)| teu);
            assert_eq!(teu_milli(&format!("{first}2G1"), 2250), expected, "{first}");
        }
        assert_eq!(teu_milli("L5G1", 2000), Some(2000));
        for other in ["", "2G1", "22G12", "2", "中文箱型"] {
            assert_eq!(teu_milli(other, 2250), None, "{other}");
        }
    }

    #[test]
    fn group_codes_are_known_and_shorthand_is_not() {
        assert!(
            ["22GP", "45GP", "45RT", "22U6", "L5G1"]
                .iter()
                .all(|code| is_size_type(code))
        );
        assert!(
            !["22gp", "20GP1", "40HQ", "40HC", "2200", "22GX", "中文箱型"]
                .iter()
                .any(|code| is_size_type(code))
        );
    }
}
