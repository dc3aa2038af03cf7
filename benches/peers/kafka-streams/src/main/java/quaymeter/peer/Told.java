package quaymeter.peer;

import com.google.protobuf.Timestamp;
import java.util.ArrayList;
import java.util.List;
import quaymeter.v1.EventOuterClass.AppointmentStep;
import quaymeter.v1.EventOuterClass.Classifier;
import quaymeter.v1.EventOuterClass.Container;
import quaymeter.v1.EventOuterClass.DispatchStage;
import quaymeter.v1.EventOuterClass.Event;
import quaymeter.v1.EventOuterClass.Fullness;
import quaymeter.v1.EventOuterClass.GateDirection;
import quaymeter.v1.EventOuterClass.GateMove;
import quaymeter.v1.EventOuterClass.Party;
import quaymeter.v1.EventOuterClass.QuayDirection;
import quaymeter.v1.EventOuterClass.QuayMove;
import quaymeter.v1.EventOuterClass.ServiceStage;
import quaymeter.v1.EventOuterClass.VesselCallStage;
import quaymeter.v1.EventOuterClass.YardMove;
import quaymeter.v1.Throughput.DurationKind;
import quaymeter.v1.Throughput.Movement;

/** What one statement comes to: figures for its parties, and its places in lists of pairs. */
final class Told {
    /** A duration's start or end: in which list, by tractor, order, call or container. */
    record Spot(DurationKind kind, String key, boolean end) {}

    final String facility;
    final int classifier;
    /** When it happened, in ms; pairs go by this. */
    final long at;
    /** When its slot starts and ends; both 0 without one. */
    long slotStart;
    long slotEnd;
    /** The vessel call that it counts for; null without one. */
    String call;
    final List<Party> parties;
    final Figures figures = new Figures();
    final Figures callFigures = new Figures();
    final Figures slotFigures = new Figures();
    final List<Spot> spots = new ArrayList<>(2);

    /** Of an event that is not retracted. */
    Told(Event event) {
        facility = event.getFacility();
        classifier = event.getClassifier() == Classifier.CLASSIFIER_UNSPECIFIED
                ? Classifier.CLASSIFIER_ACTUAL_VALUE
                : event.getClassifierValue();
        at = millis(event.getOccurredAt());
        parties = event.getPartiesList();
        switch (event.getDetailCase()) {
            case GATE_MOVE -> gate(event.getGateMove());
            case QUAY_MOVE -> quay(event.getQuayMove());
            case YARD_MOVE -> yard(event.getYardMove());
            case DISPATCH_STEP -> {
                var step = event.getDispatchStep();
                figures.add(Figure.dispatch(step.getStage()), 1);
                if (step.getStage() == DispatchStage.DISPATCH_STAGE_OFFERED
                        || step.getStage() == DispatchStage.DISPATCH_STAGE_ACCEPTED) {
                    boolean end = step.getStage() == DispatchStage.DISPATCH_STAGE_ACCEPTED;
                    spots.add(new Spot(DurationKind.DURATION_KIND_ACCEPTANCE, step.getOrderId(), end));
                }
            }
            case APPOINTMENT_STEP -> appointment(event.getAppointmentStep());
            case VESSEL_CALL -> {
                var step = event.getVesselCall();
                call = step.getCallId();
                figures.add(Figure.vesselCall(step.getStage()), 1);
                if (step.getStage() == VesselCallStage.VESSEL_CALL_STAGE_BERTHED
                        || step.getStage() == VesselCallStage.VESSEL_CALL_STAGE_UNBERTHED) {
                    boolean end = step.getStage() == VesselCallStage.VESSEL_CALL_STAGE_UNBERTHED;
                    spots.add(new Spot(DurationKind.DURATION_KIND_BERTH_STAY, call, end));
                }
            }
            case PORT_SERVICE -> {
                var step = event.getPortService();
                figures.add(Figure.service(step.getService(), step.getStage()), 1);
                if (step.getStage() == ServiceStage.SERVICE_STAGE_STARTED
                        || step.getStage() == ServiceStage.SERVICE_STAGE_COMPLETED) {
                    boolean end = step.getStage() == ServiceStage.SERVICE_STAGE_COMPLETED;
                    spots.add(new Spot(DurationKind.DURATION_KIND_SERVICE_TIME, step.getOrderId(), end));
                }
            }
            case SHIPMENT_STEP -> figures.add(Figure.shipment(event.getShipmentStep().getStage()), 1);
            case DETAIL_NOT_SET -> throw new IllegalArgumentException("an event without a detail");
        }
    }

    /** The instant of the cells in which it counts: appointments count where their slot starts. */
    long countedAt() {
        return hasSlot() ? slotStart : at;
    }

    boolean hasSlot() {
        return slotEnd != 0;
    }

    private void gate(GateMove gate) {
        boolean out = gate.getDirection() == GateDirection.GATE_DIRECTION_OUT;
        if (!gate.getTractorPlate().isEmpty()) {
            figures.add(out ? Figure.TRUCKS_OUT : Figure.TRUCKS_IN, 1);
            spots.add(new Spot(DurationKind.DURATION_KIND_TRUCK_TURN, gate.getTractorPlate(), out));
        }
        for (Container container : gate.getContainersList()) {
            moved(container, out ? Movement.MOVEMENT_GATE_OUT : Movement.MOVEMENT_GATE_IN);
            spots.add(new Spot(DurationKind.DURATION_KIND_DWELL, container.getNumber(), out));
        }
    }

    private void quay(QuayMove quay) {
        boolean load = quay.getDirection() == QuayDirection.QUAY_DIRECTION_LOAD;
        call = quay.getCallId();
        if (quay.getRestow()) {
            moved(quay.getContainer(), Movement.MOVEMENT_RESTOWED);
            callFigures.add(Figure.CALL_RESTOWED, 1);
            return;
        }
        moved(quay.getContainer(), load ? Movement.MOVEMENT_LOADED : Movement.MOVEMENT_DISCHARGED);
        callFigures.add(load ? Figure.CALL_LOADED : Figure.CALL_DISCHARGED, 1);
        spots.add(new Spot(DurationKind.DURATION_KIND_DWELL, quay.getContainer().getNumber(), load));
    }

    private void yard(YardMove yard) {
        moved(yard.getContainer(), switch (yard.getActivity()) {
            case YARD_ACTIVITY_STUFF -> Movement.MOVEMENT_STUFFED;
            case YARD_ACTIVITY_STRIP -> Movement.MOVEMENT_STRIPPED;
            case YARD_ACTIVITY_PICK -> Movement.MOVEMENT_PICKED;
            case YARD_ACTIVITY_DROP -> Movement.MOVEMENT_DROPPED;
            case YARD_ACTIVITY_INSPECT -> Movement.MOVEMENT_INSPECTED;
            case YARD_ACTIVITY_RESEAL -> Movement.MOVEMENT_RESEALED;
            case YARD_ACTIVITY_REMOVE -> Movement.MOVEMENT_REMOVED;
            default -> throw new IllegalArgumentException("an unknown activity in a yard");
        });
    }

    private void appointment(AppointmentStep step) {
        slotStart = millis(step.getSlotStart());
        slotEnd = millis(step.getSlotEnd());
        figures.add(Figure.appointment(step.getStage()), 1);
        switch (step.getStage()) {
            case APPOINTMENT_STAGE_CONFIRMED -> slotFigures.add(Figure.SLOT_CONFIRMED, 1);
            case APPOINTMENT_STAGE_CHANGED -> slotFigures.add(Figure.SLOT_CHANGED, 1);
            case APPOINTMENT_STAGE_CANCELLED -> slotFigures.add(Figure.SLOT_CANCELLED, 1);
            case APPOINTMENT_STAGE_USED -> slotFigures.add(Figure.SLOT_USED, 1);
            default -> { }
        }
    }

    private void moved(Container container, Movement movement) {
        Fullness fullness = container.getFullness() == Fullness.FULLNESS_UNSPECIFIED
                ? Fullness.FULLNESS_UNKNOWN
                : container.getFullness();
        figures.add(Figure.boxes(movement, fullness), 1);
        figures.add(Figure.teuMilli(movement, fullness), teuMilli(container.getSizeType()));
        figures.add(Figure.massKg(movement, fullness), container.getGrossMassKg());
    }

    /** By the first of four characters; 0 for anything else. */
    private static long teuMilli(String sizeType) {
        if (sizeType.codePointCount(0, sizeType.length()) != 4) {
            return 0;
        }
        return switch (sizeType.charAt(0)) {
            case '1' -> 500;
            case '2' -> 1000;
            case '3' -> 1500;
            case '4' -> 2000;
            case 'B' -> 1200;
            case 'C' -> 1225;
            case 'G' -> 2050;
            case 'H' -> 2150;
            case 'L' -> 2250;
            case 'M' -> 2400;
            case 'N' -> 2450;
            default -> 0;
        };
    }

    private static long millis(Timestamp instant) {
        return instant.getSeconds() * 1000 + instant.getNanos() / 1_000_000;
    }
}
