//! Tests of the loaded programs: real verifier, real maps, frames by `BPF_PROG_TEST_RUN`, no network.

mod checksums;
mod frames;
mod harness;
mod large;
mod paths;
mod races;
mod tcp_matrix;
