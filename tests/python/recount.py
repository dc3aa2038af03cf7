"""What events amount to, counted once more by the specification, and what the
service answered, in the same shape: {row's key: {figure's name: value}}."""

from collections import Counter, defaultdict

from events import key
from quaymeter.v1 import event_pb2 as ev
from quaymeter.v1 import throughput_pb2 as thr

TEU_MILLI = {"2": 1000, "4": 2000, "L": 2250}
TURN_MAX_S = 24 * 3600
DWELL_MAX_S = 35 * 24 * 3600


def recount(events):
    """The ACTUAL cells of these events, each sent any number of times."""
    cells = defaultdict(Counter)
    happened = [event for event in winners(events) if is_actual(event)]
    for event in happened:
        add(cells, event, contribution(event))
    for kind, limit_s, keys, starts, ends in (
        ("TRUCK_TURN", TURN_MAX_S, tractors, {"GATE_IN"}, {"GATE_OUT"}),
        ("DWELL", DWELL_MAX_S, numbers, {"GATE_IN", "DISCHARGED"}, {"GATE_OUT", "LOADED"}),
    ):
        for end, seconds in pairs(happened, limit_s, keys, starts, ends):
            add(cells, end, {f"{kind} count": 1, f"{kind} ms": 1000 * seconds})
    return {name: dict(cell) for name, cell in cells.items()}


def book(rows):
    """Rows by their keys."""
    return {key(row): figures(row) for row in rows}


def figures(row):
    """All that a row counts."""
    told = Counter()
    for box in row.figures.boxes:
        name = f"{thr.Movement.Name(box.movement)[9:]} {ev.Fullness.Name(box.fullness)[9:]}"
        told.update({f"{name} boxes": box.boxes, f"{name} teu": box.teu_milli, f"{name} kg": box.gross_mass_kg})
    told.update({"trucks in": row.figures.trucks_in, "trucks out": row.figures.trucks_out})
    for step in row.figures.shipments:
        told[ev.ShipmentStage.Name(step.stage)] += step.count
    for duration in row.figures.durations:
        kind = thr.DurationKind.Name(duration.kind)[14:]
        told.update({f"{kind} count": duration.count, f"{kind} ms": duration.sum_ms})
    for unexpected in ("dispatch", "appointments", "vessel_calls", "services"):
        told[unexpected] += len(getattr(row.figures, unexpected))
    return {name: value for name, value in told.items() if value}


def winners(events):
    """The event that holds of each identity: the highest revision."""
    best = {}
    for event in events:
        identity = (event.facility, event.event_id)
        if identity not in best or event.revision > best[identity].revision:
            best[identity] = event
    return [event for event in best.values() if not event.retracted]


def is_actual(event):
    return event.classifier in (ev.CLASSIFIER_UNSPECIFIED, ev.CLASSIFIER_ACTUAL)


def add(cells, event, figures):
    start = event.occurred_at.seconds // 900 * 900
    for party in event.parties:
        name = (start, event.facility, party.enterprise, ev.Role.Name(party.role))
        cells[name].update(figures)


def contribution(event):
    """What one event adds for each of its parties."""
    figures = Counter()
    if event.HasField("shipment_step"):
        figures[ev.ShipmentStage.Name(event.shipment_step.stage)] += 1
    for container in containers(event):
        name = f"{movement(event)} {ev.Fullness.Name(container.fullness)[9:]}"
        figures[f"{name} boxes"] += 1
        figures[f"{name} teu"] += TEU_MILLI[container.size_type[0]]
        if container.gross_mass_kg:
            figures[f"{name} kg"] += container.gross_mass_kg
    if event.gate_move.tractor_plate:
        figures["trucks in" if movement(event) == "GATE_IN" else "trucks out"] += 1
    return figures


def containers(event):
    if event.HasField("quay_move"):
        return [event.quay_move.container]
    return event.gate_move.containers


def movement(event):
    if event.HasField("gate_move"):
        return "GATE_IN" if event.gate_move.direction == ev.GATE_DIRECTION_IN else "GATE_OUT"
    if event.HasField("quay_move") and not event.quay_move.restow:
        return "LOADED" if event.quay_move.direction == ev.QUAY_DIRECTION_LOAD else "DISCHARGED"
    return "RESTOWED" if event.HasField("quay_move") else ""


def tractors(event):
    return [event.gate_move.tractor_plate] if event.gate_move.tractor_plate else []


def numbers(event):
    return [container.number for container in containers(event)]


def pairs(events, limit_s, keys, starts, ends):
    """Each end with how long after its start, which is right before it."""
    lists = defaultdict(list)
    for event in events:
        if movement(event) in starts | ends:
            for name in keys(event):
                is_end = movement(event) in ends
                entry = (event.occurred_at.seconds, is_end, event.event_id)
                lists[event.facility, name].append((entry, event))
    for entries in lists.values():
        entries.sort(key=lambda one: one[0])
        for (before, _), (after, event) in zip(entries, entries[1:]):
            seconds = after[0] - before[0]
            if after[1] and not before[1] and seconds <= limit_s:
                yield event, seconds
