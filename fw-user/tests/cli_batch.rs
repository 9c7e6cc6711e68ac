//! The batch calls on a real map.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use aya::maps::{HashMap, Map, MapData};
use aya_obj::generated::bpf_map_type::{BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_PERCPU_HASH};
use fw_user::sys::batch::{HashTable, LayoutError};
use xtask::lab::root_or_skip;

fn map(kind: u32, value: u32) -> MapData {
    let definition = aya_obj::Map::new_from_params(kind, 4, value, 1000, 0);
    MapData::create(definition, "test", None).expect("BPF_MAP_CREATE")
}

/// A map with the elements `0..count`, each its own square.
fn squares(count: u32) -> HashTable<u32, u64> {
    let data = map(BPF_MAP_TYPE_HASH as u32, 8);
    let same = MapData::from_fd(data.fd().as_fd().try_clone_to_owned().expect("dup")).expect("map");
    let map = Map::from_map_data(data).expect("a known type");
    let mut map: HashMap<_, u32, u64> = map.try_into().expect("hash");
    for i in 0..count {
        map.insert(i, u64::from(i).pow(2), 0).expect("insert");
    }
    drop(map);
    HashTable::new(same).expect("layout")
}

fn read(table: &HashTable<u32, u64>, page: usize) -> BTreeMap<u32, u64> {
    let mut all = BTreeMap::new();
    let mut pages = table.pages(page);
    while let Some((keys, values)) = pages.next_page().expect("BPF_MAP_LOOKUP_BATCH") {
        for (key, value) in keys.iter().zip(values) {
            assert_eq!(all.insert(*key, *value), None, "{key} came twice");
        }
    }
    all
}

/// Pages smaller than a hash bucket grow, larger ones than the map are one.
#[test]
fn pages_of_any_size_have_every_element_once() {
    if !root_or_skip() {
        return;
    }
    let expected: BTreeMap<u32, u64> = (0..900).map(|i| (i, u64::from(i).pow(2))).collect();
    let table = squares(900);
    for page in [0, 1, 7, 100, 4096] {
        assert_eq!(read(&table, page), expected, "page of {page}");
    }
    assert_eq!(read(&squares(0), 16), BTreeMap::new());
}

#[test]
fn keys_that_are_not_there_do_not_stop_a_removal() {
    if !root_or_skip() {
        return;
    }
    let table = squares(10);
    let keys = [100, 0, 1, 101, 102, 2, 3, 103];
    assert_eq!(table.delete_many(&keys).expect("BPF_MAP_DELETE_BATCH"), 4);
    assert_eq!(table.delete_many(&[]).expect("nothing"), 0);
    assert!(read(&table, 16).keys().copied().eq(4..10));
}

#[test]
fn single_elements() {
    if !root_or_skip() {
        return;
    }
    let table = squares(4);
    assert_eq!(table.get(&3).expect("lookup"), Some(9));
    assert_eq!(table.get(&4).expect("lookup"), None);
    assert!(table.delete(&3).expect("delete"));
    assert!(!table.delete(&3).expect("delete"));
    assert_eq!(table.get(&3).expect("lookup"), None);
}

/// Reading these would write past our memory.
#[test]
fn other_layouts_are_refused() {
    if !root_or_skip() {
        return;
    }
    let wide = HashTable::<u32, u64>::new(map(BPF_MAP_TYPE_HASH as u32, 16));
    assert!(matches!(wide, Err(LayoutError::Size { .. })), "{wide:?}");
    let per_cpu = HashTable::<u32, u64>::new(map(BPF_MAP_TYPE_PERCPU_HASH as u32, 8));
    assert!(matches!(per_cpu, Err(LayoutError::Type(_))), "{per_cpu:?}");
}
