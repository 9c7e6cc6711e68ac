//! Random matches of what has to be asked for: routing tables, time, options, extension headers.

use crate::rng::Rng;

use super::matches::Rule;

/// A match that fits `rule`, if one does.
pub(crate) fn part(rng: &mut Rng, rule: &Rule) -> Option<String> {
    match rng.below(6) {
        0 | 1 => Some(fib(rng, rule)),
        2 => Some(time(rng)),
        3 if rule.transport.is_none() || rule.transport == Some("tcp") => Some(option(rng)),
        4 if rule.network == Some("ip6") => Some(extension(rng)),
        5 if rule.tracked => Some(average(rng)),
        _ => None,
    }
}

/// About interfaces only of what has come in by one, or leaves by one.
fn fib(rng: &mut Rng, rule: &Rule) -> String {
    let not = rng.pick(&["", "", "!= "]);
    match rng.below(if rule.arrived { 3 } else { 1 }) {
        0 => format!(
            "fib {}{} type {not}{}",
            rng.pick(&["daddr", "daddr", "saddr"]),
            match rng.below(3) {
                0 if rule.arrived => " . iif",
                1 if rule.routed => " . oif",
                _ => "",
            },
            rng.pick(&[
                "local",
                "unicast",
                "broadcast",
                "{ local, broadcast, multicast }",
                "{ unicast, prohibit }",
                "unreachable",
            ])
        ),
        1 => format!(
            "fib saddr{} oif {}",
            rng.pick(&["", " . iif"]),
            rng.pick(&[
                "exists",
                "missing",
                "\"eth0\"",
                "!= \"eth1\"",
                "{ \"eth0\", \"eth1\" }"
            ])
        ),
        _ => format!(
            "fib {}{} oifname {not}{}",
            rng.pick(&["saddr", "daddr"]),
            rng.pick(&["", " . iif"]),
            rng.pick(&["\"eth0\"", "\"eth1\"", "{ \"eth1\", \"lo\" }"])
        ),
    }
}

fn time(rng: &mut Rng) -> String {
    let not = rng.pick(&["", "", "!= "]);
    match rng.below(4) {
        0 => format!(
            "meta hour {not}{}",
            rng.pick(&[
                "\"00:00\"-\"12:00\"",
                "\"22:00\"-\"06:00\"",
                "\"09:30\"-\"21:15\""
            ])
        ),
        1 => format!(
            "meta day {not}{}",
            rng.pick(&[
                "\"Saturday\"",
                "{ \"Monday\", \"Friday\", \"Saturday\" }",
                "0-3",
                "5"
            ])
        ),
        2 => format!(
            "meta time {}",
            rng.pick(&[
                "\"2020-01-01 00:00:00\"-\"2021-01-01 12:00:00\"",
                "> \"2026-01-01 00:00:00\"",
                "< \"2040-06-01 10:00:00\"",
            ])
        ),
        _ => format!("meta cpu {}", rng.pick(&["< 1024", "!= 4000", "> 4000"])),
    }
}

fn option(rng: &mut Rng) -> String {
    let not = rng.pick(&["", "", "!= "]);
    match rng.below(3) {
        0 => format!(
            "tcp option {} {}",
            rng.pick(&[
                "eol",
                "nop",
                "maxseg",
                "window",
                "sack-perm",
                "sack",
                "timestamp",
                "fastopen",
                "md5sig",
                "mptcp",
            ]),
            rng.pick(&["exists", "missing"])
        ),
        1 => format!(
            "tcp option {}",
            rng.pick(&[
                "maxseg size > 1000",
                "maxseg size 1460",
                "maxseg size { 1460, 1300-1400 }",
                "window count < 7",
                "window count { 2, 7, 14 }",
                "timestamp tsval 1",
                "timestamp tsecr != 0",
                "sack left > 1000",
                "sack right != 7",
                "sack1 left 0",
            ])
        ),
        _ => format!(
            "tcp option {} length {not}{}",
            rng.pick(&["maxseg", "window", "sack", "sack-perm", "timestamp"]),
            rng.pick(&["10", "4", "{ 2, 3 }", "2-9"])
        ),
    }
}

fn extension(rng: &mut Rng) -> String {
    match rng.below(2) {
        0 => format!(
            "exthdr {} {}",
            rng.pick(&["hbh", "rt", "frag", "dst", "mh"]),
            rng.pick(&["exists", "missing"])
        ),
        _ => rng
            .pick(&[
                "dst nexthdr { tcp, udp }",
                "dst hdrlength 0",
                "hbh nexthdr 60",
                "rt type 2",
                "rt type != 4",
                "rt seg-left 0",
                "frag more-fragments 1",
                "frag frag-off != 0",
            ])
            .to_owned(),
    }
}

fn average(rng: &mut Rng) -> String {
    format!(
        "ct {}avgpkt {}",
        rng.pick(&["", "original ", "reply "]),
        rng.pick(&["> 60", "< 100", "40-52", "52", "!= 0", "0"])
    )
}
