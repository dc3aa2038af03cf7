//! Identifiers as they look in a port, with right check characters, each made
//! from a number: different numbers, different identifiers.

use super::random::stir;
use compact_str::{CompactString, format_compact};

const BASE_31: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// Districts of Ningbo and Zhoushan, and Shanghai.
const REGIONS: [&str; 12] = [
    "330201", "330203", "330205", "330206", "330211", "330212", "330213", "330281", "330282",
    "330901", "330902", "310115",
];

/// A 统一社会信用代码 (GB 32100) with a right organisation code (GB 11714).
pub(super) fn uscc(number: u32) -> CompactString {
    let region = REGIONS[number as usize % REGIONS.len()];
    // 31 is coprime to the factor, so the serials differ.
    let mut serial = (u64::from(number) * 7_368_787 + 403_117) % 31u64.pow(6);
    let mut organisation = *b"MA000000";
    for place in organisation[2..].iter_mut().rev() {
        *place = BASE_31[(serial % 31) as usize];
        serial /= 31;
    }
    let mut code = format_compact!("91{region}{}", String::from_utf8_lossy(&organisation));
    code.push(organisation_check(&organisation));
    let check = (31 - weigh_31(&code) % 31) % 31;
    code.push(char::from(BASE_31[check]));
    code
}

fn organisation_check(code: &[u8; 8]) -> char {
    let value = |c: u8| {
        u32::from(if c.is_ascii_digit() {
            c - b'0'
        } else {
            c - b'A' + 10
        })
    };
    let weights = [3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = code
        .iter()
        .zip(weights)
        .map(|(&c, weight)| value(c) * weight)
        .sum();
    match 11 - sum % 11 {
        10 => 'X',
        11 => '0',
        digit => char::from(b'0' + digit as u8),
    }
}

fn weigh_31(code: &str) -> usize {
    let value = |c: u8| BASE_31.iter().position(|&b| b == c).unwrap_or_default();
    let powers = std::iter::successors(Some(1), |power| Some(power * 3 % 31));
    code.bytes()
        .zip(powers)
        .map(|(c, power)| value(c) * power)
        .sum()
}

const OWNERS: [&str; 20] = [
    "CBHU", "TGHU", "TCNU", "TEMU", "MSKU", "MEDU", "OOLU", "EITU", "HLXU", "ONEU", "HMMU", "YMLU",
    "ZIMU", "CMAU", "BMOU", "FCIU", "SEGU", "GESU", "TRHU", "CSNU",
];

/// A container's number (ISO 6346). One in a thousand has a wrong check digit.
pub(super) fn container(number: u32) -> CompactString {
    let owner = OWNERS[number as usize % OWNERS.len()];
    let serial = (u64::from(number) / OWNERS.len() as u64 * 700_001 + 31_337) % 1_000_000;
    let mut code = format_compact!("{owner}{serial:06}");
    let wrong = u32::from(stir(number.into()).is_multiple_of(1000));
    code.push(char::from(
        b'0' + ((container_check(&code) + wrong) % 10) as u8,
    ));
    code
}

fn container_check(code: &str) -> u32 {
    let value = |c: u8| {
        if c.is_ascii_digit() {
            return u32::from(c - b'0');
        }
        // A is 10; 11, 22 and 33 are skipped.
        let plain = u32::from(c - b'A') + 10;
        plain + u32::from(plain > 10) + u32::from(plain > 20) + u32::from(plain > 30)
    };
    code.bytes()
        .enumerate()
        .map(|(place, c)| value(c) << place)
        .sum::<u32>()
        % 11
        % 10
}

/// Size and type codes with their share of boxes, tare in kg and TEU in
/// thousandths. The last ones are unknown and count 0 TEU.
pub(super) const SIZES: [Size; 13] = [
    Size::new("22G1", 0.32, 2_200, 1000),
    Size::new("42G1", 0.10, 3_700, 2000),
    Size::new("45G1", 0.43, 3_900, 2000),
    Size::new("L5G1", 0.025, 4_700, 2250),
    Size::new("22R1", 0.015, 2_900, 1000),
    Size::new("45R1", 0.05, 4_600, 2000),
    Size::new("22T1", 0.015, 3_600, 1000),
    Size::new("42P1", 0.01, 5_000, 2000),
    Size::new("42U1", 0.02, 4_000, 2000),
    Size::new("12G1", 0.005, 1_300, 500),
    Size::new("M5G1", 0.003, 4_900, 2400),
    Size::new("Z2G1", 0.004, 2_200, 0),
    Size::new("", 0.003, 3_000, 0),
];

/// A size of containers.
pub(super) struct Size {
    /// ISO 6346 size and type code.
    pub code: &'static str,
    /// Share of all boxes.
    pub share: f64,
    /// Tare in kg.
    pub tare_kg: u32,
    /// TEU in thousandths.
    pub teu_milli: i64,
}

impl Size {
    const fn new(code: &'static str, share: f64, tare_kg: u32, teu_milli: i64) -> Self {
        Self {
            code,
            share,
            tare_kg,
            teu_milli,
        }
    }
}

/// A vessel's IMO number.
pub(super) fn imo(number: u32) -> CompactString {
    let serial = 910_000 + (number * 37) % 80_000;
    let digits = format_compact!("{serial}");
    let sum: u32 = digits
        .bytes()
        .zip((2..=7).rev())
        .map(|(c, weight)| u32::from(c - b'0') * weight)
        .sum();
    format_compact!("{digits}{}", sum % 10)
}

/// A barge's radio call sign.
pub(super) fn call_sign(number: u32) -> CompactString {
    format_compact!(
        "B{}{:04}",
        char::from(b'A' + (number / 10_000 % 26) as u8),
        number % 10_000
    )
}

/// A tractor's plate: mostly of Ningbo, some of Zhoushan and of neighbours,
/// every tenth with a new-energy plate, one in a thousand written as printed.
pub(super) fn tractor(number: u32) -> CompactString {
    let serial = (u64::from(number) * 7_919 + 12_345) % 100_000;
    match stir(number.into()) % 1000 {
        0 => format_compact!("浙B·{serial:05}"),
        1..100 => format_compact!("浙B{serial:05}D"),
        100..150 => format_compact!("浙L{serial:05}"),
        150..200 => format_compact!("皖K{serial:05}"),
        200..230 => format_compact!("沪D{serial:05}"),
        _ => format_compact!("浙B{serial:05}"),
    }
}

/// A trailer's plate.
pub(super) fn trailer(number: u32) -> CompactString {
    let place = |n: u32| char::from(b"ABCDEFGHJKLMNPQRSTUVWXYZ"[n as usize % 24]);
    let serial = (number * 7 + 1) % 1000;
    format_compact!("浙B{}{serial:03}挂", place(number / 1000))
}

/// A UUID (version 4 in form).
pub(super) fn uuid(seed: u64, number: u32) -> CompactString {
    let (high, low) = (
        stir(seed ^ stir(number.into())),
        stir(seed.wrapping_add(number.into())),
    );
    // The last group alone tells numbers apart: an odd factor is one to one.
    let node = (u64::from(number) + (seed << 32)).wrapping_mul(0x5851_f42d_4c95) & 0xffff_ffff_ffff;
    let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xfff);
    let d = 0x8000 | (low & 0x3fff);
    format_compact!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{node:012x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn public_check_characters_are_reproduced() {
        let check = (31 - weigh_31("91110000600037341") % 31) % 31;
        assert_eq!(char::from(BASE_31[check]), 'L');
        assert_eq!(organisation_check(b"MA1K3BTP"), '2');
        for number in ["CSQU3054383", "TCNU7200794", "GYOU4047990", "TGHU1643396"] {
            assert!(
                number.ends_with(&container_check(&number[..10]).to_string()),
                "{number}"
            );
        }
        assert_eq!(imo(0), "9100009");
    }

    #[test]
    fn different_numbers_make_different_identifiers() {
        let kinds: [fn(u32) -> CompactString; 5] =
            [uscc, container, tractor, call_sign, |n| uuid(7, n)];
        for kind in kinds {
            let made: HashSet<_> = (0..50_000).map(kind).collect();
            assert_eq!(made.len(), 50_000, "like {}", kind(0));
        }
    }
}
