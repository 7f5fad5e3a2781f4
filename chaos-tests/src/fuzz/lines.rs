//! Line protocol that is right, nearly right and wrong.

use crate::workload::random::Random;

/// Names, keys and values as they stand in a line: escaped well or badly.
const NAMES: &[&str] = &[
    "m", "cpu", "a\\ b", "a\\,b", "a\\=b", "a=b", "\"m\"", "é", "日本", "m\\", "a\\b", "\\\\", "#x", "time",
    "_field", "\t", "m\\\\ x",
];
const KEYS: &[&str] =
    &["h", "host", "a\\ b", "k\\=v", "k\\,v", "time", "é", "\"q\"", "b\\s", "", "h h", "h=h", "\\", "_t"];
const VALUES: &[&str] =
    &["a", "b", "x\\ y", "x\\,y", "x\\=y", "x=y", "", "\"q\"", "é", "b\\", "\\", "1", "-", "\t", "a\\\\b"];
const FIELDS: &[&str] = &["v", "f", "i", "s", "a\\ b", "a\\=b", "time", "é", "\"q\"", "", "v\\", "h"];
const FIELD_VALUES: &[&str] = &[
    "1",
    "1.5",
    "-1",
    "0",
    "-0",
    "1e3",
    "1E3",
    "1e+3",
    "1e-3",
    ".5",
    "5.",
    "-.5",
    "1i",
    "-1i",
    "0i",
    "007i",
    "9223372036854775807i",
    "9223372036854775808i",
    "-9223372036854775808i",
    "1u",
    "t",
    "T",
    "true",
    "True",
    "TRUE",
    "f",
    "F",
    "false",
    "False",
    "FALSE",
    "tRue",
    "\"s\"",
    "\"\"",
    "\"a b\"",
    "\"a,b=c\"",
    "\"q\\\"q\"",
    "\"b\\\\s\"",
    "\"n\\n\"",
    "\"l\nb\"",
    "\"é\"",
    "\"open",
    "s",
    "+1",
    "1.1.1",
    "1i1",
    "1.5i",
    "NaN",
    "nan",
    "inf",
    "-Inf",
    "0x10",
    "1_0",
    "1e",
    "1e400",
    "-",
    ".",
    "e",
    "1-1",
    "--1",
    "'a'",
    "",
    "1e308",
    "5e-324",
    "123456789012345678901234567890",
    "0.1",
    "1f",
    "i",
    "truely",
    "\"a\"b",
    "\"\\\"",
    "2i ",
    "1,",
];
const TIMES: &[&str] = &[
    "1",
    "0",
    "-1",
    "1000000000",
    "1000000001",
    "946684799000000000",
    "-946684799000000000",
    "1.5",
    "1e3",
    "abc",
    "1i",
    "+1",
    "- 1",
    "--1",
    "9223372036854775806",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775806",
    "-9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
    "1 2",
    "0x1",
    "007",
    "1\t",
    "\t1",
    "-",
];
/// Bytes that mean something somewhere.
const BYTES: &[u8] = b" ,=\\\"\n\r\t#\0-+.eitf019\xff\xc3";

/// A body of up to five lines.
pub fn body(random: &mut Random) -> Vec<u8> {
    let mut body = Vec::new();
    for i in 0..=random.below(5) {
        if i > 0 {
            body.extend_from_slice(random.pick(&["\n", "\n", "\n", "\n", "\r\n", "\n\n", " \n "]).as_bytes());
        }
        let line = if random.chance(4) { "# a comment".to_owned() } else { line(random) };
        body.extend_from_slice(line.as_bytes());
    }
    if random.chance(70) {
        body.push(b'\n');
    }
    if random.chance(45) {
        for _ in 0..=random.below(3) {
            mutate(random, &mut body);
        }
    }
    body
}

fn line(random: &mut Random) -> String {
    // A line of which one part only is strange tells more than one of strange parts.
    let strange = random.below(6);
    let mut part = |place: u64, usual: &[&'static str], all: &[&'static str]| -> String {
        if place == strange { random.pick(all).to_owned() } else { random.pick(usual).to_owned() }
    };
    let mut text = part(0, &["m", "cpu"], NAMES);
    let (tags, fields) = (part(9, &["", "1", "12", "1", "113"], &[]), part(9, &["1", "1", "12", "123"], &[]));
    for (n, _) in tags.chars().enumerate() {
        let key = part(1, &[["h", "host", "az"][n]], KEYS);
        let value = part(2, &["a", "b", "x"], VALUES);
        text.extend([",", &key, "=", &value]);
    }
    text.push(' ');
    for (n, _) in fields.chars().enumerate() {
        if n > 0 {
            text.push(',');
        }
        let key = part(3, &[["v", "i", "s"][n]], FIELDS);
        let value = part(4, &[["1.5", "7i", "\"s\""][n]], FIELD_VALUES);
        text.extend([key.as_str(), "=", &value]);
    }
    let time = part(5, &["1000000000", "2000000000", "3000000000", "-5"], TIMES);
    text.extend([" ", &time]);
    text
}

fn mutate(random: &mut Random, body: &mut Vec<u8>) {
    if body.is_empty() {
        return;
    }
    let at = random.below(body.len() as u64) as usize;
    let byte = *random.one_of(BYTES);
    match random.below(6) {
        0 => drop(body.remove(at)),
        1 => body.insert(at, byte),
        2 => body[at] = byte,
        3 => body.truncate(at),
        4 => {
            let end = (at + 1 + random.below(6) as usize).min(body.len());
            let copy = body[at..end].to_vec();
            body.splice(at..at, copy);
        }
        _ => {
            let end = (at + 1 + random.below(6) as usize).min(body.len());
            body.drain(at..end);
        }
    }
}

/// The shortest body found for which `holds` is still true: without lines, then without bytes.
pub fn shrink(body: &[u8], mut holds: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut best = body.to_vec();
    for width in [64, 16, 4, 1] {
        let mut at = 0;
        while at < best.len() {
            let mut shorter = best.clone();
            shorter.drain(at..(at + width).min(best.len()));
            if holds(&shorter) {
                best = shorter;
            } else {
                at += width;
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_shrinks_to_what_matters() {
        let shortest = shrink(b"m v=1 1\nm v=NaN 2\n", |body| body.windows(3).any(|w| w == b"NaN"));
        assert_eq!(shortest, b"NaN");
    }
}
