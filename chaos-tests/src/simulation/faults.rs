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

/// What kind of faults a run has.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// The cluster is being founded: faults are short, and a volume may be lost at any moment.
    pub founding: bool,
    /// A bug put back: a lost volume keeps the identity that it must not keep.
    pub keep_identity: bool,
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
    /// Whether somebody is to crash when he has just given a vote; and who, and when.
    lies_in_wait: bool,
    ambushed: Option<(usize, u64)>,
    manner: Manner,
}

impl Faults {
    /// The faults of a seed.
    pub fn new(seed: u64, nodes: usize, manner: Manner) -> Self {
        let mut random = Random::new(seed ^ 0x6661_756c_7473_0000);
        let may_replace = manner.founding || random.chance(40);
        Self {
            random,
            next_at: 0,
            restarts: vec![None; nodes],
            links_whole_at: None,
            calm_at: None,
            fast_at: vec![None; nodes],
            may_replace,
            lies_in_wait: false,
            ambushed: None,
            manner,
        }
    }

    /// Lets the nodes start at different times, some of them at once.
    pub fn start_late(&mut self, effects: &mut Effects) {
        for at in &mut self.restarts {
            let late = if self.random.chance(30) { 0 } else { self.random.below(4_000) };
            effects.add("late_starts", u64::from(late > 0));
            *at = Some(late);
        }
    }

    /// How long something lasts, ms: shorter while a cluster is being founded, which takes seconds.
    fn long(&mut self, least: u64, more: u64) -> u64 {
        let ms = least + self.random.below(more);
        if self.manner.founding { ms / 3 } else { ms }
    }

    /// Mends what is due to be mended, and breaks something if it is time.
    pub fn act(&mut self, scene: &mut Scene<'_>) {
        self.mend(scene);
        self.ambush(scene);
        let now = scene.world.now();
        if now < self.next_at {
            return;
        }
        self.next_at = now + self.long(300, 2_500);
        scene.effects.count("faults");
        match self.random.below(100) {
            0..14 => self.crash_one(scene),
            14..20 => self.lies_in_wait = true,
            20..24 => self.crash_all(scene),
            24..36 => self.pause(scene),
            36..56 => self.partition(scene),
            56..68 => self.weather(scene),
            68..74 => self.jump(scene),
            74..84 => self.slow(scene),
            84..94 if self.manner.founding => self.replace(scene),
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
        (self.lies_in_wait, self.ambushed) = (false, None);
        self.mend(scene);
    }

    fn some_node(&mut self, scene: &Scene<'_>) -> usize {
        self.random.below(scene.nodes.len() as u64) as usize
    }

    fn crash_one(&mut self, scene: &mut Scene<'_>) {
        let place = self.some_node(scene);
        let outage = if self.random.chance(30) { 50 } else { self.long(500, 8_000) };
        self.crash(scene, place, outage);
    }

    /// Crashes a node when its vote has been told, and perhaps nothing else was synced since.
    fn ambush(&mut self, scene: &mut Scene<'_>) {
        let (now, voter) = (scene.world.now(), scene.world.take_voter());
        match (self.ambushed, voter) {
            (Some((place, at)), _) if now >= at => {
                self.ambushed = None;
                let outage = self.long(50, 2_000);
                scene.effects.add("crashes_after_votes", u64::from(scene.nodes[place].is_up()));
                self.crash(scene, place, outage);
            }
            (None, Some(place)) if self.lies_in_wait => {
                self.lies_in_wait = false;
                self.ambushed = Some((place, now + 3 + self.random.below(4)));
            }
            _ => {}
        }
    }

    fn crash_all(&mut self, scene: &mut Scene<'_>) {
        let mut any = false;
        for place in 0..scene.nodes.len() {
            any |= scene.nodes[place].is_up();
            let outage = self.long(100, 3_000);
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
        let ms = self.long(300, 6_000);
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
        let ms = self.long(500, 8_000);
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
        self.calm_at = Some(scene.world.now() + self.long(500, 6_000));
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
        self.fast_at[place] = Some(scene.world.now() + self.long(500, 6_000));
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

    /// Loses a volume for good, once a run and only when everybody else has everything: more would be no minority. While a
    /// cluster is being founded there is nothing to have.
    fn replace(&mut self, scene: &mut Scene<'_>) {
        let is_calm = || unrest(scene.nodes).is_none() && !scene.network.is_cut();
        if !self.may_replace || !(self.manner.founding || is_calm()) {
            return;
        }
        let place = self.some_node(scene);
        if !scene.nodes[place].is_up() {
            return;
        }
        self.may_replace = false;
        let outage = self.long(300, 4_000);
        let founded = scene.watch.has_cluster(place);
        self.crash(scene, place, outage);
        Self::note(scene, &format!("the volume of node {place} is lost"));
        scene.nodes[place].wipe(self.manner.keep_identity);
        if !self.manner.keep_identity {
            scene.watch.forget_volume(place);
            scene.world.forget_volume(place);
        }
        let when = if founded { "volumes_lost_after_founding" } else { "volumes_lost_before_founding" };
        scene.effects.count(when);
    }
}
