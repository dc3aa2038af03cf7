//! Vessel calls that were named lately: the many moves of a call share its text,
//! and only the first of them copies it.

use super::cell::Call;
use std::sync::Arc;

/// How many: several times the calls that a large port has at its berths.
const PLACES: usize = 1 << 10;

/// It only saves copies: whether a call is in it changes no figure.
pub struct Recent(Box<[Option<Arc<Call>>]>);

impl Default for Recent {
    fn default() -> Self {
        Self(vec![None; PLACES].into())
    }
}

impl Recent {
    /// A call by its id and the vessel's IMO number, else by its call sign.
    pub fn call(&mut self, id: &str, imo: &str, call_sign: &str) -> Arc<Call> {
        let vessel = if imo.is_empty() { call_sign } else { imo };
        let place = &mut self.0[place(id)];
        match place {
            Some(known) if known.id == id && known.vessel == vessel => Arc::clone(known),
            _ => Arc::clone(place.insert(Arc::new(Call {
                id: id.into(),
                vessel: vessel.into(),
            }))),
        }
    }
}

/// Where a call is if it is known: by the end of its id, in which ids differ.
fn place(id: &str) -> usize {
    let last = id.bytes().rev().take(8);
    let number = last.fold(0, |number, byte| number << 8 | u64::from(byte));
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (spread >> (u64::BITS - PLACES.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_shares_its_text_and_is_never_taken_for_another() {
        let mut recent = Recent::default();
        let first = recent.call("OOCL-0731E", "9776171", "VRQC5");
        let same = recent.call("OOCL-0731E", "9776171", "");
        assert!(Arc::ptr_eq(&first, &same));
        let other = recent.call("OOCL-0731E", "", "VRQC5");
        assert_eq!(&*other.vessel, "VRQC5");
        // The same end, and so the same place.
        let longer = recent.call("X-OOCL-0731E", "", "VRQC5");
        assert_eq!(place(&longer.id), place(&first.id));
        assert_eq!(&*longer.id, "X-OOCL-0731E");
        assert_eq!(&*recent.call("", "", "").id, "");
        assert_eq!(recent.call("OOCL-0731E", "9776171", ""), first);
    }
}
