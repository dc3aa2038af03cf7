//! What the program's allocator does with memory that was freed.
#![expect(
    unsafe_code,
    reason = "the allocator's options have no safe way to be set"
)]

use libmimalloc_sys::{mi_option_set_default, mi_option_t};
use std::ffi::c_long;

/// `mi_option_purge_delay` of mimalloc 3 (`mimalloc.h`), which the bindings leave out.
const PURGE_DELAY: mi_option_t = 15;

/// How long a freed page waits to be used again: by default a second, in which a busy
/// service frees 200 MiB more than it needs (docs/performance.md).
const DELAY_MS: c_long = 50;

/// Lets freed memory go back to the system soon, unless the environment says when
/// (`MIMALLOC_PURGE_DELAY`). The first that a program does, before it has a second thread;
/// one whose allocator is another notices nothing.
pub fn give_back_soon() {
    // SAFETY: it writes one aligned number within a table of the library, whose length it
    // checks. Programs call it before they have a second thread that could read it.
    unsafe { mi_option_set_default(PURGE_DELAY, DELAY_MS) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libmimalloc_sys::mi_option_get;

    /// Another version of the library may have it at another place.
    #[test]
    fn the_option_is_that_of_the_delay() {
        // SAFETY: it reads one number of that table.
        let delay = || unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(delay(), 1_000, "as the library has it");
        give_back_soon();
        assert_eq!(delay(), DELAY_MS);
    }
}
