//! The order of flows, and the first of them without keeping all.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{FlowEntry, Rates, Row};

/// What stands first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Sort {
    /// Most bytes a second.
    #[default]
    Bytes,
    /// Most packets a second.
    Packets,
    /// Oldest.
    Age,
    /// Soonest to expire.
    Timeout,
}

impl Sort {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Packets => "packets",
            Self::Age => "age",
            Self::Timeout => "timeout",
        }
    }

    /// The one after it, and after the last the first.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Bytes => Self::Packets,
            Self::Packets => Self::Age,
            Self::Age => Self::Timeout,
            Self::Timeout => Self::Bytes,
        }
    }

    /// Flows of one weight never change places: the last part of it is constant for a flow.
    fn weight(self, row: &Row) -> Weight {
        let entry = &row.entry;
        let age = u64::try_from(entry.age.as_millis()).unwrap_or(u64::MAX);
        // Numbers that are not negative are ordered as their bits are.
        let first = match self {
            Self::Bytes => row.speed().to_bits(),
            Self::Packets => row.packets().to_bits(),
            Self::Age => age,
            Self::Timeout => !entry.timeout,
        };
        [first, row.bytes(), entry.id.into()]
    }

    /// Puts `rows` in this order.
    pub fn sort(self, rows: &mut [Row]) {
        rows.sort_by_cached_key(|row| Reverse(self.weight(row)));
    }
}

type Weight = [u64; 3];

/// The first flows of many.
#[derive(Debug)]
pub(crate) struct First {
    sort: Sort,
    room: usize,
    /// The last of them on top.
    heap: BinaryHeap<Reverse<Weighed>>,
}

impl First {
    /// Keeps the first `room` in the order of `sort`.
    pub(crate) fn new(room: usize, sort: Sort) -> Self {
        Self {
            sort,
            room,
            heap: BinaryHeap::with_capacity(room.min(1024)),
        }
    }

    /// Takes `entry` if it is among the first.
    pub(crate) fn offer(&mut self, entry: &FlowEntry, rates: Option<Rates>) {
        let row = Row {
            entry: entry.clone(),
            rates,
        };
        let weight = self.sort.weight(&row);
        if self.heap.len() >= self.room {
            let last = self.heap.peek();
            if last.is_none_or(|Reverse(last)| weight <= last.weight) {
                return;
            }
            self.heap.pop();
        }
        self.heap.push(Reverse(Weighed { weight, row }));
    }

    /// Those that it kept, in order.
    pub(crate) fn rows(self) -> Vec<Row> {
        let sorted = self.heap.into_sorted_vec();
        sorted.into_iter().map(|Reverse(it)| it.row).collect()
    }
}

#[derive(Debug)]
struct Weighed {
    weight: Weight,
    row: Row,
}

impl Ord for Weighed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.weight.cmp(&other.weight)
    }
}

impl PartialOrd for Weighed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Weighed {
    fn eq(&self, other: &Self) -> bool {
        self.weight == other.weight
    }
}

impl Eq for Weighed {}

#[cfg(test)]
mod tests {
    use super::super::fixtures::*;
    use super::*;

    /// A flow: its number, packets and bytes a second (up, and half of each down), age and timeout in seconds.
    fn row(id: u32, speed: Option<(f64, f64)>, age: u64, timeout: u64) -> Row {
        let spec = Spec {
            id,
            age,
            timeout,
            ..ssh()
        };
        spec.row(speed)
    }

    /// Ids of the first `room` of these.
    fn first(room: usize, sort: Sort, rows: &[Row]) -> Vec<u32> {
        let mut first = First::new(room, sort);
        for row in rows {
            first.offer(&row.entry, row.rates);
        }
        first.rows().iter().map(|row| row.entry.id).collect()
    }

    #[test]
    fn each_order_has_its_own_first() {
        // Number, packets and bytes a second, age, timeout.
        let rows = [
            row(1, Some((5.0, 9000.0)), 10, 300),
            row(2, Some((50.0, 2000.0)), 20, 200),
            row(3, Some((0.2, 20.0)), 30, 100),
            row(4, None, 5, 400),
        ];
        for (sort, expected) in [
            (Sort::Bytes, [1, 2, 3, 4]),
            (Sort::Packets, [2, 1, 3, 4]),
            (Sort::Age, [3, 2, 1, 4]),
            (Sort::Timeout, [3, 2, 1, 4]),
        ] {
            assert_eq!(first(9, sort, &rows), expected, "{sort:?}");
            let mut again = rows.to_vec();
            sort.sort(&mut again);
            let ids: Vec<u32> = again.iter().map(|row| row.entry.id).collect();
            assert_eq!(ids, expected, "{sort:?}");
        }
    }

    #[test]
    fn only_the_first_are_kept_whatever_comes_when() {
        let rows: Vec<Row> = (0..100)
            .map(|i| row(i, Some((1.0, f64::from(i * 37 % 100))), 7, 20))
            .collect();
        let ids = first(3, Sort::Bytes, &rows);
        let speeds = ids.iter().map(|id| id * 37 % 100);
        assert_eq!(speeds.collect::<Vec<_>>(), [99, 98, 97]);
        assert_eq!(first(0, Sort::Bytes, &rows), [0; 0]);
    }

    #[test]
    fn equal_ones_keep_their_places() {
        let mut rows = [
            row(1, None, 7, 20),
            row(3, None, 7, 20),
            row(2, None, 7, 20),
        ];
        for _ in 0..rows.len() {
            rows.rotate_left(1);
            assert_eq!(first(9, Sort::Bytes, &rows), [3, 2, 1]);
            assert_eq!(first(2, Sort::Age, &rows), [3, 2]);
            let mut again = rows.clone();
            Sort::Bytes.sort(&mut again);
            assert_eq!(again.map(|row| row.entry.id), [3, 2, 1]);
        }
    }

    #[test]
    fn orders_come_round() {
        let mut sort = Sort::default();
        let mut names = Vec::new();
        for _ in 0..4 {
            names.push(sort.name());
            sort = sort.next();
        }
        assert_eq!(names, ["bytes", "packets", "age", "timeout"]);
        assert_eq!(sort, Sort::Bytes);
    }
}
