package quaymeter.peer;

import java.math.BigInteger;

/** The histogram's buckets: bucket i ends at 2^(i/8) seconds, inclusive. */
final class Buckets {
    /** 1 ms lies in bucket -79. */
    private static final int FIRST = -80;
    /** 2^25 seconds are more than a year. */
    private static final int LAST = 200;
    /** The longest duration of each bucket, in whole milliseconds. */
    private static final long[] ENDS = ends();

    private Buckets() {}

    /** The least i with a duration of at most 2^(i/8) seconds, for 1 ms or more. */
    static int index(long lastedMs) {
        int low = 0;
        int high = ENDS.length - 1;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (ENDS[middle] < lastedMs) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return FIRST + low;
    }

    /**
     * By whole numbers, for a logarithm can be off by one at a bucket's very end:
     * d ms are at most 2^(i/8) s where d^8 is at most 1000^8 * 2^i.
     */
    private static long[] ends() {
        long[] ends = new long[LAST - FIRST + 1];
        for (int i = FIRST; i <= LAST; i++) {
            BigInteger bound = BigInteger.valueOf(1000).pow(8);
            bound = i < 0 ? bound.shiftRight(-i) : bound.shiftLeft(i);
            // The eighth root, rounded down, is three square roots.
            ends[i - FIRST] = bound.sqrt().sqrt().sqrt().longValueExact();
        }
        return ends;
    }
}
