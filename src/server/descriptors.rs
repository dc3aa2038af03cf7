//! File descriptors. Connections may not have all that the system lets the process have:
//! a log that cannot open its next segment cannot take anything.

use super::guests::LEAVING_MAX;
use rustix::process::{Resource, getrlimit, setrlimit};

/// Kept for files, brokers, the other ports, and connections that are just going.
const OTHERS: u64 = 768 + LEAVING_MAX as u64;

/// Lets the process have as many as the system allows at all; how many that is.
fn raised() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => limit.maximum,
        Err(_) => before,
    }
    .unwrap_or(u64::MAX)
}

/// Connections that there is room for, if so many are wanted. Says so if it is not for
/// all of them.
pub fn connections(wanted: usize) -> usize {
    let descriptors = raised();
    let places = places(wanted, descriptors);
    if places < wanted {
        tracing::warn!(
            descriptors,
            wanted,
            places,
            "fewer connections than limits.connections: the process may have no more files"
        );
    }
    places
}

fn places(wanted: usize, descriptors: u64) -> usize {
    let left = descriptors - OTHERS.min(descriptors / 2);
    wanted.min(usize::try_from(left).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_theirs_however_many_connections_are_wanted() {
        assert_eq!(places(20_000, 1 << 20), 20_000);
        assert_eq!(places(20_000, 20_000), 18_976);
        assert_eq!(places(20_000, 1_024), 512);
        assert_eq!(places(100, u64::MAX), 100);
        assert_eq!(places(7, 0), 0);
    }
}
