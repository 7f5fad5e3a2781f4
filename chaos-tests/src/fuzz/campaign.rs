//! A run: rounds of a schema, its points and statements, the same for both servers.

use super::ask::Ask;
use super::explained;
use super::grammar::Grammar;
use super::points::random_points;
use super::rewrite;
use super::schema::{Schema, quoted};
use super::tree::{Tree, shrink};
use super::verdict::{AFTER_DELETION, DELETED_BY_TWO_TAGS, DELETED_IN_PART, Verdict, compare};
use crate::client::{Client, ClientError, Response, percent_encode};
use crate::report::say;
use crate::workload::random::{Random, hash};
use std::collections::BTreeMap;

/// Statements of one schema.
const ROUND: u64 = 1_000;

/// What is run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Everything random follows from it.
    pub seed: u64,
    /// How many statements.
    pub statements: u64,
    /// The first round; to repeat one, start with it.
    pub first_round: u64,
    /// Differences shown in full.
    pub shown_max: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Statements sent to both.
    pub asked: u64,
    /// Answers with rows among them.
    pub with_rows: u64,
    /// Answers that differ for a known reason.
    pub explained: BTreeMap<&'static str, u64>,
    /// Differences without one, as text.
    pub differences: Vec<String>,
}

impl Outcome {
    /// Deletions after which other points are stored, for a known reason.
    fn deletions_that_differ(&self) -> u64 {
        let count = |why| self.explained.get(why).copied().unwrap_or(0);
        count(DELETED_BY_TWO_TAGS) + count(DELETED_IN_PART)
    }
}

/// The two servers.
#[derive(Debug)]
pub struct Servers {
    /// The real one.
    pub oracle: Client,
    /// All nodes of the cluster.
    pub nodes: Vec<Client>,
}

impl Servers {
    /// Asks both; nodes take turns.
    pub(super) fn ask(&mut self, ask: &Ask, turn: u64) -> (Verdict, bool) {
        let node = turn as usize % self.nodes.len();
        let want = ask.send(&mut self.oracle);
        let got = ask.send(&mut self.nodes[node]);
        let rows = want.as_ref().is_ok_and(|answer| {
            answer.status == 200 && answer.body.len() > 60 && !answer.text().contains("\"error\":\"")
        });
        (compare(&ask.q, &want, &got), rows)
    }

    /// A statement that both must take.
    pub(super) fn both(&mut self, q: &str) {
        for client in std::iter::once(&mut self.oracle).chain(self.nodes.first_mut()) {
            let answer = client.query("", q);
            assert!(answer.as_ref().is_ok_and(|a| !a.text().contains("error")), "{q}: {answer:?}");
        }
    }

    /// Writes a body to both.
    pub(super) fn write(&mut self, target: &str, lines: &[u8], turn: u64) -> (Answer, Answer) {
        let node = turn as usize % self.nodes.len();
        (self.oracle.post(target, lines), self.nodes[node].post(target, lines))
    }
}

/// What a client has got.
pub(super) type Answer = Result<Response, ClientError>;

/// Runs a plan.
pub fn run(plan: &Plan, servers: &mut Servers) -> Outcome {
    let mut outcome = Outcome::default();
    let mut round = plan.first_round;
    while outcome.asked < plan.statements {
        let count = ROUND.min(plan.statements - outcome.asked);
        Round::new(plan, round, servers).run(count, &mut outcome);
        round += 1;
        say(&format!(
            "  round {round}: {} statements, {} with rows, {} differences",
            outcome.asked,
            outcome.with_rows,
            outcome.differences.len()
        ));
    }
    outcome
}

/// Writes the points of a plan's first round, and asks nothing.
pub fn fill(plan: &Plan, servers: &mut Servers) {
    Round::new(plan, plan.first_round, servers).fill(&mut Outcome::default());
}

struct Round<'a> {
    plan: &'a Plan,
    number: u64,
    seed: u64,
    schema: Schema,
    servers: &'a mut Servers,
    turn: u64,
}

impl<'a> Round<'a> {
    fn new(plan: &'a Plan, number: u64, servers: &'a mut Servers) -> Self {
        let seed = hash(&[&plan.seed.to_string(), &number.to_string()]);
        let schema = Schema::random(&mut Random::new(seed), &format!("fuzz{number}"));
        Self { plan, number, seed, schema, servers, turn: 0 }
    }

    fn run(&mut self, statements: u64, outcome: &mut Outcome) {
        self.fill(outcome);
        let schema = self.schema.clone();
        for n in 0..statements {
            let seed = hash(&[&self.seed.to_string(), &n.to_string()]);
            let mut grammar = Grammar::new(seed, &schema);
            let (tree, changes) = grammar.statement();
            let params = grammar.take_params();
            let policy = &schema.policies[schema.policies.len() - 1].name;
            let mut ask = Ask::random(&mut Random::new(!seed), &schema.database, policy, &tree.text());
            ask.parameters.extend(params.map(|json| ("params", json)));
            if changes {
                // Other forms do not tell of every error.
                ask = ask.as_json();
            }
            self.turn += 1;
            outcome.asked += 1;
            let before = outcome.deletions_that_differ();
            self.check(n, &ask, &tree, changes, outcome);
            if changes {
                let known = outcome.deletions_that_differ() != before;
                self.compare_stored(&ask, known, outcome);
            }
        }
        self.servers.both(&format!("DROP DATABASE {}", schema.database));
    }

    /// Compares what is stored after a statement that changed it, and makes it whole again.
    /// With `known` to differ it is not compared.
    fn compare_stored(&mut self, after: &Ask, known: bool, outcome: &mut Outcome) {
        self.turn += 1;
        let mut questions = vec![AFTER_DELETION.to_owned(), "SHOW RETENTION POLICIES".to_owned()];
        for measurement in &self.schema.measurements {
            // By name: for 1.x, `*` has the tags of deleted series, too.
            let mut tags = vec!["nope".to_owned()];
            tags.extend(measurement.tags.iter().map(|tag| quoted(&tag.0)));
            let tags = tags.join(", ");
            // Field by field: 1.x keeps the columns of fields whose points are all deleted.
            for (policy, field) in
                self.schema.policies.iter().flat_map(|p| measurement.fields.iter().map(move |f| (p, &f.0)))
            {
                let (field, policy, from) = (quoted(field), quoted(&policy.name), quoted(&measurement.name));
                questions.push(format!("SELECT {field}::field FROM {policy}.{from} GROUP BY {tags}"));
            }
        }
        if known {
            questions.clear();
        }
        for q in questions {
            let ask = Ask::plain(&self.schema.database, &q);
            let verdict = self.servers.ask(&ask, self.turn).0;
            if let Verdict::Explained(why) = verdict {
                *outcome.explained.entry(why).or_insert(0) += 1;
            } else if let Verdict::Differs(how) = verdict {
                let text = format!(
                    "seed {} round {}: after {}\n      {q}\n      {how}",
                    self.plan.seed,
                    self.number,
                    after.text()
                );
                say(&text);
                outcome.differences.push(text);
                break;
            }
        }
        // Else what follows would differ for the same reason, or for the columns that 1.x keeps.
        self.servers.both(&format!("DROP DATABASE {}", self.schema.database));
        self.fill(outcome);
    }

    fn fill(&mut self, outcome: &mut Outcome) {
        for statement in self.schema.statements() {
            self.servers.both(&statement);
        }
        let mut random = Random::new(!self.seed);
        for bodies in random_points(&mut random, &self.schema) {
            let target = format!("/write?db={}&rp={}", self.schema.database, percent_encode(&bodies.policy));
            for lines in bodies.lines.chunks(120) {
                self.turn += 1;
                let body = lines.concat();
                let (want, got) = self.servers.write(&target, body.as_bytes(), self.turn);
                if let Verdict::Differs(how) = compare("", &want, &got) {
                    outcome.differences.push(format!("round {}: write: {how}", self.number));
                }
            }
        }
    }

    fn check(&mut self, n: u64, ask: &Ask, tree: &Tree, changes: bool, outcome: &mut Outcome) {
        let (verdict, rows) = self.servers.ask(ask, self.turn);
        outcome.with_rows += u64::from(rows);
        match verdict {
            Verdict::Same => {}
            Verdict::Explained(why) => *outcome.explained.entry(why).or_insert(0) += 1,
            Verdict::Differs(how) => {
                // A clock may have ticked between the two answers.
                let steady = changes || matches!(self.servers.ask(ask, self.turn).0, Verdict::Differs(_));
                if !steady {
                    *outcome.explained.entry("once, and not again").or_insert(0) += 1;
                    return;
                }
                if !changes && let Some(why) = self.reason(ask) {
                    *outcome.explained.entry(why).or_insert(0) += 1;
                    return;
                }
                let shown = outcome.differences.len() < self.plan.shown_max;
                let text = if shown && !changes {
                    self.shrunk(ask, tree)
                } else {
                    format!("{}\n      {how}", ask.text())
                };
                let text = format!("seed {} round {} statement {n}: {text}", self.plan.seed, self.number);
                if shown {
                    say(&text);
                }
                outcome.differences.push(text);
            }
        }
    }

    /// A reason that shows in another form of the answer, or without clauses that are known to differ. Of several statements
    /// each has one, or is answered alike.
    fn reason(&mut self, ask: &Ask) -> Option<&'static str> {
        let statements = rewrite::statements(&ask.q);
        if statements.len() < 2 {
            return self.reason_of_one(ask);
        }
        let mut reasons = Vec::new();
        for q in statements {
            let ask = Ask { q, ..ask.as_json() };
            match self.servers.ask(&ask, self.turn).0 {
                Verdict::Same => {}
                Verdict::Explained(why) => reasons.push(why),
                Verdict::Differs(_) => reasons.push(self.reason_of_one(&ask)?),
            }
        }
        reasons.into_iter().next()
    }

    fn reason_of_one(&mut self, ask: &Ask) -> Option<&'static str> {
        let json = ask.as_json();
        if let Verdict::Explained(why) = self.servers.ask(&json, self.turn).0 {
            return Some(why);
        }
        let once = rewrite::loosened(&ask.q);
        let again = |(q, why): &(String, &'static str)| {
            let why = *why;
            rewrite::loosened(q).into_iter().map(move |(q, _)| (q, why)).collect::<Vec<_>>()
        };
        let twice: Vec<_> = once.iter().flat_map(again).collect();
        let looser = once.into_iter().chain(twice).find_map(|(q, why)| {
            let looser = Ask { q, ..json.clone() };
            let (verdict, rows) = self.servers.ask(&looser, self.turn);
            let tells = rows || why == rewrite::ABSOLUTE;
            (tells && !matches!(verdict, Verdict::Differs(_))).then_some(why)
        });
        looser.or_else(|| self.reason_of_a_part(&json))
    }

    /// A reason that shows in one of the function calls, or in the order of the rows that those are applied to.
    fn reason_of_a_part(&mut self, ask: &Ask) -> Option<&'static str> {
        let explained = |verdict| if let Verdict::Explained(why) = verdict { Some(why) } else { None };
        let mut verdict = |q: String| self.servers.ask(&Ask { q, ..ask.clone() }, self.turn).0;
        let rows = rewrite::rows_of_sources(&ask.q).map(&mut verdict).and_then(explained);
        if rows == Some(explained::ORDER_OF_JOINED_ROWS) {
            return rows;
        }
        let mut subqueries = rewrite::subqueries(&ask.q).into_iter();
        if subqueries.any(|q| {
            verdict(format!("SELECT * FROM ({q})")) == Verdict::Explained(explained::WINDOWS_OF_SERIES)
        }) {
            return Some(explained::WINDOWS_OF_SERIES);
        }
        if rewrite::goes_from_point_to_point(&ask.q)
            && rewrite::subqueries(&ask.q).into_iter().all(|q| verdict(q) == Verdict::Same)
        {
            return Some(explained::ORDER_OF_TIES);
        }
        rewrite::with_single_calls(&ask.q).into_iter().find_map(|q| explained(verdict(q)))
    }

    /// The simplest request that still differs, and how.
    fn shrunk(&mut self, ask: &Ask, tree: &Tree) -> String {
        let turn = self.turn;
        let params = ask.parameters.iter().filter(|p| p.0 == "params").cloned();
        let mut plain = Ask::plain(&self.schema.database, &ask.q);
        plain.parameters.extend(params);
        let plain_differs = matches!(self.servers.ask(&plain, turn).0, Verdict::Differs(_));
        let form = if plain_differs { plain } else { ask.clone() };
        let smallest = shrink(tree, |candidate| {
            let candidate = Ask { q: candidate.text(), ..form.clone() };
            matches!(self.servers.ask(&candidate, turn).0, Verdict::Differs(_))
        });
        let smallest = Ask { q: smallest.text(), ..form };
        let Verdict::Differs(how) = self.servers.ask(&smallest, turn).0 else { return ask.text() };
        format!("{}\n      {how}\n      shrunk from: {}", smallest.text(), ask.q)
    }
}
