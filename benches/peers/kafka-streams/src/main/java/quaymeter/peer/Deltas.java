package quaymeter.peer;

import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.state.KeyValueStore;
import quaymeter.v1.EventOuterClass.Party;

/**
 * What one record changes, added up before the store is touched: an amended
 * event takes back and adds much of the same, and each cell is written once at
 * most, or not at all.
 */
final class Deltas {
    private final Days days;
    private final Map<Bytes, Figures> cells = new LinkedHashMap<>();

    Deltas(Days days) {
        this.days = days;
    }

    /** Adds figures to the cells of an instant, of all parties, or takes them back. */
    void count(Told told, long at, Figures figures, int sign) {
        if (figures.isEmpty()) {
            return;
        }
        long quarter = Days.quarter(at);
        long day = days.day(at);
        for (Party party : told.parties) {
            String enterprise = party.getEnterprise();
            int role = party.getRoleValue();
            add(Cell.of(Cell.QUARTER, quarter, told.facility, enterprise, role, told.classifier), figures, sign);
            add(Cell.of(Cell.DAY, day, told.facility, enterprise, role, told.classifier), figures, sign);
        }
    }

    /** Adds figures to those of the vessel call, once and not per party. */
    void call(Told told, Figures figures, int sign) {
        if (!figures.isEmpty()) {
            add(Cell.call(told.facility, told.call, told.classifier), figures, sign);
        }
    }

    /** Adds a step to those of its slot. */
    void slot(Told told, int sign) {
        if (told.slotFigures.isEmpty()) {
            return;
        }
        for (Party party : told.parties) {
            byte[] key = Cell.slot(told.slotStart, told.slotEnd, told.facility, party.getEnterprise(),
                    party.getRoleValue(), told.classifier);
            add(key, told.slotFigures, sign);
        }
    }

    private void add(byte[] key, Figures figures, int sign) {
        cells.computeIfAbsent(Bytes.wrap(key), none -> new Figures()).addAll(figures, sign);
    }

    /** Adds all of it to the store, and is empty again. */
    void apply(KeyValueStore<Bytes, byte[]> store) {
        for (Map.Entry<Bytes, Figures> cell : cells.entrySet()) {
            Figures delta = cell.getValue();
            if (delta.isEmpty()) {
                continue;
            }
            byte[] before = store.get(cell.getKey());
            if (before == null) {
                store.put(cell.getKey(), delta.bytes());
                continue;
            }
            byte[] after = new Figures().read(before).addAll(delta, 1).bytes();
            if (after == null) {
                store.delete(cell.getKey());
            } else {
                store.put(cell.getKey(), after);
            }
        }
        cells.clear();
    }
}
