//! Where a request says who sends it: `u` and `p` of the URL, else the header `Authorization`.

use crate::params::Params;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// What a request shows.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// A name and its password.
    Password { name: String, password: String },
    /// A JSON web token.
    Token(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl Credentials {
    /// Those of a request; `None` if there are none that can be read. As in 1.x, both parameters of the URL must have a
    /// value, and a form's do not count.
    pub(super) fn of(headers: &HeaderMap, url: &Params) -> Option<Self> {
        let (name, password) = (url.get("u"), url.get("p"));
        if !name.is_empty() && !password.is_empty() {
            return Some(Self::Password { name: name.to_owned(), password: password.to_owned() });
        }
        Self::of_header(headers.get(AUTHORIZATION)?.to_str().ok()?)
    }

    /// Who is claimed to ask, and what proves it. A token names nobody before it was verified.
    pub(super) fn name_and_secret(&self) -> (&str, &str) {
        match self {
            Self::Password { name, password } => (name, password),
            Self::Token(token) => ("(token)", token),
        }
    }

    fn of_header(header: &str) -> Option<Self> {
        if let Some((scheme, rest)) = header.split_once(' ')
            && !rest.contains(' ')
        {
            match scheme {
                "Bearer" if rest.is_empty() => return None,
                "Bearer" => return Some(Self::Token(rest.to_owned())),
                // As 1.8 has it.
                "Token" => return Self::pair(rest),
                _ => {}
            }
        }
        let scheme = header.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case("Basic "))?;
        let decoded = STANDARD.decode(&header[scheme.len()..]).ok()?;
        Self::pair(&String::from_utf8_lossy(&decoded))
    }

    fn pair(text: &str) -> Option<Self> {
        let (name, password) = text.split_once(':')?;
        Some(Self::Password { name: name.to_owned(), password: password.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn of(header: &str, url: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(header).expect("a header value"));
        match Credentials::of(&headers, &Params::parse(url.as_bytes())) {
            None => "none".to_owned(),
            Some(Credentials::Password { name, password }) => format!("{name}/{password}"),
            Some(Credentials::Token(token)) => format!("token {token}"),
        }
    }

    #[test]
    fn headers_are_read_as_by_the_real_one() {
        // adm:ap, adm, :, adm:
        for (header, expected) in [
            ("Basic YWRtOmFw", "adm/ap"),
            ("basic YWRtOmFw", "adm/ap"),
            ("BASIC YWRtOmFw", "adm/ap"),
            ("Basic YWRt", "none"),
            ("Basic Og==", "/"),
            ("Basic YWRtOg==", "adm/"),
            ("Basic  YWRtOmFw", "none"),
            ("Basic YWRtOmFw=", "none"),
            ("Basic zzz", "none"),
            ("Basic", "none"),
            ("", "none"),
            ("Bearer", "none"),
            ("Bearer a b", "none"),
            ("bearer x.y.z", "none"),
            ("Bearer x", "token x"),
            ("Token adm:a:p", "adm/a:p"),
            ("Token adm", "none"),
            ("Foo bar", "none"),
            ("Básic YWRtOmFw", "none"),
        ] {
            assert_eq!(of(header, ""), expected, "{header}");
        }
    }

    #[test]
    fn the_url_goes_before_the_header_when_it_has_both() {
        assert_eq!(of("Basic YWRtOmFw", "u=x&p=y"), "x/y");
        assert_eq!(of("Basic YWRtOmFw", "u=x&p="), "adm/ap");
        assert_eq!(of("Basic YWRtOmFw", "u=x"), "adm/ap");
        assert_eq!(of("Basic YWRtOmFw", "p=y"), "adm/ap");
    }

    #[test]
    fn credentials_do_not_show() {
        assert_eq!(format!("{:?}", Credentials::Token("secret".to_owned())), "Credentials(..)");
    }
}
