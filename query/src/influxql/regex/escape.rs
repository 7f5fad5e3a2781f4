//! Backslash escapes that stand for one character.

use super::RegexError;

/// The character that an escape at the start of `text` stands for, and the text after it.
pub(super) fn escaped_char(text: &str) -> Result<(char, &str), RegexError> {
    let mut chars = text.chars();
    chars.next();
    let Some(c) = chars.next() else {
        return Err(RegexError::new("trailing backslash at end of expression", ""));
    };
    let rest = chars.as_str();
    let invalid = || RegexError::new("invalid escape sequence", &text[..text.len() - rest.len()]);
    let plain = match c {
        '0' => return Ok(octal(c, rest)),
        '1'..='7' if rest.starts_with(|next| ('0'..='7').contains(&next)) => return Ok(octal(c, rest)),
        'x' => return hex(text, rest),
        'a' => '\x07',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        _ => return Err(invalid()),
    };
    Ok((plain, rest))
}

/// Up to two more octal digits after `first`.
fn octal(first: char, rest: &str) -> (char, &str) {
    let more = rest.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
    let digits = rest[..more].chars();
    let code =
        digits.fold(first.to_digit(8).unwrap_or(0), |code, digit| code * 8 + digit.to_digit(8).unwrap_or(0));
    (char::from_u32(code).unwrap_or('\0'), &rest[more..])
}

/// `\xFF` or `\x{10FFFF}`; `rest` is what follows the `x`.
fn hex<'a>(text: &'a str, rest: &'a str) -> Result<(char, &'a str), RegexError> {
    let (braced, digits) = match rest.strip_prefix('{') {
        Some(digits) => (true, digits),
        None => (false, rest),
    };
    let mut code = 0;
    let mut read = 0;
    let mut chars = digits.chars();
    let invalid = |after: &str| RegexError::new("invalid escape sequence", &text[..text.len() - after.len()]);
    loop {
        let digit = match chars.next() {
            Some('}') if braced && read > 0 => break,
            Some(c) => c.to_digit(16),
            None => return Err(invalid("")),
        };
        read += 1;
        code = match digit {
            Some(digit) if code <= u32::from(char::MAX) => code * 16 + digit,
            _ if !braced && read == 1 => {
                chars.next();
                return Err(invalid(chars.as_str()));
            }
            _ => return Err(invalid(chars.as_str())),
        };
        if !braced && read == 2 {
            break;
        }
    }
    let after = chars.as_str();
    char::from_u32(code).map(|c| (c, after)).ok_or_else(|| invalid(after))
}
