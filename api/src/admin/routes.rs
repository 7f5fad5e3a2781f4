//! The table of the admin API: what is answered where. The served description of the API is compared with it.

use super::orders::{self, Given};
use crate::error::Failure;
use crate::operator::Order;

/// One method of one path.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: &'static str,
    /// Segments in braces stand for anything.
    pub(super) path: &'static str,
    pub(super) call: Call,
}

/// What answers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call {
    Live,
    Ready,
    Started,
    Metrics,
    Description,
    Cluster,
    Checksum,
    Order(fn(&Given<'_>) -> Result<Order, Failure>),
}

const fn get(path: &'static str, call: Call) -> Route {
    Route { method: "GET", path, call }
}

const fn order(
    method: &'static str,
    path: &'static str,
    make: fn(&Given<'_>) -> Result<Order, Failure>,
) -> Route {
    Route { method, path, call: Call::Order(make) }
}

pub(super) const ROUTES: &[Route] = &[
    get("/livez", Call::Live),
    get("/readyz", Call::Ready),
    get("/startupz", Call::Started),
    get("/metrics", Call::Metrics),
    get("/admin/v1/openapi.json", Call::Description),
    get("/admin/v1/cluster", Call::Cluster),
    Route { method: "POST", path: "/admin/v1/checksum", call: Call::Checksum },
    order("GET", "/admin/v1/nodes", |_| Ok(Order::Nodes)),
    order("GET", "/admin/v1/nodes/{node}", |given| Ok(Order::Node(given.id(0)?))),
    order("DELETE", "/admin/v1/nodes/{node}", orders::remove),
    order("POST", "/admin/v1/nodes/{node}/drain", |given| Ok(Order::Drain(given.id(0)?))),
    order("POST", "/admin/v1/nodes/{node}/undrain", |given| Ok(Order::Undrain(given.id(0)?))),
    order("PUT", "/admin/v1/announced/{address}", |given| Ok(Order::Announce(given.address(0)?))),
    order("DELETE", "/admin/v1/announced/{address}", |given| Ok(Order::Withdraw(given.address(0)?))),
    order("GET", "/admin/v1/groups", |_| Ok(Order::Groups)),
    order("GET", "/admin/v1/groups/{group}", |given| Ok(Order::Group(given.group(0)?))),
    order("PUT", "/admin/v1/groups/{group}/leader/{node}", orders::transfer_leader),
    order("POST", "/admin/v1/groups/{group}/move/{from}/{to}", orders::move_replica),
    order("PUT", "/admin/v1/replication-factor/{factor}", orders::set_factor),
    order("GET", "/admin/v1/rebalance", |_| Ok(Order::PlanRebalance)),
    order("POST", "/admin/v1/rebalance", |_| Ok(Order::Rebalance)),
    order("DELETE", "/admin/v1/rebalance", |_| Ok(Order::CancelRebalance)),
    order("GET", "/admin/v1/moves", |_| Ok(Order::Moves)),
    order("GET", "/admin/v1/events", |_| Ok(Order::Events)),
];

/// The segments of `path` that stand in braces in `template`; `None` if it is another path.
pub(super) fn captured<'a>(template: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut captured = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(captured),
            (Some(name), Some(segment)) if name.starts_with('{') && !segment.is_empty() => {
                captured.push(segment);
            }
            (Some(name), Some(segment)) if name == segment => {}
            _ => return None,
        }
    }
}

/// The methods of a path, with commas between them; `None` if there is no such path.
pub(super) fn methods(path: &str) -> Option<String> {
    let mut methods: Vec<&str> = Vec::new();
    for route in ROUTES.iter().filter(|route| captured(route.path, path).is_some()) {
        methods.push(route.method);
        if route.method == "GET" {
            methods.push("HEAD");
        }
    }
    (!methods.is_empty()).then(|| methods.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn paths_are_found_with_what_stands_in_their_braces() {
        let path = "/admin/v1/groups/{group}/leader/{node}";
        assert_eq!(captured(path, "/admin/v1/groups/3/leader/2"), Some(vec!["3", "2"]));
        for other in
            ["/admin/v1/groups/3/leader", "/admin/v1/groups//leader/2", "/admin/v1/groups/3/leader/2/"]
        {
            assert_eq!(captured(path, other), None, "{other}");
        }
        assert_eq!(methods("/admin/v1/rebalance").as_deref(), Some("GET, HEAD, POST, DELETE"));
        assert_eq!(methods("/admin/v1/other"), None);
    }

    #[test]
    fn the_description_has_exactly_these_routes() {
        let description: serde_json::Value = serde_json::from_str(super::super::DESCRIPTION).unwrap();
        let mut described = BTreeSet::new();
        for (path, methods) in description["paths"].as_object().unwrap() {
            for (method, operation) in
                methods.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters")
            {
                assert!(operation["summary"].is_string(), "{method} {path} has no summary");
                assert!(operation["responses"].is_object(), "{method} {path} has no responses");
                described.insert((method.to_uppercase(), path.clone()));
            }
            let named: BTreeSet<&str> =
                path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')).collect();
            let parameters = methods["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
            let told: BTreeSet<&str> = parameters.iter().filter_map(|p| p["name"].as_str()).collect();
            assert_eq!(told, named, "{path}");
        }
        let routes: BTreeSet<_> =
            ROUTES.iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
        assert_eq!(described, routes);
    }
}
