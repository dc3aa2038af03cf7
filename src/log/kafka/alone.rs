//! Consumers in no group, which read what they are told to.

use super::connection::{Connection, Context};
use super::failure::Failure;
use crate::log::Offset;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::TopicPartitionList;

/// Which records it sees.
pub const COMMITTED: &str = "read_committed";

/// All of them, also of transactions that are open or aborted.
pub const ALL: &str = "read_uncommitted";

/// A consumer that tells where a partition ends, and fails where it cannot begin; `more`
/// says how eagerly it fetches.
///
/// # Errors
/// A configuration that the client does not take.
pub fn consumer(
    connection: &Connection,
    isolation: &str,
    more: &[(&str, &str)],
) -> KafkaResult<BaseConsumer<Context>> {
    let mut config = connection.client();
    config
        .set("group.id", connection.group())
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("isolation.level", isolation);
    for (name, value) in more {
        config.set(*name, *value);
    }
    connection.make(&config, connection.context())
}

/// Partitions of a topic, each with an offset.
///
/// # Errors
/// The client's.
pub fn offsets(
    topic: &str,
    offsets: impl IntoIterator<Item = (u32, Offset)>,
) -> Result<TopicPartitionList, Failure> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        let offset = rdkafka::Offset::Offset(offset as i64);
        let added = list.add_partition_offset(topic, partition as i32, offset);
        added.map_err(Failure::of("name a partition"))?;
    }
    Ok(list)
}
