"""The story of a client, told with `influxdb` of PyPI: story.py HOST:PORT[,HOST:PORT…]

Each step goes to the next server. Prints what the client library made of the answers, so that the output for one server can
be held against that for another. MessagePack is the library's default; the steps marked JSON ask for that.
"""

import itertools
import json
import sys

from influxdb import InfluxDBClient
from influxdb.exceptions import InfluxDBClientError

DATABASE = "story_python"
POINTS = [
    {"measurement": "weather", "tags": {"city": "Zürich", "odd tag": "a,b=c d"}, "time": "2020-01-01T00:00:00Z",
     "fields": {"temperature": -1.5, "count": 7, "wet": True, "note": 'says "hi"\\ and, more'}},
    {"measurement": "weather", "tags": {"city": "Bern"}, "time": "2020-01-01T00:00:00.123456789Z",
     "fields": {"temperature": 1e300, "count": -9223372036854775807, "wet": False, "note": ""}},
    {"measurement": "weather", "tags": {"city": "Bern"}, "time": "2020-01-01T00:01:00Z", "fields": {"temperature": 0.1}},
]


def clients(addresses, headers):
    made = []
    for address in addresses:
        host, port = address.rsplit(":", 1)
        made.append(InfluxDBClient(host=host, port=int(port), database=DATABASE, headers=dict(headers), timeout=60, retries=1))
    return itertools.cycle(made)


def show(step, value):
    print(f"{step}: {json.dumps(value, sort_keys=True, ensure_ascii=False)}", flush=True)


def refused(step, call):
    try:
        call()
    except InfluxDBClientError as error:
        show(step, [error.code, str(error.content)])
    else:
        show(step, "not refused")


def rows(result):
    """Everything in a result set: keys and points."""
    return [[key[0], key[1], list(points)] for key, points in result.items()]


def story(servers, form):
    def c():
        return next(servers)

    show(f"{form} ping", c().ping().startswith("1."))
    c().drop_database(DATABASE)
    refused(f"{form} write without a database", lambda: c().write_points(POINTS))
    c().create_database(DATABASE)
    show(f"{form} listed", {"name": DATABASE} in c().get_list_database())
    c().create_retention_policy("week", "7d", "1", DATABASE, default=False, shard_duration="1d")
    show(f"{form} policies", c().get_list_retention_policies(DATABASE))
    show(f"{form} write", c().write_points(POINTS))
    show(f"{form} write gzip", c().write(["weather,city=Chur temperature=3 1577836920"], {"db": DATABASE, "precision": "s"}, 204, "line"))
    show(f"{form} write in ms", c().write_points(["weather,city=Chur temperature=4 1577836980000"], time_precision="ms", protocol="line"))
    for query in [
        "SELECT * FROM weather",
        "SELECT * FROM weather GROUP BY city",
        'SELECT mean(temperature), count("count") FROM weather WHERE time >= \'2020-01-01T00:00:00Z\' AND '
        "time < '2020-01-01T00:04:00Z' GROUP BY time(1m), city fill(none)",
        "SELECT note, wet FROM weather WHERE city = 'Zürich'",
        "SELECT * FROM nothing_here",
        "SHOW FIELD KEYS",
    ]:
        show(f"{form} {query}", rows(c().query(query)))
        show(f"{form} {query} epoch=ms", rows(c().query(query, epoch="ms")))
    several = c().query("SELECT count(*) FROM weather; SHOW MEASUREMENTS; SHOW TAG VALUES WITH KEY = city")
    show(f"{form} several statements", [rows(one) for one in several])
    bound = c().query("SELECT temperature FROM weather WHERE city = $city", bind_params={"city": "Chur"})
    show(f"{form} bind parameters", rows(bound))
    show(f"{form} series", c().get_list_series())
    refused(f"{form} syntax error", lambda: c().query("SELEC 1"))
    refused(f"{form} error in a statement", lambda: c().query("SELECT temperature FROM weather GROUP BY time(1m)"))
    refused(f"{form} unknown database", lambda: c().query("SELECT * FROM m", database="nowhere"))
    refused(f"{form} partial write", lambda: c().write_points(["weather temperature=1 1", "bad line"], protocol="line"))
    refused(f"{form} type conflict", lambda: c().write_points(["weather temperature=\"x\" 1"], protocol="line"))
    show(f"{form} after the errors", rows(c().query("SELECT count(temperature) FROM weather")))
    c().delete_series(measurement="weather", tags={"city": "Chur"})
    c().query("DELETE FROM weather WHERE time < '2000-01-01T00:00:00Z'", method="POST")
    show(f"{form} after deletes", rows(c().query("SELECT count(temperature) FROM weather GROUP BY city")))
    c().write_points(["short,a=b v=1 1"], protocol="line")
    show(f"{form} measurements", c().get_list_measurements())
    c().drop_measurement("short")
    show(f"{form} measurements left", c().get_list_measurements())


def chunked(servers):
    """The library reads chunks from JSON only."""
    next(servers).create_database(DATABASE)
    lines = [f"many,host={i % 3} v={i}i {i}" for i in range(2_500)]
    show("chunked write", next(servers).write_points(lines, protocol="line", batch_size=1_000, time_precision="s"))
    result = next(servers).query("SELECT v FROM many; SELECT count(v) FROM many GROUP BY host", chunked=True, chunk_size=1_000)
    results = [one for part in result for one in (part if isinstance(part, list) else [part])]
    show("chunked read", [[key[0], key[1], points[:2], points[-1], len(points)]
                          for one in results for key, points in ((k, list(p)) for k, p in one.items())])
    next(servers).drop_database(DATABASE)
    show("dropped", {"name": DATABASE} in next(servers).get_list_database())


if __name__ == "__main__":
    addresses = sys.argv[1].split(",")
    story(clients(addresses, {}), "msgpack")
    story(clients(addresses, {"Accept": "application/json"}), "json")
    chunked(clients(addresses, {"Accept": "application/json"}))
