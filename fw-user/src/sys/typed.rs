//! Maps made with type information, of which aya's own have none.
//!
//! A map takes another one into itself only if that is like the one it was made for. Before Linux 6.2 this includes
//! whether types are known, whatever they are (`bpf_map_meta_equal`), and those of the object's maps are.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd as _, OwnedFd};

use aya::Pod;
use aya::maps::{Map, MapData, MapError};
use aya_obj::generated::{bpf_cmd, bpf_map_type, btf_header};

use super::call::{no_attributes, open};

/// `BTF_KIND_STRUCT`, where `struct btf_type` has it.
const STRUCT: u32 = 4 << 24;
/// `BTF_MAGIC` and `BTF_VERSION`.
const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;

/// Makes a map with keys of type `K` and values of type `V`, and room for `size` of them. `flags` are those of
/// `BPF_MAP_CREATE`.
///
/// # Errors
/// What the kernel says.
pub fn create<K: Pod, V: Pod>(kind: bpf_map_type, size: u32, flags: u32) -> Result<Map, MapError> {
    let lengths = [size_of::<K>() as u32, size_of::<V>() as u32];
    let fd = made(kind, lengths, size, flags).map_err(MapError::IoError)?;
    Map::from_map_data(MapData::from_fd(fd)?)
}

fn made(kind: bpf_map_type, lengths: [u32; 2], size: u32, flags: u32) -> io::Result<OwnedFd> {
    let types = load(&description(lengths))?;
    let [key, value] = lengths;
    let mut attr = no_attributes();
    attr.__bindgen_anon_1.map_type = kind as u32;
    attr.__bindgen_anon_1.key_size = key;
    attr.__bindgen_anon_1.value_size = value;
    attr.__bindgen_anon_1.max_entries = size;
    attr.__bindgen_anon_1.map_flags = flags;
    attr.__bindgen_anon_1.btf_fd = types.as_raw_fd().cast_unsigned();
    // Types are counted from 1.
    attr.__bindgen_anon_1.btf_key_type_id = 1;
    attr.__bindgen_anon_1.btf_value_type_id = 2;
    open(bpf_cmd::BPF_MAP_CREATE, &mut attr)
}

fn load(types: &[u8]) -> io::Result<OwnedFd> {
    let mut attr = no_attributes();
    attr.__bindgen_anon_7.btf = types.as_ptr() as u64;
    attr.__bindgen_anon_7.btf_size = types.len() as u32;
    open(bpf_cmd::BPF_BTF_LOAD, &mut attr)
}

/// Structures of these lengths, in bytes, without names and of which no more is said.
fn description(lengths: [u32; 2]) -> Vec<u8> {
    let types: Vec<u8> = lengths
        .into_iter()
        .flat_map(|length| [0, STRUCT, length])
        .flat_map(u32::to_ne_bytes)
        .collect();
    let after_types = types.len() as u32;
    // Strings begin with the empty one.
    let strings = [0];
    let words = [size_of::<btf_header>() as u32, 0, after_types, after_types];
    let mut all = [&MAGIC.to_ne_bytes()[..], &[VERSION, 0]].concat();
    for word in words.into_iter().chain([strings.len() as u32]) {
        all.extend(word.to_ne_bytes());
    }
    [all.as_slice(), &types, &strings].concat()
}

#[cfg(test)]
mod tests {
    use aya::maps::{HashMap, IterableMap as _};
    use aya_obj::generated::BPF_F_NO_PREALLOC;
    use xtask::lab::root_or_skip;

    use super::*;

    #[test]
    fn a_typed_map_holds_what_it_is_given() {
        if !root_or_skip() {
            return;
        }
        let kind = bpf_map_type::BPF_MAP_TYPE_HASH;
        let map = create::<[u32; 4], u64>(kind, 2, BPF_F_NO_PREALLOC).expect("a map");
        let mut map: HashMap<MapData, [u32; 4], u64> = map.try_into().expect("a hash map");
        map.insert([1, 2, 3, 4], 5, 0).expect("room");
        assert_eq!(map.get(&[1, 2, 3, 4], 0).expect("there"), 5);
        let info = map.map().info().expect("information");
        assert_eq!((info.key_size(), info.value_size()), (16, 8));
    }
}
