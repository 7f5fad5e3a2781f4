//! Texts that know how to become simpler.
//!
//! A generator builds a statement as a [`Tree`] of clauses. Where two servers disagree about its text, the shrinker tries
//! what [`Tree::simpler`] offers, and keeps what they still disagree about.

/// A piece of text with the places where it may be cut.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// Stays as it is.
    Text(String),
    /// Parts one after the other.
    Sequence(Vec<Tree>),
    /// May be left out.
    Optional(Box<Tree>),
    /// Items with a separator; at least one stays.
    List(&'static str, Vec<Tree>),
    /// May be replaced by one of its parts.
    Or(Box<Tree>, Vec<Tree>),
}

impl From<&str> for Tree {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Tree {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Parts one after the other.
#[macro_export]
macro_rules! sequence {
    ($($part:expr),* $(,)?) => { $crate::fuzz::tree::Tree::Sequence(vec![$($part.into()),*]) };
}

impl Tree {
    /// No text.
    pub fn nothing() -> Self {
        Self::Sequence(Vec::new())
    }

    /// A part that may be left out.
    pub fn optional(part: impl Into<Self>) -> Self {
        Self::Optional(Box::new(part.into()))
    }

    /// `whole`, or one of its parts in its place.
    pub fn or(whole: impl Into<Self>, parts: Vec<Self>) -> Self {
        Self::Or(Box::new(whole.into()), parts)
    }

    /// The text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Sequence(parts) => parts.iter().for_each(|part| part.write(out)),
            Self::Optional(part) | Self::Or(part, _) => part.write(out),
            Self::List(separator, items) => {
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push_str(separator);
                    }
                    item.write(out);
                }
            }
        }
    }

    /// All trees that are one cut simpler, the deepest cuts first.
    pub fn simpler(&self) -> Vec<Self> {
        match self {
            Self::Text(_) => Vec::new(),
            Self::Sequence(parts) => inside(parts, Self::Sequence),
            Self::Optional(part) => {
                let mut cuts = vec![Self::nothing()];
                cuts.extend(part.simpler().into_iter().map(Self::optional));
                cuts
            }
            Self::List(separator, items) => {
                let mut cuts = Vec::new();
                for i in 0..items.len() {
                    if items.len() > 1 {
                        let kept = items.iter().enumerate().filter(|(at, _)| *at != i);
                        cuts.push(Self::List(separator, kept.map(|(_, item)| item.clone()).collect()));
                    }
                }
                cuts.extend(inside(items, |items| Self::List(separator, items)));
                cuts
            }
            Self::Or(whole, parts) => {
                let mut cuts = parts.clone();
                cuts.extend(whole.simpler());
                cuts
            }
        }
    }
}

fn inside(parts: &[Tree], rebuild: impl Fn(Vec<Tree>) -> Tree) -> Vec<Tree> {
    let mut cuts = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        for simpler in part.simpler() {
            let mut parts = parts.to_vec();
            parts[i] = simpler;
            cuts.push(rebuild(parts));
        }
    }
    cuts
}

/// Most texts tried to shrink one tree.
const TRIES_MAX: usize = 400;

/// The simplest tree found for which `holds` is still true.
pub fn shrink(tree: &Tree, mut holds: impl FnMut(&Tree) -> bool) -> Tree {
    let mut best = tree.clone();
    let mut tries = 0;
    loop {
        let mut found = None;
        for candidate in best.simpler() {
            tries += 1;
            if tries > TRIES_MAX {
                return best;
            }
            if holds(&candidate) {
                found = Some(candidate);
                break;
            }
        }
        match found {
            Some(simpler) => best = simpler,
            None => return best,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_shrinks_to_what_matters() {
        let items = vec!["a".into(), Tree::or(sequence!["f(", "b", ")"], vec!["b".into()]), "c".into()];
        let tree = sequence!["SELECT ", Tree::List(", ", items), Tree::optional(" LIMIT 3")];
        assert_eq!(tree.text(), "SELECT a, f(b), c LIMIT 3");
        assert_eq!(shrink(&tree, |t| t.text().contains('b')).text(), "SELECT b");
    }
}
