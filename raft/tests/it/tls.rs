//! Mutual TLS between nodes: who is let in, and who is believed to be the node that was dialed.

use crate::cluster::Silent;
use raft::peer;
use raft::{Connect, PeerServer, PeerTls, Tcp};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

const TIMEOUT: Duration = Duration::from_secs(5);

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn identity(authority: &Authority, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let chain = vec![params.signed_by(&key, authority).unwrap().der().clone()];
    (chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}

/// A node with a certificate for `name` that one authority signed and that trusts some.
fn node(name: &str, signer: &Authority, trusted: &[&Authority]) -> PeerTls {
    let mut roots = RootCertStore::empty();
    for authority in trusted {
        roots.add(authority.der().clone()).unwrap();
    }
    let (roots, provider) = (Arc::new(roots), Arc::new(default_provider()));
    let (chain, key) = identity(signer, name);
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain.clone(), key.clone_key())
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let (server, client) = (watch::Sender::new(Arc::new(server)), watch::Sender::new(Arc::new(client)));
    PeerTls {
        server: server.subscribe(),
        client: client.subscribe(),
        optional: false,
        failed: Arc::default(),
    }
}

async fn serve(tls: Option<PeerTls>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(PeerServer::new(Arc::new(Silent)).serve(listener, tls));
    address
}

async fn is_answered(connect: &dyn Connect, address: &str) -> bool {
    peer::identity(connect, address, TIMEOUT).await.is_ok()
}

#[tokio::test]
async fn only_members_are_answered_and_only_members_are_believed() {
    let (ours, old, foreign) = (authority(), authority(), authority());
    let server = node("127.0.0.1", &ours, &[&ours, &old]);
    let address = serve(Some(server.clone())).await;

    assert!(is_answered(&node("a", &ours, &[&ours]), &address).await);
    assert!(is_answered(&node("a", &old, &[&ours]), &address).await, "both authorities are accepted");
    assert_eq!(server.failed.load(Ordering::Relaxed), 0);
    assert!(!is_answered(&node("a", &foreign, &[&ours]), &address).await, "a foreign certificate");
    assert!(!is_answered(&Tcp, &address).await, "no TLS");
    assert!(server.failed.load(Ordering::Relaxed) >= 2);
    let mut without = node("a", &ours, &[&ours]);
    let mut roots = RootCertStore::empty();
    roots.add(ours.der().clone()).unwrap();
    let nameless = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    without.client = watch::Sender::new(Arc::new(nameless)).subscribe();
    assert!(!is_answered(&without, &address).await, "no certificate");

    assert!(!is_answered(&node("a", &ours, &[&foreign]), &address).await, "a server nobody vouches for");
    let other = serve(Some(node("another.name", &ours, &[&ours]))).await;
    assert!(
        !is_answered(&node("a", &ours, &[&ours]), &other).await,
        "a member, but not the one that was dialed"
    );
}

#[tokio::test]
async fn nodes_can_be_switched_to_tls_one_by_one() {
    let ours = authority();
    let optional = || PeerTls { optional: true, ..node("127.0.0.1", &ours, &[&ours]) };
    let strict = || node("127.0.0.1", &ours, &[&ours]);
    let (plain, both, secure) =
        (serve(None).await, serve(Some(optional())).await, serve(Some(strict())).await);
    for (connect, address, answered, what) in [
        (&Tcp as &dyn Connect, &both, true, "an old node asks one in between"),
        (&optional(), &plain, true, "one in between asks an old node"),
        (&optional(), &both, true, "both in between"),
        (&optional(), &secure, true, "one in between asks a new node"),
        (&strict(), &both, true, "a new node asks one in between"),
        (&strict(), &plain, false, "a new node asks an old one"),
        (&Tcp, &secure, false, "an old node asks a new one"),
    ] {
        assert_eq!(is_answered(connect, address).await, answered, "{what}");
    }
    let foreign = authority();
    let stranger = PeerTls { optional: true, ..node("127.0.0.1", &foreign, &[&foreign]) };
    assert!(!is_answered(&stranger, &secure).await, "who trusts nobody there does not go on without TLS");
}
