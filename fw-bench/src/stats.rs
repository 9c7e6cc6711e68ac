//! Medians of few measurements, and what they are worth.

use serde::{Deserialize, Serialize};

/// Several measurements of one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// How many.
    pub count: usize,
}

/// Where the greatest is above the least by more than this part of the median, something else was
/// going on.
const NOISY: f64 = 0.35;

impl Summary {
    /// `None` of nothing.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[half - 1], sorted[half])
        } else {
            sorted[half]
        };
        Some(Self {
            median,
            min,
            max,
            count: sorted.len(),
        })
    }

    /// Whether the measurements differ too much to be quoted.
    #[must_use]
    pub fn is_noisy(&self) -> bool {
        self.max - self.min > NOISY * self.median.abs()
    }
}

/// Medians of what two measured in the same rounds, one divided by the other in each: what disturbs a
/// round disturbs both.
#[must_use]
pub fn ratio(of: &[f64], to: &[f64]) -> Option<Summary> {
    let pairs = of.iter().zip(to).filter(|(_, to)| **to > 0.0);
    Summary::of(&pairs.map(|(of, to)| of / to).collect::<Vec<_>>())
}

/// Each measurement less that of the same round without the thing in question.
#[must_use]
pub fn less(of: &[f64], base: &[f64]) -> Vec<f64> {
    of.iter().zip(base).map(|(of, base)| of - base).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_and_even_counts() {
        let median = |values: &[f64]| Summary::of(values).map(|summary| summary.median);
        assert_eq!(median(&[5.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn least_and_greatest_are_kept() {
        let summary = Summary::of(&[2.0, 9.0, 4.0]).unwrap();
        assert_eq!((summary.min, summary.max, summary.count), (2.0, 9.0, 3));
    }

    #[test]
    fn spread_beyond_a_third_is_noise() {
        assert!(!Summary::of(&[100.0, 110.0, 130.0]).unwrap().is_noisy());
        assert!(Summary::of(&[100.0, 110.0, 150.0]).unwrap().is_noisy());
        // Around zero, where a difference of two medians may be, any spread is.
        assert!(Summary::of(&[-1.0, 0.0, 1.0]).unwrap().is_noisy());
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The second round ran at half speed for both.
        let ratio = ratio(&[400.0, 800.0, 404.0], &[100.0, 200.0, 101.0]).unwrap();
        assert_eq!((ratio.min, ratio.median, ratio.max), (4.0, 4.0, 4.0));
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        assert_eq!(ratio(&[1.0], &[0.0]), None);
    }

    #[test]
    fn a_base_is_subtracted_within_a_round() {
        assert_eq!(less(&[300.0, 500.0], &[70.0, 90.0]), [230.0, 410.0]);
    }
}
