// The story of a client, told with github.com/influxdata/influxdb1-client/v2: story HOST:PORT[,HOST:PORT…]
//
// Each step goes to the next server. Prints what the client library made of the answers, so that the output for one server can
// be held against that for another.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	client "github.com/influxdata/influxdb1-client/v2"
)

const database = "story_go"

var (
	servers []client.Client
	steps   int
)

func next() client.Client {
	steps++
	return servers[(steps-1)%len(servers)]
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func show(step string, value any) {
	text, err := json.Marshal(value)
	check(err)
	fmt.Printf("%s: %s\n", step, text)
}

func ask(step, command string, change func(*client.Query)) {
	query := client.NewQuery(command, database, "")
	if change != nil {
		change(&query)
	}
	answer, err := next().Query(query)
	if err != nil {
		show(step, []any{"refused", err.Error()})
		return
	}
	var failure any
	if answer.Error() != nil {
		failure = answer.Error().Error()
	}
	show(step, []any{answer.Results, failure})
}

func point(tags map[string]string, fields map[string]any, at time.Time) *client.Point {
	made, err := client.NewPoint("weather", tags, fields, at)
	check(err)
	return made
}

func write(step, precision string, points ...*client.Point) {
	batch, err := client.NewBatchPoints(client.BatchPointsConfig{Database: database, Precision: precision})
	check(err)
	batch.AddPoints(points)
	if err := next().Write(batch); err != nil {
		show(step, err.Error())
		return
	}
	show(step, "written")
}

func chunks(step, command string, size int) {
	query := client.NewQuery(command, database, "ns")
	query.Chunked, query.ChunkSize = true, size
	stream, err := next().QueryAsChunk(query)
	check(err)
	defer stream.Close()
	for number := 0; ; number++ {
		part, err := stream.NextResponse()
		if err == io.EOF {
			return
		}
		check(err)
		for _, result := range part.Results {
			for _, series := range result.Series {
				show(fmt.Sprintf("%s, chunk %d", step, number),
					[]any{result.StatementId, series.Name, series.Tags, series.Partial, len(series.Values), series.Values[0]})
			}
		}
	}
}

func main() {
	for _, address := range strings.Split(os.Args[1], ",") {
		made, err := client.NewHTTPClient(client.HTTPConfig{Addr: "http://" + address, Timeout: time.Minute})
		check(err)
		servers = append(servers, made)
	}
	_, version, err := next().Ping(10 * time.Second)
	show("ping", []any{version != "", err})
	start := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	points := []*client.Point{
		point(map[string]string{"city": "Zürich", "odd tag": "a,b=c d"},
			map[string]any{"temperature": -1.5, "count": int64(7), "wet": true, "note": "says \"hi\" and, more"}, start),
		point(map[string]string{"city": "Bern"},
			map[string]any{"temperature": 1e300, "count": int64(-9223372036854775807), "wet": false, "note": ""},
			start.Add(123456789)),
		point(map[string]string{"city": "Bern"}, map[string]any{"temperature": 0.1}, start.Add(time.Minute)),
	}
	ask("drop", "DROP DATABASE "+database, nil)
	write("write without a database", "ns", points...)
	ask("create", "CREATE DATABASE "+database, nil)
	write("write", "ns", points...)
	write("write in s", "s", point(map[string]string{"city": "Chur"}, map[string]any{"temperature": 3.0}, start.Add(2*time.Minute)))
	write("type conflict", "ns", point(map[string]string{"city": "Bern"}, map[string]any{"temperature": "x"}, start))
	for _, command := range []string{
		"SELECT * FROM weather",
		"SELECT * FROM weather GROUP BY city",
		"SELECT mean(temperature), count(\"count\") FROM weather WHERE time >= '2020-01-01T00:00:00Z' AND " +
			"time < '2020-01-01T00:04:00Z' GROUP BY time(1m), city fill(0)",
		"SELECT * FROM nothing_here",
		"SHOW FIELD KEYS; SHOW TAG VALUES WITH KEY = city; SHOW SERIES",
		"SELECT count(*) FROM weather; SELECT temperature FROM weather GROUP BY time(1m); SHOW DATABASES",
		"SELEC 1",
	} {
		ask(command, command, nil)
		ask(command+" in ms", command, func(q *client.Query) { q.Precision = "ms" })
	}
	ask("bind parameters", "SELECT temperature FROM weather WHERE city = $city", func(q *client.Query) {
		q.Parameters = map[string]any{"city": "Chur"}
	})
	ask("unknown database", "SELECT * FROM weather", func(q *client.Query) { q.Database = "nowhere" })
	ask("unknown policy", "SELECT * FROM weather", func(q *client.Query) { q.RetentionPolicy = "nowhere" })
	batch, err := client.NewBatchPoints(client.BatchPointsConfig{Database: database})
	check(err)
	for i := 0; i < 2500; i++ {
		made, err := client.NewPoint("many", map[string]string{"host": fmt.Sprint(i % 3)}, map[string]any{"v": i}, time.Unix(int64(i), 0))
		check(err)
		batch.AddPoint(made)
	}
	check(next().Write(batch))
	chunks("chunked", "SELECT v FROM many; SELECT v FROM many WHERE v < 10 GROUP BY host", 1000)
	ask("chunked at once", "SELECT v FROM many WHERE v < 10", func(q *client.Query) { q.Chunked, q.ChunkSize = true, 4 })
	ask("delete", "DELETE FROM weather WHERE city = 'Chur'; DROP MEASUREMENT many", nil)
	ask("after the delete", "SELECT count(temperature) FROM weather GROUP BY city; SHOW MEASUREMENTS", nil)
	ask("drop", "DROP DATABASE "+database, nil)
}
