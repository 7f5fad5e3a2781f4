//! The entities Heapster measures in one minute, and their values.

use crate::workload::random::{fraction, hash};
use std::collections::BTreeMap;

/// One node, pod, container, namespace or the cluster at one minute.
pub(super) struct Entity {
    /// Tags but `cluster_name`, which all have.
    pub(super) tags: Vec<(&'static str, String)>,
    /// Metric → value.
    pub(super) metrics: BTreeMap<&'static str, f64>,
    /// Metrics of one file system: metric, `resource_id`, value.
    pub(super) filesystems: Vec<(&'static str, &'static str, f64)>,
}

/// Where a pod runs and what it is called.
pub(super) struct Pod {
    pub(super) node: &'static str,
    pub(super) namespace: &'static str,
    pub(super) app: &'static str,
    pub(super) name: String,
    labels: String,
}

const NODES: [&str; 4] =
    ["kubernetes-minion-hly9", "kubernetes-minion-kmin", "kubernetes-minion-kx0d", "kubernetes-minion-uzqs"];
const APPS: [(&str, &[&str]); 4] = [
    ("kube-system", &["kube-proxy", "heapster-v19", "kube-dns-v10"]),
    ("default", &["frontend", "redis-master", "redis-slave", "guestbook", "web-api"]),
    ("monitoring", &["monitoring-grafana", "monitoring-influxdb"]),
    ("team-a", &["batch", "worker"]),
];
/// Metrics of a container and their size.
const GAUGES: [(&str, f64); 8] = [
    ("cpu/usage_rate", 25.0),
    ("memory/usage", 60e6),
    ("memory/working_set", 45e6),
    ("memory/rss", 30e6),
    ("memory/cache", 12e6),
    ("memory/page_faults_rate", 3.5),
    ("memory/major_page_faults_rate", 0.01),
    ("filesystem/usage", 2.1e6),
];
const LIMITS: [(&str, f64); 4] =
    [("cpu/request", 50.0), ("cpu/limit", 200.0), ("memory/request", 64e6), ("memory/limit", 256e6)];
const ALLOCATABLE_CPU: f64 = 3_920.0;
const ALLOCATABLE_MEMORY: f64 = 15.2e9;
/// Counters count from here: five days before the end. Sums of older counters have more digits than a float, and then
/// their differences depend on the order in which a server adds them up.
const START_S: i64 = super::END_S - 5 * 86_400;

/// All pods, node by node.
pub(super) fn pods() -> Vec<Pod> {
    let mut pods = Vec::new();
    for node in NODES {
        for (namespace, apps) in APPS {
            for (i, app) in apps.iter().copied().enumerate() {
                let name = format!("{app}-{:05x}", hash(&[node, app]) >> 44);
                let labels = format!("k8s-app:{app},version:v{}", 1 + i % 3);
                pods.push(Pod { node, namespace, app, name, labels });
            }
        }
    }
    pods
}

/// A smooth wave between 0.6 and 1.4 with some noise, by time and names.
fn wave(time: i64, names: &[&str]) -> f64 {
    let minute = time.to_string();
    let noise = fraction(&[names, &[minute.as_str()]].concat());
    1.0 + 0.3 * (time as f64 / 1_800.0 + std::f64::consts::TAU * fraction(names)).sin()
        + 0.1 * (noise * 2.0 - 1.0)
}

fn add(sum: &mut BTreeMap<&'static str, f64>, values: &BTreeMap<&'static str, f64>) {
    for (metric, value) in values {
        *sum.entry(metric).or_default() += value;
    }
}

/// The metrics of `values` without those of file systems, which carry a `resource_id`.
fn without_filesystems(values: &BTreeMap<&'static str, f64>) -> BTreeMap<&'static str, f64> {
    values.iter().filter(|(metric, _)| !metric.starts_with("filesystem")).map(|(m, v)| (*m, *v)).collect()
}

fn age_ms(time: i64, name: &str) -> f64 {
    ((time - START_S) as f64 - (4e5 * fraction(&[name])).trunc()) * 1_000.0
}

/// All entities at `time` (seconds).
pub(super) fn entities(time: i64) -> Vec<Entity> {
    let age = (time - START_S) as f64;
    let mut entities = Vec::new();
    let mut nodes: BTreeMap<&str, BTreeMap<&'static str, f64>> = BTreeMap::new();
    let mut namespaces = nodes.clone();
    let mut cluster = BTreeMap::new();
    for pod in pods() {
        let mut sum = BTreeMap::new();
        for container in [pod.app, "sidecar"] {
            let values = container_values(time, &pod.name, container);
            add(&mut sum, &values);
            entities.push(container_entity(time, &pod, container, &values));
        }
        for (rate, total, errors, errors_rate, size) in [
            ("network/rx_rate", "network/rx", "network/rx_errors", "network/rx_errors_rate", 4_000.0),
            ("network/tx_rate", "network/tx", "network/tx_errors", "network/tx_errors_rate", 2_500.0),
        ] {
            let size = size * (1.0 + 2.0 * fraction(&[&pod.name, rate]));
            sum.insert(rate, size * wave(time, &[&pod.name, rate]));
            sum.insert(total, age * size);
            sum.insert(errors, 0.0);
            sum.insert(errors_rate, 0.0);
        }
        add(nodes.entry(pod.node).or_default(), &sum);
        add(namespaces.entry(pod.namespace).or_default(), &sum);
        add(&mut cluster, &sum);
        entities.push(pod_entity(time, &pod, &sum));
    }
    for (node, sum) in &nodes {
        entities.push(node_entity(time, node, sum));
        entities.extend(["kubelet", "docker-daemon", "pods"].map(|name| system_entity(time, node, name)));
    }
    for (namespace, sum) in &namespaces {
        let tags = vec![("type", "ns".to_owned()), ("namespace_name", (*namespace).to_owned())];
        entities.push(Entity { tags, metrics: cpu_and_memory(sum), filesystems: Vec::new() });
    }
    let tags = vec![("type", "cluster".to_owned())];
    entities.push(Entity { tags, metrics: cpu_and_memory(&cluster), filesystems: Vec::new() });
    entities
}

fn cpu_and_memory(sum: &BTreeMap<&'static str, f64>) -> BTreeMap<&'static str, f64> {
    sum.iter()
        .filter(|(m, _)| m.starts_with("cpu/") || m.starts_with("memory/"))
        .map(|(m, v)| (*m, *v))
        .collect()
}

fn container_values(time: i64, pod: &str, container: &str) -> BTreeMap<&'static str, f64> {
    let age = (time - START_S) as f64;
    let mut values = BTreeMap::new();
    for (metric, size) in GAUGES {
        let size = size * (1.0 + 3.0 * fraction(&[pod, container, metric]));
        values.insert(metric, size * wave(time, &[pod, container, metric]));
    }
    for (metric, size) in LIMITS {
        let doubled = fraction(&[pod, container, metric]) > 0.5;
        values.insert(metric, if doubled { 2.0 * size } else { size });
    }
    values.insert("cpu/usage", age * 25e6 * (1.0 + 3.0 * fraction(&[pod, container])));
    values.insert("memory/page_faults", age * 3.5);
    values.insert("memory/major_page_faults", age * 0.01);
    values
}

fn container_entity(time: i64, pod: &Pod, container: &str, values: &BTreeMap<&'static str, f64>) -> Entity {
    let mut metrics = without_filesystems(values);
    metrics.insert("uptime", age_ms(time, &pod.name));
    metrics.insert("restart_count", (3.0 * fraction(&[&pod.name, container])).trunc());
    let used = values.get("filesystem/usage").copied().unwrap_or_default();
    let tags = vec![
        ("type", "pod_container".to_owned()),
        ("nodename", pod.node.to_owned()),
        ("namespace_name", pod.namespace.to_owned()),
        ("pod_name", pod.name.clone()),
        ("container_name", container.to_owned()),
        ("container_base_image", format!("gcr.io/google_containers/{container}:v1")),
        ("labels", pod.labels.clone()),
    ];
    let filesystems = vec![("filesystem/usage", "/", used), ("filesystem/usage", "logs", used / 10.0)];
    Entity { tags, metrics, filesystems }
}

fn pod_entity(time: i64, pod: &Pod, sum: &BTreeMap<&'static str, f64>) -> Entity {
    let mut metrics = without_filesystems(sum);
    metrics.insert("uptime", age_ms(time, &pod.name));
    let used = sum.get("filesystem/usage").copied().unwrap_or_default();
    let tags = vec![
        ("type", "pod".to_owned()),
        ("nodename", pod.node.to_owned()),
        ("namespace_name", pod.namespace.to_owned()),
        ("pod_name", pod.name.clone()),
        ("labels", pod.labels.clone()),
    ];
    Entity {
        tags,
        metrics,
        filesystems: vec![("filesystem/usage", "/", used), ("filesystem/limit", "/", 10e9)],
    }
}

fn node_entity(time: i64, node: &str, sum: &BTreeMap<&'static str, f64>) -> Entity {
    let mut metrics = without_filesystems(sum);
    let of = |metric: &str| sum.get(metric).copied().unwrap_or_default();
    metrics.insert("cpu/node_capacity", 4_000.0);
    metrics.insert("cpu/node_allocatable", ALLOCATABLE_CPU);
    metrics.insert("cpu/node_utilization", of("cpu/usage_rate") / ALLOCATABLE_CPU);
    metrics.insert("cpu/node_reservation", of("cpu/request") / ALLOCATABLE_CPU);
    metrics.insert("memory/node_capacity", 15.7e9);
    metrics.insert("memory/node_allocatable", ALLOCATABLE_MEMORY);
    metrics.insert("memory/node_utilization", of("memory/working_set") / ALLOCATABLE_MEMORY);
    metrics.insert("memory/node_reservation", of("memory/request") / ALLOCATABLE_MEMORY);
    metrics.insert("uptime", (time - START_S) as f64 * 1_000.0);
    let mut filesystems = Vec::new();
    for disk in ["/dev/sda1", "/dev/sda2"] {
        let used = 20e9 * (1.0 + fraction(&[node, disk])) * wave(time, &[node, disk]);
        filesystems.extend([
            ("filesystem/usage", disk, used),
            ("filesystem/limit", disk, 100e9),
            ("filesystem/available", disk, 100e9 - used),
            ("filesystem/inodes", disk, 6.5e6),
            ("filesystem/inodes_free", disk, 6.1e6),
        ]);
    }
    let tags = vec![
        ("type", "node".to_owned()),
        ("nodename", node.to_owned()),
        ("labels", format!("beta.kubernetes.io/arch:amd64,kubernetes.io/hostname:{node}")),
        ("schedulable", "true".to_owned()),
    ];
    Entity { tags, metrics, filesystems }
}

fn system_entity(time: i64, node: &str, name: &str) -> Entity {
    let age = (time - START_S) as f64;
    let metrics = BTreeMap::from([
        ("cpu/usage_rate", 30.0 * wave(time, &[node, name])),
        ("cpu/usage", age * 3e7),
        ("memory/usage", 90e6 * wave(time, &[node, name, "usage"])),
        ("memory/working_set", 80e6 * wave(time, &[node, name, "working_set"])),
        ("uptime", age * 1_000.0),
    ]);
    let tags = vec![
        ("type", "sys_container".to_owned()),
        ("nodename", node.to_owned()),
        ("container_name", name.to_owned()),
    ];
    Entity { tags, metrics, filesystems: Vec::new() }
}
