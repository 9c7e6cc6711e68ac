//! The benchmarks: the same packets through a router that is the kernel's own, and through one that
//! is ours.
//!
//! A client, a router and a server in network namespaces. The client's packets come from a BPF program
//! ([`generator`](station)); the server counts and drops them. Generator, router and server run one
//! after the other in one thread on one CPU, whose CPU time is what a packet costs: it does not depend
//! on what else the machine does, as long as caches are not shared.
#![deny(unsafe_code)]

#[path = "../../fw-bench-ebpf/src/abi.rs"]
mod abi;
pub mod bench;
pub mod globals;
pub mod machine;
pub mod measure;
pub mod report;
pub mod rig;
pub mod router;
pub mod ruleset;
pub mod station;
pub mod stats;
#[expect(unsafe_code, reason = "the fence: scheduling, plain data for BPF maps")]
mod sys;
pub mod traffic;
pub mod workload;
