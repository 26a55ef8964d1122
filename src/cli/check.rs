//! `egret check`, `egret services` and `egret completions`: what is known before any traffic.

use super::flags::{CheckFlags, CompletionsFlags, ServicesFlags, grammar};
use super::load::{Loaded, load};
use super::messages::{Exit, Stop, print, warning};
use crate::config::{Config, VolumeThresholds, print_default};
use crate::signatures::{self, Category};
use crate::units::Timestamp;
use std::fmt::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// `egret check`.
pub fn check(flags: &CheckFlags) -> Result<Exit, Stop> {
    if flags.print_default {
        print(&print_default())?;
        return Ok(Exit::Ran);
    }
    let mut loaded = load(&flags.policy, &flags.home_net, |_| Ok(()))?;
    loaded.warnings.extend(loaded.catalogue.site().expired(today()));
    loaded.warnings.iter().for_each(warning);
    print(&in_force(&loaded, flags.policy.config.as_deref()))?;
    Ok(Exit::Ran)
}

/// `egret services`.
pub fn services(flags: &ServicesFlags) -> Result<Exit, Stop> {
    let loaded = load(&flags.policy, &[], |_| Ok(()))?;
    print(&match &flags.host {
        Some(host) => signatures::describe(&loaded.catalogue, host_of(host)),
        None => signatures::table(&loaded.catalogue),
    })?;
    Ok(Exit::Ran)
}

/// The host of what may be a whole address, as it is copied from a browser or a log.
fn host_of(text: &str) -> &str {
    let Some((_, rest)) = text.split_once("://") else { return text };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or(address),
        None => host.split(':').next().unwrap_or(host),
    }
}

/// `egret completions`.
pub fn completions(flags: &CompletionsFlags) -> Result<Exit, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut grammar(), "egret", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ran)
}

/// The one place where a clock is asked: whether an entry has ended is a matter of today.
fn today() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(since.as_secs() as i64, 0)
}

/// `egret schema`.
pub fn schema() -> Result<Exit, Stop> {
    print(&format!("{:#}\n", crate::output::schema::schema()))?;
    Ok(Exit::Ran)
}

/// What is in force, in a few lines.
fn in_force(loaded: &Loaded, file: Option<&Path>) -> String {
    let (config, catalogue) = (&loaded.config, &loaded.catalogue);
    let mut text = String::new();
    let mut row = |key: &str, value: String| {
        let _ = writeln!(text, "{key:<14} {value}");
    };
    let keys = plural(loaded.keys_set, "key");
    row(
        "configuration",
        match file {
            Some(file) => format!("{}, {keys} set", file.display()),
            None if loaded.keys_set > 0 => format!("defaults, {keys} set"),
            None => "defaults".to_owned(),
        },
    );
    let from = config.signatures.as_ref().map_or("built in".to_owned(), |dir| dir.display().to_string());
    let (services, names) = (catalogue.services().len(), catalogue.rules().len());
    row(
        "signatures",
        format!("{services} services, {names} names, version {} ({from})", catalogue.version()),
    );
    let site = catalogue.site();
    row(
        "site",
        format!(
            "{}, {}",
            plural_of(site.standings().len(), "statement about tenants", "statements about tenants"),
            plural_of(site.allow_list().len(), "allow entry", "allow entries")
        ),
    );
    for (key, path, database) in
        [("asn-db", &config.asn_db, &config.geo.asn), ("city-db", &config.city_db, &config.geo.city)]
    {
        if let (Some(path), Some(database)) = (path, database) {
            row(key, format!("{}: {}", path.display(), database.describe()));
        }
    }
    row("home", home(config));
    row(
        "monitored",
        match config.detect.monitored_services.as_slice() {
            [] => "all services".to_owned(),
            some => some.join(", "),
        },
    );
    row("levels", levels(&config.detect.exfil_volume_threshold));
    let detect = &config.detect;
    row(
        "window",
        format!("{}; an incident ends after {} of silence", detect.time_window, detect.incident_idle),
    );
    let (flows, times) = (&config.flows, &config.flows.timeouts);
    row(
        "flows",
        format!(
            "{} at most; silent for {} (TCP), {} (closed), {} (UDP); reported every {}",
            flows.table, times.tcp, times.tcp_closed, times.udp, flows.report_every
        ),
    );
    let output = &config.output;
    let kinds = if output.kinds.is_empty() { "no logs".to_owned() } else { output.kinds.join(", ") };
    row("output", format!("{} to {}, mode {:04o}", kinds, output.dir.display(), output.mode));
    let warnings = match loaded.warnings.len() {
        0 => String::new(),
        some => format!(", {}", plural(some, "warning")),
    };
    let _ = writeln!(text, "no faults{warnings}");
    text
}

fn home(config: &Config) -> String {
    match &config.home_net {
        None => "the private ranges, and global prefixes as they are learned".to_owned(),
        Some(nets) => nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn levels(levels: &VolumeThresholds) -> String {
    let mut text = format!(
        "{}; webhooks and messages {}; text sites {}; critical from {}",
        levels.storage, levels.webhook, levels.text, levels.ceiling
    );
    for (category, level) in Category::ALL.iter().zip(levels.categories) {
        if let Some(level) = level {
            let _ = write!(text, "; {category} {level}");
        }
    }
    text
}

fn plural(count: usize, what: &str) -> String {
    plural_of(count, what, &format!("{what}s"))
}

fn plural_of(count: usize, one: &str, many: &str) -> String {
    match count {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn an_address_is_as_good_as_its_host() {
        for (text, host) in [
            ("dropbox.com", "dropbox.com"),
            ("https://me@dropbox.com:8443/home?x=a@b", "dropbox.com"),
            ("https://dropbox.com", "dropbox.com"),
            ("http://[2001:db8::1]:80/", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(host_of(text), host);
        }
    }
}
