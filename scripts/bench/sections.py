"""What is measured, one function a section. Each answers rows of a table: (what, a figure for each server)."""
import http.client, json, threading, time, urllib.parse

import load, queries, servers

MINUTES = 40


def ingest(make, args):
    """New series, then the same series again, on every server; then the dashboards on the two that know InfluxQL."""
    names, columns, reference = [], [], None
    for kind in ("influxd", "victoria", "steadfast"):
        with make(kind) as server:
            figures, panels = {}, None
            measure_ingest(server, args, figures)
            if kind != "victoria":
                reference, panels = measure_queries(server, args, figures, reference)
            server.settle()
            figures["disk settled, MB a node"] = f"{server.disk_mb() / len(server.pids):.0f}"
            names.append(server.name)
            columns.append(figures)
    return names, columns


def measure_ingest(server, args, figures):
    clusters = load.Clusters(args.clusters)
    half = MINUTES // 2
    for label, first in (("new", 0), ("known", half)):
        bodies = clusters.scrapes(first, half)
        points = len(clusters) * half
        cpu, log = server.cpu_seconds(), applied_bytes(server)
        seconds, took = load.post_all(server.addresses, bodies)
        cpu = server.cpu_seconds() - cpu
        figures[f"points/s, series {label}"] = f"{points / seconds:,.0f}"
        figures[f"CPU s per million points, all nodes, series {label}"] = f"{cpu / points * 1e6:.2f}"
        median, p90, p99 = queries.quantiles(took)
        figures[f"write request p50 / p99 / max, ms, series {label}"] = f"{median:.0f} / {p99:.0f} / {took[-1]:.0f}"
        if label == "known" and log is not None:
            figures["Raft log, bytes a point, series known"] = f"{(applied_bytes(server) - log) / points:.1f}"
        del bodies
    figures["series"] = f"{len(clusters):,}"
    figures["resident after the load, MB a node"] = " ".join(f"{m:.0f}" for m in server.resident_mb())
    figures["disk right after, MB a node"] = f"{server.disk_mb() / len(server.pids):.0f}"


def applied_bytes(server):
    """Bytes of all write commands that one node applied, if the server is ours."""
    return server.metric("steadfast_group_applied_bytes_total") if hasattr(server, "admin") else None


def measure_queries(server, args, figures, reference):
    panels, heavy = queries.dashboards(MINUTES), queries.heavy(MINUTES)
    light = queries.latencies(server.addresses, panels, args.repeat)
    hard = queries.latencies(server.addresses, heavy, args.repeat)
    both = sorted(light + hard)
    form = "{:.1f} / {:.1f} / {:.1f}".format
    figures["dashboard query p50 / p90 / p99, ms"] = form(*queries.quantiles(light))
    figures["heavy query p50 / p90 / p99, ms"] = form(*queries.quantiles(hard))
    figures["all of them p50 / p90 / p99, ms"] = form(*queries.quantiles(both))
    if reference is None:
        figures["answers"] = "the judge"
        return queries.answers(server.addresses[0], panels + heavy), panels
    equal = total = 0
    for address in server.addresses:
        for query, answer, right in zip(panels + heavy, queries.answers(address, panels + heavy), reference):
            total += 1
            equal += queries.same(answer, right)
            if not queries.same(answer, right):
                print(f"differs at {address}: {query}")
    figures["answers"] = f"{equal} of {total} equal"
    return reference, panels


def density(make, args):
    """Bytes a point when every series has many points, all sealed."""
    names, columns = [], []
    for kind in ("influxd", "steadfast"):
        with make(kind) as server:
            clusters, points = load.Clusters(args.density_clusters), 0
            for n in range(0, args.density_scrapes, 20):
                load.post_all(server.addresses, clusters.scrapes(n, 20))
                points += len(clusters) * 20
            server.settle()
            figures = {"points a series": f"{args.density_scrapes:,}", "points": f"{points:,}"}
            if kind == "steadfast":
                state = server.metric("steadfast_group_disk_bytes")
                figures["state with index, bytes a point and replica"] = f"{state / points:.2f}"
            else:
                figures["state with index, bytes a point and replica"] = f"{server.disk_mb() * 1e6 / points:.2f}"
            figures["all files, MB a node"] = f"{server.disk_mb() / len(server.pids):.0f}"
            names.append(server.name)
            columns.append(figures)
    return names, columns


def wide(make, args):
    """`mean` by hour over a month of a thousand series. Both servers are filled by the same bodies, then asked in turn."""
    with make("influxd") as influxd, make("steadfast") as steadfast:
        points = fill_wide([influxd.addresses, steadfast.addresses], args)
        steadfast.settle()
        influxd.settle()
        low, high = load.START_S * 1000, (load.START_S + args.wide_days * 86_400) * 1000
        when = f"time >= {low}ms and time < {high}ms"
        asked = [("mean by hour, all series together", f"SELECT mean(\"value\") FROM \"wide\" WHERE {when} GROUP BY time(1h)"),
                 ("mean by hour, each series", f"SELECT mean(\"value\") FROM \"wide\" WHERE {when} GROUP BY time(1h), \"host\""),
                 ("max by day, all series together", f"SELECT max(\"value\") FROM \"wide\" WHERE {when} GROUP BY time(1d)")]
        names, columns = [], []
        rights = []
        for server in (influxd, steadfast):
            figures = {"points": f"{points:,}"}
            for place, (label, query) in enumerate(asked):
                took, answer = [], None
                for _ in range(3):
                    began = time.monotonic()
                    answer = servers.ask(server.addresses[0], query)
                    took.append(time.monotonic() - began)
                figures[f"{label}, s, best of 3"] = f"{min(took):.2f}"
                answer = json.loads(answer)
                if server is influxd:
                    rights.append(answer)
                else:
                    figures[f"{label}, answer"] = "equal" if queries.same(answer, rights[place]) else "differs"
            names.append(server.name)
            columns.append(figures)
        return names, columns


def fill_wide(targets, args):
    """A gauge of each of so many hosts, one point a step; each body goes to every target."""
    import random
    chance = random.Random(3).random
    values = [1000 + 37 * i for i in range(args.wide_series)]
    heads = [f"wide,cluster=c{i % 10},host=h{i:04} value=" for i in range(args.wide_series)]
    steps = args.wide_days * 86_400 // args.wide_step_s
    lines, points = [], 0

    def send(body):
        threads = [threading.Thread(target=load.post_all, args=(addresses, [body], 1)) for addresses in targets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for n in range(steps):
        end = f"i {(load.START_S + n * args.wide_step_s) * 1_000_000_000}"
        for i, head in enumerate(heads):
            values[i] += int(chance() * 21) - 10
            lines.append(f"{head}{values[i]}{end}")
        if len(lines) >= 100_000 or n == steps - 1:
            send(("\n".join(lines) + "\n").encode())
            points += len(lines)
            lines = []
    return points


def growth(make, args):
    """Known series at a hundred thousand and at ten times that; memory, the same small queries, and kill -9 at both."""
    names, columns = [], []
    for clusters_count in (args.clusters, 10 * args.clusters):
        with make("steadfast") as server:
            clusters = load.Clusters(clusters_count)
            resident = server.resident_mb()
            new = clusters.scrapes(0, 1)
            new_seconds, _ = load.post_all(server.addresses, new)
            # The same points in all, so that flushes come as often.
            count = 10 * args.clusters // clusters_count * 2
            bodies = clusters.scrapes(1, count)
            cpu = server.cpu_seconds()
            seconds, _ = load.post_all(server.addresses, bodies)
            points = count * len(clusters)
            grown = [after - before for after, before in zip(server.resident_mb(), resident)]
            panels = [q for q in queries.dashboards(3) if queries.NODE in q]
            took = queries.latencies(server.addresses, panels, args.repeat)
            figures = {
                "points/s, series new": f"{len(clusters) / new_seconds:,.0f}",
                "points/s, series known": f"{points / seconds:,.0f}",
                "CPU s per million points, series known": f"{(server.cpu_seconds() - cpu) / points * 1e6:.2f}",
                "resident, MB a node": " ".join(f"{m:.0f}" for m in server.resident_mb()),
                "bytes a series, from an empty node on": " ".join(f"{g * 1024 * 1024 / len(clusters):.0f}" for g in grown),
                "query that touches one cluster, p50 / p99, ms": "{:.1f} / {:.1f}".format(*queries.quantiles(took)[::2]),
            }
            figures["ready after kill -9 of all nodes under load, s"] = f"{killed_under_load(server, clusters, count + 1):.1f}"
            server.settle()
            names.append(f"{len(clusters):,} series")
            columns.append(figures)
    return names, columns


def killed_under_load(server, clusters, first):
    """Writes at full speed, kills all nodes in the middle of it, and waits until all are ready again."""
    bodies = clusters.scrapes(first, max(1, 2_000_000 // len(clusters)))
    stop = threading.Event()
    writer = threading.Thread(target=load.post_all, args=(server.addresses, bodies, 2, stop))
    writer.start()
    time.sleep(1.5)
    try:
        return server.kill_and_restart()
    finally:
        stop.set()
        writer.join()


SECTIONS = {"ingest": ingest, "density": density, "wide": wide, "growth": growth}
