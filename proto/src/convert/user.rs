//! Users and subscriptions of the catalog.

use super::DecodeError;
use crate::catalog as wire;
use model::catalog::{Access, PasswordHash, Subscription, SubscriptionMode, User};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn user_to_wire(user: &User) -> wire::User {
    let access = user.access.iter().map(|(database, access)| wire::DatabaseAccess {
        database: database.to_string(),
        access: u32::from(access.code()),
    });
    wire::User {
        name: user.name.to_string(),
        hash: user.hash.text().to_owned(),
        admin: user.admin,
        access: access.collect(),
    }
}

pub(super) fn user_from_wire(user: wire::User) -> Result<User, DecodeError> {
    let databases = user.access.into_iter();
    let databases = databases.map(|d| Ok((Arc::from(d.database), access(d.access)?)));
    let databases: Result<BTreeMap<_, _>, DecodeError> = databases.collect();
    let hash = PasswordHash::new(&user.hash);
    Ok(User { name: Arc::from(user.name), hash, admin: user.admin, access: databases? })
}

/// What a user may do, by its number.
pub(super) fn access(code: u32) -> Result<Access, DecodeError> {
    u8::try_from(code).ok().and_then(Access::from_code).ok_or(DecodeError::Missing("a known privilege"))
}

pub(super) fn subscription_to_wire(subscription: &Subscription) -> wire::Subscription {
    wire::Subscription {
        name: subscription.name.to_string(),
        mode: u32::from(subscription.mode.code()),
        destinations: subscription.destinations.iter().map(ToString::to_string).collect(),
    }
}

pub(super) fn subscription_from_wire(subscription: wire::Subscription) -> Result<Subscription, DecodeError> {
    let mode = u8::try_from(subscription.mode).ok().and_then(SubscriptionMode::from_code);
    Ok(Subscription {
        name: Arc::from(subscription.name),
        mode: mode.ok_or(DecodeError::Missing("a known subscription mode"))?,
        destinations: subscription.destinations.into_iter().map(Arc::from).collect(),
    })
}
