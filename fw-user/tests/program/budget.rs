//! What the programs cost the verifier, beside a golden figure, and how much stack they take.
//!
//! The verifier gives up at a million instructions, and 512 bytes of stack have to do for a function and
//! all that it is called by. Neither limit shows before it is reached: this test tells while there is
//! time. `FW_BLESS=1 cargo test -p fw-user --test program budget` writes the figures down anew.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::path::Path;

use aya::EbpfLoader;
use aya::programs::{Program, ProgramInfo};
use aya_obj::Object;
use aya_obj::generated::{BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, bpf_insn};
use fw_common::abi::{maps, programs};
use fw_user::sys::verify;
use xtask::lab::root_or_skip;

/// Programs in the order of the golden file.
const PROGRAMS: [&str; 6] = [
    programs::INGRESS,
    programs::INGRESS_TC,
    programs::EGRESS,
    programs::CLOCK,
    programs::EDIT,
    programs::HOOKS,
];
/// Percent that a figure may be off before it is news. Compilers differ a little.
const TOLERANCE: u64 = 10;
/// `MAX_BPF_STACK`: for all nested functions together.
const STACK: u64 = 512;
/// A frame takes whole units of this (`round_up_stack_depth` without a JIT).
const STACK_UNIT: u64 = 32;
/// Frames that the kernel's own functions called by a program take do not count.
const FRAME_POINTER: u8 = 10;

/// Cost of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    instructions: u64,
    stack: u64,
}

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/budget.txt")
}

#[test]
fn budget_is_what_it_was() {
    if !root_or_skip() {
        return;
    }
    let instructions = verified();
    let object = linked();
    let costs = PROGRAMS.map(|name| Cost {
        instructions: instructions[name],
        stack: deepest(&instructions_of(&object, name)),
    });
    let text = render(costs);
    if std::env::var_os("FW_BLESS").is_some() {
        std::fs::write(golden(), &text).expect("writing the golden figures");
        return;
    }
    let old = std::fs::read_to_string(golden()).expect("the golden figures");
    for (name, cost) in PROGRAMS.into_iter().zip(costs) {
        assert!(
            cost.stack <= STACK,
            "{name}: {} of {STACK} bytes of stack on its deepest way",
            cost.stack
        );
        let line = old
            .lines()
            .find(|line| line.split_whitespace().next() == Some(name));
        let mut figures = line.unwrap_or_default().split_whitespace().skip(1);
        let mut next = || figures.next()?.parse::<u64>().ok();
        let before = (next(), next());
        for (what, now, before) in [
            ("verified instructions", cost.instructions, before.0),
            ("bytes of stack", cost.stack, before.1),
        ] {
            let before = before.unwrap_or(0);
            assert!(
                now.abs_diff(before) * 100 <= before * TOLERANCE,
                "{name}: {now} {what}, where {} has {before}. If that is the price of what you added, \
                 write it down: FW_BLESS=1 cargo test -p fw-user --test program budget",
                golden().display()
            );
        }
    }
}

fn render(costs: [Cost; PROGRAMS.len()]) -> String {
    let mut text =
        String::from("# program, verified instructions, bytes of stack on the deepest way\n");
    for (
        name,
        Cost {
            instructions,
            stack,
        },
    ) in PROGRAMS.iter().zip(costs)
    {
        writeln!(text, "{name:<13} {instructions:>8} {stack:>4}").expect("a string");
    }
    text
}

/// How many instructions the verifier followed in each program.
fn verified() -> BTreeMap<&'static str, u64> {
    let mut loader = EbpfLoader::new();
    for name in [maps::ASSURED4, maps::ASSURED6, maps::EMBRYO4, maps::EMBRYO6] {
        loader.map_max_entries(name, 1024);
    }
    let mut ebpf = loader.load(fw_user::object::ELF).expect("the object");
    let count = |info: ProgramInfo| {
        info.verified_instruction_count()
            .expect("Linux 5.16")
            .into()
    };
    PROGRAMS
        .into_iter()
        .map(|name| {
            let info = match ebpf.program_mut(name).expect(name) {
                Program::Xdp(program) => {
                    verify::load(|| program.load()).unwrap_or_else(|e| panic!("{name}: {e}"));
                    program.info()
                }
                Program::SchedClassifier(program) => {
                    verify::load(|| program.load()).unwrap_or_else(|e| panic!("{name}: {e}"));
                    program.info()
                }
                other => panic!("{name}: {other:?}"),
            };
            (name, count(info.expect("its facts")))
        })
        .collect()
}

/// The object with every function that a program calls behind it.
fn linked() -> Object {
    let mut object = Object::parse(fw_user::object::ELF).expect("the object");
    let sections: HashSet<usize> = object
        .functions
        .keys()
        .map(|(section, _)| *section)
        .collect();
    object.relocate_calls(&sections).expect("linked");
    object
}

fn instructions_of(object: &Object, name: &str) -> Vec<bpf_insn> {
    let key = object.programs[name].function_key();
    object.functions[&key].instructions.clone()
}

/// Bytes of stack on the deepest way through a program.
///
/// The verifier's own figures are in its log only, which has 130 MB for these programs. It takes the
/// lowest address that a function touches below its frame pointer; so does this.
fn deepest(code: &[bpf_insn]) -> u64 {
    let calls: Vec<(usize, usize)> = (0..code.len())
        .filter_map(|at| Some((at, callee(code, at)?)))
        .collect();
    let mut starts: BTreeSet<usize> = calls.iter().map(|(_, start)| *start).collect();
    starts.insert(0);
    depth_from(0, code, &calls, &starts)
}

fn depth_from(
    start: usize,
    code: &[bpf_insn],
    calls: &[(usize, usize)],
    starts: &BTreeSet<usize>,
) -> u64 {
    let end = starts
        .range(start + 1..)
        .next()
        .copied()
        .unwrap_or(code.len());
    let inner = calls.iter().filter(|(at, _)| (start..end).contains(at));
    let inner = inner.map(|(_, callee)| depth_from(*callee, code, calls, starts));
    frame(&code[start..end]) + inner.max().unwrap_or(0)
}

/// Where the instruction at `at` calls, or takes the address of, a function of ours.
fn callee(code: &[bpf_insn], at: usize) -> Option<usize> {
    let insn = &code[at];
    let source = u32::from(insn.src_reg());
    let calls = insn.code == 0x85 && source == BPF_PSEUDO_CALL;
    let takes = insn.code == 0x18 && source == BPF_PSEUDO_FUNC;
    if !calls && !takes {
        return None;
    }
    (at + 1).checked_add_signed(insn.imm as isize)
}

/// Stack of one function: its lowest access below the frame pointer, direct or through a register that
/// was set from it just before.
fn frame(code: &[bpf_insn]) -> u64 {
    let mut lowest = 0_i64;
    let mut derived = None;
    for insn in code {
        let class = insn.code & 7;
        // Loads (1) address by their source, stores (2, 3) by their destination.
        let base = match class {
            1 => Some(insn.src_reg()),
            2 | 3 => Some(insn.dst_reg()),
            _ => None,
        };
        if base == Some(FRAME_POINTER) {
            lowest = lowest.min(insn.off.into());
        }
        // `rX = r10`, then `rX += -N`.
        match (insn.code, derived) {
            (0xbf, _) if insn.src_reg() == FRAME_POINTER => derived = Some(insn.dst_reg()),
            (0x07, Some(register)) if insn.dst_reg() == register => {
                lowest = lowest.min(insn.imm.into());
                derived = None;
            }
            _ => {}
        }
    }
    lowest.unsigned_abs().max(1).next_multiple_of(STACK_UNIT)
}
