//! What the storages above [`FileStorage`](crate::FileStorage) share.
//!
//! `DirectStorage`, `MmapStorage` and `UringStorage` are layers: each holds a `FileStorage` and replaces how
//! the bytes of the segment being written reach its file. The rest it leaves to the files below.
//!
//! | file | idea |
//! | --- | --- |
//! | `forward!` (here) | the methods that a layer leaves to what is below it |
//! | `handles` | the open segments by name, for what has to reach all of them |

mod handles;

pub(crate) use handles::Handles;

/// Within an `impl` of `LogStorage` or `Segment`: the methods that are left to what is below, which the named
/// method of the implementing type returns.
///
/// ```text
/// forward!(files: describe, list);    // fn list(&self) -> Io<'_, Listing> { self.files().list() }
/// ```
///
/// `forward!(stage_segment: create_staged)` is both `stage` and `create`, by the method that stages.
///
/// An `impl` that uses it denies `clippy::missing_trait_methods`: a method that the trait gets later, with a body
/// of its own, must not be answered by that body where the storage below knows better.
macro_rules! forward {
    ($below:ident: $($method:ident),+) => {
        $($crate::layer::forward!(@$method $below);)+
    };
    (@capabilities $below:ident) => {
        fn capabilities(&self) -> ::wal_core::Capabilities {
            self.$below().capabilities()
        }
    };
    (@describe $below:ident) => {
        fn describe(&self) -> ::std::string::String {
            self.$below().describe()
        }
    };
    (@list $below:ident) => {
        fn list(&self) -> ::wal_core::Io<'_, ::wal_core::Listing> {
            self.$below().list()
        }
    };
    (@remove $below:ident) => {
        fn remove(&self, names: &[::wal_core::Lsn]) -> ::wal_core::Io<'_, ()> {
            self.$below().remove(names)
        }
    };
    // Begun by the type's own `stage_segment`. Its calls block, so it need not be a future.
    (@create_staged $below:ident) => {
        fn stage(
            &self,
            name: ::wal_core::Lsn,
            capacity: u64,
        ) -> ::wal_core::Io<'_, ::wal_core::Staged> {
            ::wal_core::Io::ready(self.$below(name, capacity).map(::wal_core::Staged::new))
        }

        fn create(
            &self,
            name: ::wal_core::Lsn,
            data: ::bytes::Bytes,
            capacity: u64,
            publish: ::wal_core::Publish,
        ) -> ::wal_core::Io<'_, ::std::sync::Arc<dyn ::wal_core::Segment>> {
            let staged = self.$below(name, capacity);
            ::wal_core::Io::ready(staged.and_then(|staged| staged.create(&data, publish)))
        }
    };
    (@set_aside $below:ident) => {
        fn set_aside(
            &self,
            label: &str,
            data: ::bytes::Bytes,
        ) -> ::wal_core::Io<'_, ::std::string::String> {
            self.$below().set_aside(label, data)
        }
    };
    (@open_reserve $below:ident) => {
        fn open_reserve(&self, open: bool) {
            self.$below().open_reserve(open);
        }
    };
    (@fill_reserve $below:ident) => {
        fn fill_reserve(&self, segment_size: u64) -> ::wal_core::Io<'_, ()> {
            self.$below().fill_reserve(segment_size)
        }
    };
    (@reserve $below:ident) => {
        fn reserve(&self) -> ::wal_core::Io<'_, u64> {
            self.$below().reserve()
        }
    };
    (@copy_segment $below:ident) => {
        fn copy_segment(
            &self,
            name: ::wal_core::Lsn,
            source: ::std::sync::Arc<dyn ::wal_core::Segment>,
            len: u64,
        ) -> ::wal_core::Io<'_, ::wal_core::Copied> {
            self.$below().copy_segment(name, source, len)
        }
    };
    (@changes $below:ident) => {
        fn changes(&self) -> Option<::std::boxed::Box<dyn ::wal_core::Changes>> {
            self.$below().changes()
        }
    };
    (@read_at $below:ident) => {
        fn read_at(&self, offset: u64, len: usize) -> ::wal_core::Io<'_, ::bytes::Bytes> {
            self.$below().read_at(offset, len)
        }
    };
    (@read_reusing $below:ident) => {
        fn read_reusing(
            &self,
            offset: u64,
            len: usize,
            spent: ::bytes::Bytes,
        ) -> ::wal_core::Io<'_, ::bytes::Bytes> {
            self.$below().read_reusing(offset, len, spent)
        }
    };
    (@backing $below:ident) => {
        fn backing(&self) -> ::std::option::Option<&dyn ::std::any::Any> {
            self.$below().backing()
        }
    };
    (@len $below:ident) => {
        fn len(&self) -> ::wal_core::Io<'_, u64> {
            self.$below().len()
        }
    };
}

pub(crate) use forward;
