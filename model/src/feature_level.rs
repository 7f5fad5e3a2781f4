//! Feature levels: what a version of this program writes for others to read, and what it can read itself.
//!
//! A cluster writes at one level, which its catalog names. It is raised when every member can read the next one, so that a
//! rolling upgrade never shows a node what it cannot read, and is never lowered. A node that knows less than its cluster
//! writes, or than its own disk holds, is refused with the reason.

/// The newest level this version knows. One more whenever something new is written to logs, states, snapshots or other nodes
/// that earlier versions cannot read.
///
/// 1: everything before there were levels. 2: write batches whose shard groups are counted from the year 1, see
/// [`crate::batch`].
pub const FEATURE_LEVEL: u32 = 2;

/// From this level on new shard groups are counted from the year 1.
pub const SHARD_GROUPS_FROM_YEAR_ONE: u32 = 2;

/// The level of somebody who says `told`; those from before there were levels say 0.
pub fn level_told(told: u32) -> u32 {
    told.max(1)
}

/// Why somebody who knows levels up to `known` cannot take part where `written` is written.
pub fn too_old(known: u32, written: u32) -> Option<String> {
    (known < written).then(|| {
        format!(
            "it knows feature levels up to {known}, and the cluster writes level {written}; start the version that the \
             other nodes run, or a newer one"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_less_is_too_old() {
        assert_eq!(too_old(level_told(0), 1), None);
        assert_eq!(too_old(2, 1), None);
        assert!(too_old(1, 2).is_some_and(|reason| reason.contains("up to 1") && reason.contains("level 2")));
    }
}
