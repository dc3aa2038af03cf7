package quaymeter.peer;

import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** The topology and the settings. */
final class Job {
    private Job() {}

    /**
     * One source, one processor, three stores. There is no sink: the changelog
     * of the cells is the compacted topic of their latest values, and another
     * one would only be the same again.
     */
    static Topology topology(Options options, Progress progress) {
        Topology topology = new Topology();
        topology.addSource("source", Serdes.ByteArray().deserializer(), Serdes.ByteArray().deserializer(),
                options.events());
        topology.addProcessor("count", () -> new Counting(progress, options.zone()), "source");
        // Cells change again and again within a commit interval, so they are
        // cached. An identity or a list seldom comes twice in so short a time:
        // there a cache would only be a detour, and push cells out.
        topology.addStateStore(store(Counting.EVENTS).withCachingDisabled(), "count");
        topology.addStateStore(store(Counting.LISTS).withCachingDisabled(), "count");
        topology.addStateStore(store(Counting.CELLS).withCachingEnabled(), "count");
        return topology;
    }

    private static StoreBuilder<KeyValueStore<Bytes, byte[]>> store(String name) {
        return Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), Serdes.Bytes(), Serdes.ByteArray());
    }

    static Properties settings(Options options) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, options.application());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, options.brokers());
        settings.put(StreamsConfig.STATE_DIR_CONFIG, options.state());
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, options.threads());
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, options.commitMs());
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, options.cacheBytes());
        settings.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, BoundedRocksDb.class);
        settings.put(BoundedRocksDb.CACHE_MIB, options.rocksDbCacheMib());
        settings.put(BoundedRocksDb.BUFFERS_MIB, options.rocksDbBuffersMib());
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        // Changelog records are small and many: fuller batches save requests.
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 128 * 1024);
        return settings;
    }
}
