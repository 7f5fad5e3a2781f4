//! Speaks to the person who runs the tests.

use std::io::Write as _;

/// Longest text shown of one value, in characters.
const SHOWN_CHARS_MAX: usize = 240;

/// Writes one line to standard error at once, past the capture of the test runner: a test of minutes must show where it
/// is, also when it hangs.
pub fn say(line: &str) {
    // A closed standard error is no reason to fail a test.
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// `text` on one line, cut to what a person reads.
pub fn shorten(text: &str) -> String {
    let mut line = String::with_capacity(SHOWN_CHARS_MAX);
    for c in text.chars().take(SHOWN_CHARS_MAX) {
        if c == '\n' {
            line.push_str("\\n");
        } else {
            line.push(c);
        }
    }
    let hidden = text.chars().count().saturating_sub(SHOWN_CHARS_MAX);
    if hidden > 0 { format!("{line}… ({hidden} more)") } else { line }
}

/// Failures of one test, gathered so that one run shows them all.
#[derive(Debug, Default)]
pub struct Failures {
    lines: Vec<String>,
    total: usize,
    points: u64,
}

/// Most failures that are shown in full.
const SHOWN_FAILURES_MAX: usize = 60;

impl Failures {
    /// Adds one failure; beyond the first 60 they are only counted.
    pub fn add(&mut self, failure: String) {
        self.total += 1;
        if self.lines.len() < SHOWN_FAILURES_MAX {
            self.lines.push(failure);
        }
    }

    /// Notes that so many points were compared.
    pub fn checked(&mut self, points: u64) {
        self.points += points;
    }

    /// How many points were compared.
    pub fn points(&self) -> u64 {
        self.points
    }

    /// Those that are shown.
    pub fn texts(&self) -> &[String] {
        &self.lines
    }

    /// How many were added.
    pub fn count(&self) -> usize {
        self.total
    }

    /// Panics with all of them when there is one; `what` says what was checked.
    #[track_caller]
    pub fn assert_none(&self, what: &str) {
        assert!(self.total == 0, "{what}: {} failures\n{}", self.total, self.lines.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_and_kept_on_one_line() {
        assert_eq!(shorten("a\nb"), "a\\nb");
        assert!(shorten(&"x".repeat(300)).ends_with("… (60 more)"));
    }
}
