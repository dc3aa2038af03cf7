package quaymeter.peer;

/**
 * The keys of what is counted. Instants come first: what changes together lies
 * together, so that fewer blocks of the store are hot.
 */
final class Cell {
    static final int QUARTER = 1;
    static final int DAY = 2;
    static final int CALL = 3;
    static final int SLOT = 4;

    private Cell() {}

    static byte[] of(int grain, long start, String facility, String enterprise, int role, int classifier) {
        return new Packed.Out(80).one(grain).eight(start).text(facility).text(enterprise)
                .one(role).one(classifier).bytes();
    }

    static byte[] call(String facility, String call, int classifier) {
        return new Packed.Out(64).one(CALL).text(facility).text(call).one(classifier).bytes();
    }

    static byte[] slot(long start, long end, String facility, String enterprise, int role, int classifier) {
        return new Packed.Out(96).one(SLOT).eight(start).eight(end).text(facility).text(enterprise)
                .one(role).one(classifier).bytes();
    }
}
