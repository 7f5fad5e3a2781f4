"""The `influx` shell at a terminal: terminal.py HOST:PORT < lines

Types each line of standard input when the shell prompts, and prints what it showed, without the prompts, its history and
the lines that name the server.
"""

import os
import pty
import select
import sys
import tempfile

PROMPT = b"> "
SECONDS = 30


def read_to_prompt(terminal):
    shown = b""
    while not (shown.endswith(b"\n" + PROMPT) or shown == PROMPT):
        ready, _, _ = select.select([terminal], [], [], SECONDS)
        if not ready:
            sys.exit(f"no prompt after {SECONDS} s; shown so far:\n{shown.decode(errors='replace')}")
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # The other end is closed: the shell has ended.
            piece = b""
        if not piece:
            break
        shown += piece.replace(b"\r\n", b"\n")
    return shown.removesuffix(PROMPT).decode(errors="replace")


def main():
    host, port = sys.argv[1].split(":")
    with tempfile.TemporaryDirectory() as home:
        # Without the abilities of a terminal the shell's line editor writes plain lines.
        environment = {"PATH": os.environ["PATH"], "HOME": home, "TERM": "dumb"}
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvpe("influx", ["influx", "-host", host, "-port", port], environment)
        shown = read_to_prompt(terminal)
        for line in sys.stdin:
            os.write(terminal, line.encode())
            shown += PROMPT.decode() + read_to_prompt(terminal)
        os.close(terminal)
        os.waitpid(pid, 0)
    kept = [line for line in shown.split("\n") if not line.startswith(("Connected to", "InfluxDB shell version"))]
    print("\n".join(kept))


if __name__ == "__main__":
    main()
