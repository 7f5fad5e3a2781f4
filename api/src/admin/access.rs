//! Who may use the admin API: tokens, each with a role, and certificates of clients. Probes and metrics ask nobody.

use crate::auth::guard::Guard;
use crate::error::Failure;
use crate::serve::{ClientAddress, ClientCertificate};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio::sync::watch;

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// To look.
    Read,
    /// To look and to change.
    Operate,
}

impl Role {
    /// What a method needs.
    pub(super) fn of(method: &Method) -> Self {
        if method == Method::GET || method == Method::HEAD { Self::Read } else { Self::Operate }
    }
}

/// Tokens that are accepted; none: nobody is asked. Only their digests are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdminTokens(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    name: String,
    role: Role,
    digest: [u8; 32],
}

impl AdminTokens {
    /// Adds those of a file, one a line, each with a name before it or without, and tells how many. Lines that are empty or
    /// begin with `#` do not count.
    pub fn add(&mut self, role: Role, file: &str) -> usize {
        let before = self.0.len();
        let nameless = if role == Role::Read { "read" } else { "operate" };
        self.0.extend(Self::in_file(file).map(|(name, token)| Token {
            name: name.unwrap_or(nameless).to_owned(),
            role,
            digest: Sha256::digest(token).into(),
        }));
        self.0.len() - before
    }

    /// The names and tokens in a file.
    pub fn in_file(file: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
        let lines = file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(|line| match line.split_once(char::is_whitespace) {
            Some((name, token)) => (Some(name), token.trim_start()),
            None => (None, line),
        })
    }

    /// The one that was shown. Takes as long whatever of it is wrong: digests are compared, and all of them.
    fn find(&self, shown: &[u8]) -> Option<&Token> {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        let mut found = None;
        for token in &self.0 {
            let differing = token.digest.iter().zip(shown).fold(0, |all, (a, b)| all | (a ^ b));
            if differing == 0 {
                found = Some(token);
            }
        }
        found
    }
}

/// What is asked of those who come.
#[derive(Debug, Clone)]
pub struct AdminAccess {
    /// The tokens; a new value is in force at once.
    pub tokens: watch::Receiver<Arc<AdminTokens>>,
    /// Whether they must also have come with a certificate that the port trusts.
    pub certificate: bool,
    /// Logins that may fail a minute, for each address; 0: any number.
    pub failed_logins_max: u32,
}

impl Default for AdminAccess {
    fn default() -> Self {
        let tokens = watch::Sender::new(Arc::default()).subscribe();
        Self { tokens, certificate: false, failed_logins_max: 0 }
    }
}

/// Somebody who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operator {
    /// The name of the token; `None` if nobody was asked for one.
    pub(super) name: Option<String>,
    role: Role,
}

impl AdminAccess {
    /// Who sent a request.
    ///
    /// # Errors
    ///
    /// 401 says what is accepted, 429 when it may be tried again.
    pub(super) fn operator(&self, guard: &Guard, request: &Parts) -> Result<Operator, Failure> {
        let certified = request.extensions.get::<ClientCertificate>().is_some_and(|shown| shown.0);
        if self.certificate && !certified {
            let text =
                "the admin API asks for a client certificate, signed by an authority in admin.tls_client_ca";
            return Err(Failure::new(StatusCode::UNAUTHORIZED, text));
        }
        let tokens = Arc::clone(&self.tokens.borrow());
        if tokens.0.is_empty() {
            return Ok(Operator { name: None, role: Role::Operate });
        }
        let unauthorized = |text: &str| {
            let accepted = "Authorization: Bearer with one of admin.token_file, or to look only, of admin.read_token_file";
            Failure::new(StatusCode::UNAUTHORIZED, format!("{text}; accepted is {accepted}"))
        };
        let header = request.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let Some(shown) = header.strip_prefix(b"Bearer ") else {
            return Err(unauthorized("the admin API asks for its token"));
        };
        let address = request.extensions.get::<ClientAddress>().map(|address| address.0);
        let attempt = guard.admit(address, "admin", shown)?;
        match tokens.find(shown) {
            Some(token) => {
                guard.succeeded(attempt);
                Ok(Operator { name: Some(token.name.clone()), role: token.role })
            }
            None => {
                guard.failed(attempt);
                Err(unauthorized("this token is none of the admin API's"))
            }
        }
    }
}

impl Operator {
    /// Whether a method is allowed.
    ///
    /// # Errors
    ///
    /// 403 says what would be.
    pub(super) fn may(&self, method: &Method) -> Result<(), Failure> {
        if Role::of(method) <= self.role {
            return Ok(());
        }
        let text = format!("this token may look, not change: {method} needs one of admin.token_file");
        Err(Failure::new(StatusCode::FORBIDDEN, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn access(tokens: &AdminTokens) -> AdminAccess {
        let tokens = watch::Sender::new(Arc::new(tokens.clone())).subscribe();
        AdminAccess { tokens, failed_logins_max: 3, ..AdminAccess::default() }
    }

    fn request(authorization: &str, certificate: bool) -> Parts {
        let mut request = Request::new(());
        if !authorization.is_empty() {
            request.headers_mut().insert(AUTHORIZATION, authorization.parse().expect("a value"));
        }
        request.extensions_mut().insert(ClientAddress([10, 0, 0, 1].into()));
        request.extensions_mut().insert(ClientCertificate(certificate));
        request.into_parts().0
    }

    /// The name of whoever is let in, or the status.
    fn ask(access: &AdminAccess, guard: &Guard, authorization: &str) -> String {
        match access.operator(guard, &request(authorization, false)) {
            Ok(operator) => operator.name.unwrap_or_default(),
            Err(failure) => failure.status.as_u16().to_string(),
        }
    }

    #[test]
    fn a_token_admits_who_has_it() {
        let mut tokens = AdminTokens::default();
        assert_eq!(tokens.add(Role::Operate, "s3cret\n\n# the next one\nnext n3xt \n"), 2);
        assert_eq!(tokens.add(Role::Read, "grafana l00k"), 1);
        let (access, guard) = (access(&tokens), Guard::new(0));
        for (authorization, answer) in [
            ("Bearer s3cret", "operate"),
            ("Bearer n3xt", "next"),
            ("Bearer l00k", "grafana"),
            ("Bearer s3cre", "401"),
            ("Bearer s3cret2", "401"),
            ("Bearer ", "401"),
            ("Bearer # the next one", "401"),
            ("s3cret", "401"),
            ("Basic s3cret", "401"),
            ("", "401"),
        ] {
            assert_eq!(ask(&access, &guard, authorization), answer, "{authorization}");
        }
        assert!(!format!("{access:?}").contains("s3cret"));
    }

    #[test]
    fn a_role_decides_what_may_be_done() {
        let mut tokens = AdminTokens::default();
        tokens.add(Role::Read, "l00k");
        let (access, guard) = (access(&tokens), Guard::new(0));
        let reader = access.operator(&guard, &request("Bearer l00k", false)).expect("let in");
        assert!(reader.may(&Method::GET).is_ok() && reader.may(&Method::HEAD).is_ok());
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert_eq!(reader.may(&method).expect_err("may only look").status, StatusCode::FORBIDDEN);
        }
        let nobody = AdminAccess::default().operator(&guard, &request("", false)).expect("nobody is asked");
        assert!(nobody.may(&Method::DELETE).is_ok());
    }

    #[test]
    fn guesses_have_to_wait() {
        let mut tokens = AdminTokens::default();
        tokens.add(Role::Operate, "s3cret");
        let (access, guard) = (access(&tokens), Guard::new(3));
        assert_eq!(ask(&access, &guard, "Bearer s3cret"), "operate");
        let answers: Vec<String> = (0..5).map(|n| ask(&access, &guard, &format!("Bearer {n}"))).collect();
        assert_eq!(answers, ["401", "401", "401", "429", "429"]);
        assert_eq!(ask(&access, &guard, "Bearer s3cret"), "operate", "it was right before");
    }

    #[test]
    fn a_certificate_is_asked_for_where_it_is_wanted() {
        let access = AdminAccess { certificate: true, ..AdminAccess::default() };
        let guard = Guard::new(0);
        assert!(access.operator(&guard, &request("", true)).is_ok());
        let refused = access.operator(&guard, &request("", false)).expect_err("no certificate");
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    }
}
