//! Threads that find the buffer full.

use wal_core::{Durability, ErrorKind, Lsn, Result};

use crate::check::{EXHAUSTIVE, model, models, up_to};
use crate::models::{LARGE_RECORD, World};

fn append(world: &World) -> Result<Lsn> {
    world.log.append_with(&LARGE_RECORD, Durability::Buffered)
}

/// The buffer is full, and two threads append: one of them makes room, and the other does so as well, waits
/// for it or comes later.
fn two_without_room() -> u64 {
    let world = World::with_little_room("os");
    append(&world).unwrap();
    let other = world.spawn(|world| append(world).unwrap());
    append(&world).unwrap();
    other.join().unwrap();
    assert_eq!(world.log.last_lsn(), Lsn::new(3));
    world.disk.judge()
}

/// Two threads without room, and a third one closes the log.
fn close_beside_two_without_room() -> u64 {
    let world = World::with_little_room("os");
    append(&world).unwrap();
    let others = [(); 2].map(|()| world.spawn(append));
    world.log.close().unwrap();
    for other in others {
        match other.join().unwrap() {
            Ok(lsn) => assert!(lsn <= world.log.durable_lsn()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
        }
    }
    world.disk.judge()
}

models! {
    without_room_2: EXHAUSTIVE.slice(3), two_without_room, loses 0;
    without_room_beside_close: up_to(3).slice(2), close_beside_two_without_room, loses 0;
}
