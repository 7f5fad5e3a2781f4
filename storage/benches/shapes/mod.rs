//! Columns as collectors send them: what Heapster reports of nodes and pods, and other kinds of values.

use model::FieldType;
use storage::measure::Points;

/// A repeatable source of numbers.
pub(crate) struct Random(u64);

impl Random {
    /// Starts from a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let x = self.0 ^ (self.0 >> 33);
        x.wrapping_mul(0xff51_afd7_ed55_8ccd) ^ (x >> 29)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A number from 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal, of standard deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..6).map(|_| self.unit()).sum::<f64>() * 1.414 - 4.243
    }
}

/// How the values of a column evolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Constant,
    CpuRateIdle,
    CpuRateBusy,
    Memory,
    MemoryIdle,
    CpuNanoseconds,
    NetworkBusy,
    NetworkIdle,
    PageFaults,
    Uptime,
    Filesystem,
    Rate32,
    Rate32Idle,
    MemoryFloat,
    TwoDecimals,
    Ratio,
    RandomFloat,
    Flag,
    State,
    Event,
}

use Shape::*;

/// All shapes with the names they have in tables.
pub(crate) const ALL: [(Shape, &str); 20] = [
    (Constant, "constant"),
    (CpuRateIdle, "CPU rate, idle (0–5 m)"),
    (CpuRateBusy, "CPU rate, busy"),
    (Memory, "memory working set, 4 KiB steps"),
    (MemoryIdle, "memory, mostly idle"),
    (CpuNanoseconds, "CPU, cumulative ns"),
    (NetworkBusy, "network bytes, busy"),
    (NetworkIdle, "network bytes, idle"),
    (PageFaults, "page faults"),
    (Uptime, "uptime in ms, ±15 ms"),
    (Filesystem, "file system usage"),
    (Rate32, "32-bit float rate"),
    (Rate32Idle, "32-bit float rate, mostly 0"),
    (MemoryFloat, "memory as float"),
    (TwoDecimals, "float, two decimals"),
    (Ratio, "float, n/4000"),
    (RandomFloat, "float, all bits random"),
    (Flag, "boolean, seldom changes"),
    (State, "string, few states"),
    (Event, "string, each another"),
];

/// What Heapster sends of a container, a pod, a node: each shape as often as it comes in 27 series.
pub(crate) const HEAPSTER: [(Shape, usize); 10] = [
    (Constant, 13),
    (CpuNanoseconds, 1),
    (CpuRateIdle, 1),
    (Memory, 2),
    (MemoryIdle, 2),
    (PageFaults, 1),
    (Uptime, 1),
    (NetworkBusy, 1),
    (NetworkIdle, 1),
    (Filesystem, 4),
];
/// Of the float rates, which are in the mix as well.
pub(crate) const HEAPSTER_RATES: [(Shape, usize); 2] = [(Rate32, 1), (Rate32Idle, 2)];

/// The state of one column.
pub(crate) struct Column {
    shape: Shape,
    random: Random,
    value: i64,
}

impl Column {
    pub(crate) fn new(shape: Shape, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let value = match shape {
            Constant => [0, 0, 100, 4_000_000_000, 1 << 30][random.below(5) as usize],
            Memory | MemoryIdle | MemoryFloat => (random.below(100_000) as i64) << 12,
            CpuNanoseconds | NetworkBusy => random.below(1 << 44) as i64,
            NetworkIdle | PageFaults | Uptime => random.below(1 << 30) as i64,
            Filesystem => (random.below(1_000_000) as i64) << 12,
            CpuRateBusy => 800,
            _ => 0,
        };
        Self { shape, random, value }
    }

    pub(crate) fn field_type(&self) -> FieldType {
        match self.shape {
            Rate32 | Rate32Idle | MemoryFloat | TwoDecimals | Ratio | RandomFloat => FieldType::Float,
            Flag => FieldType::Boolean,
            State | Event => FieldType::String,
            _ => FieldType::Integer,
        }
    }

    /// The next value: its bits, or for strings a number that it is made of.
    pub(crate) fn next(&mut self) -> u64 {
        let random = &mut self.random;
        let chance = |random: &mut Random, percent| random.below(100) < percent;
        let step: i64 = match self.shape {
            Constant => 0,
            CpuRateIdle => return random.below(6),
            CpuRateBusy => return (self.value as f64 + random.normal() * 60.0).max(0.0) as u64,
            Memory | MemoryFloat if chance(random, 60) => ((random.normal() * 40.0) as i64) << 12,
            MemoryIdle if chance(random, 8) => ((random.normal() * 6.0) as i64) << 12,
            CpuNanoseconds => 15_000_000_000 + (random.normal() * 1e9) as i64,
            NetworkBusy => 3_000_000 + (random.normal() * 400_000.0) as i64,
            NetworkIdle if chance(random, 30) => 66 + random.below(2_000) as i64,
            PageFaults => (200.0 + random.normal() * 60.0).max(0.0) as i64,
            Uptime => 60_000 + random.below(31) as i64 - 15,
            Filesystem if chance(random, 12) => ((random.normal() * 20.0) as i64) << 12,
            Rate32 => return bits32(40.0 + random.normal() as f32 * 7.0),
            Rate32Idle if chance(random, 15) => return bits32(random.unit() as f32 * 3.0),
            TwoDecimals => return ((random.unit() * 10_000.0).round() / 100.0).to_bits(),
            Ratio => return ((2_000.0 + random.normal() * 200.0).round() / 4_000.0).to_bits(),
            RandomFloat => return (random.unit() * 1e6).to_bits(),
            Flag => return u64::from(random.below(200) != 0),
            State if chance(random, 5) => random.below(4) as i64 - self.value,
            Event => 1,
            _ => 0,
        };
        self.value += step;
        match self.shape {
            MemoryFloat | Rate32Idle => (self.value as f64).to_bits(),
            _ => self.value as u64,
        }
    }

    /// The text of a string column's value.
    pub(crate) fn text(&self, value: u64) -> String {
        match self.shape {
            State => ["Running", "Pending", "Succeeded", "CrashLoopBackOff"][value as usize % 4].to_owned(),
            _ => format!("Pulled image \"registry/app:{value}\" in {} ms", value * 7919 % 3001),
        }
    }

    /// The next `n` points, a minute apart from `start`.
    pub(crate) fn points(&mut self, start: i64, n: usize) -> Points {
        let time = |i: usize| start + i as i64 * 60_000_000_000;
        if self.field_type() == FieldType::String {
            let mut texts = Vec::with_capacity(n);
            for _ in 0..n {
                let value = self.next();
                texts.push(self.text(value));
            }
            return Points::of_strings(texts.iter().enumerate().map(|(i, t)| (time(i), t.as_bytes())));
        }
        let rows = (0..n).map(|i| (time(i), self.next())).collect();
        Points::of_numbers(self.field_type(), rows)
    }
}

fn bits32(value: f32) -> u64 {
    f64::from(value).to_bits()
}
