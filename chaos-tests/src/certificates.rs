//! Certificates for the tests: authorities, what they sign, and clients that trust them.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Who signs certificates.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub cert: String,
    /// The private key.
    pub key: String,
}

impl Authority {
    /// A new one; others may have the same name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let made = KeyPair::generate().and_then(|key| CertifiedIssuer::self_signed(params, key));
        Self(made.unwrap_or_else(|error| panic!("no authority: {error}")))
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this machine.
    pub fn sign(&self) -> Identity {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let made = CertificateParams::new(names).and_then(|params| {
            let key = KeyPair::generate()?;
            Ok(Identity { cert: params.signed_by(&key, &self.0)?.pem(), key: key.serialize_pem() })
        });
        made.unwrap_or_else(|error| panic!("no certificate: {error}"))
    }
}

/// A client that trusts these authorities, with a certificate of its own if it has one.
pub fn trusting(authorities: &[&Authority], identity: Option<&Identity>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        drop(roots.add(authority.0.der().clone()));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots));
    let config = builder.and_then(|builder| match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(Identity { cert, key }) => {
            let unreadable = |error| rustls::Error::General(format!("{error:?}"));
            let cert = CertificateDer::from_pem_slice(cert.as_bytes()).map_err(unreadable)?;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(unreadable)?;
            builder.with_client_auth_cert(vec![cert], key)
        }
    });
    Arc::new(config.unwrap_or_else(|error| panic!("no client: {error}")))
}
