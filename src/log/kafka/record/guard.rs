//! Headers as the client library gives them.

use super::{Reason, Refused};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use smallvec::SmallVec;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A message's headers, borrowed.
type Borrowed<'a> = SmallVec<[(&'a str, Option<&'a [u8]>); 6]>;

/// The headers of a message.
///
/// # Errors
/// A name that is not UTF-8. The library panics over one, and whoever writes to
/// the topic could so stop its partition for ever.
pub fn headers_of<'a>(message: &'a BorrowedMessage<'_>) -> Result<Borrowed<'a>, Refused> {
    let Some(headers) = message.headers() else {
        return Ok(Borrowed::new());
    };
    let all = || headers.iter().map(|header| (header.key, header.value));
    guarded(|| all().collect())
}

/// The panic is only counted as a refusal where nothing was changed.
fn guarded<T>(read: impl FnOnce() -> T) -> Result<T, Refused> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| Refused {
        reason: Reason::BadHeader,
        detail: "a header's name is not UTF-8".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_over_which_the_library_panics_is_a_refusal() {
        let refused = guarded(|| -> u8 { panic!("not UTF-8") }).unwrap_err();
        assert_eq!(refused.reason, Reason::BadHeader);
        assert_eq!(guarded(|| 1), Ok(1));
    }
}
