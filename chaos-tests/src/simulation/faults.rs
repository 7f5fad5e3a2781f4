//! Faults, composed at random: what breaks, when, for how long, and how it is mended.

use super::network::{Network, Weather};
use super::node::SimulatedNode;
use super::verdict::Effects;
use super::watch::{Watch, leading, unrest};
use super::world::World;
use crate::workload::random::Random;
use std::sync::Arc;
use std::time::Duration;

/// The wall clock of a node jumps this far at most, s.
const JUMP_MAX_S: u64 = 7_200;

/// What a fault works on.
#[derive(Debug)]
pub struct Scene<'a> {
    /// All nodes.
    pub nodes: &'a mut [SimulatedNode],
    /// Between them.
    pub network: &'a Network,
    /// Around them.
    pub world: &'a World,
    /// What has been seen.
    pub watch: &'a mut Watch,
    /// What took effect.
    pub effects: &'a mut Effects,
}

/// Chooses the faults of one run.
#[derive(Debug)]
pub struct Faults {
    random: Random,
    next_at: u64,
    /// When each node that was crashed starts again, ms.
    restarts: Vec<Option<u64>>,
    links_whole_at: Option<u64>,
    calm_at: Option<u64>,
    fast_at: Vec<Option<u64>>,
    may_replace: bool,
    keep_identity: bool,
}

impl Faults {
    /// The faults of a seed. `keep_identity`: a lost volume keeps the identity that it must not keep.
    pub fn new(seed: u64, nodes: usize, keep_identity: bool) -> Self {
        let mut random = Random::new(seed ^ 0x6661_756c_7473_0000);
        let may_replace = random.chance(40);
        Self {
            random,
            next_at: 0,
            restarts: vec![None; nodes],
            links_whole_at: None,
            calm_at: None,
            fast_at: vec![None; nodes],
            may_replace,
            keep_identity,
        }
    }

    /// Mends what is due to be mended, and breaks something if it is time.
    pub fn act(&mut self, scene: &mut Scene<'_>) {
        self.mend(scene);
        let now = scene.world.now();
        if now < self.next_at {
            return;
        }
        self.next_at = now + 300 + self.random.below(2_500);
        scene.effects.count("faults");
        match self.random.below(100) {
            0..20 => self.crash_one(scene),
            20..24 => self.crash_all(scene),
            24..36 => self.pause(scene),
            36..56 => self.partition(scene),
            56..68 => self.weather(scene),
            68..74 => self.jump(scene),
            74..84 => self.slow(scene),
            84..94 => self.transfer(scene),
            _ => self.replace(scene),
        }
    }

    fn note(scene: &Scene<'_>, text: &str) {
        scene.world.trace().event(scene.world.now(), || format!("FAULT {text}"));
    }

    fn mend(&mut self, scene: &mut Scene<'_>) {
        let now = scene.world.now();
        for place in 0..scene.nodes.len() {
            if self.restarts[place].is_some_and(|at| now >= at) {
                self.restarts[place] = None;
                Self::note(scene, &format!("node {place} starts"));
                scene.nodes[place].start();
            }
            if self.fast_at[place].is_some_and(|at| now >= at) {
                self.fast_at[place] = None;
                scene.world.slow_disk(place, 0);
            }
        }
        if self.links_whole_at.is_some_and(|at| now >= at) {
            self.links_whole_at = None;
            Self::note(scene, "links are whole");
            scene.network.heal();
        }
        if self.calm_at.is_some_and(|at| now >= at) {
            self.calm_at = None;
            scene.network.set_weather(Weather::default());
        }
    }

    /// Ends all faults.
    pub fn end(&mut self, scene: &mut Scene<'_>) {
        let now = scene.world.now();
        Self::note(scene, "all faults end");
        for at in self.restarts.iter_mut().chain(&mut self.fast_at) {
            *at = at.map(|_| now);
        }
        (self.links_whole_at, self.calm_at) = (Some(now), Some(now));
        for node in scene.nodes.iter_mut() {
            node.paused_until = node.paused_until.min(now);
        }
        self.mend(scene);
    }

    fn some_node(&mut self, scene: &Scene<'_>) -> usize {
        self.random.below(scene.nodes.len() as u64) as usize
    }

    fn crash_one(&mut self, scene: &mut Scene<'_>) {
        let place = self.some_node(scene);
        let outage = if self.random.chance(30) { 50 } else { 500 + self.random.below(8_000) };
        self.crash(scene, place, outage);
    }

    fn crash_all(&mut self, scene: &mut Scene<'_>) {
        let mut any = false;
        for place in 0..scene.nodes.len() {
            any |= scene.nodes[place].is_up();
            let outage = 100 + self.random.below(3_000);
            self.crash(scene, place, outage);
        }
        scene.effects.add("power_losses_of_all", u64::from(any));
    }

    fn crash(&mut self, scene: &mut Scene<'_>, place: usize, outage: u64) {
        if !scene.nodes[place].is_up() {
            return;
        }
        let led = leading(scene.nodes).contains(&place);
        let lost = scene.nodes[place].crash();
        scene.world.forget_process(place);
        scene.watch.forget(place);
        Self::note(scene, &format!("node {place} crashes for {outage} ms and loses {lost} bytes"));
        scene.effects.count("crashes");
        scene.effects.add("crashes_of_leaders", u64::from(led));
        scene.effects.add("bytes_lost_unsynced", lost);
        self.restarts[place] = Some(scene.world.now() + outage);
    }

    fn pause(&mut self, scene: &mut Scene<'_>) {
        let place = self.some_node(scene);
        if scene.nodes[place].running().is_none() {
            return;
        }
        let led = leading(scene.nodes).contains(&place);
        let ms = 300 + self.random.below(6_000);
        Self::note(scene, &format!("node {place} hangs for {ms} ms"));
        scene.nodes[place].paused_until = scene.world.now() + ms;
        scene.effects.count("pauses");
        scene.effects.add("pauses_of_leaders", u64::from(led));
    }

    fn partition(&mut self, scene: &mut Scene<'_>) {
        if scene.network.is_cut() {
            return;
        }
        let count = scene.nodes.len();
        let (one, way) = (self.some_node(scene), self.random.below(3));
        let others: Vec<usize> = (0..count).filter(|other| *other != one).collect();
        let what = match way {
            0 => {
                for other in &others {
                    scene.network.cut(one, *other);
                    scene.network.cut(*other, one);
                }
                "partitions"
            }
            1 => {
                for other in &others {
                    let (from, to) = if self.random.chance(50) { (one, *other) } else { (*other, one) };
                    scene.network.cut(from, to);
                }
                "one_way_partitions"
            }
            _ => {
                // All but one are cut in two halves, and both reach that one.
                let (left, right) = others.split_at(others.len() / 2);
                for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b))) {
                    scene.network.cut(a, b);
                    scene.network.cut(b, a);
                }
                "bridges"
            }
        };
        let ms = 500 + self.random.below(8_000);
        Self::note(scene, &format!("{what} at node {one} for {ms} ms"));
        scene.effects.count(what);
        self.links_whole_at = Some(scene.world.now() + ms);
    }

    fn weather(&mut self, scene: &mut Scene<'_>) {
        let loss = if self.random.chance(60) { self.random.below(40) } else { 0 };
        let doubled = if self.random.chance(60) { self.random.below(40) } else { 0 };
        let late_ms = if self.random.chance(60) { self.random.below(1_500) } else { 0 };
        let weather = Weather { loss, doubled, late_ms };
        Self::note(scene, &format!("{weather:?}"));
        scene.network.set_weather(weather);
        self.calm_at = Some(scene.world.now() + 500 + self.random.below(6_000));
    }

    fn jump(&mut self, scene: &mut Scene<'_>) {
        let place = self.some_node(scene);
        let by = self.random.between(-(JUMP_MAX_S as i64), JUMP_MAX_S as i64);
        Self::note(scene, &format!("the clock of node {place} is {by} s wrong"));
        scene.nodes[place].clock.jump(by * 1_000_000_000);
        scene.world.wrong_clock(place, by * 1_000_000_000);
        scene.effects.count("clock_jumps");
    }

    fn slow(&mut self, scene: &mut Scene<'_>) {
        let place = self.some_node(scene);
        let up_to = 20 + self.random.below(600);
        Self::note(scene, &format!("the disk of node {place} takes up to {up_to} ms"));
        scene.world.slow_disk(place, up_to);
        self.fast_at[place] = Some(scene.world.now() + 500 + self.random.below(6_000));
    }

    fn transfer(&mut self, scene: &mut Scene<'_>) {
        let led: Vec<usize> = leading(scene.nodes).into_iter().collect();
        let Some(place) = led.get(self.random.below(led.len().max(1) as u64) as usize) else { return };
        let pick = self.random.next_u64() as usize;
        let chosen = scene.nodes[*place].look(|embedded| {
            let host = embedded.host()?;
            let groups: Vec<_> = host.groups().into_iter().filter(|group| group.is_leader()).collect();
            let group = Arc::clone(groups.get(pick % groups.len().max(1))?);
            let voters = group.status().voters;
            let others: Vec<_> = voters.into_iter().filter(|id| *id != host.node()).collect();
            let to = *others.get(pick / 7 % others.len().max(1))?;
            Some((group, to))
        });
        let Some(Some((group, to))) = chosen else { return };
        Self::note(scene, &format!("node {place} hands group {} to node id {to}", group.id()));
        let (world, transfers) = (scene.world.clone(), scene.world.transfers());
        scene.nodes[*place].spawn(async move {
            let given = group.transfer_leader(to, Duration::from_secs(3)).await;
            world.trace().event(world.now(), || format!("handed over: {}", given.is_ok()));
            transfers.fetch_add(u64::from(given.is_ok()), std::sync::atomic::Ordering::Relaxed);
        });
    }

    /// Loses a volume for good, once a run and only when everybody else has everything: more would be no minority.
    fn replace(&mut self, scene: &mut Scene<'_>) {
        if !self.may_replace || unrest(scene.nodes).is_some() || scene.network.is_cut() {
            return;
        }
        self.may_replace = false;
        let place = self.some_node(scene);
        let outage = 300 + self.random.below(4_000);
        self.crash(scene, place, outage);
        Self::note(scene, &format!("the volume of node {place} is lost"));
        scene.nodes[place].wipe(self.keep_identity);
        scene.effects.count("volumes_lost");
    }
}
