//! One meter on several machines: an instance counts the partitions of the log that it
//! owns, commits what that changes to their changelogs, and follows the changelogs of
//! all, from which it answers.

pub mod assigned;
pub mod engine;
pub mod follower;
pub mod instance;
pub mod kept;
pub mod mark;
pub mod mirror;
mod naming;
pub mod owned;
pub mod records;
mod shelf;
