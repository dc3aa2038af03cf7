//! Who takes part: enterprises by scheme and code, and the names of those who
//! report.

/// The most characters of an enterprise's code, without the scheme.
pub const CODE_CHARS_MAX: usize = 64;

/// The most characters of a source's or client's name.
pub const NAME_CHARS_MAX: usize = 64;

/// The alphabet of GB 32100: each character's value is its place in it.
const USCC_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// Why a text is not an enterprise id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Not a known scheme with a code of its form.
    Form,
    /// The code has more than 64 characters.
    TooLong,
    /// The check character of a 统一社会信用代码 is another one.
    CheckCharacter,
}

/// Judges an enterprise id, as it is: `uscc:` and a 统一社会信用代码, or
/// `smdg:`, `nmfta:` or `ygt:` and a code of 1 to 64 characters
/// `A-Z a-z 0-9 . _ -`. Codes are not folded: in `ygt:` case may matter.
pub fn judge(id: &str) -> Result<(), Wrong> {
    let (scheme, code) = id.split_once(':').ok_or(Wrong::Form)?;
    if !matches!(scheme, "uscc" | "smdg" | "nmfta" | "ygt") {
        return Err(Wrong::Form);
    }
    if code.len() > CODE_CHARS_MAX && code.chars().count() > CODE_CHARS_MAX {
        return Err(Wrong::TooLong);
    }
    if scheme == "uscc" {
        return judge_uscc(code);
    }
    let of_form = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if code.is_empty() || !code.bytes().all(of_form) {
        return Err(Wrong::Form);
    }
    Ok(())
}

/// Judges a 统一社会信用代码 (GB 32100-2015), as it is: 18 characters of digits
/// and capitals without I O S V Z, digits at 3 to 8, and at 18 the check
/// character (31 − Σ value·3^(i−1) mod 31) mod 31.
pub fn judge_uscc(code: &str) -> Result<(), Wrong> {
    let bytes = code.as_bytes();
    if bytes.len() != 18 || !bytes[2..8].iter().all(u8::is_ascii_digit) {
        return Err(Wrong::Form);
    }
    let (mut sum, mut weight) = (0, 1);
    for &byte in &bytes[..17] {
        sum += uscc_value(byte).ok_or(Wrong::Form)? * weight;
        weight = weight * 3 % 31;
    }
    let check = uscc_value(bytes[17]).ok_or(Wrong::Form)?;
    if (sum + check) % 31 == 0 {
        Ok(())
    } else {
        Err(Wrong::CheckCharacter)
    }
}

fn uscc_value(byte: u8) -> Option<u32> {
    /// By byte, one more than its value; 0 for what is not in the alphabet.
    const VALUES: [u8; 256] = {
        let mut values = [0; 256];
        let mut value = 0;
        while value < USCC_ALPHABET.len() {
            values[USCC_ALPHABET[value] as usize] = value as u8 + 1;
            value += 1;
        }
        values
    };
    u32::from(VALUES[usize::from(byte)]).checked_sub(1)
}

/// Whether the text can name a source or a client: 1 to 64 characters
/// `A-Z a-z 0-9 . _ : -`.
pub fn is_name(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enterprise_has_a_known_scheme_and_a_code() {
        for good in [
            "smdg:COS",
            "nmfta:MAEU",
            "ygt:a.B_c-9",
            "uscc:91110000600037341L",
        ] {
            assert_eq!(judge(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "COS",
            "smdg:",
            ":COS",
            "SMDG:COS",
            "duns:1",
            "ygt:a b",
            "ygt:宁波",
            "ygt:a:b",
            "uscc:1",
        ] {
            assert_eq!(judge(bad), Err(Wrong::Form), "{bad}");
        }
        assert_eq!(judge("uscc:911100006000373411"), Err(Wrong::CheckCharacter));
        assert_eq!(judge(&format!("ygt:{}", "a".repeat(64))), Ok(()));
        assert_eq!(
            judge(&format!("ygt:{}", "a".repeat(65))),
            Err(Wrong::TooLong)
        );
    }

    #[test]
    fn digits_stand_at_3_to_8_of_a_uscc() {
        assert_eq!(judge_uscc("9111A000600037341L"), Err(Wrong::Form));
    }

    #[test]
    fn a_source_has_1_to_64_plain_characters() {
        assert!(is_name("ygt:gate-1.A_b") && is_name(&"x".repeat(64)));
        for bad in ["", "a b", "a/b", "宁波", "a\n", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
