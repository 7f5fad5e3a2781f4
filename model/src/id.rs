//! Identifiers, each its own type so that they cannot be mixed up. All are assigned by a replicated log and never
//! reused.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A node of the cluster. Given out by the meta group's log; a node that lost its volume gets a new one.
    NodeId(u64)
);
id!(
    /// A Raft group. 0 is the meta group, 1..=N hold points.
    GroupId(u32)
);
id!(
    /// A database, unique over the cluster's life: a dropped and re-created database has a new id.
    DatabaseId(u32)
);
id!(
    /// A retention policy of one database, unique over the cluster's life.
    RetentionPolicyId(u32)
);
id!(
    /// A series within one group, dense from 0. The same on every replica of the group, because the order of the
    /// log assigns it.
    SeriesId(u32)
);
id!(
    /// A (measurement, field) pair of one database, given out by the meta group together with its type.
    FieldId(u32)
);

impl GroupId {
    /// The group that holds the catalog.
    pub const META: Self = Self(0);

    /// Whether this is the meta group.
    pub fn is_meta(self) -> bool {
        self == Self::META
    }
}
