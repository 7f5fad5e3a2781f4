//! The files of a snapshot by name, size and checksum: what a transfer is made of, and what makes it go on after a
//! break.

use proto::peer::{SnapshotFile, SnapshotHave};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use xxhash_rust::xxh3::Xxh3;

/// Bytes read at once.
const BLOCK: usize = 1 << 20;

/// The files of a checkpoint, by name, with their checksums. It has no directories. Reads all of it.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<SnapshotFile>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        match entry.file_name().into_string() {
            Ok(name) if meta.is_file() => {
                let checksum = checksum(&entry.path(), meta.len())?.digest();
                files.push(SnapshotFile { name, size: meta.len(), checksum });
            }
            _ => return Err(io::Error::other(format!("{} is no file", entry.path().display()))),
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// The checksum of the first `len` bytes of a file, to be continued.
///
/// # Errors
///
/// The file is shorter.
pub(crate) fn checksum(path: &Path, len: u64) -> io::Result<Xxh3> {
    let mut file = File::open(path)?;
    let mut checksum = Xxh3::new();
    let mut block = vec![0; BLOCK.min(usize::try_from(len).unwrap_or(BLOCK)).max(1)];
    let mut left = len;
    while left > 0 {
        let now = block.len().min(usize::try_from(left).unwrap_or(BLOCK));
        file.read_exact(&mut block[..now])?;
        checksum.update(&block[..now]);
        left -= now as u64;
    }
    Ok(checksum)
}

/// How many bytes of `file` the other side has already.
pub(crate) fn had(file: &SnapshotFile, have: &[SnapshotHave]) -> u64 {
    let same = have.iter().filter(|had| had.name == file.name && had.checksum == file.checksum);
    same.map(|had| had.size).filter(|size| *size <= file.size).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_can_be_continued_and_tells_files_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, vec![7; 3 * BLOCK + 5]).unwrap();
        let mut begun = checksum(&path, BLOCK as u64 + 1).unwrap();
        begun.update(&vec![7; 2 * BLOCK + 4]);
        let files = list(dir.path()).unwrap();
        assert_eq!(begun.digest(), files[0].checksum);
        assert_eq!((files[0].name.as_str(), files[0].size), ("a", 3 * BLOCK as u64 + 5));
        assert!(checksum(&path, 4 * BLOCK as u64).is_err());
    }

    #[test]
    fn only_the_same_file_counts_as_had() {
        let file = SnapshotFile { name: "a".into(), size: 10, checksum: 3 };
        let have = |name: &str, checksum, size| SnapshotHave { name: name.into(), checksum, size };
        assert_eq!(had(&file, &[have("a", 3, 4)]), 4);
        assert_eq!(had(&file, &[have("a", 3, 4), have("a", 3, 10)]), 10);
        assert_eq!(had(&file, &[have("a", 4, 4), have("b", 3, 4), have("a", 3, 11)]), 0);
    }
}
