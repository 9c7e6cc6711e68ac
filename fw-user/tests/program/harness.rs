//! The real programs, loaded with small maps and a virtual clock, run by `BPF_PROG_TEST_RUN`.

use std::os::fd::AsFd as _;

use aya::maps::{Array, DevMap, HashMap, Map, MapData};
use aya::programs::{SchedClassifier, TcAttachType, TestRun as _, TestRunOptions, Xdp, tc};
use aya::{Ebpf, EbpfLoader};
use fw_common::abi::{
    Config, Datagram, Edit, Flow, FragmentKey, IfaceConfig, IfaceFlags, Key4, Key6, Member,
    MemberKey, Routing, TraceOrder, globals, maps, programs,
};
use fw_common::flow::FlowKey;
use fw_common::timeout::TABLE;
use fw_user::maps::{LinkTable, LogRing, RulesetMaps, Surroundings};
use fw_user::sys::{record, verify};

use super::frames::ROUTER;

#[path = "seen.rs"]
mod seen;
#[path = "sending.rs"]
mod sending;

pub(crate) use seen::Seen;

/// Interface index that a test run without a context has: the loopback device's.
const LOOPBACK: u32 = 1;

/// `enum xdp_action` of the kernel's `linux/bpf.h`.
pub(crate) const XDP_DROP: u32 = 1;
/// The frame goes back to where it came from.
pub(crate) const XDP_TX: u32 = 3;
/// The packet goes on to the kernel's stack.
pub(crate) const XDP_PASS: u32 = 2;
/// The packet leaves by another interface.
pub(crate) const XDP_REDIRECT: u32 = 4;

/// What lets frames in, and straight out.
pub(crate) const OPEN: u32 = IfaceFlags::FORWARD | IfaceFlags::TARGET | IfaceFlags::XMIT;

/// Ticks a second in these tests.
pub(crate) const HZ: u32 = 100;

/// Connections that `ct count` has room for in these tests.
pub(crate) const MEMBERS: u32 = 1024;

/// Tick at which every test begins: no special number, and far from 0.
const START: u64 = 1_000_000;

/// The loaded firewall.
pub(crate) struct Program {
    ebpf: Ebpf,
    /// The virtual clock, in ticks.
    now: u64,
    /// The interface by which frames come in.
    port: u32,
    /// They come in at TC.
    at_tc: bool,
}

/// The virtual clock of a [`Program`].
pub(crate) struct VirtualClock(Array<MapData, u64>);

impl VirtualClock {
    /// Now, in ticks.
    pub(crate) fn now(&self) -> u64 {
        self.0.get(&0, 0).expect("a slot")
    }

    /// Sets it.
    pub(crate) fn set(&mut self, now: u64) {
        self.0.set(0, now, 0).expect("set");
    }
}

impl Program {
    /// Loads the programs with the kernel's default settings, changed by `tweak`. Frames come in at XDP, or at
    /// TC if `FW_HOOK=tc` says so.
    pub(crate) fn load(tweak: impl FnOnce(&mut Config)) -> Self {
        Self::load_at(
            std::env::var_os("FW_HOOK").is_some_and(|hook| hook == "tc"),
            tweak,
        )
    }

    /// Loads the programs; frames come in at TC, or at XDP.
    pub(crate) fn load_at(at_tc: bool, tweak: impl FnOnce(&mut Config)) -> Self {
        let mut loader = EbpfLoader::new();
        loader.override_global(globals::VIRTUAL_CLOCK, &1u8, true);
        for name in [maps::ASSURED4, maps::ASSURED6, maps::EMBRYO4, maps::EMBRYO6] {
            loader.map_max_entries(name, 4096);
        }
        loader.map_max_entries(maps::MEMBERS, MEMBERS);
        let mut ebpf = loader
            .load(fw_user::object::ELF)
            .expect("loading the embedded object");
        let ingress: &mut Xdp = ebpf
            .program_mut(programs::INGRESS)
            .expect("fw_ingress")
            .try_into()
            .expect("XDP");
        verify::load(|| ingress.load())
            .unwrap_or_else(|e| panic!("the verifier refuses fw_ingress: {e}"));
        let edit: &mut Xdp = ebpf
            .program_mut(programs::EDIT)
            .expect("fw_edit")
            .try_into()
            .expect("XDP");
        verify::load(|| edit.load())
            .unwrap_or_else(|e| panic!("the verifier refuses fw_edit: {e}"));
        for name in [programs::EGRESS, programs::INGRESS_TC] {
            let program = ebpf.program_mut(name).expect(name);
            let program: &mut SchedClassifier = program.try_into().expect("TC");
            verify::load(|| program.load())
                .unwrap_or_else(|e| panic!("the verifier refuses {name}: {e}"));
        }
        let mut program = Self {
            ebpf,
            now: 0,
            port: LOOPBACK,
            at_tc,
        };
        program.at(0.0);
        program.configure(tweak);
        program.set_routing(Routing {
            generation: 1,
            enabled: Routing::ESTABLISHED,
            until: u64::MAX,
        });
        program.set_iface(IfaceConfig {
            flags: IfaceFlags::CHECK_MAC,
            mac: ROUTER,
            ..IfaceConfig::default()
        });
        program
    }

    /// Sets the kernel's default settings, changed by `tweak`.
    pub(crate) fn configure(&mut self, tweak: impl FnOnce(&mut Config)) {
        let mut config = config();
        tweak(&mut config);
        self.set(maps::CONFIG, 0, config);
    }

    /// Forgets every flow and sets the clock back.
    pub(crate) fn clear(&mut self) {
        self.forget::<Key4>(maps::ASSURED4);
        self.forget::<Key4>(maps::EMBRYO4);
        self.forget::<Key6>(maps::ASSURED6);
        self.forget::<Key6>(maps::EMBRYO6);
        self.forget_in::<FragmentKey, Datagram>(maps::FRAGMENTS);
        self.forget_in::<MemberKey, Member>(maps::MEMBERS);
        for slot in 0..maps::OCCUPANCY_SLOTS {
            self.set(maps::OCCUPANCY, slot, 0u64);
        }
        self.at(0.0);
    }

    /// Empties the assured maps, as if all their flows had ended.
    pub(crate) fn forget_assured(&mut self) {
        self.forget::<Key4>(maps::ASSURED4);
        self.forget::<Key6>(maps::ASSURED6);
        self.set(maps::OCCUPANCY, 0, 0u64);
        self.set(maps::OCCUPANCY, 1, 0u64);
    }

    fn forget<K: FlowKey + aya::Pod>(&mut self, name: &str) {
        self.forget_in::<K, Flow>(name);
    }

    fn forget_in<K: aya::Pod, V: aya::Pod>(&mut self, name: &str) {
        let map = self.ebpf.map_mut(name).expect("a map");
        let mut map: HashMap<_, K, V> = map.try_into().expect("hash");
        let keys: Vec<K> = map.keys().map(|key| key.expect("a key")).collect();
        for key in keys {
            map.remove(&key).expect("remove");
        }
    }

    /// Sets the lock word of all embryonic IPv4 flows, as another CPU would.
    pub(crate) fn set_locks(&mut self, lock: u32) {
        let map = self.ebpf.map_mut(maps::EMBRYO4).expect("EMBRYO4");
        let mut map: HashMap<_, Key4, Flow> = map.try_into().expect("hash");
        let keys: Vec<Key4> = map.keys().map(|key| key.expect("a key")).collect();
        for key in keys {
            let flow = map.get(&key, 0).expect("a flow");
            map.insert(key, Flow { lock, ..flow }, 0).expect("room");
        }
    }

    /// Fills so many slots of `ct count` with connections of other lists.
    pub(crate) fn fill_lists(&mut self, slots: u32) {
        let map = self.ebpf.map_mut(maps::MEMBERS).expect("MEMBERS");
        let mut map: HashMap<_, MemberKey, Member> = map.try_into().expect("hash");
        for list in 0..slots.into() {
            let key = MemberKey {
                list,
                ..MemberKey::default()
            };
            map.insert(key, Member::default(), 0).expect("room");
        }
    }

    /// The numbers of the lists that have connections.
    pub(crate) fn lists(&mut self) -> Vec<u64> {
        let map = self.ebpf.map_mut(maps::MEMBERS).expect("MEMBERS");
        let map: HashMap<_, MemberKey, Member> = map.try_into().expect("hash");
        map.keys().map(|key| key.expect("a key").list).collect()
    }

    /// Settings of the interface by which frames come in.
    pub(crate) fn set_iface(&mut self, iface: IfaceConfig) {
        let map = self.ebpf.map_mut(maps::IFACES).expect("IFACES");
        let mut ifaces: Array<_, IfaceConfig> = map.try_into().expect("array");
        let iface = IfaceConfig {
            flags: iface.flags | IfaceFlags::PORT,
            index: self.port,
            ..iface
        };
        ifaces.set(self.port, iface, 0).expect("a low number");
    }

    /// From now on frames come in by the interface with index `port`, and may leave straight by it: see
    /// [`Self::leave_by`].
    pub(crate) fn open(&mut self, port: u32) {
        self.come_in_by(port);
        self.set_iface(IfaceConfig {
            flags: OPEN,
            ..IfaceConfig::default()
        });
        self.leave_by(port);
    }

    /// Settings of an interface above or below a port.
    pub(crate) fn set_beside(&mut self, index: u32, iface: IfaceConfig) {
        self.set(maps::IFACES, index, iface);
    }

    /// Lets frames leave straight by the interface with index `port`, of the network namespace in which
    /// the calling thread is.
    pub(crate) fn leave_by(&mut self, port: u32) {
        let map = self.ebpf.map_mut(maps::TARGETS).expect("TARGETS");
        let mut targets = DevMap::try_from(map).expect("a map of devices");
        targets.set(port, port, None, 0).expect("a low number");
    }

    /// What is known of the routes.
    pub(crate) fn set_routing(&mut self, routing: Routing) {
        self.set(maps::ROUTING, 0, routing);
    }

    /// Has packets followed.
    pub(crate) fn trace(&mut self, order: TraceOrder) {
        self.set(maps::TRACE, 0, order);
    }

    /// From now on frames come in by the interface with index `port`, of the network namespace in
    /// which the calling thread is.
    pub(crate) fn come_in_by(&mut self, port: u32) {
        self.port = port;
    }

    fn set<V: aya::Pod>(&mut self, map: &str, index: u32, value: V) {
        let mut array: Array<_, V> = self
            .ebpf
            .map_mut(map)
            .expect("map")
            .try_into()
            .expect("array");
        array.set(index, value, 0).expect("set");
    }

    /// Sets the virtual clock: `seconds` after the programs were loaded.
    pub(crate) fn at(&mut self, seconds: f64) {
        self.now = START + (seconds * f64::from(HZ)) as u64;
        self.set(maps::TEST_CLOCK, 0, self.now);
    }

    /// The maps of the ruleset.
    pub(crate) fn ruleset(&self) -> RulesetMaps {
        RulesetMaps::from_maps(|name| Ok(self.data(name))).expect("the maps of the ruleset")
    }

    /// Interfaces as rules see them.
    pub(crate) fn links(&self) -> LinkTable {
        LinkTable::from_maps(|name| Ok(self.data(name))).expect("the maps of links")
    }

    /// What rules can ask of the host.
    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings::from_maps(|name| Ok(self.data(name))).expect("the maps of the host")
    }

    /// What rules log.
    pub(crate) fn logs(&self) -> LogRing {
        LogRing::from_maps(|name| Ok(self.data(name))).expect("the maps of the log")
    }

    fn data(&self, name: &str) -> MapData {
        let data = match self.ebpf.map(name).expect("a map") {
            Map::Array(data)
            | Map::PerCpuArray(data)
            | Map::HashMap(data)
            | Map::RingBuf(data)
            | Map::LpmTrie(data)
            | Map::ArrayOfMaps(data) => data,
            other => panic!("{name}: {other:?}"),
        };
        let fd = data.fd().as_fd().try_clone_to_owned();
        MapData::from_fd(fd.expect("a descriptor")).expect("a map")
    }

    /// The virtual clock, to be set while packets are on their way.
    pub(crate) fn clock(&self) -> VirtualClock {
        let map = self.ebpf.map(maps::TEST_CLOCK).expect("TEST_CLOCK");
        let Map::Array(data) = map else {
            panic!("TEST_CLOCK is an array")
        };
        let data = data
            .fd()
            .as_fd()
            .try_clone_to_owned()
            .expect("a descriptor");
        let map = Map::Array(MapData::from_fd(data).expect("TEST_CLOCK"));
        VirtualClock(Array::try_from(map).expect("array"))
    }

    /// Forgets how many rejected packets were answered: there is a limit a second.
    pub(crate) fn allow_answers(&mut self) {
        self.set("ANSWERS", 0, 0u64);
    }

    /// Has `fw_ingress_tc` run for what comes in by an interface of the network namespace in which the calling thread is.
    pub(crate) fn attach_at_tc(&mut self, interface: &str) {
        let program = self.ebpf.program_mut(programs::INGRESS_TC);
        let program: &mut SchedClassifier = program.expect("loaded").try_into().expect("TC");
        // Before Linux 6.6 it hangs on a queueing discipline.
        tc::qdisc_add_clsact(interface).expect("a discipline");
        let link = program.attach(interface, TcAttachType::Ingress);
        link.expect("attaching");
    }

    /// The loaded `fw_egress`.
    pub(crate) fn egress(&self) -> &SchedClassifier {
        let program = self.ebpf.program(programs::EGRESS).expect("fw_egress");
        program.try_into().expect("TC")
    }

    /// The loaded `fw_ingress`.
    pub(crate) fn ingress(&self) -> &Xdp {
        let program = self.ebpf.program(programs::INGRESS).expect("fw_ingress");
        program.try_into().expect("XDP")
    }

    /// Has events reported until `seconds` after the programs were loaded.
    pub(crate) fn listen(&mut self, seconds: f64) {
        let until = START + (seconds * f64::from(HZ)) as u64;
        self.set(maps::LISTEN, 0, until);
    }

    /// Runs `fw_edit`; one of [`fw_common::abi::edited`].
    pub(crate) fn edit(&self, edit: &Edit) -> u32 {
        let program = self.ebpf.program(programs::EDIT).expect("fw_edit");
        let program: &Xdp = program.try_into().expect("XDP");
        let mut options = TestRunOptions::new();
        options.data_in = Some(record::bytes(edit));
        program
            .test_run(options)
            .expect("BPF_PROG_TEST_RUN")
            .return_value
    }
}

fn config() -> Config {
    let mut timeouts = [0; fw_common::timeout::Timeout::COUNT];
    for (slot, info) in timeouts.iter_mut().zip(TABLE) {
        *slot = u64::from(info.linux) * u64::from(HZ);
    }
    Config {
        timeouts,
        udp_stream_after: 2 * u64::from(HZ),
        assured_limit: 1024,
        hz: HZ,
        rule_gen: 1,
        tcp_max_retrans: 3,
        tcp_loose: 1,
        checksum: 1,
        accounting: 1,
        ..Config::ZERO
    }
}
