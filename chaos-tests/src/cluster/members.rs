//! Nodes that join a running cluster, and orders to it by `steadfast ctl`.

use super::{Cluster, Node, Settings, config};
use crate::binary::steadfast;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// What `steadfast ctl` did.
#[derive(Debug)]
pub struct Told {
    /// Its exit code.
    pub code: i32,
    /// What it printed, as JSON.
    pub answer: Value,
    /// Why it failed.
    pub reason: String,
}

impl Cluster {
    /// A node that is no founder and does not run yet; its index.
    pub fn add_node(&mut self, settings: &Settings) -> usize {
        let index = self.nodes.len();
        let own = config::Addresses::free();
        let known = |node: &Node| [&node.http, &node.admin, &node.peer].map(String::clone).into();
        let members: Vec<config::Addresses> = self.nodes.iter().map(known).collect();
        let path = self.directory.path().join(format!("node-{index}.toml"));
        let data = self.data_directory(index);
        let text = config::render(&own, &members, &data, &settings.config);
        let written = std::fs::create_dir_all(&data).and_then(|()| std::fs::write(&path, text));
        assert!(written.is_ok(), "cannot write {}", path.display());
        let config::Addresses { http, admin, peer } = own;
        self.nodes.push(Node { http, admin, peer, config: path, process: None });
        index
    }

    /// Runs `steadfast ctl` against a node.
    pub fn ctl(&self, node: usize, arguments: &[&str]) -> Told {
        let mut command = Command::new(steadfast());
        command.arg("ctl").arg("--json").arg("--admin").arg(&self.nodes[node].admin).args(arguments);
        match command.output() {
            Ok(output) => Told {
                code: output.status.code().unwrap_or(-1),
                answer: serde_json::from_slice(&output.stdout).unwrap_or_default(),
                reason: String::from_utf8_lossy(&output.stderr).into_owned(),
            },
            Err(error) => panic!("steadfast ctl does not start: {error}"),
        }
    }

    /// The same, which must do it.
    #[track_caller]
    pub fn order(&self, node: usize, arguments: &[&str]) -> Value {
        let told = self.ctl(node, arguments);
        assert!(told.code == 0, "{arguments:?}: exit code {}: {}", told.code, told.reason);
        told.answer
    }

    /// The voters of every group as their leaders know them, as `asked` hears; `None` unless every group has a leader and
    /// nobody follows without a vote.
    pub fn voters_of_groups(&self, asked: usize) -> Option<Vec<(u64, BTreeSet<u64>)>> {
        let status = self.status(asked)?;
        let of = |group: &Value| {
            let voters = group["voters"].as_array()?.iter().filter_map(Value::as_u64).collect();
            let settled = group["learners"].as_array()?.is_empty() || group["id"] == 0;
            settled.then_some((group["id"].as_u64()?, voters))
        };
        status["groups"].as_array()?.iter().map(of).collect()
    }
}
