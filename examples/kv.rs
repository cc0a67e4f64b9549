//! A durable key-value map: every change goes into the log first, and a start replays the log.
//!
//! ```text
//! cargo run --release --example kv                      a short demonstration
//! cargo run --release --example kv -- DIR put KEY VALUE [--ttl 10s]
//! cargo run --release --example kv -- DIR get KEY
//! cargo run --release --example kv -- DIR del KEY
//! cargo run --release --example kv -- DIR list
//! ```
//!
//! The log is the database: `KvMap` in memory is only what replaying it builds. There is no checkpoint
//! here, so the log grows with every change; a real store would write a snapshot now and then, and
//! give up the log before it with `truncate_before`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use wal_codec::{KeyValue, KvMap, KvRecord};
use wal_core::{Clock, Lsn, SystemClock, Timestamp, Wal};
use wal_fs::FileStorage;
use wal_recovery::Recovery;
use wal_sync::GroupCommit;

/// A map that survives.
struct Store {
    log: Wal<KeyValue>,
    map: KvMap,
}

impl Store {
    /// Recovers the log and replays it.
    fn open(dir: &Path) -> Result<Self> {
        let (recovered, _report) = Recovery::new(FileStorage::create(dir)?).run()?;
        let log = Wal::builder(GroupCommit::new()).codec(KeyValue).open(recovered)?;
        let mut map = KvMap::new();
        for entry in log.iter(Lsn::ZERO)? {
            map.apply(entry?.record);
        }
        Ok(Store { log, map })
    }

    /// The log first, and only when the change is durable, the map. So nobody ever sees a value that
    /// a power loss could take back.
    fn change(&mut self, record: KvRecord) -> Result<Lsn> {
        let lsn = self.log.append(&record)?;
        self.map.apply(record);
        Ok(lsn)
    }

    fn put(&mut self, key: &str, value: &str, ttl: Option<Duration>) -> Result<Lsn> {
        let record = KvRecord::put(key.to_owned(), value.to_owned(), self.version());
        self.change(match ttl {
            Some(ttl) => record.expiring_after(now(), ttl),
            None => record,
        })
    }

    fn delete(&mut self, key: &str) -> Result<Lsn> {
        let version = self.version();
        self.change(KvRecord::delete(key.to_owned(), version))
    }

    fn get(&self, key: &str) -> Option<String> {
        self.map.get(key.as_bytes(), now()).map(|value| text(value))
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.map.iter(now()).map(|(key, value)| (text(key), text(value))).collect()
    }

    fn list(&self) {
        for (key, value) in self.pairs() {
            println!("{key} = {value}");
        }
    }

    /// LSNs only go up, and so they make good versions.
    fn version(&self) -> u64 {
        self.log.next_lsn().get()
    }
}

fn now() -> Timestamp {
    SystemClock::new().wall()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `250ms`, `10s`, `5min` or `2h`.
fn duration(text: &str) -> Result<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => bail!("{text:?} is no time such as 10s (units ms, s, min, h)"),
    };
    let number: u64 = number.parse().with_context(|| format!("{text:?} is no time"))?;
    Ok(Duration::from_millis(number.checked_mul(millis).context("too long")?))
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (dir, command) = match args[..] {
        [] | ["--demo"] => return demo(),
        [dir, ref command @ ..] => (Path::new(dir), command),
    };
    let mut store = Store::open(dir)?;
    match *command {
        ["put", key, value] => println!("LSN {}", store.put(key, value, None)?),
        ["put", key, value, "--ttl", ttl] => {
            println!("LSN {}", store.put(key, value, Some(duration(ttl)?))?);
        }
        ["get", key] => println!("{}", store.get(key).with_context(|| format!("no {key:?}"))?),
        ["del", key] => println!("LSN {}", store.delete(key)?),
        ["list"] => store.list(),
        _ => bail!("usage: kv DIR put KEY VALUE [--ttl 10s] | get KEY | del KEY | list"),
    }
    store.log.close()?;
    Ok(())
}

fn demo() -> Result<()> {
    let temp = tempfile::tempdir()?;
    let mut store = Store::open(temp.path())?;
    store.put("apple", "red", None)?;
    store.put("banana", "green", None)?;
    store.put("banana", "yellow", None)?;
    store.put("cherry", "gone soon", Some(Duration::from_millis(20)))?;
    store.put("date", "brown", None)?;
    store.delete("date")?;
    println!("Before:");
    store.list();
    // No orderly end: the log is not closed.
    drop(store);

    std::thread::sleep(Duration::from_millis(30));
    let mut store = Store::open(temp.path())?;
    println!("After a replay of {} records, 30 ms later:", store.log.last_lsn());
    store.list();
    expect(&store, 6, &[("apple", "red"), ("banana", "yellow")])?;
    for (key, value) in [("apple", Some("red")), ("cherry", None), ("date", None)] {
        ensure!(store.get(key).as_deref() == value, "{key} is {:?}", store.get(key));
    }

    // What was replayed can be changed, and an orderly end loses nothing, either.
    store.put("cherry", "back", None)?;
    store.delete("apple")?;
    store.log.close()?;
    drop(store);
    let store = Store::open(temp.path())?;
    println!("After two more changes and an orderly end:");
    store.list();
    expect(&store, 8, &[("banana", "yellow"), ("cherry", "back")])?;
    store.log.close()?;
    Ok(())
}

/// The demonstration fails if it does not show what it should.
fn expect(store: &Store, records: u64, pairs: &[(&str, &str)]) -> Result<()> {
    let last = store.log.last_lsn().get();
    ensure!(last == records, "{last} records in the log, not {records}");
    let mut found = store.pairs();
    found.sort();
    ensure!(
        found.iter().map(|(key, value)| (key.as_str(), value.as_str())).eq(pairs.iter().copied()),
        "the map holds {found:?}, not {pairs:?}"
    );
    Ok(())
}
