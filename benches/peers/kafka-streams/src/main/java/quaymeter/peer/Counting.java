package quaymeter.peer;

import com.google.protobuf.InvalidProtocolBufferException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.ZoneId;
import java.util.Arrays;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import quaymeter.v1.EventOuterClass.Event;
import quaymeter.v1.Throughput.DurationKind;

/**
 * Counts the events of a partition. Of each identity it keeps the version that
 * wins, as it stood in the topic; a greater one takes back what that
 * contributed, and then counts itself.
 */
final class Counting implements Processor<byte[], byte[], Void, Void> {
    /** The winners, by identity. */
    static final String EVENTS = "events";
    /** Starts and ends, by what they have in common. */
    static final String LISTS = "lists";
    /** All that is counted. */
    static final String CELLS = "cells";

    private final Progress progress;
    private final Deltas deltas;
    private KeyValueStore<Bytes, byte[]> events;
    private KeyValueStore<Bytes, byte[]> cells;
    private Pairing pairing;

    Counting(Progress progress, ZoneId zone) {
        this.progress = progress;
        deltas = new Deltas(new Days(zone));
    }

    @Override
    public void init(ProcessorContext<Void, Void> context) {
        events = context.getStateStore(EVENTS);
        cells = context.getStateStore(CELLS);
        pairing = new Pairing(context.getStateStore(LISTS));
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        progress.begin();
        try {
            count(record);
        } catch (InvalidProtocolBufferException | IllegalArgumentException e) {
            // Of what is no event nothing was changed yet: it is left out.
            progress.leftOut();
        }
        progress.processed();
    }

    private void count(Record<byte[], byte[]> record) throws InvalidProtocolBufferException {
        String source = header(record.headers(), "quaymeter-source");
        if (!header(record.headers(), "quaymeter-schema").equals("1") || record.value() == null) {
            throw new IllegalArgumentException("not an encoding that is known");
        }
        Event event = Event.parseFrom(record.value());
        Told told = event.getRetracted() ? null : new Told(event);
        Bytes identity = identity(event.getFacility(), source, event.getEventId());
        byte[] knownBytes = events.get(identity);
        if (knownBytes != null) {
            Event known = Event.parseFrom(knownBytes);
            if (!wins(event, record.value(), known, knownBytes)) {
                return;
            }
            if (!known.getRetracted()) {
                change(new Told(known), source, event.getEventId(), -1);
            }
        }
        events.put(identity, record.value());
        if (told != null) {
            change(told, source, event.getEventId(), 1);
        }
        deltas.apply(cells);
    }

    /** Adds all that a statement comes to, or takes it back. */
    private void change(Told told, String source, String eventId, int sign) {
        // A copy, for its own durations count in the same cells.
        Figures own = new Figures().addAll(told.figures, 1);
        Figures ownCall = new Figures().addAll(told.callFigures, 1);
        for (Told.Spot spot : told.spots) {
            Bytes key = Pairing.key(spot.kind(), told.classifier, told.facility, spot.key());
            Pairing.Place place = Pairing.Place.of(told.at, spot.end(), source, eventId);
            Pairing.Told pairs = (end, lastedMs, pairSign) -> {
                if (isSame(end, place)) {
                    // Its own pairs come and go with itself.
                    duration(own, ownCall, spot.kind(), lastedMs);
                } else {
                    neighbour(told.facility, end, spot.kind(), lastedMs, pairSign);
                }
            };
            if (sign > 0) {
                pairing.insert(key, spot.kind(), place, pairs);
            } else {
                pairing.remove(key, spot.kind(), place, pairs);
            }
        }
        deltas.count(told, told.countedAt(), own, sign);
        deltas.call(told, ownCall, sign);
        if (told.hasSlot()) {
            deltas.slot(told, sign);
        }
    }

    /** A pair that ends at another event, which gained or lost its start. */
    private void neighbour(String facility, Pairing.Place end, DurationKind kind, long lastedMs, int sign) {
        Told told = told(events.get(identity(facility, text(end.source()), text(end.eventId()))));
        Figures figures = new Figures();
        Figures callFigures = new Figures();
        duration(figures, callFigures, kind, lastedMs);
        deltas.count(told, told.at, figures, sign);
        deltas.call(told, callFigures, sign);
    }

    private static void duration(Figures figures, Figures callFigures, DurationKind kind, long lastedMs) {
        figures.add(Figure.count(kind), 1);
        figures.add(Figure.sumMs(kind), lastedMs);
        figures.add(Figure.bucket(kind, lastedMs), 1);
        if (kind == DurationKind.DURATION_KIND_BERTH_STAY) {
            callFigures.add(Figure.CALL_STAYS, 1);
            callFigures.add(Figure.CALL_STAY_MS, lastedMs);
        }
    }

    /**
     * The higher revision; at the same one a retraction; of two statements the
     * one of the greater SHA-256. An equal one is a duplicate.
     */
    private static boolean wins(Event event, byte[] bytes, Event known, byte[] knownBytes) {
        if (event.getRevision() != known.getRevision()) {
            return event.getRevision() > known.getRevision();
        }
        if (event.getRetracted() != known.getRetracted()) {
            return event.getRetracted();
        }
        if (event.getRetracted() || Arrays.equals(bytes, knownBytes)) {
            return false;
        }
        return Arrays.compareUnsigned(sha256(bytes), sha256(knownBytes)) > 0;
    }

    private static byte[] sha256(byte[] bytes) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(bytes);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has it", e);
        }
    }

    private static Told told(byte[] bytes) {
        try {
            return new Told(Event.parseFrom(bytes));
        } catch (InvalidProtocolBufferException e) {
            throw new IllegalStateException("it was read when it was put there", e);
        }
    }

    private static boolean isSame(Pairing.Place a, Pairing.Place b) {
        return Arrays.equals(a.eventId(), b.eventId()) && Arrays.equals(a.source(), b.source());
    }

    private static Bytes identity(String facility, String source, String eventId) {
        return Bytes.wrap(new Packed.Out(64).text(facility).text(source).text(eventId).bytes());
    }

    private static String header(Headers headers, String name) {
        Header header = headers.lastHeader(name);
        if (header == null || header.value() == null) {
            throw new IllegalArgumentException("the header " + name + " is missing");
        }
        return text(header.value());
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
