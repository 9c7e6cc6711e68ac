//! A firewall that is only its maps: pinned on a private BPF file system, filled by the test, read
//! by the real `fwctl`.
#![expect(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod spec;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use aya::EbpfLoader;
use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray, PerCpuValues};
use aya::programs::Xdp;
use aya_obj::generated::bpf_map_type::{
    BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY,
};
use fw_common::abi::{Clock, Config, Counter, Flow, Key4, Key6, maps, programs};
use fw_common::flow::FlowKey;
use fw_common::status;
use fw_common::timeout::Timeout;
use fw_user::paths::Paths;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

pub(crate) use spec::{HZ, NOW};
use spec::{Spec, dns6, netbios, ping, ssh};

/// A clock that stands still, however slow the machine is: one tick lasts for centuries.
pub(crate) const FROZEN: Clock = Clock {
    tick_ns: u64::MAX,
    offset: NOW as i64,
};

/// Directory on a BPF file system of its own, gone with the test.
pub(crate) struct BpfFs {
    pub(crate) dir: PathBuf,
}

impl BpfFs {
    pub(crate) fn mount(options: Option<&std::ffi::CStr>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("fwctl-cli-{}-{n}", std::process::id()));
        fs::create_dir(&dir).expect("temporary directory");
        mount("bpf", &dir, "bpf", MountFlags::empty(), options).expect("mount -t bpf");
        Self { dir }
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        let _ = unmount(&self.dir, UnmountFlags::DETACH);
        let _ = fs::remove_dir(&self.dir);
    }
}

/// The pinned maps.
pub(crate) struct Firewall {
    pub(crate) fs: BpfFs,
    embryo4: HashMap<MapData, Key4, Flow>,
    assured4: HashMap<MapData, Key4, Flow>,
    embryo6: HashMap<MapData, Key6, Flow>,
    assured6: HashMap<MapData, Key6, Flow>,
    config: Array<MapData, Config>,
    counters: PerCpuArray<MapData, u64>,
    pub(crate) occupancy: Array<MapData, u64>,
}

impl Firewall {
    /// Maps for `capacity` flows each, a frozen clock, accounting on.
    pub(crate) fn new(capacity: u32) -> Self {
        let fs = BpfFs::mount(None);
        let paths = paths(&fs.dir);
        fs::create_dir_all(paths.map("x").parent().expect("directory")).expect("pin directory");
        let flows = |name, key| {
            let value = size_of::<Flow>();
            create(
                &paths,
                name,
                BPF_MAP_TYPE_LRU_HASH as u32,
                key,
                value,
                capacity,
            )
        };
        let array = |name, kind: u32, value, slots| create(&paths, name, kind, 4, value, slots);
        let plain = BPF_MAP_TYPE_ARRAY as u32;
        let (key4, key6) = (size_of::<Key4>(), size_of::<Key6>());
        let per_cpu = BPF_MAP_TYPE_PERCPU_ARRAY as u32;
        let mut firewall = Self {
            embryo4: flows(maps::EMBRYO4, key4).try_into().expect("EMBRYO4"),
            assured4: flows(maps::ASSURED4, key4).try_into().expect("ASSURED4"),
            embryo6: flows(maps::EMBRYO6, key6).try_into().expect("EMBRYO6"),
            assured6: flows(maps::ASSURED6, key6).try_into().expect("ASSURED6"),
            config: array(maps::CONFIG, plain, size_of::<Config>(), 1)
                .try_into()
                .expect("CONFIG"),
            counters: array(maps::COUNTERS, per_cpu, 8, Counter::SLOTS)
                .try_into()
                .expect("COUNTERS"),
            occupancy: array(maps::OCCUPANCY, plain, 8, maps::OCCUPANCY_SLOTS)
                .try_into()
                .expect("OCCUPANCY"),
            fs,
        };
        load_edit(&paths);
        firewall.configure(|_| {});
        firewall
    }

    /// With the four flows of [`spec`].
    pub(crate) fn with_four_flows() -> Self {
        let mut firewall = Self::new(1024);
        for flow in [ssh(), netbios(), ping(), dns6()] {
            firewall.add(&flow);
        }
        firewall
    }

    /// Writes the configuration, changed by `tweak`.
    pub(crate) fn configure(&mut self, tweak: impl FnOnce(&mut Config)) {
        let mut config = config();
        tweak(&mut config);
        self.config.set(0, config, 0).expect("CONFIG");
    }

    /// Inserts a flow into the map where the programs would keep it.
    pub(crate) fn add(&mut self, flow: &Spec) {
        let assured = flow.status & status::ASSURED != 0;
        self.add_to(flow, assured);
    }

    /// Inserts a flow into the assured or the embryonic map.
    pub(crate) fn add_to(&mut self, spec: &Spec, assured: bool) {
        let tuple = spec.tuple();
        if spec.v6() {
            let (key, from_hi) = Key6::canonical(&tuple, spec.zone);
            let map = if assured {
                &mut self.assured6
            } else {
                &mut self.embryo6
            };
            let flow = Flow {
                tag: key.tag(),
                ..spec.flow(from_hi)
            };
            map.insert(key, flow, 0).expect("insert");
        } else {
            let (key, from_hi) = Key4::canonical(&tuple, spec.zone);
            let map = if assured {
                &mut self.assured4
            } else {
                &mut self.embryo4
            };
            let flow = Flow {
                tag: key.tag(),
                ..spec.flow(from_hi)
            };
            map.insert(key, flow, 0).expect("insert");
        }
    }

    /// Sets one counter on one CPU.
    pub(crate) fn count(&mut self, counter: Counter, cpu: usize, value: u64) {
        let old = self.counters.get(&counter.0, 0).expect("COUNTERS");
        let mut values: Vec<u64> = old.iter().copied().collect();
        values[cpu] = value;
        let values = PerCpuValues::try_from(values).expect("one for each CPU");
        self.counters.set(counter.0, values, 0).expect("COUNTERS");
    }

    /// Entries in all maps, dead or alive.
    pub(crate) fn entries(&self) -> usize {
        self.embryo4.keys().count()
            + self.assured4.keys().count()
            + self.embryo6.keys().count()
            + self.assured6.keys().count()
    }

    /// The command, ready to be spawned.
    pub(crate) fn command(&self, line: &str) -> Command {
        command(&self.fs.dir, line)
    }

    /// Runs the command to its end.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> Run {
        Run::of(&mut self.command(line))
    }
}

/// Loads and pins what commands change flows with. The other maps of the object are made and pinned, too.
fn load_edit(paths: &Paths) {
    let mut loader = EbpfLoader::new();
    for name in maps::PINNED {
        loader.map_pin_path(name, paths.map(name));
    }
    let mut ebpf = loader.load(fw_user::object::ELF).expect("the object");
    let program: &mut Xdp = ebpf
        .program_mut(programs::EDIT)
        .expect("fw_edit")
        .try_into()
        .expect("XDP");
    fw_user::sys::verify::load(|| program.load()).expect("the verifier accepts it");
    let pin = paths.program(programs::EDIT);
    fs::create_dir_all(pin.parent().expect("directory")).expect("pin directory");
    program.pin(pin).expect("pin");
}

fn create(paths: &Paths, name: &str, kind: u32, key: usize, value: usize, max: u32) -> Map {
    let size = |n: usize| u32::try_from(n).expect("size");
    let definition = aya_obj::Map::new_from_params(kind, size(key), size(value), max, 0);
    let map = MapData::create(definition, name, None).expect("BPF_MAP_CREATE");
    map.pin(paths.map(name)).expect("pin");
    Map::from_map_data(map).expect("a known type")
}

/// Pins a hash map of these sizes in bytes under a name of ours.
pub(crate) fn pin_stranger(fs: &BpfFs, name: &str, key: usize, value: usize) {
    let paths = paths(&fs.dir);
    let _ = fs::remove_file(paths.map(name));
    create(&paths, name, BPF_MAP_TYPE_LRU_HASH as u32, key, value, 16);
}

pub(crate) fn paths(bpffs: &Path) -> Paths {
    Paths {
        bpffs: bpffs.to_owned(),
        ..Paths::default()
    }
}

/// `fwctl` with these pins, no daemon, and nothing of our own environment.
pub(crate) fn command(bpffs: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fwctl"));
    for name in ["FWCTL_SOCKET", "FWCTL_BPFFS", "FWCTL_STATE_DIR", "NO_COLOR"] {
        command.env_remove(name);
    }
    command.arg("--bpffs").arg(bpffs);
    command.arg("--socket").arg(bpffs.join("no-daemon"));
    command.args(line.split_whitespace());
    command
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    #[track_caller]
    pub(crate) fn of(command: &mut Command) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().expect("fwctl starts");
        Self {
            code: status.code(),
            out: String::from_utf8(stdout).expect("UTF-8"),
            err: String::from_utf8(stderr).expect("UTF-8"),
        }
    }

    /// The lines of standard output in alphabetical order: a hash table has no other.
    pub(crate) fn sorted(&self) -> Vec<&str> {
        let mut lines: Vec<_> = self.out.lines().collect();
        lines.sort_unstable();
        lines
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

fn config() -> Config {
    Config {
        timeouts: [30 * HZ; Timeout::COUNT],
        udp_stream_after: 2 * HZ,
        assured_limit: 1 << 20,
        hz: HZ as u32,
        tcp_max_retrans: 3,
        tcp_loose: 1,
        checksum: 1,
        accounting: 1,
        fasttrack: 1,
        clock: FROZEN,
        ..Config::ZERO
    }
}

/// Fills `count` different UDP flows in at once: the kernel's batch call is not what is tested.
pub(crate) fn crowd(firewall: &mut Firewall, count: u32) {
    let spec = netbios();
    for i in 0..count {
        let [_, a, b, c] = i.to_be_bytes();
        let mut tuple = spec.tuple();
        tuple.src[..4].copy_from_slice(&[10, a, b, c]);
        let (key, from_hi) = Key4::canonical(&tuple, 0);
        let flow = spec.flow(from_hi);
        firewall.embryo4.insert(key, flow, 0).expect("insert");
    }
}
