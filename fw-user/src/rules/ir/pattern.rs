//! What a field is compared with.

/// The right side of a comparison, or one component of a set element.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// One number.
    Exact(u128),
    /// Both ends belong to it.
    Range(u128, u128),
    /// A number of which only that many leading bits (of the field's width) count.
    Prefix(u128, u16),
    /// An interface's name. For a field of type [`IfIndex`](super::DataType::IfIndex) it stands for
    /// the index that the interface has when the ruleset is loaded.
    Name(Box<str>),
    /// Every interface whose name begins so: `"eth*"` is `Wildcard("eth")`.
    Wildcard(Box<str>),
}

impl Pattern {
    /// First and last number that it matches, for a field of that width; none for names.
    #[must_use]
    pub fn bounds(&self, bits: u16) -> Option<(u128, u128)> {
        match *self {
            Self::Exact(value) => Some((value, value)),
            Self::Range(first, last) => Some((first, last)),
            Self::Prefix(value, length) => {
                let free = bits.saturating_sub(length);
                let tail = if free >= 128 {
                    u128::MAX
                } else {
                    (1 << free) - 1
                };
                Some((value & !tail, value | tail))
            }
            Self::Name(_) | Self::Wildcard(_) => None,
        }
    }
}
