//! What the generator and user space share. `fw-bench` compiles this file too.

/// Words of the longest header that the generator writes: Ethernet, IPv6, TCP with one option.
pub const HEADER_WORDS: usize = 20;

/// Entries of [`Plan::sizes`]: a power of two, for the verifier.
pub const SIZES: usize = 16;

/// What to generate. Packets of one plan differ in the flow's number only, of which the lower 16 bits
/// are the last two bytes of an address and the rest is added to a port; and in TCP's sequence and
/// acknowledgement numbers, which move on by a step each time all flows had their packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Plan {
    /// Headers from Ethernet on, with zeroes in the fields that vary.
    pub header: [u32; HEADER_WORDS],
    /// Number of the first flow.
    pub first: u32,
    /// How many flows.
    pub flows: u32,
    /// From one packet's flow to the next; less than `flows`, and without a common divisor.
    pub stride: u32,
    /// Not 0 if the flow's number goes into the destination: packets of the reply direction.
    pub reply: u32,
    /// The port that the flow's number is added to.
    pub port: u32,
    /// One's complement sum of the IPv4 header with zeroes in the fields that vary, not folded.
    pub ip_sum: u32,
    /// As `ip_sum`, of the transport header with its pseudo-header; 0: UDP without a checksum.
    pub l4_sum: u32,
    /// TCP's sequence number in the first round.
    pub seq: u32,
    /// What it grows by in each round.
    pub seq_step: u32,
    /// TCP's acknowledgement number in the first round.
    pub ack: u32,
    /// What it grows by in each round.
    pub ack_step: u32,
    /// Not 0 if packets of UDP have different sizes: how many of `sizes` are in use.
    pub mix: u32,
    /// Frame lengths, one after the other.
    pub sizes: [u32; SIZES],
    /// Length of the frame that the kernel hands the generator.
    pub frame: u32,
}

/// Where the generator is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Walk {
    /// Packets still to send: `BPF_PROG_TEST_RUN` runs whole batches, so the last has some too many.
    pub left: u64,
    /// The next flow, counted from the plan's first.
    pub at: u32,
    /// Flows that had their packet in this round.
    pub visited: u32,
    /// Rounds that are complete.
    pub round: u32,
    /// Place in the plan's sizes.
    pub size: u32,
}
