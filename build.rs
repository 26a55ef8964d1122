//! Says what to install when a library is not there, in place of an error of the linker after minutes; and whether there
//! is live capture.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBPCAP_LIBDIR");
    println!("cargo::rustc-check-cfg=cfg(live)");
    let wanted = std::env::var_os("CARGO_FEATURE_LIBPCAP").is_some();
    // Live capture: rings of our own on Linux, libpcap elsewhere.
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if system == "linux" || wanted && std::env::var_os("CARGO_CFG_UNIX").is_some() {
        println!("cargo::rustc-cfg=live");
    }
    // Another system's libraries lie wherever its tools were told.
    let native = std::env::var("HOST") == std::env::var("TARGET");
    if wanted && native && !has_libpcap() {
        println!(
            "cargo::error=libpcap is not installed for building. Install it: apt install libpcap-dev (Debian, Ubuntu), \
             dnf install libpcap-devel (Fedora), apk add libpcap-dev (Alpine), brew install libpcap (macOS); or set \
             LIBPCAP_LIBDIR to where it lies; or build without --features libpcap: live capture needs it for filter \
             expressions only"
        );
    }
}

/// The linker finds it: pkg-config knows it, or it lies where libraries do.
fn has_libpcap() -> bool {
    let known = Command::new("pkg-config").args(["--exists", "libpcap"]).status();
    known.is_ok_and(|status| status.success()) || places().iter().any(|folder| holds_libpcap(folder))
}

fn places() -> Vec<PathBuf> {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let mut places: Vec<PathBuf> =
        ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib", "/lib", "/lib64"]
            .map(PathBuf::from)
            .to_vec();
    places.push(format!("/usr/lib/{arch}-linux-gnu").into());
    places.extend(std::env::var_os("LIBPCAP_LIBDIR").map(PathBuf::from));
    // The SDK of macOS has it where only the linker looks.
    if cfg!(target_os = "macos") {
        places.push("/Library/Developer/CommandLineTools/SDKs/MacOSX.sdk/usr/lib".into());
    }
    places
}

fn holds_libpcap(folder: &Path) -> bool {
    ["libpcap.so", "libpcap.a", "libpcap.dylib", "libpcap.tbd"].iter().any(|name| folder.join(name).exists())
}
