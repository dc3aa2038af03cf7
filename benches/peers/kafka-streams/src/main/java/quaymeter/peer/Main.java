package quaymeter.peer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.state.QueryableStoreTypes;

/** Counts a topic of events to its end, and says how fast; or fills one. */
public final class Main {
    private Main() {}

    /** Exits with 0 when all is well, 1 when cells differ from the truth, 2 on anything else. */
    public static void main(String[] words) {
        int status;
        try {
            status = run(words);
        } catch (Exception e) {
            e.printStackTrace();
            status = 2;
        }
        System.exit(status);
    }

    private static int run(String[] words) throws Exception {
        if (words.length == 0) {
            throw new IllegalArgumentException("count or load?");
        }
        Options options = new Options(Arrays.asList(words).subList(1, words.length));
        switch (words[0]) {
            case "count":
                return count(options);
            case "load":
                System.out.println("{\"events\":" + Loader.load(options) + "}");
                return 0;
            default:
                throw new IllegalArgumentException(words[0] + " is neither count nor load");
        }
    }

    private static int count(Options options) throws Exception {
        long started = System.nanoTime();
        Progress progress = new Progress();
        String application = options.application();
        var settings = Job.settings(options);
        settings.put("application.id", application);
        AtomicReference<Throwable> failure = new AtomicReference<>();
        try (Backlog backlog = new Backlog(options.brokers(), options.events(), application);
                KafkaStreams streams = new KafkaStreams(Job.topology(options, progress), settings)) {
            streams.setUncaughtExceptionHandler(error -> {
                failure.set(error);
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            while (!backlog.isCommitted()) {
                if (failure.get() != null) {
                    throw new IllegalStateException("a thread has ended", failure.get());
                }
                Thread.sleep(20);
            }
            report(progress, started, System.nanoTime());
            int status = 0;
            if (options.dump() != null || options.truth() != null) {
                var cells = streams.store(StoreQueryParameters.fromNameAndType(Counting.CELLS,
                        QueryableStoreTypes.<org.apache.kafka.common.utils.Bytes, byte[]>keyValueStore()));
                if (options.dump() != null) {
                    Truth.dump(cells, options.dump());
                }
                if (options.truth() != null) {
                    status = Truth.compare(cells, options.truth(), System.out);
                }
            }
            // A member that only went away would keep the group alive.
            streams.close(new KafkaStreams.CloseOptions().leaveGroup(true).timeout(Duration.ofSeconds(60)));
            if (!options.continues()) {
                streams.cleanUp();
                backlog.removeTraces();
            }
            return status;
        }
    }

    /** Before anything else takes memory. */
    private static void report(Progress progress, long started, long ended) throws IOException {
        long begun = progress.begunNanos() == 0 ? ended : progress.begunNanos();
        double seconds = (ended - begun) / 1e9;
        long records = progress.processedRecords();
        System.out.printf(Locale.ROOT,
                "{\"events\":%d,\"left_out\":%d,\"seconds\":%.3f,\"events_per_s\":%.0f,"
                        + "\"start_up_seconds\":%.3f,\"cpu_seconds\":%.1f,\"rss_mib\":%d}%n",
                records, progress.leftOutRecords(), seconds, seconds > 0 ? records / seconds : 0,
                (begun - started) / 1e9, cpuSeconds(), peakMib());
    }

    /** All that the process took of the processors since it began, its start included. */
    private static double cpuSeconds() {
        var times = ProcessHandle.current().info().totalCpuDuration();
        return times.map(Duration::toMillis).orElse(0L) / 1e3;
    }

    /** The most memory that was ever resident; -1 where the system does not tell. */
    private static long peakMib() throws IOException {
        Path status = Path.of("/proc/self/status");
        List<String> lines = Files.isReadable(status) ? Files.readAllLines(status) : List.of();
        for (String line : lines) {
            if (line.startsWith("VmHWM:")) {
                return Long.parseLong(line.replaceAll("\\D", "")) / 1024;
            }
        }
        return -1;
    }
}
