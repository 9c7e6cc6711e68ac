//! A firewall with room for one flow, as the programs around `track` are: look-up, insert, removal,
//! reopening; and short ways to write packets and settings.
#![allow(dead_code, reason = "every test file uses its own part of this module")]
#![allow(
    clippy::allow_attributes,
    reason = "`expect` would fail where all is used"
)]

pub(crate) mod states;

use fw_common::abi::{Config, Flow};
use fw_common::tcp::{State, flags, header};
use fw_common::timeout::{Profile, TABLE};
use fw_common::track::{self, Fate, Outcome, changed};
use fw_common::wire::{Family, Meta, TcpSegment, proto};
use fw_common::{CtInfo, Dir, Reason, status};

/// Ticks a second in these tests.
pub(crate) const HZ: u64 = 1000;
/// When these tests begin, in ticks: late enough that nothing underflows by accident unseen.
pub(crate) const START: u64 = 4_294_000_000;

/// The kernel's defaults.
pub(crate) fn defaults() -> Config {
    let mut config = Config {
        timeouts: [0; _],
        udp_stream_after: 2 * HZ,
        assured_limit: 1 << 20,
        hz: HZ as u32,
        tcp_max_retrans: 3,
        tcp_loose: 1,
        checksum: 1,
        accounting: 1,
        drop_invalid: 1,
        fasttrack: 1,
        ..Config::ZERO
    };
    for info in &TABLE {
        let seconds = info.default_secs(Profile::Linux);
        config.timeouts[info.timeout as usize] = u64::from(seconds) * HZ;
    }
    config
}

/// One of the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    A,
    B,
}

/// Flag letters, as in a packet trace: `S`, `A`, `F`, `R`, `P`, `U`, `E`, `C`.
pub(crate) fn flag_bits(letters: &str) -> u8 {
    letters.chars().fold(0, |bits, letter| {
        bits | match letter {
            'F' => header::FIN,
            'S' => header::SYN,
            'R' => header::RST,
            'P' => header::PSH,
            'A' => header::ACK,
            'U' => header::URG,
            'E' => header::ECE,
            'C' => header::CWR,
            other => panic!("no flag {other}"),
        }
    })
}

/// A segment without data or options and with a window of 8192.
pub(crate) fn segment(letters: &str, seq: u32, ack: u32) -> TcpSegment {
    TcpSegment {
        seq,
        ack,
        sack: ack,
        window: 8192,
        flags: flag_bits(letters),
        ..TcpSegment::default()
    }
}

/// The packet of a segment.
pub(crate) fn tcp_packet(segment: TcpSegment) -> Meta {
    Meta {
        tcp: segment,
        l3_len: 40 + segment.payload,
        l4_len: 20 + segment.payload,
        proto: proto::TCP,
        ..Meta::default()
    }
}

/// A packet of another protocol.
pub(crate) fn packet(family: Family, proto: u8) -> Meta {
    Meta {
        family,
        proto,
        l3_len: 29,
        l4_len: 9,
        ..Meta::default()
    }
}

/// A firewall with a table of one entry.
pub(crate) struct Lab {
    pub(crate) config: Config,
    pub(crate) now: u64,
    /// The entry, and the host that sent its first packet.
    pub(crate) entry: Option<(Flow, Host)>,
    /// What [`Lab::send`] was told last.
    pub(crate) last: Option<Outcome>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self {
            config: defaults(),
            now: START,
            entry: None,
            last: None,
        }
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now += seconds * HZ;
    }

    /// A packet arrives; the rules accept everything.
    pub(crate) fn send(&mut self, from: Host, meta: &Meta) -> CtInfo {
        if self
            .entry
            .is_some_and(|(flow, _)| flow.deadline <= self.now)
        {
            self.entry = None;
        }
        let Some((mut flow, origin)) = self.entry else {
            return self.open(from, meta);
        };
        let dir = if origin == from {
            Dir::Original
        } else {
            Dir::Reply
        };
        let outcome = track::advance(&mut flow, dir, meta, &self.config, self.now);
        self.last = Some(outcome);
        self.entry = Some((flow, origin));
        match outcome.fate {
            Fate::Keep | Fate::Promote => outcome.info,
            Fate::Remove => {
                self.entry = None;
                outcome.info
            }
            Fate::Reopen => {
                self.entry = None;
                self.open(from, meta)
            }
        }
    }

    fn open(&mut self, from: Host, meta: &Meta) -> CtInfo {
        let mut flow = Flow::default();
        let opened = track::open(&mut flow, meta, &self.config, self.now);
        let (info, reason) = match opened {
            Ok(()) => (CtInfo::New, Reason::Accepted),
            Err(reason) => (CtInfo::Invalid, reason),
        };
        self.entry = opened.is_ok().then_some((flow, from));
        self.last = Some(Outcome {
            info,
            fate: Fate::Keep,
            reason,
            changed: 0,
            counted: opened.is_ok(),
        });
        info
    }

    /// Sends a TCP segment.
    pub(crate) fn tcp(&mut self, from: Host, segment: TcpSegment) -> CtInfo {
        self.send(from, &tcp_packet(segment))
    }

    #[track_caller]
    pub(crate) fn flow(&self) -> &Flow {
        &self.entry.as_ref().expect("there is an entry").0
    }

    /// State of the TCP connection.
    #[track_caller]
    pub(crate) fn state(&self) -> State {
        State::from_u8(self.flow().proto.state).expect("a valid state")
    }

    /// Whole seconds left.
    #[track_caller]
    pub(crate) fn seconds(&self) -> u64 {
        (self.flow().deadline - self.now) / HZ
    }

    #[track_caller]
    pub(crate) fn assured(&self) -> bool {
        self.flow().status & status::ASSURED != 0
    }

    #[track_caller]
    pub(crate) fn replied(&self) -> bool {
        self.flow().status & status::SEEN_REPLY != 0
    }

    /// Why the last packet was what it was.
    pub(crate) fn reason(&self) -> Reason {
        self.last.expect("a packet was sent").reason
    }

    /// The entry as the kernel's lists show it: state, seconds left, flags.
    pub(crate) fn show(&self) -> String {
        let Some((flow, _)) = &self.entry else {
            return "gone".to_owned();
        };
        let mut line = format!("{} t={}", self.state().name(), self.seconds());
        if flow.status & status::SEEN_REPLY == 0 {
            line += " UNREPLIED";
        }
        if flow.status & status::ASSURED != 0 {
            line += " ASSURED";
        }
        line
    }
}

/// Bits of [`Outcome::changed`] in words.
pub(crate) fn changes(outcome: Outcome) -> Vec<&'static str> {
    [
        (changed::REPLY, "reply"),
        (changed::ASSURED, "assured"),
        (changed::STATE, "state"),
    ]
    .into_iter()
    .filter_map(|(bit, word)| (outcome.changed & bit != 0).then_some(word))
    .collect()
}

/// Two TCP endpoints that know what to send next.
pub(crate) struct Talk {
    pub(crate) lab: Lab,
    /// Next sequence number of A and of B.
    pub(crate) next: [u32; 2],
}

pub(crate) const ISS_A: u32 = 1_000;
pub(crate) const ISS_B: u32 = 500_000;

impl Talk {
    pub(crate) fn new() -> Self {
        Self {
            lab: Lab::new(),
            next: [ISS_A, ISS_B],
        }
    }

    /// The segment that `from` would send next with these flags: in sequence, acknowledging all that
    /// the other has sent (nothing, without ACK).
    pub(crate) fn segment(&self, from: Host, letters: &str) -> TcpSegment {
        let [own, peer] = match from {
            Host::A => self.next,
            Host::B => [self.next[1], self.next[0]],
        };
        let ack = if letters.contains('A') { peer } else { 0 };
        segment(letters, own, ack)
    }

    /// Sends it.
    pub(crate) fn say(&mut self, from: Host, letters: &str) -> CtInfo {
        self.say_with(from, letters, |_| {})
    }

    /// Sends it with changes.
    pub(crate) fn say_with(
        &mut self,
        from: Host,
        letters: &str,
        change: impl FnOnce(&mut TcpSegment),
    ) -> CtInfo {
        let mut segment = self.segment(from, letters);
        change(&mut segment);
        let length = u32::from(segment.payload)
            + u32::from(segment.flags & header::SYN != 0)
            + u32::from(segment.flags & header::FIN != 0);
        self.next[from as usize] = segment.seq.wrapping_add(length);
        self.lab.tcp(from, segment)
    }

    /// Sends a script: `"A:S B:SA A:A"`.
    pub(crate) fn script(&mut self, script: &str) {
        for step in script.split_whitespace() {
            let (host, letters) = step.split_once(':').expect("HOST:FLAGS");
            let host = if host == "A" { Host::A } else { Host::B };
            self.say(host, letters);
        }
    }

    /// Both sides' window scale and SACK options, for a SYN.
    pub(crate) fn options(wscale: u8) -> impl Fn(&mut TcpSegment) {
        move |segment| {
            segment.options = flags::WINDOW_SCALE | flags::SACK_PERM;
            segment.wscale = wscale;
        }
    }
}
