//! The detector.
pub mod home;
pub mod window;
