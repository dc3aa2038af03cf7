package quaymeter.peer;

import java.util.Arrays;

/** Figures by ascending number, none of them zero; as bytes, numbers as differences. */
final class Figures {
    private int[] numbers = new int[8];
    private long[] values = new long[8];
    private int size;

    int size() {
        return size;
    }

    int number(int at) {
        return numbers[at];
    }

    long value(int at) {
        return values[at];
    }

    boolean isEmpty() {
        return size == 0;
    }

    Figures add(int number, long value) {
        if (value == 0) {
            return this;
        }
        int at = Arrays.binarySearch(numbers, 0, size, number);
        if (at < 0) {
            insert(-at - 1, number, value);
        } else if ((values[at] += value) == 0) {
            size--;
            System.arraycopy(numbers, at + 1, numbers, at, size - at);
            System.arraycopy(values, at + 1, values, at, size - at);
        }
        return this;
    }

    /** Adds all of another's figures, or takes them back if the sign is -1. */
    Figures addAll(Figures other, int sign) {
        for (int i = 0; i < other.size; i++) {
            add(other.numbers[i], sign * other.values[i]);
        }
        return this;
    }

    private void insert(int at, int number, long value) {
        if (size == numbers.length) {
            numbers = Arrays.copyOf(numbers, 2 * size);
            values = Arrays.copyOf(values, 2 * size);
        }
        System.arraycopy(numbers, at, numbers, at + 1, size - at);
        System.arraycopy(values, at, values, at + 1, size - at);
        numbers[at] = number;
        values[at] = value;
        size++;
    }

    /** Appends what the bytes of a cell hold. */
    Figures read(byte[] bytes) {
        Packed.In in = new Packed.In(bytes);
        int number = 0;
        while (in.more()) {
            number += (int) in.varint();
            insert(size, number, in.zigzag());
        }
        return this;
    }

    /** The bytes of a cell; null if there is nothing in it: then it does not exist. */
    byte[] bytes() {
        if (size == 0) {
            return null;
        }
        Packed.Out out = new Packed.Out(size * 5);
        int before = 0;
        for (int i = 0; i < size; i++) {
            out.varint(numbers[i] - before).zigzag(values[i]);
            before = numbers[i];
        }
        return out.bytes();
    }
}
