"""Port throughput: what was moved, for whom, and how long trucks took."""

from grafana import bars, choice, dashboard, lines, listed, number, query, row, steps, table

ROLES = [
    ("Carrier", "carrier"),
    ("Terminal", "terminal"),
    ("Yard", "yard"),
    ("Fleet", "fleet"),
    ("Forwarder", "forwarder"),
    ("Shipper", "shipper"),
    ("Agent", "agent"),
    ("Service provider", "service_provider"),
]
MOVEMENTS = [
    ("Loaded", "loaded"),
    ("Discharged", "discharged"),
    ("Restowed", "restowed"),
    ("Gate in", "gate_in"),
    ("Gate out", "gate_out"),
    ("Stuffed", "stuffed"),
    ("Stripped", "stripped"),
    ("Picked", "picked"),
    ("Dropped", "dropped"),
    ("Inspected", "inspected"),
    ("Resealed", "resealed"),
]

CHOSEN = 'job=~"$job",enterprise=~"$enterprise",role="$role"'
MOVED = CHOSEN + ',movement=~"$movement"'
ALL_OF_ROLE = 'job=~"$job",role="$role",movement=~"$movement"'
LAST = 'quaymeter_enterprise_last_event_timestamp_seconds{job=~"$job"}'

# A name for each enterprise that has events: of the registry, or else its id. While
# instances load a new registry there may be two; any will do.
NAMES = f"""
topk by (enterprise) (1,
  group by (enterprise, name_en) (quaymeter_enterprise_info{{job=~"$job",name_en!=""}})
  or on (enterprise)
  label_replace(group by (enterprise) ({LAST}), "name_en", "$1", "enterprise", "(.*)"))
"""


def named(expr):
    """The same with the enterprises' names."""
    return f"{expr} * on (enterprise) group_left (name_en) {NAMES}"


def net(metric, labels, by):
    """What is counted each second, less what corrections take back."""
    twin = metric.replace("_total", "_taken_back_total").replace("_seconds", "_taken_back_seconds")
    part = lambda name: f"sum by ({by}) (rate({name}{{{labels}}}[$__rate_interval]))"
    return f"({part(metric)} - {part(twin)})"


def per_hour(metric, labels, by):
    """The same by the hour."""
    return f"3600 * {net(metric, labels, by)}"


def turn(q):
    """A percentile of truck turns."""
    counted = net("quaymeter_enterprise_truck_turn_seconds_bucket", CHOSEN, "le")
    return query(f"histogram_quantile({q}, {counted})", f"p{round(q * 100)}")


def variables():
    """What is looked at."""
    known = f'label_replace({NAMES}, "value", "$1", "enterprise", "(.*)")'
    asked = " ".join(f"query_result({known})".split())
    return [
        listed(
            "role",
            "Role",
            "Each event counts for every role that it names, so roles are never summed",
            ROLES,
            ["carrier"],
        ),
        choice(
            "enterprise",
            "Enterprise",
            asked,
            "Enterprises with events",
            regex='/name_en="(?<text>[^"]+)".*value="(?<value>[^"]+)"/',
        ),
        listed(
            "movement",
            "Movement",
            "A box may be moved several times: choose what is to be summed. Over the quay: loaded and discharged",
            MOVEMENTS,
            ["loaded", "discharged"],
            several=True,
        ),
    ]


def today():
    """What stands on the board in the hall."""
    teu = f"quaymeter_enterprise_today_teu{{{MOVED}}}"
    boxes = f"quaymeter_enterprise_today_boxes{{{MOVED}}}"
    yesterday = lambda of: f"sum({of} offset 1d)"
    return [
        row("Today"),
        number(
            "TEU today",
            "Since midnight in the reporting zone, of the enterprises, role and movements chosen",
            "suffix: TEU",
            query(f"sum({teu})"),
        ),
        number(
            "Boxes today",
            "Since midnight in the reporting zone, of the enterprises, role and movements chosen",
            "suffix: boxes",
            query(f"sum({boxes})"),
        ),
        number(
            "Against yesterday",
            "TEU today, as a share of what yesterday had at the same time",
            "percentunit",
            query(f"sum({teu}) / ({yesterday(teu)} > 0)"),
            graph="none",
        ),
        number(
            "Age of the last event",
            "Since the latest event of any enterprise that is chosen occurred",
            "s",
            query(
                f'time() - max(quaymeter_enterprise_last_event_timestamp_seconds{{job=~"$job",enterprise=~"$enterprise"}})'
            ),
            colours=steps((900, "yellow"), (3600, "red")),
        ),
        number(
            "Enterprises",
            "With events in this role",
            "none",
            query(f"count(count by (enterprise) (quaymeter_enterprise_boxes_total{{{CHOSEN}}}))"),
        ),
        number(
            "Not shown",
            "Enterprises and series beyond metrics.enterprises_max and the other limits of what is exported; they are counted all the same",
            "none",
            query(
                'sum(quaymeter_enterprises_omitted{job=~"$job"}) + sum(quaymeter_enterprise_series_omitted{job=~"$job"})'
            ),
            colours=steps((1, "yellow")),
            graph="none",
        ),
        bars(
            "Leaders by TEU today",
            "The ten with the most TEU since midnight, of all enterprises in this role",
            "suffix: TEU",
            query(
                f"topk(10, {named(f'sum by (enterprise) (quaymeter_enterprise_today_teu{{{ALL_OF_ROLE}}})')})",
                "{{name_en}}",
                instant=True,
            ),
        ),
        lines(
            "TEU today and yesterday",
            "The day's sum as it grows, and yesterday's at the same time of day",
            "suffix: TEU",
            query(f"sum({teu})", "today"),
            query(yesterday(teu), "yesterday"),
            h=10,
        ),
        lines(
            "Boxes today and yesterday",
            "The day's sum as it grows, and yesterday's at the same time of day",
            "suffix: boxes",
            query(f"sum({boxes})", "today"),
            query(yesterday(boxes), "yesterday"),
            h=10,
        ),
    ]


def moved(title, unit, what, by, also="", stacked=True, **more):
    """One figure an hour, split by a label; below zero where corrections took off more than came."""
    about = "By when it was counted, corrections taken off. An event that comes late shows when it comes; quaymeter query has it where it belongs"
    asked = per_hour(f"quaymeter_enterprise_{what}_total", MOVED, by)
    return lines(
        title, about + also, unit, query(asked, f"{{{{{by}}}}}"), stacked=stacked, floor=None, interval="5m", **more
    )


def moves():
    """Over time, by when it was counted."""
    return [
        row("Movements"),
        moved("TEU per hour", "suffix: TEU/h", "teu", "movement"),
        moved("Boxes per hour", "suffix: boxes/h", "boxes", "movement"),
        moved("Empty and laden boxes per hour", "suffix: boxes/h", "boxes", "fullness"),
        moved("Gross mass per hour", "masst", "gross_mass_tonnes", "movement", also=". Tare included", stacked=False, w=12),
        lines(
            "Taken back by corrections per hour",
            "TEU that corrections and retractions took off again. Corrected is taken back, then counted anew",
            "suffix: TEU/h",
            query(
                f"3600 * sum by (movement) (rate(quaymeter_enterprise_teu_taken_back_total{{{MOVED}}}[$__rate_interval]))",
                "{{movement}}",
            ),
            w=12,
            interval="5m",
        ),
    ]


def trucks():
    """At the gates."""
    return [
        row("Trucks"),
        lines(
            "Truck turn",
            "From gate in to gate out of one truck at one facility, of turns counted meanwhile. Within a bucket it is interpolated; quaymeter query --durations has finer ones",
            "s",
            turn(0.5),
            turn(0.9),
            turn(0.95),
            interval="15m",
        ),
        lines(
            "Truck passages per hour",
            "Trucks through gates, with a container or without",
            "suffix: trucks/h",
            query(per_hour("quaymeter_enterprise_truck_passages_total", CHOSEN, "direction"), "{{direction}}"),
            floor=None,
            interval="5m",
        ),
        lines(
            "Truck turns per hour",
            "Turns completed",
            "suffix: turns/h",
            query(
                per_hour("quaymeter_enterprise_truck_turn_seconds_bucket", CHOSEN + ',le="+Inf"', "role"), "{{role}}"
            ),
            floor=None,
            interval="15m",
        ),
    ]


def orders():
    """Around the moves."""

    def step(title, about, kind):
        expr = per_hour("quaymeter_enterprise_steps_total", f'{CHOSEN},kind="{kind}"', "step")
        return lines(title, about, "suffix: steps/h", query(expr, "{{step}}"), w=12, floor=None, interval="5m")

    return [
        row("Orders, appointments, vessels"),
        step(
            "Dispatch steps per hour",
            "What became of dispatch orders: offered, accepted, rejected, assigned, picked up, returned …",
            "dispatch",
        ),
        step(
            "Appointment steps per hour",
            "Appointments requested, confirmed, changed, cancelled, used, refused",
            "appointment",
        ),
        step(
            "Vessel call steps per hour",
            "Vessels arrived, berthed, unberthed, departed. Carriers, terminals and agents have them",
            "vessel_call",
        ),
        step(
            "Shipment steps per hour", "Shipments booked, released, cleared by customs, held, VGM declared", "shipment"
        ),
        lines(
            "Port services per hour",
            "Pilotage, towage, mooring, bunkering and others, by step. Choose the role of the service provider",
            "suffix: steps/h",
            query(per_hour("quaymeter_enterprise_services_total", CHOSEN, "service, step"), "{{service}} {{step}}"),
            w=12,
            floor=None,
            interval="5m",
        ),
        table(
            "Last event of each enterprise",
            "How long ago the latest event of each enterprise occurred, the longest first",
            "s",
            "topk(50, "
            + named(
                '(time() - max by (enterprise) (quaymeter_enterprise_last_event_timestamp_seconds{job=~"$job",enterprise=~"$enterprise"}))'
            )
            + ")",
            [("name_en", "Enterprise"), ("enterprise", "Id"), ("Value", "Age")],
            w=12,
            h=8,
        ),
    ]


def made():
    """The dashboard."""
    return dashboard(
        "quaymeter-throughput",
        "quaymeter: port throughput",
        "Boxes, TEU, trucks and steps by enterprise. Needs metrics.per_enterprise",
        variables(),
        [*today(), *moves(), *trucks(), *orders()],
        since="now-24h",
    )
