//! Which node listens where: node i (from 0) has HTTP on p+10i, admin on p−3+10i, peers on p+2+10i.

use anyhow::bail;
use std::net::TcpListener;

/// Where one node listens, and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeAddresses {
    /// From 1, in the order of the ports.
    pub(super) id: u16,
    pub(super) http: String,
    pub(super) admin: String,
    pub(super) peer: String,
}

/// The addresses of `nodes` nodes, the first one with HTTP on `http_port`.
pub(super) fn layout(nodes: u16, http_port: u16) -> anyhow::Result<Vec<NodeAddresses>> {
    let last = u32::from(http_port) + 2 + 10 * u32::from(nodes.saturating_sub(1));
    if http_port < 4 || last > u32::from(u16::MAX) {
        bail!(
            "--http-port {http_port} leaves no room for the ports of {nodes} nodes (from -3 to +{})",
            last - u32::from(http_port)
        );
    }
    let address = |port: u16| format!("127.0.0.1:{port}");
    let node = |i: u16| NodeAddresses {
        id: i + 1,
        http: address(http_port + 10 * i),
        admin: address(http_port - 3 + 10 * i),
        peer: address(http_port + 2 + 10 * i),
    };
    Ok((0..nodes).map(node).collect())
}

/// Refuses the first address somebody listens on. Another process may still take one before the nodes do; then the
/// node says so.
pub(super) fn check_free(addresses: &[NodeAddresses]) -> anyhow::Result<()> {
    for node in addresses {
        for (use_, address) in [("HTTP", &node.http), ("admin", &node.admin), ("peer", &node.peer)] {
            if let Err(error) = TcpListener::bind(address) {
                bail!(
                    "{address}, the {use_} port of node {}, is not free ({error}): stop who listens there or choose \
                     others with --http-port",
                    node.id
                );
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_node_is_twenty_ports_above_the_first() {
        let nodes = layout(3, 8086).unwrap();
        let third = NodeAddresses {
            id: 3,
            http: "127.0.0.1:8106".to_owned(),
            admin: "127.0.0.1:8103".to_owned(),
            peer: "127.0.0.1:8108".to_owned(),
        };
        assert_eq!(nodes.last(), Some(&third));
    }

    #[test]
    fn ports_end_at_65535() {
        assert!(layout(3, 65_513).is_ok());
        assert!(layout(3, 65_514).is_err());
        assert!(layout(1, 3).is_err());
    }

    #[test]
    fn a_taken_port_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let node = NodeAddresses {
            id: 2,
            http: "127.0.0.1:0".to_owned(),
            admin: address.clone(),
            peer: address.clone(),
        };
        let text = check_free(&[node]).unwrap_err().to_string();
        assert!(text.contains(&address) && text.contains("admin port of node 2"), "{text}");
    }
}
