//! Prints the events of log files, or with `-s` what was read and what was not.

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let summary = args.iter().position(|arg| arg == "-s").map(|at| args.remove(at)).is_some();
    for arg in &args {
        let (format, path) =
            arg.split_once('=').map_or((None, arg.as_str()), |(format, path)| (Some(format), path));
        let mut file = match egret::endpoint::read_file(path.as_ref(), format) {
            Ok(file) => file,
            Err(error) => {
                eprintln!("{path}: {error}");
                continue;
            }
        };
        for event in file.by_ref() {
            if !summary {
                println!("{event:?}");
            }
        }
        let tally = file.tally();
        let without: Vec<_> =
            tally.without.iter().map(|(reason, n)| format!("{} {n}", reason.as_str())).collect();
        println!(
            "{path}: {} records, {} events, [{}], formats {:?}",
            tally.records,
            tally.events,
            without.join(", "),
            tally.formats
        );
        if let Some(bad) = &tally.first_bad {
            println!("    first bad: {} {:?} {}", bad.record, bad.reason, bad.quoted);
        }
    }
}
