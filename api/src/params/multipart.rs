//! `multipart/form-data`: its plain fields, and the file named `q`.

use super::Params;
use memchr::memmem;

/// What a multipart body holds for us.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Multipart {
    /// Parts without a file name.
    pub(crate) fields: Params,
    /// The first file named `q`.
    pub(crate) query_file: Option<String>,
}

impl Multipart {
    /// Reads a body whose `Content-Type` is given. A body that is broken gives what stands before the fault.
    pub(crate) fn parse(content_type: &str, body: &[u8]) -> Self {
        let mut parsed = Self::default();
        let Some(boundary) = parameter(content_type, "boundary").filter(|boundary| !boundary.is_empty())
        else {
            return parsed;
        };
        let delimiter = format!("--{boundary}");
        let mut rest = match body.strip_prefix(delimiter.as_bytes()) {
            Some(rest) => rest,
            None => match memmem::find(body, format!("\r\n{delimiter}").as_bytes()) {
                Some(i) => &body[i + 2 + delimiter.len()..],
                None => return parsed,
            },
        };
        let delimiter = format!("\r\n{delimiter}");
        while let Some(part) = rest.strip_prefix(b"\r\n") {
            let Some(end) = memmem::find(part, delimiter.as_bytes()) else { return parsed };
            parsed.part(&part[..end]);
            rest = &part[end + delimiter.len()..];
        }
        parsed
    }

    fn part(&mut self, part: &[u8]) {
        let Some(head_end) = memmem::find(part, b"\r\n\r\n") else { return };
        let content = String::from_utf8_lossy(&part[head_end + 4..]).into_owned();
        let head = String::from_utf8_lossy(&part[..head_end]);
        let disposition = head.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
        });
        let Some(name) = disposition.and_then(|value| parameter(value, "name")) else { return };
        let is_file = disposition.is_some_and(|value| parameter(value, "filename").is_some());
        if !is_file {
            self.fields.push(name, content);
        } else if name == "q" && self.query_file.is_none() {
            self.query_file = Some(content);
        }
    }
}

/// A parameter of a header value, `type; name=value; name="value"`.
fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        key.trim().eq_ignore_ascii_case(name).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_the_file_are_found() {
        let body = b"preamble\r\n--b\r\nContent-Disposition: form-data; name=\"db\"\r\n\r\nk8s\r\n\
            --b\r\ncontent-disposition: form-data; name=\"q\"; filename=\"x.txt\"\r\nContent-Type: text/plain\r\n\r\n\
            SHOW\r\nDATABASES\r\n--b--\r\n";
        let parsed = Multipart::parse("multipart/form-data; boundary=\"b\"", body);
        assert_eq!(parsed.fields.get("db"), "k8s");
        assert_eq!(parsed.query_file.as_deref(), Some("SHOW\r\nDATABASES"));
    }

    #[test]
    fn broken_bodies_give_what_stands_before_the_fault() {
        for body in [&b""[..], b"--b", b"--b\r\n", b"--b\r\nx", b"--b\r\n\r\n\r\n--b", b"--b--"] {
            assert_eq!(Multipart::parse("multipart/form-data; boundary=b", body), Multipart::default());
        }
        assert_eq!(Multipart::parse("multipart/form-data", b"xx"), Multipart::default());
    }
}
