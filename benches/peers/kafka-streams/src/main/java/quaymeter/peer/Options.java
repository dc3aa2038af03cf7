package quaymeter.peer;

import java.nio.file.Path;
import java.time.ZoneId;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The command line: a command, then names and values. */
final class Options {
    private static final List<String> NAMES = List.of(
            "--brokers", "--prefix", "--state", "--threads", "--id", "--zone", "--cache-mib", "--rocksdb-cache-mib",
            "--rocksdb-buffers-mib", "--commit-ms", "--dump", "--compare", "--log", "--partitions");

    private final Map<String, String> values = new HashMap<>();

    Options(List<String> words) {
        if (words.size() % 2 != 0) {
            throw new IllegalArgumentException("a name or its value is missing");
        }
        for (int i = 0; i < words.size(); i += 2) {
            if (!NAMES.contains(words.get(i))) {
                throw new IllegalArgumentException(words.get(i) + " is unknown");
            }
            values.put(words.get(i), words.get(i + 1));
        }
    }

    private String required(String name) {
        String value = values.get(name);
        if (value == null) {
            throw new IllegalArgumentException(name + " is missing");
        }
        return value;
    }

    String brokers() {
        return required("--brokers");
    }

    /** The topic of the events. */
    String events() {
        return required("--prefix") + ".events";
    }

    String state() {
        return required("--state");
    }

    int threads() {
        return Integer.parseInt(values.getOrDefault("--threads", "2"));
    }

    /** Goes on with what a run of this id left behind; a run without one begins anew and leaves nothing. */
    boolean continues() {
        return values.containsKey("--id");
    }

    /** Names the consumer group, the state and its topics. */
    String application() {
        String id = values.getOrDefault("--id", Long.toString(System.currentTimeMillis(), 36));
        return required("--prefix") + ".peer-" + id;
    }

    ZoneId zone() {
        return ZoneId.of(values.getOrDefault("--zone", "Asia/Shanghai"));
    }

    long cacheBytes() {
        return Long.parseLong(values.getOrDefault("--cache-mib", "32")) << 20;
    }

    String rocksDbCacheMib() {
        return values.getOrDefault("--rocksdb-cache-mib", "64");
    }

    String rocksDbBuffersMib() {
        return values.getOrDefault("--rocksdb-buffers-mib", "32");
    }

    long commitMs() {
        return Long.parseLong(values.getOrDefault("--commit-ms", "100"));
    }

    /** Where to write all that was counted; null for nowhere. */
    Path dump() {
        return values.containsKey("--dump") ? Path.of(values.get("--dump")) : null;
    }

    /** What to hold it against; null for nothing. */
    Path truth() {
        return values.containsKey("--compare") ? Path.of(values.get("--compare")) : null;
    }

    /** The directory of an embedded log. */
    Path log() {
        return Path.of(required("--log"));
    }

    int partitions() {
        return Integer.parseInt(values.getOrDefault("--partitions", "6"));
    }
}
