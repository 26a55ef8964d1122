//! Every crate that Egret is built from may be passed on under Egret's own terms: no GPL, no LGPL, nothing unknown.

use std::process::Command;

/// Licences that ask for no more than their text to be kept.
const FREE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0", // by file: it binds only changes to the crate itself
    "NCSA",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn every_crate_is_free_to_pass_on() {
    let packages = packages();
    assert!(packages.len() > 20, "{} crates are too few to be true", packages.len());
    let bad: Vec<String> = packages
        .iter()
        .filter(|(_, licence)| !licence.as_deref().is_some_and(is_free))
        .map(|(name, licence)| format!("{name}: {}", licence.as_deref().unwrap_or("no licence named")))
        .collect();
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
}

#[test]
fn both_licences_of_our_own_are_here() {
    for (file, says) in [("LICENSE-MIT", "MIT License"), ("LICENSE-APACHE", "Apache License")] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        assert!(std::fs::read_to_string(path).expect(file).contains(says));
    }
}

#[test]
fn expressions_are_understood() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR MIT",
    ] {
        assert!(is_free(good), "{good}");
    }
    for bad in
        ["GPL-3.0", "LGPL-3.0-or-later", "MIT AND GPL-2.0", "(GPL-2.0 OR LGPL-2.1) AND MIT", "", "MIT OR"]
    {
        assert!(!is_free(bad), "{bad}");
    }
}

/// Name and licence of every crate in the build, this one left out.
fn packages() -> Vec<(String, Option<String>)> {
    let host = Command::new("rustc").arg("-vV").output().expect("rustc runs").stdout;
    let host = String::from_utf8(host).expect("UTF-8");
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages").iter();
    packages
        .filter(|package| package["name"] != "egret")
        .map(|package| {
            (
                package["name"].as_str().unwrap_or_default().to_owned(),
                package["license"].as_str().map(str::to_owned),
            )
        })
        .collect()
}

/// Whether an SPDX expression leaves a free choice.
fn is_free(expression: &str) -> bool {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest) == Some(true) && rest.is_empty()
}

fn any(words: &mut &[&str]) -> Option<bool> {
    let mut free = all(words)?;
    while let Some((&"OR", rest)) = words.split_first() {
        *words = rest;
        free |= all(words)?;
    }
    Some(free)
}

fn all(words: &mut &[&str]) -> Option<bool> {
    let mut free = one(words)?;
    while let Some((&"AND", rest)) = words.split_first() {
        *words = rest;
        free &= one(words)?;
    }
    Some(free)
}

fn one(words: &mut &[&str]) -> Option<bool> {
    let (word, rest) = words.split_first()?;
    *words = rest;
    if *word == "(" {
        let free = any(words)?;
        let (close, rest) = words.split_first()?;
        *words = rest;
        return (*close == ")").then_some(free);
    }
    let mut licence = (*word).to_owned();
    if let [with, exception, rest @ ..] = *words
        && *with == "WITH"
    {
        licence = format!("{licence} WITH {exception}");
        *words = rest;
    }
    Some(FREE.contains(&licence.as_str()))
}
