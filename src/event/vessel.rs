//! IMO numbers of vessels.

use compact_str::CompactString;

/// The 7 digits of an IMO number (IMO resolution A.1117), without the prefix
/// `IMO` and spaces around. None if it is not 7 ASCII digits, or is 0000000,
/// which satisfies the arithmetic but is nobody's.
pub fn normalise_imo(text: &str) -> Option<CompactString> {
    let text = text.trim_matches(' ');
    let digits = match text.get(..3) {
        Some(prefix) if prefix.eq_ignore_ascii_case("IMO") => text[3..].trim_start_matches(' '),
        _ => text,
    };
    let of_form = digits.len() == 7 && digits.bytes().all(|b| b.is_ascii_digit());
    (of_form && digits != "0000000").then(|| digits.into())
}

/// Whether the last digit of a normalised number is its check digit:
/// Σ d·(7 … 2) mod 10.
pub fn has_imo_check_digit(number: &str) -> bool {
    let digits = number.bytes().map(|b| u32::from(b.wrapping_sub(b'0')));
    let sum: u32 = digits
        .clone()
        .zip((2..=7).rev())
        .map(|(d, weight)| d * weight)
        .sum();
    digits.skip(6).eq([sum % 10])
}

/// Whether the text is an IMO number with a right check digit.
pub fn is_imo(text: &str) -> bool {
    normalise_imo(text).is_some_and(|number| has_imo_check_digit(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_and_spaces_are_dropped() {
        for text in ["9319466", "IMO9319466", "IMO 9319466", "imo 9319466 "] {
            assert_eq!(normalise_imo(text).as_deref(), Some("9319466"), "{text}");
        }
    }

    #[test]
    fn seven_zeros_and_other_lengths_are_refused() {
        for bad in [
            "",
            "0000000",
            "IMO",
            "IMO0000000",
            "931946",
            "93194 66",
            "船9319466",
        ] {
            assert_eq!(normalise_imo(bad), None, "{bad}");
        }
    }
}
