//! A statement's levels, as far as one can see them without a parser: which functions each calls, and what it groups by.

/// One SELECT without its subqueries.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// As written.
    text: String,
    /// In lower case, what is in quotes blank.
    masked: String,
    /// Where each character of it is in the statement.
    places: Vec<usize>,
}

/// The statement without some clauses that are a word and a number, on the levels that are meant; `None` if there are none.
pub(super) fn without(q: &str, words: &[&str], meant: impl Fn(usize, &Level) -> bool) -> Option<String> {
    let mut dropped: std::collections::BTreeSet<usize> = std::collections::BTreeSet::new();
    for (_, level) in levels(q).iter().enumerate().filter(|(n, level)| meant(*n, level)) {
        let masked: Vec<char> = level.masked.chars().collect();
        for word in words {
            let word: Vec<char> = format!(" {word} ").chars().collect();
            for from in 0..masked.len().saturating_sub(word.len()) {
                if masked[from..].starts_with(&word) {
                    let number =
                        masked[from + word.len()..].iter().take_while(|c| c.is_ascii_digit()).count();
                    dropped.extend(&level.places[from..from + word.len() + number]);
                }
            }
        }
    }
    let kept = q.chars().enumerate().filter(|(place, _)| !dropped.contains(place));
    (!dropped.is_empty()).then(|| kept.map(|(_, c)| c).collect())
}

/// The levels of a statement, the outermost first. What is no SELECT has one.
pub(super) fn levels(q: &str) -> Vec<Level> {
    let masked: Vec<char> = mask(q);
    let mut levels = vec![Level::default()];
    // The level that is written, and at which depth of parentheses it ends.
    let mut open = vec![(0, 0)];
    let mut depth = 0;
    for (i, (c, m)) in q.chars().zip(&masked).enumerate() {
        if *m == '(' {
            depth += 1;
            let rest: String = masked[i + 1..].iter().skip_while(|c| **c == ' ').take(6).collect();
            if rest == "select" {
                open.push((levels.len(), depth));
                levels.push(Level::default());
                continue;
            }
        }
        let (level, from) = open[open.len() - 1];
        if *m == ')' {
            depth -= 1;
            if from > depth && open.len() > 1 {
                open.pop();
                continue;
            }
        }
        levels[level].text.push(c);
        levels[level].masked.push(*m);
        levels[level].places.push(i);
    }
    levels
}

fn mask(q: &str) -> Vec<char> {
    let (mut quote, mut escaped) = (None, false);
    let mut blank = |c: char| {
        if let Some(open) = quote {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == open {
                quote = None;
            }
            return '_';
        }
        if c == '\'' || c == '"' {
            quote = Some(c);
            return '_';
        }
        c.to_ascii_lowercase()
    };
    q.chars().map(&mut blank).collect()
}

impl Level {
    /// Whether a function is called.
    pub(super) fn calls(&self, name: &str) -> bool {
        self.masked.match_indices(&format!("{name}(")).any(|(at, _)| {
            let before = self.masked[..at].chars().next_back();
            before.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_')
        })
    }

    /// Whether the select list has one function call only.
    pub(super) fn calls_once(&self) -> bool {
        let list = self.masked.split(" from ").next().unwrap_or_default();
        list.matches('(').count() == 1
    }

    /// GROUP BY time.
    pub(super) fn groups_by_time(&self) -> bool {
        self.masked.contains("group by time(")
    }

    /// GROUP BY something that is not time.
    pub(super) fn groups_by_tags(&self) -> bool {
        !self.tags().is_empty()
    }

    /// The same tag twice in GROUP BY, or a pattern beside something.
    pub(super) fn groups_twice(&self) -> bool {
        let mut tags = self.tags();
        if tags.len() > 1 && tags.iter().any(|tag| tag == "*" || tag.starts_with('/')) {
            return true;
        }
        let all = tags.len();
        tags.sort();
        tags.dedup();
        tags.len() < all
    }

    fn tags(&self) -> Vec<String> {
        let Some(from) = self.masked.find("group by ") else { return Vec::new() };
        let from = from + "group by ".len();
        let ends = [" fill(", " order by ", " limit ", " offset ", " slimit ", " soffset ", " tz("];
        let rest = &self.masked[from..];
        let to = ends.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
        // Both texts have the same characters at the same places, if not the same bytes.
        let (skip, take) = (self.masked[..from].chars().count(), rest[..to].chars().count());
        let written: String = self.text.chars().skip(skip).take(take).collect();
        let masked: Vec<char> = rest[..to].chars().collect();
        let (mut parts, mut depth) = (vec![String::new()], 0);
        for (c, m) in written.chars().zip(masked) {
            depth += i32::from(m == '(') - i32::from(m == ')');
            match (m, depth, parts.last_mut()) {
                (',', 0, _) => parts.push(String::new()),
                (_, _, Some(part)) => part.push(c),
                (_, _, None) => {}
            }
        }
        let bare = |part: String| part.trim().trim_matches('"').to_owned();
        let time = |part: &String| part.trim().to_lowercase().starts_with("time(");
        parts.into_iter().filter(|part| !time(part)).map(bare).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_told_apart() {
        let q = r#"SELECT max(x) FROM (SELECT "min(" + (f) AS x FROM m GROUP BY time(1s, 2s), "a b", h LIMIT 3), k GROUP BY h, "h""#;
        let levels = levels(q);
        assert_eq!(levels.len(), 2);
        assert!(levels[0].calls("max") && !levels[1].calls("min") && levels[0].calls_once());
        assert_eq!(levels[1].tags(), ["a b", "h"]);
        let fewer = without(q, &["limit"], |n, _| n > 0).unwrap();
        assert!(!fewer.contains("LIMIT") && fewer.len() + " LIMIT 3".len() == q.len(), "{fewer}");
        assert_eq!(without(q, &["limit"], |n, _| n == 0), None);
        assert!(levels[0].groups_twice() && !levels[1].groups_twice() && levels[1].groups_by_time());
    }
}
