//! Build helpers shared with build.rs.
