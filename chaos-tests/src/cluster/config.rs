//! The configuration file of one node.

use crate::ports::free_port;
use std::collections::BTreeMap;
use std::path::Path;

/// The three addresses of a node.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    pub(super) http: String,
    pub(super) admin: String,
    pub(super) peer: String,
}

impl Addresses {
    /// Those of a node of 127.0.0.0/8 that are always the same.
    pub(super) fn fixed(net: &str, node: usize) -> Self {
        let address = |port: u16| format!("{net}.{node}:{port}");
        Self { http: address(28_086), admin: address(28_083), peer: address(28_088) }
    }

    /// Three free ports of 127.0.0.1.
    pub(super) fn free() -> Self {
        let address = || format!("127.0.0.1:{}", free_port());
        Self { http: address(), admin: address(), peer: address() }
    }
}

impl From<[String; 3]> for Addresses {
    fn from([http, admin, peer]: [String; 3]) -> Self {
        Self { http, admin, peer }
    }
}

/// The TOML file of the node with the addresses `own` among `all`; `extra` are `section.key` and a TOML value.
pub(super) fn render(own: &Addresses, all: &[Addresses], data: &Path, extra: &[(&str, String)]) -> String {
    let quoted = |text: &str| format!("{text:?}");
    let peers: Vec<String> = all.iter().map(|node| quoted(&node.peer)).collect();
    let mut values = vec![
        ("node.data_dir", quoted(&data.display().to_string())),
        ("node.http_addr", quoted(&own.http)),
        ("node.admin_addr", quoted(&own.admin)),
        ("node.peer_addr", quoted(&own.peer)),
        ("node.peers", format!("[{}]", peers.join(", "))),
    ];
    values.extend_from_slice(extra);
    let mut sections: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in values {
        let Some((section, key)) = name.split_once('.') else { panic!("{name} is not section.key") };
        sections.entry(section).or_default().extend([key, " = ", &value, "\n"]);
    }
    let text: Vec<String> =
        sections.iter().map(|(section, lines)| format!("[{section}]\n{lines}\n")).collect();
    text.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_in_their_sections() {
        let text = render(
            &Addresses { http: "h:1".into(), admin: "a:2".into(), peer: "p:3".into() },
            &[Addresses { http: String::new(), admin: String::new(), peer: "p:3".into() }],
            Path::new("/d"),
            &[("raft.groups", "4".to_owned()), ("node.advertise_http", "\"x:1\"".to_owned())],
        );
        assert!(text.starts_with("[node]\ndata_dir = \"/d\"\nhttp_addr = \"h:1\"\n"));
        assert!(text.contains("peers = [\"p:3\"]\nadvertise_http = \"x:1\"\n"));
        assert!(text.ends_with("[raft]\ngroups = 4\n\n"));
    }
}
