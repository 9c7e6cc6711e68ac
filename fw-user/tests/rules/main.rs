//! The rule language beside the real nft: what we accept, nft accepts; what it lists, we print.

mod bad_input;
mod corpus;
mod generated;
mod nft;
