package quaymeter.peer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Writes and reads keys and values of the stores. */
final class Packed {
    private Packed() {}

    /** Bytes that grow. */
    static final class Out {
        private byte[] bytes;
        private int size;

        Out(int expected) {
            bytes = new byte[Math.max(expected, 16)];
        }

        private void room(int more) {
            if (size + more > bytes.length) {
                bytes = Arrays.copyOf(bytes, Math.max(2 * bytes.length, size + more));
            }
        }

        Out one(int value) {
            room(1);
            bytes[size++] = (byte) value;
            return this;
        }

        /** Eight bytes, the highest first: positive numbers sort as their bytes. */
        Out eight(long value) {
            room(8);
            for (int shift = 56; shift >= 0; shift -= 8) {
                bytes[size++] = (byte) (value >>> shift);
            }
            return this;
        }

        Out varint(long value) {
            room(10);
            while ((value & ~0x7fL) != 0) {
                bytes[size++] = (byte) (value | 0x80);
                value >>>= 7;
            }
            bytes[size++] = (byte) value;
            return this;
        }

        Out zigzag(long value) {
            return varint(value << 1 ^ value >> 63);
        }

        /** A text and an end mark: no text of an event holds a control character. */
        Out text(String text) {
            return all(text.getBytes(StandardCharsets.UTF_8)).one(0);
        }

        /** Bytes and before them how many they are. */
        Out counted(byte[] more) {
            return varint(more.length).all(more);
        }

        private Out all(byte[] more) {
            room(more.length + 1);
            System.arraycopy(more, 0, bytes, size, more.length);
            size += more.length;
            return this;
        }

        byte[] bytes() {
            return size == bytes.length ? bytes : Arrays.copyOf(bytes, size);
        }
    }

    /** Reads what {@link Out} wrote. */
    static final class In {
        private final byte[] bytes;
        private int at;

        In(byte[] bytes) {
            this.bytes = bytes;
        }

        boolean more() {
            return at < bytes.length;
        }

        int one() {
            return bytes[at++];
        }

        long eight() {
            long value = 0;
            for (int i = 0; i < 8; i++) {
                value = value << 8 | bytes[at++] & 0xff;
            }
            return value;
        }

        long varint() {
            long value = 0;
            for (int shift = 0; ; shift += 7) {
                byte next = bytes[at++];
                value |= (next & 0x7fL) << shift;
                if (next >= 0) {
                    return value;
                }
            }
        }

        long zigzag() {
            long value = varint();
            return value >>> 1 ^ -(value & 1);
        }

        String text() {
            int from = at;
            while (bytes[at] != 0) {
                at++;
            }
            return new String(bytes, from, at++ - from, StandardCharsets.UTF_8);
        }

        byte[] counted() {
            int size = (int) varint();
            at += size;
            return Arrays.copyOfRange(bytes, at - size, at);
        }
    }
}
