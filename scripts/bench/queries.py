"""The queries: the panels of the two dashboards that come with Heapster, and heavier ones over all pods."""
import json, math, statistics, time

import servers
from load import INTERVAL_S, START_S

NODE = "c0003$"


def dashboards(minutes):
    """What Grafana sends for the cluster and the pods dashboard, its variables filled in."""
    low, high = START_S * 1000, (START_S + minutes * INTERVAL_S) * 1000
    when = f"time >= {low}ms and time <= {high}ms"
    queries = []

    def panel(measurement, where, by=""):
        by = f", \"{by}\"" if by else ""
        queries.append(f"SELECT sum(\"value\") FROM \"{measurement}\" WHERE ({where}) AND {when} GROUP BY time(1m){by} fill(null)")

    for family in (("cpu/usage_rate", "cpu/limit", "cpu/request"),
                   ("memory/usage", "memory/working_set", "memory/limit", "memory/request"),
                   ("network/tx_rate", "network/rx_rate"), ("filesystem/usage", "filesystem/limit")):
        for measurement in family:
            panel(measurement, "\"type\" = 'node'")
            panel(measurement, "\"type\" = 'node'", "nodename")
            panel(measurement, f"\"type\" = 'node' AND \"nodename\" =~ /{NODE}/", "nodename")
    pods = f"\"namespace_name\" =~ /kube-system$/ AND \"pod_name\" =~ /.*-{NODE}/"
    for measurement in ("cpu/usage_rate", "cpu/limit", "cpu/request", "memory/usage", "memory/limit", "memory/request", "memory/working_set"):
        panel(measurement, f"\"type\" = 'pod_container' AND {pods}", "container_name")
    for measurement in ("network/tx_rate", "network/rx_rate", "filesystem/usage", "filesystem/limit"):
        panel(measurement, f"\"type\" = 'pod' AND {pods}")
    queries.append('SHOW TAG VALUES FROM "uptime" WITH KEY = "nodename"')
    queries.append('SHOW TAG VALUES FROM "uptime" WITH KEY = "namespace_name"')
    queries.append('SHOW TAG VALUES FROM "uptime" WITH KEY = "pod_name" WHERE "namespace_name" =~ /kube-system$/')
    return queries


def heavy(minutes):
    """Queries over every pod or container of every cluster."""
    low, high = START_S * 1000, (START_S + minutes * INTERVAL_S) * 1000
    when = f"time >= {low}ms and time <= {high}ms"
    return [
        f"SELECT mean(\"value\") FROM \"cpu/usage_rate\" WHERE \"type\" = 'pod_container' AND {when} GROUP BY time(1m), \"namespace_name\" fill(none)",
        f"SELECT max(\"value\"), min(\"value\"), count(\"value\") FROM \"memory/working_set\" WHERE \"type\" = 'pod' AND {when} GROUP BY time(1m), \"cluster_name\" fill(none)",
        f"SELECT non_negative_derivative(max(\"value\"), 1s) FROM \"network/rx\" WHERE \"type\" = 'pod' AND {when} GROUP BY time(1m), \"pod_name\" fill(none)",
        f"SELECT percentile(\"value\", 99) FROM \"memory/usage\" WHERE \"type\" = 'pod_container' AND {when} GROUP BY \"namespace_name\"",
        f"SELECT last(\"value\") FROM \"uptime\" WHERE \"type\" = 'pod' AND {when} GROUP BY \"pod_name\", \"namespace_name\"",
        f"SELECT sum(\"m\") FROM (SELECT mean(\"value\") AS \"m\" FROM \"cpu/usage_rate\" WHERE \"type\" = 'pod' AND {when} GROUP BY time(1m), \"pod_name\") WHERE {when} GROUP BY time(1m) fill(none)",
        f"SELECT \"value\" FROM \"cpu/usage_rate\" WHERE \"type\" = 'node' AND {when}",
    ]


def latencies(addresses, queries, repeat):
    """Sorted latencies in ms, the addresses in turn; one round before is not counted."""
    took = []
    for round_ in range(repeat + 1):
        for place, query in enumerate(queries):
            began = time.monotonic()
            servers.ask(addresses[(round_ + place) % len(addresses)], query)
            if round_ > 0:
                took.append((time.monotonic() - began) * 1000)
    return sorted(took)


def answers(address, queries):
    return [json.loads(servers.ask(address, query)) for query in queries]


def same(a, b):
    """Equal, numbers within 1e-12 of each other: sums of floats depend on the order of series."""
    if isinstance(a, (int, float)) and isinstance(b, (int, float)) and not isinstance(a, bool):
        return a == b or math.isclose(a, b, rel_tol=1e-12)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b


def quantiles(sorted_values):
    last = len(sorted_values) - 1
    return statistics.median(sorted_values), sorted_values[round(0.9 * last)], sorted_values[round(0.99 * last)]
