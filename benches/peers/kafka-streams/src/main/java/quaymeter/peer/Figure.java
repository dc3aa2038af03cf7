package quaymeter.peer;

import com.google.protobuf.ProtocolMessageEnum;
import java.util.Locale;
import quaymeter.v1.EventOuterClass.AppointmentStage;
import quaymeter.v1.EventOuterClass.DispatchStage;
import quaymeter.v1.EventOuterClass.Fullness;
import quaymeter.v1.EventOuterClass.ServiceKind;
import quaymeter.v1.EventOuterClass.ServiceStage;
import quaymeter.v1.EventOuterClass.ShipmentStage;
import quaymeter.v1.EventOuterClass.VesselCallStage;
import quaymeter.v1.Throughput.DurationKind;
import quaymeter.v1.Throughput.Movement;

/**
 * Figures by number: what is added up millions of times needs no object and no
 * name. Numbers ascend as the truth file orders its figures.
 */
final class Figure {
    private static final int BOXES = 0;
    private static final int TEU_MILLI = 1;
    private static final int MASS_KG = 2;
    private static final int IN = 3;
    private static final int OUT = 4;
    private static final int DISPATCH = 5;
    private static final int APPOINTMENT = 6;
    private static final int VESSEL_CALL = 7;
    private static final int SERVICE = 8;
    private static final int SHIPMENT = 9;
    private static final int COUNT = 10;
    private static final int SUM_MS = 11;
    private static final int BUCKET = 12;
    private static final int OF_CALL = 13;
    private static final int OF_SLOT = 14;

    /** Buckets have indices from below zero; bucket zero's place is the first. */
    private static final int BUCKET_SHIFT = 128;

    static final int TRUCKS_IN = number(IN, 0, 0);
    static final int TRUCKS_OUT = number(OUT, 0, 0);

    /** A vessel call's figures, in the order of the truth file. */
    static final int CALL_LOADED = number(OF_CALL, 0, 0);
    static final int CALL_DISCHARGED = number(OF_CALL, 1, 0);
    static final int CALL_RESTOWED = number(OF_CALL, 2, 0);
    static final int CALL_STAYS = number(OF_CALL, 3, 0);
    static final int CALL_STAY_MS = number(OF_CALL, 4, 0);
    static final String[] CALL = {"loaded", "discharged", "restowed", "berth_stays", "berth_stay_ms"};

    /** A slot's figures, in the order of the truth file. */
    static final int SLOT_CONFIRMED = number(OF_SLOT, 0, 0);
    static final int SLOT_CHANGED = number(OF_SLOT, 1, 0);
    static final int SLOT_CANCELLED = number(OF_SLOT, 2, 0);
    static final int SLOT_USED = number(OF_SLOT, 3, 0);
    static final String[] SLOT = {"confirmed", "changed", "cancelled", "used"};

    private Figure() {}

    private static int number(int group, int major, int minor) {
        return group << 16 | major << 10 | minor;
    }

    static int boxes(Movement movement, Fullness fullness) {
        return number(BOXES, movement.getNumber(), fullness.getNumber());
    }

    static int teuMilli(Movement movement, Fullness fullness) {
        return number(TEU_MILLI, movement.getNumber(), fullness.getNumber());
    }

    static int massKg(Movement movement, Fullness fullness) {
        return number(MASS_KG, movement.getNumber(), fullness.getNumber());
    }

    static int dispatch(DispatchStage stage) {
        return number(DISPATCH, stage.getNumber(), 0);
    }

    static int appointment(AppointmentStage stage) {
        return number(APPOINTMENT, stage.getNumber(), 0);
    }

    static int vesselCall(VesselCallStage stage) {
        return number(VESSEL_CALL, stage.getNumber(), 0);
    }

    static int service(ServiceKind kind, ServiceStage stage) {
        return number(SERVICE, kind.getNumber(), stage.getNumber());
    }

    static int shipment(ShipmentStage stage) {
        return number(SHIPMENT, stage.getNumber(), 0);
    }

    static int count(DurationKind kind) {
        return number(COUNT, kind.getNumber(), 0);
    }

    static int sumMs(DurationKind kind) {
        return number(SUM_MS, kind.getNumber(), 0);
    }

    /** The bucket of the histogram that holds a duration. */
    static int bucket(DurationKind kind, long lastedMs) {
        return number(BUCKET, kind.getNumber(), lastedMs <= 0 ? 0 : Buckets.index(lastedMs) + BUCKET_SHIFT);
    }

    /** The stable name that the truth file uses. */
    static String name(int figure) {
        int major = figure >> 10 & 0x3f;
        int minor = figure & 0x3ff;
        return switch (figure >> 16) {
            case BOXES -> "boxes." + movement(major, minor);
            case TEU_MILLI -> "teu_milli." + movement(major, minor);
            case MASS_KG -> "mass_kg." + movement(major, minor);
            case IN -> "trucks.in";
            case OUT -> "trucks.out";
            case DISPATCH -> "dispatch." + part(DispatchStage.forNumber(major), "DISPATCH_STAGE_");
            case APPOINTMENT -> "appointment." + part(AppointmentStage.forNumber(major), "APPOINTMENT_STAGE_");
            case VESSEL_CALL -> "vessel_call." + part(VesselCallStage.forNumber(major), "VESSEL_CALL_STAGE_");
            case SERVICE -> "service." + part(ServiceKind.forNumber(major), "SERVICE_KIND_") + "."
                    + part(ServiceStage.forNumber(minor), "SERVICE_STAGE_");
            case SHIPMENT -> "shipment." + part(ShipmentStage.forNumber(major), "SHIPMENT_STAGE_");
            case COUNT -> duration(major) + ".count";
            case SUM_MS -> duration(major) + ".sum_ms";
            case BUCKET -> duration(major) + ".bucket." + (minor == 0 ? "zero" : minor - BUCKET_SHIFT);
            case OF_CALL -> CALL[major];
            case OF_SLOT -> SLOT[major];
            default -> throw new IllegalArgumentException("no figure has the number " + figure);
        };
    }

    private static String movement(int movement, int fullness) {
        return part(Movement.forNumber(movement), "MOVEMENT_") + "." + part(Fullness.forNumber(fullness), "FULLNESS_");
    }

    private static String duration(int kind) {
        return part(DurationKind.forNumber(kind), "DURATION_KIND_");
    }

    /** MOVEMENT_GATE_IN is gate_in. */
    private static String part(ProtocolMessageEnum value, String prefix) {
        return value.getValueDescriptor().getName().substring(prefix.length()).toLowerCase(Locale.ROOT);
    }
}
