//! A statement's levels, as far as one can see them without a parser: which functions each calls, and what it groups by.

/// One SELECT without its subqueries.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// As written.
    pub(super) text: String,
    /// In lower case, what is in quotes or a regular expression blank.
    pub(super) masked: String,
    /// Where each character of it is in the statement.
    pub(super) places: Vec<usize>,
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

/// The statement in lower case, with what is in quotes or a regular expression blank.
pub(super) fn mask(q: &str) -> Vec<char> {
    let (mut quote, mut escaped) = (None, false);
    let mut before = String::new();
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
        if c == '\'' || c == '"' || (c == '/' && takes_pattern(&before)) {
            quote = Some(c);
            before.push('_');
            return if c == '/' { c } else { '_' };
        }
        before.push(c.to_ascii_lowercase());
        c.to_ascii_lowercase()
    };
    q.chars().map(&mut blank).collect()
}

/// Whether a slash behind this text begins a regular expression, and is no division.
fn takes_pattern(before: &str) -> bool {
    let before = before.trim_end();
    before.ends_with(['~', ',', '(', '.', '='])
        || ["select", "from", "by", "in"].iter().any(|word| {
            before.strip_suffix(word).is_some_and(|rest| rest.is_empty() || rest.ends_with([' ', '(', ';']))
        })
}

/// What ends the FROM and WHERE of a level, or its GROUP BY.
const ENDS: [&str; 8] = [" fill(", " order by ", " limit ", " offset ", " slimit ", " soffset ", " tz(", ";"];

impl Level {
    /// Whether a function is called.
    pub(super) fn calls(&self, name: &str) -> bool {
        self.masked.match_indices(&format!("{name}(")).any(|(at, _)| {
            let before = self.masked[..at].chars().next_back();
            before.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_')
        })
    }

    /// Function calls of the select list, without parentheses that are none.
    fn calls_in_list(&self) -> usize {
        let list = self.masked.split(" from ").next().unwrap_or_default();
        let names = list.match_indices('(').map(|(at, _)| list[..at].chars().next_back());
        names.filter(|last| last.is_some_and(|c| c.is_alphanumeric() || c == '_')).count()
    }

    /// Whether the select list has one function call only.
    pub(super) fn calls_once(&self) -> bool {
        self.calls_in_list() == 1
    }

    /// Whether the select list has the operator `%`.
    pub(super) fn has_remainder(&self) -> bool {
        self.masked.split(" from ").next().unwrap_or_default().contains('%')
    }

    /// Whether FROM names several sources, or a pattern.
    pub(super) fn reads_several(&self) -> bool {
        let sources = self.masked.split(" from ").nth(1).unwrap_or_default();
        let end = ["where ", "group by "].iter().chain(&ENDS).filter_map(|end| sources.find(end)).min();
        sources[..end.unwrap_or(sources.len())].contains([',', '/'])
    }

    /// GROUP BY time.
    pub(super) fn groups_by_time(&self) -> bool {
        self.dimensions().1.iter().any(|part| part.to_lowercase().starts_with("time("))
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

    /// Whether the select list has several function calls.
    pub(super) fn calls_several(&self) -> bool {
        self.calls_in_list() > 1
    }

    /// The number of fill().
    pub(super) fn fill(&self) -> Option<f64> {
        let (_, rest) = self.masked.split_once(" fill(")?;
        rest.split(')').next()?.trim().parse().ok()
    }

    fn tags(&self) -> Vec<String> {
        let parts = self.dimensions().1.into_iter();
        let time = |part: &String| part.to_lowercase().starts_with("time(");
        parts.filter(|part| !time(part)).map(|part| part.trim_matches('"').to_owned()).collect()
    }

    /// Where in the statement what stands behind FROM, WHERE and GROUP BY begins.
    pub(super) fn tail(&self) -> usize {
        let at = ENDS.iter().filter_map(|end| self.masked.find(end)).min();
        let at = at.map(|at| self.masked[..at].chars().count());
        let end = self.places.last().map_or(0, |last| last + 1);
        at.and_then(|at| self.places.get(at).copied()).unwrap_or(end)
    }

    /// GROUP BY: where in the statement it stands, and its parts as written.
    pub(super) fn dimensions(&self) -> (&[usize], Vec<String>) {
        let Some(from) = self.masked.find("group by ") else { return (&[], Vec::new()) };
        let from = from + "group by ".len();
        let rest = &self.masked[from..];
        let to = ENDS.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
        // Both texts have the same characters at the same places, if not the same bytes.
        let (skip, take) = (self.masked[..from].chars().count(), rest[..to].trim_end().chars().count());
        let written: String = self.text.chars().skip(skip).take(take).collect();
        let (mut parts, mut depth) = (vec![String::new()], 0);
        for (c, m) in written.chars().zip(rest.chars()) {
            depth += i32::from(m == '(') - i32::from(m == ')');
            match (m, depth, parts.last_mut()) {
                (',', 0, _) => parts.push(String::new()),
                (_, _, Some(part)) => part.push(c),
                (_, _, None) => {}
            }
        }
        let parts = parts.into_iter().map(|part| part.trim().to_owned()).collect();
        (self.places.get(skip..skip + take).unwrap_or_default(), parts)
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
        assert!(levels[0].groups_twice() && !levels[1].groups_twice() && levels[1].groups_by_time());
    }

    #[test]
    fn a_slash_is_a_division_or_a_pattern() {
        let masked = |q: &str| mask(q).into_iter().collect::<String>();
        assert_eq!(masked("SELECT a / b, /c\"d/ FROM /^q\"(x/"), "select a / b, /____ from /______");
        assert_eq!(levels("SELECT f FROM /(select/ GROUP BY h, /h(/").len(), 1);
    }
}
