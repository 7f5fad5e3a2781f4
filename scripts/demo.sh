#!/usr/bin/env bash
# A three-node cluster on this machine, fed with recorded traffic of real collectors and then with a simulated one.
#
#   scripts/demo.sh        DEMO_SECONDS=60: stop after so long; DEMO_PORT=8086: HTTP port of the first node
#
# Runs till Ctrl-C. The cluster's files are in a temporary directory and removed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

port="${DEMO_PORT:-8086}"
seconds="${DEMO_SECONDS:-}"
steadfast="${CARGO_TARGET_DIR:-target}/release/steadfast"

scripts/install-deps.sh --for demo
echo "building (the first build compiles RocksDB: 10 to 20 minutes on two cores)"
cargo build --release --workspace

work="$(mktemp -d -t steadfast-demo-XXXXXX)"
dev_pid=""
load_pid=""

cleanup() {
  trap - EXIT INT TERM
  # Each stops what it started; a process that has ended already is no fault.
  for pid in $load_pid $dev_pid; do
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$steadfast" dev --nodes 3 --data "$work/cluster" --http-port "$port" >"$work/dev.out" 2>&1 &
dev_pid=$!
echo "starting three nodes"
until grep -q '^ready: ' "$work/dev.out"; do
  if ! kill -0 "$dev_pid" 2>/dev/null; then
    cat "$work/dev.out" >&2
    exit 1
  fi
  sleep 0.2
done
cat "$work/dev.out"

mapfile -t http < <(python3 -c 'import json, sys; [print(n["http"]) for n in json.load(open(sys.argv[1]))["nodes"]]' "$work/cluster/dev.json")
mapfile -t pids < <(python3 -c 'import json, sys; [print(n["pid"]) for n in json.load(open(sys.argv[1]))["nodes"]]' "$work/cluster/dev.json")
urls="$(IFS=,; echo "${http[*]}")"

echo
echo "replaying what Heapster, its eventer and cAdvisor sent to a real InfluxDB"
recordings="$(printf '%s,' testdata/heapster/*.http.gz)"
"$steadfast" load --url "$urls" --replay "${recordings%,}"

ask() {
  local db="$1" query="$2" from="$3"
  echo
  echo "curl -G http://$from/query --data-urlencode db=$db --data-urlencode \"q=${query//\"/\\\"}\""
  curl -sS --max-time 60 -G "http://$from/query" --data-urlencode "db=$db" --data-urlencode epoch=s \
    --data-urlencode "q=$query" | cut -c 1-600
}

echo
echo "dashboard queries, each to another node:"
ask k8s "SHOW TAG VALUES FROM uptime WITH KEY = nodename" "${http[0]}"
ask k8s "SELECT sum(value) FROM \"cpu/usage_rate\" WHERE type = 'node' AND time > now() - 4m GROUP BY time(1m) fill(null)" "${http[1]}"
ask k8s "SELECT mean(value) FROM \"memory/usage\" WHERE type = 'ns' AND time > now() - 10m GROUP BY namespace_name" "${http[2]}"
ask k8s_fields "SELECT last(message) FROM events WHERE type = 'Warning' GROUP BY reason" "${http[0]}"

echo
echo "going on with a simulated Heapster, one scrape every 2 s; its progress:"
"$steadfast" load --url "$urls" --cluster-name sim --interval 2s >"$work/load.out" 2>"$work/load.err" &
load_pid=$!

cat <<EOF

Grafana (type InfluxDB), Heapster (--sink=influxdb:) and influx can use any of: ${http[*]/#/http://}
Try, in another terminal:
  kill -9 ${pids[1]}                  # a node dies: nothing is refused, the load goes on over the other two
  tail -f $work/load.err
  curl -s http://127.0.0.1:$((port - 3))/admin/v1/cluster
  curl -s -XPOST http://127.0.0.1:$((port - 3))/admin/v1/checksum
  $steadfast serve --config $work/cluster/node-2/node.toml     # the dead node comes back and catches up
EOF
if [ -n "$seconds" ]; then
  echo "running for $seconds s"
else
  echo "running till Ctrl-C"
fi

ends=$((SECONDS + ${seconds:-0}))
while [ -z "$seconds" ] || [ "$SECONDS" -lt "$ends" ]; do
  sleep 1
  if ! kill -0 "$dev_pid" 2>/dev/null; then
    tail -n 20 "$work/dev.out" >&2
    exit 1
  fi
  tail -n 1 "$work/load.err"
done

kill -TERM "$load_pid"
if wait "$load_pid"; then
  load_pid=""
  echo "the load was never refused:"
else
  load_pid=""
  echo "the load had refused batches:" >&2
  cat "$work/load.out"
  exit 1
fi
cat "$work/load.out"
