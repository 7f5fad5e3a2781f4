//! TLS of connections that this program makes as a client: `steadfast ctl`, subscriptions.

use super::material::{PemFile, TlsError, TlsFiles, provider};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;

/// Where Linux distributions keep the authorities that everybody trusts.
const SYSTEM_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whose certificates are accepted of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Those that an authority in this file signed; the first text says what names the file.
    File(String, String),
    /// Those that an authority of this machine signed; the text says how to name others.
    System(String),
    /// Anybody's: whoever sits in between can read and change everything.
    Anybody,
}

impl Default for Trust {
    fn default() -> Self {
        Self::System("a certificate authority".to_owned())
    }
}

/// The configuration of a client. `identity` are files with its certificate and key, each with what names it. Blocks.
///
/// # Errors
///
/// [`TlsError`] names the file that is wrong.
pub(crate) fn client_config(
    trust: &Trust,
    identity: Option<[(&str, &str); 2]>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let unusable = |error: rustls::Error| TlsError::Unusable {
        option: "TLS".to_owned(),
        path: "the client's configuration".to_owned(),
        source: error,
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match trust {
        Trust::File(option, path) => {
            let file = PemFile { option: option.clone(), path: path.clone() };
            builder.with_root_certificates(file.authorities(&file.read()?)?.0)
        }
        Trust::System(option) => builder.with_root_certificates(system_authorities(option)?),
        Trust::Anybody => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider())))
        }
    };
    let Some([(cert_option, cert), (key_option, key)]) = identity else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let file = |option: &str, path: &str| PemFile { option: option.to_owned(), path: path.to_owned() };
    let files = TlsFiles { cert: file(cert_option, cert), key: file(key_option, key), authorities: None };
    let (chain, key) = files.material(&files.read()?)?.into_identity();
    Ok(Arc::new(builder.with_client_auth_cert(chain, key).map_err(|error| files.refused(error))?))
}

/// The authorities of this machine. One of them that is damaged is left out.
fn system_authorities(option: &str) -> Result<RootCertStore, TlsError> {
    let path = SYSTEM_FILES.into_iter().find(|path| Path::new(path).exists());
    let Some(file) = path.and_then(|path| PemFile::named(option, path)) else {
        return Err(TlsError::NoAuthorities { option: option.to_owned() });
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(file.certificates(&file.read()?)?);
    Ok(roots)
}

/// Accepts any certificate whose key the server has.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
