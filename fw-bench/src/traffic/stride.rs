//! The order of the flows.

/// The golden ratio of `flows`, or the next number above without a common divisor: steps of it come
/// to all flows before they come to one again.
pub(super) fn stride(flows: u32) -> u32 {
    if flows < 3 {
        return flows / 2;
    }
    let golden = (f64::from(flows) * 0.618_033_988_75) as u32;
    (golden.max(1)..flows)
        .find(|step| gcd(*step, flows) == 1)
        .unwrap_or(1)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stride_comes_to_every_flow_once() {
        for flows in [1, 2, 3, 4, 1000, 100_000, 104_857] {
            let step = stride(flows);
            let mut seen = vec![false; flows as usize];
            let mut at = 0;
            for _ in 0..flows {
                assert!(!seen[at as usize], "{flows} by {step}");
                seen[at as usize] = true;
                at = (at + step) % flows;
            }
        }
    }
}
