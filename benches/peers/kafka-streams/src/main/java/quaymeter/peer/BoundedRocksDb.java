package quaymeter.peer;

import java.util.Map;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.Cache;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.WriteBufferManager;

/**
 * Bounds what all stores together keep off the heap, as Kafka Streams'
 * documentation recommends ("Memory management"): one cache, from which the
 * write buffers are taken too. Without it each store of each partition may
 * have 98 MiB of its own.
 */
public final class BoundedRocksDb implements RocksDBConfigSetter {
    static final String CACHE_MIB = "peer.rocksdb.cache.mib";
    static final String BUFFERS_MIB = "peer.rocksdb.buffers.mib";

    // Shared by all stores of the process, hence static; Streams makes an
    // object of this class for each store.
    private static Cache cache;
    private static WriteBufferManager buffers;

    private static synchronized void make(Map<String, Object> configs) {
        if (cache == null) {
            cache = new LRUCache(mib(configs, CACHE_MIB), -1, false, 0.1);
            buffers = new WriteBufferManager(mib(configs, BUFFERS_MIB), cache);
        }
    }

    private static long mib(Map<String, Object> configs, String name) {
        return Long.parseLong(configs.get(name).toString()) << 20;
    }

    @Override
    public void setConfig(String storeName, Options options, Map<String, Object> configs) {
        make(configs);
        BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
        table.setBlockCache(cache);
        table.setCacheIndexAndFilterBlocks(true);
        table.setCacheIndexAndFilterBlocksWithHighPriority(true);
        table.setPinTopLevelIndexAndFilter(true);
        options.setTableFormatConfig(table);
        options.setWriteBufferManager(buffers);
    }

    @Override
    public void close(String storeName, Options options) {
        // Cache and buffers are the other stores' too.
    }
}
