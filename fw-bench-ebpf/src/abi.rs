//! What the generator and user space share. `fw-bench` compiles this file too.

/// Words of the longest header that the generator writes: Ethernet, IPv6, TCP with one option.
pub(crate) const HEADER_WORDS: usize = 20;

/// Entries of [`Plan::sizes`]: a power of two, for the verifier.
pub(crate) const SIZES: usize = 16;

/// What to generate. Packets of one plan differ in the flow's number only, of which the lower 16 bits
/// are the last two bytes of an address and the rest is added to a port; and in TCP's sequence and
/// acknowledgement numbers, which move on by a step each time all flows had their packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Plan {
    /// Headers from Ethernet on, with zeroes in the fields that vary.
    pub(crate) header: [u32; HEADER_WORDS],
    /// Number of the first flow.
    pub(crate) first: u32,
    /// How many flows.
    pub(crate) flows: u32,
    /// From one packet's flow to the next; less than `flows`, and without a common divisor.
    pub(crate) stride: u32,
    /// Not 0 if the flow's number goes into the destination: packets of the reply direction.
    pub(crate) reply: u32,
    /// The port that the flow's number is added to.
    pub(crate) port: u32,
    /// One's complement sum of the IPv4 header with zeroes in the fields that vary, not folded.
    pub(crate) ip_sum: u32,
    /// As `ip_sum`, of the transport header with its pseudo-header; 0: UDP without a checksum.
    pub(crate) l4_sum: u32,
    /// TCP's sequence number in the first round.
    pub(crate) seq: u32,
    /// What it grows by in each round.
    pub(crate) seq_step: u32,
    /// TCP's acknowledgement number in the first round.
    pub(crate) ack: u32,
    /// What it grows by in each round.
    pub(crate) ack_step: u32,
    /// Not 0 if packets of UDP have different sizes: how many of `sizes` are in use.
    pub(crate) mix: u32,
    /// Frame lengths, one after the other.
    pub(crate) sizes: [u32; SIZES],
    /// Length of the frame that the kernel hands the generator.
    pub(crate) frame: u32,
}

/// Where the generator is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Walk {
    /// Packets still to send: `BPF_PROG_TEST_RUN` runs whole batches, so the last has some too many.
    pub(crate) left: u64,
    /// The next flow, counted from the plan's first.
    pub(crate) at: u32,
    /// Flows that had their packet in this round.
    pub(crate) visited: u32,
    /// Rounds that are complete.
    pub(crate) round: u32,
    /// Place in the plan's sizes.
    pub(crate) size: u32,
}
