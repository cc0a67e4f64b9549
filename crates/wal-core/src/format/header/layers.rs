//! The layers above the engine that wrote a log: whoever opens it has to have them all.

use std::fmt;

/// A layer between the engine and its user, such as streams. It stands for what the layer writes as well: another
/// encoding is another layer. A registry: FORMAT.md has the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LayerId(pub u16);

impl LayerId {
    /// Many logical logs in one (`wal-streams`).
    pub const STREAMS: LayerId = LayerId(1);
    /// Checkpoints. Given out for a later version: nothing writes it yet.
    pub const CHECKPOINTS: LayerId = LayerId(2);
    /// Transactions. Given out for a later version.
    pub const TRANSACTIONS: LayerId = LayerId(3);
    /// Exactly once. Given out for a later version.
    pub const DEDUP: LayerId = LayerId(4);
}

impl fmt::Display for LayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::STREAMS => f.write_str("streams"),
            Self::CHECKPOINTS => f.write_str("checkpoints"),
            Self::TRANSACTIONS => f.write_str("transactions"),
            Self::DEDUP => f.write_str("dedup"),
            LayerId(number) => write!(f, "layer {number}"),
        }
    }
}

/// The layers of a log, the one nearest to the engine first. At most eight.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Layers([u16; Self::MOST]);

impl Layers {
    /// So many layers a log has at most.
    pub const MOST: usize = 8;
    /// No layer: records are the user's.
    pub const NONE: Layers = Layers([0; Self::MOST]);

    /// A single layer.
    #[must_use]
    pub const fn one(layer: LayerId) -> Self {
        let mut ids = [0; Self::MOST];
        ids[0] = layer.0;
        Layers(ids)
    }

    /// These layers, the one nearest to the engine first; `None` if they are too many, or one is there twice or 0.
    #[must_use]
    pub fn new(layers: &[LayerId]) -> Option<Self> {
        let mut ids = [0; Self::MOST];
        for (id, layer) in ids.iter_mut().zip(layers) {
            *id = layer.0;
        }
        let all = Layers(ids);
        (layers.len() <= Self::MOST && layers.iter().all(|layer| layer.0 != 0) && all.is_sound())
            .then_some(all)
    }

    /// In order, the one nearest to the engine first.
    pub fn iter(&self) -> impl Iterator<Item = LayerId> + '_ {
        self.0.iter().take_while(|id| **id != 0).map(|id| LayerId(*id))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0[0] == 0
    }

    pub(super) fn encode(self) -> [u8; 2 * Self::MOST] {
        let mut out = [0; 2 * Self::MOST];
        for (out, id) in out.chunks_exact_mut(2).zip(self.0) {
            out.copy_from_slice(&id.to_le_bytes());
        }
        out
    }

    pub(super) fn decode(bytes: [u8; 2 * Self::MOST]) -> Self {
        let mut ids = [0; Self::MOST];
        for (id, bytes) in ids.iter_mut().zip(bytes.chunks_exact(2)) {
            *id = u16::from_le_bytes([bytes[0], bytes[1]]);
        }
        Layers(ids)
    }

    /// Whether no layer is there twice, and none stands behind the end of the list.
    pub(super) fn is_sound(self) -> bool {
        let count = self.iter().count();
        let twice = self.0[..count].iter().enumerate().any(|(at, id)| self.0[..at].contains(id));
        !twice && self.0[count..].iter().all(|id| *id == 0)
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no layer");
        }
        for (at, layer) in self.iter().enumerate() {
            if at > 0 {
                f.write_str(" + ")?;
            }
            write!(f, "{layer}")?;
        }
        Ok(())
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Layers {
    /// A list of their names.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|layer| layer.to_string()))
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layers({self})")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Streams twice.
    pub(in super::super) fn unsound() -> Layers {
        Layers([1, 1, 0, 0, 0, 0, 0, 0])
    }

    #[test]
    fn they_come_back_in_their_order() {
        let order = [LayerId::STREAMS, LayerId(0x8001), LayerId::CHECKPOINTS];
        let layers = Layers::new(&order).unwrap();
        assert_eq!(Layers::decode(layers.encode()), layers);
        assert_eq!(layers.iter().collect::<Vec<_>>(), order);
        assert_eq!(layers.to_string(), "streams + layer 32769 + checkpoints");
        assert_eq!((Layers::NONE.to_string(), Layers::NONE.is_empty()), ("no layer".into(), true));
    }

    #[test]
    fn lists_that_make_no_sense_are_refused() {
        let many: Vec<_> = (1..=9).map(LayerId).collect();
        assert!(Layers::new(&many[..8]).is_some() && Layers::new(&many).is_none());
        assert!(Layers::new(&[LayerId(3), LayerId(3)]).is_none());
        assert!(Layers::new(&[LayerId(0)]).is_none());
        let gap = Layers([1, 0, 2, 0, 0, 0, 0, 0]);
        assert!(!gap.is_sound() && Layers([1, 2, 0, 0, 0, 0, 0, 0]).is_sound());
    }
}
