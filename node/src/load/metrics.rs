//! The metrics Heapster writes with its kubelet summary source: which kind of entity has which, and how their values
//! move. One table; everything else follows from it.

use super::random::Random;

/// What a point is about: the tag `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Cluster,
    Namespace,
    Node,
    SystemContainer,
    Pod,
    Container,
}

impl Kind {
    /// The value of the tag `type`.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Namespace => "ns",
            Self::Node => "node",
            Self::SystemContainer => "sys_container",
            Self::Pod => "pod",
            Self::Container => "pod_container",
        }
    }

    /// How much larger its values are than those of one container.
    fn scale(self) -> f64 {
        match self {
            Self::Cluster => 70.0,
            Self::Namespace => 11.0,
            Self::Node => 14.0,
            Self::SystemContainer => 0.4,
            Self::Pod => 1.1,
            Self::Container => 1.0,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// How a value moves from scrape to scrape; the numbers are for one container.
#[derive(Debug, Clone, Copy)]
enum Motion {
    /// Stays what it was at first.
    Constant(f64),
    /// Grows by about so much a second.
    Counter(f64),
    /// Wanders around this value, in steps of the second number.
    Gauge(f64, f64),
    /// A part of one, wanders.
    Fraction,
    /// Milliseconds since the start.
    Uptime,
}

/// What a metric is repeated for within one entity: the tag `resource_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    /// Not at all.
    None,
    /// Every file system the entity has.
    FileSystems,
}

/// Which entities of a kind have a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// All of them.
    Nothing,
    /// Those with a network of their own.
    Network,
    /// Those with a GPU.
    Gpu,
    /// Those whose program exports metrics of its own.
    Custom,
}

#[derive(Debug)]
struct Metric {
    name: &'static str,
    kinds: u8,
    integer: bool,
    motion: Motion,
    resource: Resource,
    needs: Needs,
    /// Name, kinds and integer of the rate that Heapster derives from a counter.
    rate: Option<(&'static str, u8, bool)>,
}

const N: u8 = Kind::Node.bit();
const P: u8 = Kind::Pod.bit();
const C: u8 = Kind::Container.bit();
const S: u8 = Kind::SystemContainer.bit();
const ALL: u8 = N | P | C | S | Kind::Namespace.bit() | Kind::Cluster.bit();
const NOT_SYSTEM: u8 = ALL & !S;

const fn metric(name: &'static str, kinds: u8, integer: bool, motion: Motion) -> Metric {
    Metric { name, kinds, integer, motion, resource: Resource::None, needs: Needs::Nothing, rate: None }
}

const fn int(name: &'static str, kinds: u8, motion: Motion) -> Metric {
    metric(name, kinds, true, motion)
}

const fn float(name: &'static str, kinds: u8, motion: Motion) -> Metric {
    metric(name, kinds, false, motion)
}

impl Metric {
    const fn per_file_system(self) -> Self {
        Self { resource: Resource::FileSystems, ..self }
    }

    const fn needs(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }

    /// A float rate a second for the same kinds.
    const fn with_rate(self, name: &'static str) -> Self {
        Self { rate: Some((name, self.kinds, false)), ..self }
    }
}

const GIB: f64 = (1_u64 << 30) as f64;
const MIB: f64 = (1_u64 << 20) as f64;
const PAGE: f64 = 4096.0;

static METRICS: &[Metric] = &[
    Metric {
        rate: Some(("cpu/usage_rate", ALL, true)),
        ..int("cpu/usage", N | P | C | S, Motion::Counter(1.2e8))
    },
    int("cpu/request", NOT_SYSTEM, Motion::Constant(100.0)),
    int("cpu/limit", NOT_SYSTEM, Motion::Constant(500.0)),
    float("cpu/node_capacity", N, Motion::Constant(1_150.0)),
    float("cpu/node_allocatable", N, Motion::Constant(1_140.0)),
    float("cpu/node_utilization", N, Motion::Fraction),
    float("cpu/node_reservation", N, Motion::Fraction),
    int("memory/usage", ALL, Motion::Gauge(420.0 * MIB, PAGE)),
    int("memory/rss", N | P | C | S, Motion::Gauge(310.0 * MIB, PAGE)),
    int("memory/working_set", N | P | C | S, Motion::Gauge(350.0 * MIB, PAGE)),
    int("memory/page_faults", N | P | C | S, Motion::Counter(40.0)).with_rate("memory/page_faults_rate"),
    int("memory/major_page_faults", N | P | C | S, Motion::Counter(0.02))
        .with_rate("memory/major_page_faults_rate"),
    int("memory/request", NOT_SYSTEM, Motion::Constant(256.0 * MIB)),
    int("memory/limit", NOT_SYSTEM, Motion::Constant(512.0 * MIB)),
    float("memory/node_capacity", N, Motion::Constant(4.5 * GIB)),
    float("memory/node_allocatable", N, Motion::Constant(4.4 * GIB)),
    float("memory/node_utilization", N, Motion::Fraction),
    float("memory/node_reservation", N, Motion::Fraction),
    int("ephemeral_storage/usage", N | P | C, Motion::Gauge(60.0 * MIB, PAGE)),
    int("ephemeral_storage/request", N | P | C, Motion::Constant(0.0)),
    int("ephemeral_storage/limit", N | P | C, Motion::Constant(0.0)),
    float("ephemeral_storage/node_capacity", N, Motion::Constant(7.0 * GIB)),
    float("ephemeral_storage/node_allocatable", N, Motion::Constant(6.5 * GIB)),
    float("ephemeral_storage/node_utilization", N, Motion::Fraction),
    float("ephemeral_storage/node_reservation", N, Motion::Constant(0.0)),
    int("network/rx", N | P, Motion::Counter(9_000.0)).with_rate("network/rx_rate").needs(Needs::Network),
    int("network/rx_errors", N | P, Motion::Counter(0.001))
        .with_rate("network/rx_errors_rate")
        .needs(Needs::Network),
    int("network/tx", N | P, Motion::Counter(12_000.0)).with_rate("network/tx_rate").needs(Needs::Network),
    int("network/tx_errors", N | P, Motion::Counter(0.001))
        .with_rate("network/tx_errors_rate")
        .needs(Needs::Network),
    int("filesystem/usage", N | P | C, Motion::Gauge(80.0 * MIB, PAGE)).per_file_system(),
    int("filesystem/limit", N | P | C, Motion::Constant(98.0 * GIB)).per_file_system(),
    int("filesystem/available", N | P | C, Motion::Gauge(60.0 * GIB, PAGE)).per_file_system(),
    int("filesystem/inodes", N | P | C, Motion::Constant(6_553_600.0)).per_file_system(),
    int("filesystem/inodes_free", N | P | C, Motion::Gauge(6_200_000.0, 1.0)).per_file_system(),
    int("uptime", N | P | C | S, Motion::Uptime),
    int("restart_count", P | C, Motion::Constant(0.0)),
    int("accelerator/memory_total", C, Motion::Constant(12.0 * GIB)).needs(Needs::Gpu),
    int("accelerator/memory_used", C, Motion::Gauge(7.0 * GIB, MIB)).needs(Needs::Gpu),
    int("accelerator/duty_cycle", C, Motion::Gauge(55.0, 1.0)).needs(Needs::Gpu),
    int("nvidia.com/gpu/request", P | C, Motion::Constant(1.0)).needs(Needs::Gpu),
    float("custom/queue_length", P | C, Motion::Gauge(20.0, 1.0)).needs(Needs::Custom),
    float("custom/requests_total", P | C, Motion::Counter(35.0)).needs(Needs::Custom),
];

/// Every measurement, rates included; a point names its measurement by its place here.
pub(super) fn measurements() -> Vec<&'static str> {
    METRICS.iter().flat_map(|m| std::iter::once(m.name).chain(m.rate.map(|(name, _, _)| name))).collect()
}

/// What decides which series an entity has.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) kind: Kind,
    /// Values of `resource_id`.
    pub(super) file_systems: Vec<String>,
    pub(super) has: Vec<Needs>,
}

/// A measurement an entity writes to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// Place in [`measurements`].
    pub(super) measurement: usize,
    pub(super) name: &'static str,
    pub(super) integer: bool,
}

/// One value of an entity and where it is written: as itself, as its rate, or both.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) point: Option<Target>,
    pub(super) rate: Option<Target>,
    pub(super) resource_id: Option<String>,
    /// Whether its points carry the tags of a GPU.
    pub(super) gpu: bool,
    pub(super) value: Value,
}

/// All values an entity has, as they are at its start.
pub(super) fn tracks(profile: &Profile, random: &mut Random) -> Vec<Track> {
    let mut tracks = Vec::new();
    let mut next = 0;
    for metric in METRICS {
        let measurement = next;
        next += 1 + usize::from(metric.rate.is_some());
        let written = |kinds: u8| kinds & profile.kind.bit() != 0;
        let target = |name, integer, measurement| Target { measurement, name, integer };
        let point = written(metric.kinds).then(|| target(metric.name, metric.integer, measurement));
        let rate = metric.rate.filter(|(_, kinds, _)| written(*kinds));
        let rate = rate.map(|(name, _, integer)| target(name, integer, measurement + 1));
        let has = metric.needs == Needs::Nothing || profile.has.contains(&metric.needs);
        if !has || (point.is_none() && rate.is_none()) {
            continue;
        }
        let resources: Vec<Option<String>> = match metric.resource {
            Resource::None => vec![None],
            Resource::FileSystems => profile.file_systems.iter().cloned().map(Some).collect(),
        };
        for resource_id in resources {
            let value = Value::new(metric.motion, profile.kind.scale(), random);
            let gpu = metric.name.starts_with("accelerator/");
            tracks.push(Track { point, rate, resource_id, gpu, value });
        }
    }
    tracks
}

/// A value that moves.
#[derive(Debug)]
pub(super) struct Value {
    motion: Motion,
    now: f64,
    scale: f64,
    /// Growth over the last interval, a second; none before the second scrape, as for Heapster.
    per_second: Option<f64>,
}

impl Value {
    fn new(motion: Motion, scale: f64, random: &mut Random) -> Self {
        let scale = scale * random.between(0.5, 1.5);
        let now = match motion {
            Motion::Constant(number) => (number * scale).round(),
            Motion::Gauge(number, quantum) => (number * scale / quantum).round() * quantum,
            Motion::Fraction => random.between(0.05, 0.6),
            // A program that has been running for a while; a replaced pod is reset to zero.
            Motion::Counter(number) => (number * scale * 50_000.0 * random.unit()).floor(),
            Motion::Uptime => (random.unit() * 4.0e8).floor(),
        };
        Self { motion, now, scale, per_second: None }
    }

    /// What counts starts at zero again: its program has just been started.
    pub(super) fn start_over(&mut self) {
        if matches!(self.motion, Motion::Counter(_) | Motion::Uptime) {
            self.now = 0.0;
        }
    }

    pub(super) fn now(&self) -> f64 {
        self.now
    }

    pub(super) fn per_second(&self) -> Option<f64> {
        self.per_second
    }

    /// Goes on by one interval.
    pub(super) fn step(&mut self, interval_s: f64, random: &mut Random) {
        match self.motion {
            Motion::Constant(_) => {}
            Motion::Counter(number) => {
                let expected = number * self.scale * interval_s * random.between(0.3, 1.7);
                // The fraction decides by chance, so that rare events happen at all.
                let growth = (expected + random.unit()).floor();
                self.now += growth;
                self.per_second = Some(growth / interval_s);
            }
            Motion::Gauge(number, quantum) => {
                let home = number * self.scale;
                let moved = self.now + (home - self.now) * 0.02 + home * random.between(-0.02, 0.02);
                self.now = (moved / quantum).round().max(0.0) * quantum;
            }
            Motion::Fraction => {
                self.now = (self.now + random.between(-0.02, 0.02)).clamp(0.01, 0.99);
            }
            Motion::Uptime => self.now += (interval_s * 1000.0 + random.between(-4.0, 4.0)).round().max(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_has_as_many_series_as_heapster_gives_it() {
        let mut random = Random::new(1);
        let mut count = |kind, has: &[Needs], file_systems: &[&str]| {
            let file_systems = file_systems.iter().map(|&f| f.to_owned()).collect();
            let profile = Profile { kind, file_systems, has: has.to_vec() };
            let tracks = tracks(&profile, &mut random);
            (
                tracks.iter().filter(|t| t.point.is_some()).count(),
                tracks.iter().filter(|t| t.rate.is_some()).count(),
            )
        };
        assert_eq!(count(Kind::Cluster, &[], &[]), (5, 1));
        assert_eq!(count(Kind::Namespace, &[], &[]), (5, 1));
        assert_eq!(count(Kind::SystemContainer, &[], &[]), (7, 3));
        assert_eq!(count(Kind::Container, &[], &["/", "logs"]), (25, 3));
        assert_eq!(count(Kind::Pod, &[Needs::Network], &["Volume:a"]), (24, 7));
        assert_eq!(count(Kind::Node, &[Needs::Network], &["/"]), (35, 7));
    }

    #[test]
    fn the_metric_set_is_the_one_of_a_small_cluster() {
        let names = measurements();
        assert_eq!(names.len(), 49);
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
    }

    #[test]
    fn counters_never_fall_and_rates_follow_them() {
        let mut random = Random::new(7);
        let mut value = Value::new(Motion::Counter(0.02), 1.0, &mut random);
        assert_eq!(value.per_second(), None);
        let mut grown = 0.0;
        for _ in 0..1000 {
            let before = value.now();
            value.step(10.0, &mut random);
            assert_eq!(value.per_second(), Some((value.now() - before) / 10.0));
            grown += value.now() - before;
        }
        assert!(grown > 50.0, "rare events happen: {grown}");
    }
}
