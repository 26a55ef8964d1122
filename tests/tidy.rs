//! House style that no lint can hold. An exception is written beside the line: `// tidy: long because …`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

const MAX_FUNCTION: usize = 70;
const MAX_FILE: usize = 600;
/// Where `unsafe` may stand.
const UNSAFE: &[&str] = &[
    "src/flow/huge.rs",
    "src/flow/prefetch.rs",
    "src/capture/ring.rs",
    "src/capture/poll.rs",
    "tests/common/netns.rs",
    "tests/allocations.rs",
];
/// Words that put work off. Written in two, so that this file keeps its own rule.
const PUT_OFF: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!("), concat!("unimpl", "emented!(")];
/// Folders whose Rust is ours.
const RUST: &[&str] = &["src", "tests", "benches", "examples"];
/// Other folders and files of text.
const TEXT: &[&str] = &[".ci", "deploy", "docs", "signatures", "README.md", "CHANGELOG.md", "Cargo.toml"];

/// A text that is held against the rules.
struct File {
    /// From the root of the package, with `/`.
    path: String,
    text: String,
}

/// A rule: what it finds in a file, by line.
type Rule = fn(&File) -> Vec<(usize, String)>;

/// Every rule with a word for exceptions and a snippet that it must find.
const RULES: &[(&str, Rule, &str, &str)] = &[
    ("long", long_functions, "src/a.rs", LONG_FUNCTION),
    ("big", big_files, "src/a.rs", ""),
    ("sentence", modules_without_a_sentence, "src/a.rs", "use std::fmt;\n"),
    ("unsafe", stray_unsafe, "src/a.rs", "//! A.\nfn f() { unsafe { g() } }\n"),
    ("later", work_put_off, "src/a.rs", ""),
    ("path", paths_of_a_machine, "src/a.rs", ""),
];

#[test]
fn the_house_is_tidy() {
    let mut said = String::new();
    for file in files(RUST, &["rs"]) {
        for (word, rule, ..) in RULES {
            for (line, what) in apply(*rule, word, &file) {
                let _ = writeln!(said, "{}:{line}: {what}", file.path);
            }
        }
    }
    for file in files(TEXT, &["", "toml", "md", "tsv", "json", "py", "sh", "txt", "service"]) {
        for (line, what) in apply(paths_of_a_machine, "path", &file) {
            let _ = writeln!(said, "{}:{line}: {what}", file.path);
        }
    }
    assert!(said.is_empty(), "\n{said}An exception is written beside the line: // tidy: WORD because …");
}

#[test]
fn every_signature_file_is_built_in() {
    let list = std::fs::read_to_string(root().join("src/signatures/builtin.rs")).expect("the list");
    for file in files(&["signatures"], &["toml"]) {
        assert!(list.contains(&format!("(\"{}\"", file.path)), "{} is not built in", file.path);
    }
}

#[test]
fn no_golden_file_is_stale() {
    let code: Vec<File> = files(RUST, &["rs", "py"]);
    let golden = paths(&["tests/golden"]);
    assert!(!golden.is_empty());
    for path in golden {
        let names =
            path.iter().rev().take(2).filter_map(|part| part.to_str()).map(|name| format!("{name}\""));
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let mut wanted = names.chain([format!("{name}\"")]);
        let used = wanted.any(|name| code.iter().any(|file| file.text.contains(&name)));
        let folder =
            path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        let by_folder = code.iter().any(|file| file.text.contains(&format!("golden/{folder}")));
        assert!(used || by_folder, "{} is used by no test", path.display());
    }
}

#[test]
fn every_rule_finds_what_it_is_for() {
    let long_file = format!("//! A.\n{}", "fn f() {}\n".repeat(MAX_FILE));
    for (word, rule, path, snippet) in RULES {
        let put_off = format!("//! A.\n// {} later\n", PUT_OFF[0]);
        let machine = format!("//! A.\nconst A: &str = \"{}x\";\n", concat!("/wo", "rk/"));
        let text = match *word {
            "big" => long_file.clone(),
            "later" => put_off,
            "path" => machine,
            _ => (*snippet).to_owned(),
        };
        let bad = File { path: (*path).to_owned(), text };
        let found = apply(*rule, word, &bad);
        assert!(!found.is_empty(), "{word} found nothing");
        // The exception beside the line silences it.
        let line = found.first().map_or(1, |f| f.0);
        let mut lines: Vec<String> = bad.text.lines().map(str::to_owned).collect();
        lines.insert(line - 1, format!("// tidy: {word} because this is a test"));
        let excused = File { path: bad.path, text: lines.join("\n") };
        let left = apply(*rule, word, &excused).len();
        assert!(left < found.len(), "{word} cannot be excused");
    }
}

#[test]
fn good_code_is_left_alone() {
    let good = File {
        path: "src/a.rs".to_owned(),
        text: "//! A module.\n\n/// Not unsafe at all.\nfn f() {\n    let s = \"unsafe\";\n}\n\nfn g(\n    a: u8,\n) {\n}\n"
            .to_owned(),
    };
    for (word, rule, ..) in RULES {
        assert_eq!(apply(*rule, word, &good), [], "{word}");
    }
    let bodies = "    x();\n".repeat(MAX_FUNCTION - 2);
    let fits = File { path: "src/a.rs".to_owned(), text: format!("//! A.\nfn f() {{\n{bodies}}}\n") };
    assert_eq!(long_functions(&fits), []);
    let prefetch = File { path: UNSAFE[0].to_owned(), text: "//! A.\nunsafe { x() }\n".to_owned() };
    assert_eq!(stray_unsafe(&prefetch), []);
}

/// What a rule finds, without what is excused on the line itself or within the three lines before it.
fn apply(rule: Rule, word: &str, file: &File) -> Vec<(usize, String)> {
    let lines: Vec<&str> = file.text.lines().collect();
    let excuse = format!("// tidy: {word} because ");
    let excused = |line: usize| {
        let around = lines.get(line.saturating_sub(4)..line.min(lines.len())).unwrap_or_default();
        around.iter().any(|text| text.contains(&excuse))
    };
    rule(file).into_iter().filter(|(line, _)| !excused(*line)).collect()
}

/// A function with a line too many.
const LONG_FUNCTION: &str = concat!(
    "//! A.\nimpl A {\n    pub(crate) fn f(&self) -> u8 {\n",
    "        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n",
    "        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n",
    "        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n",
    "        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n",
    "        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n",
    "        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n",
    "        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n",
    "        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n",
    "        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n",
    "        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n        x();\n",
    "    }\n}\n",
);

/// rustfmt puts a function's last brace below its first word.
fn long_functions(file: &File) -> Vec<(usize, String)> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if !begins_function(line.trim_start()) {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        let body = lines.iter().skip(at);
        let signature_only = body.clone().find(|l| l.ends_with('{') || l.ends_with(';') || l.ends_with('}'));
        if signature_only.is_some_and(|l| !l.ends_with('{')) {
            continue;
        }
        let length = body.take_while(|l| **l != end).count() + 1;
        if length > MAX_FUNCTION {
            found.push((at + 1, format!("a function of {length} lines; {MAX_FUNCTION} fit on a screen")));
        }
    }
    found
}

fn begins_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let modifier = |word: &str| {
        word.starts_with("pub") || matches!(word, "const" | "async" | "unsafe" | "extern" | "\"C\"")
    };
    words.find(|word| !modifier(word) && !word.ends_with(')')).is_some_and(|word| word == "fn")
}

fn big_files(file: &File) -> Vec<(usize, String)> {
    let lines = file.text.lines().count();
    let what = format!("a file of {lines} lines; {MAX_FILE} are enough for one thing");
    (lines > MAX_FILE).then_some((1, what)).into_iter().collect()
}

fn modules_without_a_sentence(file: &File) -> Vec<(usize, String)> {
    let head: Vec<&str> = file.text.lines().take_while(|l| l.starts_with("//! ")).collect();
    let sentence =
        head.iter().any(|line| line.trim_end().ends_with(['.', ':', '!', '?']) || line.contains(". "));
    let what = "a module begins with a sentence about itself: //! …".to_owned();
    (!sentence).then_some((1, what)).into_iter().collect()
}

fn stray_unsafe(file: &File) -> Vec<(usize, String)> {
    if UNSAFE.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let forms = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "allow(unsafe_code"];
    find(file, |line| {
        let code = line.split("//").next().unwrap_or_default();
        let form = forms.iter().find(|form| code.contains(**form) && !code.contains(&format!("\"{form}")))?;
        Some(format!("{form} outside {}", UNSAFE.join(", ")))
    })
}

fn work_put_off(file: &File) -> Vec<(usize, String)> {
    find(file, |line| {
        let word = PUT_OFF.iter().find(|word| line.contains(**word))?;
        Some(format!("{word}: do it, or write an issue"))
    })
}

/// Nothing of the machine that it was written on, and nothing beside the package that its code needs.
fn paths_of_a_machine(file: &File) -> Vec<(usize, String)> {
    let home = root().parent().map(|parent| format!("{}/", parent.display())).unwrap_or_default();
    let words = [concat!("/wo", "rk/"), home.as_str()];
    let of_program = file.path.starts_with("src/") && !file.path.contains("tests");
    let program = if of_program { file.text.split("#[cfg(test)]").next().unwrap_or_default() } else { "" };
    find(file, |line| {
        let path = words.iter().find(|word| word.len() > 4 && line.contains(**word));
        // Tests may look beside the package, and skip when nothing is there.
        let beside = program.contains(line) && line.contains(concat!("../sh", "ared"));
        match path {
            Some(path) => Some(format!("{path} is a path of one machine")),
            None if beside => Some("the program needs nothing beside the package".to_owned()),
            None => None,
        }
    })
}

fn find(file: &File, bad: impl Fn(&str) -> Option<String>) -> Vec<(usize, String)> {
    file.text.lines().enumerate().filter_map(|(at, line)| Some((at + 1, bad(line)?))).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of some folders that end in one of these ways; `""` stands for no extension.
fn files(places: &[&str], ends: &[&str]) -> Vec<File> {
    let wanted = |path: &PathBuf| {
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        ends.contains(&end)
    };
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).ok()?;
        let path = path.strip_prefix(root()).ok()?.to_string_lossy().replace('\\', "/");
        Some(File { path, text })
    };
    paths(places).into_iter().filter(wanted).filter_map(read).collect()
}

fn paths(places: &[&str]) -> Vec<PathBuf> {
    let mut waiting: Vec<PathBuf> = places.iter().map(|place| root().join(place)).collect();
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        let skipped = ["target", "corpus", "artifacts"];
        if path.is_dir() {
            if !path.file_name().is_some_and(|name| skipped.iter().any(|skip| name == *skip)) {
                waiting.extend(
                    std::fs::read_dir(&path).into_iter().flatten().filter_map(|e| Some(e.ok()?.path())),
                );
            }
        } else if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    found
}
