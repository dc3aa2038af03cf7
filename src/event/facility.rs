//! Where things happen: UN/LOCODE, `/`, terminal or depot code.

use compact_str::CompactString;

/// The most characters of a facility: a UN/LOCODE, `/` and 16.
pub const CHARS_MAX: usize = 22;

const TERMINAL_CHARS_MAX: usize = 16;

/// Codes that many systems use for Ningbo, CNNBO: its airport's, and the
/// alternative in UN/LOCODE itself.
const ALIASES_OF_NINGBO: [&str; 2] = ["CNNGB", "CNNBG"];

/// Zhongshan and Zhenjiang, easily meant for Zhoushan (CNZOS) and Zhenhai.
const SUSPECTS: [&str; 2] = ["CNZSN", "CNZHE"];

/// Whether the text, as it is, has the form of a UN/LOCODE (UNECE
/// Recommendation 16): two letters for the country, then three of `A-Z 2-9`.
pub fn is_unlocode(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 5
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2..]
            .iter()
            .all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'9'))
}

/// Whether a UN/LOCODE, or a facility that begins with it, is one that is
/// easily meant for another: CNZSN and CNZHE.
pub fn is_suspect(text: &str) -> bool {
    text.get(..5).is_some_and(|code| SUSPECTS.contains(&code))
}

/// The facility, folded to upper case, with CNNGB and CNNBG as CNNBO. None if
/// it has not the form `CNNBO/BLCT2`: a UN/LOCODE, `/`, 1 to 16 characters
/// `A-Z 0-9 _ -`.
pub fn normalise(text: &str) -> Option<CompactString> {
    if text.len() > CHARS_MAX {
        return None;
    }
    let mut facility = CompactString::from(text);
    facility.make_ascii_uppercase();
    let (code, terminal) = facility.split_once('/')?;
    if !is_unlocode(code) || !is_terminal(terminal) {
        return None;
    }
    if ALIASES_OF_NINGBO.contains(&code) {
        facility.replace_range(..5, "CNNBO");
    }
    Some(facility)
}

fn is_terminal(code: &str) -> bool {
    (1..=TERMINAL_CHARS_MAX).contains(&code.len())
        && code
            .bytes()
            .all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_case_is_folded_and_aliases_become_ningbo() {
        assert_eq!(normalise("cnnbo/blct2").as_deref(), Some("CNNBO/BLCT2"));
        assert_eq!(normalise("CNNGB/A-1_x").as_deref(), Some("CNNBO/A-1_X"));
        assert_eq!(normalise("cnnbg/ZHCT").as_deref(), Some("CNNBO/ZHCT"));
        assert_eq!(normalise("CNZOS/YZCT7").as_deref(), Some("CNZOS/YZCT7"));
    }

    #[test]
    fn a_facility_is_a_unlocode_and_a_terminal_of_1_to_16_characters() {
        assert!(normalise("CNNBO/0123456789ABCDEF").is_some());
        for bad in [
            "",
            "/",
            "CNNBO",
            "CNNBO/",
            "/BLCT2",
            "CNNB0/A",
            "CNNBO/A/B",
            "CNNBO/A B",
            "CNNBO/宁波",
            "CNNBO/0123456789ABCDEFG",
            "宁波/BLCT2",
            " CNNBO/A",
        ] {
            assert_eq!(normalise(bad), None, "{bad}");
        }
    }

    #[test]
    fn zhongshan_and_zhenjiang_are_suspect() {
        assert!(is_suspect("CNZSN") && is_suspect("CNZHE/A") && !is_suspect("CNZOS/A"));
        assert!(!is_suspect("宁波"));
    }
}
