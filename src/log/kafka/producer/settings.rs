//! What of the library's settings acknowledging, order and bounds depend on.

use super::Options;
use super::draft::BESIDE_RECORD;
use rdkafka::ClientConfig;

/// The library's own queue is larger than ours, so that it is never full. Of
/// ours, a batch is taken off before the library has dropped its last messages.
const QUEUE_FACTOR: u32 = 2;

/// Completes the settings that say where the brokers are and who we are.
pub fn complete(mut client: ClientConfig, options: Options) -> ClientConfig {
    let kbytes = options.queue_bytes / 1024 * QUEUE_FACTOR + 1024;
    let messages = options.queue_bytes / BESIDE_RECORD * QUEUE_FACTOR + 1024;
    let delivery_ms = options.delivery.as_millis().max(1);
    client
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // As many as an idempotent producer may have, so that order is kept.
        .set("max.in.flight.requests.per.connection", "5")
        // As the Java client, and as `partition_of`.
        .set("partitioner", "murmur2_random")
        .set("message.timeout.ms", delivery_ms.to_string())
        // How long a topic that is not there may still appear.
        .set("topic.metadata.propagation.max.ms", "5000")
        .set("queue.buffering.max.kbytes", kbytes.to_string())
        .set("queue.buffering.max.messages", messages.to_string());
    for (name, value) in [("linger.ms", "5"), ("compression.type", "lz4")] {
        if client.get(name).is_none() {
            client.set(name, value);
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_speed_depends_on_is_as_the_properties_say() {
        let mut client = ClientConfig::new();
        client.set("linger.ms", "50").set("acks", "1");
        let client = complete(client, Options::default());
        let found = ["linger.ms", "compression.type", "acks"].map(|name| client.get(name));
        assert_eq!(found, [Some("50"), Some("lz4"), Some("all")]);
    }
}
