//! The documented default configuration and the reference, both made from the table of keys.

use super::keys::{KEYS, Key, Preset, SECTIONS};
use std::fmt::Write;

const HEAD: &str = "\
# Egret's configuration: every key with its default. Made by `egret check --print-default`.
#
# Every key may be left out. Sizes and times carry their unit: \"100 MB\", \"1 GiB\", \"10m\", \"24h\".
# Where # stands before a key without a space, the key is unset unless you say otherwise, or has no effect yet.
";

/// The default configuration with an explanation of every key. It reads back as the defaults.
pub fn print_default() -> String {
    let mut text = HEAD.to_owned();
    for section in SECTIONS {
        let _ = write!(text, "\n# --- {}\n", section.doc);
        if !section.name.is_empty() {
            let _ = writeln!(text, "[{}]", section.name);
        }
        for key in KEYS.iter().filter(|key| key.section == section.name && !tables(key)) {
            entry(&mut text, key);
        }
    }
    text.push_str("\n# --- Facts about the site that are tables of their own.\n");
    KEYS.iter().filter(|key| tables(key)).for_each(|key| entry(&mut text, key));
    text
}

/// Tables of the top level would take in all that follows them, so they stand last.
fn tables(key: &Key) -> bool {
    matches!(key.preset, Preset::Tables(_))
}

fn entry(text: &mut String, key: &Key) {
    text.push('\n');
    let late = if key.in_force { "" } else { " No effect yet." };
    wrapped(text, &format!("{}{late}", key.doc));
    match key.preset {
        Preset::Value(value) if key.in_force => {
            let _ = writeln!(text, "{} = {value}", key.name);
        }
        Preset::Value(value) | Preset::Unset(value) => {
            let _ = writeln!(text, "#{} = {value}", key.name);
        }
        Preset::Tables(lines) => lines.lines().for_each(|line| {
            let _ = writeln!(text, "#{line}");
        }),
    }
}

/// A comment of at most 110 columns.
fn wrapped(text: &mut String, doc: &str) {
    let mut line = "#".to_owned();
    for word in doc.split_whitespace() {
        if line.len() + 1 + word.len() > 110 {
            text.push_str(&line);
            text.push('\n');
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// The reference of the configuration in Markdown.
pub fn reference() -> String {
    let mut text = "# Configuration\n\n<!-- Made from src/config/keys.rs; `WRITE_GOLDEN=1 cargo test --test cli` writes it anew. -->\n\n\
        One TOML file, given with `--config`. Every key may be left out. `--set KEY=VALUE` sets any of them for one run \
        (`--set detect.time_window=12h`); it wins over the file, and flags win over it. `egret check` says what is in \
        force, or everything that is wrong with file, line and cure.\n"
        .to_owned();
    for section in SECTIONS {
        let name = if section.name.is_empty() { "Top level" } else { section.name };
        let _ = write!(
            text,
            "\n## {name}\n\n{}\n\n| key | wants | default | what for |\n| --- | --- | --- | --- |\n",
            section.doc
        );
        for key in KEYS.iter().filter(|key| key.section == section.name) {
            let preset = match key.preset {
                Preset::Value(value) => format!("`{value}`"),
                Preset::Unset(example) => format!("unset; for example `{example}`"),
                Preset::Tables(_) => "none".to_owned(),
            };
            let late = if key.in_force { "" } else { " **No effect yet.**" };
            let _ = writeln!(text, "| `{}` | {} | {preset} | {}{late} |", key.path(), key.wants, key.doc);
        }
    }
    text
}
