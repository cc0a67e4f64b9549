//! What the bytes of an input stand for.
//!
//! Every part has a fixed size, and all come in order. So a mutation of one byte changes one thing, and a
//! seed can be written as easily as it is read.

use arbitrary::{Arbitrary, Unstructured};

/// A log that is written, edits of its files, and bytes to put into them.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// How the storage is set up.
    pub(crate) setup: u8,
    pub(crate) steps: Vec<Step>,
    pub(crate) edits: Vec<Edit>,
    /// The rest of the input.
    pub(crate) raw: Vec<u8>,
}

/// Something that is done with the log.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) what: u8,
    pub(crate) size: u16,
}

/// Something that is done to a file.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) what: u8,
    pub(crate) file: u8,
    pub(crate) at: u16,
    pub(crate) arg: u16,
}

impl Plan {
    const STEPS: u8 = 32;
    const EDITS: u8 = 8;

    pub(crate) fn decode(data: &[u8]) -> Plan {
        let mut input = Unstructured::new(data);
        let setup = next(&mut input);
        let steps = next::<u8>(&mut input) % (Self::STEPS + 1);
        let edits = next::<u8>(&mut input) % (Self::EDITS + 1);
        let steps = (0..steps).map(|_| next(&mut input)).collect();
        let edits = (0..edits).map(|_| next(&mut input)).collect();
        Plan { setup, steps, edits, raw: input.take_rest().to_vec() }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        assert!(self.steps.len() <= usize::from(Self::STEPS));
        assert!(self.edits.len() <= usize::from(Self::EDITS));
        let mut out = vec![self.setup, self.steps.len() as u8, self.edits.len() as u8];
        for step in &self.steps {
            out.push(step.what);
            out.extend(step.size.to_le_bytes());
        }
        for edit in &self.edits {
            out.extend([edit.what, edit.file]);
            out.extend(edit.at.to_le_bytes());
            out.extend(edit.arg.to_le_bytes());
        }
        out.extend(&self.raw);
        out
    }
}

/// Behind the end of the input everything is zero.
fn next<'a, T: Arbitrary<'a>>(input: &mut Unstructured<'a>) -> T {
    T::arbitrary(input).expect("integers can be had from any input")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let plan = Plan {
            setup: 3,
            steps: vec![Step { what: 1, size: 0x1234 }, Step { what: 2, size: 7 }],
            edits: vec![Edit { what: 9, file: 1, at: 0x5678, arg: 0x9abc }],
            raw: b"rest".to_vec(),
        };
        let back = Plan::decode(&plan.encode());
        assert_eq!((back.setup, back.steps, back.edits), (3, plan.steps, plan.edits));
        assert_eq!(back.raw, b"rest");
        assert_eq!(Plan::decode(b"").steps, []);
    }
}
