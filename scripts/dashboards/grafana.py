"""What Grafana wants to read, made of what a panel is about."""

import re

# A panel's data source is the reader's choice.
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24


def query(expr, legend="", instant=False):
    """One expression. An instant one is a table's or a bar's."""
    return {"expr": re.sub(r"\s+", " ", expr).strip(), "legend": legend, "instant": instant}


def quantiles(metric, labels, by=(), of=(0.5, 0.9, 0.99), window="$__rate_interval"):
    """Percentiles of a histogram, apart by these labels."""
    kept = ", ".join(["le", *by])
    tail = "".join(f" {{{{{label}}}}}" for label in by)
    return [
        query(
            f"histogram_quantile({q}, sum by ({kept}) (rate({metric}_bucket{{{labels}}}[{window}])))",
            f"p{round(q * 100)}{tail}",
        )
        for q in of
    ]


def steps(*bounds):
    """Colours by value: green, then what the bounds say."""
    rest = [{"color": color, "value": value} for value, color in bounds]
    return {"mode": "absolute", "steps": [{"color": "green", "value": None}, *rest]}


def _panel(kind, title, about, unit, queries, w, h, defaults, options, **more):
    plain = {"unit": unit, "thresholds": steps(), **defaults}
    targets = [_target(at, one, kind) for at, one in enumerate(queries)]
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "gridPos": {"x": 0, "y": 0, "w": w, "h": h},
        "fieldConfig": {"defaults": plain, "overrides": more.pop("overrides", [])},
        "options": options,
        "targets": targets,
        **more,
    }


def _target(at, one, kind):
    return {
        "refId": chr(ord("A") + at),
        "datasource": SOURCE,
        "expr": one["expr"],
        "legendFormat": one["legend"] or "__auto",
        "editorMode": "code",
        "instant": one["instant"],
        "range": not one["instant"],
        "format": "table" if kind == "table" else "time_series",
    }


def lines(title, about, unit, *queries, w=8, h=8, stacked=False, floor=0, **more):
    """Values over time."""
    custom = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 30 if stacked else 8,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    defaults = {"custom": custom, "color": {"mode": "palette-classic"}}
    if floor is not None:
        defaults["min"] = floor
    legend = {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]}
    options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    return _panel("timeseries", title, about, unit, queries, w, h, defaults, options, **more)


def number(title, about, unit, *queries, w=4, h=4, colours=None, graph="area", **more):
    """One value, now."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "auto",
        "textMode": "auto",
        "wideLayout": True,
        "colorMode": "value",
        "graphMode": graph,
        "justifyMode": "auto",
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    }
    defaults = {"color": {"mode": "thresholds"}, "thresholds": colours or steps()}
    return _panel("stat", title, about, unit, queries, w, h, defaults, options, **more)


def bars(title, about, unit, *queries, w=8, h=10, **more):
    """A ranking, now."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "text",
        "namePlacement": "left",
        "showUnfilled": False,
        "sizing": "auto",
        "minVizWidth": 8,
        "minVizHeight": 14,
        "maxVizHeight": 28,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
    }
    defaults = {"color": {"mode": "continuous-BlPu"}, "min": 0}
    return _panel("bargauge", title, about, unit, queries, w, h, defaults, options, **more)


def table(title, about, unit, expr, columns, w=8, h=10, worst=None, **more):
    """A row for each series: `columns` are label and heading, the value's last."""
    renamed = dict(columns)
    # The last column holds the value, whose name in the answer is `Value`.
    order = {name: at for at, name in enumerate(renamed)}
    hidden = ["Time", "__name__"]
    organised = {"excludeByName": dict.fromkeys(hidden, True), "indexByName": order, "renameByName": renamed}
    options = {
        "frameIndex": 0,
        "showHeader": True,
        "cellHeight": "sm",
        "sortBy": [{"displayName": renamed["Value"], "desc": True}],
    }
    defaults = {"custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}}
    if worst:
        matched = {"id": "byName", "options": renamed["Value"]}
        properties = [
            {"id": "thresholds", "value": steps(*worst)},
            {"id": "custom.cellOptions", "value": {"type": "color-text"}},
        ]
        more["overrides"] = [{"matcher": matched, "properties": properties}]
    more["transformations"] = [{"id": "organize", "options": organised}]
    return _panel("table", title, about, unit, [query(expr, instant=True)], w, h, defaults, options, **more)


def row(title):
    """What stands above the panels that follow."""
    return {
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": {"x": 0, "y": 0, "w": COLUMNS, "h": 1},
        "panels": [],
    }


def choice(name, label, asked, about, several=True, regex=""):
    """A variable whose values are asked for."""
    made = {
        "name": name,
        "type": "query",
        "label": label,
        "description": about,
        "datasource": SOURCE,
        "query": {"query": asked, "refId": name},
        "definition": asked,
        "regex": regex,
        "refresh": 2,
        "sort": 1,
        "multi": several,
        "includeAll": several,
    }
    if several:
        made["allValue"] = ".*"
        made["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return made


def listed(name, label, about, values, current, several=False):
    """A variable of a closed list: text and value."""
    texts = {value: text for text, value in values}
    text, value = [texts[one] for one in current], list(current)
    return {
        "name": name,
        "type": "custom",
        "label": label,
        "description": about,
        "query": ",".join(f"{text} : {value}" for text, value in values),
        "multi": several,
        "includeAll": False,
        "current": {
            "selected": True,
            "text": text if several else text[0],
            "value": value if several else value[0],
        },
    }


def _data_source():
    return {
        "name": "datasource",
        "type": "datasource",
        "label": "Data source",
        "description": "The Prometheus that scrapes quaymeter",
        "query": "prometheus",
        "regex": "",
        "refresh": 1,
        "multi": False,
        "includeAll": False,
    }


def _placed(panels):
    """Numbers the panels and lays them out from left to right, row by row."""
    x = y = tallest = 0
    for at, panel in enumerate(panels, 1):
        place = panel["gridPos"]
        if panel["type"] == "row" or x + place["w"] > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        place.update(x=x, y=y)
        x, tallest = x + place["w"], max(tallest, place["h"])
        panel["id"] = at
    return panels


def dashboard(uid, title, about, variables, panels, since="now-6h"):
    """All of it."""
    job = choice("job", "Job", "label_values(quaymeter_build_info, job)", "Scrape jobs of quaymeter")
    link = {
        "type": "dashboards",
        "title": "quaymeter",
        "icon": "external link",
        "tooltip": "",
        "url": "",
        "tags": ["quaymeter"],
        "asDropdown": False,
        "targetBlank": False,
        "includeVars": False,
        "keepTime": True,
    }
    return {
        "uid": uid,
        "title": title,
        "description": about,
        "tags": ["quaymeter"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "timezone": "browser",
        "time": {"from": since, "to": "now"},
        "fiscalYearStartMonth": 0,
        "links": [link],
        "annotations": {"list": []},
        "templating": {"list": [_data_source(), job, *variables]},
        "panels": _placed(panels),
    }
