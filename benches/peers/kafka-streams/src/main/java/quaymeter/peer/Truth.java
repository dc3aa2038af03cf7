package quaymeter.peer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.HashSet;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;
import quaymeter.v1.EventOuterClass.Classifier;
import quaymeter.v1.EventOuterClass.Role;

/**
 * The truth file of a simulation: an object a line, of cells, vessel calls and
 * slots, with their figures by name. What is not there is zero.
 */
final class Truth {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int SHOWN_MAX = 10;

    private Truth() {}

    /** Writes all that was counted as lines of a truth file, in the store's order. */
    static void dump(ReadOnlyKeyValueStore<Bytes, byte[]> cells, Path path) throws IOException {
        try (BufferedWriter out = Files.newBufferedWriter(path);
                KeyValueIterator<Bytes, byte[]> all = cells.all()) {
            while (all.hasNext()) {
                KeyValue<Bytes, byte[]> cell = all.next();
                out.write(JSON.writeValueAsString(line(cell.key.get(), new Figures().read(cell.value))));
                out.newLine();
            }
        }
    }

    /** Compares every figure of both sides; 0 if all are equal, else 1. */
    static int compare(ReadOnlyKeyValueStore<Bytes, byte[]> cells, Path path, PrintStream out) throws IOException {
        long lines = 0;
        long found = 0;
        long differences = 0;
        try (BufferedReader in = Files.newBufferedReader(path)) {
            for (String text = in.readLine(); text != null; text = in.readLine()) {
                ObjectNode line = (ObjectNode) JSON.readTree(text);
                byte[] value = cells.get(Bytes.wrap(key(line)));
                Figures counted = value == null ? new Figures() : new Figures().read(value);
                differences += differ(line, line.get("figures"), counted, differences, out);
                lines++;
                found += value == null ? 0 : 1;
            }
        }
        long more = count(cells) - found;
        if (more != 0) {
            differences += others(cells, keys(path), differences, out);
        }
        out.printf("{\"compared\":%d,\"not_in_the_truth\":%d,\"differences\":%d}%n", lines, more, differences);
        return differences == 0 && more == 0 ? 0 : 1;
    }

    private static long count(ReadOnlyKeyValueStore<Bytes, byte[]> cells) {
        long count = 0;
        try (KeyValueIterator<Bytes, byte[]> all = cells.all()) {
            for (; all.hasNext(); all.next()) {
                count++;
            }
        }
        return count;
    }

    /** Many: they are held in memory only when some cell is known not to be among them. */
    private static Set<Bytes> keys(Path path) throws IOException {
        Set<Bytes> keys = new HashSet<>();
        try (BufferedReader in = Files.newBufferedReader(path)) {
            for (String text = in.readLine(); text != null; text = in.readLine()) {
                if (!keys.add(Bytes.wrap(key((ObjectNode) JSON.readTree(text))))) {
                    throw new IOException("twice in the truth: " + text);
                }
            }
        }
        return keys;
    }

    /** Tells and counts the figures of cells that the truth lacks. */
    private static long others(ReadOnlyKeyValueStore<Bytes, byte[]> cells, Set<Bytes> keys, long before,
            PrintStream out) throws IOException {
        long found = 0;
        try (KeyValueIterator<Bytes, byte[]> all = cells.all()) {
            while (all.hasNext()) {
                KeyValue<Bytes, byte[]> cell = all.next();
                if (!keys.contains(cell.key)) {
                    Figures counted = new Figures().read(cell.value);
                    ObjectNode line = line(cell.key.get(), counted);
                    found += differ(line, JSON.createObjectNode(), counted, before + found, out);
                }
            }
        }
        return found;
    }

    /** Tells and counts the figures that differ. */
    private static long differ(ObjectNode line, JsonNode truth, Figures counted, long before, PrintStream out) {
        TreeMap<String, Long> left = new TreeMap<>();
        truth.properties().forEach(figure -> left.put(figure.getKey(), figure.getValue().longValue()));
        left.values().removeIf(value -> value == 0);
        TreeMap<String, Long> right = new TreeMap<>();
        for (int i = 0; i < counted.size(); i++) {
            right.put(Figure.name(counted.number(i)), counted.value(i));
        }
        if (left.equals(right)) {
            return 0;
        }
        line.remove("figures");
        TreeSet<String> names = new TreeSet<>(left.keySet());
        names.addAll(right.keySet());
        long found = 0;
        for (String name : names) {
            long meant = left.getOrDefault(name, 0L);
            long got = right.getOrDefault(name, 0L);
            if (meant != got && before + found++ < SHOWN_MAX) {
                out.printf("%s: %s is %d, counted %d%n", line, name, meant, got);
            }
        }
        return found;
    }

    /** The store's key of a line. */
    private static byte[] key(ObjectNode line) throws IOException {
        String facility = line.get("facility").textValue();
        int classifier = Classifier.valueOf(line.get("classifier").textValue()).getNumber();
        String is = line.get("is").textValue();
        if (is.equals("call")) {
            return Cell.call(facility, line.get("call_id").textValue(), classifier);
        }
        String enterprise = line.get("enterprise").textValue();
        int role = Role.valueOf(line.get("role").textValue()).getNumber();
        if (is.equals("slot")) {
            return Cell.slot(instant(line, "slot_start"), instant(line, "slot_end"), facility, enterprise, role,
                    classifier);
        }
        int grain = switch (line.get("grain").textValue()) {
            case "quarter" -> Cell.QUARTER;
            case "day" -> Cell.DAY;
            default -> throw new IOException("neither a quarter-hour nor a day: " + line);
        };
        return Cell.of(grain, instant(line, "start"), facility, enterprise, role, classifier);
    }

    private static long instant(ObjectNode line, String name) {
        return Instant.parse(line.get(name).textValue()).toEpochMilli();
    }

    /** The line of a cell, fields in the order of the truth file. */
    private static ObjectNode line(byte[] key, Figures figures) {
        Packed.In in = new Packed.In(key);
        ObjectNode line = JSON.createObjectNode();
        int what = in.one();
        switch (what) {
            case Cell.QUARTER, Cell.DAY -> {
                line.put("is", "cell").put("grain", what == Cell.QUARTER ? "quarter" : "day");
                line.put("start", Instant.ofEpochMilli(in.eight()).toString());
                owner(line, in);
            }
            case Cell.CALL -> {
                line.put("is", "call").put("facility", in.text()).put("call_id", in.text());
                line.put("classifier", Classifier.forNumber(in.one()).name());
            }
            case Cell.SLOT -> {
                line.put("is", "slot").put("slot_start", Instant.ofEpochMilli(in.eight()).toString());
                line.put("slot_end", Instant.ofEpochMilli(in.eight()).toString());
                owner(line, in);
            }
            default -> throw new IllegalStateException("no key begins with " + what);
        }
        ObjectNode named = line.putObject("figures");
        // Of calls and slots the file has all figures, zero or not.
        if (what == Cell.CALL || what == Cell.SLOT) {
            for (String name : what == Cell.CALL ? Figure.CALL : Figure.SLOT) {
                named.put(name, 0L);
            }
        }
        for (int i = 0; i < figures.size(); i++) {
            named.put(Figure.name(figures.number(i)), figures.value(i));
        }
        return line;
    }

    private static void owner(ObjectNode line, Packed.In in) {
        line.put("facility", in.text()).put("enterprise", in.text());
        line.put("role", Role.forNumber(in.one()).name());
        line.put("classifier", Classifier.forNumber(in.one()).name());
    }
}
