//! Members, what they do, and where replicas are.

use super::DecodeError;
use super::catalog::{node_from_wire, node_to_wire};
use crate::catalog as wire;
use crate::catalog::membership_command::Command as Wire;
use model::catalog::{Duty, MembershipCommand};
use model::{GroupId, NodeId};
use std::collections::BTreeMap;

pub(super) fn to_wire(command: &MembershipCommand) -> wire::MembershipCommand {
    let command = match command {
        MembershipCommand::Invite { address, may_join } => {
            Wire::Invite(wire::Invite { address: address.clone(), may_join: *may_join })
        }
        MembershipCommand::AddNode { info, invited_only, feature_level } => {
            let node = Some(node_to_wire(NodeId(0), info));
            let feature_level = *feature_level;
            Wire::AddNode(wire::AddNode { node, invited_only: *invited_only, feature_level })
        }
        MembershipCommand::SetDuty { id, duty } => {
            Wire::SetDuty(wire::SetDuty { id: id.0, duty: u32::from(duty.code()) })
        }
        MembershipCommand::SetReplicas { group, from, to } => {
            Wire::SetReplicas(wire::SetReplicas { group: group.0, from: numbers(from), to: numbers(to) })
        }
        MembershipCommand::SetFactor { factor } => Wire::SetFactor(wire::SetFactor { factor: *factor }),
        MembershipCommand::SetGoal { goal } => Wire::SetGoal(wire::SetGoal { goal: groups_to_wire(goal) }),
        MembershipCommand::RaiseLevel { level } => Wire::RaiseLevel(wire::RaiseLevel { level: *level }),
    };
    wire::MembershipCommand { command: Some(command) }
}

pub(super) fn from_wire(command: wire::MembershipCommand) -> Result<MembershipCommand, DecodeError> {
    Ok(match command.command.ok_or(DecodeError::Missing("a known command"))? {
        Wire::Invite(c) => MembershipCommand::Invite { address: c.address, may_join: c.may_join },
        Wire::AddNode(c) => {
            let (_, info) = node_from_wire(c.node.ok_or(DecodeError::Missing("a node"))?);
            let (invited_only, feature_level) = (c.invited_only, c.feature_level);
            MembershipCommand::AddNode { info, invited_only, feature_level }
        }
        Wire::SetDuty(c) => MembershipCommand::SetDuty { id: NodeId(c.id), duty: duty(c.duty)? },
        Wire::SetReplicas(c) => {
            MembershipCommand::SetReplicas { group: GroupId(c.group), from: ids(c.from), to: ids(c.to) }
        }
        Wire::SetFactor(c) => MembershipCommand::SetFactor { factor: c.factor },
        Wire::SetGoal(c) => MembershipCommand::SetGoal { goal: groups_from_wire(c.goal) },
        Wire::RaiseLevel(c) => MembershipCommand::RaiseLevel { level: c.level },
    })
}

pub(super) fn groups_to_wire(groups: &BTreeMap<GroupId, Vec<NodeId>>) -> Vec<wire::GroupReplicas> {
    let group = |(group, nodes): (&GroupId, &Vec<NodeId>)| wire::GroupReplicas {
        group: group.0,
        nodes: numbers(nodes),
    };
    groups.iter().map(group).collect()
}

pub(super) fn groups_from_wire(groups: Vec<wire::GroupReplicas>) -> BTreeMap<GroupId, Vec<NodeId>> {
    groups.into_iter().map(|group| (GroupId(group.group), ids(group.nodes))).collect()
}

pub(super) fn duties_to_wire(duties: &BTreeMap<NodeId, Duty>) -> Vec<wire::NodeDuty> {
    duties.iter().map(|(id, duty)| wire::NodeDuty { node: id.0, duty: u32::from(duty.code()) }).collect()
}

pub(super) fn duties_from_wire(duties: Vec<wire::NodeDuty>) -> Result<BTreeMap<NodeId, Duty>, DecodeError> {
    duties.into_iter().map(|entry| Ok((NodeId(entry.node), duty(entry.duty)?))).collect()
}

fn duty(code: u32) -> Result<Duty, DecodeError> {
    let duty = u8::try_from(code).ok().and_then(Duty::from_code);
    duty.ok_or(DecodeError::Missing("a known duty"))
}

fn numbers(nodes: &[NodeId]) -> Vec<u64> {
    nodes.iter().map(|node| node.0).collect()
}

fn ids(nodes: Vec<u64>) -> Vec<NodeId> {
    nodes.into_iter().map(NodeId).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::command::tests::{any_name, any_node};
    use super::*;
    use proptest::prelude::*;

    fn any_ids() -> impl Strategy<Value = Vec<NodeId>> {
        proptest::collection::btree_set(0u64..5, 0..4).prop_map(|set| set.into_iter().map(NodeId).collect())
    }

    pub(in crate::convert) fn any_groups() -> impl Strategy<Value = BTreeMap<GroupId, Vec<NodeId>>> {
        let groups = proptest::collection::btree_map(0u32..9, any_ids(), 0..4);
        groups.prop_map(|groups| groups.into_iter().map(|(id, nodes)| (GroupId(id), nodes)).collect())
    }

    pub(in crate::convert) fn any_membership_command() -> impl Strategy<Value = MembershipCommand> {
        prop_oneof![
            (any_name(), any::<bool>())
                .prop_map(|(address, may_join)| MembershipCommand::Invite { address, may_join }),
            (any_node(), any::<bool>(), 0u32..9).prop_map(|((_, info), invited_only, feature_level)| {
                MembershipCommand::AddNode { info, invited_only, feature_level }
            }),
            (0u64..5, 0u8..3).prop_map(|(id, code)| MembershipCommand::SetDuty {
                id: NodeId(id),
                duty: Duty::from_code(code).unwrap(),
            }),
            (0u32..9, any_ids(), any_ids()).prop_map(|(group, from, to)| MembershipCommand::SetReplicas {
                group: GroupId(group),
                from,
                to,
            }),
            (0u32..6).prop_map(|factor| MembershipCommand::SetFactor { factor }),
            any_groups().prop_map(|goal| MembershipCommand::SetGoal { goal }),
            (0u32..9).prop_map(|level| MembershipCommand::RaiseLevel { level }),
        ]
    }
}
