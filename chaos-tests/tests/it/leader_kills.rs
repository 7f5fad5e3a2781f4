//! The questions of dashboards and of Heapster's historical API while the node that leads most groups is killed every few
//! seconds: each is answered, and as it was in calm. A client whose node is gone asks the next one; nothing else is an excuse.
//! Beside them the sequences of Telegraf, Chronograf and Kapacitor, with their writes and their databases that come and go,
//! are answered by the other nodes as by a real influxd.

mod sequences;

use crate::support::{ask, number_from_environment, turn};
use chaos_tests::compare::differences;
use chaos_tests::report::{Failures, say, shorten};
use chaos_tests::workload::heapster::{END_S, fill};
use chaos_tests::workload::queries::{at, rows};
use chaos_tests::{Client, ClientError, Cluster, Oracle, Response, Settings};
use sequences::Sequences;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const GRAFANA: &str = include_str!("testdata/grafana_queries.txt");
const HISTORICAL: &str = include_str!("testdata/heapster_queries.txt");
/// Minutes of data.
const MINUTES: i64 = 60;
/// Clients that ask at once.
const CLIENTS: usize = 2;
/// How long a killed node stays away: longer than an election takes.
const AWAY: Duration = Duration::from_secs(3);
/// Longest answer that a dashboard may see.
const SLOWEST_MAX: Duration = Duration::from_secs(10);
/// Most differences that one client notes.
const NOTED_MAX: usize = 20;

/// A question and its answer in calm.
#[derive(Debug)]
struct Question {
    database: &'static str,
    epoch: &'static str,
    q: String,
    calm: (u16, Value),
}

#[test]
fn answers_stay_the_same_while_leaders_are_killed() {
    let _turn = turn("leader_kills: kill -9 of leading nodes while dashboards ask");
    let seconds = number_from_environment("STEADFAST_KILL_SECONDS", 20);
    let mut cluster = Cluster::start(&Settings::default());
    fill(&mut cluster.client(0), MINUTES);
    let questions = Arc::new(questions(&mut cluster.client(1)));
    let with_rows =
        questions.iter().filter(|question| question.calm.1.to_string().contains("\"values\"")).count();
    say(&format!("  {} questions, {with_rows} with rows", questions.len()));
    assert!(with_rows > 100, "only {with_rows} answers have rows: this compares nothing with nothing");

    let stop = Arc::new(AtomicBool::new(false));
    let askers: Vec<JoinHandle<Asked>> = (0..CLIENTS)
        .map(|number| {
            let mut asker = Asker::new(number, &cluster, Arc::clone(&questions));
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || asker.run(&stop))
        })
        .collect();
    let oracle = Oracle::start();
    let mut sequences = Sequences::new(&oracle, &cluster);
    let avoided = sequences.avoided();
    let told = Arc::clone(&stop);
    let teller = std::thread::spawn(move || sequences.run(&told));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut kills = 0;
    while Instant::now() < end {
        let killed = cluster.busiest_leader();
        avoided.avoid(Some(killed));
        cluster.kill(killed);
        kills += 1;
        std::thread::sleep(AWAY);
        cluster.restart(killed);
        // Two away of three are no minority.
        cluster.wait_caught_up();
        avoided.avoid(None);
    }
    stop.store(true, Ordering::Relaxed);
    let mut failures = Failures::default();
    for asker in askers {
        let asked = asker.join().expect("the client ended");
        say(&format!(
            "  a client: {} answers, {} asked again at another node, slowest {:.1} s",
            asked.answers,
            asked.again,
            asked.slowest.as_secs_f64()
        ));
        assert!(asked.answers > 100, "only {} answers", asked.answers);
        assert!(asked.slowest < SLOWEST_MAX, "slowest answer {:?}", asked.slowest);
        asked.different.into_iter().for_each(|text| failures.add(text));
    }
    let told = teller.join().expect("the sequences ended");
    say(&format!("  sequences: {} answers, slowest {:.1} s", told.answers, told.slowest.as_secs_f64()));
    assert!(told.answers > 50, "only {} answers to sequences", told.answers);
    assert!(told.slowest < SLOWEST_MAX, "slowest answer {:?}", told.slowest);
    told.failures.texts().iter().for_each(|text| failures.add(text.clone()));
    say(&format!("  {kills} kills, {} differences", failures.count()));
    failures.assert_none("while leaders were killed");
}

fn questions(client: &mut Client) -> Vec<Question> {
    let historical = rows(HISTORICAL).filter_map(|row| Some((*row.first()?, "", *row.get(1)?)));
    let grafana = rows(GRAFANA).filter_map(|row| Some((*row.first()?, *row.get(1)?, *row.get(3)?)));
    let all = grafana.chain(historical.filter(|(database, ..)| *database == "k8s"));
    // Databases come and go with the sequences.
    let asked = all.filter(|(_, _, query)| !query.eq_ignore_ascii_case("SHOW DATABASES"));
    asked
        .map(|(database, epoch, query)| {
            let q = at(query, END_S * 1_000);
            let answer = ask(client, database, epoch, &q).unwrap_or_else(|error| panic!("{q}: {error}"));
            let calm = (answer.status, answer.json());
            Question { database, epoch, q, calm }
        })
        .collect()
}

/// What a client saw.
#[derive(Debug, Default)]
struct Asked {
    answers: usize,
    /// Times that its node was gone.
    again: usize,
    slowest: Duration,
    different: Vec<String>,
}

/// One client.
#[derive(Debug)]
struct Asker {
    nodes: Vec<Client>,
    /// The node it talks to until that is gone.
    node: usize,
    next: usize,
    questions: Arc<Vec<Question>>,
    asked: Asked,
}

impl Asker {
    fn new(number: usize, cluster: &Cluster, questions: Arc<Vec<Question>>) -> Self {
        let nodes = (0..cluster.size()).map(|node| cluster.client(node)).collect();
        let next = number * questions.len() / CLIENTS;
        Self { nodes, node: number, next, questions, asked: Asked::default() }
    }

    fn run(&mut self, stop: &AtomicBool) -> Asked {
        while !stop.load(Ordering::Relaxed) {
            let questions = Arc::clone(&self.questions);
            let question = &questions[self.next % questions.len()];
            self.next += 1;
            let started = Instant::now();
            let answer = self.ask(question);
            self.asked.slowest = self.asked.slowest.max(started.elapsed());
            self.asked.answers += 1;
            // Another node each time, so that all are asked.
            self.node = (self.node + 1) % self.nodes.len();
            if let Some(difference) = difference(question, &answer)
                && self.asked.different.len() < NOTED_MAX
            {
                self.asked.different.push(difference);
            }
        }
        std::mem::take(&mut self.asked)
    }

    fn ask(&mut self, question: &Question) -> Result<Response, ClientError> {
        let mut tries = 0;
        loop {
            let answer = ask(&mut self.nodes[self.node], question.database, question.epoch, &question.q);
            tries += 1;
            let gone = matches!(answer, Err(ClientError::Connect(_) | ClientError::Broken(_)));
            if !gone || tries == 2 * self.nodes.len() {
                return answer;
            }
            self.asked.again += 1;
            self.node = (self.node + 1) % self.nodes.len();
        }
    }
}

fn difference(question: &Question, answer: &Result<Response, ClientError>) -> Option<String> {
    let place = &question.q;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Some(format!("{place}: {error}")),
    };
    let (status, calm) = &question.calm;
    if answer.status != *status {
        return Some(format!("{place}: {} {}, in calm {status}", answer.status, shorten(&answer.text())));
    }
    let found = differences(calm, &answer.json());
    (!found.is_empty()).then(|| format!("{place}\n    {}", found.join("\n    ")))
}
