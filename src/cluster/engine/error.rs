//! Why counting stops, or begins anew.

use crate::cluster::{mark, owned};
use crate::log::kafka::failure::Failure;
use crate::log::kafka::ranges;
use crate::log::{Kind, Offset};

/// Why the engine could not go on; after most of these it begins anew.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The brokers, or the client.
    #[error("count the log")]
    Kafka(#[from] Failure),
    /// A part of a topic could not be read.
    #[error("count the log")]
    Unread(#[from] ranges::Error),
    /// A partition's state.
    #[error("count the log")]
    Owned(#[from] owned::Error),
    /// The mirror does not follow.
    #[error(
        "count partition {partition}: what was committed is not in the mirror within {:?}",
        super::RESTORED
    )]
    Behind {
        /// Which.
        partition: u32,
    },
    /// A mark could not be written or read.
    #[error("changelog of partition {partition}")]
    Mark {
        /// Which.
        partition: u32,
        /// Why.
        source: mark::Broken,
    },
    /// More is committed than this owner was restored from.
    #[error(
        "count partition {partition}: {found} is committed, but it was restored at {committed}"
    )]
    Ahead {
        /// Which.
        partition: u32,
        /// The offset up to which is committed.
        found: Offset,
        /// The one that it knew of.
        committed: Offset,
    },
    /// The changelog does not hold what was committed.
    #[error("count partition {partition}: its changelog is broken, all of it is counted anew")]
    Doubted {
        /// Which.
        partition: u32,
    },
    /// The log is not the one that was counted, or was cut before it was.
    #[error(
        "partition {partition} of the log has offsets {start} to {end}, but it is counted up to {counted}: records are gone that were not counted, or it is another log"
    )]
    Removed {
        /// Which.
        partition: u32,
        /// The first offset that is there.
        start: Offset,
        /// The one after the last.
        end: Offset,
        /// The first that is not counted.
        counted: Offset,
    },
}

impl Error {
    /// What to do about it.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Kafka(failure) => failure.kind,
            Self::Unread(error) => error.kind(),
            Self::Behind { .. } | Self::Ahead { .. } | Self::Doubted { .. } => Kind::Abort,
            Self::Owned(_) => Kind::Abort,
            Self::Mark { .. } | Self::Removed { .. } => Kind::Fatal,
        }
    }

    /// Whether beginning anew would not change it.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Mark { .. } | Self::Removed { .. } => true,
            // Without a permission nothing is counted; whoever runs it is to see that.
            Self::Kafka(failure) => failure.is_denied(),
            Self::Unread(error) => error.is_denied(),
            Self::Owned(error) => error.is_final(),
            _ => false,
        }
    }
}
