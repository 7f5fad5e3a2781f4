//! Who this volume is: volume uuid, and once founded or joined, cluster uuid and node id. Written once.
//!
//! The file `identity.toml` is the only thing that says a volume belongs to a cluster. A volume without it is blank and
//! is never taken for a member that came back: its node would promise again what it has forgotten. For the same reason a
//! volume uuid never outlives the log that was written under it: what was left by somebody else is set aside first.

use model::NodeId;
use model::placement::Placement;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const VOLUME_FILE: &str = "volume";
const IDENTITY_FILE: &str = "identity.toml";
/// What groups and their log write.
const STATE: [&str; 2] = ["raftlog", "groups"];

/// A member of the founding set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Founder {
    /// Its node id.
    pub(crate) id: u64,
    /// Its peer address, `host:port`.
    pub(crate) peer_addr: String,
    /// The uuid of its volume when the cluster was founded.
    pub(crate) volume: String,
}

/// How the cluster began. The same bytes on every founding member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FoundingRecord {
    /// The cluster's uuid.
    pub(crate) cluster: String,
    /// Number of data groups.
    pub(crate) groups: u32,
    /// Replicas of each; 0 in a record from before that could be chosen: one on every founder.
    #[serde(default)]
    pub(crate) replication_factor: u32,
    /// What the cluster writes from the beginning, see `model::feature_level`; 0 if a founder knows no more than level 1,
    /// and in a record from before this was noted.
    #[serde(default)]
    pub(crate) feature_level: u32,
    /// The founding members, ids from 1.
    pub(crate) founders: Vec<Founder>,
}

impl FoundingRecord {
    /// Where the data groups' replicas are as long as the catalog does not say so.
    pub(crate) fn placement(&self) -> Placement {
        let nodes: Vec<NodeId> = self.founders.iter().map(|founder| NodeId(founder.id)).collect();
        match self.replication_factor {
            0 => Placement { factor: 0, ..Placement::founding(self.groups, &nodes, nodes.len() as u32) },
            factor => Placement::founding(self.groups, &nodes, factor),
        }
    }
}

/// What a volume that belongs to a cluster knows about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// This node's id.
    pub(crate) node: u64,
    /// How the cluster began.
    pub(crate) record: FoundingRecord,
}

impl Identity {
    /// This node's id.
    pub(crate) fn node_id(&self) -> NodeId {
        NodeId(self.node)
    }

    /// Whether the node was there when the cluster began. Only then may it give the groups their first members.
    pub(crate) fn is_founder(&self) -> bool {
        self.record.founders.iter().any(|founder| founder.id == self.node)
    }
}

/// Why an identity cannot be read or written. The node must not start: guessing would found a second cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    /// The file system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is there but is not an identity.
    #[error("{path} is damaged ({reason}); restore it from a backup, or give the node an empty data directory",
        path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What did not fit.
        reason: String,
    },
    /// The volume was given another identity before.
    #[error("this volume already belongs to cluster {0}")]
    Taken(String),
}

/// The identity files of one data directory.
#[derive(Debug)]
pub(crate) struct Volume {
    dir: PathBuf,
    /// This volume's uuid, made when the directory was first used.
    pub(crate) uuid: String,
    /// Held by who gives it its identity: the founder tells it while it asks others for its place.
    adopting: Mutex<()>,
}

impl Volume {
    /// Opens a data directory, making it and its volume uuid if it is new. Data without an identity is set aside if there
    /// are others to get it from (`has_others`).
    pub(crate) fn open(dir: &Path, has_others: bool) -> Result<Self, IdentityError> {
        fs::create_dir_all(dir).map_err(|source| IdentityError::Io { path: dir.to_owned(), source })?;
        let identity = dir.join(IDENTITY_FILE);
        if STATE.iter().any(|name| dir.join(name).exists()) && !is_there(&identity)? {
            if !has_others {
                let reason = "it is missing, and there is data".to_owned();
                return Err(IdentityError::Damaged { path: identity, reason });
            }
            set_aside(dir)?;
        }
        let path = dir.join(VOLUME_FILE);
        let uuid = match fs::read_to_string(&path) {
            Ok(text) => text.trim().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let uuid = uuid::Uuid::new_v4().to_string();
                write_durably(dir, VOLUME_FILE, &format!("{uuid}\n"))?;
                uuid
            }
            Err(source) => return Err(IdentityError::Io { path, source }),
        };
        if uuid::Uuid::parse_str(&uuid).is_err() {
            return Err(IdentityError::Damaged { path, reason: "not a uuid".to_owned() });
        }
        Ok(Self { dir: dir.to_owned(), uuid, adopting: Mutex::new(()) })
    }

    /// The identity, if the volume has one.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, IdentityError> {
        let path = self.dir.join(IDENTITY_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text)
                .map(Some)
                .map_err(|e| IdentityError::Damaged { path, reason: e.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(IdentityError::Io { path, source }),
        }
    }

    /// Gives the volume its identity, durably. The same identity again is fine.
    pub(crate) fn adopt(&self, identity: &Identity) -> Result<(), IdentityError> {
        let _alone = self.adopting.lock();
        match self.identity()? {
            Some(existing) if existing == *identity => return Ok(()),
            Some(existing) => return Err(IdentityError::Taken(existing.record.cluster)),
            None => {}
        }
        let path = self.dir.join(IDENTITY_FILE);
        let text = toml::to_string_pretty(identity)
            .map_err(|e| IdentityError::Damaged { path, reason: e.to_string() })?;
        write_durably(&self.dir, IDENTITY_FILE, &text)
    }

    /// Becomes another volume with another identity. What there was is kept beside, for inspection.
    pub(crate) fn renew(&self, uuid: &str, identity: &Identity) -> Result<(), IdentityError> {
        set_aside(&self.dir)?;
        write_durably(&self.dir, VOLUME_FILE, &format!("{uuid}\n"))?;
        self.adopt(identity)
    }

    /// This volume's part in a founding record, if it has one: same address *and* same volume.
    pub(crate) fn part_in(&self, record: &FoundingRecord, peer_addr: &str) -> Option<Identity> {
        let me = record.founders.iter().find(|f| f.peer_addr == peer_addr && f.volume == self.uuid)?;
        Some(Identity { node: me.id, record: record.clone() })
    }
}

/// Whether a file is there; not being able to tell is an error, never a "no".
fn is_there(path: &Path) -> Result<bool, IdentityError> {
    path.try_exists().map_err(|source| IdentityError::Io { path: path.to_owned(), source })
}

/// Moves everything that an identity stands for into a directory of its own. The identity goes first: if it stayed with
/// an empty log, its node would promise again what it has forgotten.
fn set_aside(dir: &Path) -> Result<(), IdentityError> {
    let failed = |source| IdentityError::Io { path: dir.to_owned(), source };
    let mut number = 1;
    let mut aside = dir.join("damaged-1");
    while aside.exists() {
        number += 1;
        aside = dir.join(format!("damaged-{number}"));
    }
    fs::create_dir(&aside).map_err(failed)?;
    for name in [IDENTITY_FILE, VOLUME_FILE].iter().chain(&STATE) {
        match fs::rename(dir.join(name), aside.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
    }
    tracing::warn!(to = %aside.display(), "set aside what the data directory held");
    Ok(())
}

/// Writes a file so that after a power loss it is whole or absent.
pub(crate) fn write_durably(dir: &Path, name: &str, text: &str) -> Result<(), IdentityError> {
    let path = dir.join(name);
    let temporary = dir.join(format!("{name}.new"));
    let write = || -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|source| IdentityError::Io { path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(volume: &str) -> FoundingRecord {
        let founder = Founder { id: 1, peer_addr: "a:8088".into(), volume: volume.into() };
        FoundingRecord {
            cluster: "c".into(),
            groups: 8,
            replication_factor: 3,
            feature_level: 0,
            founders: vec![founder],
        }
    }

    #[test]
    fn an_identity_is_given_once() {
        let dir = tempfile::tempdir().unwrap();
        let volume = Volume::open(dir.path(), true).unwrap();
        assert_eq!(volume.identity().unwrap(), None);
        let identity = volume.part_in(&record(&volume.uuid), "a:8088").unwrap();
        volume.adopt(&identity).unwrap();
        volume.adopt(&identity).unwrap();
        let again = Volume::open(dir.path(), true).unwrap();
        assert_eq!(
            (again.uuid.clone(), again.identity().unwrap()),
            (volume.uuid.clone(), Some(identity.clone()))
        );
        let other = Identity { node: 2, ..identity };
        assert!(matches!(volume.adopt(&other), Err(IdentityError::Taken(_))));
    }

    /// A member asks for its place while the founder tells it.
    #[test]
    fn an_identity_is_given_once_also_to_who_is_told_twice_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let volume = Volume::open(dir.path(), true).unwrap();
        let one = volume.part_in(&record(&volume.uuid), "a:8088").unwrap();
        let other = Identity { node: one.node + 1, ..one.clone() };
        let given: Vec<bool> = std::thread::scope(|scope| {
            let adopting: Vec<_> = (0..8)
                .map(|n| {
                    let (volume, identity) = (&volume, if n % 2 == 0 { &one } else { &other });
                    scope.spawn(move || match volume.adopt(identity) {
                        Ok(()) => true,
                        Err(IdentityError::Taken(_)) => false,
                        Err(error) => panic!("{error}"),
                    })
                })
                .collect();
            adopting.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let kept = volume.identity().unwrap().unwrap();
        let expected: Vec<bool> =
            (0..8).map(|n| kept == if n % 2 == 0 { one.clone() } else { other.clone() }).collect();
        assert_eq!(given, expected);
    }

    #[test]
    fn a_record_from_before_there_was_a_factor_has_every_group_on_every_founder() {
        let text = "cluster = \"c\"\ngroups = 2\n\n[[founders]]\nid = 1\npeer_addr = \"a:1\"\nvolume = \"v\"\n\n\
                    [[founders]]\nid = 2\npeer_addr = \"b:1\"\nvolume = \"w\"\n";
        let record: FoundingRecord = toml::from_str(text).unwrap();
        let placement = record.placement();
        assert_eq!(placement.factor, 0);
        assert!(placement.groups.values().all(|replicas| *replicas == [NodeId(1), NodeId(2)]));
    }

    #[test]
    fn another_volume_under_the_same_address_has_no_part() {
        let dir = tempfile::tempdir().unwrap();
        let volume = Volume::open(dir.path(), true).unwrap();
        assert_eq!(volume.part_in(&record("somebody-else"), "a:8088"), None);
    }

    #[test]
    fn a_renewed_volume_is_another_one_and_keeps_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let volume = Volume::open(dir.path(), true).unwrap();
        let old = volume.part_in(&record(&volume.uuid), "a:8088").unwrap();
        volume.adopt(&old).unwrap();
        fs::create_dir(dir.path().join("raftlog")).unwrap();
        fs::create_dir(dir.path().join("groups")).unwrap();
        let uuid = uuid::Uuid::new_v4().to_string();
        let new = Identity { node: 4, ..old };
        volume.renew(&uuid, &new).unwrap();
        let again = Volume::open(dir.path(), true).unwrap();
        assert_eq!((again.uuid.clone(), again.identity().unwrap()), (uuid, Some(new)));
        assert!(!dir.path().join("raftlog").exists() && dir.path().join("damaged-1/raftlog").exists());
    }

    #[test]
    fn a_log_without_an_identity_is_set_aside_with_its_volume() {
        let dir = tempfile::tempdir().unwrap();
        let volume = Volume::open(dir.path(), true).unwrap();
        // A crash after the identity was moved away.
        fs::create_dir(dir.path().join("raftlog")).unwrap();
        let again = Volume::open(dir.path(), true).unwrap();
        assert_ne!(again.uuid, volume.uuid);
        assert!(!dir.path().join("raftlog").exists());
        assert_eq!(Volume::open(dir.path(), true).unwrap().uuid, again.uuid);
    }

    #[test]
    fn the_only_copy_of_data_is_never_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("groups")).unwrap();
        let refused = Volume::open(dir.path(), false).unwrap_err();
        assert!(refused.to_string().contains("it is missing, and there is data"), "{refused}");
        assert!(dir.path().join("groups").exists());
    }

    #[test]
    fn a_damaged_identity_stops_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let volume = Volume::open(dir.path(), true).unwrap();
        fs::write(dir.path().join(IDENTITY_FILE), "node = ").unwrap();
        assert!(matches!(volume.identity(), Err(IdentityError::Damaged { .. })));
    }
}
