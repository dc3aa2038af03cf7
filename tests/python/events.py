"""Events to publish, valid throughout and without a warning."""

import time

from google.protobuf.timestamp_pb2 import Timestamp
from quaymeter.v1 import event_pb2 as ev

# The start of a quarter-hour some hours ago: nothing here is in the future.
BASE = int(time.time()) // 900 * 900 - 6 * 3600
# Yesterday's midnight in Shanghai, which has no summer time.
SHANGHAI_DAY = (int(time.time()) + 8 * 3600) // 86400 * 86400 - 8 * 3600 - 86400
# The IMO number of the standard's own example.
VESSEL = "9074729"


def at(seconds):
    """An instant, in seconds after BASE."""
    return Timestamp(seconds=BASE + seconds)


def key(row):
    """What tells a row from every other."""
    return (row.start.seconds, row.facility, row.enterprise, ev.Role.Name(row.role))


def party(role, enterprise):
    return ev.Party(role=f"ROLE_{role}", enterprise=enterprise)


PARTIES = [party("TERMINAL", "ygt:blct"), party("FLEET", "ygt:fleet.1")]


def number(serial):
    """A container number with its check digit (ISO 6346)."""
    letters = {}
    value = 10
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        value += value % 11 == 0
        letters[letter] = value
        value += 1
    body = f"QMTU{serial:06d}"
    total = sum((letters.get(c) or int(c)) << place for place, c in enumerate(body))
    return f"{body}{total % 11 % 10}"


def box(serial, size_type="22G1", fullness=ev.FULLNESS_LADEN, mass=21_000):
    return ev.Container(number=number(serial), size_type=size_type, fullness=fullness, gross_mass_kg=mass)


def plus(event, **fields):
    for name, value in fields.items():
        setattr(event, name, value)
    return event


def event(facility, event_id, seconds, parties=None, **detail):
    return ev.Event(
        event_id=event_id, facility=facility, occurred_at=at(seconds), parties=parties or PARTIES, **detail
    )


def gate(direction, facility, event_id, seconds, tractor, containers):
    move = ev.GateMove(
        direction=f"GATE_DIRECTION_{direction}", tractor_plate=tractor, containers=containers
    )
    return event(facility, event_id, seconds, gate_move=move)


def quay(direction, facility, event_id, seconds, call_id, container, parties=None, restow=False):
    move = ev.QuayMove(
        direction=f"QUAY_DIRECTION_{direction}", container=container, call_id=call_id,
        vessel_imo=VESSEL, voyage="001E", restow=restow,
    )
    return event(facility, event_id, seconds, parties, quay_move=move)


def vessel(stage, facility, event_id, call_id, instant):
    call = ev.VesselCall(stage=f"VESSEL_CALL_STAGE_{stage}", call_id=call_id, vessel_imo=VESSEL)
    return event(facility, event_id, instant - BASE, vessel_call=call)


def booking(facility, event_id, seconds):
    step = ev.ShipmentStep(stage=ev.SHIPMENT_STAGE_BOOKED, document_ref=event_id)
    return event(facility, event_id, seconds, shipment_step=step)
