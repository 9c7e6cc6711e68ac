//! The rule language beside the real nft: what we accept, nft accepts; what it lists, we print.

mod bad_input;
mod corpus;
#[path = "../program/frames.rs"]
mod frames;
mod generated;
mod groups;
mod nft;
mod octal;
#[path = "../random/mod.rs"]
mod random;
