//! What several tests share.

#[allow(dead_code, reason = "each test binary uses its part")]
pub(crate) mod build;
#[allow(dead_code, reason = "each test binary uses its part")]
pub(crate) mod pipeline;
#[allow(dead_code, reason = "each test binary uses its part")]
pub(crate) mod play;
#[allow(dead_code, reason = "each test binary uses its part")]
pub(crate) mod traffic;
