//! Vectors of rules: an array of blocks for each bank, as long as its ruleset needs.

use aya::maps::of_maps::ArrayOfMaps;
use aya::maps::{Array, IterableMap as _, Map, MapData};
use aya_obj::generated::BPF_F_INNER_MAP;
use fw_common::abi::maps;
use fw_common::ruleset::seek::BLOCK;

use super::{MapsError, failed, typed};
use crate::sys::batch::insert_many;

type Block = [u64; BLOCK];
type Blocks = Array<MapData, Block>;

/// Blocks that are written with one system call.
const CHUNK: usize = 1024;

/// The outer map.
#[derive(Debug)]
pub(super) struct Vectors {
    outer: ArrayOfMaps<MapData, Blocks>,
    /// Banks that have vectors.
    used: [bool; 2],
}

impl Vectors {
    pub(super) fn new(map: Map) -> Result<Self, MapsError> {
        Ok(Self {
            outer: typed(maps::VECTORS, map)?,
            used: [false; 2],
        })
    }

    /// Takes over those that an earlier process has made.
    pub(super) fn adopt(&mut self, blocks: &[Block], bank: u32) {
        self.used[bank as usize & 1] = !blocks.is_empty();
    }

    /// Writes those of a bank that no packet sees.
    pub(super) fn load(&mut self, blocks: &[Block], bank: u32) -> Result<(), MapsError> {
        if blocks.is_empty() {
            return self.clear(bank);
        }
        let count = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
        let made = Blocks::create(count, BPF_F_INNER_MAP).map_err(failed(maps::VECTORS))?;
        for (first, chunk) in (0..).step_by(CHUNK).zip(blocks.chunks(CHUNK)) {
            let keys: Vec<u32> = (first..).take(chunk.len()).collect();
            insert_many(made.map(), &keys, chunk).map_err(|source| MapsError::Io {
                name: maps::VECTORS,
                source,
            })?;
        }
        self.used[bank as usize & 1] = true;
        self.put(bank, &made)
    }

    /// Gives back the memory of a bank that no packet sees.
    pub(super) fn clear(&mut self, bank: u32) -> Result<(), MapsError> {
        if !std::mem::take(&mut self.used[bank as usize & 1]) {
            return Ok(());
        }
        let empty = Blocks::create(1, BPF_F_INNER_MAP).map_err(failed(maps::VECTORS))?;
        self.put(bank, &empty)
    }

    fn put(&mut self, bank: u32, blocks: &Blocks) -> Result<(), MapsError> {
        self.outer
            .set(bank, blocks, 0)
            .map_err(failed(maps::VECTORS))
    }
}
