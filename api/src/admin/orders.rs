//! Requests about nodes, groups and replicas, as orders to the coordinator.

use crate::error::Failure;
use crate::operator::Order;
use std::str::FromStr;

/// What a request says beside its method and path.
#[derive(Debug)]
pub(super) struct Given<'a> {
    /// What stands in the path where its template has braces.
    pub(super) captured: Vec<&'a str>,
    /// What follows the question mark.
    pub(super) query: &'a str,
}

impl Given<'_> {
    fn number<T: FromStr>(&self, place: usize, what: &str) -> Result<T, Failure> {
        let text = self.captured.get(place).copied().unwrap_or_default();
        text.parse().map_err(|_| Failure::bad_request(format!("{text:?} is no {what}")))
    }

    /// A node id in the path.
    pub(super) fn id(&self, place: usize) -> Result<u64, Failure> {
        self.number(place, "node id")
    }

    /// A group id in the path.
    pub(super) fn group(&self, place: usize) -> Result<u32, Failure> {
        self.number(place, "group id")
    }

    /// A peer address in the path.
    pub(super) fn address(&self, place: usize) -> Result<String, Failure> {
        let text = self.captured.get(place).copied().unwrap_or_default();
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
            _ => Err(Failure::bad_request(format!("{text:?} is no name:port"))),
        }
    }

    fn is_forced(&self) -> bool {
        self.query.split('&').any(|parameter| parameter == "force=true")
    }
}

pub(super) fn remove(given: &Given<'_>) -> Result<Order, Failure> {
    Ok(Order::Remove { node: given.id(0)?, force: given.is_forced() })
}

pub(super) fn transfer_leader(given: &Given<'_>) -> Result<Order, Failure> {
    Ok(Order::TransferLeader { group: given.group(0)?, to: given.id(1)? })
}

pub(super) fn move_replica(given: &Given<'_>) -> Result<Order, Failure> {
    Ok(Order::MoveReplica { group: given.group(0)?, from: given.id(1)?, to: given.id(2)? })
}

pub(super) fn set_factor(given: &Given<'_>) -> Result<Order, Failure> {
    Ok(Order::SetReplicationFactor(given.number(0, "replication factor")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given<'a>(captured: &[&'a str], query: &'a str) -> Given<'a> {
        Given { captured: captured.to_vec(), query }
    }

    #[test]
    fn a_path_becomes_an_order() {
        let forced = remove(&given(&["4"], "a=b&force=true")).unwrap();
        assert_eq!(forced, Order::Remove { node: 4, force: true });
        assert_eq!(remove(&given(&["4"], "force=yes")).unwrap(), Order::Remove { node: 4, force: false });
        let moved = move_replica(&given(&["1", "2", "3"], "")).unwrap();
        assert_eq!(moved, Order::MoveReplica { group: 1, from: 2, to: 3 });
        assert_eq!(set_factor(&given(&["x"], "")).unwrap_err().text, "\"x\" is no replication factor");
        assert_eq!(given(&["n4:8088"], "").address(0).unwrap(), "n4:8088");
        assert!(given(&["n4"], "").address(0).is_err());
    }
}
