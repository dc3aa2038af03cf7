package quaymeter.peer;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.state.KeyValueStore;
import quaymeter.v1.Throughput.DurationKind;

/**
 * Lists of starts and ends: an end pairs with the start immediately before it.
 * Coming or going, a place concerns its neighbours only.
 *
 * <p>A list is one value of the store. Most have two places; a truck has a few
 * dozen a day. A range of single places would cost an iterator over cache and
 * files each time, which is far more than these bytes.
 */
final class Pairing {
    private static final long TRUCK_TURN_MS = 24L * 3_600_000;
    private static final long HORIZON_MS = 35L * 86_400_000;

    /** An event in a list: when, whether it is an end, and whose. */
    record Place(long at, boolean end, byte[] source, byte[] eventId) {
        static Place of(long at, boolean end, String source, String eventId) {
            return new Place(at, end, source.getBytes(StandardCharsets.UTF_8),
                    eventId.getBytes(StandardCharsets.UTF_8));
        }
    }

    /** Ties: starts before ends, then by the identity's bytes. */
    private static final Comparator<Place> ORDER = Comparator.comparingLong(Place::at)
            .thenComparing(Place::end)
            .thenComparing(Place::source, Arrays::compareUnsigned)
            .thenComparing(Place::eventId, Arrays::compareUnsigned);

    /** Told of each pair that comes or goes: its end, and how long it lasts. */
    interface Told {
        void pair(Place end, long lastedMs, int sign);
    }

    private final KeyValueStore<Bytes, byte[]> lists;

    Pairing(KeyValueStore<Bytes, byte[]> lists) {
        this.lists = lists;
    }

    static Bytes key(DurationKind kind, int classifier, String facility, String of) {
        return Bytes.wrap(new Packed.Out(64).one(kind.getNumber()).one(classifier)
                .text(facility).text(of).bytes());
    }

    /** Puts a place into a list. */
    void insert(Bytes key, DurationKind kind, Place place, Told told) {
        List<Place> list = read(lists.get(key));
        int found = Collections.binarySearch(list, place, ORDER);
        if (found >= 0) {
            throw new IllegalStateException("a place is in its list twice");
        }
        int at = -found - 1;
        pair(kind, list, at, -1, told);
        list.add(at, place);
        pair(kind, list, at, 1, told);
        pair(kind, list, at + 1, 1, told);
        lists.put(key, bytes(list));
    }

    /** Takes a place out of a list. */
    void remove(Bytes key, DurationKind kind, Place place, Told told) {
        List<Place> list = read(lists.get(key));
        int at = Collections.binarySearch(list, place, ORDER);
        if (at < 0) {
            throw new IllegalStateException("a place is missing in its list");
        }
        pair(kind, list, at, -1, told);
        pair(kind, list, at + 1, -1, told);
        list.remove(at);
        pair(kind, list, at, 1, told);
        if (list.isEmpty()) {
            lists.delete(key);
        } else {
            lists.put(key, bytes(list));
        }
    }

    /** Tells of the pair that ends at a place of the list, if one does. */
    private static void pair(DurationKind kind, List<Place> list, int at, int sign, Told told) {
        if (at < 1 || at >= list.size()) {
            return;
        }
        Place start = list.get(at - 1);
        Place end = list.get(at);
        long limit = kind == DurationKind.DURATION_KIND_TRUCK_TURN ? TRUCK_TURN_MS : HORIZON_MS;
        if (!start.end() && end.end() && end.at() - start.at() <= limit) {
            told.pair(end, end.at() - start.at(), sign);
        }
    }

    private static List<Place> read(byte[] bytes) {
        List<Place> list = new ArrayList<>();
        if (bytes != null) {
            var in = new Packed.In(bytes);
            while (in.more()) {
                list.add(new Place(in.eight(), in.one() != 0, in.counted(), in.counted()));
            }
        }
        return list;
    }

    private static byte[] bytes(List<Place> list) {
        var out = new Packed.Out(48 * list.size());
        for (Place place : list) {
            out.eight(place.at()).one(place.end() ? 1 : 0).counted(place.source()).counted(place.eventId());
        }
        return out.bytes();
    }
}
