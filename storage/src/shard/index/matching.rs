//! Which values of a tag key a regular expression matches, evaluated once per distinct value.
//!
//! A dashboard asks the same again every few seconds, so answers are kept, and new values are tried against what is
//! kept as they appear. What only says "one of these words" is looked up instead of tried.
//!
//! An expression from a client may take a millisecond a value. So who asks tries many values before the index is locked
//! ([`Tried`]), where it can be stopped, and only expressions that are cheap to keep and to try again are kept.

use super::postings::Postings;
use super::symbols::{Symbol, Symbols};
use hashbrown::HashMap;
use parking_lot::Mutex;
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{HirKind, Look};
use std::sync::Arc;

/// Answers kept for a group, and values named in all of them together: 1 MiB.
const ANSWERS_MAX: usize = 256;
const VALUES_MAX: usize = 256 << 10;
/// Up to so many values are tried one by one without looking at the expression.
const FEW_VALUES: usize = 64;
/// Words of an expression that are looked up; with more of them all values are tried.
const WORDS_MAX: usize = 128;

/// Bytes of the compiled form of an expression that is kept, and of its cache: applying a write tries new values against
/// it. Names and a few wildcards take a tenth.
const KEPT_BYTES_MAX: usize = 128 << 10;

/// What expressions said of the values of tag keys before the index was locked, by tag key and expression.
#[derive(Debug, Default)]
pub(in crate::shard) struct Tried(HashMap<(Arc<str>, String), HashMap<Arc<str>, bool>>);

impl Tried {
    pub(in crate::shard) fn contains(&self, key: &Arc<str>, regex: &Regex) -> bool {
        self.get(key, regex).is_some()
    }

    pub(in crate::shard) fn insert(
        &mut self,
        key: &Arc<str>,
        regex: &Regex,
        answers: HashMap<Arc<str>, bool>,
    ) {
        self.0.insert((Arc::clone(key), regex.as_str().to_owned()), answers);
    }

    fn get(&self, key: &str, regex: &Regex) -> Option<&HashMap<Arc<str>, bool>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&(Arc::from(key), regex.as_str().to_owned()))
    }
}

/// A tag key of a measurement.
pub(super) type TagKey = (u32, Symbol);

#[derive(Debug)]
struct Answer {
    regex: Regex,
    values: Arc<Vec<Symbol>>,
    used: u64,
}

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<TagKey, Vec<Answer>>,
    count: usize,
    values: usize,
    clock: u64,
}

/// Answers to earlier questions.
#[derive(Debug, Default)]
pub(super) struct Matches(Mutex<Kept>);

impl Matches {
    /// The values of a tag key that the expression matches. The caller sees to it that the index does not change
    /// meanwhile.
    pub(super) fn of(
        &self,
        key: TagKey,
        postings: &Postings,
        symbols: &Symbols,
        regex: &Regex,
    ) -> Arc<Vec<Symbol>> {
        if let Some(values) = self.0.lock().get(key, regex) {
            return values;
        }
        // Not under the lock: other queries go on.
        let values = Arc::new(evaluate(postings, symbols, regex));
        self.keep(key, regex, Arc::clone(&values));
        values
    }

    /// As [`Matches::of`], from what was tried before. Values that came later are tried now.
    pub(super) fn of_tried(
        &self,
        key: (TagKey, &str),
        postings: &Postings,
        symbols: &Symbols,
        (regex, tried): (&Regex, &Tried),
    ) -> Option<Arc<Vec<Symbol>>> {
        let answers = tried.get(key.1, regex)?;
        let matching = |value: &Symbol| {
            let text = symbols.text(*value);
            answers.get(text).copied().unwrap_or_else(|| regex.is_match(text))
        };
        let values = Arc::new(postings.values().filter(matching).collect::<Vec<Symbol>>());
        self.keep(key.0, regex, Arc::clone(&values));
        Some(values)
    }

    /// Whether it takes trying every one of many values to answer.
    pub(super) fn is_long(&self, key: TagKey, postings: &Postings, regex: &Regex) -> bool {
        postings.len() > FEW_VALUES
            && self.0.lock().get(key, regex).is_none()
            && words(regex.as_str()).is_none()
    }

    fn keep(&self, key: TagKey, regex: &Regex, values: Arc<Vec<Symbol>>) {
        let limited = RegexBuilder::new(regex.as_str())
            .size_limit(KEPT_BYTES_MAX)
            .dfa_size_limit(KEPT_BYTES_MAX)
            .build();
        if let Ok(regex) = limited {
            self.0.lock().keep(key, regex, values);
        }
    }

    /// Tries a value that the tag key did not have before.
    pub(super) fn added(&mut self, key: TagKey, value: Symbol, text: &str) {
        let kept = self.0.get_mut();
        if kept.count == 0 {
            return;
        }
        let mut more = 0;
        for answer in kept.answers.get_mut(&key).into_iter().flatten() {
            if answer.regex.is_match(text) {
                Arc::make_mut(&mut answer.values).push(value);
                more += 1;
            }
        }
        kept.values += more;
        kept.shrink();
    }

    /// Forgets the answers about a tag key that lost a value.
    pub(super) fn removed(&mut self, key: TagKey) {
        self.0.get_mut().forget(key);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self.0.get_mut() = Kept::default();
    }
}

impl Kept {
    fn get(&mut self, key: TagKey, regex: &Regex) -> Option<Arc<Vec<Symbol>>> {
        self.clock += 1;
        let known = self.answers.get_mut(&key)?.iter_mut().find(|a| a.regex.as_str() == regex.as_str())?;
        known.used = self.clock;
        Some(Arc::clone(&known.values))
    }

    fn keep(&mut self, key: TagKey, regex: Regex, values: Arc<Vec<Symbol>>) {
        let answers = self.answers.entry(key).or_default();
        // Two queries may have asked at the same time.
        if values.len() > VALUES_MAX || answers.iter().any(|a| a.regex.as_str() == regex.as_str()) {
            return;
        }
        self.count += 1;
        self.values += values.len();
        answers.push(Answer { regex, values, used: self.clock });
        self.shrink();
    }

    fn forget(&mut self, key: TagKey) {
        for answer in self.answers.remove(&key).into_iter().flatten() {
            self.count -= 1;
            self.values -= answer.values.len();
        }
    }

    /// Forgets the answers that were not asked for the longest.
    fn shrink(&mut self) {
        while self.count > ANSWERS_MAX || self.values > VALUES_MAX {
            let used = |answers: &Vec<Answer>| answers.iter().map(|answer| answer.used).min();
            let oldest = self.answers.iter().filter_map(|(key, answers)| Some((used(answers)?, *key))).min();
            let Some((_, key)) = oldest else { return };
            self.forget(key);
        }
    }
}

fn evaluate(postings: &Postings, symbols: &Symbols, regex: &Regex) -> Vec<Symbol> {
    if postings.len() > FEW_VALUES
        && let Some(words) = words(regex.as_str())
    {
        let known = words.iter().filter_map(|word| symbols.find(word));
        return known.filter(|value| postings.contains(*value)).collect();
    }
    postings.values().filter(|value| regex.is_match(symbols.text(*value))).collect()
}

/// The words that an expression like `^(a|b)$` matches, each once; `None` if it matches anything else.
fn words(pattern: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::parse(pattern).ok()?;
    let mut hir = &hir;
    while let HirKind::Capture(capture) = hir.kind() {
        hir = &capture.sub;
    }
    let HirKind::Concat(parts) = hir.kind() else { return None };
    let [start, words @ .., end] = &parts[..] else { return None };
    let is = |part: &regex_syntax::hir::Hir, look| matches!(part.kind(), HirKind::Look(l) if *l == look);
    if !is(start, Look::Start) || !is(end, Look::End) {
        return None;
    }
    let words = regex_syntax::hir::Hir::concat(words.to_vec());
    // Looks inside would be passed over by the extraction.
    if !words.properties().look_set().is_empty() {
        return None;
    }
    let mut extractor = Extractor::new();
    extractor.limit_total(WORDS_MAX).limit_class(10).limit_repeat(10).limit_literal_len(1 << 10);
    let found = extractor.extract(&words);
    if !found.is_exact() {
        return None;
    }
    let texts = found.literals()?.iter().map(|l| String::from_utf8(l.as_bytes().to_vec()).ok());
    let mut words = texts.collect::<Option<Vec<String>>>()?;
    words.sort_unstable();
    words.dedup();
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_found_where_an_expression_is_nothing_else() {
        let of = |pattern: &str| words(pattern).map(|words| words.join(" "));
        assert_eq!(of("^(a|bc)$").as_deref(), Some("a bc"));
        assert_eq!(of("^web-[12]$").as_deref(), Some("web-1 web-2"));
        assert_eq!(of("^(?:x)$").as_deref(), Some("x"));
        assert_eq!(of("(^b$)").as_deref(), Some("b"));
        assert_eq!(of(r"^a\.b|c$"), None);
        for pattern in ["a", "^a", "a$", "^a.*$", "^[a-z]$", "^a+$", "", "^$x", r"^(a|\bb)$"] {
            assert_eq!(of(pattern), None, "{pattern}");
        }
    }

    /// A table of values and answers that are kept across changes.
    fn table(texts: &[String]) -> (Symbols, Postings) {
        let (mut symbols, mut postings) = (Symbols::default(), Postings::default());
        for (id, text) in texts.iter().enumerate() {
            postings.insert(symbols.intern(text), id as u32);
        }
        (symbols, postings)
    }

    fn sorted(values: &[Symbol]) -> Vec<Symbol> {
        let mut values = values.to_vec();
        values.sort_unstable();
        values
    }

    proptest! {
        #[test]
        fn an_answer_is_what_matches(
            texts in prop::collection::vec("[abc]{0,3}", 0..200),
            later in prop::collection::vec("[abc]{0,3}", 0..20),
            pattern in prop_oneof![
                "\\^\\([abc]{1,2}\\|[abc]{0,2}\\)\\$", "[abc]{1,2}", "\\^[abc]\\.\\*", "\\^\\[ab\\]c\\?\\$", "\\^\\[\\^a\\]\\$"
            ],
        ) {
            let regex = Regex::new(&pattern).unwrap();
            let (mut symbols, mut postings) = table(&texts);
            let mut matches = Matches::default();
            let key = (1, Symbol(7));
            for text in std::iter::once("").chain(later.iter().map(String::as_str)) {
                let expected: Vec<Symbol> =
                    postings.values().filter(|v| regex.is_match(symbols.text(*v))).collect();
                for _ in 0..2 {
                    let found = matches.of(key, &postings, &symbols, &regex);
                    prop_assert_eq!(sorted(&found), sorted(&expected));
                }
                let value = symbols.intern(text);
                if !postings.contains(value) {
                    postings.insert(value, 9_999);
                    matches.added(key, value, text);
                }
            }
            matches.removed(key);
            let kept = matches.0.get_mut();
            prop_assert_eq!((kept.count, kept.values), (0, 0));
        }
    }

    #[test]
    fn what_was_tried_before_answers_and_what_is_large_is_not_kept() {
        let texts: Vec<String> = (0..200).map(|n| format!("v{n}")).collect();
        let (mut symbols, mut postings) = table(&texts);
        let matches = Matches::default();
        let (key, name) = ((1, Symbol(7)), Arc::from("host"));
        for (pattern, kept) in [("v.*7", 1), ("[^a]{500}|v.*8", 1)] {
            let regex = Regex::new(pattern).unwrap();
            assert!(matches.is_long(key, &postings, &regex));
            let mut tried = Tried::default();
            let answers = postings.values().map(|v| {
                let text = symbols.shared(v);
                let yes = regex.is_match(&text);
                (text, yes)
            });
            tried.insert(&name, &regex, answers.collect());
            let later = symbols.intern(&format!("v_later_{pattern}7_8"));
            postings.insert(later, 9_999);
            let found = matches.of_tried((key, "host"), &postings, &symbols, (&regex, &tried)).unwrap();
            let expected: Vec<Symbol> =
                postings.values().filter(|v| regex.is_match(symbols.text(*v))).collect();
            assert_eq!(sorted(&found), sorted(&expected));
            assert_eq!(matches.0.lock().count, kept, "{pattern}");
            assert!(matches.of_tried((key, "other"), &postings, &symbols, (&regex, &tried)).is_none());
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let texts: Vec<String> = (0..2_000).map(|n| format!("v{n}")).collect();
        let (symbols, postings) = table(&texts);
        let matches = Matches::default();
        let common = Regex::new("v").unwrap();
        for n in 0..2_000u32 {
            let regex = Regex::new(&format!("v.*{}", n % 700)).unwrap();
            matches.of((n % 5, Symbol(n % 3)), &postings, &symbols, &regex);
            matches.of((n % 5, Symbol(n % 3)), &postings, &symbols, &common);
        }
        let kept = matches.0.lock();
        assert!(kept.count <= ANSWERS_MAX && kept.values <= VALUES_MAX);
        assert_eq!(kept.count, kept.answers.values().map(Vec::len).sum::<usize>());
        assert_eq!(kept.values, kept.answers.values().flatten().map(|a| a.values.len()).sum::<usize>());
    }
}
