//! What the files of a port hold: read as bytes, then understood or refused with the name of the file that is wrong.

use super::validity::not_after;
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, ServerConfig};
use std::io;
use std::sync::Arc;

/// Why files make no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file is not there, or may not be read.
    #[error("{option}: cannot read {path}")]
    Unreadable {
        /// The option or flag that names it.
        option: String,
        /// As given.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file without what it is for.
    #[error("{option}: {path} has no {what} in PEM (-----BEGIN {what}-----)")]
    Missing {
        /// The option or flag that names it.
        option: String,
        /// As given.
        path: String,
        /// `CERTIFICATE` or `PRIVATE KEY`.
        what: &'static str,
    },
    /// A file that begins like PEM and goes on otherwise.
    #[error("{option}: {path} is damaged")]
    Damaged {
        /// The option or flag that names it.
        option: String,
        /// As given.
        path: String,
        /// What is wrong.
        #[source]
        source: PemError,
    },
    /// A certificate or key that TLS cannot work with.
    #[error("{option}: {path} cannot be used")]
    Unusable {
        /// The option or flag that names it.
        option: String,
        /// As given.
        path: String,
        /// What is wrong.
        #[source]
        source: rustls::Error,
    },
    /// A key that belongs to another certificate.
    #[error("the key in {key} is not that of the certificate in {cert}")]
    Mismatch {
        /// File with the certificate.
        cert: String,
        /// File with the key.
        key: String,
    },
    /// No file was named, and the machine has none in the usual places.
    #[error("this machine has no certificate authorities; name a file with {option}")]
    NoAuthorities {
        /// What would name one.
        option: String,
    },
}

/// The algorithms: always the same, whatever else is linked.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// One file, and the option that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PemFile {
    pub(super) option: String,
    pub(super) path: String,
}

impl PemFile {
    /// A file named by an option; `None` if it is not set.
    pub(super) fn named(option: &str, path: &str) -> Option<Self> {
        (!path.is_empty()).then(|| Self { option: option.to_owned(), path: path.to_owned() })
    }

    pub(super) fn read(&self) -> Result<Vec<u8>, TlsError> {
        let (option, path) = (self.option.clone(), self.path.clone());
        std::fs::read(&self.path).map_err(|source| TlsError::Unreadable { option, path, source })
    }

    fn missing(&self, what: &'static str) -> TlsError {
        TlsError::Missing { option: self.option.clone(), path: self.path.clone(), what }
    }

    fn damaged(&self, source: PemError) -> TlsError {
        TlsError::Damaged { option: self.option.clone(), path: self.path.clone(), source }
    }

    fn unusable(&self, source: rustls::Error) -> TlsError {
        TlsError::Unusable { option: self.option.clone(), path: self.path.clone(), source }
    }

    pub(super) fn certificates(&self, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
        let certificates = read.map_err(|error| self.damaged(error))?;
        if certificates.is_empty() { Err(self.missing("CERTIFICATE")) } else { Ok(certificates) }
    }

    fn key(&self, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
            PemError::NoItemsFound => self.missing("PRIVATE KEY"),
            error => self.damaged(error),
        })
    }

    /// The authorities in a file, and when the last of them ends.
    pub(super) fn authorities(&self, bytes: &[u8]) -> Result<(RootCertStore, Option<i64>), TlsError> {
        let mut roots = RootCertStore::empty();
        let certificates = self.certificates(bytes)?;
        let ends = certificates.iter().filter_map(|certificate| not_after(certificate)).max();
        for certificate in certificates {
            roots.add(certificate).map_err(|error| self.unusable(error))?;
        }
        Ok((roots, ends))
    }
}

/// The files of a port.
#[derive(Debug, Clone)]
pub(super) struct TlsFiles {
    pub(super) cert: PemFile,
    pub(super) key: PemFile,
    pub(super) authorities: Option<PemFile>,
}

/// Their bytes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct TlsBytes {
    cert: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

impl TlsFiles {
    /// Reads all of them. Blocks.
    pub(super) fn read(&self) -> Result<TlsBytes, TlsError> {
        let authorities = self.authorities.as_ref().map(PemFile::read).transpose()?;
        Ok(TlsBytes { cert: self.cert.read()?, key: self.key.read()?, authorities })
    }

    /// Understands what was read.
    pub(super) fn material(&self, bytes: &TlsBytes) -> Result<Material, TlsError> {
        let chain = self.cert.certificates(&bytes.cert)?;
        let key = self.key.key(&bytes.key)?;
        let mut ends = Ends {
            certificate: chain.iter().filter_map(|certificate| not_after(certificate)).min(),
            authority: None,
        };
        let mut roots = None;
        if let (Some(file), Some(bytes)) = (&self.authorities, &bytes.authorities) {
            let (read, authority) = file.authorities(bytes)?;
            (roots, ends.authority) = (Some(Arc::new(read)), authority);
        }
        Ok(Material { files: self.clone(), chain, key, roots, ends })
    }

    /// Why certificate and key are refused, with the file that is to blame.
    pub(super) fn refused(&self, error: rustls::Error) -> TlsError {
        let (cert, key) = (&self.cert, &self.key);
        match error {
            rustls::Error::InconsistentKeys(_) => {
                TlsError::Mismatch { cert: cert.path.clone(), key: key.path.clone() }
            }
            rustls::Error::InvalidCertificate(_) => cert.unusable(error),
            error => key.unusable(error),
        }
    }
}

/// When what a port shows and trusts is no longer valid, in seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ends {
    /// The first certificate of the chain to end.
    pub(super) certificate: Option<i64>,
    /// The last authority to end.
    pub(super) authority: Option<i64>,
}

/// Certificate, key and authorities of a port.
pub(super) struct Material {
    files: TlsFiles,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Option<Arc<RootCertStore>>,
    pub(super) ends: Ends,
}

/// Whether who connects must show a certificate, where there are authorities to judge it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientCertificates {
    Required,
    Welcome,
}

impl Material {
    /// For connections that others make.
    pub(super) fn server(&self, certificates: ClientCertificates) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| self.refused(error))?;
        let builder = match &self.roots {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider());
                let verifier = match certificates {
                    ClientCertificates::Required => verifier,
                    ClientCertificates::Welcome => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(verifier.build().map_err(|error| self.unverified(&error))?)
            }
        };
        let (chain, key) = (self.chain.clone(), self.key.clone_key());
        builder.with_single_cert(chain, key).map_err(|error| self.refused(error))
    }

    /// For connections that this node makes, to servers that the same authorities signed.
    pub(super) fn client(&self) -> Result<ClientConfig, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| self.refused(error))?;
        let roots = self.roots.clone().unwrap_or_else(|| Arc::new(RootCertStore::empty()));
        builder
            .with_root_certificates(roots)
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| self.refused(error))
    }

    /// Certificate and key alone.
    pub(super) fn into_identity(self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.chain, self.key)
    }

    fn refused(&self, error: rustls::Error) -> TlsError {
        self.files.refused(error)
    }

    fn unverified(&self, error: &VerifierBuilderError) -> TlsError {
        let file = self.files.authorities.as_ref().unwrap_or(&self.files.cert);
        file.unusable(rustls::Error::General(error.to_string()))
    }
}
