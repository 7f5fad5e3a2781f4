//! A run of the line protocol fuzzer: the same bodies to both servers, answers and stored points compared.

use super::ask::Ask;
use super::campaign::{Outcome, Plan, Servers};
use super::conflict;
use super::lines::{body, shrink};
use super::verdict::{Verdict, compare};
use crate::report::say;
use crate::workload::random::{Random, hash};

/// Bodies in one database: field types are those of the first, so that later ones meet conflicts.
const ROUND: u64 = 20;
/// Every point is older: those without a time are as old as the server's clock says, and left out.
const STORED: [&str; 3] =
    ["SELECT * FROM /.*/ WHERE time < '2015-01-01' GROUP BY *", "SHOW FIELD KEYS", "SHOW SERIES"];

/// Runs a plan; its statements are bodies.
pub fn run(plan: &Plan, servers: &mut Servers) -> Outcome {
    let mut outcome = Outcome::default();
    let mut number = plan.first_round;
    while outcome.asked < plan.statements {
        let count = ROUND.min(plan.statements - outcome.asked);
        round(plan, number, count, servers, &mut outcome);
        number += 1;
        if number.is_multiple_of(50) {
            say(&format!("  {} bodies, {} differences", outcome.asked, outcome.differences.len()));
        }
    }
    outcome
}

fn round(plan: &Plan, number: u64, count: u64, servers: &mut Servers, outcome: &mut Outcome) {
    let mut random = Random::new(hash(&[&plan.seed.to_string(), &number.to_string()]));
    let database = format!("lines{number}");
    servers.both(&conflict::create(&database));
    // All that was sent to the database: what is strange in it shows in later answers, too.
    let mut sent = Vec::new();
    for _ in 0..count {
        let bytes = body(&mut random);
        sent.extend_from_slice(&bytes);
        sent.push(b'\n');
        let precision = random.pick(&[
            "",
            "",
            "",
            "",
            "&precision=ns",
            "&precision=u",
            "&precision=ms",
            "&precision=s",
            "&precision=h",
        ]);
        outcome.asked += 1;
        let how = match differs(servers, &database, precision, (&bytes, &sent), outcome.asked) {
            Verdict::Same => continue,
            Verdict::Explained(why) => {
                *outcome.explained.entry(why).or_insert(0) += 1;
                break;
            }
            Verdict::Differs(how) => how,
        };
        let turn = outcome.asked;
        let mut fresh = 0;
        let mut attempt = |bytes: &[u8]| {
            fresh += 1;
            let database = format!("shrink{turn}x{fresh}");
            servers.both(&conflict::create(&database));
            let verdict = differs(servers, &database, precision, (bytes, bytes), turn);
            servers.both(&format!("DROP DATABASE {database}"));
            match verdict {
                Verdict::Differs(how) => Some(how),
                Verdict::Same | Verdict::Explained(_) => None,
            }
        };
        // A conflict with an earlier body cannot be met alone.
        let alone = attempt(&bytes).is_some() && outcome.differences.len() < plan.shown_max;
        let shortest = if alone { shrink(&bytes, |bytes| attempt(bytes).is_some()) } else { bytes };
        let how = if alone { attempt(&shortest).unwrap_or(how) } else { how };
        let shown = String::from_utf8_lossy(&shortest).into_owned();
        let text = format!("seed {} round {number}{precision}: {shown:?}\n      {how}", plan.seed);
        if outcome.differences.len() < plan.shown_max {
            say(&text);
        }
        outcome.differences.push(text);
        // What is stored differs from now on.
        break;
    }
    servers.both(&format!("DROP DATABASE {database}"));
}

/// How the answers, or what is stored afterwards, differ. After a difference that is explained nothing more can be compared
/// in the database. `sent` is all that was sent to it, with `body`.
fn differs(
    servers: &mut Servers,
    database: &str,
    precision: &str,
    (body, sent): (&[u8], &[u8]),
    turn: u64,
) -> Verdict {
    let target = format!("/write?db={database}{precision}");
    let (want, got) = servers.write(&target, body, turn);
    let says = |text: &str| {
        [&want, &got].into_iter().any(|answer| answer.as_ref().is_ok_and(|a| a.text().contains(text)))
    };
    if conflict::is_told(&want) || conflict::is_told(&got) {
        let verdict = conflict::verdict(servers, database, (&want, &got), turn);
        return excused(verdict, sent);
    }
    if says("contains invalid UTF-8") {
        return Verdict::Explained("1.6.7 cannot store names of fields that are not UTF-8");
    }
    if let Verdict::Differs(how) = compare("", &want, &got) {
        return match conflict::of_one_shard(servers, database, (&want, &got), turn) {
            Some(verdict) => excused(verdict, sent),
            None => Verdict::Differs(how),
        };
    }
    for q in STORED {
        if let Verdict::Differs(how) = servers.ask(&Ask::plain(database, q), turn).0 {
            return excused(Verdict::Differs(format!("{q}: {how}")), sent);
        }
    }
    Verdict::Same
}

/// A difference in what is stored may have a reason.
fn excused(verdict: Verdict, sent: &[u8]) -> Verdict {
    let excuse = if matches!(verdict, Verdict::Differs(_)) { excuse(sent) } else { None };
    excuse.map_or(verdict, Verdict::Explained)
}

/// What 1.x does not store, or stores without being asked to, of some bodies.
fn excuse(body: &[u8]) -> Option<&'static str> {
    if body.windows(2).any(|pair| pair == b"\\\\") {
        return Some("1.x loses measurements with two backslashes before a special character");
    }
    if body.split(|byte| *byte == b'\n').any(names_with_escaped_equals) {
        return Some("1.x takes two spellings of a measurement for two series, and shows the points of one");
    }
    if body.contains(&0) {
        return Some("1.x gives a column whose name has a zero byte a name of its own");
    }
    if std::str::from_utf8(body).is_err() {
        return Some("names that are not UTF-8 are in the order of their bytes there, and found by none");
    }
    if body.windows(5).any(|word| word == b"time=") {
        return Some("1.x keeps the series of a point whose only field is called time");
    }
    None
}

/// Whether the measurement of a line has an equals sign with a backslash before it, which needs none.
fn names_with_escaped_equals(line: &[u8]) -> bool {
    let mut escaped = false;
    for byte in line {
        match (escaped, byte) {
            (true, b'=') => return true,
            (false, b',' | b' ') => return false,
            _ => escaped = *byte == b'\\' && !escaped,
        }
    }
    false
}
