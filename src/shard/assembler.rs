//! A small assembler for classic BPF: loads, arithmetic, forward jumps to labels.

/// One instruction, as `struct sock_filter` has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when a comparison holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Constant.
    pub k: u32,
}

impl Instruction {
    /// A whole filter that keeps `len` bytes of every frame; 0: drops all.
    pub const fn keep(len: u32) -> [Self; 1] {
        [Self { code: RET, jt: 0, jf: 0, k: len }]
    }
}

/// A place to jump to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label(usize);

const LD: u16 = 0x00;
const LDX: u16 = 0x01;
const ST: u16 = 0x02;
const STX: u16 = 0x03;
const ALU: u16 = 0x04;
const JMP: u16 = 0x05;
const RET: u16 = 0x06;
const MISC: u16 = 0x07;
const HALF: u16 = 0x08;
const BYTE: u16 = 0x10;
const ABS: u16 = 0x20;
const IND: u16 = 0x40;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
const BY_X: u16 = 0x08;

/// Grows a program.
#[derive(Default)]
pub(super) struct Assembler {
    code: Vec<Instruction>,
    /// Where each label was placed.
    places: Vec<usize>,
    /// Jumps that wait for their label.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    pub(super) fn label(&mut self) -> Label {
        self.places.push(usize::MAX);
        Label(self.places.len() - 1)
    }

    /// The next instruction is where `label` leads.
    pub(super) fn place(&mut self, label: Label) {
        if let Some(place) = self.places.get_mut(label.0) {
            *place = self.code.len();
        }
    }

    /// Puts the distances into the jumps. A label that was never placed leads to the last instruction.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        let last = self.code.len().saturating_sub(1);
        for (at, label) in self.jumps {
            let to = self.places.get(label.0).map_or(last, |place| last.min(*place));
            if let Some(jump) = self.code.get_mut(at) {
                jump.k = to.saturating_sub(at + 1) as u32;
            }
        }
        self.code
    }

    fn put(&mut self, code: u16, k: u32) {
        self.code.push(Instruction { code, jt: 0, jf: 0, k });
    }

    /// A comparison, and a jump that is taken when it holds (or does not): conditional jumps reach 255 instructions
    /// only, so each one has an unconditional one beside it.
    fn branch(&mut self, compare: u16, k: u32, holds: bool, to: Label) {
        let (jt, jf) = if holds { (0, 1) } else { (1, 0) };
        self.code.push(Instruction { code: JMP | compare, jt, jf, k });
        self.jump(to);
    }

    pub(super) fn jump(&mut self, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.put(JMP, 0);
    }

    pub(super) fn if_equal(&mut self, k: u32, to: Label) {
        self.branch(0x10, k, true, to);
    }

    pub(super) fn unless_equal(&mut self, k: u32, to: Label) {
        self.branch(0x10, k, false, to);
    }

    pub(super) fn if_any(&mut self, bits: u32, to: Label) {
        self.branch(0x40, bits, true, to);
    }

    pub(super) fn unless_any(&mut self, bits: u32, to: Label) {
        self.branch(0x40, bits, false, to);
    }

    pub(super) fn if_at_least_x(&mut self, to: Label) {
        self.branch(0x30 | BY_X, 0, true, to);
    }

    pub(super) fn a_const(&mut self, k: u32) {
        self.put(LD, k);
    }

    pub(super) fn x_const(&mut self, k: u32) {
        self.put(LDX, k);
    }

    pub(super) fn load_abs_byte(&mut self, k: u32) {
        self.put(LD | BYTE | ABS, k);
    }

    pub(super) fn load_abs_half(&mut self, k: u32) {
        self.put(LD | HALF | ABS, k);
    }

    /// A = the byte at X + k.
    pub(super) fn load_byte(&mut self, k: u32) {
        self.put(LD | BYTE | IND, k);
    }

    pub(super) fn load_half(&mut self, k: u32) {
        self.put(LD | HALF | IND, k);
    }

    pub(super) fn load_word(&mut self, k: u32) {
        self.put(LD | IND, k);
    }

    /// A = length of the frame.
    pub(super) fn load_len(&mut self) {
        self.put(LD | LEN, 0);
    }

    pub(super) fn load(&mut self, cell: u32) {
        self.put(LD | MEM, cell);
    }

    pub(super) fn load_x(&mut self, cell: u32) {
        self.put(LDX | MEM, cell);
    }

    pub(super) fn store(&mut self, cell: u32) {
        self.put(ST, cell);
    }

    pub(super) fn store_x(&mut self, cell: u32) {
        self.put(STX, cell);
    }

    pub(super) fn plus(&mut self, k: u32) {
        self.put(ALU, k);
    }

    pub(super) fn plus_x(&mut self) {
        self.put(ALU | BY_X, 0);
    }

    pub(super) fn times(&mut self, k: u32) {
        self.put(ALU | 0x20, k);
    }

    pub(super) fn and(&mut self, k: u32) {
        self.put(ALU | 0x50, k);
    }

    pub(super) fn shift_left(&mut self, k: u32) {
        self.put(ALU | 0x60, k);
    }

    pub(super) fn shift_right(&mut self, k: u32) {
        self.put(ALU | 0x70, k);
    }

    pub(super) fn xor_x(&mut self) {
        self.put(ALU | 0xa0 | BY_X, 0);
    }

    /// X = A.
    pub(super) fn x_of_a(&mut self) {
        self.put(MISC, 0);
    }

    /// A = X.
    pub(super) fn a_of_x(&mut self) {
        self.put(MISC | 0x80, 0);
    }

    /// The result is A.
    pub(super) fn give_a(&mut self) {
        self.put(RET | 0x10, 0);
    }
}
