//! Where members are in the running kernel's structures: as much of its type information (BTF) as that takes.

use std::io;

/// Where the kernel shows its types.
const FILE: &str = "/sys/kernel/btf/vmlinux";
/// Length of `struct btf_type`, of `struct btf_member`.
const TYPE: usize = 12;
const MEMBER: usize = 12;
/// `BTF_KIND_STRUCT`, `BTF_KIND_UNION`.
const STRUCT: u32 = 4;
const UNION: u32 = 5;

/// The kernel's types.
pub(super) struct Btf {
    bytes: Vec<u8>,
    /// Where each type begins, by number; that of type 0 (`void`) is of no use.
    types: Vec<usize>,
    strings: usize,
}

impl Btf {
    /// Reads those of the running kernel.
    ///
    /// # Errors
    /// The file can't be read, or is not what it should be.
    pub(super) fn read() -> io::Result<Self> {
        let bytes = std::fs::read(FILE)?;
        Self::parse(bytes).ok_or_else(|| io::Error::other(format!("{FILE} can't be understood")))
    }

    fn parse(bytes: Vec<u8>) -> Option<Self> {
        /// `BTF_MAGIC`, in the machine's byte order.
        const MAGIC: u16 = 0xeb9f;
        let magic = u16::from_ne_bytes(*bytes.first_chunk()?);
        let word = |at| word(&bytes, at);
        let header = word(4)? as usize;
        let start = header + word(8)? as usize;
        let end = start + word(12)? as usize;
        let strings = header + word(16)? as usize;
        if magic != MAGIC || end > bytes.len() {
            return None;
        }
        let mut types = vec![0];
        let mut at = start;
        while at < end {
            types.push(at);
            at += TYPE + rest_of(word(at + 4)?)?;
        }
        Some(Self {
            bytes,
            types,
            strings,
        })
    }

    /// Whether there is a structure called `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Offset in bytes of `member` in `struct name`; also of one in a nameless structure within.
    pub(super) fn offset(&self, name: &str, member: &str) -> Option<u32> {
        self.member(self.find(name)?, member)
            .filter(|bits| bits % 8 == 0)
            .map(|bits| bits / 8)
    }

    fn find(&self, name: &str) -> Option<usize> {
        let structs = self.types.iter().skip(1);
        let mut structs = structs.filter(|at| kind(self.info(**at)) == STRUCT);
        structs.find(|at| self.is_called(**at, name)).copied()
    }

    fn info(&self, at: usize) -> u32 {
        word(&self.bytes, at + 4).unwrap_or(0)
    }

    /// In bits, within the structure or union that begins at `at`.
    fn member(&self, at: usize, wanted: &str) -> Option<u32> {
        /// Of members with bit fields among them: the width is in the upper byte.
        const KIND_FLAG: u32 = 1 << 31;
        let info = self.info(at);
        for number in 0..length(info) {
            let member = at + TYPE + number * MEMBER;
            let offset = word(&self.bytes, member + 8)?;
            let offset = if info & KIND_FLAG == 0 {
                offset
            } else {
                offset & 0x00ff_ffff
            };
            if self.is_called(member, wanted) {
                return Some(offset);
            }
            if word(&self.bytes, member)? != 0 {
                continue;
            }
            let inner = *self.types.get(word(&self.bytes, member + 4)? as usize)?;
            if [STRUCT, UNION].contains(&kind(self.info(inner)))
                && let Some(within) = self.member(inner, wanted)
            {
                return Some(offset + within);
            }
        }
        None
    }

    /// Whether the name of the type or member at `at` is `name`.
    fn is_called(&self, at: usize, name: &str) -> bool {
        let text = word(&self.bytes, at).and_then(|name| {
            self.bytes
                .get(self.strings.checked_add(name as usize)?..)
                .map(|text| text.split(|byte| *byte == 0).next().unwrap_or_default())
        });
        text == Some(name.as_bytes())
    }
}

/// `BTF_INFO_KIND`, `BTF_INFO_VLEN`.
const fn kind(info: u32) -> u32 {
    info >> 24 & 0x1f
}

const fn length(info: u32) -> usize {
    (info & 0xffff) as usize
}

/// How many bytes follow the head of a type.
const fn rest_of(info: u32) -> Option<usize> {
    let length = length(info);
    Some(match kind(info) {
        // Integers, variables, declaration tags.
        1 | 14 | 17 => 4,
        // Pointers, forward declarations, typedefs, volatile, const, restrict, functions, floats, type tags.
        2 | 7 | 8 | 9 | 10 | 11 | 12 | 16 | 18 => 0,
        // Arrays.
        3 => 12,
        // Structures, unions, sections, wide enumerations.
        STRUCT | UNION | 15 | 19 => length * 12,
        // Enumerations, parameters.
        6 | 13 => length * 8,
        _ => return None,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct outer { int a; struct { int b; }; }`, where the second member is at byte 4.
    fn sample() -> Vec<u8> {
        let names = b"\0outer\0a\0b\0int\0";
        let (outer, a, b, int) = (1, 7, 9, 11);
        let words: [u32; 25] = [
            // 1: int, with its encoding.
            int,
            1 << 24,
            4,
            32, // 2: the nameless one.
            0,
            STRUCT << 24 | 1,
            4,
            b,
            1,
            0, // 3: the other, whose offsets have widths.
            outer,
            1 << 31 | STRUCT << 24 | 2,
            8,
            a,
            1,
            0,
            0,
            2,
            32,
            // 4: a pointer to it, 5: a function of no parameters.
            0,
            2 << 24,
            3,
            0,
            13 << 24,
            0,
        ];
        let len = words.len() as u32 * 4;
        let mut bytes = 0xeb9f_u16.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        for word in [24, 0, len, len, names.len() as u32].iter().chain(&words) {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(names);
        bytes
    }

    #[test]
    fn members_of_nameless_structures_are_found() {
        let btf = Btf::parse(sample()).expect("types");
        assert_eq!(btf.offset("outer", "a"), Some(0));
        assert_eq!(btf.offset("outer", "b"), Some(4));
        assert_eq!(btf.offset("outer", "c"), None);
        assert_eq!(btf.offset("a", "b"), None);
        assert!(btf.has("outer") && !btf.has("int"));
    }

    #[test]
    fn what_is_cut_off_or_unknown_is_refused() {
        let whole = sample();
        assert!(Btf::parse(whole[..60].to_vec()).is_none());
        let mut unknown = whole.clone();
        unknown[24 + 7] = 31;
        assert!(Btf::parse(unknown).is_none());
        let mut swapped = whole;
        swapped.swap(0, 1);
        assert!(Btf::parse(swapped).is_none());
    }
}
