//! The rules of InfluxDB 1.x, minute by minute.

use super::*;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

fn schedule(resample: &str, group_by: &str) -> Schedule {
    let query = format!(
        "CREATE CONTINUOUS QUERY c ON d {resample} BEGIN SELECT mean(v) INTO d.r.t FROM d.r.m GROUP BY {group_by} END"
    );
    Schedule::parse(&query).unwrap()
}

/// Times in the tests are minutes.
fn due(schedule: &Schedule, created: i64, last: Option<i64>, now: i64) -> Option<(i64, i64, i64)> {
    let due = schedule.due(created * MINUTE, last.map(|last| last * MINUTE), now * MINUTE)?;
    assert!([due.start_ns, due.end_ns, due.ran_ns].iter().all(|time| time % MINUTE == 0), "{due:?}");
    Some((due.start_ns / MINUTE, due.end_ns / MINUTE, due.ran_ns / MINUTE))
}

/// What a clock that ticks every minute makes of it: (now, start, end) of each run.
fn runs(schedule: &Schedule, created: i64, minutes: std::ops::RangeInclusive<i64>) -> Vec<(i64, i64, i64)> {
    let mut last = None;
    let mut runs = Vec::new();
    for now in minutes {
        if let Some((start, end, ran)) = due(schedule, created, last, now) {
            runs.push((now, start, end));
            last = Some(ran);
        }
    }
    runs
}

#[test]
fn a_window_is_computed_when_it_is_over() {
    let plain = schedule("", "time(5m)");
    assert_eq!(runs(&plain, 7, 7..=21), [(10, 5, 10), (15, 10, 15), (20, 15, 20)]);
    let offset = schedule("", "time(5m, 1m), *");
    assert_eq!(runs(&offset, 7, 7..=21), [(11, 6, 11), (16, 11, 16), (21, 16, 21)]);
}

#[test]
fn every_below_the_interval_computes_the_window_that_is_not_over() {
    let often = schedule("RESAMPLE EVERY 1m", "time(5m)");
    let expected = [(7, 5, 10), (8, 5, 10), (9, 5, 10), (10, 5, 10), (11, 10, 15)];
    assert_eq!(runs(&often, 7, 7..=11), expected);
    // Every two minutes are no part of five: the run that would end in the middle of a window is left out.
    let odd = schedule("RESAMPLE EVERY 2m", "time(5m)");
    assert_eq!(runs(&odd, 7, 7..=12), [(7, 5, 10), (8, 5, 10), (10, 5, 10), (12, 10, 15)]);
}

#[test]
fn for_computes_past_windows_again() {
    let again = schedule("RESAMPLE FOR 15m", "time(5m)");
    assert_eq!(runs(&again, 7, 7..=16), [(7, -5, 5), (10, -5, 10), (15, 0, 15)]);
    let both = schedule("RESAMPLE EVERY 1m FOR 10m", "time(5m)");
    assert_eq!(runs(&both, 7, 7..=8), [(7, 0, 10), (8, 0, 10)]);
}

#[test]
fn every_above_the_interval_computes_several_windows_at_once() {
    let seldom = schedule("RESAMPLE EVERY 10m", "time(5m)");
    assert_eq!(runs(&seldom, 17, 17..=31), [(17, 10, 15), (20, 10, 20), (30, 20, 30)]);
}

#[test]
fn what_was_missed_is_caught_up() {
    let plain = schedule("", "time(5m)");
    assert_eq!(due(&plain, 0, Some(10), 14), None);
    assert_eq!(due(&plain, 0, Some(10), 15), Some((10, 15, 15)));
    assert_eq!(due(&plain, 0, Some(10), 38), Some((10, 35, 35)));
    assert_eq!(due(&plain, 7, None, 38), Some((5, 35, 35)), "also since the creation");
}

#[test]
fn catching_up_goes_in_steps_and_skips_nothing() {
    for resample in
        ["", "RESAMPLE EVERY 1m", "RESAMPLE EVERY 12m", "RESAMPLE FOR 20m", "RESAMPLE EVERY 2000m"]
    {
        let schedule = schedule(resample, "time(2m)");
        for first in [None, Some(0)] {
            let (now, mut last, mut reached, mut steps) = (20_001, first, 0, 0);
            // The first run looks back as far as a window is resampled.
            let longest = 4 * WINDOWS_MAX + 24;
            while let Some((start, end, ran)) = due(&schedule, 0, last, now) {
                assert!(start <= reached, "{resample}: skipped {reached}..{start}");
                assert!(end - start <= longest, "{resample}: {start}..{end} at once");
                assert!(Some(ran) > last, "{resample}: stays at {last:?}");
                (last, reached, steps) = (Some(ran), end, steps + 1);
            }
            assert!((10..=12).contains(&steps), "{resample}: {steps} steps");
            assert!(reached >= 19_990, "{resample}: ends at {reached}");
        }
    }
}

#[test]
fn a_punctual_run_and_a_late_one_end_with_the_same_windows() {
    for resample in ["", "RESAMPLE EVERY 1m", "RESAMPLE EVERY 30m", "RESAMPLE EVERY 10m FOR 30m"] {
        let schedule = schedule(resample, "time(5m)");
        let punctual = runs(&schedule, 0, 0..=600);
        let mut last = None;
        for now in (0..=600).filter(|now| now % 47 == 0 || *now == 600) {
            while let Some((_, end, ran)) = due(&schedule, 0, last, now) {
                assert!(punctual.iter().any(|run| run.2 == end), "{resample}: no punctual run ends at {end}");
                last = Some(ran);
            }
        }
        assert_eq!(last, punctual.last().map(|run| run.0), "{resample}");
    }
}

#[test]
fn days_follow_the_zone() {
    let query = "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT mean(v) INTO d.r.t FROM d.r.m GROUP BY time(1d) TZ('Europe/Berlin') END";
    let schedule = Schedule::parse(query).unwrap();
    // 2021-03-28 has 23 hours; midnights are at 23:00, 23:00, 22:00 UTC.
    let day = 1_616_886_000 * SECOND;
    let due = |last: i64, now: i64| schedule.due(0, Some(last), now);
    assert_eq!(due(day, day + 23 * HOUR - 1), None);
    let first = Due { start_ns: day, end_ns: day + 23 * HOUR, ran_ns: day + 23 * HOUR };
    assert_eq!(due(day, day + 23 * HOUR), Some(first));
    let next = Due { start_ns: day + 23 * HOUR, end_ns: day + 47 * HOUR, ran_ns: day + 47 * HOUR };
    assert_eq!(due(day + 23 * HOUR, day + 47 * HOUR), Some(next));
}

#[test]
fn a_raw_query_never_runs() {
    let raw = "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT v INTO d.r.t FROM d.r.m END";
    assert_eq!(Schedule::parse(raw).unwrap().due(0, None, HOUR), None);
    assert!(Schedule::parse("SELECT v FROM m").is_err());
}

#[test]
fn the_range_takes_the_place_of_bounds_in_the_statement() {
    let range = Due { start_ns: 10, end_ns: 20, ran_ns: 20 };
    let condition = |condition: &str| {
        let query = format!(
            "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT mean(v) INTO d.r.t FROM d.r.m {condition} GROUP BY time(5m) END"
        );
        Schedule::parse(&query).unwrap().select(&range).condition.unwrap().to_string()
    };
    assert_eq!(condition(""), "time >= 10 AND time < 20");
    assert_eq!(condition("WHERE time > now() - 1h"), "time >= 10 AND time < 20");
    assert_eq!(
        condition("WHERE host = 'a' AND (time > 5 AND az = 'b' OR rack = 'c')"),
        "(host = 'a' AND (az = 'b' OR rack = 'c')) AND time >= 10 AND time < 20"
    );
}
