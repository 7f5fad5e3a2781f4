//! A JSON reader for `params`. serde_json does not do: numbers must keep their text (`1e3` is refused, `1.0` is a
//! float), and the errors are those of Go's `encoding/json`.

use std::collections::BTreeMap;

/// Nesting above this is refused; a parameter needs two levels.
const DEPTH_MAX: usize = 100;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Boolean(bool),
    /// As written.
    Number(String),
    String(String),
    Array(Vec<Json>),
    /// The last of equal keys.
    Object(BTreeMap<String, Json>),
}

/// Reads the value at the start of a text; what follows it is not looked at. The error is Go's text.
pub(super) fn read(text: &str) -> Result<Json, String> {
    let mut reader = Reader { bytes: text.as_bytes(), text, position: 0 };
    if reader.peek().is_none() {
        return Err("EOF".to_owned());
    }
    reader.value(0)
}

struct Reader<'a> {
    bytes: &'a [u8],
    text: &'a str,
    position: usize,
}

impl Reader<'_> {
    /// The next byte that is not a blank.
    fn peek(&mut self) -> Option<u8> {
        while matches!(self.bytes.get(self.position), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.position += 1;
        }
        self.bytes.get(self.position).copied()
    }

    /// The error for the byte at the position.
    fn unexpected<T>(&self, context: &str) -> Result<T, String> {
        // Go looks at bytes, and shows one above ASCII as the character of that number.
        let Some(&byte) = self.bytes.get(self.position) else { return Err("unexpected EOF".to_owned()) };
        let shown = match byte {
            b'\'' => "'\\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            b'\\' => "'\\\\'".to_owned(),
            b'\n' => "'\\n'".to_owned(),
            b'\r' => "'\\r'".to_owned(),
            b'\t' => "'\\t'".to_owned(),
            0..=0x1f | 0x7f => format!("'\\x{byte:02x}'"),
            _ => format!("'{}'", char::from(byte)),
        };
        Err(format!("invalid character {shown} {context}"))
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > DEPTH_MAX {
            return Err("exceeded max depth".to_owned());
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::String),
            Some(b't') => self.literal("true", Json::Boolean(true)),
            Some(b'f') => self.literal("false", Json::Boolean(false)),
            Some(b'n') => self.literal("null", Json::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.unexpected("looking for beginning of value"),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        let mut object = BTreeMap::new();
        self.position += 1;
        if self.peek() == Some(b'}') {
            self.position += 1;
            return Ok(Json::Object(object));
        }
        loop {
            if self.peek() != Some(b'"') {
                return self.unexpected("looking for beginning of object key string");
            }
            let key = self.string()?;
            if self.peek() != Some(b':') {
                return self.unexpected("after object key");
            }
            self.position += 1;
            object.insert(key, self.value(depth + 1)?);
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b'}') => {
                    self.position += 1;
                    return Ok(Json::Object(object));
                }
                _ => return self.unexpected("after object key:value pair"),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, String> {
        let mut array = Vec::new();
        self.position += 1;
        if self.peek() == Some(b']') {
            self.position += 1;
            return Ok(Json::Array(array));
        }
        loop {
            array.push(self.value(depth + 1)?);
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b']') => {
                    self.position += 1;
                    return Ok(Json::Array(array));
                }
                _ => return self.unexpected("after array element"),
            }
        }
    }

    fn literal(&mut self, word: &str, value: Json) -> Result<Json, String> {
        for expected in word.bytes() {
            if self.bytes.get(self.position) != Some(&expected) {
                return self.unexpected(&format!("in literal {word} (expecting '{}')", char::from(expected)));
            }
            self.position += 1;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Json, String> {
        let start = self.position;
        self.position += usize::from(self.bytes[start] == b'-');
        match self.bytes.get(self.position) {
            Some(b'0') => self.position += 1,
            _ => self.digits("in numeric literal")?,
        }
        if self.bytes.get(self.position) == Some(&b'.') {
            self.position += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.bytes.get(self.position), Some(b'e' | b'E')) {
            self.position += 1;
            self.position += usize::from(matches!(self.bytes.get(self.position), Some(b'+' | b'-')));
            self.digits("in exponent of numeric literal")?;
        }
        Ok(Json::Number(self.text[start..self.position].to_owned()))
    }

    /// One digit or more.
    fn digits(&mut self, context: &str) -> Result<(), String> {
        if !self.bytes.get(self.position).is_some_and(u8::is_ascii_digit) {
            return self.unexpected(context);
        }
        while self.bytes.get(self.position).is_some_and(u8::is_ascii_digit) {
            self.position += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, String> {
        let mut out = String::new();
        self.position += 1;
        loop {
            let start = self.position;
            while self
                .bytes
                .get(self.position)
                .is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\')
            {
                self.position += 1;
            }
            out.push_str(&self.text[start..self.position]);
            match self.bytes.get(self.position) {
                Some(b'"') => {
                    self.position += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.position += 1;
                    out.push(self.escape()?);
                }
                _ => return self.unexpected("in string literal"),
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<char, String> {
        let character = match self.bytes.get(self.position) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.position += 1;
                return self.unicode();
            }
            _ => return self.unexpected("in string escape code"),
        };
        self.position += 1;
        Ok(character)
    }

    /// What follows `\u`: four digits, or a pair of surrogates; half a pair becomes U+FFFD.
    fn unicode(&mut self) -> Result<char, String> {
        let high = self.hex()?;
        if (0xd800..0xdc00).contains(&high) && self.bytes[self.position..].starts_with(b"\\u") {
            let before = self.position;
            self.position += 2;
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.position = before;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, String> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.bytes.get(self.position).and_then(|&byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { return self.unexpected("in \\u hexadecimal character escape") };
            code = code * 16 + digit;
            self.position += 1;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read() {
        let value = read(
            "  {\"a\": [1, -2.50, 1e+3, \"x\\n\\u00e9\\ud83d\\ude00\\ud800\"], \"a\": {}, \"b\": [], \"c\": null, \"d\": true } junk",
        );
        let Ok(Json::Object(object)) = value else { panic!("{value:?}") };
        assert_eq!(object["a"], Json::Object(BTreeMap::new()), "the last of equal keys");
        assert_eq!(object["b"], Json::Array(vec![]));
        assert_eq!((&object["c"], &object["d"]), (&Json::Null, &Json::Boolean(true)));
        let value = read("[-2.50, 1e+3, \"x\\n\\u00e9\\ud83d\\ude00\\ud800\"]");
        let number = |text: &str| Json::Number(text.to_owned());
        let text = Json::String("x\né😀\u{fffd}".to_owned());
        assert_eq!(value, Ok(Json::Array(vec![number("-2.50"), number("1e+3"), text])));
    }

    #[test]
    fn errors_are_those_of_go() {
        for (text, error) in [
            ("  ", "EOF"),
            ("{", "unexpected EOF"),
            ("{\"h\"", "unexpected EOF"),
            ("{\"h\":1,", "unexpected EOF"),
            ("x", "invalid character 'x' looking for beginning of value"),
            ("ÿ", "invalid character 'Ã' looking for beginning of value"),
            ("{h}", "invalid character 'h' looking for beginning of object key string"),
            ("{\"h\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("{\"h\" 1}", "invalid character '1' after object key"),
            ("{\"h\":tru}", "invalid character '}' in literal true (expecting 'e')"),
            ("{\"h\":\"\\x\"}", "invalid character 'x' in string escape code"),
            ("{\"h\":\"a\nb\"}", "invalid character '\\n' in string literal"),
            ("{\"h\":01}", "invalid character '1' after object key:value pair"),
            ("{\"h\":-}", "invalid character '}' in numeric literal"),
            ("{\"h\":1.}", "invalid character '}' after decimal point in numeric literal"),
            ("{\"h\":1e}", "invalid character '}' in exponent of numeric literal"),
            ("{\"h\":[1 2]}", "invalid character '2' after array element"),
            ("{\"h\":\"\\uzz\"}", "invalid character 'z' in \\u hexadecimal character escape"),
        ] {
            assert_eq!(read(text), Err(error.to_owned()), "{text}");
        }
        assert_eq!(read(&"[".repeat(100_000)), Err("exceeded max depth".to_owned()));
    }
}
