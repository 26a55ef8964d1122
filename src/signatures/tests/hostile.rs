//! What a hostile file or host name may do: be refused, quickly, and nothing else.

use super::*;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn read(text: &str) -> Vec<Fault> {
    let (_, mut faults, _) =
        Catalogue::read_texts(&[("x.toml", text), ("tools.toml", text)], Some(("s.toml", text)));
    faults.sort();
    faults
}

#[test]
fn large_deep_and_odd_files_are_refused_in_short_words() {
    let deep = format!("schema = 1\nx = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let dotted = format!("schema = 1\n{}x = 1", "a.".repeat(50_000));
    let long = format!("schema = 1\ncategory = \"{}\"", "x".repeat(2 << 20));
    let large = "#".repeat(MAX_FILE + 1);
    let list = format!(
        "schema = 1\ncategory = \"paste\"\n[service.a]\nname = \"A\"\nweight = 1\nweb = [{}]",
        "\"a.example.org\",".repeat(20_001)
    );
    for text in
        [&deep, &dotted, &long, &large, &list, "\u{0}", "schema = 1\r\u{7}", "\u{feff}x", "schema = 2"]
    {
        let started = Instant::now();
        let faults = read(text);
        assert!(!faults.is_empty() && faults.len() <= 600);
        assert!(faults.iter().all(|f| f.to_string().len() < 1_500 && !f.to_string().contains('\n')));
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let dir = std::env::temp_dir().join(format!("egret-signatures-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join("x.toml"), [0xff, 0xfe, 0]).expect("a file");
    let faults = Catalogue::load(Some(&dir), None).expect_err("no text");
    std::fs::remove_dir_all(&dir).expect("clean");
    assert!(faults[0].to_string().contains("no UTF-8 text at byte 0"), "{}", faults[0]);
}

#[test]
fn names_that_are_no_names_match_nothing() {
    let catalogue = shared();
    let long = "a.".repeat(126) + "dropbox.com";
    let labels = "a.".repeat(120) + "dropbox.com";
    for host in
        ["", ".", "..", ".dropbox.com", "a..dropbox.com", "dropbox.com..", "*.dropbox.com:x", "\u{0}", &long]
    {
        assert_eq!(catalogue.classify(host), None, "{host:?}");
    }
    assert!(catalogue.classify(&labels).is_some(), "as long as a name can be");
    assert_eq!(catalogue.classify("dröpbox.com"), None);
    assert_eq!(catalogue.classify("dropbox。com"), None);
    assert_eq!(catalogue.classify("dropbox.com\u{200b}"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_host_is_answered(host in ".{0,300}") {
        let catalogue = shared();
        let verdict = catalogue.classify(&host);
        prop_assert!(verdict.is_none_or(|v| catalogue.rule(v.rule).is_some()));
    }

    #[test]
    fn any_label_before_a_suffix_stays_with_it(label in "[a-z0-9-]{1,63}") {
        let catalogue = shared();
        let found = catalogue.classify(&format!("{label}.userstorage.mega.co.nz"));
        prop_assert_eq!(found.map(|v| v.service), catalogue.find("mega"));
        let found = catalogue.classify(&format!("dropbox.com.{label}.example"));
        prop_assert_eq!(found, None);
    }

    #[test]
    fn any_host_is_described(host in "[a-z.]{0,30}|.{0,20}") {
        let text = describe(few(), &host);
        prop_assert!(!text.is_empty() && text.lines().count() <= 10);
    }

    #[test]
    fn any_pattern_is_read_or_refused(text in "[a-z*?.<>tenA-]{0,40}|.{0,300}") {
        if let Ok(pattern) = Pattern::parse(&text) {
            prop_assert_eq!(pattern.as_str(), text);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(
        text in "(schema = 1\n)?(category = \"paste\"\n)?(\\[\\[?(service\\.a|allow|own|tool\\.x|windows)\\]?\\]\n)?.{0,200}"
    ) {
        let faults = read(&text);
        prop_assert!(faults.iter().all(|f| f.line.is_none_or(|line| line <= text.lines().count() + 1)));
    }

    #[test]
    fn globs_agree_with_the_plain_definition(glob in "[ab*?]{0,8}", text in "[ab]{0,8}") {
        prop_assert_eq!(glob_matches(&glob, &text), plainly(glob.as_bytes(), text.as_bytes()));
    }
}

/// The definition of a glob, without regard to speed.
fn plainly(glob: &[u8], text: &[u8]) -> bool {
    match (glob.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|n| plainly(rest, &text[n..])),
        (Some((b'?', glob)), Some((_, text))) => plainly(glob, text),
        (Some((g, glob)), Some((t, text))) => g == t && plainly(glob, text),
        _ => false,
    }
}

/// A catalogue of one file, for what is slow with all.
fn few() -> &'static Catalogue {
    static CATALOGUE: std::sync::OnceLock<Catalogue> = std::sync::OnceLock::new();
    CATALOGUE.get_or_init(|| {
        let files: Vec<_> =
            builtin::FILES.iter().copied().filter(|f| f.0.ends_with("cloud_backup.toml")).collect();
        Catalogue::read_texts(&files, None).0
    })
}
