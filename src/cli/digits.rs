//! Numbers and times as people read them.

/// Digits in groups of three.
pub fn grouped(digits: &str) -> String {
    let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let unsigned = whole.trim_start_matches('-');
    let mut shown = String::from(&whole[..whole.len() - unsigned.len()]);
    for (at, digit) in unsigned.char_indices() {
        if at > 0 && (unsigned.len() - at) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown + rest
}

/// How long something takes or is ago, in its two largest units.
pub fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let of = |large: i64, unit: &str, small: i64, rest: &str| {
        let (whole, part) = (seconds / large, seconds % large / small);
        match part {
            0 => format!("{whole} {unit}"),
            part => format!("{whole} {unit} {part} {rest}"),
        }
    };
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => of(60, "min", 1, "s"),
        3600..86_400 => of(3600, "h", 60, "min"),
        _ => of(86_400, "d", 3600, "h"),
    }
}

/// Bytes in the binary unit that fits.
pub fn bytes(count: i64) -> String {
    let mut rest = count.max(0) as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if rest < 1000.0 {
            return format!("{rest:.0} {unit}");
        }
        rest /= 1024.0;
    }
    format!("{rest:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        for (digits, shown) in [
            ("0", "0"),
            ("-999", "-999"),
            ("1000", "1,000"),
            ("-1234567.5", "-1,234,567.5"),
        ] {
            assert_eq!(grouped(digits), shown);
        }
    }

    #[test]
    fn times_are_told_in_two_units_at_most() {
        for (ms, shown) in [
            (-5, "0 s"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (3_599_000, "59 min 59 s"),
            (7_260_000, "2 h 1 min"),
            (86_400_000, "1 d"),
            (100 * 3_600_000, "4 d 4 h"),
        ] {
            assert_eq!(span(ms), shown);
        }
    }

    #[test]
    fn bytes_are_told_in_the_unit_that_fits() {
        for (count, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1 << 20, "1 MiB"),
            (341_835_776, "326 MiB"),
            (5 << 40, "5.0 TiB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
    }
}
