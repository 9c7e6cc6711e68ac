//! Rulesets and packets at random, out of few values, so that they meet.

use fw_user::rules::load_text;

use crate::frames::{self, End, Segment, end};

/// Numbers that look random, the same in every run (Marsaglia's xorshift).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % sides
    }

    /// Once in so many times.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.roll(times) == 0
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

/// Which rules are made.
pub(crate) struct Taste<'a> {
    /// Most rules of a chain.
    pub(crate) rules: usize,
    /// Matches besides those of addresses, ports and protocols, of which about every second rule has one.
    pub(crate) more: &'a [&'a str],
    /// A match that the ruleset has in one rule.
    pub(crate) once: Option<&'a str>,
    /// Statements that about every eighth rule has.
    pub(crate) statements: &'a [&'a str],
}

const PORTS: [&str; 8] = ["22", "53", "80", "443", "1500", "2000", "8080", "40000"];
const ADDRESSES: [&str; 6] = [
    "192.168.1.2",
    "192.168.1.3",
    "10.0.0.2",
    "10.1.7.7",
    "10.3.0.1",
    "172.16.0.1",
];
const ADDRESSES6: [&str; 3] = ["2001:db8:1::2", "2001:db8:1:2::3", "2001:db8:2::2"];

/// A table with a chain in `prerouting`, one in `input`, and one that both may jump to.
pub(crate) fn ruleset(dice: &mut Dice, taste: &Taste<'_>) -> String {
    let mut chains = [
        rules(dice, taste, false),
        rules(dice, taste, true),
        rules(dice, taste, true),
    ];
    if let Some(once) = taste.once {
        let chain = &mut chains[1 + dice.roll(2)];
        let at = dice.roll(chain.len() + 1);
        let verdict = dice.pick(&["accept", "drop", "drop"]);
        chain.insert(at, format!("{once} counter {verdict}"));
    }
    let [sub, before, main] = chains.map(|rules| rules.join("\n\t\t"));
    let policy = dice.pick(&["accept", "drop"]);
    format!(
        "table inet t {{\n\tchain sub {{\n\t\t{sub}\n\t}}\n\
         \tchain pre {{\n\t\ttype filter hook prerouting priority 0; policy accept;\n\t\t{before}\n\t}}\n\
         \tchain in {{\n\t\ttype filter hook input priority 0; policy {policy};\n\t\t{main}\n\t}}\n}}\n"
    )
}

fn rules(dice: &mut Dice, taste: &Taste<'_>, jumps: bool) -> Vec<String> {
    let count = 1 + dice.roll(taste.rules);
    (0..count).map(|_| rule(dice, taste, jumps)).collect()
}

/// A rule that is not refused because it can never match.
fn rule(dice: &mut Dice, taste: &Taste<'_>, jumps: bool) -> String {
    loop {
        let rule = any_rule(dice, taste, jumps);
        if makes_sense(&rule) {
            return rule;
        }
    }
}

fn makes_sense(rule: &str) -> bool {
    let text = format!("table inet t {{\nchain sub {{\n}}\nchain c {{\n{rule}\n}}\n}}\n");
    load_text("rule", &text).ruleset.is_some()
}

fn any_rule(dice: &mut Dice, taste: &Taste<'_>, jumps: bool) -> String {
    let mut words = Vec::new();
    if !taste.statements.is_empty() && dice.one_in(16) {
        words.push(dice.pick(taste.statements).to_owned());
    }
    for _ in 0..dice.roll(3) {
        words.push(matches(dice));
    }
    if !taste.more.is_empty() && dice.one_in(2) {
        words.push(dice.pick(taste.more).to_owned());
    }
    if !taste.statements.is_empty() && dice.one_in(16) {
        words.push(dice.pick(taste.statements).to_owned());
    }
    if dice.one_in(3) {
        words.push("counter".into());
    }
    words.push(match dice.roll(12) {
        0..=2 => "accept".into(),
        3..=5 => "drop".into(),
        6 if jumps => "jump sub".into(),
        7 if jumps => "goto sub".into(),
        8 => "return".into(),
        9 => "tcp dport vmap { 22 : accept, 80 : drop, 443 : continue, 1000-1999 : return, 2000 : drop }".into(),
        _ => "continue".into(),
    });
    words.join(" ")
}

/// A match that asks for nothing but what is constant for a flow.
fn matches(dice: &mut Dice) -> String {
    match dice.roll(9) {
        0..=2 => {
            let field = dice.pick(&["tcp dport", "tcp sport", "udp dport", "udp sport"]);
            format!("{field} {}", ports(dice))
        }
        3 => format!("meta l4proto {{ tcp, udp }} th dport {}", ports(dice)),
        4 | 5 => {
            let field = dice.pick(&["ip saddr", "ip daddr"]);
            format!("{field} {}", addresses(dice))
        }
        6 => {
            let field = dice.pick(&["ip6 saddr", "ip6 daddr"]);
            let (sign, address) = (dice.pick(&["", "!= "]), dice.pick(&ADDRESSES6));
            let length = dice.pick(&["", "/64", "/48", "/127"]);
            format!("{field} {sign}{address}{length}")
        }
        7 => {
            let (a, b) = (dice.pick(&ADDRESSES), dice.pick(&PORTS));
            let c = dice.pick(&PORTS);
            format!("ip saddr . tcp dport {{ {a} . {b}, 10.0.0.0/8 . {c}, 192.168.1.3 . 80-90 }}")
        }
        _ => dice
            .pick(&[
                "meta l4proto udp",
                "meta nfproto ipv6",
                "ip protocol tcp",
                "ip6 nexthdr udp",
            ])
            .to_owned(),
    }
}

fn ports(dice: &mut Dice) -> String {
    let (a, b) = (dice.pick(&PORTS), dice.pick(&PORTS));
    let first = dice.roll(500);
    match dice.roll(7) {
        0 => format!("!= {a}"),
        1 => format!("{first}-{}", first + dice.roll(2000)),
        2 => format!("{{ {a}, {first}, 60000-61000 }}"),
        3 => format!("{{ {a}, 1-{}, 3000, 3001, 3003, 5000-6000 }}", 1 + first),
        4 => format!("{} {b}", dice.pick(&["<", ">", "<=", ">="])),
        _ => a.to_owned(),
    }
}

fn addresses(dice: &mut Dice) -> String {
    let (a, b) = (dice.pick(&ADDRESSES), dice.pick(&ADDRESSES));
    let length = 1 + dice.roll(32);
    match dice.roll(6) {
        0 => format!("!= {a}"),
        1 => format!("{a}/{length}"),
        2 => format!("!= {a}/{length}"),
        3 => "10.0.0.1-10.2.255.7".to_owned(),
        4 => format!("{{ {b}, 10.0.0.4-10.0.0.9, 10.1.0.0/16, 1.2.3.4, 5.6.7.8, 9.9.9.9 }}"),
        _ => b.to_owned(),
    }
}

/// Two that talk to each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talk {
    client: End,
    server: End,
}

/// Some conversations.
pub(crate) fn talks(dice: &mut Dice, count: usize) -> Vec<Talk> {
    (0..count).map(|_| talk(dice)).collect()
}

fn talk(dice: &mut Dice) -> Talk {
    let (client, server) = if dice.one_in(4) {
        (
            format!("[{}]", dice.pick(&ADDRESSES6[..2])),
            format!("[{}]", ADDRESSES6[2]),
        )
    } else {
        (
            dice.pick(&["192.168.1.2", "10.3.0.1"]).to_owned(),
            dice.pick(&["10.0.0.2", "10.1.7.7"]).to_owned(),
        )
    };
    Talk {
        client: end(&format!("{client}:{}", dice.pick(&["40000", "53"]))),
        server: end(&format!("{server}:{}", dice.pick(&["22", "80", "1500"]))),
    }
}

/// One packet of one of the conversations. Length, time to live, flags and direction differ from one to
/// the next.
pub(crate) fn packet(dice: &mut Dice, talks: &[Talk]) -> Vec<u8> {
    let Talk { client, server } = talks[dice.roll(talks.len())];
    let (from, to) = if dice.one_in(3) {
        (server, client)
    } else {
        (client, server)
    };
    let payload = vec![7; dice.roll(40)];
    let mut frame = match dice.roll(8) {
        0 => frames::echo(from.addr, to.addr, dice.one_in(2), 7),
        1..=4 => frames::udp(from, to, &payload),
        _ => {
            let segment = Segment {
                flags: dice.pick(&["S", "SA", "A", "A", "PA", "FA", "R"]),
                seq: 100,
                ack: 100,
                window: 60000,
                payload: &[],
            };
            frames::tcp(from, to, &segment)
        }
    };
    if from.addr.is_ipv4() && dice.one_in(3) {
        lessen_ttl(&mut frame);
    }
    frame
}

/// As if the packet had come by way of another router: TTL one less, and its checksum (RFC 1624).
fn lessen_ttl(frame: &mut [u8]) {
    frame[22] -= 1;
    let sum = u16::from_be_bytes([frame[24], frame[25]]);
    let (sum, carry) = sum.overflowing_add(0x100);
    let sum = sum + u16::from(carry);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}
