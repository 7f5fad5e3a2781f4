//! Backslashes: how names and strings are unescaped when a line is read.

use crate::series::unescape;
use std::borrow::Cow;

/// A field name. `\,` `\=` `\ ` and `\"` lose their backslash, all others keep it.
pub(super) fn field_name(raw: &[u8]) -> Cow<'_, [u8]> {
    unescape(raw, b",= \"")
}

/// A measurement; the same rule as for field names.
pub(super) fn measurement(raw: &[u8]) -> Cow<'_, [u8]> {
    unescape(raw, b",= \"")
}

/// A tag key or value. `\,` `\=` and `\ ` lose their backslash.
pub(super) fn tag(raw: &[u8]) -> Cow<'_, [u8]> {
    unescape(raw, b",= ")
}

/// What stands between the quotes of a string value. `\"` and `\\` lose their backslash.
pub(super) fn string(raw: &[u8]) -> Cow<'_, [u8]> {
    unescape(raw, b"\"\\")
}
