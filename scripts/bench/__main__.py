"""Measures a three-node Steadfast cluster beside its peers on this machine, one after the other, and prints tables.

    python3 scripts/bench [--only ingest,density,wide,growth] [--steadfast target/release/steadfast]

ingest   the Heapster load, series new and known, and the dashboards: influxd, VictoriaMetrics, Steadfast
density  bytes a point at 2,000 points a series: influxd, Steadfast
wide     a mean by hour over 30 days of 1,000 series: influxd, Steadfast
growth   Steadfast at 100 thousand and at 1 million series: speed, memory, queries, restart after kill -9

A speed is a ratio in one run: never compare a figure with one of another run or machine.
"""
import argparse, contextlib, os, pathlib, platform, shutil, sys, tempfile, time

import sections
from load import ROOT
from servers import Influxd, Steadfast, VictoriaMetrics


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    parser.add_argument("--only", default=",".join(sections.SECTIONS), help="sections, with commas between them")
    parser.add_argument("--steadfast", default=f"{target}/release/steadfast")
    parser.add_argument("--influxd", default=shutil.which("influxd"))
    parser.add_argument("--victoria", default=shutil.which("victoria-metrics"))
    parser.add_argument("--clusters", type=int, default=24)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--density-clusters", type=int, default=1)
    parser.add_argument("--density-scrapes", type=int, default=2_000)
    parser.add_argument("--wide-series", type=int, default=1_000)
    parser.add_argument("--wide-days", type=int, default=30)
    parser.add_argument("--wide-step-s", type=int, default=60)
    args = parser.parse_args()
    unknown = [s for s in args.only.split(",") if s not in sections.SECTIONS]
    if unknown:
        parser.error(f"--only: no section {', '.join(unknown)}; there are {', '.join(sections.SECTIONS)}")
    for name, package in (("influxd", "influxdb"), ("victoria", "victoria-metrics")):
        if not getattr(args, name):
            parser.error(f"{name} is not installed: apt-get install {package}")
    return args


def maker(args):
    """Starts a server of a kind in a fresh directory; both are gone afterwards."""
    kinds = {"influxd": (Influxd, args.influxd), "victoria": (VictoriaMetrics, args.victoria),
             "steadfast": (Steadfast, args.steadfast)}

    @contextlib.contextmanager
    def make(kind):
        make_server, program = kinds[kind]
        with tempfile.TemporaryDirectory(prefix="steadfast-bench-") as directory:
            server = make_server(program, pathlib.Path(directory))
            try:
                yield server
            finally:
                server.stop()

    return make


def table(names, columns):
    keys = list(dict.fromkeys(key for figures in columns for key in figures))
    lines = [f"| | {' | '.join(names)} |", f"|--|{'--|' * len(names)}"]
    lines += [f"| {key} | {' | '.join(figures.get(key, '–') for figures in columns)} |" for key in keys]
    return "\n".join(lines)


def main():
    args = arguments()
    make = maker(args)
    print(f"{os.cpu_count()} cores, {platform.release()}, load {os.getloadavg()[0]:.1f} at the start\n", flush=True)
    for name in args.only.split(","):
        began = time.monotonic()
        section = sections.SECTIONS[name]
        print(f"## {name}\n\n{section.__doc__.strip()}\n\n{table(*section(make, args))}\n", flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
