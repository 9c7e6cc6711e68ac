//! The embedded BPF object.

/// The BPF object as an ELF file; empty if this build has none.
pub static ELF: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/fw-ebpf.o"));
