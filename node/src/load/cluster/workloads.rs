//! What runs in the simulated cluster. Pods are dealt out over this list in turn.

use crate::load::metrics::Needs;

/// A deployment whose pods look alike.
#[derive(Debug)]
pub(super) struct Workload {
    pub(super) namespace: &'static str,
    pub(super) app: &'static str,
    pub(super) tier: &'static str,
    pub(super) version: &'static str,
    /// Name and image.
    pub(super) containers: &'static [(&'static str, &'static str)],
    pub(super) volumes: u32,
    pub(super) has: &'static [Needs],
}

pub(super) static NAMESPACES: &[&str] = &["default", "kube-system", "shop", "payments", "search", "batch"];

/// Cgroups outside of pods, on every node.
pub(super) static SYSTEM_CONTAINERS: &[&str] = &["kubelet", "docker-daemon", "system", "pods"];

const NETWORK: &[Needs] = &[Needs::Network];

const fn app(
    namespace: &'static str,
    app: &'static str,
    tier: &'static str,
    containers: &'static [(&'static str, &'static str)],
) -> Workload {
    Workload { namespace, app, tier, version: "v1.12.3", containers, volumes: 1, has: NETWORK }
}

pub(super) static WORKLOADS: &[Workload] = &[
    app(
        "shop",
        "storefront",
        "frontend",
        &[("storefront", "registry.example.com:5000/shop/storefront:v4.2.0")],
    ),
    app("shop", "basket", "backend", &[("basket", "registry.example.com:5000/shop/basket:2.11.7")]),
    app(
        "kube-system",
        "kube-dns",
        "system",
        &[
            ("kubedns", "k8s.gcr.io/k8s-dns-kube-dns-amd64:1.14.10"),
            ("dnsmasq", "k8s.gcr.io/k8s-dns-dnsmasq-nanny-amd64:1.14.10"),
            ("sidecar", "k8s.gcr.io/k8s-dns-sidecar-amd64:1.14.10"),
        ],
    ),
    Workload {
        has: &[Needs::Network, Needs::Custom],
        ..app(
            "payments",
            "ledger",
            "backend",
            &[("ledger", "registry.example.com:5000/payments/ledger@sha256:5be1c20f77aa")],
        )
    },
    Workload {
        has: &[],
        ..app("kube-system", "kube-proxy", "system", &[("kube-proxy", "k8s.gcr.io/kube-proxy:v1.10.2")])
    },
    Workload {
        volumes: 2,
        ..app("search", "index", "data", &[("index", "registry.example.com:5000/search/index:build-902")])
    },
    app("default", "postgres", "data", &[("postgres", "postgres:9.6.9")]),
    app("batch", "nightly-export", "internal", &[("export", "registry.example.com:5000/batch/export:31")]),
    Workload {
        has: &[Needs::Network, Needs::Gpu],
        ..app("search", "ranking", "internal", &[("trainer", "nvcr.io/nvidia/tensorflow:18.05-py3")])
    },
    app(
        "shop",
        "images",
        "backend",
        &[("resize", "quay.io/example/resize:1.0.4"), ("cache", "memcached:1.5.7")],
    ),
    app("kube-system", "heapster", "system", &[("heapster", "k8s.gcr.io/heapster-amd64:v1.5.3")]),
    app(
        "payments",
        "gateway",
        "frontend",
        &[("gateway", "registry.example.com:5000/payments/gateway:v0.9.1")],
    ),
];
