//! `KvMap`: what replaying key-value records builds.

use std::collections::BTreeMap;

use bytes::Bytes;
use wal_core::Timestamp;

use crate::KvRecord;

/// A key-value store in memory, built by applying [`KvRecord`]s in log order.
///
/// The change with the highest version holds, whatever the order; of two with the same version the
/// later one. So applying a record again, as a replay from an older checkpoint does, changes
/// nothing once newer ones were applied too. For that, tombstones and expired keys stay, until
/// [`forget`](Self::forget) drops them.
///
/// ```
/// use wal_codec::{KvMap, KvRecord};
/// use wal_core::Timestamp;
///
/// let now = Timestamp::from_micros(1);
/// let mut map = KvMap::new();
/// map.apply(KvRecord::put("a", "old", 1));
/// map.apply(KvRecord::put("a", "new", 3));
/// assert!(!map.apply(KvRecord::delete("a", 2)), "late, and superseded");
/// assert_eq!(map.get(b"a", now).unwrap(), "new");
/// map.apply(KvRecord::delete("a", 4));
/// assert_eq!(map.get(b"a", now), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KvMap {
    latest: BTreeMap<Bytes, KvRecord>,
}

impl KvMap {
    /// Holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        KvMap { latest: BTreeMap::new() }
    }

    /// Applies a change; `false` if a higher version was applied before.
    ///
    /// Copies key and value, so that the map does not keep the buffers in memory that the records
    /// were read with.
    pub fn apply(&mut self, record: KvRecord) -> bool {
        let superseded =
            self.latest.get(record.key()).is_some_and(|held| held.version() > record.version());
        if !superseded {
            let record = own(record);
            self.latest.insert(record.key().clone(), record);
        }
        !superseded
    }

    /// The value of `key` at `now`; `None` if it was never put, is deleted or has expired.
    #[must_use]
    pub fn get(&self, key: &[u8], now: Timestamp) -> Option<&Bytes> {
        self.latest.get(key).and_then(|record| live(record, now))
    }

    /// All keys that are present at `now`, in ascending order, with their values.
    pub fn iter(&self, now: Timestamp) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.latest.iter().filter_map(move |(key, record)| Some((key, live(record, now)?)))
    }

    /// Drops tombstones, and keys that have expired by `now`. Do it where no older record can be
    /// applied any more, for instance after a checkpoint: it would bring the key back.
    pub fn forget(&mut self, now: Timestamp) {
        self.latest.retain(|_, record| live(record, now).is_some());
    }
}

fn live(record: &KvRecord, now: Timestamp) -> Option<&Bytes> {
    match record {
        KvRecord::Put { value, .. } if !record.is_expired(now) => Some(value),
        _ => None,
    }
}

fn own(mut record: KvRecord) -> KvRecord {
    let copy = |bytes: &mut Bytes| *bytes = Bytes::copy_from_slice(bytes);
    match &mut record {
        KvRecord::Put { key, value, .. } => {
            copy(key);
            copy(value);
        }
        KvRecord::Delete { key, .. } => copy(key),
    }
    record
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kv::tests::any_record;

    fn replay<'a>(records: impl IntoIterator<Item = &'a KvRecord>) -> KvMap {
        let mut map = KvMap::new();
        for record in records {
            map.apply(record.clone());
        }
        map
    }

    proptest! {
        /// At-least-once delivery: going back and replaying again ends in the same state.
        #[test]
        fn replaying_again_changes_nothing(
            records in prop::collection::vec(any_record(), 0..40),
            cut in 0usize..40,
            back in 0usize..40,
        ) {
            let cut = cut.min(records.len());
            let back = back.min(cut);
            let again = records[..cut].iter().chain(&records[back..]);
            prop_assert_eq!(replay(again), replay(&records));
        }

        #[test]
        fn the_highest_version_holds(records in prop::collection::vec(any_record(), 1..40)) {
            let map = replay(&records);
            let now = Timestamp::from_micros(2);
            for record in &records {
                let same_key = records.iter().filter(|r| r.key() == record.key());
                let holds = same_key.max_by_key(|r| r.version()).unwrap();
                let expected = match holds {
                    KvRecord::Put { value, .. } if !holds.is_expired(now) => Some(value),
                    _ => None,
                };
                prop_assert_eq!(map.get(record.key(), now), expected);
            }
            let mut rest = map.clone();
            rest.forget(now);
            prop_assert!(rest.iter(now).eq(map.iter(now)));
            prop_assert_eq!(rest.latest.len(), map.iter(now).count());
        }
    }

    #[test]
    fn keeps_no_read_buffer() {
        let buffer = Bytes::from(vec![7; 1000]);
        let mut map = KvMap::new();
        map.apply(KvRecord::put(buffer.slice(0..1), buffer.slice(1..2), 1));
        assert!(buffer.is_unique());
    }
}
