//! What the broker takes and gives of the same records, with the client library alone.

use super::Place;
use crate::stage::Stage;
use anyhow::{Context as _, anyhow, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedHeaders, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::util::Timeout;
use std::time::{Duration, Instant};

/// Records that are written, the same again and again.
const RECORDS: u64 = 2_000_000;

/// Reached only when something hangs.
const WITHIN: Duration = Duration::from_secs(300);

struct Sample {
    key: Vec<u8>,
    value: Vec<u8>,
    headers: OwnedHeaders,
}

/// Writes the records of one place into another, and reads them there.
pub fn run(stage: &mut Stage, from: &Place<'_>, to: &Place<'_>) -> anyhow::Result<()> {
    let mut samples = Vec::new();
    let most = stage.options.scaled(500_000);
    read(from, most, |message| {
        samples.push(Sample {
            key: message.key().unwrap_or_default().to_vec(),
            value: message.payload().unwrap_or_default().to_vec(),
            headers: message
                .headers()
                .map(BorrowedHeaders::detach)
                .unwrap_or_default(),
        });
    })?;
    let records = stage.options.scaled(RECORDS);
    let seconds = write(to, &samples, records)?;
    stage
        .report
        .add("kafka.raw_produce_per_s", records as f64 / seconds);
    let started = Instant::now();
    let mut bytes = 0;
    let found = read(to, records, |message| bytes += message.payload_len())?;
    ensure!(
        found == records && bytes > 0,
        "read {found} records of {records}"
    );
    let seconds = started.elapsed().as_secs_f64();
    stage
        .report
        .add("kafka.raw_consume_per_s", records as f64 / seconds);
    Ok(())
}

/// As ingest writes: idempotent, all replicas, the same batching and compression.
fn write(to: &Place<'_>, samples: &[Sample], records: u64) -> anyhow::Result<f64> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &to.broker.bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "5")
        .set("compression.type", "lz4")
        .set("queue.buffering.max.kbytes", "262144")
        .set("queue.buffering.max.messages", "1000000")
        .create()?;
    let topic = to.topic("events");
    let started = Instant::now();
    for sample in samples.iter().cycle().take(records as usize) {
        let mut record = BaseRecord::to(&topic)
            .key(&sample.key)
            .payload(&sample.value)
            .headers(sample.headers.clone());
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }
    producer.flush(WITHIN)?;
    Ok(started.elapsed().as_secs_f64())
}

/// Reads the events' topic from its beginning; how many records there are, at most so
/// many.
fn read(
    of: &Place<'_>,
    most: u64,
    mut each: impl FnMut(&rdkafka::message::BorrowedMessage<'_>),
) -> anyhow::Result<u64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &of.broker.bootstrap)
        .set("group.id", "raw")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "20")
        .set("fetch.queue.backoff.ms", "5")
        .set("queued.max.messages.kbytes", "65536")
        .create()?;
    let (topic, mut list, mut total) = (of.topic("events"), TopicPartitionList::new(), 0);
    for partition in 0..of.partitions as i32 {
        list.add_partition_offset(&topic, partition, rdkafka::Offset::Beginning)?;
        let (start, end) = consumer.fetch_watermarks(&topic, partition, WITHIN)?;
        total += (end - start) as u64;
    }
    consumer.assign(&list)?;
    let (started, mut found) = (Instant::now(), 0);
    let mut idle = None;
    // Ends of transactions are no records, so the end is seen by nothing coming.
    while found < total.min(most) {
        match consumer.poll(Timeout::After(Duration::from_millis(100))) {
            Some(message) => {
                each(&message.context("read a record")?);
                found += 1;
                idle = None;
            }
            None => {
                let since: Instant = *idle.get_or_insert_with(Instant::now);
                if found > 0 && since.elapsed() > Duration::from_secs(2) {
                    break;
                }
            }
        }
        if started.elapsed() > WITHIN {
            return Err(anyhow!("read {found} records of {total} in {WITHIN:?}"));
        }
    }
    Ok(found)
}
