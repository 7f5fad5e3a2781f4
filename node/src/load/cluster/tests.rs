//! The simulated cluster against what is known of Heapster's bodies.

use super::*;
use crate::cli::{Cli, Command};
use clap::Parser;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

fn args(flags: &[&str]) -> LoadArgs {
    let cli = Cli::try_parse_from(["steadfast", "load"].iter().chain(flags)).unwrap();
    match cli.command {
        Command::Load(args) => *args,
        Command::Serve(_) | Command::Dev(_) | Command::Ctl(_) => unreachable!("load was asked for"),
    }
}

fn lines(batches: &[Batch]) -> Vec<String> {
    batches.iter().flat_map(|b| std::str::from_utf8(b.body()).unwrap().lines().map(str::to_owned)).collect()
}

#[test]
fn the_same_seed_gives_the_same_bodies() {
    let scrape = |seed: &str| {
        let args = args(&["--seed", seed]);
        let mut cluster = Cluster::new(&args);
        drop(cluster.scrape(1, &args));
        cluster.step(10.0, 0.5);
        lines(&cluster.scrape(2, &args))
    };
    assert_eq!(scrape("3"), scrape("3"));
    assert_ne!(scrape("3"), scrape("4"));
}

#[test]
fn a_scrape_has_the_size_and_the_shape_of_heapsters() {
    let args = args(&[]);
    let mut cluster = Cluster::new(&args);
    let first = lines(&cluster.scrape(10, &args));
    cluster.step(10.0, 0.0);
    let second = lines(&cluster.scrape(20, &args));
    assert!(first.iter().all(|line| !line.contains("_rate,")), "no rates at first");
    assert_eq!(second.len() as u64, cluster.points_per_scrape());
    assert!((3_500..4_800).contains(&second.len()), "{}", second.len());
    let bytes: usize = second.iter().map(String::len).sum();
    assert!((250..400).contains(&(bytes / second.len())), "{} bytes a line", bytes / second.len());

    let series: BTreeSet<&str> = second.iter().filter_map(|l| l.split(" value=").next()).collect();
    assert_eq!(series.len(), second.len(), "no series twice in a scrape");
    assert_eq!(series.len() as u64, cluster.series_written());
    for line in &second {
        let (key, rest) = line.split_once(" value=").unwrap();
        assert!(!key.replace("\\ ", "").contains(' ') && rest.ends_with(" 20"), "{line}");
        let number = rest.trim_end_matches(" 20");
        assert!(number.trim_end_matches('i').parse::<f64>().is_ok_and(|n| n >= 0.0), "{line}");
        assert!(!number.contains(['e', 'E']), "{line}");
    }
}

#[test]
fn counts_and_lines_agree_over_batches() {
    let args = args(&["--batch", "1000"]);
    let mut cluster = Cluster::new(&args);
    let batches = cluster.scrape(10, &args);
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    for batch in &batches {
        assert_eq!(batch.counts.iter().sum::<u64>(), batch.lines);
        for (name, count) in measurements().into_iter().zip(&batch.counts) {
            *counted.entry(name).or_default() += count;
        }
    }
    assert!(batches[..batches.len() - 1].iter().all(|batch| batch.lines == 1000));
    for (name, count) in counted {
        let found = lines(&batches).iter().filter(|line| line.split(',').next() == Some(name)).count();
        assert_eq!(found as u64, count, "{name}");
    }
}

#[test]
fn replaced_pods_bring_new_series_and_keep_their_number() {
    let args = args(&["--pods", "24"]);
    let mut cluster = Cluster::new(&args);
    let per_scrape = cluster.points_per_scrape();
    drop(cluster.scrape(1, &args));
    let before = cluster.series_written();
    cluster.step(10.0, 1.0);
    drop(cluster.scrape(2, &args));
    assert_eq!(cluster.points_per_scrape(), per_scrape);
    assert!(cluster.series_written() > before + 24 * 40, "{before} {}", cluster.series_written());
}
