//! Waiting for the position that a question asks for.

use super::asker::Asker;
use crate::status;
use crate::view::View;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;
use tonic::metadata::MetadataMap;

/// How long a question without a deadline waits for its position.
pub const WAIT_DEFAULT: Duration = Duration::from_secs(10);

/// The longest that any question waits for its position.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// What is left of a caller's deadline to tell him that it was in vain.
const TELLING: Duration = Duration::from_millis(250);

/// Until when a call with this metadata waits.
pub fn deadline(metadata: &MetadataMap) -> Instant {
    Instant::now() + longest(metadata)
}

fn longest(metadata: &MetadataMap) -> Duration {
    let timeout = metadata
        .get("grpc-timeout")
        .and_then(|value| timeout(value.to_str().ok()?));
    let wait = timeout.map_or(WAIT_DEFAULT, |timeout| timeout - TELLING.min(timeout / 4));
    wait.min(WAIT_MAX)
}

/// At most 8 digits and a unit.
fn timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let all_digits = digits.bytes().all(|b| b.is_ascii_digit());
    let n: u64 = (all_digits && digits.len() <= 8).then(|| digits.parse().ok())??;
    Some(match unit {
        "H" => Duration::from_secs(n * 3600),
        "M" => Duration::from_secs(n * 60),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    })
}

/// Waits until the view includes a position; an empty one is included always.
/// Errors: not a position, or not reached by the deadline.
pub async fn until_reached(
    view: &View,
    asker: &Asker,
    at_least: &str,
    deadline: Instant,
) -> Result<(), Status> {
    if at_least.is_empty() {
        return Ok(());
    }
    let position = asker.position("at_least", at_least)?;
    if !position.is_within(&view.reach()) {
        return Err(status::no_token("at_least"));
    }
    let reached = view.reached(&position, deadline).await;
    reached.map_err(|error| asker.not_reached(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_timeout_is_read_in_every_unit() {
        let seconds = Duration::from_secs;
        assert_eq!(timeout("2H"), Some(seconds(7200)));
        assert_eq!(timeout("3M"), Some(seconds(180)));
        assert_eq!(timeout("99999999S"), Some(seconds(99_999_999)));
        assert_eq!(timeout("1500m"), Some(Duration::from_millis(1500)));
        assert_eq!(timeout("7u"), Some(Duration::from_micros(7)));
        assert_eq!(timeout("8n"), Some(Duration::from_nanos(8)));
        for bad in ["", "S", "1", "1s", "-1S", "+1S", "100000000S", "1 S", "1分"] {
            assert_eq!(timeout(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_wait_is_at_most_a_minute_and_ends_before_the_callers_own() {
        let wait = |timeout: Option<&str>| {
            let mut metadata = MetadataMap::new();
            if let Some(timeout) = timeout {
                metadata.insert("grpc-timeout", timeout.parse().unwrap());
            }
            longest(&metadata)
        };
        assert_eq!(wait(None), WAIT_DEFAULT);
        assert_eq!(wait(Some("1H")), WAIT_MAX);
        assert_eq!(wait(Some("2S")), Duration::from_millis(1750));
        assert_eq!(wait(Some("100m")), Duration::from_millis(75));
    }
}
