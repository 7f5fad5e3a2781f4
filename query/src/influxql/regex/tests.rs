//! Patterns that clients send, the places where Go and the `regex` crate differ, Go's error texts.

use super::*;

#[track_caller]
fn matches(pattern: &str, yes: &[&str], no: &[&str]) {
    let regex = compile(pattern).unwrap();
    for text in yes {
        assert!(regex.is_match(text), "/{pattern}/ on {text:?}");
    }
    for text in no {
        assert!(!regex.is_match(text), "/{pattern}/ on {text:?}");
    }
}

#[test]
fn what_clients_send() {
    matches("^(a|b)$", &["a", "b"], &["ab", "c"]);
    matches("kube-dns$", &["x/kube-dns"], &["kube-dns-1"]);
    matches(r"^10\.0\.0\.1$", &["10.0.0.1"], &["10a0b0c1"]);
    matches("", &["", "x"], &[]);
    matches("(?i)^HOST", &["host", "HoSt1"], &["ahost"]);
    matches(r"^\/a\-b\_c$", &["/a-b_c"], &[]);
}

#[test]
fn perl_classes_are_ascii() {
    matches(r"^\d+$", &["12"], &["٣"]);
    matches(r"^\w$", &["a", "_"], &["é"]);
    matches(r"^\W$", &["é", " "], &["a"]);
    matches(r"^[\D]$", &["é", "a"], &["1"]);
    matches(r"a\b", &["a", "aé"], &["ab"]);
}

#[test]
fn braces_that_repeat_nothing_are_characters() {
    matches("^a{,2}$", &["a{,2}"], &["aa"]);
    matches("^{$", &["{"], &[]);
    matches("^a{2}$", &["aa"], &["a{2}"]);
    matches("^a{02}$", &["a{02}"], &["aa"]);
}

#[test]
fn classes_as_in_go() {
    matches("^[]a]$", &["]", "a"], &["b"]);
    matches("^[a[b]$", &["[", "a", "b"], &["]"]);
    matches("^[a&&b]$", &["&", "a", "b"], &["c"]);
    matches("^[a-c~~-]$", &["-", "~", "b"], &["d"]);
    matches("^[[:alpha:]1]$", &["x", "1"], &["2", ":"]);
    matches(r"^[^\s]$", &["x", "\u{b}"], &[" "]);
    matches(r"^\p{Greek}\PN[\p{^Lu}]$", &["αxy"], &["αxY"]);
}

#[test]
fn quoting_and_octal() {
    matches(r"^\Qa.b\E.$", &["a.bx"], &["axbx"]);
    matches(r"^\101\x42\x{43}\0$", &["ABC\0"], &[]);
}

#[track_caller]
fn refused(pattern: &str, expected: &str) {
    assert_eq!(compile(pattern).unwrap_err().to_string(), format!("error parsing regexp: {expected}"));
}

#[test]
fn errors_are_those_of_go() {
    refused("[a", "missing closing ]: `[a`");
    refused("(a", "missing closing ): `(a`");
    refused("a)", "unexpected ): `a)`");
    refused("*a", "missing argument to repetition operator: `*`");
    refused("a**", "invalid nested repetition operator: `**`");
    refused("a{2}{3}", "invalid nested repetition operator: `{2}{3}`");
    refused("a{1001}", "invalid repeat count: `{1001}`");
    refused(r"\C", r"invalid escape sequence: `\C`");
    refused(r"(a)\1", r"invalid escape sequence: `\1`");
    refused(r"a\", "trailing backslash at end of expression: ``");
    refused("[z-a]", "invalid character class range: `z-a`");
    refused("(?=a)", "invalid or unsupported Perl syntax: `(?=`");
}

#[test]
fn checking_is_cheap_and_size_is_bounded() {
    const LARGE: &str = "((a{1000}){1000}){1000}";
    check_only(LARGE);
    refused(LARGE, "expression too large: `((a{1000}){1000}){1000}`");
    let names: Vec<String> = (0..2_000).map(|i| format!("{i:050}")).collect();
    compile(&format!("^({})$", names.join("|"))).unwrap();
}

#[track_caller]
fn check_only(pattern: &str) {
    assert!(check(pattern).is_ok());
}
