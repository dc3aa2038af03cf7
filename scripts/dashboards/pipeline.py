"""Pipeline health: a row for each stage, in the order in which events pass them."""

from grafana import choice, dashboard, lines, number, quantiles, query, row, steps, table

HERE = 'job=~"$job",instance=~"$instance"'


def rate(metric, by="", labels=HERE):
    """How often something happens in a second."""
    kept = f" by ({by})" if by else ""
    return f"sum{kept} (rate({metric}{{{labels}}}[$__rate_interval]))"


def gauge(metric, fold="sum", by="", labels=HERE):
    """A level, over instances."""
    kept = f" by ({by})" if by else ""
    return f"{fold}{kept} ({metric}{{{labels}}})"


# Of each partition there is one truth; whoever tells the most is ahead.
LAG = f"sum by (end) (max by (partition, end) (quaymeter_lag_events{{{HERE}}}))"


def glance():
    """Whether all is well."""
    fresh = (
        f"histogram_quantile(0.99, sum by (le) (rate(quaymeter_freshness_seconds_bucket{{{HERE}}}[$__rate_interval])))"
    )
    acked = f"histogram_quantile(0.99, sum by (le) (rate(quaymeter_ack_seconds_bucket{{{HERE}}}[$__rate_interval])))"
    free = f"min (quaymeter_disk_free_bytes{{{HERE}}} / quaymeter_disk_size_bytes{{{HERE}}})"
    return [
        row("At a glance"),
        number(
            "Instances up",
            "Scraped with success; of which in all",
            "none",
            query('sum (up{job=~"$job"})', "up"),
            query('count (up{job=~"$job"})', "all"),
            graph="none",
        ),
        number(
            "Accepted",
            "Events accepted in a second, duplicates included",
            "cps",
            query(rate("quaymeter_events_accepted_total")),
        ),
        number(
            "Acknowledged within",
            "99 % of batches: from received whole to acknowledged as durable",
            "s",
            query(acked),
            colours=steps((0.5, "yellow"), (2, "red")),
        ),
        number(
            "Visible within",
            "99 % of publications: from a record's append to its being in answers",
            "s",
            query(fresh),
            colours=steps((2, "yellow"), (10, "red")),
        ),
        number(
            "Not counted yet",
            "Records in the log that are not counted, up to its end",
            "short",
            query(f'sum (max by (partition) (quaymeter_lag_events{{{HERE},end="high_watermark"}}))'),
            colours=steps((10000, "yellow"), (100000, "red")),
        ),
        number(
            "Disk free",
            "The fullest disk of all instances",
            "percentunit",
            query(free),
            colours={
                "mode": "absolute",
                "steps": [
                    {"color": "red", "value": None},
                    {"color": "yellow", "value": 0.1},
                    {"color": "green", "value": 0.25},
                ],
            },
        ),
    ]


def admission():
    """Connections, streams and what is turned away."""
    return [
        row("1 · Connections, streams, admission"),
        lines(
            "Connections, streams, calls",
            "Open connections and event streams, other calls in progress, watches",
            "short",
            query(gauge("quaymeter_connections"), "connections"),
            query(gauge("quaymeter_streams"), "streams"),
            query(gauge("quaymeter_calls"), "calls"),
            query(gauge("quaymeter_watches"), "watches"),
        ),
        lines(
            "Turned away",
            "Calls and connections refused or ended to keep within limits, by the limit; docs/limits.md",
            "cps",
            query(f"{rate('quaymeter_discarded_total', 'reason')} > 0 or vector(0)", "{{reason}}"),
        ),
        lines(
            "Bytes in memory",
            "Requests, answers not sent yet, events not durable yet: each has a budget for the process",
            "bytes",
            query(gauge("quaymeter_request_bytes", by="instance"), "requests {{instance}}"),
            query(gauge("quaymeter_answer_bytes", by="instance"), "answers {{instance}}"),
            query(gauge("quaymeter_buffered_bytes", by="instance"), "not durable {{instance}}"),
        ),
        lines(
            "Calls by outcome",
            "gRPC calls ended, by code",
            "reqps",
            query(rate("quaymeter_grpc_requests_total", "code"), "{{code}}"),
            stacked=True,
        ),
        lines(
            "Calls by method, p99",
            "From start to end; a stream ends when its client does",
            "s",
            *quantiles("quaymeter_grpc_request_seconds", HERE, ["method"], of=[0.99]),
        ),
        lines(
            "Streams held back",
            "Streams that used up their credit and waited for acknowledgements, and streams ended because they sent beyond it",
            "cps",
            query(rate("quaymeter_credit_stalls_total"), "waited"),
            query(rate("quaymeter_credit_violations_total"), "ended"),
        ),
    ]


def judging():
    """Batches and verdicts."""
    return [
        row("2 · Judging, batches"),
        lines(
            "Events judged",
            "Accepted (duplicates included), refused, accepted with a warning",
            "cps",
            query(rate("quaymeter_events_accepted_total"), "accepted"),
            query(rate("quaymeter_events_refused_total"), "refused"),
            query(rate("quaymeter_events_warned_total"), "warned"),
        ),
        lines(
            "Refused by reason",
            "Events refused; the integrator dashboard has them by source",
            "cps",
            query(f"{rate('quaymeter_events_refused_total', 'reason')} > 0 or vector(0)", "{{reason}}"),
        ),
        lines(
            "Batches",
            "Batches received, by method",
            "cps",
            query(rate("quaymeter_batches_total", "method"), "{{method}}"),
        ),
        lines(
            "Events in a batch",
            "Small batches cost a sync each",
            "short",
            *quantiles("quaymeter_batch_events", HERE),
            w=12,
        ),
        lines(
            "Time to acknowledge",
            "From a batch received whole to its acknowledgement as durable",
            "s",
            *quantiles("quaymeter_ack_seconds", HERE),
            w=12,
        ),
    ]


def log():
    """Where events become durable."""
    return [
        row("3 · Log: append and sync, or Kafka"),
        lines(
            "Append",
            "From a batch handed to the log to its being durable there: written and synced, or acknowledged by the brokers",
            "s",
            *quantiles("quaymeter_log_append_seconds", HERE),
        ),
        lines(
            "Sync",
            "One sync of the embedded log to the disk; on Kafka there is none",
            "s",
            *quantiles("quaymeter_log_fsync_seconds", HERE),
        ),
        lines(
            "Appended events",
            "Events appended to the log in a second",
            "cps",
            query(rate("quaymeter_log_appended_events_total", "instance"), "{{instance}}"),
        ),
        lines(
            "Appended bytes",
            "Bytes appended to the log in a second",
            "Bps",
            query(rate("quaymeter_log_appended_bytes_total", "instance"), "{{instance}}"),
        ),
        lines(
            "Batches that the log refused",
            "They could not be written, for example to a full disk; publishers send them again",
            "cps",
            query(rate("quaymeter_log_refused_batches_total", "instance"), "{{instance}}"),
        ),
        lines(
            "Since the last append",
            "Age of the latest record that answers include",
            "s",
            query("time() - (" + gauge("quaymeter_last_append_timestamp_seconds", "max") + " > 0)", "age"),
        ),
    ]


def counting():
    """From the log into the state."""
    outcomes = ["duplicates", "revisions", "retractions", "superseded", "conflicts"]
    return [
        row("4 · Counting, commits, lag"),
        lines(
            "Applied",
            "Records counted, and those among them that were no new statement",
            "cps",
            query(rate("quaymeter_applied_events_total"), "records"),
            *[query(rate(f"quaymeter_applied_{one}_total"), one) for one in outcomes],
        ),
        lines(
            "Not counted yet",
            "Records up to the log's end; last_stable leaves out what open transactions of Kafka hold back",
            "short",
            query(LAG, "{{end}}"),
        ),
        lines(
            "Not counted yet, by partition",
            "Where counting hangs behind",
            "short",
            query(f'max by (partition) (quaymeter_lag_events{{{HERE},end="high_watermark"}})', "{{partition}}"),
        ),
        lines(
            "Commits", "Kafka only: one commit of what was counted", "s", *quantiles("quaymeter_commit_seconds", HERE)
        ),
        lines(
            "Values in a commit",
            "Kafka only: cells and other state that one commit writes",
            "short",
            *quantiles("quaymeter_commit_values", HERE),
        ),
        lines(
            "Commits that failed",
            "Kafka only: steps of a commit that were tried again, and times that what was counted was dropped and is counted again",
            "cps",
            query(rate("quaymeter_commit_retries_total"), "tried again"),
            query(rate("quaymeter_aborts_total"), "dropped"),
        ),
        lines(
            "Put away and broken",
            "Records that are none of ours (dead letters), records that cannot be decoded, chains of a changelog found broken; since the start of the range",
            "short",
            query(f"sum (increase(quaymeter_dead_letters_total{{{HERE}}}[$__range]))", "dead letters"),
            query(f"sum (increase(quaymeter_undecodable_records_total{{{HERE}}}[$__range]))", "undecodable"),
            query(f"sum (increase(quaymeter_changelog_breaks_total{{{HERE}}}[$__range]))", "breaks"),
            w=12,
        ),
        lines(
            "Pairs taken apart",
            "Durations taken back because their events paired anew, and identities forgotten beyond the horizon",
            "cps",
            query(rate("quaymeter_repaired_durations_total"), "durations"),
            query(rate("quaymeter_forgotten_identities_total"), "identities"),
            w=12,
        ),
    ]


def view():
    """What answers include."""
    return [
        row("5 · View, freshness"),
        lines(
            "Freshness",
            "From a record's append to its being included in answers",
            "s",
            *quantiles("quaymeter_freshness_seconds", HERE),
        ),
        lines(
            "Complete through",
            "How far behind now the slowest active source is: the latest instant of which it told. Nothing while no source is active",
            "s",
            query("time() - (" + gauge("quaymeter_complete_through_timestamp_seconds", "min") + " > 0)", "behind"),
        ),
        lines(
            "View by partition",
            "Records taken into answers in a second; the instance that is furthest behind",
            "cps",
            query(f"min by (partition) (deriv(quaymeter_view_offset{{{HERE}}}[$__rate_interval]))", "{{partition}}"),
            floor=None,
        ),
    ]


def asking():
    """Those who read."""
    return [
        row("6 · Queries, watches"),
        lines("Query work", "Work of answering, without waiting", "s", *quantiles("quaymeter_query_seconds", HERE)),
        lines(
            "Calls by method",
            "gRPC calls ended in a second",
            "reqps",
            query(rate("quaymeter_grpc_requests_total", "method"), "{{method}}"),
        ),
        lines("Watches", "Open watches", "short", query(gauge("quaymeter_watches", by="instance"), "{{instance}}")),
    ]


def kept():
    """What there is to lose."""
    return [
        row("7 · State: ledger, cells, memory, disk, checkpoints, partitions"),
        lines(
            "Ledger",
            "Identities that are known, places in pairing lists, names",
            "short",
            query(gauge("quaymeter_identities"), "identities"),
            query(gauge("quaymeter_pairing_points"), "pairing places"),
            query(gauge("quaymeter_names"), "names"),
        ),
        lines(
            "Cells",
            "Cells kept, by grain; the instance that has the most",
            "short",
            query(gauge("quaymeter_cells", "max", "grain"), "{{grain}}"),
        ),
        lines(
            "Ledger chunks",
            "Stored chunks of the ledger's journal, about 1 MiB each",
            "short",
            query(gauge("quaymeter_ledger_chunks", by="instance"), "{{instance}}"),
        ),
        lines(
            "Memory",
            "Resident memory of each process",
            "bytes",
            query(gauge("process_resident_memory_bytes", "max", "instance"), "{{instance}}"),
        ),
        lines(
            "CPU",
            "Cores that each process keeps busy",
            "short",
            query(rate("process_cpu_seconds_total", "instance"), "{{instance}}"),
        ),
        lines(
            "File descriptors",
            "Share of the limit that is open",
            "percentunit",
            query(f"max by (instance) (process_open_fds{{{HERE}}} / process_max_fds{{{HERE}}})", "{{instance}}"),
        ),
        lines(
            "Disk free",
            "Room left on the file system of the data directory",
            "bytes",
            query(gauge("quaymeter_disk_free_bytes", "min", "instance"), "{{instance}}"),
        ),
        lines(
            "Log and store",
            "Bytes of the log that are kept, of the checkpoint store, and of the log beyond its limit because something needs them",
            "bytes",
            query(gauge("quaymeter_log_bytes"), "log"),
            query(gauge("quaymeter_store_bytes"), "store"),
            query(gauge("quaymeter_log_beyond_limit_bytes"), "beyond the limit"),
        ),
        lines(
            "Log offsets",
            "Records that the log keeps, and records behind the last checkpoint, which a restart replays",
            "short",
            query(f"sum (quaymeter_log_end_offset{{{HERE}}} - quaymeter_log_start_offset{{{HERE}}})", "kept"),
            query(
                f"sum (quaymeter_applied_offset{{{HERE}}} - quaymeter_checkpoint_offset{{{HERE}}})",
                "behind the checkpoint",
            ),
        ),
        lines("Checkpoints", "One checkpoint of the state", "s", *quantiles("quaymeter_checkpoint_seconds", HERE)),
        lines(
            "Checkpoints that failed",
            "They are tried again; meanwhile a restart has more to replay",
            "cps",
            query(rate("quaymeter_checkpoint_failures_total", "instance"), "{{instance}}"),
        ),
        lines(
            "Backups",
            "Backups given, by outcome, since the start of the range; nothing before the first",
            "short",
            query(f"sum by (outcome) (increase(quaymeter_backups_total{{{HERE}}}[$__range]))", "{{outcome}}"),
        ),
        lines(
            "Partitions",
            "Kafka only: partitions that each instance counts, and those whose state it does not have yet",
            "short",
            query(gauge("quaymeter_assigned_partitions", by="instance"), "assigned {{instance}}"),
            query(gauge("quaymeter_restoring_partitions", by="instance"), "restoring {{instance}}"),
        ),
        lines(
            "Rebalances",
            "Kafka only: times that partitions were given or taken",
            "cps",
            query(rate("quaymeter_rebalances_total", "instance"), "{{instance}}"),
        ),
        lines(
            "Restores",
            "Kafka only: one restore of a partition's state",
            "s",
            *quantiles("quaymeter_restore_seconds", HERE),
        ),
        lines(
            "Starts",
            "Since each process started",
            "s",
            query(f"time() - max by (instance) (process_start_time_seconds{{{HERE}}})", "{{instance}}"),
        ),
        lines(
            "Registry",
            "Enterprises in the registry, and times that it could not be loaded and the names stayed as they were, since the start of the range",
            "short",
            query(gauge("quaymeter_registry_enterprises", "max"), "enterprises"),
            query(f"sum (increase(quaymeter_registry_load_failures_total{{{HERE}}}[$__range]))", "not loaded"),
        ),
        table(
            "Versions",
            "Instances by version",
            "none",
            "count by (version) (quaymeter_build_info{" + HERE + "})",
            [("version", "Version"), ("Value", "Instances")],
            h=8,
        ),
    ]


def made():
    """The dashboard."""
    instance = choice(
        "instance", "Instance", 'label_values(quaymeter_build_info{job=~"$job"}, instance)', "Processes of quaymeter"
    )
    parts = [glance(), admission(), judging(), log(), counting(), view(), asking(), kept()]
    return dashboard(
        "quaymeter-pipeline",
        "quaymeter: pipeline health",
        "The way of an event, from its connection to the answers that include it: the first row that is out of the ordinary is where to look",
        [instance],
        [panel for part in parts for panel in part],
    )
