//! What the kernel's functions are called.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};

/// Names that were asked for before: the file has some hundred thousand lines.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    known: HashMap<u64, String>,
}

impl Symbols {
    /// Learns the names of those `addresses` that are not known yet.
    pub(super) fn learn(&mut self, addresses: &[u64]) {
        if addresses.iter().all(|at| self.known.contains_key(at)) {
            return;
        }
        let Ok(file) = File::open("/proc/kallsyms") else {
            return;
        };
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        for (address, name) in lines.filter_map(|line| symbol(&line)) {
            if addresses.contains(&address) {
                self.known.entry(address).or_insert(name);
            }
        }
    }

    /// With these names.
    #[cfg(test)]
    pub(super) fn of(names: &[(u64, &str)]) -> Self {
        let known = names.iter().map(|(at, name)| (*at, (*name).to_owned()));
        Self {
            known: known.collect(),
        }
    }

    /// What the function at `address` is called; `None` if the kernel does not say.
    pub(super) fn name(&self, address: u64) -> Option<&str> {
        self.known.get(&address).map(String::as_str)
    }
}

fn symbol(line: &str) -> Option<(u64, String)> {
    let mut words = line.split_ascii_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let name = words.nth(1)?;
    Some((address, name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_address_and_a_name() {
        let line = "ffffffff81000000 T ipv4_conntrack_defrag\t[nf_defrag_ipv4]";
        let name = "ipv4_conntrack_defrag".to_string();
        assert_eq!(symbol(line), Some((0xffff_ffff_8100_0000, name)));
        assert_eq!(symbol("nonsense"), None);
    }
}
