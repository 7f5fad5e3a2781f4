//! The two files of a cluster's directory.
//!
//! `cluster.json` stays: its shape, because a cluster can't be started again with other ports than those in its
//! membership. `dev.json` says who runs now and is removed at the end; a stale one is replaced before anybody can
//! take its pids for living ones.

use super::ports::NodeAddresses;
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::path::Path;

const SHAPE_FILE: &str = "cluster.json";
const RUNNING_FILE: &str = "dev.json";
const DEFAULT_NODES: u16 = 3;
const DEFAULT_HTTP_PORT: u16 = 8086;

/// What can't change between two starts of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) nodes: u16,
    pub(super) http_port: u16,
}

impl Shape {
    /// The shape of the cluster in `directory`, or of the one that is founded there now.
    ///
    /// # Errors
    ///
    /// When the flags ask for another shape than the directory has.
    pub(super) fn settle(
        directory: &Path,
        nodes: Option<u16>,
        http_port: Option<u16>,
    ) -> anyhow::Result<Self> {
        remove_running(directory);
        let path = directory.join(SHAPE_FILE);
        let Ok(text) = std::fs::read_to_string(&path) else {
            let shape = Self {
                nodes: nodes.unwrap_or(DEFAULT_NODES),
                http_port: http_port.unwrap_or(DEFAULT_HTTP_PORT),
            };
            write_atomically(&path, &json!({ "nodes": shape.nodes, "http_port": shape.http_port }))?;
            return Ok(shape);
        };
        let kept = Self::parse(&text).with_context(|| format!("{} is damaged", path.display()))?;
        for (flag, asked, has) in [("--nodes", nodes, kept.nodes), ("--http-port", http_port, kept.http_port)]
        {
            if let Some(asked) = asked.filter(|asked| *asked != has) {
                bail!(
                    "{} holds a cluster that was founded with {flag} {has}, not {asked}: leave the flag out, or choose \
                     another --data",
                    directory.display()
                );
            }
        }
        Ok(kept)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let value: Value = serde_json::from_str(text)?;
        let number = |key: &str| {
            let number = value.get(key).and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
            number.with_context(|| format!("no {key}"))
        };
        Ok(Self { nodes: number("nodes")?, http_port: number("http_port")? })
    }
}

/// Writes `dev.json`.
pub(super) fn write_running(directory: &Path, nodes: &[(u32, &NodeAddresses)]) -> anyhow::Result<()> {
    let nodes: Vec<Value> = nodes
        .iter()
        .map(|(pid, node)| {
            json!({ "id": node.id, "pid": pid, "http": node.http, "admin": node.admin, "peer": node.peer })
        })
        .collect();
    write_atomically(&directory.join(RUNNING_FILE), &json!({ "nodes": nodes }))
}

/// Removes `dev.json`, if it is there.
pub(super) fn remove_running(directory: &Path) {
    drop(std::fs::remove_file(directory.join(RUNNING_FILE)));
}

/// A reader sees the whole file or none: it is written beside its place and renamed.
fn write_atomically(path: &Path, value: &Value) -> anyhow::Result<()> {
    let beside = path.with_extension("json.part");
    std::fs::write(&beside, format!("{value}\n"))
        .and_then(|()| std::fs::rename(&beside, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_the_shape_of_its_first_cluster() {
        let directory = tempfile::tempdir().unwrap();
        let settle = |nodes, port| Shape::settle(directory.path(), nodes, port);
        let shape = Shape { nodes: 5, http_port: 9086 };
        assert_eq!(settle(Some(5), Some(9086)).unwrap(), shape);
        assert_eq!(settle(None, None).unwrap(), shape);
        assert_eq!(settle(Some(5), None).unwrap(), shape);
        let text = settle(Some(3), None).unwrap_err().to_string();
        assert!(text.contains("--nodes 5, not 3"), "{text}");
        assert!(settle(None, Some(8086)).is_err());
    }

    #[test]
    fn dev_json_names_every_node() {
        let directory = tempfile::tempdir().unwrap();
        let nodes = super::super::ports::layout(2, 8086).unwrap();
        let running: Vec<(u32, &NodeAddresses)> =
            nodes.iter().map(|node| (40 + u32::from(node.id), node)).collect();
        write_running(directory.path(), &running).unwrap();
        let text = std::fs::read_to_string(directory.path().join("dev.json")).unwrap();
        let expected = concat!(
            r#"{"nodes":[{"id":1,"pid":41,"http":"127.0.0.1:8086","admin":"127.0.0.1:8083","peer":"127.0.0.1:8088"},"#,
            r#"{"id":2,"pid":42,"http":"127.0.0.1:8096","admin":"127.0.0.1:8093","peer":"127.0.0.1:8098"}]}"#,
            "\n"
        );
        assert_eq!(text, expected);
        remove_running(directory.path());
        assert!(!directory.path().join("dev.json").exists());
    }
}
