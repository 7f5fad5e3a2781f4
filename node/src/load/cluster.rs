//! The simulated Kubernetes cluster: its nodes, pods and containers, with Heapster's tags, and what one scrape of it
//! writes.

mod workloads;

use super::metrics::{Kind, Needs, Profile, Target, Track, measurements, tracks};
use super::random::Random;
use super::sender::Batch;
use crate::cli::LoadArgs;
use std::fmt::Write;
use workloads::{NAMESPACES, SYSTEM_CONTAINERS, WORKLOADS, Workload};

/// A cluster whose values move and whose pods come and go; the same seed gives the same one.
#[derive(Debug)]
pub(super) struct Cluster {
    name: String,
    node_names: Vec<String>,
    /// Cluster, namespaces, nodes, system containers: they stay.
    fixed: Vec<Entity>,
    pods: Vec<Pod>,
    random: Random,
    series_written: u64,
}

#[derive(Debug)]
struct Pod {
    workload: &'static Workload,
    /// The pod itself and its containers.
    entities: Vec<Entity>,
}

/// All that carries one set of tags.
#[derive(Debug)]
struct Entity {
    series: Vec<Series>,
}

#[derive(Debug)]
struct Series {
    /// Measurement and the line up to the `=`.
    point: Option<(Target, String)>,
    rate: Option<(Target, String)>,
    track: Track,
    point_written: bool,
    rate_written: bool,
}

impl Cluster {
    pub(super) fn new(args: &LoadArgs) -> Self {
        let mut cluster = Self {
            name: args.cluster_name.clone(),
            node_names: (1..=args.nodes).map(|n| format!("node-{n:02}.sim.internal")).collect(),
            fixed: Vec::new(),
            pods: Vec::new(),
            random: Random::new(args.seed),
            series_written: 0,
        };
        cluster.fixed.push(cluster_entity(&cluster.name, Kind::Cluster, &[], &mut cluster.random));
        for namespace in NAMESPACES {
            let tags = [("namespace_name", (*namespace).to_owned())];
            cluster.fixed.push(cluster_entity(&cluster.name, Kind::Namespace, &tags, &mut cluster.random));
        }
        for node in cluster.node_names.clone() {
            cluster.add_node(&node);
        }
        for n in 0..args.pods {
            let workload = &WORKLOADS[n as usize % WORKLOADS.len()];
            let pod = cluster.new_pod(workload);
            cluster.pods.push(pod);
        }
        cluster
    }

    fn add_node(&mut self, node: &str) {
        let labels = format!(
            "beta.kubernetes.io/arch:amd64,beta.kubernetes.io/instance-type:n1-standard-16,beta.kubernetes.io/os:linux,\
             failure-domain.beta.kubernetes.io/zone:europe-west1-b,kubernetes.io/hostname:{node}"
        );
        let tags = [("nodename", node.to_owned()), ("labels", labels)];
        let profile =
            Profile { kind: Kind::Node, file_systems: vec!["/".to_owned()], has: vec![Needs::Network] };
        self.fixed.push(Entity::new(&self.name, &profile, &tags, &mut self.random));
        for container in SYSTEM_CONTAINERS {
            let tags = [("nodename", node.to_owned()), ("container_name", (*container).to_owned())];
            self.fixed.push(cluster_entity(&self.name, Kind::SystemContainer, &tags, &mut self.random));
        }
    }

    fn new_pod(&mut self, workload: &'static Workload) -> Pod {
        let random = &mut self.random;
        let node = self.node_names[random.below(self.node_names.len())].clone();
        let app = workload.app;
        let hash = 1_000_000_000 + random.below(3_000_000_000);
        let labels =
            format!("app:{app},pod-template-hash:{hash},tier:{},version:{}", workload.tier, workload.version);
        let pod_tags = [
            ("nodename", node),
            ("namespace_name", workload.namespace.to_owned()),
            ("pod_name", format!("{app}-{hash}-{}", random.suffix(5))),
            ("labels", labels),
        ];
        let volumes = (0..workload.volumes).map(|_| format!("Volume:default-token-{}", random.suffix(5)));
        let mut has = workload.has.to_vec();
        let profile = Profile { kind: Kind::Pod, file_systems: volumes.collect(), has: has.clone() };
        let mut entities = vec![Entity::new(&self.name, &profile, &pod_tags, random)];
        has.retain(|needs| *needs != Needs::Network);
        let file_systems = vec!["/".to_owned(), "logs".to_owned()];
        let profile = Profile { kind: Kind::Container, file_systems, has };
        for (container, image) in workload.containers {
            let mut tags = pod_tags.to_vec();
            tags.push(("container_name", (*container).to_owned()));
            tags.push(("container_base_image", (*image).to_owned()));
            entities.push(Entity::new(&self.name, &profile, &tags, random));
        }
        Pod { workload, entities }
    }

    /// Points of a scrape that is not the first one.
    pub(super) fn points_per_scrape(&self) -> u64 {
        let series = self.entities().flat_map(|entity| &entity.series);
        series.map(|s| u64::from(s.point.is_some()) + u64::from(s.rate.is_some())).sum()
    }

    /// Series that had a point so far, those of replaced pods included.
    pub(super) fn series_written(&self) -> u64 {
        self.series_written
    }

    fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.fixed.iter().chain(self.pods.iter().flat_map(|pod| &pod.entities))
    }

    /// The requests of one scrape. The points of an entity stand together; entities and their points are in random order,
    /// as Heapster walks its maps.
    pub(super) fn scrape(&mut self, ns: i64, args: &LoadArgs) -> Vec<Batch> {
        let Self { fixed, pods, random, .. } = self;
        let mut entities: Vec<&mut Entity> = fixed.iter_mut().collect();
        entities.extend(pods.iter_mut().flat_map(|pod| &mut pod.entities));
        random.shuffle(&mut entities);
        let mut batches = Batches::new(args);
        for entity in entities {
            random.shuffle(&mut entity.series);
            for series in &mut entity.series {
                let value = series.track.value.now();
                self.series_written +=
                    batches.add(series.point.as_ref(), value, ns, &mut series.point_written);
                if let Some(per_second) = series.track.value.per_second() {
                    let integer = series.rate.as_ref().is_some_and(|(target, _)| target.integer);
                    // The only integer rate is that of CPU time in ns, written in thousandths of a core.
                    let rate = if integer { per_second / 1e6 } else { per_second };
                    self.series_written +=
                        batches.add(series.rate.as_ref(), rate, ns, &mut series.rate_written);
                }
            }
        }
        batches.finish()
    }

    /// Lets the values move and replaces a part of the pods.
    pub(super) fn step(&mut self, interval_s: f64, churn: f64) {
        let Self { fixed, pods, random, .. } = self;
        let entities = fixed.iter_mut().chain(pods.iter_mut().flat_map(|pod| &mut pod.entities));
        for series in entities.flat_map(|entity| &mut entity.series) {
            series.track.value.step(interval_s, random);
        }
        for i in 0..self.pods.len() {
            if self.random.unit() < churn {
                let mut pod = self.new_pod(self.pods[i].workload);
                for series in pod.entities.iter_mut().flat_map(|entity| &mut entity.series) {
                    series.track.value.start_over();
                }
                self.pods[i] = pod;
            }
        }
    }
}

/// An entity with neither file systems nor anything special.
fn cluster_entity(cluster: &str, kind: Kind, tags: &[(&str, String)], random: &mut Random) -> Entity {
    Entity::new(cluster, &Profile { kind, file_systems: Vec::new(), has: Vec::new() }, tags, random)
}

impl Entity {
    fn new(cluster: &str, profile: &Profile, tags: &[(&str, String)], random: &mut Random) -> Self {
        let series = tracks(profile, random).into_iter().map(|track| {
            let mut tags = tags.to_vec();
            tags.push(("cluster_name", cluster.to_owned()));
            tags.push(("type", profile.kind.tag().to_owned()));
            if let Some(resource) = &track.resource_id {
                tags.push(("resource_id", resource.clone()));
            }
            if track.gpu {
                let gpu = [("make", "nvidia"), ("model", "Tesla K80"), ("accelerator_id", "GPU-0b7c")];
                tags.extend(gpu.map(|(key, value)| (key, value.to_owned())));
            }
            tags.sort_unstable();
            let key = |target: Target| (target, head(target.name, &tags));
            let (point, rate) = (track.point.map(key), track.rate.map(key));
            Series { point, rate, track, point_written: false, rate_written: false }
        });
        Self { series: series.collect() }
    }
}

/// `measurement,tags value=` in line protocol.
fn head(measurement: &str, tags: &[(&str, String)]) -> String {
    let mut head = measurement.to_owned();
    for (key, value) in tags {
        head.push(',');
        head.push_str(key);
        head.push('=');
        for c in value.chars() {
            if matches!(c, ',' | ' ' | '=') {
                head.push('\\');
            }
            head.push(c);
        }
    }
    head.push_str(" value=");
    head
}

/// Collects lines into bodies of a largest number of lines.
struct Batches {
    full: Vec<Batch>,
    body: String,
    lines: u32,
    lines_max: u32,
    counts: Vec<u64>,
    target: String,
    auth: String,
}

impl Batches {
    fn new(args: &LoadArgs) -> Self {
        let target =
            format!("/write?consistency=&db={}&precision=&rp=default", super::sender::form_encoded(&args.db));
        let counts = vec![0; measurements().len()];
        let auth = args.auth.clone();
        Self { full: Vec::new(), body: String::new(), lines: 0, lines_max: args.batch, counts, target, auth }
    }

    /// Writes a point if there is a place for it; returns 1 if it is the first one of its series.
    fn add(&mut self, place: Option<&(Target, String)>, value: f64, ns: i64, written: &mut bool) -> u64 {
        let Some((target, head)) = place else { return 0 };
        self.body.push_str(head);
        let written_out = if target.integer {
            writeln!(self.body, "{}i {ns}", value.round() as i64)
        } else {
            writeln!(self.body, "{value} {ns}")
        };
        debug_assert!(written_out.is_ok(), "writing to a string");
        self.counts[target.measurement] += 1;
        self.lines += 1;
        if self.lines == self.lines_max {
            self.cut();
        }
        u64::from(!std::mem::replace(written, true))
    }

    fn cut(&mut self) {
        let body = std::mem::take(&mut self.body);
        let counts = std::mem::replace(&mut self.counts, vec![0; measurements().len()]);
        self.full.push(Batch::write(&self.target, &self.auth, body, u64::from(self.lines), counts));
        self.lines = 0;
    }

    fn finish(mut self) -> Vec<Batch> {
        if self.lines > 0 {
            self.cut();
        }
        self.full
    }
}

#[cfg(test)]
mod tests;
