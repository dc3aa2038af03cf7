//! stub until merged
/// stub
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
