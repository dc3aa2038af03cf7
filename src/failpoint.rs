//! Places at which a test lets the process die: every hand-off of an event on
//! its way from the wire to a checkpoint. Without the feature `failpoints`
//! nothing of this is built.
//!
//! The variable `FAILPOINTS` says where, in the words of the crate `fail`:
//! `log.sync.after=20*off->return` dies when that place is reached for the 21st
//! time.

/// All places, in the order in which an event passes them.
pub const PLACES: [&str; 17] = [
    "log.roll.before",
    "log.roll.written",
    "log.roll.after",
    "log.append.before",
    "log.append.after",
    "log.sync.before",
    "log.sync.after",
    "acknowledge.before",
    "acknowledge.after",
    "apply.before",
    "apply.after",
    "publish.before",
    "publish.after",
    "checkpoint.before",
    "checkpoint.after",
    "retention.before",
    "retention.after",
];

/// The places of a backup: a part is given, a part was taken, all is taken, all
/// is checked, it got its name.
pub const BACKUP_PLACES: [&str; 5] = [
    "backup.give",
    "backup.taken",
    "backup.whole",
    "backup.checked",
    "backup.named",
];

/// The places of a commit to Kafka, in order: a partition's values are put and its mark
/// is not, the broker has all records, it has the offsets too, all is committed and nobody
/// here knows, the engine knows, the mirror has all but the last commit.
pub const KAFKA_PLACES: [&str; 6] = [
    "kafka.mark.before",
    "kafka.offsets.before",
    "kafka.commit.before",
    "kafka.commit.after",
    "kafka.known",
    "kafka.followed",
];

/// On Kafka: partitions are to be given up, and are not yet.
pub const GROUP_PLACE: &str = "group.taken";

/// Takes what the environment says, for as long as the process lives.
#[cfg(feature = "failpoints")]
pub fn configure() {
    std::mem::forget(fail::FailScenario::setup());
}

/// Ends the process as a crash does, if that is asked for at this place.
#[cfg(feature = "failpoints")]
pub fn reached(place: &str) {
    fail::fail_point!(place, |_| std::process::abort());
}

/// Does nothing.
#[cfg(not(feature = "failpoints"))]
pub fn configure() {}

/// Does nothing.
#[cfg(not(feature = "failpoints"))]
pub fn reached(_place: &str) {}
