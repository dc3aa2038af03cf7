package quaymeter.peer;

import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;

/** How far all threads are. */
final class Progress {
    private final AtomicLong begun = new AtomicLong();
    private final LongAdder processed = new LongAdder();
    private final LongAdder leftOut = new LongAdder();

    /** A record is at hand; the first one starts the clock. */
    void begin() {
        if (begun.get() == 0) {
            begun.compareAndSet(0, System.nanoTime());
        }
    }

    void processed() {
        processed.increment();
    }

    void leftOut() {
        leftOut.increment();
    }

    /** When the first record was at hand; 0 if none was. */
    long begunNanos() {
        return begun.get();
    }

    long processedRecords() {
        return processed.sum();
    }

    long leftOutRecords() {
        return leftOut.sum();
    }
}
