"""Integrator quality: what each source sends, and what is wrong with it."""

from grafana import bars, choice, dashboard, lines, number, query, row, steps, table

FROM = 'job=~"$job",source=~"$source"'


def rate(metric, by="source", labels=FROM):
    """How often something happens in a second."""
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def over_range(metric, by, labels=FROM):
    """How often it happened in the time that is shown."""
    return f"sum by ({by}) (increase({metric}{{{labels}}}[$__range]))"


def applied(outcome):
    """Records of this outcome, by source."""
    return rate("quaymeter_source_applied_total", labels=f'{FROM},outcome="{outcome}"')


def late(q):
    """A percentile of lateness of each source."""
    kept = f"sum by (source, le) (rate(quaymeter_source_lateness_seconds_bucket{{{FROM}}}[$__rate_interval]))"
    return query(f"histogram_quantile({q}, {kept})", f"p{round(q * 100)} {{{{source}}}}")


REFUSED = rate("quaymeter_source_events_total", labels=FROM + ',outcome="refused"')
JUDGED = rate("quaymeter_source_events_total")
SILENCE = f"time() - max by (source) (quaymeter_source_last_acknowledged_timestamp_seconds{{{FROM}}})"


def silence():
    """Who sends, and who does not any more."""
    return [
        row("Who sends"),
        number(
            "Sources",
            "That were heard since the instances started",
            "none",
            query(f"count(count by (source) (quaymeter_source_events_total{{{FROM}}}))"),
            graph="none",
        ),
        number(
            "Silent",
            "Sources of which nothing was acknowledged for an hour",
            "none",
            query(f"count({SILENCE} > 3600) or vector(0)"),
            colours=steps((1, "yellow")),
        ),
        number(
            "Refused",
            "Share of the events sent that is refused",
            "percentunit",
            query(
                f'sum(rate(quaymeter_source_events_total{{{FROM},outcome="refused"}}[$__rate_interval])) / sum(rate(quaymeter_source_events_total{{{FROM}}}[$__rate_interval]))'
            ),
            colours=steps((0.01, "yellow"), (0.05, "red")),
        ),
        number(
            "Duplicates",
            "Share of the records that said nothing new: sent again",
            "percentunit",
            query(
                f'sum(rate(quaymeter_source_applied_total{{{FROM},outcome="duplicate"}}[$__rate_interval])) / sum(rate(quaymeter_source_applied_total{{{FROM}}}[$__rate_interval]))'
            ),
            colours=steps((0.2, "yellow"), (0.5, "red")),
        ),
        number(
            "Counted as other",
            "Batches of sources beyond metrics.sources_max, which have no series of their own",
            "none",
            query('sum(increase(quaymeter_sources_omitted_batches_total{job=~"$job"}[$__range]))'),
            colours=steps((1, "yellow")),
            graph="none",
        ),
        number(
            "Streams ended",
            "Streams that sent beyond their credit, since the start of the range: a fault of a client",
            "none",
            query('sum(increase(quaymeter_credit_violations_total{job=~"$job"}[$__range]))'),
            colours=steps((1, "yellow")),
            graph="none",
        ),
        table(
            "Silence",
            "Since something of the source was last acknowledged, the longest first",
            "s",
            f"topk(50, {SILENCE})",
            [("source", "Source"), ("Value", "Silent for")],
            worst=[(900, "orange"), (3600, "red")],
        ),
        lines(
            "Events by source",
            "Events judged in a second",
            "cps",
            query(f"topk(20, {JUDGED})", "{{source}}"),
            stacked=True,
            h=10,
        ),
        lines(
            "Silence over time",
            "Since something of the source was last acknowledged",
            "s",
            query(f"topk(20, {SILENCE})", "{{source}}"),
            h=10,
        ),
    ]


def verdicts():
    """What is refused or looks odd."""
    return [
        row("Refused and warned of"),
        lines(
            "Share refused",
            "Of what each source sends",
            "percentunit",
            query(f"{REFUSED} / ({JUDGED} > 0)", "{{source}}"),
        ),
        lines(
            "Refused by reason",
            "Events refused in a second, all sources chosen",
            "cps",
            query(rate("quaymeter_source_refused_total", "reason"), "{{reason}}"),
            stacked=True,
        ),
        lines(
            "Warned by reason",
            "Events accepted though they look odd, in a second",
            "cps",
            query(rate("quaymeter_source_warned_total", "reason"), "{{reason}}"),
            stacked=True,
        ),
        table(
            "Refused, by source and reason",
            "In the time that is shown. What it means and what to send instead is in each answer to the sender",
            "short",
            f"topk(100, {over_range('quaymeter_source_refused_total', 'source, reason')} > 0)",
            [("source", "Source"), ("reason", "Reason"), ("Value", "Events")],
            w=12,
        ),
        table(
            "Warned of, by source and reason",
            "In the time that is shown",
            "short",
            f"topk(100, {over_range('quaymeter_source_warned_total', 'source, reason')} > 0)",
            [("source", "Source"), ("reason", "Reason"), ("Value", "Events")],
            w=12,
        ),
    ]


def statements():
    """What became of what was accepted."""
    share = lambda outcome: f"{applied(outcome)} / ({rate('quaymeter_source_applied_total')} > 0)"
    return [
        row("Duplicates, corrections, conflicts"),
        lines(
            "Share of duplicates",
            "Sent again without a change: harmless, but each was stored and judged again",
            "percentunit",
            query(share("duplicate"), "{{source}}"),
        ),
        lines(
            "Corrections",
            "Higher revisions that replaced a statement, in a second",
            "cps",
            query(applied("revision"), "{{source}}"),
        ),
        lines("Retractions", "Events taken back, in a second", "cps", query(applied("retraction"), "{{source}}")),
        lines(
            "Conflicts",
            "The same revision with other content: a fault of the source, one of both was dropped",
            "cps",
            query(applied("conflict"), "{{source}}"),
        ),
        lines(
            "Superseded",
            "Came after a higher revision and had no effect",
            "cps",
            query(applied("superseded"), "{{source}}"),
        ),
        bars(
            "What became of records",
            "In the time that is shown, of all sources chosen",
            "short",
            query(over_range("quaymeter_source_applied_total", "outcome"), "{{outcome}}", instant=True),
            h=8,
        ),
    ]


def lateness():
    """How long after it happened something is told."""
    return [
        row("Lateness"),
        lines("Lateness, median", "From when an ACTUAL event occurred to when it was received", "s", late(0.5)),
        lines("Lateness, p90", "From when an ACTUAL event occurred to when it was received", "s", late(0.9)),
        lines("Lateness, p99", "From when an ACTUAL event occurred to when it was received", "s", late(0.99)),
        lines(
            "Later than an hour",
            "Share of each source's ACTUAL events",
            "percentunit",
            query(
                f'1 - sum by (source) (rate(quaymeter_source_lateness_seconds_bucket{{{FROM},le="3600"}}[$__rate_interval])) / (sum by (source) (rate(quaymeter_source_lateness_seconds_count{{{FROM}}}[$__rate_interval])) > 0)',
                "{{source}}",
            ),
            w=12,
        ),
        bars(
            "Mean lateness",
            "In the time that is shown; the ten latest",
            "s",
            query(
                f"topk(10, {over_range('quaymeter_source_lateness_seconds_sum', 'source')} / ({over_range('quaymeter_source_lateness_seconds_count', 'source')} > 0))",
                "{{source}}",
                instant=True,
            ),
            w=12,
            h=8,
        ),
    ]


def made():
    """The dashboard."""
    source = choice(
        "source",
        "Source",
        'label_values(quaymeter_source_events_total{job=~"$job"}, source)',
        "Who sends, as it names itself",
    )
    return dashboard(
        "quaymeter-quality",
        "quaymeter: integrator quality",
        "What each source sends: refused, late, again, corrected, or nothing at all",
        [source],
        [*silence(), *verdicts(), *statements(), *lateness()],
        since="now-24h",
    )
