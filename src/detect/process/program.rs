//! What a program is: by its name, by the name it was built with, by its hash, by the way it is called.

use crate::config::DetectConfig;
use crate::detect::Map;
use crate::endpoint::Proc;
use crate::signatures::{Catalogue, ServiceId, Watch};
use std::sync::{Arc, LazyLock};

/// Hashes of tools that are remembered from what hosts run.
const MAX_HASHES: usize = 10_000;
/// From this weight on a watched application is one whose uploads are odd by themselves.
const ODD: u8 = 80;
/// From this weight on a tool of the signatures is monitored.
const MONITORED: u8 = 40;

/// What kind of program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// Made to carry data out, or easily made to.
    Tool,
    /// Makes archives.
    Archiver,
    /// Runs scripts.
    Script,
    /// Writes documents: upload is not its business.
    Office,
    /// Shows documents, or belongs to the system: nor is it theirs.
    Watched,
    /// Part of a hypervisor.
    Hypervisor,
    /// Goes anywhere.
    Browser,
    /// Uploads by its nature.
    Uploader,
    /// Pushes code.
    Code,
    /// In no list.
    Other,
}

/// How a program hides what it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disguise {
    /// It was built under another name.
    OriginalName,
    /// Its file is that of a tool, whatever it is called.
    Hash,
    /// It is called as a tool is, and has another's name.
    CommandLine,
    /// A known name in a folder where anybody may write.
    Place,
}

impl Disguise {
    /// For people, behind the name of the program.
    pub const fn words(self) -> &'static str {
        match self {
            Self::OriginalName => "built under another name",
            Self::Hash => "the file of a tool under another name",
            Self::CommandLine => "called the way a tool is, under another name",
            Self::Place => "a known name in a folder where anybody may write",
        }
    }
}

/// What a log says of an image.
#[derive(Clone, Copy, Default, Debug)]
pub struct Image<'i> {
    /// Base name, lower case, without `.exe`.
    pub name: &'i str,
    /// Its path.
    pub path: Option<&'i str>,
    /// The name it was built with.
    pub original_name: Option<&'i str>,
    /// How it was called.
    pub command_line: Option<&'i str>,
    /// Hash of its file.
    pub sha256: Option<[u8; 32]>,
}

impl<'i> From<&'i Proc> for Image<'i> {
    fn from(proc: &'i Proc) -> Self {
        Self {
            name: &proc.name,
            path: proc.path.as_deref(),
            original_name: proc.original_name.as_deref(),
            command_line: proc.command_line.as_deref(),
            sha256: proc.sha256,
        }
    }
}

/// What it is judged to be.
#[derive(Clone, PartialEq, Debug)]
pub struct Program {
    /// What it is called, for people and for habits: the tool where it is one in disguise.
    pub name: Arc<str>,
    /// Its kind.
    pub class: Class,
    /// How telling its uploads are, 0 to 100.
    pub weight: u8,
    /// How it hides.
    pub disguise: Option<Disguise>,
    /// Its command line says that it sends something.
    pub sends: bool,
    /// Services that it talks to by its nature.
    pub services: Arc<[ServiceId]>,
}

/// A name in the lists.
#[derive(Clone, Debug)]
struct Listed {
    class: Class,
    weight: u8,
    services: Arc<[ServiceId]>,
    arguments: Arc<[String]>,
    /// Several names of one program have one of these.
    family: u32,
}

/// The lists, and hashes of tools that hosts were seen to run under their own names.
#[derive(Debug, Default)]
pub struct Programs {
    listed: Map<Box<str>, Listed>,
    hashes: Map<[u8; 32], Box<str>>,
}

impl Programs {
    /// The signatures' lists; those that the configuration gives take their place.
    pub fn new(catalogue: &Catalogue, config: &DetectConfig) -> Self {
        let mut own = Self::default();
        let mut family = 0;
        for app in catalogue.applications() {
            family += 1;
            let class = match (app.watch, app.kind.as_str()) {
                (Watch::Watched, "office") => Class::Office,
                (Watch::Watched, "hypervisor") => Class::Hypervisor,
                (Watch::Watched, _) if app.weight >= ODD => Class::Watched,
                (Watch::Uploader, "browser") => Class::Browser,
                (Watch::Uploader, _) => Class::Uploader,
                _ => continue,
            };
            for name in &app.processes {
                // A tool of one system may be an application of another: names met first stay.
                let hypervisor =
                    class == Class::Hypervisor && !matches!(name.as_str(), "hostd" | "vmx" | "vpxa");
                if !hypervisor {
                    own.list(name, class, app.weight, &app.services, &[], family);
                }
            }
        }
        for tool in catalogue.tools() {
            family += 1;
            let class = match tool.kind.as_str() {
                "archiver" => Class::Archiver,
                "script" => Class::Script,
                "vcs" | "registry" => Class::Code,
                "messenger" => Class::Uploader,
                "sync" if tool.weight < MONITORED => Class::Uploader,
                _ if tool.weight < MONITORED => Class::Other,
                _ => Class::Tool,
            };
            for name in &tool.processes {
                own.list(name, class, tool.weight, &tool.services, &tool.arguments, family);
            }
        }
        for name in INTERPRETERS {
            family += 1;
            own.listed.entry((*name).into()).or_insert_with(|| Listed::bare(Class::Script, 40, family));
        }
        own.configured(&config.monitored_tools, Class::Tool, 90);
        own.configured(&config.watched_applications, Class::Watched, 90);
        own
    }

    fn list(
        &mut self,
        name: &str,
        class: Class,
        weight: u8,
        services: &[ServiceId],
        arguments: &[String],
        family: u32,
    ) {
        self.listed.entry(name.into()).or_insert_with(|| Listed {
            class,
            weight,
            services: services.into(),
            arguments: arguments.into(),
            family,
        });
    }

    /// The site's own list: what is not in it is not of this class any more. A tool may be given by its SHA-256.
    fn configured(&mut self, names: &[String], class: Class, weight: u8) {
        if names.is_empty() {
            return;
        }
        let same = |c: Class| c == class || (class == Class::Watched && c == Class::Office);
        for listed in self.listed.values_mut().filter(|l| same(l.class)) {
            listed.class = Class::Other;
        }
        for (i, given) in names.iter().enumerate() {
            if let Some(hash) = hash_of(given) {
                self.hashes.insert(hash, given.get(..12).unwrap_or(given).into());
                continue;
            }
            let name = Proc::base_name(given);
            let family = u32::MAX - i as u32;
            let listed =
                self.listed.entry(name.into()).or_insert_with(|| Listed::bare(class, weight, family));
            (listed.class, listed.weight) = (class, listed.weight.max(weight));
        }
    }

    /// A process ran: the hash of a tool is remembered, so that the tool is known under another name.
    pub fn learn(&mut self, image: &Image<'_>) {
        if let Some(hash) = image.sha256
            && self.hashes.len() < MAX_HASHES
            && self.find(image.name).is_some_and(|l| l.class == Class::Tool)
            && !self.hashes.contains_key(&hash)
        {
            self.hashes.insert(hash, image.name.into());
        }
    }

    fn find(&self, name: &str) -> Option<&Listed> {
        self.listed.get(name).or_else(|| self.listed.get(plain(name)))
    }

    /// What a program is.
    pub fn judge(&self, image: &Image<'_>) -> Program {
        let own = self.find(image.name);
        let command = image.command_line.unwrap_or("");
        let mut disguise = None;
        let mut found = own.map(|l| (image.name.to_owned(), l));
        if let Some((name, listed)) = self.original(image, own) {
            (found, disguise) = (Some((name, listed)), Some(Disguise::OriginalName));
        } else if let Some(name) =
            image.sha256.and_then(|h| self.hashes.get(&h)).filter(|n| ***n != *image.name)
            && self.find(name).is_none_or(|l| own.is_none_or(|own| own.family != l.family))
        {
            disguise = Some(Disguise::Hash);
            found = Some((name.to_string(), self.find(name).unwrap_or(&*UNKNOWN_TOOL)));
        } else if !own.is_some_and(|l| speaks_so(l.class))
            && let Some(tool) = called_like(command)
            && let Some(listed) = self.find(tool)
        {
            (found, disguise) = (Some((tool.to_owned(), listed)), Some(Disguise::CommandLine));
        } else if own.is_some_and(|l| has_a_place(l.class)) && image.path.is_some_and(anybody_writes) {
            disguise = Some(Disguise::Place);
        }
        let (name, listed) = match &found {
            Some((name, listed)) => (plain(name), *listed),
            None => (plain(image.name), &*UNKNOWN),
        };
        Program {
            name: Arc::from(name),
            class: listed.class,
            weight: listed.weight,
            disguise,
            sends: sends(command, &listed.arguments),
            services: Arc::clone(&listed.services),
        }
    }

    /// The program by the name it was built with, where that is another one that is known.
    fn original<'p>(&'p self, image: &Image<'_>, own: Option<&Listed>) -> Option<(String, &'p Listed)> {
        let original = Proc::base_name(image.original_name?);
        let original = original.strip_suffix(".mui").unwrap_or(&original);
        let original = original.strip_suffix(".exe").or(original.strip_suffix(".dll")).unwrap_or(original);
        if original.is_empty() || plain(original) == plain(image.name) {
            return None;
        }
        let listed = self.find(original)?;
        // pwsh and powershell, msedge and its old name: one program.
        let same = own.is_some_and(|own| own.family == listed.family || own.class == listed.class);
        (!same && !matches!(listed.class, Class::Other)).then(|| (original.to_owned(), listed))
    }
}

static UNKNOWN: LazyLock<Listed> = LazyLock::new(|| Listed::bare(Class::Other, 0, 0));
static UNKNOWN_TOOL: LazyLock<Listed> = LazyLock::new(|| Listed::bare(Class::Tool, 90, 0));

impl Listed {
    fn bare(class: Class, weight: u8, family: u32) -> Self {
        Self { class, weight, services: Arc::from([]), arguments: Arc::from([]), family }
    }
}

/// Interpreters that the signatures do not list as tools.
const INTERPRETERS: &[&str] = &[
    "powershell",
    "pwsh",
    "python",
    "pythonw",
    "node",
    "deno",
    "bun",
    "bash",
    "sh",
    "dash",
    "zsh",
    "ksh",
    "fish",
    "perl",
    "ruby",
    "php",
    "lua",
    "wscript",
    "cscript",
    "mshta",
    "osascript",
    "cmd",
    "tclsh",
    "java",
    "javaw",
];

fn hash_of(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

/// Without the version at the end: `python3.11` is `python`.
fn plain(name: &str) -> &str {
    let short = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    if short.len() >= 3 && name.len() - short.len() <= 8 { short } else { name }
}

/// Programs whose command line may look like that of a tool by right.
fn speaks_so(class: Class) -> bool {
    matches!(class, Class::Tool | Class::Script | Class::Archiver | Class::Code)
}

/// Programs that are installed, and do not run from folders of downloads.
fn has_a_place(class: Class) -> bool {
    matches!(class, Class::Office | Class::Watched | Class::Browser | Class::Uploader)
}

/// Folders where anybody may write, in lower case.
const OPEN_FOLDERS: &[&str] = &[
    "\\appdata\\local\\temp\\",
    "\\downloads\\",
    "\\users\\public\\",
    "\\windows\\temp\\",
    "\\$recycle.bin\\",
    "\\perflogs\\",
    "\\programdata\\",
    "/tmp/",
    "/dev/shm/",
    "/downloads/",
    "/users/shared/",
];

fn anybody_writes(path: &str) -> bool {
    let path = path.to_lowercase();
    // Windows keeps its own updaters there, in folders that have the maker's name.
    let makers = ["\\programdata\\microsoft", "\\programdata\\package cache", "\\programdata\\google"];
    OPEN_FOLDERS.iter().any(|folder| path.contains(folder)) && !makers.iter().any(|m| path.contains(m))
}

/// Ways in which a command line says that something is sent, whoever it is.
const SENDING: &[&str] = &[
    " -t ",
    " --upload-file",
    " -f file",
    " -f \"",
    " --form ",
    "=@",
    " --data-binary",
    " -d @",
    " --post-file",
    " --body-file",
    " -x put",
    " -x post",
    " --request put",
    " --request post",
    "-method post",
    "-method put",
    "-infile ",
    "uploadfile",
    "uploadstring",
    "uploaddata",
    "invoke-restmethod",
    "requests.post",
    "requests.put",
    "s3://",
    "gs://",
    " s3 cp",
    " s3 sync",
    " push ",
    "put-object",
    "mega-put",
    "mput ",
    "bitsadmin /transfer",
];

fn sends(command: &str, arguments: &[String]) -> bool {
    if command.is_empty() {
        return false;
    }
    let lower = command.to_lowercase();
    let has = |words: &str| {
        lower.split_once(words).is_some_and(|(_, rest)| !rest.starts_with(char::is_alphanumeric))
    };
    SENDING.iter().any(|mark| lower.contains(mark))
        || arguments.iter().any(|words| has(&words.to_lowercase()))
}

/// The tool whose way of being called this is.
fn called_like(command: &str) -> Option<&'static str> {
    let lower = command.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().skip(1).take(32).collect();
    let any = |list: &[&str]| words.iter().any(|w| list.contains(w));
    // A remote: a name, a colon, and neither a drive nor an address.
    let remote = |w: &&str| {
        w.find(':').is_some_and(|at| at >= 2 && !w[at..].starts_with("://") && !w.starts_with('-'))
    };
    let verb =
        words.first().is_some_and(|w| matches!(*w, "copy" | "sync" | "move" | "copyto" | "rcat" | "moveto"));
    if (verb && words.iter().skip(1).any(remote)) || any(&["--transfers", "--multi-thread-streams"]) {
        return Some("rclone");
    }
    if words.iter().any(|w| w.starts_with("s3://")) && any(&["cp", "sync", "mv"]) {
        return Some(if words.first() == Some(&"s3") { "aws" } else { "s5cmd" });
    }
    let http = words.iter().any(|w| w.starts_with("http"));
    let form = words.iter().any(|w| w.contains("=@") || w.starts_with('@'));
    if http && (any(&["-t", "--upload-file", "--data-binary"]) || (form && any(&["-f", "-d", "--form"]))) {
        return Some("curl");
    }
    if words.first().is_some_and(|w| w.starts_with("-enc")) || (any(&["-file"]) && lower.contains(".ps1")) {
        return Some("powershell");
    }
    any(&["mega-put"]).then_some("mega-cmd")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Proc;

    fn programs() -> Programs {
        Programs::new(&Catalogue::builtin(), &DetectConfig::default())
    }

    fn image<'i>(path: &'i str, name: &'i str, original: &'i str, command: &'i str) -> Image<'i> {
        let some = |text: &'i str| (!text.is_empty()).then_some(text);
        Image {
            name,
            path: some(path),
            original_name: some(original),
            command_line: some(command),
            sha256: None,
        }
    }

    fn judge(path: &str, original: &str, command: &str) -> Program {
        programs().judge(&image(path, &Proc::base_name(path), original, command))
    }

    #[test]
    fn programs_are_what_they_are() {
        for (path, class) in [
            (r"C:\tools\rclone.exe", Class::Tool),
            ("/usr/bin/curl", Class::Tool),
            ("/usr/bin/python3.11", Class::Script),
            (r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe", Class::Script),
            (r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE", Class::Office),
            ("/Applications/Microsoft Word.app/Contents/MacOS/Microsoft Word", Class::Office),
            (r"C:\Program Files\Google\Chrome\Application\chrome.exe", Class::Browser),
            ("/usr/bin/tar", Class::Archiver),
            ("/usr/bin/git", Class::Code),
            (r"C:\Program Files\Acme\acme.exe", Class::Other),
        ] {
            let found = judge(path, "", "");
            assert_eq!((found.class, found.disguise), (class, None), "{path}");
        }
    }

    #[test]
    fn a_renamed_tool_is_known() {
        let found = judge(r"C:\Windows\System32\svchost.exe", "rclone.exe", "");
        assert_eq!(
            (&*found.name, found.class, found.disguise),
            ("rclone", Class::Tool, Some(Disguise::OriginalName))
        );
        let found = judge(
            r"C:\Program Files\Google\Chrome\Application\chrome.exe",
            "chrome.exe",
            "chrome copy C:\\data m:loot --transfers 8",
        );
        assert_eq!(
            (&*found.name, found.class, found.disguise),
            ("rclone", Class::Tool, Some(Disguise::CommandLine))
        );
        let found = judge("/usr/sbin/agentd", "", "agentd -F file=@/home/x https://h/");
        assert_eq!((&*found.name, found.disguise), ("curl", Some(Disguise::CommandLine)));
        assert!(found.sends);
        let found = judge(r"C:\Users\Public\chrome.exe", "", "");
        assert_eq!((found.class, found.disguise), (Class::Browser, Some(Disguise::Place)));
    }

    #[test]
    fn a_tool_is_known_by_its_file() {
        let mut programs = programs();
        let tool = Image { sha256: Some([7; 32]), ..image("", "rclone", "", "") };
        programs.learn(&tool);
        let found = programs.judge(&Image { name: "update", ..tool });
        assert_eq!((&*found.name, found.disguise), ("rclone", Some(Disguise::Hash)));
        assert_eq!(programs.judge(&tool).disguise, None);
    }

    #[test]
    fn one_program_has_several_names() {
        for (path, original) in [
            (r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe", "PowerShell.EXE.MUI"),
            (r"C:\Python\python3.exe", "python.exe"),
            (r"C:\Program Files\PowerShell\7\pwsh.exe", "pwsh.dll"),
            (r"C:\Program Files\Acme\setup.exe", "acme.exe"),
            (r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE", "WinWord.exe"),
        ] {
            assert_eq!(judge(path, original, "").disguise, None, "{path}");
        }
    }

    #[test]
    fn the_site_says_which_tools_it_means() {
        let hash = "ab".repeat(32);
        let config = DetectConfig {
            monitored_tools: vec!["Acme.exe".to_owned(), hash],
            watched_applications: vec!["notes".to_owned()],
            ..DetectConfig::default()
        };
        let programs = Programs::new(&Catalogue::builtin(), &config);
        let class = |name| programs.judge(&image("", name, "", "")).class;
        assert_eq!(
            (class("acme"), class("rclone"), class("notes"), class("winword")),
            (Class::Tool, Class::Other, Class::Watched, Class::Other)
        );
        let by_hash = Image { sha256: Some([0xab; 32]), ..image("", "x", "", "") };
        assert_eq!(programs.judge(&by_hash).class, Class::Tool);
    }
}
