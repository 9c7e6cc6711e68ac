//! Tests of the loaded programs: real verifier, real maps, frames by `BPF_PROG_TEST_RUN`, no network.

mod answers;
mod arrivals;
mod budget;
mod changes;
mod checksums;
mod connections;
mod events;
mod floods;
mod fragments;
mod frames;
mod groups;
#[expect(dead_code, reason = "the conformance test uses the rest")]
mod harness;
mod kept;
mod large;
mod paths;
mod pressure;
mod races;
#[path = "../random/mod.rs"]
mod random;
mod random_rules;
mod router;
mod routes;
mod rules;
mod rulesets;
mod segments;
mod short_way;
mod tcp_matrix;
mod vlans;
