//! Entities as line protocol, in Heapster's two schemas.

use super::entity::{Entity, entities, pods};
use crate::workload::random::hash;
use std::collections::BTreeMap;

/// Metrics that Heapster sends as floats.
const FLOATS: [&str; 16] = [
    "memory/page_faults_rate",
    "memory/major_page_faults_rate",
    "cpu/node_capacity",
    "cpu/node_allocatable",
    "cpu/node_utilization",
    "cpu/node_reservation",
    "memory/node_capacity",
    "memory/node_allocatable",
    "memory/node_utilization",
    "memory/node_reservation",
    "network/rx_rate",
    "network/tx_rate",
    "network/rx_errors_rate",
    "network/tx_errors_rate",
    "network/rx_errors_total",
    "network/tx_errors_total",
];

/// Lines of one minute with one measurement a metric and the field `value`; events every tenth minute.
pub fn value_lines(time: i64) -> Vec<String> {
    let mut lines = Vec::new();
    for entity in entities(time) {
        let tags = tag_text(&entity.tags, None);
        for (metric, value) in &entity.metrics {
            lines.push(format!("{metric}{tags} value={} {time}000000000", number(metric, *value)));
        }
        for (metric, disk, value) in &entity.filesystems {
            let tags = tag_text(&entity.tags, Some(disk));
            lines.push(format!("{metric}{tags} value={} {time}000000000", number(metric, *value)));
        }
    }
    lines.extend(event(time).map(|event| event.value_line(time)));
    lines
}

/// The same minute with one measurement a group of metrics, the rest of the metric's name being the field.
pub fn fields_lines(time: i64) -> Vec<String> {
    let mut lines: Vec<String> = entities(time).iter().flat_map(|entity| grouped(entity, time)).collect();
    lines.extend(event(time).map(|event| event.fields_line(time)));
    lines
}

fn grouped(entity: &Entity, time: i64) -> Vec<String> {
    let mut groups: BTreeMap<(&str, Option<&str>), Vec<String>> = BTreeMap::new();
    let plain = entity.metrics.iter().map(|(metric, value)| (*metric, None, *value));
    let disks = entity.filesystems.iter().map(|(metric, disk, value)| (*metric, Some(*disk), *value));
    for (metric, disk, value) in plain.chain(disks) {
        let (measurement, field) = metric.split_once('/').unwrap_or((metric, "value"));
        groups.entry((measurement, disk)).or_default().push(format!("{field}={}", number(metric, value)));
    }
    let line = |((measurement, disk), fields): (&(&str, Option<&str>), &Vec<String>)| {
        format!("{measurement}{} {} {time}000000000", tag_text(&entity.tags, *disk), fields.join(","))
    };
    groups.iter().map(line).collect()
}

fn number(metric: &str, value: f64) -> String {
    if FLOATS.contains(&metric) { value.to_string() } else { format!("{}i", value as i64) }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=").replace(' ', "\\ ")
}

fn tag_text(tags: &[(&str, String)], disk: Option<&str>) -> String {
    let mut sorted: Vec<(&str, &str)> = tags.iter().map(|(key, value)| (*key, value.as_str())).collect();
    sorted.push(("cluster_name", "default"));
    sorted.extend(disk.map(|disk| ("resource_id", disk)));
    sorted.sort_unstable();
    let texts: Vec<String> = sorted.iter().map(|(key, value)| format!(",{key}={}", escape(value))).collect();
    texts.concat()
}

/// One Kubernetes event.
struct Event {
    pod: String,
    node: &'static str,
    namespace: &'static str,
    reason: &'static str,
    uid: String,
}

/// The event of this minute: every tenth has one.
fn event(time: i64) -> Option<Event> {
    let number = usize::try_from(time / 600).ok().filter(|_| time % 600 == 0)?;
    let mut pods = pods();
    let pod = pods.swap_remove(number % pods.len());
    let reason = ["Started", "Killing", "Unhealthy", "Pulled"][number % 4];
    let uid = format!("{:016x}{:016x}", hash(&["uid", &time.to_string()]), hash(&[&pod.name]));
    Some(Event { pod: pod.name, node: pod.node, namespace: pod.namespace, reason, uid })
}

impl Event {
    fn kind(&self) -> &'static str {
        if self.reason == "Unhealthy" { "Warning" } else { "Normal" }
    }

    /// The event as indented JSON in a string field: newlines and quotes inside of a value.
    fn value_line(&self, time: i64) -> String {
        let Self { pod, node, namespace, reason, uid } = self;
        let json = format!(
            "{{\n \"metadata\": {{\n  \"name\": \"{pod}.{}\",\n  \"namespace\": \"{namespace}\"\n }},\n \
             \"reason\": \"{reason}\",\n \"message\": \"{reason} container \\\"{pod}\\\"\",\n \"type\": \"{}\"\n}}",
            &uid[..12],
            self.kind()
        );
        let text = json.replace('\\', "\\\\").replace('"', "\\\"");
        format!(
            "log/events,cluster_name=default,hostname={node},pod_id={uid},pod_name={pod},uid={uid} value=\"{text}\" \
             {time}000000000"
        )
    }

    fn fields_line(&self, time: i64) -> String {
        let Self { pod, node, namespace, reason, uid } = self;
        let kind = self.kind();
        format!(
            "events,cluster_name=default,component=kubelet,hostname={node},kind=Pod,namespace_name={namespace},\
             object_name={pod},pod_id={uid},reason={reason},type={kind},uid={uid} \
             message=\"{reason} container {pod}\" {time}000000000"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_the_shape_of_a_scrape() {
        let time = super::super::END_S;
        let lines = value_lines(time);
        assert!((2_500..4_000).contains(&lines.len()), "{} lines", lines.len());
        assert_eq!(lines, value_lines(time));
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("cpu/usage_rate,cluster_name=default,type=cluster value="))
        );
        assert!(fields_lines(time).len() < lines.len() / 2);
        assert!(value_lines(1_760_000_400).iter().any(|line| line.starts_with("log/events,")));
    }
}
