"""Users and privileges, told with `influxdb` of PyPI to a server that asks for them: users.py HOST:PORT[,HOST:PORT…]

Each step goes to the next server, so that a change made at one holds at the others at once. Prints what the client library
made of the answers, so that the output for one server can be held against that for another.
"""

import itertools
import json
import sys

from influxdb import InfluxDBClient
from influxdb.exceptions import InfluxDBClientError

DATABASE = "users_python"
ADMIN = ("boss", "p:a&s=s 'w\\")
READER = ("reader", "r")
WRITER = ("the \"writer\"", "w")
NOBODY = ("nobody", "n")


def show(step, value):
    print(f"{step}: {json.dumps(value, sort_keys=True, ensure_ascii=False)}", flush=True)


def tried(step, call):
    """What the call returns, or how it was refused."""
    try:
        value = call()
    except InfluxDBClientError as error:
        show(step, ["refused", error.code, str(error.content)])
    else:
        show(step, value)


def rows(result):
    return [[key[0], key[1], list(points)] for key, points in result.items()]


def story(addresses):
    servers = itertools.cycle(addresses)

    def at(who):
        host, port = next(servers).rsplit(":", 1)
        return InfluxDBClient(host=host, port=int(port), username=who[0], password=who[1], database=DATABASE, timeout=60, retries=1)

    def may(step, who):
        """What somebody may do."""
        tried(f"{step}: {who[0]} reads", lambda: rows(at(who).query("SELECT * FROM m GROUP BY *")))
        tried(f"{step}: {who[0]} writes", lambda: at(who).write_points(["m,h=a v=1 1"], protocol="line"))
        tried(f"{step}: {who[0]} deletes", lambda: at(who).delete_series(measurement="nothing"))
        tried(f"{step}: {who[0]} lists databases", lambda: at(who).get_list_database())
        tried(f"{step}: {who[0]} lists measurements", lambda: at(who).get_list_measurements())
        tried(f"{step}: {who[0]} lists users", lambda: at(who).get_list_users())
        tried(f"{step}: {who[0]} creates a database", lambda: at(who).create_database(DATABASE))
        tried(f"{step}: {who[0]} asks elsewhere", lambda: rows(at(who).query("SELECT * FROM m", database="elsewhere")))

    tried("before there is an admin", lambda: at(NOBODY).get_list_database())
    tried("a user who is no admin", lambda: at(NOBODY).create_user(*READER))
    tried("the first admin", lambda: at(NOBODY).create_user(*ADMIN, admin=True))
    tried("without credentials", lambda: at(("", "")).get_list_database())
    tried("a wrong password", lambda: at((ADMIN[0], "wrong")).get_list_database())
    tried("a wrong name", lambda: at(("Boss", ADMIN[1])).get_list_database())
    tried("the admin", lambda: at(ADMIN).get_list_database())

    at(ADMIN).create_database(DATABASE)
    at(ADMIN).create_database("elsewhere")
    for who in (READER, WRITER, NOBODY):
        tried(f"{who[0]} is created", lambda: at(ADMIN).create_user(*who))
        may("without a privilege", who)
    tried("a name that is taken", lambda: at(ADMIN).create_user(READER[0], "other"))
    for privilege, who in (("read", READER), ("write", WRITER)):
        tried(f"{privilege} is granted", lambda: at(ADMIN).grant_privilege(privilege, DATABASE, who[0]))
    for who in (ADMIN, WRITER, READER, NOBODY):
        may("with privileges", who)
        tried(f"privileges of {who[0]}", lambda: at(ADMIN).get_list_privileges(who[0]))
    tried("users", lambda: at(ADMIN).get_list_users())
    tried("a privilege of nobody known", lambda: at(ADMIN).grant_privilege("all", DATABASE, "unknown"))
    tried("a privilege on nothing known", lambda: at(ADMIN).grant_privilege("all", "unknown", READER[0]))

    tried("revoked", lambda: at(ADMIN).revoke_privilege("read", DATABASE, READER[0]))
    tried("all", lambda: at(ADMIN).grant_privilege("all", DATABASE, WRITER[0]))
    may("after a change", READER)
    may("after a change", WRITER)
    tried("somebody else's password", lambda: at(WRITER).set_user_password(READER[0], "x"))
    tried("a new password", lambda: at(ADMIN).set_user_password(READER[0], "x"))
    tried("the old one", lambda: at(READER).get_list_database())
    tried("the new one", lambda: at((READER[0], "x")).get_list_database())
    tried("an admin more", lambda: at(ADMIN).grant_admin_privileges(READER[0]))
    may("as an admin", (READER[0], "x"))
    tried("an admin less", lambda: at(ADMIN).revoke_admin_privileges(READER[0]))
    for who in (READER, WRITER, NOBODY):
        tried(f"{who[0]} is dropped", lambda: at(ADMIN).drop_user(who[0]))
        tried(f"{who[0]} is gone", lambda: at(who).get_list_database())
    for database in (DATABASE, "elsewhere"):
        at(ADMIN).drop_database(database)
    tried("users left", lambda: at(ADMIN).get_list_users())


if __name__ == "__main__":
    story(sys.argv[1].split(","))
