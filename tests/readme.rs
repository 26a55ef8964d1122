//! The first alert in README.md is what the program says.

use std::process::Command;

/// The block in README.md begins with the heading of the findings and ends with the first of them.
#[test]
fn the_first_alert_is_what_the_program_says() {
    let root = env!("CARGO_MANIFEST_DIR");
    let dir = std::env::temp_dir().join(format!("egret-readme-{}", std::process::id()));
    let ran = Command::new(env!("CARGO_BIN_EXE_egret"))
        .args(["replay", "pcaps/demo", "--log", "none", "-o"])
        .arg(&dir)
        .current_dir(root)
        .output()
        .expect("egret runs");
    let said = String::from_utf8(ran.stdout).expect("text");
    let first: Vec<&str> = said.lines().scan(0, |gap, line| count(gap, line).then_some(line)).collect();
    let wanted = format!("```\n{}\n```\n", first.join("\n").trim_end());
    let path = format!("{root}/README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md");
    let at = readme.find("```\n2 findings").expect("the block");
    let end = at + 4 + readme[at + 4..].find("```\n").expect("its end") + 4;
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        let text = format!("{}{wanted}{}", &readme[..at], &readme[end..]);
        std::fs::write(&path, text).expect("written");
        return;
    }
    assert_eq!(&readme[at..end], wanted, "WRITE_GOLDEN=1 writes it anew");
}

/// True up to the empty line behind the first finding: the first empty line stands behind the heading.
fn count(empty: &mut u32, line: &str) -> bool {
    *empty += u32::from(line.is_empty());
    *empty < 2
}
