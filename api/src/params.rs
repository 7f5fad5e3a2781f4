//! Request parameters: the URL's, a form body's, a multipart body's.

pub(crate) mod bind;
mod json;
mod multipart;

pub(crate) use multipart::Multipart;

use percent_encoding::percent_decode;

/// Decoded `name=value` pairs, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Decodes the query part of a URL, or a form body. Pairs with a broken escape are left out, as Go does. A `;` is
    /// data (1.x drops such a pair; a query typed without escaping is better answered).
    pub(crate) fn parse(text: &[u8]) -> Self {
        let pairs = text.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
            let equals = pair.iter().position(|&byte| byte == b'=');
            let (name, value) = match equals {
                Some(i) => (&pair[..i], &pair[i + 1..]),
                None => (pair, &b""[..]),
            };
            Some((decode(name)?, decode(value)?))
        });
        Self(pairs.collect())
    }

    /// The first value of this name; empty if there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// Puts these pairs behind the others, so that the others win.
    pub(crate) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    fn push(&mut self, name: String, value: String) {
        self.0.push((name, value));
    }
}

/// `%41` and `+`; `None` if an escape is broken. Bytes that are not UTF-8 become U+FFFD.
fn decode(text: &[u8]) -> Option<String> {
    let escapes = text.iter().enumerate().filter(|&(_, &byte)| byte == b'%');
    for (i, _) in escapes {
        let digits = text.get(i + 1..i + 3)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
    }
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    Some(percent_decode(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_in_order() {
        let params = Params::parse(b"q=SHOW+DATABASES%3B&db=&x&q=second&n=%c3%A9+%2B&s=a;b");
        assert_eq!(params.get("q"), "SHOW DATABASES;");
        assert_eq!(params.get("db"), "");
        assert_eq!(params.get("x"), "");
        assert_eq!(params.get("n"), "é +");
        assert_eq!(params.get("s"), "a;b");
        assert_eq!(params.get("missing"), "");
    }

    #[test]
    fn pairs_with_a_broken_escape_are_left_out() {
        let params = Params::parse(b"q=%zz&q=SHOW+DATABASES&x=%4&y=%");
        assert_eq!(params, Params::parse(b"q=SHOW+DATABASES"));
    }
}
