//! What becomes of a port as its files change.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use std::path::PathBuf;
use tempfile::TempDir;

/// An authority and a directory with the files of one port.
struct Files {
    directory: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Files {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let files = Self { directory: TempDir::new().unwrap(), authority };
        files.write("ca.pem", files.authority.pem().as_bytes());
        files.renew(2040);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// A certificate and key that end with a year.
    fn signed(&self, year: i32) -> (String, String) {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.authority).unwrap().pem(), key.serialize_pem())
    }

    fn renew(&self, year: i32) {
        let (cert, key) = self.signed(year);
        self.write("cert.pem", cert.as_bytes());
        self.write("key.pem", key.as_bytes());
    }

    fn open(&self, kind: Kind) -> Result<Arc<Port>, TlsError> {
        let paths = ["cert.pem", "key.pem", "ca.pem"].map(|name| self.path(name).display().to_string());
        Port::open(kind, [&paths[0], &paths[1], &paths[2]]).map(|port| port.expect("a port"))
    }

    /// Why the files are refused.
    fn refused(&self) -> String {
        let error = self.open(Kind::Peer).map(drop).unwrap_err();
        let directory = format!("{}/", self.directory.path().display());
        format!("{:#}", anyhow::Error::from(error)).replace(&directory, "")
    }
}

fn year(port: &Port) -> i16 {
    let ends = port.seen.lock().ends.certificate.expect("an end");
    Timestamp::from_second(ends).unwrap().to_zoned(jiff::tz::TimeZone::UTC).year()
}

fn is_broken(port: &Port) -> bool {
    port.broken.load(Ordering::Relaxed)
}

#[test]
fn new_files_are_taken_up_once_they_stand_still() {
    let files = Files::new();
    let port = files.open(Kind::Http).unwrap();
    let before = Arc::clone(&port.server.borrow());
    port.look();
    port.look();
    assert!(Arc::ptr_eq(&before, &port.server.borrow()), "nothing has changed");

    files.renew(2041);
    port.look();
    assert_eq!(year(&port), 2040, "they may still be written");
    port.look();
    assert_eq!((year(&port), is_broken(&port)), (2041, false));
    assert!(!Arc::ptr_eq(&before, &port.server.borrow()));
    port.look();
    assert_eq!(port.reloads.load(Ordering::Relaxed), 1);
}

#[test]
fn a_change_of_the_authorities_alone_is_one() {
    let (files, other) = (Files::new(), Files::new());
    let port = files.open(Kind::Peer).unwrap();
    let before = Arc::clone(&port.client.borrow());
    files.write("ca.pem", format!("{}{}", files.authority.pem(), other.authority.pem()).as_bytes());
    port.look();
    port.look();
    assert!(!Arc::ptr_eq(&before, &port.client.borrow()));
}

#[test]
fn broken_files_leave_the_old_ones_in_use() {
    let files = Files::new();
    let port = files.open(Kind::Http).unwrap();
    let (good, bad_key) = (std::fs::read(files.path("key.pem")).unwrap(), files.signed(2042).1);
    for broken in [Some(b"nonsense".to_vec()), Some(bad_key.into_bytes()), Some(Vec::new()), None] {
        match &broken {
            Some(bytes) => files.write("key.pem", bytes),
            None => std::fs::remove_file(files.path("key.pem")).unwrap(),
        }
        port.look();
        port.look();
        assert!(is_broken(&port), "{broken:?}");
        assert_eq!((year(&port), port.reloads.load(Ordering::Relaxed)), (2040, 0));
        files.write("key.pem", &good);
        port.look();
        assert!(!is_broken(&port), "back to what is in use");
    }
}

#[cfg(unix)]
#[test]
fn a_directory_that_is_swapped_is_noticed() {
    use std::os::unix::fs::symlink;
    let files = Files::new();
    // As Kubernetes mounts a secret: files are links through one directory that is a link itself.
    for (version, year) in [("one", 2040), ("two", 2043)] {
        std::fs::create_dir(files.path(version)).unwrap();
        let (cert, key) = files.signed(year);
        files.write(&format!("{version}/tls.crt"), cert.as_bytes());
        files.write(&format!("{version}/tls.key"), key.as_bytes());
    }
    symlink("one", files.path("..data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{name}"), files.path(name)).unwrap();
    }
    let paths = ["tls.crt", "tls.key"].map(|name| files.path(name).display().to_string());
    let port = Port::open(Kind::Http, [&paths[0], &paths[1], &String::new()]).unwrap().expect("a port");
    symlink("two", files.path("..data_tmp")).unwrap();
    std::fs::rename(files.path("..data_tmp"), files.path("..data")).unwrap();
    port.look();
    port.look();
    assert_eq!(year(&port), 2043);
}

#[test]
fn what_keeps_a_node_from_starting_is_said_with_the_file() {
    let files = Files::new();
    let (cert, key) = files.signed(2040);
    files.write("key.pem", key.as_bytes());
    assert_eq!(files.refused(), "the key in key.pem is not that of the certificate in cert.pem");
    files.write("cert.pem", cert.as_bytes());
    assert!(files.open(Kind::Peer).is_ok());

    files.write("ca.pem", b"");
    assert_eq!(
        files.refused(),
        "peer.tls_ca: ca.pem has no CERTIFICATE in PEM (-----BEGIN CERTIFICATE-----)"
    );
    files.write("ca.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(files.refused().starts_with("peer.tls_ca: ca.pem cannot be used: "), "{}", files.refused());
    files.write("key.pem", cert.as_bytes());
    assert_eq!(
        files.refused(),
        "peer.tls_key: key.pem has no PRIVATE KEY in PEM (-----BEGIN PRIVATE KEY-----)"
    );
    files.write("cert.pem", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    assert!(files.refused().starts_with("peer.tls_cert: cert.pem is damaged"), "{}", files.refused());
    std::fs::remove_file(files.path("cert.pem")).unwrap();
    assert!(files.refused().starts_with("peer.tls_cert: cannot read cert.pem: No such file"));
}
