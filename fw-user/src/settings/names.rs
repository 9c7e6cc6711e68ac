//! The nearest known name to one that was mistyped.

/// The candidate with the smallest edit distance to `name`; the first of equals.
///
/// Always names one if there is any: even a bad guess shows the user what a name looks like.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .min_by_key(|candidate| distance(name, candidate))
}

/// Edit distance with transpositions (optimal string alignment): `upd` is one step from `udp`.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    // Three rows are enough: a transposition looks two rows back.
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let substitute = previous[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = substitute.min(previous[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut previous, row);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits_and_transpositions() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("udp", "udp"), 0);
        assert_eq!(distance("upd", "udp"), 1);
        assert_eq!(distance("tcp_establised", "tcp_established"), 1);
    }

    #[test]
    fn nearest_prefers_the_closest() {
        let names = ["udp", "udp_stream", "tcp_close"];
        assert_eq!(nearest("upd_stream", names), Some("udp_stream"));
        assert_eq!(nearest("upd", names), Some("udp"));
        assert_eq!(nearest("x", []), None);
    }
}
