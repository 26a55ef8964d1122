//! Classic BPF filters: read from numbers or compiled by libpcap, fitted to the snap length, and run over the frames of
//! a replay. Live, the kernel runs them.

use super::{LinkType, Slot};
use crate::shard::Instruction;
use std::fmt;
use std::sync::Arc;

/// Steps of a program at most: jumps only lead forward, and the kernel takes no more instructions than this.
const MAX_LEN: usize = 4_096;
/// `BPF_RET | BPF_K`.
const RETURN: u16 = 0x06;

/// What the user wants to see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Filter {
    /// A program in numbers, for one link type.
    Program(Arc<[Instruction]>),
    /// An expression, compiled for each link type when it comes.
    Expression(Arc<str>),
}

/// Why a filter cannot be used; a whole message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadFilter(String);

impl fmt::Display for BadFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Filter {
    /// Reads numbers (how many instructions, then each as four, with commas or line breaks between: the output of
    /// `tcpdump -ddd EXPR`), or an expression where there is a compiler for it.
    pub fn parse(text: &str) -> Result<Self, BadFilter> {
        let mut lines = text.split([',', '\n']).map(str::trim).filter(|line| !line.is_empty());
        let len = lines.next().and_then(|first| first.parse::<usize>().ok());
        let program: Option<Arc<[Instruction]>> = lines.map(instruction).collect();
        if let (Some(len), Some(program)) = (len, program)
            && len == program.len()
            && (1..=MAX_LEN).contains(&len)
        {
            return Ok(Self::Program(program));
        }
        let filter = Self::Expression(text.trim().into());
        filter.for_link(LinkType::ETHERNET).map(|_| filter)
    }

    /// The program for frames of a link type.
    pub fn for_link(&self, link: LinkType) -> Result<Arc<[Instruction]>, BadFilter> {
        match self {
            Self::Program(program) => Ok(Arc::clone(program)),
            Self::Expression(text) => compiled(text, &Target::Link(link)),
        }
    }

    /// The program for the frames of an interface. There, `vlan` finds tags that the card or the kernel took out.
    pub fn for_interface(&self, name: &str) -> Result<Arc<[Instruction]>, BadFilter> {
        match self {
            Self::Program(program) => Ok(Arc::clone(program)),
            Self::Expression(text) => compiled(text, &Target::Interface(name)),
        }
    }
}

/// What a program is for.
#[cfg_attr(not(feature = "libpcap"), allow(dead_code, reason = "only the compiler asks"))]
enum Target<'t> {
    Link(LinkType),
    Interface(&'t str),
}

#[cfg(feature = "libpcap")]
fn compiled(text: &str, target: &Target<'_>) -> Result<Arc<[Instruction]>, BadFilter> {
    use ::pcap::{Capture, Linktype};
    let shown = crate::strict::shown(text);
    let bad = |error: ::pcap::Error| BadFilter(format!("--bpf: '{shown}' is no filter: {error}"));
    let program = match target {
        Target::Link(link) => {
            let dead = Capture::dead(Linktype(number_here(*link))).map_err(bad)?;
            dead.compile(text, true).map_err(bad)?
        }
        Target::Interface(name) => {
            // Only a handle that is open knows how tags are shown by this kernel. It is closed again at once.
            let open = Capture::from_device(*name).and_then(|device| device.snaplen(1 << 18).open());
            open.map_err(bad)?.compile(text, true).map_err(bad)?
        }
    };
    let numbers = program.get_instructions().iter().map(|i| instruction(&i.to_string()));
    numbers.collect::<Option<Arc<[_]>>>().ok_or_else(|| {
        BadFilter(format!("--bpf: libpcap made of '{shown}' what cannot be read; please report this"))
    })
}

/// The number that this system's libpcap has for a link type: a few differ from those in files.
#[cfg(feature = "libpcap")]
fn number_here(link: LinkType) -> i32 {
    match link.0 {
        100 => 11,
        101 if cfg!(target_os = "openbsd") => 14,
        101 => 12,
        102 => 15,
        103 => 16,
        106 => 19,
        other => i32::from(other),
    }
}

#[cfg(not(feature = "libpcap"))]
fn compiled(text: &str, _: &Target<'_>) -> Result<Arc<[Instruction]>, BadFilter> {
    Err(BadFilter(format!(
        "--bpf: this build has no compiler for expressions such as '{}'; build with: cargo build --release --features \
         libpcap (needs libpcap-dev), or give the output of: tcpdump -ddd EXPR | tr '\\n' ,",
        crate::strict::shown(text)
    )))
}

fn instruction(line: &str) -> Option<Instruction> {
    let mut numbers = line.split_ascii_whitespace();
    let code = numbers.next()?.parse().ok()?;
    let jt = numbers.next()?.parse().ok()?;
    let jf = numbers.next()?.parse().ok()?;
    let k = numbers.next()?.parse().ok()?;
    numbers.next().is_none().then_some(Instruction { code, jt, jf, k })
}

/// The same filter, which keeps at most `snap` bytes of what it lets through.
pub fn with_snap(program: &[Instruction], snap: u32) -> Vec<Instruction> {
    let fitted = |i: &Instruction| if i.code == RETURN { Instruction { k: i.k.min(snap), ..*i } } else { *i };
    program.iter().map(fitted).collect()
}

/// Whether a filter lets a frame through. A program that leaves its own bounds lets nothing through.
pub fn accepts(program: &[Instruction], bytes: &[u8], wire_len: u32) -> bool {
    run(program, bytes, wire_len).is_some_and(|kept| kept > 0)
}

/// Runs a program. `None`: it read beyond the frame, divided by zero, or is none.
fn run(program: &[Instruction], bytes: &[u8], wire_len: u32) -> Option<u32> {
    let (mut a, mut x, mut cells, mut next) = (0u32, 0u32, [0u32; 16], 0usize);
    for _ in 0..MAX_LEN {
        let i = *program.get(next)?;
        next += 1;
        let cell = cells.get_mut(i.k as usize);
        match i.code & 7 {
            0 if i.code & 0xe0 == 0x60 => a = *cell?,
            1 if i.code & 0xe0 == 0x60 => x = *cell?,
            0 => a = load(i, x, bytes, wire_len)?,
            // Four times the low half of a byte: the length of an IPv4 header.
            1 if i.code & 0xe0 == 0xa0 => x = u32::from(bytes.get(i.k as usize)? & 15) << 2,
            1 => x = load(i, x, bytes, wire_len)?,
            2 => *cell? = a,
            3 => *cell? = x,
            4 => a = computed(i, a, x)?,
            5 => next = next.checked_add(jump(i, a, x)?)?,
            6 if i.code & 0x18 == 0x10 => return Some(a),
            6 => return Some(i.k),
            _ if i.code & 0x80 != 0 => a = x,
            _ => x = a,
        }
    }
    None
}

fn load(i: Instruction, x: u32, bytes: &[u8], wire_len: u32) -> Option<u32> {
    let at = match i.code & 0xe0 {
        0x00 => return Some(i.k),
        0x80 => return Some(wire_len),
        0x20 => i.k,
        0x40 => i.k.checked_add(x)?,
        _ => return None,
    };
    let len = match i.code & 0x18 {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => return None,
    };
    let piece = bytes.get(at as usize..)?.get(..len)?;
    Some(piece.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
}

fn computed(i: Instruction, a: u32, x: u32) -> Option<u32> {
    let operand = if i.code & 8 != 0 { x } else { i.k };
    Some(match i.code & 0xf0 {
        0x00 => a.wrapping_add(operand),
        0x10 => a.wrapping_sub(operand),
        0x20 => a.wrapping_mul(operand),
        0x30 => a.checked_div(operand)?,
        0x40 => a | operand,
        0x50 => a & operand,
        0x60 => a.checked_shl(operand).unwrap_or(0),
        0x70 => a.checked_shr(operand).unwrap_or(0),
        0x80 => a.wrapping_neg(),
        0x90 => a.checked_rem(operand)?,
        0xa0 => a ^ operand,
        _ => return None,
    })
}

/// How many instructions are skipped.
fn jump(i: Instruction, a: u32, x: u32) -> Option<usize> {
    let operand = if i.code & 8 != 0 { x } else { i.k };
    let holds = match i.code & 0xf0 {
        0x00 => return Some(i.k as usize),
        0x10 => a == operand,
        0x20 => a > operand,
        0x30 => a >= operand,
        0x40 => a & operand != 0,
        _ => return None,
    };
    Some(usize::from(if holds { i.jt } else { i.jf }))
}

/// A filter at work on frames of any link type.
#[derive(Debug)]
pub struct Sieve {
    filter: Filter,
    /// Programs by link type; `None`: the filter makes no sense there, and nothing passes.
    programs: Vec<(LinkType, Option<Arc<[Instruction]>>)>,
}

impl Sieve {
    /// One for `filter`.
    pub const fn new(filter: Filter) -> Self {
        Self { filter, programs: Vec::new() }
    }

    /// Whether a frame passes.
    pub fn passes(&mut self, slot: &Slot, bytes: &[u8]) -> bool {
        let known = self.programs.iter().position(|(link, _)| *link == slot.link);
        let at = known.unwrap_or_else(|| {
            self.programs.push((slot.link, self.filter.for_link(slot.link).ok()));
            self.programs.len() - 1
        });
        let program = self.programs.get(at).and_then(|(_, program)| program.as_deref());
        program.is_some_and(|program| accepts(program, bytes, slot.wire_len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `tcpdump -ddd 'tcp port 443'` on Ethernet.
    const TCP_443: &str = "20,40 0 0 12,21 0 6 34525,48 0 0 20,21 0 15 6,40 0 0 54,21 12 0 443,40 0 0 56,21 10 11 443,\
        21 0 10 2048,48 0 0 23,21 0 8 6,40 0 0 20,69 6 0 8191,177 0 0 14,72 0 0 14,21 2 0 443,72 0 0 16,21 0 1 443,\
        6 0 0 262144,6 0 0 0,";

    fn frame(protocol: u8, ports: (u16, u16), fragment: u16) -> Vec<u8> {
        let mut bytes = vec![0; 12];
        bytes.extend([8, 0, 0x45, 0, 0, 40, 0, 1]);
        bytes.extend(fragment.to_be_bytes());
        bytes.extend([64, protocol, 0, 0, 10, 0, 0, 1, 198, 51, 100, 1]);
        bytes.extend(ports.0.to_be_bytes());
        bytes.extend(ports.1.to_be_bytes());
        bytes
    }

    fn program(text: &str) -> Arc<[Instruction]> {
        match Filter::parse(text) {
            Ok(Filter::Program(program)) => program,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn filters_in_numbers_are_read_and_run() {
        let filter = program(TCP_443);
        for (bytes, passes) in [
            (frame(6, (50_000, 443), 0), true),
            (frame(6, (443, 50_000), 0), true),
            (frame(6, (50_000, 80), 0), false),
            (frame(17, (50_000, 443), 0), false),
            (frame(6, (50_000, 443), 5), false),
            (frame(6, (50_000, 443), 0)[..30].to_vec(), false),
            (vec![], false),
        ] {
            assert_eq!(accepts(&filter, &bytes, bytes.len() as u32), passes, "{bytes:?}");
        }
        let long = program("4,128 0 0 0,53 0 1 1000,6 0 0 9,6 0 0 0");
        assert!(accepts(&long, &[], 1_000) && !accepts(&long, &[], 999), "the length on the wire counts");
    }

    #[test]
    fn no_program_hurts() {
        let bytes = frame(6, (50_000, 443), 0);
        let mut state = 7u64;
        for _ in 0..20_000 {
            let random = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state >> 33
            };
            let one = |mut next: Box<dyn FnMut() -> u64>| Instruction {
                code: next() as u16 & 0x1ff,
                jt: next() as u8 & 3,
                jf: next() as u8 & 3,
                k: if next().is_multiple_of(3) { next() as u32 } else { next() as u32 % 40 },
            };
            let random = std::cell::RefCell::new(random);
            let program: Vec<Instruction> =
                (0..12).map(|_| one(Box::new(|| random.borrow_mut()()))).collect();
            run(&program, &bytes, 60);
        }
    }

    #[test]
    fn the_snap_length_holds_for_what_a_filter_keeps() {
        let fitted = with_snap(&program("3,21 0 1 5,6 0 0 262144,6 0 0 0"), 128);
        assert_eq!(fitted.iter().map(|i| i.k).collect::<Vec<_>>(), [5, 128, 0]);
    }

    #[test]
    fn what_is_no_filter_is_refused_with_a_cure() {
        for bad in ["", "1", "2,6 0 0 0", "1,6 0 0", "1,6 0 0 0 0", "1,6 0 999 0", "nonsense and more"] {
            let said = Filter::parse(bad).map_err(|e| e.to_string());
            if cfg!(feature = "libpcap") {
                // An empty expression lets everything through, as with tcpdump.
                assert!(bad.is_empty() || said.is_err_and(|e| e.contains("is no filter")), "{bad}");
            } else {
                assert!(
                    said.is_err_and(|e| e.contains("tcpdump -ddd") && e.contains("--features libpcap")),
                    "{bad}"
                );
            }
        }
    }

    #[cfg(feature = "libpcap")]
    #[test]
    fn expressions_fit_the_link_type_of_each_frame() {
        let mut sieve = Sieve::new(Filter::parse("tcp port 443").unwrap());
        let whole = frame(6, (50_000, 443), 0);
        let slot = |link, len: usize| Slot {
            at: crate::units::Timestamp::default(),
            offset: 0,
            captured: len as u32,
            wire_len: len as u32,
            link,
            vlan: u16::MAX,
        };
        assert!(sieve.passes(&slot(LinkType::ETHERNET, whole.len()), &whole));
        assert!(sieve.passes(&slot(LinkType(101), whole.len() - 14), &whole[14..]));
        assert!(!sieve.passes(&slot(LinkType::ETHERNET, whole.len()), &frame(6, (1, 2), 0)));
        assert!(!sieve.passes(&slot(LinkType(101), whole.len()), &whole));
    }
}
