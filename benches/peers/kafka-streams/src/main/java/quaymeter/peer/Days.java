package quaymeter.peer;

import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneId;
import java.util.HashMap;
import java.util.Map;

/** When quarter-hours and the days of the reporting zone start. */
final class Days {
    private static final long QUARTER_MS = 900_000;
    private static final int KEPT_MAX = 10_000;

    private final ZoneId zone;
    /** The day's start by quarter-hour: asking a zone's rules each time would cost more than counting. */
    private final Map<Long, Long> starts = new HashMap<>();

    Days(ZoneId zone) {
        this.zone = zone;
    }

    static long quarter(long at) {
        return at - Math.floorMod(at, QUARTER_MS);
    }

    long day(long at) {
        if (starts.size() > KEPT_MAX) {
            starts.clear();
        }
        return starts.computeIfAbsent(quarter(at), this::start);
    }

    private long start(long quarter) {
        LocalDate date = Instant.ofEpochMilli(quarter).atZone(zone).toLocalDate();
        return date.atStartOfDay(zone).toInstant().toEpochMilli();
    }
}
